"""Plans for tests that carry out what `make_plan` would have planned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.facts import DatabaseFacts
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import PlannedEnvironment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import (
    MOVE,
    UPGRADE,
    Move,
    Plan,
)


def planned_environment(path: Path, version: str, **changes: Any) -> PlannedEnvironment:
    """What takes the hub's environment at ``path`` to ``version`` by a copy, but for ``changes``."""
    entry = PlannedEnvironment(
        path=str(path),
        kind="venv",
        role="hub",
        strategy="copy",
        python=f"{path}/bin/python",
        staged_path=f"{path}.staged-{version}",
        jupyterhub="1.0.0",
        requirements=(f"jupyterhub=={version}",),
    )
    return replace(entry, **changes)


def plan_to(version: str, *environments: PlannedEnvironment) -> Plan:
    """A plan of an upgrade to ``version``."""
    return Plan(
        from_version="4.1.6",
        to_version=version,
        action=UPGRADE,
        outage=True,
        environments=environments,
        migrate=True,
        intermediate_versions=(),
        state_folder="/var/lib/hubops/jupyterhub",
        recovery_point_folder="/var/lib/hubops/jupyterhub/recovery",
        bytes_needed={},
        findings=(),
        steps=(),
    )


def move_to(url: str) -> Plan:
    """A plan of a move to a database with this masked URL."""
    move = Move(DatabaseFacts("postgresql", url), "/etc/jupyterhub/jupyterhub_config.py", "")
    return replace(plan_to("4.1.6"), action=MOVE, migrate=False, move=move)
