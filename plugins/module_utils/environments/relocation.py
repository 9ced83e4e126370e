"""Relocation: prepares an environment that was made elsewhere for its final place, and tests it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Container, Dict, Iterable, Iterator, Tuple

from ..errors import HubError
from ..releases.requirements import requirement_name
from .conda_records import records
from .installer import Installer
from .layout import python_of
from .ownership import own_tree
from .packages import can_serve, site_packages
from .planned import PlannedEnvironment

SMOKE_SECONDS = 120
COMPILE_SECONDS = 600
#: Larger files are data; no path is written into them.
LARGEST_TEXT_BYTES = 4 * 1024 * 1024

#: Number and time of change of each file, by its path within the tree.
Inodes = Dict[str, Tuple[int, int]]

_HUB, _SERVER = "jupyterhub.app", "jupyterhub.singleuser"
_SMOKE = """
import importlib, importlib.util, json, os, sys
must, may = json.load(sys.stdin)
may = [name for name in may if importlib.util.find_spec(name.partition(".")[0])]
for name in must + may:
    try:
        importlib.import_module(name)
    except BaseException as error:
        reason = " ".join(str(error).split())
        sys.exit("%s cannot be imported: %s: %s" % (name, type(error).__name__, reason))
import jupyterhub
specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
bare = [spec.origin for spec in specs if spec and spec.cached and not os.path.exists(spec.cached)]
print("\\n" + json.dumps({"version": jupyterhub.__version__, "bare": bare}))
"""
# py_compile keeps a path in each file for tracebacks: the final one.
_COMPILE = """
import concurrent.futures, json, multiprocessing, py_compile, sys
def compile(pair):
    try:
        py_compile.compile(pair[0], dfile=pair[1], doraise=True)
    except (py_compile.PyCompileError, OSError, ValueError):
        pass
if __name__ == "__main__":
    pairs = json.load(sys.stdin)
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(mp_context=fork) as pool:
        list(pool.map(compile, pairs, chunksize=32))
