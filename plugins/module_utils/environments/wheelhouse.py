"""Wheelhouse: wheels for the hubs of a fleet, each downloaded once, on a machine that reaches an index."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Iterable, Mapping, Sequence

from ..errors import HubError
from ..releases.requirements import normalised
from ..shapes import to_dict
from .installer import Installer, InstallerOptions, silent
from .wheel_need import WheelNeed

#: What tells a folder of wheels that was handed out from one that an administrator has filled.
HANDED_OUT = ".hubops-wheels"
ARCHIVES = "archives"
#: The glibc of which uv has a platform.
_KNOWN_TO_UV = (17, 28, *range(31, 41))
#: The oldest glibc that wheels are made for.
_OLDEST = 5
#: Other names of the same platforms, by the minor version of glibc.
_EARLIER_NAMES = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


@dataclass(frozen=True)
class Parcel:
    """The wheels of one hub: an archive of them for its folder, or why there is none.

    ``id`` is the same for the same wheels. Sizes in bytes.
    """

    id: str = ""
    archive: str = ""
    wheels: tuple[str, ...] = ()
    bytes: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Filled:
    """What was downloaded, as names of files, and the parcel of each hub."""

    downloaded: tuple[str, ...]
    parcels: dict[str, Parcel]


def fill(
    needs: Mapping[str, Sequence[WheelNeed]],
    folder: Path,
    options: InstallerOptions,
    progress: Callable[[str], None] = silent,
) -> Filled:
    """Have all wheels that hubs (by their hosts) need in a folder, and a parcel for each hub.

    What several need in the same way is looked up once, and what is there is not downloaded again. Raises
    HubError where there is no installer; what cannot be had is the ``problem`` of the hubs that need it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    downloader = Downloader(
        replace(options, installer="uv", builder_folder=str(folder / "builder")), sys.prefix
    )
    before = {wheel.name for wheel in folder.glob("*.whl")}
    found: dict[str, list[str]] = {}
    problems: dict[str, str] = {}
    for need in (each for several in needs.values() for each in several):
        key = _key(need)
        if key in found or key in problems:
            continue
        progress(f"Looking up {', '.join(need.requirements)} for Python {need.python}")
        try:
            found[key] = downloader.have(need, folder, progress)
        except HubError as error:
            problems[key] = str(error)
    parcels = {}
    for host, several in needs.items():
        why = [problems[_key(each)] for each in several if _key(each) in problems]
        wheels = sorted({wheel for each in several for wheel in found.get(_key(each), ())})
        parcels[host] = Parcel(problem=why[0]) if why else _parcel(wheels, folder)
    _remove_other_archives(folder, {parcel.archive for parcel in parcels.values()})
    return Filled(tuple(sorted({wheel.name for wheel in folder.glob("*.whl")} - before)), parcels)


