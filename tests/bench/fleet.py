"""What a fleet costs its controller: ``python -m tests.bench.fleet [HUBS ...]``.

`fleet.yml` looks at hubs that are done, and `plan.yml` plans hubs. Playbooks, roles and action plugins are
the real ones, and so is all that is sent for a module. Only what modules then do on the hubs' hosts is not
done: each prints the sample of its documentation. What these stand-ins take is taken off.
"""

from __future__ import annotations

import importlib
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
#: Stands before the module's own lines, which are packed and sent all the same.
STAND_IN = """
import resource, sys
print({answer!r})
sys.stdout.flush()
with open({file!r}, "a") as file:
    used = resource.getrusage(resource.RUSAGE_SELF)
    file.write("%f\\n" % (used.ru_utime + used.ru_stime))
sys.exit(0)
"""


@dataclass(frozen=True)
class Cost:
    """What a run has cost, in seconds and MB; ``memory`` is that of the controller's largest process."""

    hubs: int
    wall: float
    cpu: float
    memory: float


def collection(folder: Path) -> Path:
    """The collection, with stand-ins for its modules; the file in which they note their CPU seconds."""
    root, noted = folder / "ansible_collections/hubops/jupyterhub", folder / "cpu"
    root.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        shutil.copytree(source, root / part) if source.is_dir() else shutil.copy(source, root / part)
    deployment, plan = _sample("jupyterhub_info", "deployment"), _sample("jupyterhub_plan", "plan")
    done = to_dict(from_dict(Status, _sample("jupyterhub_status", "hubs")[0]))
    answers: dict[str, dict[str, Any]] = {
        "jupyterhub_info": {"changed": False, "seconds": 0.9, "deployment": deployment},
        "jupyterhub_plan": {"changed": False, "seconds": 1.5, "plan": plan, "blockers": []},
        "jupyterhub_status": {"changed": False, "hubs": [done], "clock": "2026-11-29T21:00:00+00:00"},
    }
    for name, answer in answers.items():
        module = root / f"plugins/modules/{name}.py"
        lines = STAND_IN.format(answer=json.dumps(answer), file=str(noted))
        first = "from __future__ import annotations\n"
        module.write_text(module.read_text().replace(first, first + lines, 1))
    return noted


def _sample(module: str, name: str) -> Any:
    """A value that a module returns, as its documentation shows it."""
    value = yaml.safe_load(importlib.import_module(f"{MODULES}.{module}").RETURN)[name]
    return _of(value)


def _of(value: dict[str, Any]) -> Any:
    if "contains" not in value:
        return value["sample"]
    made = {name: _of(each) for name, each in value["contains"].items()}
    return [made] if value["type"] == "list" else made


def measure(playbook: str, hubs: int) -> Cost:
    """Run a playbook for as many hubs."""
    with tempfile.TemporaryDirectory() as folder:
        noted = collection(Path(folder))
        hosts: dict[str, dict[str, Any]] = {f"hub{number:04}": {} for number in range(hubs)}
        shared = {
            "ansible_connection": "ansible.builtin.local",
            "ansible_python_interpreter": sys.executable,
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
        stood_in = sum(map(float, noted.read_text().split()))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(hubs, wall, cpu - stood_in, after.ru_maxrss / 1024)


def main() -> None:
    """Measure, the smallest fleet first, since the memory is that of the largest process up to then."""
    wanted = sorted(int(each) for each in sys.argv[1:]) or [1, 100, 500]
    print("Wanted: " + ", ".join(f"{name}: {limit}" for name, limit in WANTED.items()))
    for playbook in ("fleet", "plan"):
        costs: list[Cost] = []
        print(f"\n| `{playbook}.yml`, hubs | s | times one hub | CPU s a hub | MB | MB a hub |")
        print("|---|---|---|---|---|---|")
        for hubs in wanted:
            cost = measure(playbook, hubs)
            costs.append(cost)
            one = costs[0]
            more = f"{(cost.memory - one.memory) / hubs:.2f}" if cost is not one else ""
            print(
                f"| {hubs} | {cost.wall:.1f} | {cost.wall / one.wall:.1f} | {cost.cpu / hubs:.2f} "
                f"| {cost.memory:.0f} | {more} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
