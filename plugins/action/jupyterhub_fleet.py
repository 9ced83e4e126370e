"""Decides which hubs of a fleet are upgraded now; on the controller alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.newest import WORDS
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.status import Status
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import fleet
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils import fleets, reviewed_plans
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.facts import hand_on
from ansible_collections.hubops.jupyterhub.plugins.plugin_utils.screen import show


class ActionModule(ActionBase):
    """Needs nothing of the host that it is run for."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        try:
            decided = self._decided()
        except HubError as error:
            return {**result, "failed": True, "msg": str(error)}
        paused = self._paused()
        if paused and not decided.fleet.stopped:
            decided = replace(decided, batches=(), fleet=replace(decided.fleet, stopped=paused))
        if self._task.args.get("file") and not self._task.check_mode:
            fleets.keep(self._task.args["file"], decided.fleet)
        show(["", *_lines(decided)])
        known = {
            "hosts": [host for batch in decided.batches for host in batch],
            "serial": [len(batch) for batch in decided.batches],
            "may_fail": decided.may_fail,
            "stopped": decided.fleet.stopped,
            "not_before": decided.fleet.not_before,
        }
        hand_on(result, jupyterhub_fleet=known)
        result.update(changed=False, fleet=to_dict(decided.fleet), **known)
        if decided.fleet.stopped and not paused:
            result.update(failed=True, msg=decided.fleet.stopped)
        return result

    def _decided(self) -> fleet.Decision:
        given = self._task.args
        looked, plans = given["looked"], given.get("plans") or {}
        versions = {
            host: reviewed_plans.version(each, plans, host) for host, each in given["versions"].items()
        }
        _require_numbers(versions)
        batches = fleet.batches(list(versions), given.get("canaries") or [], _sizes(given.get("serial")))
        hubs = [
            replace(
                fleet.look(host, number, versions[host], _last(looked.get(host))),
                not_before=self._opens(host),
            )
            for number, batch in enumerate(batches, 1)
            for host in batch
        ]
        return fleet.decide(
            hubs,
            fleet.seconds(given.get("soak") or 0),
            float(given.get("max_fail_percentage") or 0),
            boolean(given.get("retry") or False),
            datetime.now(timezone.utc),
        )

    def _opens(self, host: str) -> str | None:
        """When the hub's window opens, where it is closed now. A dry run may be made at any time."""
        window = self._task.args.get("windows", {}).get(host)
        clock = self._task.args.get("clocks", {}).get(host)
        return fleet.opens(window, clock) if window and clock and not self._task.check_mode else None

    def _paused(self) -> str:
        file = self._task.args.get("pause_file")
        if not file or not Path(file).expanduser().exists():
            return ""
        return f"Paused: no further hub is begun while {file} exists."


def _sizes(serial: Any) -> Sequence[Any]:
    return serial if isinstance(serial, list) and serial else [serial or "25%"]


def _require_numbers(versions: dict[str, str]) -> None:
    without = [host for host, version in versions.items() if not version]
    if without:
        raise HubError(
            f"No version to upgrade to: {', '.join(without[:5])}.",
            'Set it in the inventory, in quotes: jupyterhub_version: "6.1.1".',
        )
    words = sorted({version for version in versions.values() if version in WORDS})
    if words:
        raise HubError(
            f"jupyterhub_version is {words[0]}, which may be another version for the next batch.",
            "Name the version for a fleet, or follow a plan that was reviewed: jupyterhub_plan=FILE.",
        )


def _last(looked: Any) -> list[fleet.LastRun] | None:
    if looked is None or looked is False:
        return None
    return [last for each in looked if (last := from_dict(Status, each).last)]


def _lines(decided: fleet.Decision) -> list[str]:
    known = decided.fleet
    lines = [fleet.summary(known)]
    lines += [f"Batch: {', '.join(batch)}" for batch in decided.batches]
    if known.not_before:
        lines.append(f"The next hubs begin not before {known.not_before}.")
    if known.stopped:
        lines.append(known.stopped)
    return lines
