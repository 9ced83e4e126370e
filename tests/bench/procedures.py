"""The ways to upgrade a hub that are compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.testbed import Hub, PlaybookResult

VERSION = "6.1.1"

# Calls the `docker` command, as Ansible's usual connection calls `ssh`, for 0.1 s of CPU time a task;
# `docker_api` takes 0.35 s, because each task loads it again.
CONNECTION = "community.docker.docker"


class Procedure(NamedTuple):
    """``prepare`` is not measured, ``perform`` is; it returns the run's report, if there is one."""

    name: str
    what: str
    prepare: Callable[[Hub], None]
    perform: Callable[[Hub], dict[str, Any]]
    reports: bool = False
    """Whether it is ours: it makes a report, finds nothing to do a second time, and plans beforehand."""


def _documented(hub: Hub) -> dict[str, Any]:
    _script(hub, "documented.sh")
    return {}


def _stage(hub: Hub) -> None:
    _script(hub, "stage.sh")


def _shell(hub: Hub) -> dict[str, Any]:
    _script(hub, "shell.sh")
    return {}


def _nothing(hub: Hub) -> None:
    """The documented procedure prepares nothing, the playbook prepares by itself."""


def upgrade(hub: Hub) -> PlaybookResult:
    """Run upgrade.yml."""
    return hub.playbook("upgrade.yml", {"jupyterhub_version": VERSION, "ansible_connection": CONNECTION})


def _upgrade(hub: Hub) -> dict[str, Any]:
    return upgrade(hub).report


def _script(hub: Hub, name: str) -> None:
    text = Path(__file__).with_name(name).read_text()
    hub.exec(["sh", "-c", text, name, VERSION])


PROCEDURES = (
    Procedure("documented", "stop, pip install --upgrade twice, upgrade-db, start", _nothing, _documented),
    Procedure("shell", "stop, cp, mv of staged environments, upgrade-db, start", _stage, _shell),
    Procedure("upgrade", "playbooks/upgrade.yml", _nothing, _upgrade, reports=True),
)
