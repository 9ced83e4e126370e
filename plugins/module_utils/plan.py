"""What an upgrade would do: a pure function of the deployment, the target and the policy."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from . import versions

MEBIBYTE = 1024 * 1024
#: A copied environment needs its own size again, and room for what is downloaded and compiled.
STAGING_RESERVE_BYTES = 400 * MEBIBYTE
#: A recovery point holds the database twice for a moment: the copy and the one that replaces it.
DATABASE_COPIES = 2


@dataclass(frozen=True)
class Finding:
    """Something an administrator should know before the upgrade."""

    id: str
    severity: str  # blocker, warning or note
    message: str
    mend: str = ""
    acceptable: bool = False


@dataclass(frozen=True)
class Target:
    """The release that is wanted, as its own metadata describes it.

    ``problem`` is set instead where it could not be had.
    """

    version: str
    requires_python: str = ""
    schema_head: str | None = None
    problem: Finding | None = None


@dataclass(frozen=True)
class Host:
    """What the plan has to know of the host besides the deployment."""

    root: bool
    user: str
    state_folder: str
    free_bytes: dict[str, int] = field(default_factory=dict)
    environment_bytes: dict[str, int] = field(default_factory=dict)
    not_writable: list[str] = field(default_factory=list)
    python_versions: dict[str, str] = field(default_factory=dict)
    installed: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """What the administrator decided."""

    strategy: str = "auto"  # auto or in_place
    python: str = ""  # interpreter for the new environments, '' keeps the old one
    packages: list[str] = field(default_factory=list)
    user_packages: list[str] = field(default_factory=list)
    accept: list[str] = field(default_factory=list)


def make_plan(deployment: dict[str, Any], target: Target, host: Host, policy: Policy) -> dict[str, Any]:
    """The plan, in the shape that docs/architecture.md describes."""
    current = str(deployment["hub_environment"]["jupyterhub"])
    migrate = _migrate(deployment, target)
    environments = [
        _environment_plan(entry, deployment, target, host, policy)
        for entry in _environments(deployment)
        if _missing(entry, target, host, policy)
    ]
    upgrade = bool(environments) or bool(migrate)
    outage = bool(migrate) or any(entry["role"] != "user" for entry in environments)
    findings = _judged(_findings(deployment, target, host, policy, environments, upgrade), policy.accept)
    action = "upgrade" if upgrade else "nothing"
    plan = {
        "from_version": current,
        "to_version": target.version,
        "action": action,
        "outage": outage and upgrade,
        "environments": environments,
        "migrate": migrate if upgrade else False,
        "state_folder": host.state_folder,
        "recovery_point_folder": f"{host.state_folder}/recovery",
        "bytes_needed": _bytes_needed(deployment, host, environments),
        "findings": [asdict(finding) for finding in findings],
    }
    plan["steps"] = _steps(deployment, plan)
    return plan


def blockers(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings that forbid the upgrade."""
    return [finding for finding in plan["findings"] if finding["severity"] == "blocker"]


