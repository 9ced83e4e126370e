"""What was given to a container when it was made, and what it has of its image."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

#: Of `Config`, what an image has as well, as one value.
_SINGLE = ("WorkingDir", "User", "Healthcheck", "StopSignal", "Shell", "OnBuild")
#: The same as mappings of which each entry counts.
_MAPPINGS = ("Labels", "Volumes", "ExposedPorts")


def given(data: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """The `Config` of a container without what its image has, and without what the engine has made up.

    ``data`` and ``image`` are what the engine says of both. With another image it makes the same container,
    which has that one's own defaults.
    """
    config, own = dict(data["Config"]), image.get("Config") or {}
    for name in _SINGLE:
        if config.get(name) == own.get(name):
            config.pop(name, None)
    for name in _MAPPINGS:
        known = own.get(name) or {}
        config[name] = {
            key: value for key, value in (config.get(name) or {}).items() if known.get(key, ...) != value
        }
    config["Env"] = [entry for entry in config.get("Env") or [] if entry not in (own.get("Env") or [])]
    # With an entrypoint of one's own the image's command does not count.
    if config.get("Entrypoint") == own.get("Entrypoint"):
        config.pop("Entrypoint", None)
        if config.get("Cmd") == own.get("Cmd"):
            config.pop("Cmd", None)
    if config.get("Hostname") == _short(data):
        config.pop("Hostname")
    config.pop("Image", None)
    return config


def host(data: dict[str, Any]) -> dict[str, Any]:
    """The `HostConfig` of a container, with the volumes that only it has, for another one."""
    settings = dict(data["HostConfig"])
    named = {mount["Target"] for mount in settings.get("Mounts") or []}
    named |= {bind.split(":")[1] for bind in settings.get("Binds") or []}
    own = [
        f"{mount['Name']}:{mount['Destination']}"
        for mount in data.get("Mounts") or []
        if mount.get("Name") and mount["Destination"] not in named
    ]
    if own:
        settings["Binds"] = [*(settings.get("Binds") or []), *own]
    return settings


def networks(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """How a container is in each of its networks: its aliases and the addresses that were asked for."""
    found = {}
    for name, endpoint in (data["NetworkSettings"].get("Networks") or {}).items():
        aliases = [alias for alias in endpoint.get("Aliases") or [] if alias != _short(data)]
        kept = {
            "Aliases": aliases,
            **{key: endpoint.get(key) for key in ("IPAMConfig", "Links", "DriverOpts")},
        }
        found[name] = {key: value for key, value in kept.items() if value}
    return found


def names_in(data: dict[str, Any], networks: Collection[str]) -> set[str]:
    """By which names and addresses a container is reached in these networks."""
    found: set[str] = set()
    for network, endpoint in (data["NetworkSettings"].get("Networks") or {}).items():
        if network in networks:
            found |= {data["Name"].lstrip("/"), endpoint.get("IPAddress") or ""}
            found |= {*(endpoint.get("Aliases") or []), *(endpoint.get("DNSNames") or [])}
    return found - {""}


def further_networks(data: dict[str, Any]) -> list[str]:
    """The names of a container's networks besides the one that it was made with."""
    mode = data["HostConfig"].get("NetworkMode") or "default"
    first = {"default": "bridge"}.get(mode, mode)
    networks = data["NetworkSettings"].get("Networks") or {}
    return [
        name for name, endpoint in networks.items() if first not in (name, (endpoint or {}).get("NetworkID"))
    ]


def _short(data: dict[str, Any]) -> str:
    """The start of its id, which is its host name and its alias unless it has others."""
    return str(data["Id"])[:12]
