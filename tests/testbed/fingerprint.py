"""What makes a hub the hub it is, apart from the database's rows: as JSON, read and never written.

Runs on the hub's host with the system's Python: ``python3 - LAYOUT < fingerprint.py``. ``LAYOUT`` is JSON:
``environments``, ``config``, ``secrets`` (lists of paths), ``database`` (a server's has no owner here) and
``systemd_unit`` (or empty).
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    layout = json.loads(sys.argv[1])
    json.dump(
        {
            "environments": {path: environment(Path(path)) for path in layout["environments"]},
            "config": {path: content(Path(path)) for path in layout["config"]},
            "secrets": {path: content(Path(path)) for path in layout["secrets"]},
            "database": owner(Path(layout["database"])) if layout["database"].startswith("/") else {},
            "service": service(layout["systemd_unit"]),
        },
        sys.stdout,
    )


def environment(path: Path) -> dict[str, Any]:
    """Interpreter, installed distributions and the hash of all files that are code or scripts."""
    digest = hashlib.sha256()
    for file in files(path):
        if "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(path)).encode() + content(file)["sha256"].encode())
    return {
        "target": str(path.resolve()),
        "python": python(path),
        "packages": sorted(folder.stem for folder in path.glob("lib/python3*/site-packages/*.dist-info")),
        "sha256": digest.hexdigest(),
        **owner(path),
    }


def python(environment: Path) -> str | None:
    """The version of an environment's interpreter, as a venv's config or conda's record has it."""
    if not (environment / "pyvenv.cfg").exists():
        [record] = environment.glob("conda-meta/python-[0-9]*.json")
        return str(json.loads(record.read_text())["version"])
    lines = (environment / "pyvenv.cfg").read_text().splitlines()
    config = dict(line.split(" = ", 1) for line in lines if " = " in line)
    return config.get("version_info") or config.get("version")


def service(unit: str) -> dict[str, str]:
    """systemd's view of the unit; nothing where there is no systemd."""
    if not unit:
        return {}
    wanted = "ActiveState,UnitFileState,LoadState,FragmentPath,DropInPaths"
    shown = subprocess.check_output(["systemctl", "show", "--property", wanted, unit], encoding="utf-8")
    return dict(line.split("=", 1) for line in shown.splitlines())


def files(folder: Path) -> list[Path]:
    """Every file and link below the folder."""
    return sorted(entry for entry in folder.rglob("*") if entry.is_symlink() or entry.is_file())


def content(file: Path) -> dict[str, str]:
    if not os.path.lexists(file):
        return {"sha256": "missing"}
    if file.is_symlink():
        return {"sha256": f"link to {file.readlink()}", **owner(file)}
    return {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), **owner(file)}


def owner(path: Path) -> dict[str, str]:
    status = path.lstat()
    return {"owner": pwd.getpwuid(status.st_uid).pw_name, "mode": f"{status.st_mode & 0o7777:04o}"}


if __name__ == "__main__":
    main()
