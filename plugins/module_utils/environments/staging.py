"""Staging: makes the new environment beside the old one, while the hub serves from the old one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterable, Union

from ..errors import HubError
from ..progress import Progress
from ..releases.requirements import requirement_name
from ..system import files, siblings
from ..system.trees import tree_stamp
from . import interpreter, links, own_files
from .installer import Installer
from .ownership import own_file
from .packages import addresses, all_packages
from .planned import REBUILD, IntermediateVersion, Planned, PlannedEnvironment
from .relocation import Inodes, fit, inodes, walk
from .staged import Staged, package_changes

MARKER = ".hubops-staged.json"
#: Identity of an environment that was not staged by us.
UNMARKED = "unmarked"
#: Disk space for downloads, unpacked files and bytecode, in addition to the copy.
RESERVE_BYTES = 256 * 1024 * 1024

PathLike = Union[str, Path]


def read_marker(path: PathLike) -> dict[str, Any]:
    """The marker of an environment's staging; empty when it was not staged by us or not completely."""
    try:
        marker = json.loads(files.beginning(Path(path) / MARKER))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return marker if isinstance(marker, dict) else {}


def environment_id(path: PathLike) -> str:
    """Identity of an environment, wherever it is: each staging has its own, all others are ``unmarked``."""
    return str(read_marker(path).get("id", UNMARKED))


def write_marker(path: Path, marker: dict[str, Any]) -> None:
    """Write an environment's marker; by renaming, so that a hard link to an older marker stays."""
    files.write(path / MARKER, json.dumps(marker, indent=1).encode(), mode=0o644)
    own_file(path / MARKER, path.stat())


def is_staged(entry: Planned, installer: Installer) -> bool:
    """Whether exactly what the plan's entry asks for is staged already."""
    marker = read_marker(entry.staged_path)
    return (
        bool(marker)
        and marker.get("request") == _digest(_asked(entry, installer, all_packages(entry.path)))
        and not is_outdated(entry)
    )


def outdated_because(entry: Planned, installer: Installer) -> str:
    """Why what is staged cannot be taken, as the end of a sentence; '' where it can, or nothing is staged."""
    if not os.path.lexists(entry.staged_path) or is_staged(entry, installer):
        return ""
    marker = read_marker(entry.staged_path)
    if not marker:
        return "it was not complete"
    if is_outdated(entry):
        return f"{entry.path} has changed since"
    then, now = marker.get("asked", {}), _digests(_asked(entry, installer, all_packages(entry.path)))
    return f"this has changed since: {', '.join(name for name in now if now[name] != then.get(name))}"


def is_outdated(entry: Planned) -> bool:
    """Whether the old environment has changed since the staged one was made of it, in any file."""
    made_from = read_marker(entry.staged_path).get("made_from")
    return made_from is not None and made_from != tree_stamp(Path(entry.path))


def stage(entry: Planned, installer: Installer, progress: Progress) -> Staged:
    """Make the new environment of one entry of the plan, complete and proven, or leave nothing.

    The old environment is only read. Raises HubError: no space, a requirement that is not available,
    incompatible packages, an environment that cannot import JupyterHub.
    """
    started = time.monotonic()
    old, new = Path(entry.path), Path(entry.staged_path)
    made_at, made_from, before = time.time(), tree_stamp(old), all_packages(old)
    if is_staged(entry, installer):
        marker = read_marker(new)
        progress(f"{new} is staged already")
        if isinstance(entry, IntermediateVersion):
            return Staged(str(new), str(new), entry.strategy, False, {}, all_packages(new), 0.0)
        return Staged(
            str(old), str(new), entry.strategy, False, before, all_packages(new), 0.0, marker["warnings"]
        )
    replaced = outdated_because(entry, installer)
    if replaced:
        progress(f"{new} is built again: {replaced}")
    if isinstance(entry, IntermediateVersion):
        staged = _stage_intermediate(entry, _asked(entry, installer, before), installer, progress)
        return replace(staged, replaced=replaced)
    if entry.in_place:
        # Nothing can be staged; but what cannot be installed is found before the outage.
        links.require_none_in_the_way(old, old)
        after = {**before, **installer.planned(str(old), entry.requirements)}
        return Staged(str(old), str(new), entry.strategy, False, before, after, _seconds(started))
    remove_staged(new)
    size, count = measure(old)
    require_space(new, size, count)
    progress(f"Staging {', '.join(entry.requirements)} for {old}")
    try:
        warnings = build(entry, old, new, before, installer, progress, count)
        after = all_packages(new)
        confirm(entry, installer, before, made_at, made_from, warnings)
    except BaseException:
        siblings.remove_what_can_be(new)
        raise
    result = Staged(
        str(old), str(new), entry.strategy, True, before, after, _seconds(started), warnings, replaced
    )
    progress(f"{new} is ready after {result.seconds:.0f} s")
    return result


