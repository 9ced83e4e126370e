"""A real conda and a real channel for tests; both are made once, and kept beside the hubs of `real_hub`.

conda is the one of `tests/testbed/old_conda.py`, older than this Python. The channel has the packages of
`real_hub.environment`, repackaged from what was installed there, and this Python itself.
"""

from __future__ import annotations

import csv
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib.util import cache_from_source
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.packages import (
    all_packages,
    declared_requirements,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.requirements import (
    normalised,
    parse_requirement,
)

from tests.hubs import real_hub
from tests.hubs.small_wheels import UV
from tests.testbed import old_conda
from tests.testbed.old_conda import PLACEHOLDER, SUBDIR, package, python_package, write_index

#: Channels are made again where their packages are made in another way.
CHANNEL_FORMAT = 6
#: A file of `jupyterhub-base` into which conda writes the path of the environment, as into a library.
BINARY = "lib/libjupyterhub.so"


def conda(python: str = sys.executable) -> str:
    """The program, run by a Python; that of the tests may be in root's home, where no other user comes."""
    name = f"conda-{old_conda.VERSION}" if python == sys.executable else f"conda-{old_conda.VERSION}-for-all"
    return str(_made(name, lambda path: _install_conda(path, python)) / "bin/conda")


def channel(*versions: str) -> str:
    """The address of a channel with these versions of JupyterHub and all that they need."""
    name = "-".join(["channel", str(CHANNEL_FORMAT), *versions])
    return f"file://{_made(name, lambda folder: _fill_channel(folder, versions))}"


def create(path: Path, source: str, *specs: str, python: str = sys.executable) -> Path:
    """An environment that conda makes of a channel's packages."""
    run("create", path, source, *specs, python=python)
    return path


def run(action: str, path: Path, source: str, *specs: str, python: str = sys.executable) -> None:
    """What an administrator says to conda; packages are unpacked once for all tests."""
    argv: list[str | Path] = [
        conda(python),
        action,
        "--yes",
        "--quiet",
        "--prefix",
        path,
        "--override-channels",
        "--channel",
        source,
    ]
    # This conda adds its defaults to any channel.
    variables = {"CONDA_PKGS_DIRS": str(real_hub.CACHE / "conda-packages"), "CONDA_DEFAULT_CHANNELS": source}
    done = subprocess.run(
        [*argv, *specs], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _made(name: str, make: Callable[[Path], None]) -> Path:
    path = real_hub.CACHE / name
    real_hub.CACHE.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (path / "complete").exists():
            make(path)
            (path / "complete").touch()
    return path


def _install_conda(path: Path, python: str) -> None:
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", python, path], check=True)
    install = [UV, "pip", "install", "--quiet", f"--python={path}/bin/python"]
    subprocess.run([*install, *old_conda.NEEDS], check=True)
    old_conda.prepare(path)
    subprocess.run([*install, "--no-build-isolation", f"conda=={old_conda.VERSION}"], check=True)
    old_conda.fit(path)


def _fill_channel(path: Path, versions: Iterable[str]) -> None:
    folder = path / SUBDIR
    folder.mkdir(parents=True, exist_ok=True)
    index = python_package(folder)
    roots = {real_hub.environment(version): "*" for version in versions}
    for root, names in {**roots, Path(conda()).parent.parent: "pip-*"}.items():
        requirements = declared_requirements(root)
        for information in sorted(root.glob(f"lib/python3*/site-packages/{names}.dist-info")):
            name, version_of_package = information.name[: -len(".dist-info")].split("-", 1)
            name = normalised(name)
            files = _files_of(root, information)
            depends = _depends(requirements.get(name, []), all_packages(root))
            if name == "jupyterhub":
                index |= _hub_packages(folder, version_of_package, files, depends)
            else:
                index |= package(folder, name, version_of_package, files, depends)
    write_index(path, index)


def _hub_packages(
    folder: Path, version: str, files: dict[str, Path | bytes], depends: list[str]
) -> dict[str, dict[str, object]]:
    """JupyterHub as it is divided on conda-forge."""
    base = f"jupyterhub-base =={version}"
    files[BINARY] = b"\x7fELF\0" + f"{PLACEHOLDER}/lib\0{version}\0".encode()
    return {
        **package(folder, "jupyterhub-base", version, files, depends),
        **package(folder, "jupyterhub", version, {}, [base, "configurable-http-proxy"]),
        **package(folder, "jupyterhub-singleuser", version, {}, [base]),
    }


def _files_of(root: Path, information: Path) -> dict[str, Path | bytes]:
    """The files of an installed package, with their bytecode, by their places in an environment."""
    found: dict[str, Path | bytes] = {}
    with (information / "RECORD").open(newline="") as record:
        for name, *_others in csv.reader(record):
            file = Path(os.path.normpath(information.parent / name))
            if "__pycache__" not in file.parts and file.is_file():
                content = file.read_bytes()
                mentions = str(root).encode() in content and b"\0" not in content
                place = str(file.relative_to(root))
                found[place] = content.replace(str(root).encode(), PLACEHOLDER.encode()) if mentions else file
                compiled = Path(cache_from_source(str(file)))
                if file.suffix == ".py" and compiled.is_file():
                    found[str(compiled.relative_to(root))] = compiled
    return found


def _depends(requirements: Iterable[str], present: dict[str, str]) -> list[str]:
    """What a package needs, as conda says it."""
    depends = [f"python {sys.version_info.major}.{sys.version_info.minor}.*"]
    for requirement in filter(None, map(parse_requirement, requirements)):
        applies = requirement.applies(".".join(map(str, sys.version_info[:3]))) is not False
        if applies and "extra" not in requirement.marker and requirement.name in present:
            versions = requirement.specifiers.replace(" ", "").replace("~=", ">=")
            depends.append(f"{requirement.name} {versions}".strip())
    return depends
