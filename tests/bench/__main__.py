"""Measure, print the table, and write ``build/bench.json``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tests.testbed.images import image

from .figures import figures, table
from .measurement import IMAGE, Measurement, measure
from .procedures import PROCEDURES

RESULT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def version_match_seconds() -> float:
    """Seconds that jupyterhub_version_match takes for 1,000 environments, the median of several rounds."""
    script = Path(__file__).with_name("version_match.py")
    printed = subprocess.run([sys.executable, script], check=True, stdout=subprocess.PIPE).stdout
    return float(json.loads(printed)["version_match_1000_seconds"]["median"])


def main() -> None:
    """Run each procedure as often as asked, in turns: what slows the machine then slows all of them."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    arguments.add_argument("--runs", type=int, default=5, help="how often each is measured (5)")
    arguments.add_argument("--quick", action="store_const", dest="runs", const=1, help="measure each once")
    runs = arguments.parse_args().runs

    image(IMAGE)
    measured: dict[str, list[Measurement]] = {procedure.name: [] for procedure in PROCEDURES}
    for number in range(1, runs + 1):
        for procedure in PROCEDURES:
            one = measure(procedure)
            measured[procedure.name].append(one)
            print(f"{number}/{runs} {procedure.name:<12}{one.downtime:6.2f} s: {procedure.what}", flush=True)

    found = figures(measured, version_match_seconds())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{table(found)}\n\nWritten to {RESULT.relative_to(RESULT.parents[1])}.")


if __name__ == "__main__":
    main()
