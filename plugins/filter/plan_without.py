# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Callable

from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import LeftOut
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.findings.environments import (
    ENVIRONMENT_LEFT_OUT,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict


def plan_without(plan: dict[str, Any], unable: Iterable[dict[str, str]]) -> dict[str, Any]:
    """The plan without environments that cannot be upgraded after all."""
    left_out = [from_dict(LeftOut, each) for each in unable]
    changed = from_dict(Plan, plan).without(left_out)
    findings = tuple(
        ENVIRONMENT_LEFT_OUT.found(f"{each.path} stays as it is. {each.why}") for each in left_out
    )
    return to_dict(replace(changed, findings=(*changed.findings, *findings)))


class FilterModule:
    """A plan that goes on without some environments."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_without": plan_without}
