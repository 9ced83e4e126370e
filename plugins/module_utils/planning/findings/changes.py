"""Changes: what each new major asks of everybody, to be read before the upgrade."""

from __future__ import annotations

from typing import Iterator

from ..upgrade import Upgrade
from .finding import NOTE, Finding, Kind

_DOCS = "https://jupyterhub.readthedocs.io/en/stable"
_CHANGELOG = f"{_DOCS}/reference/changelog.html"


def _kind(major: int, why: str, page: str = "") -> Kind:
    pages = f"{page} and {_CHANGELOG}" if page else _CHANGELOG
    return Kind(
        f"changes-{major}",
        NOTE,
        f"The upgrade crosses JupyterHub {major}.0.",
        why,
        f"Read {pages} ({major}.0).",
    )


#: By major; as the changelog and the pages on upgrading have them.
CHANGES = {
    2: _kind(
        2,
        "Roles and scopes replace admin tokens, all API tokens are dropped, JupyterLab is the default, the "
        "hub "
        "passes no --ip and --port to single-user servers; users need a role for services.",
    ),
    3: _kind(
        3,
        "Python 3.7 or later; tokens have scopes of their own instead of roles; services ask for scopes by "
        "oauth_client_allowed_scopes.",
    ),
    4: _kind(
        4,
        "SQLAlchemy 1.4 or later; forms and browsers' requests to the API need an XSRF token; single-user "
        "servers "
        "run as an extension of Jupyter Server.",
    ),
    5: _kind(
        5,
        "Python 3.8 or later; nobody is allowed without a rule; Bootstrap 5; single-user servers take no "
        "?token= in "
        "an address; services have subdomains of their own; manage_groups needs groups from the "
        "authenticator.",
        f"{_DOCS}/howto/upgrading-v5.html",
    ),
    6: _kind(
        6,
        "Python 3.10 or later, for users' environments, too; names of named servers are restricted; statsd "
        "is gone; "
        "options in a spawn address begin with opt-.",
        f"{_DOCS}/howto/upgrading-v6.html",
    ),
}
KINDS = tuple(CHANGES.values())


def check(upgrade: Upgrade) -> Iterator[Finding]:
    """A note for each major that is crossed."""
    for major, kind in CHANGES.items():
        if upgrade.crosses(major):
            yield kind.found(
                f"From JupyterHub {upgrade.current} to {upgrade.target.version} crosses {major}.0."
            )
