"""A chart's values: nested mappings, named by dotted keys, and what in them must not be shown."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, Sequence

#: Of texts and what JSON has.
Values = Dict[str, Any]

#: Mappings in which the user names the keys: what the defaults have there says nothing of them.
FREE = (
    *("custom", "hub.config", "hub.extraConfig", "hub.extraEnv", "hub.extraFiles", "hub.services"),
    *("hub.loadRoles", "hub.templateVars", "hub.labels", "hub.annotations", "hub.nodeSelector"),
    *("singleuser.extraEnv", "singleuser.extraFiles", "singleuser.extraLabels", "singleuser.nodeSelector"),
    *("singleuser.extraAnnotations", "singleuser.extraPodConfig", "prePuller.extraImages", "global"),
)

SECRET_KEY = re.compile(
    r"passw|secret|token|credential|private_?key|api_?key|crypt|auth_?key|client_?id|bearer|\bkeys?$",
    re.IGNORECASE,
)
HIDDEN = "***"
_PASSWORD_IN_URL = re.compile(r"(\w+://[^\s:/@]+):[^\s@]+@")
#: Shorter texts are not looked for elsewhere: they would be found everywhere.
LEAST_SECRET = 6


def get(values: Any, key: str, default: Any = None) -> Any:
    """What stands at a dotted key; ``default`` where there is nothing, or null."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return default
        values = values[part]
    return default if values is None else values


def has(values: Any, key: str) -> bool:
    """Whether a dotted key is there, also as null."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def leaves(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each dotted key with what is no further mapping; an empty mapping is one, too."""
    if isinstance(values, dict) and values:
        for part, value in values.items():
            yield from leaves(value, f"{key}.{part}" if key else str(part))
    elif key:
        yield key, values


def merged(defaults: Any, values: Any) -> Any:
    """``values`` over ``defaults`` as Helm does it: mappings by their keys, all else as a whole."""
    if not isinstance(defaults, dict) or not isinstance(values, dict):
        return values
    result = dict(defaults)
    for key, value in values.items():
        result[key] = merged(defaults[key], value) if key in defaults else value
    return result


def is_free(key: str) -> bool:
    """Whether the user names the keys at or above this one."""
    return any(key == free or key.startswith(f"{free}.") for free in FREE)


def forgotten(values: Any, old: Any, new: Any) -> list[str]:
    """Keys that a user sets, which the old chart's defaults have and the new one's do not."""
    found = []
    for key, _value in leaves(values):
        parts = key.split(".")
        for count in range(1, len(parts) + 1):
            part, parent = ".".join(parts[:count]), ".".join(parts[: count - 1])
            if has(new, part) and get(new, part) != {}:
                continue
            knows = get(new, parent) if parent else new
            # In an empty mapping of the defaults the user names the keys.
            if has(old, part) and not has(new, part) and isinstance(knows, dict) and knows:
                found.append(part)
            break
    return [key for key in dict.fromkeys(found) if not is_free(key)]


def secrets_of(values: Any, key: str = "") -> Iterator[str]:
    """Texts in values that must not be shown: those under keys that name a secret."""
    if isinstance(values, dict):
        for part, value in values.items():
            yield from secrets_of(value, f"{key}.{part}")
    elif isinstance(values, list):
        for value in values:
            yield from secrets_of(value, key)
    elif isinstance(values, str) and len(values) >= LEAST_SECRET and SECRET_KEY.search(key):
        yield values


def redacted(text: str, secrets: Sequence[str]) -> str:
    """A text without any of the secrets, nor passwords of URLs."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}@", text)
