"""What conda, mamba and micromamba have recorded in an environment, read from its ``conda-meta``."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping

from ..releases.requirements import seems_to_satisfy

#: The packages that JupyterHub is divided into; an environment has one, two or all of them.
JUPYTERHUB = ("jupyterhub", "jupyterhub-base", "jupyterhub-singleuser")


@dataclass(frozen=True)
class Record:
    """A package that conda has installed."""

    name: str
    version: str
    url: str
    """Where it came from; '' where that is not recorded."""
    md5: str
    files: tuple[str, ...] = ()
    """Its files, relative to the environment."""

    @property
    def channel(self) -> str:
        """The address of its channel; '' where its address is not one within a channel."""
        match = re.fullmatch(r"(.+)/(?:noarch|linux-[^/]+)/[^/]+", self.url)
        return match[1] if match else ""


@dataclass(frozen=True)
class Spec:
    """A package by conda's name, with the versions that are wanted of it."""

    name: str
    specifiers: str

    @property
    def is_exact(self) -> bool:
        """Whether only one version will do."""
        return bool(re.fullmatch(r"==[^,*]+", self.specifiers))

    def __str__(self) -> str:
        return f"{self.name}{self.specifiers.replace(' ', '')}"


def records(root: Path) -> dict[str, Record]:
    """The packages that conda has installed, by name; none in an environment of another kind."""
    found = (_record(file) for file in sorted(root.glob("conda-meta/*.json")))
    return {record.name: record for record in found if record}


def channels(installed: Iterable[Record]) -> list[str]:
    """The channels that packages came from: JupyterHub's first, then the one that most came from."""
    installed = list(installed)
    of_hub = [record.channel for record in installed if record.name in JUPYTERHUB]
    others = [channel for channel, _count in Counter(each.channel for each in installed).most_common()]
    return [channel for channel in dict.fromkeys([*of_hub, *others]) if channel]


def programs_of_history(root: Path) -> list[str]:
    """The programs that have changed an environment, as its history names them, the last one first."""
    try:
        history = (root / "conda-meta/history").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    commands = re.findall(r"^# cmd: (\S+)", history, re.MULTILINE)
    return list(dict.fromkeys(reversed(commands)))


def pins_against(root: Path, wanted: Iterable[Spec]) -> list[str]:
    """The lines of ``conda-meta/pinned`` that keep packages from the one version that is wanted of them."""
    try:
        lines = (root / "conda-meta/pinned").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    exact = {spec.name: spec.specifiers[2:].strip() for spec in wanted if spec.is_exact}
    return [line.strip() for line in lines if _is_against(line, exact)]


def nested_environments(root: Path) -> list[str]:
    """Environments below an environment, as below the base of an installation of conda."""
    return sorted(str(each.parent) for each in root.glob("envs/*/conda-meta"))


def explicit(installed: Iterable[Record]) -> list[str]:
    """A file, by its lines, of which ``conda create --file`` makes the same environment."""
    return ["@EXPLICIT", *sorted(f"{each.url}#{each.md5}" for each in installed if each.url)]


def _record(file: Path) -> Record | None:
    try:
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return Record(
            name=data["name"],
            version=data["version"],
            url=data.get("url") or "",
            md5=data.get("md5") or "",
            files=tuple(data.get("files") or ()),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_against(line: str, wanted: Mapping[str, str]) -> bool:
    pinned = re.fullmatch(r"\s*(?:[^\s:]+::)?([\w.-]+?)\s*((?:[\s=<>!~].*)?)", line.partition("#")[0])
    if not pinned or pinned[1] not in wanted:
        return False
    words = pinned[2].split()
    specifiers = _specifiers(words[0]) if words else ""
    return not seems_to_satisfy(wanted[pinned[1]], specifiers, unclear=True)


def _specifiers(spec: str) -> str:
    """conda's ``4.1.*``, ``=4.1`` and ``==4.1.6`` as a requirement of pip has them."""
    if re.match(r"[<>!~]|==", spec):
        return spec
    version = spec.lstrip("=").partition("=")[0]
    begins = spec.startswith("=") or version.endswith("*")
    return f"=={version.rstrip('.*')}{'.*' if begins else ''}"
