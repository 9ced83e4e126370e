"""The door to environments of other users: whatever is executed or written in one, its owner does.

Their Python, its ``.pth`` files and their settings are programs of theirs, and their folders are theirs to
replace at any moment. So root only reads them. All else is done in a process of the owner's
(`system.as_user`), which gets what root has: uv, and the packages as wheels, so that they are downloaded once
and no password of an index leaves root.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import random
import re
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import HubError
from ..progress import Progress
from ..system import siblings
from ..system.as_user import Person, Work, call
from ..system.control import ANYBODY, controllers
from ..system.execution_context import Account, account
from ..system.processes import version_of_python
from .facts import OWNER, Obstacle
from .installer import Installer, InstallerOptions, silent
from .layout import python_version_of
from .packages import addresses, all_packages
from .pip_settings import settings_in_variables, without_configuration
from .planned import REBUILD, IntermediateVersion, Planned
from .wheel_need import WheelNeed, this_platform
from .wheelhouse import Downloader

#: systemd's range for users that exist as long as a service runs: no account of a host has such a number.
_NOBODYS_NUMBERS = range(61184, 65520)
#: What a process of another user has of root's variables: where and how it reaches the network, and language.
_HANDED_ON = re.compile(
    r"PATH|LANG|LC_\w+|TZ|(https?|ftp|all|no)_proxy|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|(CONDA|MAMBA)_EXE"
    r"|UV_(HTTP_TIMEOUT|NATIVE_TLS|SYSTEM_CERTS)",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"://[^/\s@]+@")
_REPLACE_NOTHING = (
    "Give the folders above it to root or to the environment's owner, and let nobody else write there."
)


@dataclass(frozen=True)
class Owner:
    """As whom everything is done with the environment at ``path``, which belongs to another user.

    Where ``obstacle`` is set it cannot be upgraded. Without an ``account`` nothing can be done there.
    """

    path: str
    account: Account | None
    obstacle: Obstacle | None = None

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        progress: Progress | None = None,
        variables: Mapping[str, str] | None = None,
        opened: int = -1,
    ) -> Any:
        """What a function returns, as JSON has it, in a process of the owner's.

        The function gets a `Progress` and the arguments. What is ``opened`` is a folder that it works in, or
        a file that is its standard input and output. Raises HubError as it does.
        """
        if self.account is None:
            raise self.refusal()
        around, given = os.path.dirname(self.path), {**_variables(), **(variables or {})}
        with _family(self.path, self.account) as family:
            inside = (around if family else "", function, arguments)
            work = Work(_in_person, inside, given, opened)
            return call(self.account, work, progress or Progress(), family.change if family else None)

    def require_able(self) -> None:
        """Raise HubError where the environment cannot be upgraded."""
        if self.obstacle:
            raise self.refusal()

    def refusal(self) -> HubError:
        if self.obstacle is None:
            raise AssertionError(f"Nothing speaks against {self.path}.")
        return HubError(self.obstacle.found, self.obstacle.fix)


def owner_of(path: str | os.PathLike[str]) -> Owner | None:
    """As whom everything is done with an environment; None where this process does it.

    That is root's own, also one that a service's account could write in part, and any where we are not root.
    """
    place = os.fspath(path)
    if os.geteuid() != 0:
        return None
    found = controllers(place)
    return _owner(place, found) if found else None


def stand_in(path: str) -> str:
    """The environment whose installers root may run in place of those of the one at a path."""
    return sys.prefix if owner_of(path) else path


def passing_builder() -> str:
    """Where root keeps a uv of its own that is gone when this process ends."""
    return str(_Counter.place() / "builder")


def do(path: str | os.PathLike[str], function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of an environment, with a `Progress` first, as whoever is its owner."""
    owner = owner_of(path)
    return owner.call(function, *arguments) if owner else function(Progress(), *arguments)


