"""Makes a wheel of another release out of JupyterHub's wheel.

On the hub's host: ``python3 - WANTED < repack.py``, where ``WANTED`` is JSON, see `releases.release`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any


def main() -> None:
    wanted = json.loads(sys.argv[1])
    folder = Path(wanted["folder"])
    # Of the test before.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for wheel in Path(wanted["source"]).iterdir():
        if wheel.name.startswith("jupyterhub-"):
            old = wheel.name.split("-")[1]
            name = wheel.name.replace(old, wanted["version"])
            repack(wheel, folder / name, old, wanted)
        else:
            (folder / wheel.name).symlink_to(wheel)


def repack(wheel: Path, target: Path, old: str, wanted: dict[str, Any]) -> None:
    """Write the wheel ``target``, with the wanted version in its metadata and the appended lines."""
    version = wanted["version"]
    with zipfile.ZipFile(wheel) as archive:
        content = {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}
    metadata = content.pop(f"{info(old)}/METADATA").decode()
    for field, value in {"Version": version, **wanted["metadata"]}.items():
        if field == "Requires-Dist":
            metadata = metadata.replace("\n", f"\n{field}: {value}\n", 1)
        else:
            metadata = re.sub(rf"^{field}: .*$", f"{field}: {value}", metadata, count=1, flags=re.MULTILINE)
    content["jupyterhub/_version.py"] += f'\n__version__ = "{version}"\n'.encode()
    for path, text in wanted["append"].items():
        content[path] = content.get(path, b"") + text.encode()
    del content[f"{info(old)}/RECORD"]
    # Its description and its data, such as the templates, are in folders that name the version.
    moved = {re.sub(f"^{re.escape(stem(old))}", stem(version), name): data for name, data in content.items()}
    moved[f"{info(version)}/METADATA"] = metadata.encode()
    record = f"{info(version)}/RECORD"
    moved[record] = "".join(f"{name},,\n" for name in [*moved, record]).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in moved.items():
            archive.writestr(name, data)


def info(version: str) -> str:
    """The folder of a wheel that describes it."""
    return f"{stem(version)}.dist-info"


def stem(version: str) -> str:
    return f"jupyterhub-{version}"


if __name__ == "__main__":
    main()