def confirm(
    entry: Planned,
    installer: Installer,
    before: dict[str, str],
    made_at: float,
    made_from: str,
    warnings: list[str],
) -> None:
    """Mark what is staged as whole, made of an environment that had these packages and this `tree_stamp`."""
    marker = {
        "id": uuid.uuid4().hex,
        "replaces": environment_id(entry.path),
        "made_from": made_from,
        "made_at": made_at,
        **_requested(_asked(entry, installer, before)),
        "path": entry.path,
        "staged_path": entry.staged_path,
        "complete": True,
        "warnings": warnings,
    }
    # The marker confirms everything else, so everything else is on the disk before it.
    os.sync()
    write_marker(Path(entry.staged_path), marker)


def _stage_intermediate(
    entry: IntermediateVersion, asked: dict[str, Any], installer: Installer, progress: Progress
) -> Staged:
    """Make an environment of an intermediate version; only the migration runs in it."""
    started = time.monotonic()
    new = Path(entry.staged_path)
    remove_staged(new)
    progress(f"Staging {', '.join(entry.requirements)} for the migration alone")
    try:
        siblings.prepare(new)
        installer.create(str(new), entry.python, prompt=new.name)
        installer.install(str(new), entry.requirements, progress)
        os.sync()
        marker = {"id": uuid.uuid4().hex, **_requested(asked), "complete": True, "warnings": []}
        write_marker(new, marker)
    except BaseException:
        siblings.remove_what_can_be(new)
        raise
    return Staged(str(new), str(new), entry.strategy, True, {}, all_packages(new), _seconds(started))


def remove_staged(staged_path: PathLike) -> bool:
    """Remove a staged environment, complete or not; return whether there was one."""
    path = Path(staged_path)
    if not os.path.lexists(path):
        return False
    # Without its marker a half-removed environment cannot be taken for a whole one.
    (path / MARKER).unlink(missing_ok=True)
    try:
        siblings.remove(path)
    except OSError as error:
        raise HubError(f"{path} cannot be removed: {error.strerror}.", "Remove it manually.") from error
    return True


def build(
    entry: PlannedEnvironment,
    old: Path,
    new: Path,
    before: dict[str, str],
    installer: Installer,
    progress: Progress,
    count: int,
) -> list[str]:
    requirements = entry.requirements
    known: Inodes = {}
    if entry.strategy == REBUILD:
        siblings.prepare(new)
        installer.create(str(new), entry.python, prompt=old.name, system_packages=_sees_system_packages(old))
        installer.fill(str(new), {**before, **addresses(old)}, requirements, progress)
        # An old one that cannot run does not tell which conflicts it had.
        conflicts = installer.check(str(new if interpreter.fault(old) else old))
    else:
        copy(old, new, count, progress)
        known = inodes(new)
        links.lead_back(new, old)
        conflicts = installer.check(str(new))
        with links.confined(new, old):
            installer.install(str(new), requirements, progress)
    progress(f"Relocating {new}")
    warnings = fit(entry, new, old, known, installer, conflicts)
    if entry.strategy == REBUILD:
        own_files.carry_over(old, new)
        warnings += _rebuild_warnings(before, all_packages(new), requirements)
    return warnings