def _owner(place: str, found: set[int]) -> Owner:
    if ANYBODY in found:
        why = f"{place} is in a folder that every user may write."
        return Owner(place, None, Obstacle(OWNER, why, _REPLACE_NOTHING))
    if len(found) > 1:
        named = " and ".join(sorted(map(_name, found)))
        why = (
            f"{place} is in the hands of several users, {named}: one could replace what the other is to run."
        )
        return Owner(place, None, Obstacle(OWNER, why, _REPLACE_NOTHING))
    [number] = found
    try:
        known = account(str(number))
    except HubError:
        why = f"{place} belongs to the user number {number}, which this host does not know."
        fix = "Make that user, or give the environment to one (chown -R)."
        return Owner(place, Account(str(number), number, number, (), "/", ""), Obstacle(OWNER, why, fix))
    known = replace(known, gid=_group(place, known))
    if not _may_write_around(place, known):
        around = os.path.dirname(place)
        why = f"{known.name} owns {place}, and may not write {around}, where the new environment has to be."
        fix = f"Give {around} to {known.name}, or to root."
        return Owner(place, known, Obstacle(OWNER, why, fix))
    return Owner(place, known)


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(place: str, known: Account) -> int:
    """The environment's group, where its owner is in that."""
    try:
        found = os.stat(place).st_gid
    except FileNotFoundError:
        return known.gid
    return found if found in known.groups else known.gid


def _may_write_around(place: str, known: Account) -> bool:
    around = os.path.dirname(place)
    if not controllers(around):
        return True  # There root makes, renames and removes the folders.
    found = os.stat(around)
    if found.st_uid == known.uid:
        return bool(found.st_mode & stat.S_IWUSR)
    if found.st_gid in known.groups:
        return bool(found.st_mode & stat.S_IWGRP)
    return bool(found.st_mode & stat.S_IWOTH)


@contextlib.contextmanager
def _family(place: str, owner: Account) -> Iterator[siblings.Family | None]:
    """Who changes names beside an environment for its owner; None where its owner does."""
    if controllers(os.path.dirname(place)):
        yield None
        return
    family = siblings.Family(Path(place), (owner.uid, owner.gid))
    try:
        yield family
    finally:
        family.close()


def _in_person(
    person: Person, progress: Progress, around: str, function: Callable[..., Any], arguments: Iterable[Any]
) -> Any:
    """What is done first in the owner's process."""
    if around:
        siblings.ask_for(Path(around), person.ask)
    return function(progress, *arguments)


def _variables() -> dict[str, str]:
    """Root's variables for a process of another user: none has a password, and no file of settings holds."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if _HANDED_ON.fullmatch(name) and not _PASSWORD.search(value)
    }
    # What they need comes from root: a cache of the owner's would only grow.
    return {**kept, **without_configuration(), "UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"}


# What owners get from root


class _Counter:
    """What root lays out for owners, in a folder that all may read and only root writes."""

    lock = threading.RLock()
    folder: Path | None = None
    made: dict[str, Path] = {}

    @classmethod
    def place(cls) -> Path:
        with cls.lock:
            if cls.folder is None:
                candidates = (tempfile.gettempdir(), "/var/tmp", "/tmp")
                around = next((each for each in candidates if _is_open(Path(each))), "/tmp")
                cls.folder = Path(tempfile.mkdtemp(prefix="hubops-owners-", dir=around))
                cls.folder.chmod(0o711)
                atexit.register(shutil.rmtree, cls.folder, ignore_errors=True)
            return cls.folder

    @classmethod
    def have(cls, key: str, make: Callable[[Path], None]) -> Path:
        """What was made under a key before, or is made now in a folder of its own."""
        with cls.lock:
            if key not in cls.made:
                folder = Path(tempfile.mkdtemp(prefix="made-", dir=cls.place()))
                make(folder)
                _open_to_all(folder)
                cls.made[key] = folder
            return cls.made[key]


def _is_open(path: Path) -> bool:
    """Whether every user comes into a folder."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path.resolve(), *path.resolve().parents))