class Downloader(Installer):
    """uv, which resolves for another machine, and pip, which downloads for it."""

    def have(self, need: WheelNeed, folder: Path, progress: Callable[[str], None]) -> list[str]:
        """Have all wheels of a need in a folder; return their names. Raises HubError where there is none."""
        kept = _kept(need)
        pins = self._resolved(need, kept, folder)
        wanted = {
            name: version for name, version in pins.items() if need.from_scratch or kept.get(name) != version
        }
        wheels = {wheel.name for wheel in folder.glob("*.whl")}
        there = {name: _fitting(name, version, need, wheels) for name, version in wanted.items()}
        absent = {name: wanted[name] for name, wheel in there.items() if not wheel}
        found = [wheel for wheel in there.values() if wheel]
        if absent:
            progress(f"Downloading {len(absent)} wheels for Python {need.python}")
            found += self._download(absent, need, folder)
        return sorted(found)

    def resolved(self, need: WheelNeed) -> dict[str, str]:
        """``{name: version}`` of all that the requirements need; what may stay keeps its version.

        Raises HubError where there is none as a wheel.
        """
        with tempfile.TemporaryDirectory(prefix="hubops-wheels-") as folder:
            return self._resolved(need, _kept(need), Path(folder))

    def _resolved(self, need: WheelNeed, kept: Mapping[str, str], folder: Path) -> dict[str, str]:
        """``{name: version}`` of all that the requirements need; what may stay keeps its version."""
        wanted = [*need.requirements, *(sorted(kept) if need.from_scratch else ())]
        with tempfile.TemporaryDirectory(prefix="hubops-wheels-") as scratch:
            requirements, pins, constraints = (Path(scratch, name) for name in ("in", "pins", "constraints"))
            requirements.write_text("".join(f"{each}\n" for each in wanted), encoding="utf-8")
            # uv takes the pins of an output file that exists as preferences.
            pins.write_text("".join(f"{name}=={version}\n" for name, version in kept.items()), "utf-8")
            constraints.write_text("".join(f"{each}\n" for each in need.constraints), encoding="utf-8")
            argv = [*self._resolver(sys.executable), "--python-version", need.python]
            argv += ["--python-platform", _platform_for_uv(need.platform), "--only-binary", ":all:"]
            argv += ["--find-links", str(folder), "--constraint", str(constraints)]
            returned, output = self._run([*argv, "--output-file", str(pins), str(requirements)])
            if returned:
                failure = self._failure(
                    output, f"{', '.join(need.requirements)} cannot be had for {need.path}"
                )
                hint = f"{failure.hint} Where a package has no wheel, build one and put it into {folder}."
                raise HubError(failure.message, hint)
            lines = pins.read_text(encoding="utf-8").splitlines()
        found = (re.match(r"([\w.-]+)==([^\s;]+)", line) for line in lines)
        return {normalised(match[1]): match[2] for match in found if match}

    def _download(self, pins: Mapping[str, str], need: WheelNeed, folder: Path) -> list[str]:
        machine, minor = _parts(need.platform)
        with tempfile.TemporaryDirectory(prefix=".downloading-", dir=folder) as scratch:
            requirements, target = Path(scratch, "pins"), Path(scratch, "wheels")
            requirements.write_text(
                "".join(f"{name}=={version}\n" for name, version in pins.items()), "utf-8"
            )
            argv = [*self._pip(sys.executable), "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
            argv += ["--dest", str(target), "--find-links", str(folder), "--python-version", need.python]
            argv += ["--implementation", "cp", "--abi", f"cp{need.python.replace('.', '')}"]
            for each in _platforms(machine, minor):
                argv += ["--platform", each]
            returned, output = self._run([*argv, *self._sources(), "-r", str(requirements)])
            if returned:
                raise self._failure(output, f"Wheels for {need.path} cannot be downloaded")
            names = [wheel.name for wheel in target.iterdir()]
            for name in names:
                (target / name).replace(folder / name)
        return names


def _kept(need: WheelNeed) -> dict[str, str]:
    """The packages that an environment has and that no requirement names."""
    named = {normalised(re.split(r"[^\w.-]", each, maxsplit=1)[0]) for each in need.requirements}
    return {name: version for name, version in need.packages.items() if name not in named}


def _key(need: WheelNeed) -> str:
    """What is the same for environments that are going to get the same."""
    return json.dumps({**to_dict(need), "path": ""}, sort_keys=True)


def _parts(platform: str) -> tuple[str, int]:
    """Machine and minor version of glibc of a `WheelNeed.platform`."""
    machine, _dash, library = platform.partition("-")
    return machine, int(library.rpartition("_")[2])


def _platform_for_uv(platform: str) -> str:
    machine, minor = _parts(platform)
    return (
        f"{machine}-manylinux_2_{max(each for each in _KNOWN_TO_UV if each <= max(minor, _KNOWN_TO_UV[0]))}"
    )


def _platforms(machine: str, minor: int) -> list[str]:
    """The tags of the platforms whose wheels a machine with glibc 2.``minor`` takes, the best first."""
    tags = []
    for each in range(minor, _OLDEST - 1, -1):
        tags.append(f"manylinux_2_{each}_{machine}")
        if each in _EARLIER_NAMES:
            tags.append(f"{_EARLIER_NAMES[each]}_{machine}")
    return [*tags, f"linux_{machine}"]


def _fitting(name: str, version: str, need: WheelNeed, wheels: Iterable[str]) -> str:
    """The wheel of these that has a version of a package and fits a Python and its machine; '' for none."""
    for wheel in sorted(wheels):
        parts = wheel[: -len(".whl")].split("-")
        if len(parts) < 5 or (normalised(parts[0]), parts[1]) != (name, version):
            continue
        pythons, abis, platforms = (part.split(".") for part in parts[-3:])
        if fits(pythons, abis, platforms, need.python, need.platform):
            return wheel
    return ""


def fits(
    pythons: Sequence[str], abis: Sequence[str], platforms: Sequence[str], python: str, platform: str
) -> bool:
    """Whether the tags of a wheel (PEP 425) are those of CPython ``python`` on ``platform``."""
    minor = int(python.partition(".")[2])
    own, machine = f"cp3{minor}", {"any", *_platforms(*_parts(platform))}
    if not machine & set(platforms):
        return False
    if own in pythons and {own, "abi3", "none"} & set(abis):
        return True
    if "abi3" in abis:
        earlier = (re.fullmatch(r"cp3(\d+)", each) for each in pythons)
        return any(int(each[1]) <= minor for each in earlier if each)
    return "none" in abis and bool({"py3", f"py3{minor}"} & set(pythons))


def _parcel(wheels: Sequence[str], folder: Path) -> Parcel:
    """An archive of wheels; the last file in it tells that all of it was unpacked."""
    size = sum((folder / wheel).stat().st_size for wheel in wheels)
    name = hashlib.sha256("\n".join(wheels).encode()).hexdigest()[:16]
    archive = folder / ARCHIVES / f"{name}.tar"
    archive.parent.mkdir(exist_ok=True)
    if not archive.exists():
        part = archive.with_suffix(".part")
        with tarfile.open(part, "w") as tar:
            tar.addfile(_owned(tarfile.TarInfo(HANDED_OUT)), io.BytesIO())
            for wheel in wheels:
                tar.add(folder / wheel, wheel, filter=_owned)
            tar.addfile(_owned(tarfile.TarInfo(f"{HANDED_OUT}-{name}")), io.BytesIO())
        part.replace(archive)
    return Parcel(name, str(archive), tuple(wheels), size)


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """As a file of whoever unpacks it, that everybody may read."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member


def _remove_other_archives(folder: Path, needed: set[str]) -> None:
    for archive in (folder / ARCHIVES).glob("*"):
        if str(archive) not in needed:
            shutil.rmtree(archive) if archive.is_dir() else archive.unlink()
