"""What a fleet costs its controller: ``python -m tests.bench.fleet [--before FOLDER] [HUBS ...]``.

`fleet.yml` looks at hubs that are done, and `plan.yml` plans hubs. Playbooks, roles and action plugins are
the real ones, and so is all that is sent for a module. Only a hub's host is none: instead of its Python a
shell reads what is sent, and prints the sample of the module's documentation. Those few milliseconds are
counted.

With another checkout's FOLDER that one is measured as well, before this one at each size.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.status import Status
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict

from tests import REPOSITORY

FORKS = 50
TARGET = "6.1.1"
WANTED = {"s": "500 hubs planned in under 300", "CPU s a hub": "at most 1.5", "MB a hub": "under 1"}
MODULES = "ansible_collections.hubops.jupyterhub.plugins.modules"
PARTS = ("galaxy.yml", "meta", "playbooks", "plugins", "roles")
#: The interpreter of a hub's host: reads a module to its end, and prints its answer.
STAND_IN = r"""#!/bin/sh
exec cat "{folder}/answers/$(grep --text --only-matching 'modules\.jupyterhub_[a-z]*' | tail -n 1)"
"""


@dataclass(frozen=True)
class Cost:
    """What a run has cost, in seconds and MB; ``memory`` is that of the controller's largest process."""

    hubs: int
    wall: float
    cpu: float
    memory: float


def collection(folder: Path, source: Path) -> None:
    """Install the collection of a checkout."""
    root = folder / "ansible_collections/hubops/jupyterhub"
    root.mkdir(parents=True)
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, root / part)
        else:
            shutil.copy(source / part, root / part)


def interpreter(folder: Path) -> Path:
    """What stands in for the Python of all hubs' hosts."""
    done = to_dict(from_dict(Status, _sample("jupyterhub_status", "hubs")[0]))
    plan = {"plan": _sample("jupyterhub_plan", "plan"), "blockers": []}
    answers: dict[str, dict[str, Any]] = {
        "jupyterhub_info": {"seconds": 0.9, "deployment": _sample("jupyterhub_info", "deployment")},
        "jupyterhub_plan": {"seconds": 1.5, **plan},
        "jupyterhub_status": {"hubs": [done], "clock": "2026-11-29T21:00:00+00:00"},
    }
    (folder / "answers").mkdir()
    for name, answer in answers.items():
        (folder / f"answers/modules.{name}").write_text(json.dumps({"changed": False, **answer}))
    program = folder / "interpreter"
    program.write_text(STAND_IN.format(folder=folder))
    program.chmod(0o755)
    return program


def _sample(module: str, name: str) -> Any:
    """A value that a module returns, as its documentation shows it."""
    value = yaml.safe_load(importlib.import_module(f"{MODULES}.{module}").RETURN)[name]
    return _of(value)


def _of(value: dict[str, Any]) -> Any:
    if "contains" not in value:
        return value["sample"]
    made = {name: _of(each) for name, each in value["contains"].items()}
    return [made] if value["type"] == "list" else made


def measure(playbook: str, hubs: int, source: Path = REPOSITORY) -> Cost:
    """Run a playbook of a checkout for as many hubs."""
    with tempfile.TemporaryDirectory() as folder:
        collection(Path(folder), source)
        hosts: dict[str, dict[str, Any]] = {f"hub{number:04}": {} for number in range(hubs)}
        shared = {
            "ansible_connection": "ansible.builtin.local",
            "ansible_python_interpreter": str(interpreter(Path(folder))),
            "jupyterhub_version": TARGET,
            "jupyterhub_rehearse": False,
            "jupyterhub_plan" if playbook == "plan" else "jupyterhub_fleet_report": f"{folder}/kept.json",
        }
        inventory = Path(folder, "inventory.json")
        inventory.write_text(json.dumps({"hubs": {"hosts": hosts, "vars": shared}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        ran = subprocess.run(
            [program, "--forks", str(FORKS), "--inventory", str(inventory), f"hubops.jupyterhub.{playbook}"],
            cwd=REPOSITORY,
            env={**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_COLLECTIONS_PATH": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert ran.returncode == 0, ran.stdout[-3000:]
        kept = json.loads(Path(folder, "kept.json").read_text())
        assert len(kept if playbook == "plan" else kept["hubs"]) == hubs
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(hubs, wall, cpu, after.ru_maxrss / 1024)


def main() -> None:
    """Measure, the smallest fleet first, since the memory is that of the largest process up to then."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.fleet", description="What a fleet costs its controller."
    )
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout, measured as well")
    parser.add_argument("hubs", type=int, nargs="*", default=[1, 100, 500])
    given = parser.parse_args()
    checkouts = {"before": given.before, "now": REPOSITORY} if given.before else {"now": REPOSITORY}
    print("Wanted: " + ", ".join(f"{name}: {limit}" for name, limit in WANTED.items()))
    for playbook in ("fleet", "plan"):
        first: dict[str, Cost] = {}
        print(f"\n| `{playbook}.yml`, hubs | | s | times one hub | CPU s a hub | MB | MB a hub |")
        print("|---|---|---|---|---|---|---|")
        for hubs, (name, source) in itertools.product(sorted(given.hubs), checkouts.items()):
            cost = measure(playbook, hubs, source)
            one = first.setdefault(name, cost)
            more = f"{(cost.memory - one.memory) / hubs:.2f}" if cost is not one else ""
            print(
                f"| {hubs} | {name} | {cost.wall:.1f} | {cost.wall / one.wall:.1f} | {cost.cpu / hubs:.2f} "
                f"| {cost.memory:.0f} | {more} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
