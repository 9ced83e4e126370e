"""Environments that hold the same, as those of many users do: one is staged, and all are copies of it.

Installation, bytecode and the test of the imports take seconds for each environment, a copy takes less than
one. What is copied to several owners must not be any owner's: both the old files and the new ones are in a
folder that only this account can enter, and an environment takes part if it holds what that folder holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Iterable, Iterator, Sequence

from ..errors import HubError
from ..progress import Progress
from ..system import siblings
from ..system.trees import LEFT_OUT, tree_stamp
from . import staging
from .as_owner import Owner, OwnersInstaller, counter, end_all, nobody, owner_of
from .installer import Installer
from .ownership import own_tree
from .packages import all_packages
from .planned import IN_PLACE, REBUILD, Planned, PlannedEnvironment
from .relocation import SMOKE_SECONDS, compile_all, run_python, walk
from .staged import Staged

#: With fewer the copy that is nobody's costs more than it saves.
FEWEST = 3
#: Files that have an environment's name or path, or what depends on it, from the day when it was made.
_ITS_OWN = re.compile(r"(^|/)(pyvenv\.cfg|bin/activate[^/]*|[^/]+\.dist-info/RECORD)$")
#: Files of packages that installers and Python replace, and that nobody configures.
_REPLACED = re.compile(r"lib/python3[^/]*/site-packages/(?!.*\.pth$)|share/.*/static/")
_PATH = b"\0path\0"
_VERSION = "import jupyterhub; print(jupyterhub.__version__)"


@dataclass(frozen=True)
class Model:
    """A new environment that is complete at ``root`` and was made for ``path``, for others to be copies of.

    It has ``size`` bytes and ``count`` files. ``renamed`` are the files and links that have that path in them
    or depend on it, and that the installation has made, ``kept`` those that it has left as they were.
    """

    path: str
    root: Path
    version: str
    size: int
    count: int
    renamed: tuple[str, ...]
    kept: tuple[str, ...]
    warnings: tuple[str, ...]
    modes: tuple[tuple[str, int], ...] = ()
    """Those of files and folders that all may read meanwhile, and that not all may write."""
    separate: tuple[str, ...] | None = None
    """Files of which each copy needs its own, where the others may be links; None where none may."""

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """The model as an open folder, from which a process copies that could not come there by its path."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield folder
        finally:
            os.close(folder)


@dataclass(frozen=True)
class Member:
    """An environment that a model stands for, as it was at a moment in seconds of the epoch."""

    model: Model
    moment: float
    stamp: str

    def here(self) -> Member:
        """The same for a process that works in the model."""
        return replace(self, model=replace(self.model, root=Path()))


@contextlib.contextmanager
def models(
    entries: Sequence[Planned],
    installers: Sequence[Installer],
    folder: Path,
    progress: Progress,
    pool: Executor,
) -> Iterator[dict[str, Member]]:
    """Stage one of each group of environments that hold the same, below ``folder``; the groups' members.

    The keys are paths of environments. What cannot be staged for all has no members: each then fails itself.
    """
    likely = list(_likely(entries, installers))
    paths = [entry.path for entry, _installer in likely]
    known = Known.of(paths)
    looks = list(pool.map(lambda path: _look(path, known), paths))
    found: dict[tuple[str, str], list[int]] = {}
    for number, (entry, _installer) in enumerate(likely):
        if looks[number][2]:
            found.setdefault((_asked(entry), looks[number][2]), []).append(number)
    members: dict[str, Member] = {}
    try:
        for number, group in enumerate(each for each in found.values() if len(each) >= FEWEST):
            # One of another user's first: then root does not install what that user's programs are part of.
            group.sort(key=lambda each: owner_of(likely[each][0].path) is None)
            entry, installer = likely[group[0]]
            progress(f"Staging {', '.join(entry.requirements)} once for {len(group)} environments")
            try:
                contents = looks[group[0]][2]
                model = _make(entry, installer, folder / f"identical-{number}", contents, progress)
            except (HubError, OSError) as error:
                progress(f"Each of them is staged alone: {error}")
                continue
            if model:
                for each in group:
                    members[likely[each][0].path] = Member(model, *looks[each][:2])
        yield members
    finally:
        made = {member.model.root.parent for member in members.values()}
        for left in {*folder.glob("identical-*"), *made}:
            shutil.rmtree(left, ignore_errors=True)


