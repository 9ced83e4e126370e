"""What a fleet costs its controller before any hub is begun: ``python -m tests.bench.fleet [HOSTS ...]``.

The real ``fleet.yml`` looks at hosts that are all this machine, each with a state folder of its own and a hub
that is done, and decides. The modules' own work, which on a fleet the hubs' hosts do, is in it too.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal

from tests import REPOSITORY, stories

FORKS = 50


def measure(hosts: int) -> tuple[float, float, float]:
    """Seconds by the clock, CPU seconds, and the controller's largest process in MB."""
    with tempfile.TemporaryDirectory() as folder:
        named = {}
        for number in range(hosts):
            state = Path(folder, str(number))
            (state / "jupyterhub").mkdir(parents=True, mode=0o700)
            journal.write(state / "jupyterhub", stories.upgraded())
            named[f"hub{number:04}"] = {"jupyterhub_state_folder": str(state)}
        shared = {
            "ansible_connection": "ansible.builtin.local",
            "ansible_python_interpreter": sys.executable,
            "jupyterhub_version": "6.1.1",
            "jupyterhub_fleet_report": f"{folder}/fleet.json",
        }
        inventory = Path(folder, "inventory.json")
        inventory.write_text(json.dumps({"hubs": {"hosts": named, "vars": shared}}))
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(
            [program, "--forks", str(FORKS), "--inventory", str(inventory), "playbooks/fleet.yml"],
            cwd=REPOSITORY,
            env={**os.environ, "ANSIBLE_PIPELINING": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        done = json.loads(Path(folder, "fleet.json").read_text())["hubs"]
    assert [hub["outcome"] for hub in done] == ["upgraded"] * hosts
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, after.ru_maxrss / 1024


def main() -> None:
    """Measure, the smallest fleet first, since the memory is that of the largest process up to then."""
    wanted = sorted(int(each) for each in sys.argv[1:]) or [1, 100, 500]
    print("| hubs | s | CPU s | MB |")
    for hosts in wanted:
        wall, cpu, memory = measure(hosts)
        print(f"| {hosts} | {wall:.1f} | {cpu:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
