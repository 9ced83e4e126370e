"""What is left to say at the end of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..deployment.lifecycle import downtime

#: The phases of an upgrade in their order.
PHASES = (
    "find",
    "plan",
    "stage",
    "rehearse",
    "backup",
    "guard",
    "stop",
    "final backup",
    "roll back",
    "switch",
    "migrate",
    "start",
    "verify",
    "accept",
    "restore",
)

#: What a module may have seen that somebody should read.
TOLD = ("errors", "access", "unrecognized", "deprecated")


def compose(
    results: dict[str, dict[str, Any]],
    deployment: dict[str, Any],
    plan: dict[str, Any],
    recovery_point: str,
    failure: dict[str, Any],
    check: bool = False,
) -> dict[str, Any]:
    """The report of one run, or in check mode (``check``) of one that was only tried out.

    ``results`` has what the module of each phase returned, by the phase's name; phases that were not reached
    are left out. ``failure`` is ``{task, reason}``, or empty.

    The shape: ``{outcome, check, service, from_version, to_version, downtime_seconds, phases, backup,
    warnings, failure, conclusion}``, phases being ``[{name, seconds, result}]``. ``downtime_seconds`` goes
    from the word to stop to the first answer, and is None where none came or the host's clock was set back.
    ``conclusion`` is a sentence for people.
    """
    reached = [name for name in PHASES if results.get(name) and not results[name].get("skipped")]
    outcome = _outcome(results, plan, failure)
    return {
        "outcome": outcome,
        "check": check,
        "service": deployment.get("service", {}).get("name"),
        "from_version": deployment.get("hub_environment", {}).get("jupyterhub"),
        "to_version": plan.get("to_version"),
        "downtime_seconds": _downtime(results),
        "phases": [
            {"name": name, "seconds": results[name].get("seconds"), "result": _result(results[name])}
            for name in reached
        ],
        "backup": recovery_point or None,
        "warnings": _warnings(results, deployment, plan),
        "failure": failure or None,
        "conclusion": _conclusion(outcome, check, results, deployment, plan, recovery_point),
    }


def _outcome(results: dict[str, dict[str, Any]], plan: dict[str, Any], failure: dict[str, Any]) -> str:
    if _ended(results) == "old":
        return "restored" if failure else "rolled back"
    if failure and _ended(results) != "new":
        return "failed"
    return "unchanged" if plan.get("action") == "nothing" else "upgraded"


def _ended(results: dict[str, dict[str, Any]]) -> str:
    """Which hub serves in the end, as far as that was decided: ``old``, ``new``, ``unchanged`` or ''."""
    outcomes = [results.get(name, {}).get("outcome", {}) for name in ("restore", "accept")]
    return next((str(outcome["ended"]) for outcome in outcomes if outcome), "")


def _conclusion(
    outcome: str,
    check: bool,
    results: dict[str, dict[str, Any]],
    deployment: dict[str, Any],
    plan: dict[str, Any],
    recovery_point: str,
) -> str:
    """What the hub is like now, and what is to be done."""
    old = deployment.get("hub_environment", {}).get("jupyterhub")
    if outcome == "upgraded" and check:
        return f"Nothing was changed: JupyterHub {old} would become {plan['to_version']}."
    if outcome == "upgraded":
        return f"JupyterHub {old} has become {plan['to_version']}."
    if outcome == "unchanged":
        return f"JupyterHub {old} was left as it is."
    restore = results.get("restore", {})
    if outcome == "rolled back":
        return f"JupyterHub {old} has been taken back to {results['roll back']['version']}."
    if outcome == "restored":
        end = restore.get("outcome", {})
        guarded = ""
        if end.get("by") == "the guard":
            guarded = (
                f" The guard on the host has seen to that: {end.get('reason')}. "
                "What this run did afterwards came too late."
            )
        return (
            f"JupyterHub {end.get('version', old)} serves again as before.{guarded} "
            f"What the attempt left is in {recovery_point}/replaced."
        )
    if not restore.get("failed"):
        return "Nothing was changed."
    if not results.get("stop"):
        return (
            f"Nothing was changed. That this run is over could not be recorded: {restore.get('msg', '')} "
            "Fix that and run the playbook again: it says so then."
        )
    stopped = results.get("stop", {}).get("stopped_at") is not None
    left = "The hub is down, and kept down, because it" if stopped else "The users' environments"
    return (
        f"{left} could not be put back either: {restore.get('msg', '')} "
        "The guard on the host tries that again. When the reason is fixed, do it on the host with: "
        f"python3 {Path(recovery_point).parent.parent}/guard restore - or from here with: "
        "ansible HOST -m hubops.jupyterhub.recovery_point "
        f"-a 'state=restored path={recovery_point}'"
    )


def _downtime(results: dict[str, dict[str, Any]]) -> float | None:
    """Seconds without a hub: 0 where it was never stopped, None where it never came back or nobody knows."""
    stopped = results.get("stop", {}).get("stopped_at")
    if stopped is None:
        return 0.0
    ends = [results.get("restore", {}).get("outcome"), results.get("roll back"), results.get("start")]
    answered = next((end.get("answered_at") for end in ends if end), None)
    if answered is None or results.get("restore", {}).get("failed"):
        return None
    return downtime(stopped, answered)


def _result(result: dict[str, Any]) -> str:
    """``failed``, ``changed`` or ``ok``."""
    for word in ("failed", "changed"):
        if result.get(word):
            return word
    return "ok"


def _warnings(
    results: dict[str, dict[str, Any]], deployment: dict[str, Any], plan: dict[str, Any]
) -> list[str]:
    """Everything that somebody should read, each once."""
    said = list(deployment.get("config", {}).get("warnings", []))
    said += [finding["found"] for finding in plan.get("findings", []) if finding["severity"] == "warning"]
    for result in results.values():
        said += [line for kind in TOLD for line in result.get(kind) or []]
    return list(dict.fromkeys(said))
