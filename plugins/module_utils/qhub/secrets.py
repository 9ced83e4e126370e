"""Secrets of a config, taken out of all that is shown or kept."""

from __future__ import annotations

import re

from .config import Config

#: Keys whose values nobody else may see; in any case, and as a part of a longer key.
_SECRET = re.compile(r"password|secret|token|private|client_id|api_?key|credential", re.IGNORECASE)
#: The line of a key in YAML, with its value.
_LINE = re.compile(
    rf"^(\s*(?:- )?[\"']?[\w-]*(?:{_SECRET.pattern})[\w-]*[\"']?\s*:\s+)\S.*$", re.IGNORECASE | re.MULTILINE
)
#: How QHub prints the password that it makes: `qhub upgrade` and, after a deployment, `qhub deploy`.
_PRINTED = re.compile(r"(password=)\S+")
HIDDEN = "********"


def redact(text: str, *configs: Config) -> str:
    """``text`` without the secrets of the configs, the ones that QHub prints, and those of lines of YAML."""
    values = {
        entry.value
        for config in configs
        for entry in config.entries.values()
        if _SECRET.search(entry.path[-1])
    }
    for value in sorted((value for value in values if len(value) > 3), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return _PRINTED.sub(rf"\1{HIDDEN}", _LINE.sub(rf"\1{HIDDEN}", text))