def copy(old: Path, new: Path, count: int, progress: Progress, link: bool = False) -> None:
    """Copy a tree with owners, modes, times and links; blocks are shared where the file system can.

    ``count`` is the number of its files for `progress`; with 0 it is not told how far the copy is. With
    ``link`` only folders are made: the copy has all files by further names.
    """
    siblings.prepare(new)
    how = "--link" if link else "--reflink=auto"
    argv = ["cp", "--archive", how, "--no-target-directory", f"{old}/", str(new)]
    if count:
        argv.insert(1, "--verbose")
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        complaint = ""
        for number, line in enumerate(process.stdout or ()):
            if line.startswith("cp: "):
                complaint = complaint or line[len("cp: ") :].strip()
            progress.count(f"Copying {old}, files", number, count)
    if process.returncode:
        raise HubError(
            f"{old} cannot be copied to {new}: {complaint}.",
            "Let its owner read all of it, and run as that user or as root.",
        )
    (new / MARKER).unlink(missing_ok=True)


def _asked(entry: Planned, installer: Installer, packages: dict[str, str]) -> dict[str, Any]:
    """All that decides what the staged environment is going to hold, by the words of a sentence."""
    return {
        "the path": entry.path,
        "the strategy": entry.strategy,
        "the interpreter": entry.python,
        "the requirements": entry.requirements,
        "the environment in use": environment_id(entry.path),
        "its packages": packages,
        **installer.asked(),
    }


def _requested(asked: dict[str, Any]) -> dict[str, Any]:
    """What a marker has of `_asked`: a digest of all, and of each, so that a difference can be named."""
    return {"request": _digest(asked), "asked": _digests(asked)}


def _digests(asked: dict[str, Any]) -> dict[str, str]:
    return {name: _digest(value)[:12] for name, value in asked.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _rebuild_warnings(
    before: dict[str, str], after: dict[str, str], requirements: Iterable[str]
) -> list[str]:
    named = {requirement_name(requirement) for requirement in requirements}
    return [
        f"{change.name} {change.from_} became {change.to} for the new Python."
        for change in package_changes(before, after)
        if change.from_ and change.to and change.name not in named
    ]


def _sees_system_packages(environment: Path) -> bool:
    config = environment / "pyvenv.cfg"
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    return bool(re.search(r"^include-system-site-packages\s*=\s*true", text, re.MULTILINE | re.IGNORECASE))


def measure(folder: Path) -> tuple[int, int]:
    """Bytes on the disk and number of files of a tree; a file with several names counts once."""
    size, count, seen = 0, 0, set()
    for each in walk(folder):
        count += 1
        found = each.stat(follow_symlinks=False)
        if found.st_nlink == 1 or stat.S_ISDIR(found.st_mode) or (found.st_dev, found.st_ino) not in seen:
            size += found.st_blocks * 512
            seen.add((found.st_dev, found.st_ino))
    return size, count


def require_space(new: Path, size: int, count: int) -> None:
    parent = new.parent
    needed, free = size + RESERVE_BYTES, files.free_space(parent)
    hint = "Make space there, or upgrade in place."
    if free < needed:
        raise HubError(
            f"{parent} has {_mebibytes(free)} free, staging needs {_mebibytes(needed)} there.", hint
        )
    figures = os.statvfs(parent)
    if figures.f_files and figures.f_favail < count:
        raise HubError(f"{parent} has space for {figures.f_favail} files, staging needs {count} there.", hint)
    if not siblings.may_make(new):
        raise HubError(f"{parent} may not be written.", "Run as the user who owns it, or as root.")


def _seconds(started: float) -> float:
    return round(time.monotonic() - started, 1)


def _mebibytes(amount: int) -> str:
    return f"{amount / 1024 / 1024:.0f} MiB"
