"""The hub's config: what the target understands differently, or no longer at all."""

from __future__ import annotations

import re
from typing import Iterator

from ..upgrade import Upgrade
from .finding import BLOCKER, WARNING, Finding, Kind, listing

CONFIG_OPTION_GONE = Kind(
    "config-option-gone",
    WARNING,
    "The config sets an option that the target no longer knows.",
    "The new hub logs a warning and ignores it.",
    "Remove it, or set its replacement, which the release's changelog names.",
)
ALLOW_OPTION_GONE = Kind(
    "allow-option-gone",
    BLOCKER,
    "The config sets an option for allowed, blocked or admin users that the target no longer knows.",
    "The new hub ignores it: users may get in who should not, or be refused who should.",
    "Set its replacement, which the release's changelog names.",
    accept=True,
)
CONFIG_OPTION_UNKNOWN = Kind(
    "config-option-unknown",
    WARNING,
    "The config sets an option that neither the present hub nor the target knows.",
    "It has no effect, which is dangerous where it was meant to restrict access.",
    "Correct its name.",
)
OAUTH_REDIRECT_MISSING = Kind(
    "oauth-redirect-missing",
    BLOCKER,
    "A service without a url uses OAuth and has no oauth_redirect_uri, and the upgrade crosses 5.0.",
    "The new hub exits at its start: `has oauth configured, but is missing required oauth_redirect_uri`.",
    "Set the service's oauth_redirect_uri.",
)
KINDS = (CONFIG_OPTION_GONE, ALLOW_OPTION_GONE, CONFIG_OPTION_UNKNOWN, OAUTH_REDIRECT_MISSING)

_WHO = ("admin", "allow", "block", "whitelist", "blacklist", "group_whitelist")
_NOT_RECOGNIZED = re.compile(r"Config option `(?P<option>\w+)` not recognized by `(?P<section>\w+)`")


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """What the new hub would not understand."""
    config = upgrade.deployment.config
    known, today = upgrade.target.options, upgrade.host.options
    gone = [
        f"{section}.{name}"
        for section, names in sorted(config.options.items())
        for name in names
        if section in known and name in today.get(section, []) and name not in known[section]
    ]
    who = [option for option in gone if option.partition(".")[2].startswith(_WHO)]
    for kind, options in (
        (ALLOW_OPTION_GONE, who),
        (CONFIG_OPTION_GONE, [each for each in gone if each not in who]),
    ):
        if options:
            yield kind.found(
                f"{config.file} sets {listing(options)}, which JupyterHub {upgrade.target.version} does "
                "not know."
            )
    unknown = [
        f"{match['section']}.{match['option']}"
        for match in map(_NOT_RECOGNIZED.search, config.warnings)
        if match and match["option"] not in known.get(match["section"], [])
    ]
    if unknown:
        yield CONFIG_OPTION_UNKNOWN.found(
            f"{config.file} sets {listing(unknown)}, which neither JupyterHub nor a plugin knows."
        )
    for service in config.services:
        if upgrade.crosses(5) and service.oauth and not service.url and not service.oauth_redirect:
            yield OAUTH_REDIRECT_MISSING.found(
                f"The service {service.name} uses OAuth, and has neither url nor oauth_redirect_uri."
            )