def _open_to_all(folder: Path) -> None:
    for each in [folder, *folder.rglob("*")]:
        each.chmod(0o755 if each.is_dir() or each.parent.name == "bin" else 0o644)


class OwnersInstaller(Installer):
    """The installer of an environment of another user, as root has it.

    It answers what can be answered without that environment's Python, and `call` has the owner do the rest
    with an installer of the kind ``make``.
    """

    def __init__(
        self,
        owner: Owner,
        make: type[Installer],
        options: InstallerOptions,
        environment: str,
        progress: Callable[[str], None] = silent,
        may_build: bool = True,
    ) -> None:
        with _Counter.lock:  # It may have to fetch uv.
            # Root's own Python stands in for the environment's.
            super().__init__(options, sys.prefix, progress, may_build)
        self.takes_wheels = make.takes_wheels
        self.owner, self._make = owner, make
        self._may_build = may_build

    def planned(self, environment: str, requirements: Iterable[str]) -> dict[str, str]:
        wanted = tuple(requirements)
        packages = all_packages(environment)
        if self.takes_wheels:
            with contextlib.suppress(HubError):
                version = python_version_of(Path(environment))
                pins = self._downloader().resolved(_need(Path(environment), version, wanted, packages))
                return {name: each for name, each in pins.items() if packages.get(name) != each}
        found: dict[str, str] = self.call(_planned, environment, wanted)
        return found

    def fetch(self, version: str, folder: Path) -> Path:
        if self.takes_wheels:
            return super().fetch(version, folder)
        for path, text in self.call(_fetched, version).items():
            file = Path(os.path.normpath(folder / path))
            if folder not in file.parents:
                raise HubError(
                    f"The package of JupyterHub {version} has a file {path}.", "See where it is from."
                )
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return folder

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        entry: Planned | None = None,
        owner: Owner | None = None,
        progress: Progress | None = None,
        opened: int = -1,
    ) -> Any:
        """What a function returns, as JSON has it, in a process of the owner's, or of another ``owner``.

        It gets a `Progress`, an installer of its own and the arguments. Where it installs what an ``entry``
        of the plan asks for, the packages are had for it. Raises HubError as it does.
        """
        wheels = self._wheels(entry, progress or Progress()) if entry and self.takes_wheels else ""
        options = replace(
            self.options,
            index_url="" if wheels else self.options.index_url,
            wheels=wheels,
            constraints=self._constraints(),
            builder_folder="",
        )
        variables = {} if wheels else settings_in_variables(self._settings)
        if not wheels and _PASSWORD.search(" ".join([self.options.index_url, *variables.values()])):
            raise HubError(
                f"{self.owner.path} cannot be upgraded as its owner: the index has a password, which is not "
                "given to other users, and not all packages were to be had as wheels.",
                "Put wheels of them into a folder, and name it in jupyterhub_wheels.",
            )
        if self._uv:
            tool = _Counter.have(self._uv, self._lay_out_uv)
            variables["PATH"] = f"{tool}/bin:{os.environ.get('PATH', os.defpath)}"
        by = owner or self.owner
        return by.call(
            _with_installer,
            self._make,
            options,
            by.path,
            self.asked(),
            function,
            arguments,
            progress=progress,
            variables=variables,
            opened=opened,
        )

    def _lay_out_uv(self, folder: Path) -> None:
        (folder / "bin").mkdir()
        shutil.copy(self._uv, folder / "bin" / "uv")

    def _constraints(self) -> str:
        source = self.options.constraints
        if not source:
            return ""
        return str(_Counter.have(source, lambda folder: _copy(source, folder)) / Path(source).name)

    def _wheels(self, entry: Planned, progress: Progress) -> str:
        """A folder with the wheels that an entry needs; '' where they cannot all be had so."""
        given = self.options.wheels
        if given:
            everything = Path(given)
            return str(_Counter.have(given, lambda folder: _copy_wheels(everything, folder)))
        try:
            need, downloader = self._need_of(entry), self._downloader()
            key = repr(replace(need, path=""))
            return str(_Counter.have(key, lambda folder: _download(downloader, need, folder, progress)))
        except HubError:
            return ""  # The owner's installer says why, or builds from sources.

    def _need_of(self, entry: Planned) -> WheelNeed:
        """What an entry of the plan installs. Raises HubError where not all of it can be had as wheels."""
        packages, place = all_packages(entry.path), Path(entry.path)
        if isinstance(entry, IntermediateVersion):
            packages = {}
        elif entry.strategy != REBUILD:
            return _need(place, python_version_of(place), entry.requirements, packages)
        elif addresses(place):
            raise HubError(f"{place} has packages that are on no index.", "The installer fetches them.")
        version = self.owner.call(_version, entry.python)
        return replace(_need(place, version, entry.requirements, packages), from_scratch=True)

    def _downloader(self) -> Downloader:
        with _Counter.lock:
            return Downloader(replace(self.options, installer="uv"), sys.prefix, silent, self._may_build)


