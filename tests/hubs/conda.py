"""A real conda and a real channel for tests; both are made once, and kept beside the hubs of `real_hub`.

conda is 4.3.16, the newest on the package index. It is older than this Python: `FITTED` is what was taken
from Python since. The channel has the packages of `real_hub.environment`, repackaged from what was installed
there, and this Python itself.
"""

from __future__ import annotations

import bz2
import csv
import fcntl
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
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

CONDA_VERSION = "4.3.16"
#: Channels are made again where their packages are made in another way.
CHANNEL_FORMAT = 5
#: conda writes the environment's path over this one; in binaries it needs the space.
PLACEHOLDER = "/opt/placeholder" + "_" * 200
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
BUILD = f"py{sys.version_info.major}{sys.version_info.minor}_0"
SUBDIR = "linux-64"
#: A file of `jupyterhub-base` into which conda writes the path of the environment, as into a library.
BINARY = "lib/libjupyterhub.so"
#: What conda 4.3 uses of the Python of its time.
FITTED = """
import collections, collections.abc, inspect, platform
for name in collections.abc.__all__:
    setattr(collections, name, getattr(collections, name, getattr(collections.abc, name)))
inspect.getargspec = inspect.getfullargspec
platform.linux_distribution = lambda: ("", "", "")
"""
#: Parts of Python that no hub needs.
LEFT_OUT = re.compile(r"/(test|idlelib|tkinter|ensurepip|site-packages|config-[^/]+)(/|$)")


def conda(python: str = sys.executable) -> str:
    """The program, run by a Python; that of the tests may be in root's home, where no other user comes."""
    name = f"conda-{CONDA_VERSION}" if python == sys.executable else f"conda-{CONDA_VERSION}-for-all"
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
    [packages] = path.glob("lib/python3*/site-packages")
    # Debian's Python has a sitecustomize of its own.
    (packages / "fitted.py").write_text(FITTED)
    (packages / "fitted.pth").write_text("import fitted\n")
    install = [UV, "pip", "install", "--quiet", f"--python={path}/bin/python"]
    needed = ["pip", "setuptools<80", "wheel", "cytoolz", "pycosat", "requests", "ruamel.yaml"]
    subprocess.run([*install, *needed], check=True)
    subprocess.run([*install, "--no-build-isolation", f"conda=={CONDA_VERSION}"], check=True)
    reading = packages / "conda/gateways/disk/read.py"
    reading.write_text(reading.read_text().replace("raise StopIteration", "return"))
    program = path / "bin/conda"
    program.write_text(
        f"#!{path}/bin/python\nimport sys\nfrom conda.cli.main import main\nsys.exit(main())\n"
    )


def _fill_channel(path: Path, versions: Iterable[str]) -> None:
    folder = path / SUBDIR
    folder.mkdir(parents=True, exist_ok=True)
    index = _python_package(folder)
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
                index |= _package(folder, name, version_of_package, files, depends)
    for subdir, packages in ((SUBDIR, index), ("noarch", {})):
        (path / subdir).mkdir(exist_ok=True)
        text = json.dumps({"info": {"subdir": subdir}, "packages": packages}).encode()
        (path / subdir / "repodata.json").write_bytes(text)
        (path / subdir / "repodata.json.bz2").write_bytes(bz2.compress(text))


def _hub_packages(
    folder: Path, version: str, files: dict[str, Path | bytes], depends: list[str]
) -> dict[str, dict[str, object]]:
    """JupyterHub as it is divided on conda-forge."""
    base = f"jupyterhub-base =={version}"
    files[BINARY] = b"\x7fELF\0" + f"{PLACEHOLDER}/lib\0{version}\0".encode()
    return {
        **_package(folder, "jupyterhub-base", version, files, depends),
        **_package(folder, "jupyterhub", version, {}, [base, "configurable-http-proxy"]),
        **_package(folder, "jupyterhub-singleuser", version, {}, [base]),
    }


def _python_package(folder: Path) -> dict[str, dict[str, object]]:
    base = Path(sys.base_prefix)
    files: dict[str, Path | bytes] = {}
    for file in sorted((base / "lib" / PYTHON).rglob("*")):
        place = str(file.relative_to(base))
        if not LEFT_OUT.search(place) and file.is_file():
            files[place] = file
    files[f"lib/{PYTHON}/site-packages/README.txt"] = b"Packages of the environment.\n"
    program = (base / "bin" / PYTHON).resolve().read_bytes()
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        # As conda's own: its library is in the environment, and not where other users may not come.
        folder_of_library, library = map(sysconfig.get_config_var, ("LIBDIR", "INSTSONAME"))
        files[f"lib/{library}"] = Path(folder_of_library, library)
        there = f"\0{folder_of_library}\0".encode()
        program = program.replace(there, b"\0$ORIGIN/../lib".ljust(len(there), b"\0"))
    for name in ("python", "python3", PYTHON):
        files[f"bin/{name}"] = program
    version = ".".join(map(str, sys.version_info[:3]))
    return _package(folder, "python", version, files, [])


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


def _package(
    folder: Path, name: str, version: str, files: dict[str, Path | bytes], depends: Iterable[str]
) -> dict[str, dict[str, object]]:
    """Write one package, and return its entry in the channel's index."""
    archive = folder / f"{name}-{version}-{BUILD}.tar.bz2"
    about = {"name": name, "version": version, "build": BUILD, "build_number": 0, "depends": list(depends)}
    about |= {"arch": "x86_64", "platform": "linux", "subdir": SUBDIR}
    if not archive.exists():
        with tarfile.open(archive, "w:bz2", compresslevel=1) as tar:
            with_prefix = []
            for place, source in files.items():
                content = source if isinstance(source, bytes) else source.read_bytes()
                # Bytecode is that of a source of the same time.
                time = 0 if isinstance(source, bytes) else int(source.stat().st_mtime)
                _add(tar, place, content, 0o755 if place.startswith("bin/") else 0o644, time)
                if PLACEHOLDER.encode() in content:
                    kind = "binary" if b"\0" in content else "text"
                    with_prefix.append(f"{PLACEHOLDER} {kind} {place}\n")
            _add(tar, "info/index.json", json.dumps(about).encode())
            _add(tar, "info/files", "".join(f"{place}\n" for place in files).encode())
            _add(tar, "info/has_prefix", "".join(with_prefix).encode())
    data = archive.read_bytes()
    return {archive.name: {**about, "md5": hashlib.md5(data).hexdigest(), "size": len(data)}}


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644, time: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, time
    tar.addfile(entry, io.BytesIO(content))