def _likely(
    entries: Sequence[Planned], installers: Sequence[Installer]
) -> Iterator[tuple[PlannedEnvironment, Installer]]:
    """Entries whose plan and lists of packages are those of enough others."""
    found: dict[str, list[tuple[PlannedEnvironment, Installer]]] = {}
    for entry, installer in zip(entries, installers):
        if (
            isinstance(entry, PlannedEnvironment)
            and entry.strategy not in (IN_PLACE, REBUILD)
            and not os.path.islink(entry.path)
            and not staging.is_staged(entry, installer)
            and _is_able(entry)
        ):
            packages = sorted(all_packages(entry.path).items())
            found.setdefault(f"{_asked(entry)} {packages}", []).append((entry, installer))
    return (each for group in found.values() if len(group) >= FEWEST for each in group)


def _is_able(entry: PlannedEnvironment) -> bool:
    owner = owner_of(entry.path)
    return owner is None or owner.obstacle is None


def _asked(entry: PlannedEnvironment) -> str:
    """What an entry of the plan asks for, wherever its environment is."""
    return repr(replace(entry, path="", staged_path="", python=entry.python.replace(entry.path, "")))


def _look(path: str, known: Known) -> tuple[float, str, str]:
    """The moment, and what the environment was then: its stamp, and `contents_of` it.

    One that cannot be read is like no other: staging it says why.
    """
    moment = time.time()
    try:
        return moment, tree_stamp(Path(path)), contents_of(Path(path), path, known)
    except OSError:
        return moment, "", ""


