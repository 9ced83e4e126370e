"""The values of the release, as the hub's configuration and people's ``hub.extraConfig`` read them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path("/usr/local/etc/jupyterhub")
SOURCES = ("secret", "existing-secret")
REQUIRED = object()


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {
        **below,
        **{key: _merged(below[key], above[key]) if key in below else above[key] for key in above},
    }


@functools.lru_cache(None)
def _values() -> dict[str, Any]:
    values: dict[str, Any] = {}
    for source in SOURCES:
        file = FOLDER / source / "values.yaml"
        if file.exists():
            values = _merged(values, yaml.safe_load(file.read_text()))
    return values


def get_config(key: str, default: Any = None) -> Any:
    """The value of a dotted key, or the default where some part of it is not there."""
    value = _values()
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


def get_secret_value(key: str, default: Any = REQUIRED) -> Any:
    """A secret: the administrator's own before the chart's."""
    for source in reversed(SOURCES):
        file = FOLDER / source / key
        if file.exists():
            return file.read_text()
    if default is REQUIRED:
        raise KeyError(key)
    return default


def set_config_if_not_none(section: Any, trait: str, key: str) -> None:
    """Set a trait of a section of the configuration if its value is there."""
    value = get_config(key)
    if value is not None:
        setattr(section, trait, value)
