"""RETURN of a module documents all fields of a shape, with samples that fit."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any

import pytest
import yaml
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.rebuilding import Rebuilt
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    IntermediateVersion,
    PlannedEnvironment,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.finding import Finding
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.catalogue import (
    Comparison,
    ListedPoint,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.status import Status
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import (
    Release,
    Server,
    Volume,
)

MODULES = "ansible_collections.hubops.jupyterhub.plugins.modules"


def documented(module: str, *path: str) -> dict[str, Any]:
    """``contains`` of a value that a module returns, or of one within it."""
    found = yaml.safe_load(importlib.import_module(f"{MODULES}.{module}").RETURN)
    for name in path:
        found = found[name]["contains"]
    return dict(found)


def sample(contains: dict[str, Any]) -> dict[str, Any]:
    """The value that the samples make together."""
    return {name: _sample(value) for name, value in contains.items()}


def _sample(value: dict[str, Any]) -> Any:
    if "contains" not in value:
        return value["sample"]
    return [sample(value["contains"])] if value["type"] == "list" else sample(value["contains"])


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        (Plan, ("jupyterhub_plan", "plan")),
        (PlannedEnvironment, ("jupyterhub_plan", "plan", "environments")),
        (IntermediateVersion, ("jupyterhub_plan", "plan", "intermediate_versions")),
        (Finding, ("jupyterhub_plan", "plan", "findings")),
        (Finding, ("jupyterhub_rehearse", "findings")),
        (ListedPoint, ("recovery_point_info", "points")),
        (Comparison, ("recovery_point_info", "comparison")),
        (Status, ("jupyterhub_status", "hubs")),
        (redeployment.Plan, ("qhub_info", "plan")),
        (redeployment.PlannedStep, ("qhub_info", "plan", "steps")),
        (Finding, ("qhub_info", "plan", "findings")),
        (Rebuilt, ("jupyterhub_rebuild", "environments")),
        (Release, ("z2jh_info", "release")),
        (Volume, ("z2jh_info", "release", "volumes")),
        (Server, ("z2jh_info", "release", "servers")),
        (Finding, ("z2jh_plan", "plan", "findings")),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else value.__name__,
)
def test_what_a_module_returns_is_documented_field_by_field(shape: Any, where: tuple[str, ...]) -> None:
    contains = documented(*where)

    assert list(contains) == [field.name for field in fields(shape)]
    assert to_dict(from_dict(shape, sample(contains))) == sample(contains)