def _make(
    entry: PlannedEnvironment, installer: Installer, folder: Path, contents: str, progress: Progress
) -> Model | None:
    """Stage an environment for nobody; None where it cannot be copied, or has other ``contents`` now.

    Raises HubError as staging does.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if isinstance(installer, OwnersInstaller):
        return _made_by_nobody(entry, installer, contents, progress)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    old, new = folder / "old", folder / "new"
    size, count = staging.measure(Path(entry.path))
    staging.require_space(new, 2 * size, 2 * count)
    # Its owner cannot change it any more while it is looked at.
    staging.copy(Path(entry.path), old, count, progress)
    if contents_of(old, entry.path) != contents:
        return None
    warnings = staging.build(entry, old, new, all_packages(old), installer, progress, count)
    made = _model(entry, old, new, warnings)
    return replace(made, separate=_separate(made)) if made else None


def _separate(model: Model) -> tuple[str, ...]:
    """What may be written in place: all but those files of packages which are only ever replaced."""
    its_own = {*model.renamed, *model.kept}
    found = []
    for each in walk(model.root):
        place, mode = each.path[len(str(model.root)) + 1 :], each.stat(follow_symlinks=False).st_mode
        is_others = bool(mode & (stat.S_IWGRP | stat.S_IWOTH))
        if stat.S_ISREG(mode) and (is_others or place in its_own or not _REPLACED.match(place)):
            found.append(place)
    return tuple(found)


def _made_by_nobody(
    entry: PlannedEnvironment, installer: OwnersInstaller, contents: str, progress: Progress
) -> Model | None:
    """The same where programs of other users run: by a user number that nothing and nobody else has.

    Whoever they are of, they reach neither root's files nor those of another user. The old environment comes
    as an archive that its owner makes, who reads nothing else and writes nothing afterwards, and without
    bytecode, which does not count as contents and would run as the other owners.
    """
    account = nobody()
    folder = counter() / f"identical-{account.uid}"
    folder.mkdir(mode=0o700)
    try:
        old, new = folder / "old", folder / "new"
        size, count = staging.measure(Path(entry.path))
        staging.require_space(new, 3 * size, 2 * count)
        os.chown(folder, account.uid, account.gid)
        owner = Owner(str(old), account)
        with tempfile.TemporaryFile(dir=counter()) as archive:
            installer.owner.call(_pack, entry.path, opened=archive.fileno())
            archive.seek(0)
            owner.call(_unpack, old, opened=archive.fileno())
        model = None
        if contents_of(old, entry.path) == contents:
            try:
                warnings = installer.call(
                    _build, entry, old, new, count, entry=entry, owner=owner, progress=progress
                )
            finally:
                owner.call(end_all)
            os.chown(folder, 0, 0)
            made = _model(entry, old, new, warnings)
            model = _open_to_members(made) if made else None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if model is None:
        shutil.rmtree(folder, ignore_errors=True)
    return model


def _pack(progress: Progress, path: str) -> None:
    """Write an environment as an archive to the standard output."""
    _tar("--create", f"--exclude={LEFT_OUT}", f"--directory={path}", ".")


def _unpack(progress: Progress, folder: Path) -> None:
    """Make a folder of what is at the standard input."""
    folder.mkdir()
    _tar("--extract", "--preserve-permissions", f"--directory={folder}")


def _tar(*arguments: str) -> None:
    done = subprocess.run(
        ["tar", "--file=-", *arguments], stderr=subprocess.PIPE, text=True, errors="replace", check=False
    )
    if done.returncode:
        raise HubError(f"tar has failed: {done.stderr.strip()[-500:]}.", "Let the owner read all of it.")


def _build(
    progress: Progress, installer: Installer, entry: PlannedEnvironment, old: Path, new: Path, count: int
) -> list[str]:
    warnings = staging.build(entry, old, new, all_packages(old), installer, progress, count)
    compile_all(new, Path(entry.path))
    return warnings


def _open_to_members(model: Model) -> Model | None:
    """A model that all of its members can read and only root can write; None where that cannot be."""
    modes = []
    for place in ("", *(each.path[len(str(model.root)) + 1 :] for each in walk(model.root))):
        path = model.root / place
        found = path.lstat()
        if found.st_uid != 0:
            return None
        if stat.S_ISLNK(found.st_mode):
            continue
        mode = stat.S_IMODE(found.st_mode)
        readable = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if readable & ~(stat.S_IWGRP | stat.S_IWOTH) != mode:
            path.chmod(readable & ~(stat.S_IWGRP | stat.S_IWOTH))
            modes.append((place, mode))
    # A folder whose mode forbids to write it gets that once all is in it.
    return replace(model, modes=tuple(reversed(modes)))


def _model(entry: PlannedEnvironment, old: Path, new: Path, warnings: Sequence[str]) -> Model | None:
    """What was made, for others to be copies of; the old one is removed."""
    renamed: list[str] = []
    kept: list[str] = []
    for place in _places(new):
        text = _text(new / place)
        if not _ITS_OWN.search(place) and os.fsencode(entry.path) not in text:
            continue
        if b"\0" in text:
            return None
        before = _text(old / place) if os.path.lexists(old / place) else b"\0"
        (kept if before == text and not (new / place).is_symlink() else renamed).append(place)
    shutil.rmtree(old)
    # A copy is its owner's only once it is complete, and nobody else's before.
    own_tree(new, new.parent.stat())
    version = all_packages(new)["jupyterhub"]
    size, count = staging.measure(new)
    return Model(entry.path, new, version, size, count, tuple(renamed), tuple(kept), tuple(warnings))


def stage(
    member: Member, entry: PlannedEnvironment, installer: Installer, progress: Progress
) -> Staged | None:
    """Make the new environment of one entry as a copy of its model; None where the old one has changed.

    Raises HubError: no space, or a Python that does not run.
    """
    started, model = time.monotonic(), member.model
    old, new = Path(entry.path), Path(entry.staged_path)
    before = all_packages(old)
    replaced = staging.outdated_because(entry, installer)
    staging.remove_staged(new)
    staging.require_space(new, model.size, model.count)
    try:
        _copy(model, old.stat(), new, progress)
        for place, mode in model.modes:
            (new / place).chmod(mode)
        for place in model.kept:
            (new / place).write_bytes(_read_inside(old, place))
        for place in model.renamed:
            _rename(new / place, os.fsencode(model.path), os.fsencode(entry.path))
        own_tree(new, old.stat())
        answer = run_python(new, ["-c", _VERSION], "", SMOKE_SECONDS)
        if answer.stdout.strip() != model.version:
            raise HubError(
                f"The new environment for {entry.path} does not work: {answer.stderr.strip()[-500:]}",
                "The environment in use is unchanged. Name compatible packages in jupyterhub_packages.",
            )
        if tree_stamp(old) != member.stamp:
            staging.remove_staged(new)
            return None
        warnings = list(model.warnings)
        staging.confirm(entry, installer, before, member.moment, member.stamp, warnings)
    except BaseException:
        siblings.remove_what_can_be(new)
        raise
    seconds, after = round(time.monotonic() - started, 1), all_packages(new)
    progress(f"{new} is ready after {seconds:.0f} s")
    return Staged(str(old), str(new), entry.strategy, True, before, after, seconds, warnings, replaced)


def _copy(model: Model, owner: os.stat_result, new: Path, progress: Progress) -> None:
    """Copy the model; where it and the environment are of this account alone, most files are links to it.

    Nobody else can write those, and nobody does: see `_separate`.
    """
    found = model.root.stat()
    is_ours = (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid) and found.st_uid == os.geteuid()
    if model.separate is not None and is_ours and found.st_dev == new.parent.stat().st_dev:
        try:
            staging.copy(model.root, new, 0, progress, link=True)
        except HubError:  # A file system without links, or with too few.
            staging.remove_staged(new)
        else:
            for place in model.separate:
                part = new / f"{place}.hubops"
                shutil.copy2(model.root / place, part)
                part.replace(new / place)
            return
    staging.copy(model.root, new, 0, progress)


@dataclass
class Known:
    """What is in files that have been read. Environments made by uv, or by us, have many as links to one."""

    beginning: bytes
    """How the path of any environment begins that may have them."""
    digests: dict[tuple[int, ...], bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Sequence[str]) -> Known:
        return cls(os.fsencode(os.path.commonprefix(paths)))

    def digest(self, path: str, found: os.stat_result, mine: bytes) -> bytes:
        """Of a file, in which the environment's own path ``mine`` does not count."""
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        known = self.digests.get(key)
        if known is None:
            text = Path(path).read_bytes()
            known = hashlib.sha256(text.replace(mine, _PATH)).digest()
            if self.beginning not in text:
                self.digests[key] = known
        return known


