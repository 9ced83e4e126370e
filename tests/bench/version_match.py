"""How long jupyterhub_version_match takes for 1,000 environments; prints JSON.

    python tests/bench/version_match.py [--environments 1000] [--rounds 5] [--folder FOLDER]

The environments look on disk like ones with JupyterLab: a pyvenv.cfg, an interpreter's link, and 100 packages
each, of which all but jupyterhub are empty. They are made in a temporary folder, or in FOLDER, and removed
afterwards. What is measured is what the module does on a host, from the glob to the last verdict.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.compatibility import match
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.discovery import (
    expand_environments,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.versions import parse_release

HUB = "5.4.6"
VERSIONS = ("5.4.6", "5.4.6", "5.2.1", "4.1.6")
RELATED_PACKAGES = 99
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.8\n" + (
    "Classifier: Framework :: Jupyter\n" * 20
)


def make_environment(path: Path, version: str) -> None:
    """A folder that looks like a virtual environment to a program that only reads it."""
    packages = path / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (path / "bin").mkdir()
    (path / "bin" / "python").symlink_to(sys.executable)
    (path / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n"
    )
    information = packages / f"jupyterhub-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(METADATA.format(name="jupyterhub", version=version))
    for number in range(RELATED_PACKAGES):
        (packages / f"package_{number}-1.0.dist-info").mkdir()
        (packages / f"package_{number}.py").hardlink_to(path / "pyvenv.cfg")


def measure(folder: Path, rounds: int) -> list[float]:
    """Seconds of each round."""
    seconds = []
    for _round in range(rounds):
        begin = time.perf_counter()
        paths = expand_environments([f"{folder}/*"])
        verdicts = match(parse_release(HUB), paths, "4621fec11365")["environments"]
        seconds.append(time.perf_counter() - begin)
        failed = sum(found["verdict"] == "fail" for found in verdicts)
        assert failed == len(paths) // len(VERSIONS), f"{failed} of {len(paths)} failed"
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for number in range(options.environments):
            make_environment(Path(folder, f"environment-{number:04d}"), VERSIONS[number % len(VERSIONS)])
        seconds = measure(Path(folder), options.rounds)
    print(
        json.dumps(
            {
                f"version_match_{options.environments}_seconds": {
                    "median": round(statistics.median(seconds), 4),
                    "min": round(min(seconds), 4),
                    "max": round(max(seconds), 4),
                }
            }
        )
    )


if __name__ == "__main__":
    main()
