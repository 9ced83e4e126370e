"""conda 4.3.16, the newest on the package index, on a Python that is years newer, and packages for it.

``python old_conda.py PREFIX`` has the Python of PREFIX build and run that conda. Once pip has installed it
there, ``python old_conda.py PREFIX CHANNEL`` makes it run, and a channel in the folder CHANNEL with two
packages: the Python that runs this, and the pip of PREFIX.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import re
import sys
import sysconfig
import tarfile
from collections.abc import Iterable
from pathlib import Path

VERSION = "4.3.16"
#: What it needs, besides itself.
NEEDS = ("pip", "setuptools<80", "wheel", "cytoolz", "pycosat", "requests", "ruamel.yaml")
#: What it uses of the Python of its time.
FITTED = """
import collections, collections.abc, inspect, platform
for name in collections.abc.__all__:
    setattr(collections, name, getattr(collections, name, getattr(collections.abc, name)))
inspect.getargspec = inspect.getfullargspec
platform.linux_distribution = lambda: ("", "", "")
"""
#: conda writes the environment's path over this one; in binaries it needs the space.
PLACEHOLDER = "/opt/placeholder" + "_" * 200
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
BUILD = f"py{sys.version_info.major}{sys.version_info.minor}_0"
SUBDIR = "linux-64"
#: Parts of Python that no hub needs, and Debian's own files.
LEFT_OUT = re.compile(
    r"/(test|idlelib|tkinter|ensurepip|site-packages|dist-packages|config-[^/]+|"
    r"EXTERNALLY-MANAGED|sitecustomize\.py)(/|$)"
)
#: Debian's Python has its packages elsewhere, unless it is that of a virtual environment.
DEBIANS_QUESTION = re.compile(r"sys\.base_prefix != sys\.prefix or hasattr\(sys, .real_prefix.\)")
SITE_PACKAGES = b"""
import site, sys
site.addsitedir("%s/lib/python%d.%d/site-packages" % (sys.prefix, *sys.version_info[:2]))
"""


def prepare(prefix: Path) -> None:
    """Give the Python of a virtual environment what conda misses in it, already when it is installed."""
    [packages] = prefix.glob("lib/python3*/site-packages")
    # Not as sitecustomize, for Debian's Python has one that comes first.
    (packages / "fitted.py").write_text(FITTED)
    (packages / "fitted.pth").write_text("import fitted\n")


def fit(prefix: Path) -> None:
    """Make the conda run that was installed into a virtual environment."""
    [packages] = prefix.glob("lib/python3*/site-packages")
    reading = packages / "conda/gateways/disk/read.py"
    reading.write_text(reading.read_text().replace("raise StopIteration", "return"))
    program = prefix / "bin/conda"
    program.write_text(
        f"#!{prefix}/bin/python\nimport sys\nfrom conda.cli.main import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)


def python_package(folder: Path) -> dict[str, dict[str, object]]:
    """Write the package of the Python that runs this."""
    base = Path(sys.base_prefix)
    files: dict[str, Path | bytes] = {}
    for file in sorted((base / "lib" / PYTHON).rglob("*")):
        place = str(file.relative_to(base))
        if not LEFT_OUT.search(place) and file.is_file():
            files[place] = file
    text = (base / "lib" / PYTHON / "sysconfig.py").read_text()
    if DEBIANS_QUESTION.search(text):
        files[f"lib/{PYTHON}/sysconfig.py"] = DEBIANS_QUESTION.sub("True", text).encode()
        files[f"lib/{PYTHON}/sitecustomize.py"] = SITE_PACKAGES
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
    return package(folder, "python", ".".join(map(str, sys.version_info[:3])), files, [])


def package(
    folder: Path, name: str, version: str, files: dict[str, Path | bytes], depends: Iterable[str]
) -> dict[str, dict[str, object]]:
    """Write one package of files by their places, and return its entry in the channel's index."""
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


def write_index(channel: Path, packages: dict[str, dict[str, object]]) -> None:
    """Write the lists by which conda finds a channel's packages."""
    for subdir, listed in ((SUBDIR, packages), ("noarch", {})):
        (channel / subdir).mkdir(exist_ok=True)
        text = json.dumps({"info": {"subdir": subdir}, "packages": listed}).encode()
        (channel / subdir / "repodata.json").write_bytes(text)
        (channel / subdir / "repodata.json.bz2").write_bytes(bz2.compress(text))


def pip_package(folder: Path, prefix: Path) -> dict[str, dict[str, object]]:
    """Write the package of a virtual environment's pip."""
    [packages] = prefix.glob("lib/python3*/site-packages")
    [information] = packages.glob("pip-*.dist-info")
    files: dict[str, Path | bytes] = {
        str(file.relative_to(prefix)): file
        for root in (packages / "pip", information)
        for file in sorted(root.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    program = (
        f"#!{PLACEHOLDER}/bin/python\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
    )
    version = information.name[: -len(".dist-info")].partition("-")[2]
    return package(folder, "pip", version, {**files, "bin/pip": program.encode()}, ["python"])


def main() -> None:
    prefix = Path(sys.argv[1])
    if not sys.argv[2:]:
        prepare(prefix)
        return
    channel = Path(sys.argv[2])
    fit(prefix)
    folder = channel / SUBDIR
    folder.mkdir(parents=True)
    write_index(channel, {**python_package(folder), **pip_package(folder, prefix)})


if __name__ == "__main__":
    main()
