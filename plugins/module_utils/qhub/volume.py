"""A shared volume as it is now: mounted on this host, or listed by a pod of its cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import HubError
from ..system import files


class Volume:
    """What a shared volume has. Paths are within it, without a leading slash."""

    def checksum(self, place: str) -> str:
        """SHA-256 of a regular file; empty where there is none."""
        raise NotImplementedError

    def owner(self, place: str) -> tuple[int, int] | None:
        """Number of user and group; nothing where there is nothing."""
        raise NotImplementedError


@dataclass(frozen=True)
class Mounted(Volume):
    """One that is mounted here."""

    folder: Path

    def checksum(self, place: str) -> str:
        path = self.folder / place
        return files.sha256(path) if path.is_file() and not path.is_symlink() else ""

    def owner(self, place: str) -> tuple[int, int] | None:
        path = self.folder / place
        if not os.path.lexists(path):
            return None
        found = path.lstat()
        return found.st_uid, found.st_gid


@dataclass(frozen=True)
class Listed(Volume):
    """One that `qhub_restore` has had listed."""

    checksums: dict[str, str]
    owners: dict[str, tuple[int, int]]

    def checksum(self, place: str) -> str:
        return self.checksums.get(place, "")

    def owner(self, place: str) -> tuple[int, int] | None:
        return self.owners.get(place)


def volume_at(path: Path) -> Volume:
    """The volume that is mounted there, or that the file lists. Raises HubError where it is neither."""
    if path.is_dir():
        return Mounted(path)
    try:
        return listed(path.read_bytes())
    except (OSError, ValueError) as error:
        raise HubError(
            f"{path} is neither a folder nor a listing of the new site's volume: {error}.",
            "Name the folder where that is mounted here, or run the playbook qhub_restore, which lists it.",
        ) from error


def listed(content: bytes) -> Listed:
    """Reads what ``list.sh`` of `qhub_restore` writes. Raises ValueError where it is none, or cut off."""
    *records, end = content.split(b"\0")
    if end != b"end":
        raise ValueError("its end is missing")
    checksums: dict[str, str] = {}
    owners: dict[str, tuple[int, int]] = {}
    for record in records:
        first, second, place = record.split(b" ", 2)
        name = os.path.normpath(os.fsdecode(place))
        if second:
            user, _colon, group = second.partition(b":")
            owners[name] = int(user), int(group)
        else:
            checksums[name] = first.decode()
    return Listed(checksums, owners)