def _download(downloader: Downloader, need: WheelNeed, folder: Path, progress: Progress) -> None:
    downloader.have(need, folder, progress)


def _copy_wheels(source: Path, folder: Path) -> None:
    for wheel in source.glob("*.whl"):
        _copy(str(wheel), folder)


def _copy(source: str, folder: Path) -> None:
    shutil.copyfile(source, folder / Path(source).name)


def _need(
    place: Path, version: str | None, requirements: Iterable[str], packages: dict[str, str]
) -> WheelNeed:
    python = ".".join((version or "").split(".")[:2])
    return WheelNeed(str(place), python, this_platform(), tuple(requirements), packages, from_scratch=False)


# In the owner's process


def _with_installer(
    progress: Progress,
    make: type[Installer],
    options: InstallerOptions,
    path: str,
    known: dict[str, Any],
    function: Callable[..., Any],
    arguments: Iterable[Any],
) -> Any:
    options = replace(options, builder_folder=f"{tempfile.gettempdir()}/builder")
    installer = make(options, path, progress, may_build=False)
    installer.known = known
    return function(progress, installer, *arguments)


def _planned(
    progress: Progress, installer: Installer, environment: str, requirements: Iterable[str]
) -> dict[str, str]:
    return installer.planned(environment, requirements)


def _version(progress: Progress, python: str) -> str:
    return version_of_python(python)


def _fetched(progress: Progress, installer: Installer, version: str) -> dict[str, str]:
    """What can be read of a release, by its path."""
    with tempfile.TemporaryDirectory() as folder:
        root = installer.fetch(version, Path(folder))
        wanted = [root.glob(each) for each in ("jupyterhub-*.dist-info/METADATA", "jupyterhub/**/*.py")]
        return {
            str(file.relative_to(root)): file.read_text(encoding="utf-8", errors="replace")
            for files in wanted
            for file in files
        }


# Nobody's process, for what becomes several owners'


def nobody() -> Account:
    """An account that no user, service or process of this host has."""
    running = {os.stat(f"/proc/{name}").st_uid for name in os.listdir("/proc") if name.isdigit()}
    for number in random.sample(_NOBODYS_NUMBERS, len(_NOBODYS_NUMBERS)):
        with contextlib.suppress(KeyError):
            pwd.getpwuid(number)
            continue
        if number not in running:
            return Account(f"user number {number}", number, number, (), "/nonexistent", "")
    raise HubError("Every number for a user of its own is taken.", "See which processes have them.")


def end_all(progress: Progress) -> None:
    """End all other processes of the user whose this one is."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def counter() -> Path:
    """The folder in which root lays out what owners need."""
    return _Counter.place()