def _environments(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """Every environment with the part it plays: ``hub``, ``user`` or ``both``."""
    hub = deployment["hub_environment"]
    users = deployment["user_environments"]
    spawner_command = (deployment["spawner"]["command"] or [""])[0]
    shared = not users or spawner_command.startswith(hub["path"].rstrip("/") + "/")
    return [{**hub, "role": "both" if shared else "hub"}, *({**user, "role": "user"} for user in users)]


def _missing(environment: dict[str, Any], target: Target, host: Host, policy: Policy) -> list[str]:
    """Those requirements that the environment does not fulfil today."""
    installed = host.installed.get(environment["path"], environment["packages"])
    return [
        requirement
        for requirement in _requirements(environment, target, policy)
        if not _fulfils(installed, requirement)
    ]


def _fulfils(installed: dict[str, str], requirement: str) -> bool:
    """Whether ``name[extras]specifiers`` (PEP 508, without marker or address) is installed."""
    match = re.fullmatch(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*([^;@]*)", requirement)
    if match is None:
        return False
    name, specifiers = re.sub(r"[-_.]+", "-", match[1]).lower(), match[2]
    return name in installed and versions.satisfies(installed[name], specifiers)


def _requirements(environment: dict[str, Any], target: Target, policy: Policy) -> list[str]:
    """What has to be in an environment: the target, and the packages that go along in its role."""
    requirements = [f"jupyterhub=={target.version}"]
    if environment["role"] in ("hub", "both"):
        requirements += policy.packages
    if environment["role"] in ("user", "both"):
        requirements += policy.user_packages
    return list(dict.fromkeys(requirements))


def _migrate(deployment: dict[str, Any], target: Target) -> bool | None:
    """Whether the schema changes; None where that is not known before the target is on the host."""
    revision = deployment["database"]["revision"]
    if revision is None or target.schema_head is None:
        return None if target.version != deployment["hub_environment"]["jupyterhub"] else False
    return bool(revision != target.schema_head)


def _environment_plan(
    environment: dict[str, Any], deployment: dict[str, Any], target: Target, host: Host, policy: Policy
) -> dict[str, Any]:
    """How one environment gets to the target."""
    path = environment["path"].rstrip("/")
    return {
        "path": path,
        "role": environment["role"],
        "strategy": _strategy(path, host, policy),
        "python": policy.python or environment["python"],
        "staged_path": f"{path}.staged-{target.version}",
        "jupyterhub": environment["jupyterhub"],
        "requirements": _requirements(environment, target, policy),
        "imports": [] if environment["role"] == "user" else _company(deployment),
    }


def _company(deployment: dict[str, Any]) -> list[str]:
    """The modules of proxy, spawner and authenticator that packages hold: the new hub imports them."""
    parts = [deployment[part] for part in ("proxy", "spawner", "authenticator")]
    return sorted({part["class"].rpartition(".")[0] for part in parts if part["package"]})


def _strategy(path: str, host: Host, policy: Policy) -> str:
    """``rebuild`` for another interpreter, ``in_place`` when asked or short of room, else ``copy``."""
    if policy.strategy == "in_place":
        return "in_place"
    if policy.python:
        return "rebuild"
    parent = path.rpartition("/")[0] or "/"
    room = host.free_bytes.get(parent)
    short = room is not None and room < host.environment_bytes.get(path, 0) + STAGING_RESERVE_BYTES
    return "in_place" if short else "copy"


def _bytes_needed(
    deployment: dict[str, Any], host: Host, environments: list[dict[str, Any]]
) -> dict[str, int]:
    """Bytes that the upgrade takes, by folder."""
    needed: dict[str, int] = {}
    for entry in environments:
        parent = entry["path"].rpartition("/")[0] or "/"
        size = 0 if entry["strategy"] == "in_place" else host.environment_bytes.get(entry["path"], 0)
        needed[parent] = needed.get(parent, 0) + size + STAGING_RESERVE_BYTES
    database = deployment["database"]
    folders = [host.state_folder]
    if database["path"]:
        # The journal of the migration, and the copy that a restore puts in its place.
        folders.append(database["path"].rpartition("/")[0] or "/")
    for folder in folders:
        needed[folder] = needed.get(folder, 0) + int(database["bytes"] or 0) * DATABASE_COPIES
    return needed


def _findings(
    deployment: dict[str, Any],
    target: Target,
    host: Host,
    policy: Policy,
    environments: list[dict[str, Any]],
    upgrade: bool,
) -> list[Finding]:
    """Everything that can be told by reading, in the order in which an administrator would look."""
    found = [
        *_version_findings(deployment, target),
        *_database_findings(deployment),
        *_single_user_findings(deployment),
    ]
    if upgrade:
        found += _service_findings(deployment)
        found += _environment_findings(deployment, target, host, policy, environments)
        found += _host_findings(deployment, host, environments)
    return found


def _version_findings(deployment: dict[str, Any], target: Target) -> list[Finding]:
    if target.problem:
        return [target.problem]
    current = str(deployment["hub_environment"]["jupyterhub"])
    if versions.parse_release(target.version) < versions.parse_release(current):
        return [
            Finding(
                "downgrade",
                "blocker",
                f"The hub runs JupyterHub {current}, which is newer than {target.version}.",
                "A database cannot be migrated back, so an upgrade never goes down. Name a newer version.",
            )
        ]
    problem = versions.known_problem(versions.parse_release(target.version))
    return [Finding("known-bad-target", "warning", problem)] if problem else []


def _database_findings(deployment: dict[str, Any]) -> list[Finding]:
    database = deployment["database"]
    if database["kind"] != "sqlite":
        return [
            Finding(
                "database-not-supported",
                "blocker",
                f"The database {database['url']} is not SQLite; others cannot be backed up yet.",
            )
        ]
    if not database["exists"]:
        return [
            Finding(
                "database-missing",
                "blocker",
                f"The hub's database {database['path']} does not exist.",
                "Check db_url, and the working directory of the service that it is relative to.",
            )
        ]
    if database.get("problem"):
        return [
            Finding(
                "database-not-readable",
                "blocker",
                f"The hub's database {database['path']} cannot be used: {database['problem']}",
                "Nothing can be migrated safely before this is mended.",
            )
        ]
    return []


def _single_user_findings(deployment: dict[str, Any]) -> list[Finding]:
    """An environment whose servers do not go with the hub that runs today."""
    hub = str(deployment["hub_environment"]["jupyterhub"])
    found = []
    for user in deployment["user_environments"]:
        if user["jupyterhub"] is None:
            found.append(
                Finding(
                    "no-jupyterhub-for-users",
                    "warning",
                    f"{user['path']} has no jupyterhub: single-user servers cannot start from it.",
                    "It is installed there with the upgrade.",
                )
            )
        elif user["jupyterhub"] != hub:
            found.append(
                Finding(
                    "version-mismatch",
                    "warning",
                    f"{user['path']} has jupyterhub {user['jupyterhub']}, the hub {hub}.",
                    "The upgrade brings both to the same version.",
                )
            )
    return found


def _service_findings(deployment: dict[str, Any]) -> list[Finding]:
    service = deployment["service"]
    if service["state"] == "running":
        return []
    return [
        Finding(
            "hub-not-running",
            "blocker",
            f"The hub's service {service['name']} is {service['state']}, so it cannot be seen to work.",
            "Start it and see that it serves; or accept: jupyterhub_accept: [hub-not-running].",
            acceptable=True,
        )
    ]


def _environment_findings(
    deployment: dict[str, Any],
    target: Target,
    host: Host,
    policy: Policy,
    environments: list[dict[str, Any]],
) -> list[Finding]:
    found = []
    known = {entry["path"].rstrip("/"): entry for entry in _environments(deployment)}
    for entry in environments:
        environment = known[entry["path"]]
        if environment["kind"] != "venv":
            found.append(
                Finding(
                    "environment-not-supported",
                    "blocker",
                    f"{entry['path']} is a {environment['kind']} environment; only venvs can be staged yet.",
                    "Move the hub into a venv of its own.",
                )
            )
        python = host.python_versions.get(policy.python) if policy.python else environment["python_version"]
        if policy.python and not python:
            found.append(
                Finding(
                    "no-such-python",
                    "blocker",
                    f"The interpreter {policy.python} does not exist on the host or does not run.",
                    "Name another one in jupyterhub_python.",
                )
            )
        elif target.requires_python and not versions.satisfies(str(python), target.requires_python):
            found.append(
                Finding(
                    "python-too-old",
                    "blocker",
                    f"JupyterHub {target.version} needs Python {target.requires_python}, "
                    f"{entry['path']} has {python}.",
                    "Name a newer interpreter of the host in jupyterhub_python.",
                )
            )
    return found


def _host_findings(
    deployment: dict[str, Any], host: Host, environments: list[dict[str, Any]]
) -> list[Finding]:
    found = []
    if deployment["service"]["manager"] == "systemd" and not host.root:
        found.append(
            Finding(
                "no-permission",
                "blocker",
                f"Stopping {deployment['service']['name']} needs root, and this runs as {host.user}.",
                "Become root: ansible-playbook --become, or ansible_become: true in the inventory.",
            )
        )
    for path in host.not_writable:
        found.append(
            Finding(
                "not-writable",
                "blocker",
                f"{path} is not writable for {host.user}.",
                "Become the user who owns it: ansible-playbook --become, or mend its mode.",
            )
        )
    for folder, needed in _bytes_needed(deployment, host, environments).items():
        free = host.free_bytes.get(folder)
        if free is not None and free < needed:
            found.append(
                Finding(
                    "no-space",
                    "blocker",
                    f"{folder} has {free // MEBIBYTE} MiB free, "
                    f"the upgrade needs {-(-needed // MEBIBYTE)} MiB there.",
                    "Make room, or name another place for recovery points in jupyterhub_state_folder.",
                )
            )
    for entry in environments:
        if entry["strategy"] == "in_place":
            found.append(
                Finding(
                    "in-place",
                    "warning",
                    f"{entry['path']} is upgraded in place, so the outage includes the installation.",
                    "Make room beside it, or leave out jupyterhub_environment_strategy.",
                )
            )
    return found


def _judged(findings: list[Finding], accepted: list[str]) -> list[Finding]:
    """Accepted blockers become warnings, where they may be; blockers come first."""
    judged = [
        Finding(finding.id, "warning", finding.message, finding.mend, True)
        if finding.acceptable and finding.id in accepted
        else finding
        for finding in findings
    ]
    order = {"blocker": 0, "warning": 1, "note": 2}
    return sorted(judged, key=lambda finding: order[finding.severity])


def _steps(deployment: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """The plan as sentences."""
    if plan["action"] == "nothing":
        return [f"Nothing: the hub and its users' environments have JupyterHub {plan['to_version']}."]
    service = deployment["service"]["name"]
    steps = []
    for entry in plan["environments"]:
        if entry["strategy"] != "in_place":
            steps.append(f"Stage {', '.join(entry['requirements'])} in {entry['staged_path']}.")
    steps.append(f"Make a recovery point in {plan['recovery_point_folder']}.")
    if plan["outage"]:
        steps.append(f"Stop {service} and keep it down. The outage begins.")
        steps.append(f"Back up {deployment['database']['path']} once more.")
    steps += [f"Upgrade {path} in place." for path in _paths(plan, in_place=True)]
    if plan["migrate"] is not False:
        steps.append(f"Migrate {deployment['database']['path']}.")
    steps += [f"Exchange {path} with the staged one." for path in _paths(plan, in_place=False)]
    if plan["outage"]:
        steps.append(f"Start {service}. The outage ends when it answers as {plan['to_version']}.")
    steps.append("Verify the hub; if anything has failed, restore all of the above and start the old hub.")
    return steps


def _paths(plan: dict[str, Any], in_place: bool) -> list[str]:
    """The environments that are upgraded in place, or those that are not."""
    return [entry["path"] for entry in plan["environments"] if (entry["strategy"] == "in_place") == in_place]