def contents_of(root: Path, path: str, known: Known | None = None) -> str:
    """A digest of all that an environment holds, equal for two that differ in their paths and owners alone.

    ``path`` is where it belongs. Bytecode and times do not count. '' where files have several owners, or a
    link leads out by a relative path: such an environment is like no other.
    """
    known = known or Known.of([path])
    owner, mine, digest = root.stat(), os.fsencode(path), hashlib.sha256()
    for place, each in sorted(_entries(root), key=lambda entry: entry[0]):
        found = each.stat(follow_symlinks=False)
        if (found.st_uid, found.st_gid) != (owner.st_uid, owner.st_gid):
            return ""
        line: list[Any] = [place, found.st_mode]
        if stat.S_ISLNK(found.st_mode):
            target = os.readlink(each.path)
            if os.path.normpath(os.path.join(os.path.dirname(place), target)).startswith(".."):
                return ""
            line.append(os.fsencode(target).replace(mine, _PATH))
        elif stat.S_ISREG(found.st_mode):
            if not _ITS_OWN.search(place):
                line.append(known.digest(each.path, found, mine))
        elif not stat.S_ISDIR(found.st_mode):
            return ""
        digest.update(repr(line).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _places(root: Path) -> Iterable[str]:
    """What the environment is made of, relative to it, without bytecode and the marker of a staging."""
    return (place for place, _entry in _entries(root))


def _entries(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    length = len(str(root)) + 1
    for each in walk(root):
        place = each.path[length:]
        if "__pycache__" not in place and place != staging.MARKER:
            yield place, each


def _text(path: Path) -> bytes:
    """What a file has in it, or where a link leads; nothing of a folder."""
    if path.is_symlink():
        return os.fsencode(os.readlink(path))
    return path.read_bytes() if path.is_file() else b""


def _read_inside(root: Path, place: str) -> bytes:
    """A file below a folder. Its owner may put a link to another's file there: no link is followed.

    Raises HubError where it cannot be read.
    """
    *folders, name = place.split("/")
    try:
        with contextlib.ExitStack() as stack:
            at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            for folder in folders:
                stack.callback(os.close, at)
                at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            stack.callback(os.close, at)
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
            with os.fdopen(file, "rb") as opened:
                return opened.read()
    except OSError as error:
        raise HubError(f"{root}/{place} cannot be read: {error.strerror}.", "Stage again.") from error


def _rename(path: Path, wrong: bytes, right: bytes) -> None:
    """Write the final path into a file or link that has another's."""
    text = _text(path)
    if wrong not in text:
        return
    if path.is_symlink():
        path.unlink()
        path.symlink_to(os.fsdecode(text.replace(wrong, right)))
    else:
        path.write_bytes(text.replace(wrong, right))
