"""Exchange: two folders take each other's place, in one system call where the file system can."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..errors import HubError
from . import files, siblings


def exchange(place: Path, other: Path) -> None:
    """Have the folders at two paths of one file system change places; durable when it returns.

    After an interruption both are where they were or both are exchanged; where the file system cannot
    exchange, `finish_exchange` completes it. Raises HubError when the system refuses.
    """
    try:
        if not _exchange_at_once(place, other):
            _exchange_by_renames(place, other)
    except OSError as error:
        raise _refusal(place, other, error) from error
    _sync_parents(place, other)


def finish_exchange(place: Path, other: Path) -> None:
    """Leave no exchange of these two half-way: afterwards it has taken place or has not. Safe at any time.

    Raises HubError when the system refuses.
    """
    aside = aside_of(place)
    if not os.path.lexists(aside):
        return
    try:
        siblings.rename(aside, other if os.path.lexists(place) else place)
    except OSError as error:
        raise _refusal(place, other, error) from error
    _sync_parents(place, other)


def move(source: Path, target: Path) -> None:
    """Give a folder another name on its file system, durably. Raises HubError when the system refuses."""
    try:
        siblings.rename(source, target)
    except OSError as error:
        raise HubError(
            f"{source} cannot be renamed to {target}: {error.strerror}.",
            "Correct that, then try again: nothing was moved.",
        ) from error
    _sync_parents(source, target)


def _exchange_at_once(place: Path, other: Path) -> bool:
    """Whether the two have changed places in one system call, or else the file system cannot do that."""
    return siblings.exchange(place, other)


def _exchange_by_renames(place: Path, other: Path) -> None:
    aside = aside_of(place)
    siblings.rename(place, aside)
    try:
        siblings.rename(other, place)
    except OSError:
        siblings.rename(aside, place)
        raise
    siblings.rename(aside, other)


def aside_of(place: Path) -> Path:
    """Where ``place`` is during an exchange by renames; always the same, so any process can finish it."""
    return place.with_name(f"{place.name}.exchanging")


def _refusal(place: Path, other: Path, error: OSError) -> HubError:
    if error.errno == errno.EXDEV:
        return HubError(
            f"{place} and {other} are on different file systems and cannot be exchanged.",
            "Upgrade this environment in place.",
        )
    if error.errno == errno.EBUSY:
        return HubError(
            f"{place} or {other} is a mount point and cannot be exchanged.", "Upgrade it in place."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return HubError(
            f"{place.parent} may not be changed: {error.strerror}.",
            "Run as the user who owns it, or as root.",
        )
    return HubError(
        f"{place} and {other} cannot be exchanged: {error.strerror}.",
        "Correct that, then try again: nothing was moved.",
    )


def _sync_parents(*paths: Path) -> None:
    for folder in {path.parent for path in paths}:
        files.sync(folder)
