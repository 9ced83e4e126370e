"""How long a rehearsal takes, and how it affects the hub's users.

``python -m tests.bench.rehearsal`` prints the figures, and writes ``build/rehearsal.json``.

A fresh hub with staged environments and a warm cache is asked for ``/hub/api`` every 20 ms through its proxy:
for a while idle, and while an upgrade from 4.1.6 to 6.1.1 is rehearsed.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.testbed import Hub, Probe
from tests.testbed.probe import Sample

from .measurement import IMAGE
from .procedures import CONNECTION, VERSION

RESULT = Path(__file__).resolve().parents[2] / "build" / "rehearsal.json"
PLAYBOOK = "../tests/bench/rehearse.yml"
IDLE_SECONDS = 15
LIMIT_SECONDS = 30
LIMIT_RATIO = 3


def measure() -> dict[str, Any]:
    """Seconds, and milliseconds of the hub's answers."""
    with Hub.start(IMAGE) as hub, tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "rehearsal.json")
        variables = {
            "jupyterhub_version": VERSION,
            "ansible_connection": CONNECTION,
            "rehearsal_result": str(result),
        }
        # The first one stages, the second one warms the cache.
        hub.playbook(PLAYBOOK, {**variables, "jupyterhub_rehearse": True})
        with Probe(hub) as idle:
            time.sleep(IDLE_SECONDS)
        with Probe(hub) as others:
            hub.playbook(PLAYBOOK, {**variables, "jupyterhub_rehearse": False})
        with Probe(hub) as busy:
            hub.playbook(PLAYBOOK, {**variables, "jupyterhub_rehearse": True})
        found = json.loads(result.read_text())
    quiet, loud = answers(idle.samples), answers(busy.samples)
    return {
        "rehearsal_seconds": found["seconds"],
        "timings": found["timings"],
        "expected_outage_seconds": found["expected_outage_seconds"],
        "milliseconds_idle": quiet,
        "milliseconds_other_tasks": answers(others.samples),
        "milliseconds_rehearsing": loud,
        "ratio_99": round(loud["99"] / quiet["99"], 2),
        "reached": found["seconds"] <= LIMIT_SECONDS
        and loud["failed"] == 0
        and loud["99"] <= LIMIT_RATIO * quiet["99"],
    }


def answers(samples: list[Sample]) -> dict[str, float]:
    """Number of answers and of those that failed, median and 99th percentile of their milliseconds."""
    took = [sample.seconds * 1000 for sample in samples]
    return {
        "asked": len(samples),
        "failed": sum(sample.version is None for sample in samples),
        "50": round(statistics.median(took), 1),
        "99": round(statistics.quantiles(took, n=100)[98], 1),
    }


if __name__ == "__main__":
    measured = measure()
    text = json.dumps(measured, indent=2)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(f"{text}\n")
    print(text)
    sys.exit(0 if measured["reached"] else 1)
