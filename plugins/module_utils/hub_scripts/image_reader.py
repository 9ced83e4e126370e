"""A program for the Python of an image's hub: prints, as JSON, what is read of its environment elsewhere.

``{"prefix": "/opt/hub", "python": "/opt/hub/bin/python", "python_version": "3.11.2", "files": {path: text}}``
with the metadata of all packages, and jupyterhub's modules. The first folder of ``sys.path`` that has a
package counts, as it does for an import. It runs on Python 3.6 and later.
"""

import json
import os
import platform
import sys
from pathlib import Path

METADATA = ("METADATA", "PKG-INFO", "direct_url.json")


def main():  # type: ignore[no-untyped-def]
    found = {}
    for folder in sys.path:
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if name not in found and is_wanted(folder, name):
                found[name] = dict(texts(folder, name))
    description = {
        "prefix": sys.prefix,
        "python": sys.executable,
        "python_version": platform.python_version(),
        "files": {path: text for texts in found.values() for path, text in texts.items()},
    }
    json.dump(description, sys.stdout)


def is_wanted(folder, name):  # type: ignore[no-untyped-def]
    is_hub = name == "jupyterhub" and os.path.isfile(os.path.join(folder, name, "__init__.py"))
    return is_hub or name.endswith((".dist-info", ".egg-info"))


def texts(folder, name):  # type: ignore[no-untyped-def]
    """Paths within ``folder`` of the files that are read, and their texts; ``name`` may be a file itself."""
    top = os.path.join(folder, name)
    for parent, _folders, names in os.walk(top) if os.path.isdir(top) else [(folder, [], [name])]:
        for each in names:
            if each in METADATA or each.endswith((".py", ".egg-info")):
                path = os.path.join(parent, each)
                yield os.path.relpath(path, folder), Path(path).read_text(encoding="utf-8", errors="replace")


if __name__ == "__main__":
    main()
