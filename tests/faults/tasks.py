"""The tasks around the outage, as Ansible lists them, and its steps: new ones are tested automatically."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Union

from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import outage_steps

FIRST = re.compile(r"hub_guard : arm \|")
LAST = re.compile(r"hub_guard : accept \| Keep the new hub")
#: Stands where an upgrade with other hosts of single-user servers has tasks. Ansible begins no such task.
NOTHING = re.compile(r"^no_other_hosts \|")


#: Those that no upgrade has in which users' servers run on.
OTHERS = ("move", "restart servers")
#: The steps that the host takes by itself, between two tasks of the controller.
STEPS = tuple(step.name for step in outage_steps.STEPS if step.name not in OTHERS)
#: The one that a plan has only where an environment could not be staged.
IN_PLACE = "upgrade in place"
SERVERS, STOP, SEAL, MIGRATE, SWITCH, START, VERIFY = (
    "servers",
    "stop",
    "seal",
    "migrate",
    "switch",
    "start",
    "verify",
)


class Task(NamedTuple):
    """A task by its name, and which of those of this name it is, from 1."""

    name: str
    number: int = 1

    def __str__(self) -> str:
        short = self.name.replace("hubops.jupyterhub.", "")
        return short if self.number == 1 else f"{short} ({self.number})"

    @property
    def role(self) -> str:
        """The role it belongs to, '' where it is in the playbook itself."""
        return self.name.split(" : ")[0].rpartition(".")[2] if " : " in self.name else ""


#: A task of the controller, or a step that the host takes in the outage.
Moment = Union[Task, str]


def listed(checkout: Path) -> list[Task]:
    """All tasks of the upgrade, in their order; those of dynamic includes do not show."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "--list-tasks", "--inventory", "localhost,", "playbooks/upgrade.yml"]
    printed = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True).stdout
    times: Counter[str] = Counter()
    tasks = []
    for name in re.findall(r"^ {6}(.+?)\tTAGS: ", printed, re.MULTILINE):
        if NOTHING.search(name):
            continue
        times[name] += 1
        tasks.append(Task(name, times[name]))
    return tasks


def outage(checkout: Path) -> list[Task]:
    """The tasks of the upgrade from the arming of the guard to the acceptance, with both."""
    known = listed(checkout)
    first = next(number for number, task in enumerate(known) if FIRST.search(task.name))
    last = max(number for number, task in enumerate(known) if LAST.search(task.name))
    return known[first : last + 1]


def moments(tasks: list[Task]) -> Iterator[Moment]:
    """The tasks in their order, and after the one of the outage the steps that it consists of."""
    for task in tasks:
        yield task
        if is_outage(task):
            yield from STEPS


def is_backup(task: Task) -> bool:
    return task.role == "hub_backup"


def is_arming(task: Task) -> bool:
    return task.role == "hub_guard" and "arm |" in task.name


def is_outage(task: Task) -> bool:
    """The one in which the host takes the steps of the outage."""
    return task.role == "hub_outage"
