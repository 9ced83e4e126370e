"""Small wheels and venvs for tests: real ones that pip and uv install, made in milliseconds."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

UV = str(Path(sys.executable).parent / "uv")

MIGRATIONS = {
    "jupyterhub/alembic/versions/aaaa_first.py": "revision = 'aaaa'\ndown_revision = None\n",
    "jupyterhub/alembic/versions/bbbb_second.py": "revision = 'bbbb'\ndown_revision = 'aaaa'\n",
}


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    sources: dict[str, str] | None = None,
    requires: Iterable[str] = (),
    requires_python: str = "",
    scripts: Iterable[str] = (),
) -> Path:
    """Write a wheel with ``sources`` ({path: text}) and console ``scripts`` ("name = module:f")."""
    module = name.replace("-", "_")
    information = f"{module}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Python: {requires_python}"] if requires_python else []
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    extras = re.findall(r"extra == '(\w+)'", "\n".join(requires))
    metadata += [f"Provides-Extra: {extra}" for extra in extras]
    files = {
        **(sources if sources is not None else {f"{module}/__init__.py": ""}),
        f"{information}/METADATA": "\n".join(metadata) + "\n\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": "[console_scripts]\n" + "".join(f"{line}\n" for line in scripts),
    }
    files[f"{information}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{information}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def make_hub_wheel(
    folder: Path,
    version: str,
    app: str = "def main(): pass\n",
    files: dict[str, str] | None = None,
    **more: Any,
) -> Path:
    """A wheel called jupyterhub with the files that this collection reads, and more ``files``."""
    sources = {
        "jupyterhub/__init__.py": f"__version__ = {version!r}\n",
        "jupyterhub/app.py": app,
        "jupyterhub/singleuser.py": "def main(): pass\n",
        **MIGRATIONS,
        **(files or {}),
    }
    scripts = ["jupyterhub = jupyterhub.app:main", "jupyterhub-singleuser = jupyterhub.singleuser:main"]
    return make_wheel(folder, "jupyterhub", version, sources, scripts=scripts, **more)


def make_venv(
    path: Path, wheels: Path, *requirements: str, pip: bool = False, python: str = sys.executable
) -> Path:
    """A venv with requirements from a folder of wheels; with pip in it only when requested."""
    if pip:
        subprocess.run([sys.executable, "-m", "venv", path], check=True)
    else:
        subprocess.run([UV, "venv", "--quiet", "--python", python, path], check=True)
    if requirements:
        install(path, wheels, *requirements)
    return path


def install(environment: Path, wheels: Path, *arguments: str) -> None:
    """Install requirements into an environment from a folder of wheels, past what is being tested."""
    source = ["--quiet", "--no-index", f"--find-links={wheels}", f"--python={environment}/bin/python"]
    subprocess.run([UV, "pip", "install", *source, *arguments], check=True)


def fingerprint(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder that a change would show in: kind, mode, owner, size, time, link target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        target = str(path.readlink()) if path.is_symlink() else ""
        times = status.st_mtime_ns if not path.is_dir() else 0
        size = status.st_size if not path.is_dir() else 0
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, size, times, target)
    return found