"""


def fit(
    entry: PlannedEnvironment,
    root: Path,
    old: Path,
    known: Inodes,
    installer: Installer,
    conflicts: Iterable[str],
) -> list[str]:
    """Prepare an environment at ``root`` for its final place and test that it works; return warnings.

    ``old`` is the environment it was made from, ``known`` are the files that it has from there, ``conflicts``
    are those that the old one has too. All other files get the owner of the environment, compiled bytecode,
    and paths that lead to the final place. Raises HubError when packages are incompatible or JupyterHub
    cannot be imported.
    """
    place = Path(entry.path)
    changed = list(_unknown(root, known))
    condas = records(root).values()
    padded = {str(root / file) for record in condas for file in record.files}
    if old.is_symlink():
        # The scripts of a linked environment may name the link's target, which is going to be the old one.
        everything = (Path(each.path) for each in walk(root))
        mentions = _settle_paths([root, old.resolve()], place, everything, padded)
    else:
        mentions = _settle_paths([root], place, changed, padded)
    _require_no_new_conflicts(entry, installer.check(str(root)), conflicts)
    # First: the import would compile the same files for itself.
    _compile(root, place, (file for file in changed if file.suffix == ".py"))
    _compile(root, place, _smoke(entry, root))
    length = len(str(root)) + 1
    # An environment that is upgraded in place may be named by a link.
    made = {str(path)[length:] for path in _unknown(root, known)}
    own_tree(root.resolve() if entry.in_place else root, old.stat(), made)
    return mentions


def inodes(folder: Path) -> Inodes:
    """What distinguishes each file of a tree from any other file in its place.

    Size and time do not: wheels may have one time for all files, and a version is as long as the next.
    """
    length = len(str(folder)) + 1
    found = {}
    for entry in walk(folder):
        status = entry.stat(follow_symlinks=False)
        # A folder's time of change adds nothing: its entries are compared themselves. But a new folder may
        # have the number of a removed one: then its owner distinguishes them.
        changed = status.st_uid if entry.is_dir(follow_symlinks=False) else status.st_ctime_ns
        found[entry.path[length:]] = (status.st_ino, changed)
    return found


def walk(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, without following links."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from walk(entry.path)


def _unknown(root: Path, known: Inodes) -> Iterator[Path]:
    """Files and folders of a tree that are not among the known ones."""
    return (root / path for path, inode in inodes(root).items() if known.get(path) != inode)


def _settle_paths(
    roots: Iterable[Path], place: Path, changed: Iterable[Path], padded: Container[str]
) -> list[str]:
    """Write the final path wherever another is mentioned; return warnings of files where it cannot be.

    ``padded`` are the files in which a path ends with a zero byte and may be followed by more of them, as
    conda writes it into binaries.
    """
    wrong = {os.fsencode(path) for root in roots for path in (root, root.resolve())}
    right = os.fsencode(place)
    warnings = []
    for file in changed:
        found = file.lstat()
        if stat.S_ISLNK(found.st_mode):
            _settle_link(file, wrong, right)
            continue
        is_padded = str(file) in padded
        is_data = found.st_size > LARGEST_TEXT_BYTES and not is_padded
        if not stat.S_ISREG(found.st_mode) or is_data or file.suffix == ".pyc":
            continue
        content = file.read_bytes()
        settled, is_binary = content, b"\0" in content
        for path in wrong:
            if not is_binary:
                settled = settled.replace(path, right)
            elif is_padded and len(right) <= len(path):
                settled = _shortened(settled, path, right)
        if is_binary and any(path in settled for path in wrong):
            warnings.append(f"{file} mentions a path that is not its final one, and is not a text file.")
            continue
        if settled == content:
            continue
        part = file.with_name(f"{file.name}.hubops")
        part.write_bytes(settled)
        shutil.copystat(file, part)
        part.replace(file)
    return warnings


def _shortened(content: bytes, wrong: bytes, right: bytes) -> bytes:
    """``content`` with a shorter path in its strings that end with a zero byte, filled up with those."""
    return re.sub(
        re.escape(wrong) + rb"([^\0]*)\0",
        lambda found: (right + found[1].replace(wrong, right)).ljust(len(found[0]), b"\0"),
        content,
    )


def _settle_link(link: Path, wrong: Iterable[bytes], right: bytes) -> None:
    target = os.fsencode(os.readlink(link))
    for path in wrong:
        if target == path or target.startswith(path + b"/"):
            link.unlink()
            link.symlink_to(os.fsdecode(right + target[len(path) :]))
            return


def _compile(root: Path, place: Path, sources: Iterable[Path]) -> None:
    """Compile what is new to bytecode: otherwise the first start does it, within the outage."""
    folders = tuple(f"{folder}/" for folder in site_packages(root))
    length = len(str(root))
    # Files elsewhere, behind a link, are compiled by the process that imports them.
    own = [file for file in sources if str(file.resolve()).startswith(f"{root.resolve()}/")]
    pairs = [(str(file), f"{place}{str(file)[length:]}") for file in own if str(file).startswith(folders)]
    if pairs:
        run_python(root, ["-c", _COMPILE], json.dumps(pairs), COMPILE_SECONDS)


def compile_all(root: Path, place: Path) -> None:
    """Compile whatever has no bytecode, for an environment whose place is going to be another one."""
    files = [Path(each.path) for each in walk(root)]
    compiled = {file.parent.with_name(file.name.split(".")[0]) for file in files if file.suffix == ".pyc"}
    _compile(
        root, place, (file for file in files if file.suffix == ".py" and file.with_suffix("") not in compiled)
    )


def _require_no_new_conflicts(entry: PlannedEnvironment, found: Iterable[str], known: Iterable[str]) -> None:
    had = {_without_version(line) for line in known}
    new = [line.replace("`", "") for line in found if _without_version(line) not in had]
    if new:
        raise HubError(
            f"Packages of {entry.path} would be incompatible: {' '.join(new)}",
            "Name versions of them that do in jupyterhub_packages (or jupyterhub_user_packages).",
        )


def _without_version(conflict: str) -> str:
    """The packages in conflict: an old conflict stays one when the version on one side changes."""
    start = re.sub(r"^(\S+) \S+ (has requirement|requires)", r"\1 \2", conflict)
    return start.split(", but ")[0]


def _smoke(entry: PlannedEnvironment, root: Path) -> list[Path]:
    """Import what the environment is for, in its own Python; return the files without bytecode that took.

    Raises HubError when an import fails or the version is not the one that is wanted.
    """
    modules = json.dumps([_modules(entry, root), entry.imports])
    process = run_python(root, ["-c", _SMOKE], modules, SMOKE_SECONDS)
    hint = "The environment in use is unchanged. Name compatible packages in jupyterhub_packages."
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"exit status {process.returncode}"]
        raise HubError(f"The new environment for {entry.path} does not work: {lines[-1]}", hint)
    answer = json.loads(process.stdout.splitlines()[-1])
    version = answer["version"]
    if f"jupyterhub=={version}" not in entry.requirements:
        wanted = next((each for each in entry.requirements if requirement_name(each) == "jupyterhub"), "")
        raise HubError(
            f"The new environment for {entry.path} has JupyterHub {version} instead of {wanted}.", hint
        )
    return [Path(file) for file in answer["bare"]]


def _modules(entry: PlannedEnvironment, root: Path) -> list[str]:
    """What has to be importable for the part an environment plays.

    A hub whose servers start on other hosts has nothing to serve with in its own environment.
    """
    if entry.role == "both" and not can_serve(root) and not can_serve(entry.path):
        return [_HUB]
    return {"hub": [_HUB], "user": [_SERVER], "both": [_HUB, _SERVER]}[entry.role]


def run_python(
    root: Path, arguments: list[str], input: str, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run the Python of an environment in a neutral directory, without the user's ``~/.local``."""
    python = python_of(root)
    if python is None:
        raise HubError(f"{root} has no Python that runs.", "Name an interpreter in jupyterhub_python.")
    variables = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    variables["PATH"] = f"{root}/bin:{variables.get('PATH', os.defpath)}"
    try:
        return subprocess.run(
            [python, "-B", "-s", *arguments],
            check=False,
            input=input,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env=variables,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise HubError(
            f"{python} did not end within {seconds:g} seconds.", "Run it manually and see what it waits for."
        ) from None
