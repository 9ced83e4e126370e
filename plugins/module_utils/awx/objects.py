"""What AWX needs for this collection, as data: objects of its API, in the order in which they are made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import HubError

#: How AWX names the days of a recurrence rule.
_DAYS = {"mon": "MO", "tue": "TU", "wed": "WE", "thu": "TH", "fri": "FR", "sat": "SA", "sun": "SU"}
#: Ansible's markup of descriptions, such as ``V(true)``.
_MARKUP = re.compile(r"\b[A-Z]\(([^)]*)\)")
#: The templates: playbook, what it does, and the variables that its survey asks for.
_OF_UPGRADES = (
    "jupyterhub_version",
    "jupyterhub_python",
    "jupyterhub_running_servers",
    "jupyterhub_database_sessions",
    "jupyterhub_environment_failures",
    "jupyterhub_verify_user",
    "jupyterhub_retry",
)
TEMPLATES = {
    "plan": ("Plans the upgrade and rehearses it on a copy. The hubs keep serving.", _OF_UPGRADES),
    "stage": ("Builds the new environments beside the old ones. The hubs keep serving.", _OF_UPGRADES[:2]),
    "upgrade": ("Upgrades the hubs, or restores the old ones.", _OF_UPGRADES),
    "fleet": ("Upgrades the hubs in batches, or continues where that stopped.", ("jupyterhub_version",)),
    "verify": ("Verifies the running hubs.", ()),
    "rollback": (
        "Undoes the last upgrade, or reports what would be lost, and stops.",
        ("jupyterhub_recovery_point", "jupyterhub_accept_loss"),
    ),
    "backup": ("Makes a recovery point while the hubs serve.", ()),
    "status": ("How the last run of each hub ended or stands. Only reads.", ()),
}
PLAN, UPGRADE, VERIFY, STATUS, ROLLBACK = "plan", "upgrade", "verify", "status", "rollback"
AGREE, GIVE_UP = "agree", "give up"
#: What follows in the workflow, by node: when it succeeds, when it fails.
FLOW = {
    PLAN: ((AGREE,), ()),
    AGREE: ((UPGRADE,), ()),
    # The host has restored the old hub by itself, or nothing was changed: there is nothing to roll back.
    UPGRADE: ((VERIFY,), (STATUS,)),
    VERIFY: ((), (GIVE_UP,)),
    GIVE_UP: ((ROLLBACK,), ()),
    STATUS: ((), ()),
    ROLLBACK: ((), ()),
}
APPROVALS = {
    AGREE: (
        "Agree to the plan",
        "The plan is in the output of the job before. The upgrade refuses any other one.",
    ),
    GIVE_UP: ("Roll back", "The verification failed. What users have written since the upgrade is lost."),
}


@dataclass(frozen=True)
class Reference:
    """Another object, by its kind and name; its number is known only once it is there."""

    kind: str
    name: str


@dataclass(frozen=True)
class Thing:
    """One object of AWX: ``kind`` is its endpoint, ``fields`` what is set of it."""

    kind: str
    name: str
    fields: dict[str, Any]
    """A value may be a `Reference`."""
    within: tuple[str, ...] = ()
    """Fields that its name is unique within; none where there is one of that name."""
    key: str = "name"
    survey: tuple[dict[str, Any], ...] = ()
    linked: dict[str, tuple[Reference, ...]] = field(default_factory=dict)
    """Objects that are associated with it, by the endpoint below its own."""
    updated: bool = False
    """Whether AWX fetches something for it, which objects that refer to it need."""
    approval: tuple[str, str] | None = None
    """Name and description, where a node of a workflow waits for a person."""


@dataclass(frozen=True)
class Settings:
    """What a site decides; the options of the module ``jupyterhub_awx`` say what each means."""

    organization: str
    image: str
    project_url: str
    project_branch: str
    inventory_path: str
    credential: str
    notification: str
    window: dict[str, Any]
    time_zone: str
    prefix: str


def things(settings: Settings, questions: dict[str, dict[str, Any]]) -> list[Thing]:
    """All of them; each refers only to earlier ones. ``questions`` are those of surveys, by variable."""
    organization = Reference("organizations", settings.organization)
    environment = Reference("execution_environments", settings.prefix)
    project = Reference("projects", settings.prefix)
    inventory = Reference("inventories", settings.prefix)
    return [
        Thing("organizations", settings.organization, {}),
        Thing(
            "execution_environments",
            settings.prefix,
            {"image": settings.image, "organization": organization, "pull": "missing"},
        ),
        Thing("credential_types", f"{settings.prefix} secrets", _secrets()),
        Thing(
            "projects",
            settings.prefix,
            {
                "organization": organization,
                "scm_type": "git",
                "scm_url": settings.project_url,
                "scm_branch": settings.project_branch,
                "scm_update_on_launch": True,
                "default_environment": environment,
            },
            within=("organization",),
            # A template of a playbook that AWX has not fetched yet is refused.
            updated=True,
        ),
        Thing("inventories", settings.prefix, {"organization": organization}, within=("organization",)),
        Thing(
            "inventory_sources",
            settings.prefix,
            {
                "inventory": inventory,
                "source": "scm",
                "source_project": project,
                "source_path": settings.inventory_path,
                "overwrite": True,
                "update_on_launch": True,
            },
            within=("inventory",),
        ),
        *(
            _template(settings, playbook, what, _asked(names, questions))
            for playbook, (what, names) in TEMPLATES.items()
        ),
        _workflow(settings, organization, inventory, _asked(("jupyterhub_version",), questions)),
        *_nodes(settings),
        *_schedules(settings),
    ]


def _secrets() -> dict[str, Any]:
    """A type of credentials for what must be in no survey, since that is in the job's record."""
    names = {
        "jupyterhub_database_url": "New database of a move",
        "jupyterhub_database_admin_url": "Database of a role that makes copies",
        "jupyterhub_index_url": "Package index with its password",
    }
    fields = [{"id": name, "label": label, "type": "string", "secret": True} for name, label in names.items()]
    injected = {name: f"{{{{ {name} }}}}" for name in names}
    return {"kind": "cloud", "inputs": {"fields": fields}, "injectors": {"extra_vars": injected}}


def _template(settings: Settings, playbook: str, what: str, survey: tuple[dict[str, Any], ...]) -> Thing:
    credentials = (Reference("credentials", settings.credential),) if settings.credential else ()
    return Thing(
        "job_templates",
        f"{settings.prefix}: {playbook}",
        {
            "description": what,
            "job_type": "run",
            "inventory": Reference("inventories", settings.prefix),
            "project": Reference("projects", settings.prefix),
            "playbook": f"{playbook}.yml",
            "execution_environment": Reference("execution_environments", settings.prefix),
            "ask_limit_on_launch": True,
            "survey_enabled": bool(survey),
        },
        survey=survey,
        linked={"credentials": credentials},
    )


def _workflow(
    settings: Settings, organization: Reference, inventory: Reference, survey: tuple[dict[str, Any], ...]
) -> Thing:
    told = (Reference("notification_templates", settings.notification),) if settings.notification else ()
    return Thing(
        "workflow_job_templates",
        _workflow_name(settings),
        {
            "description": "Plan, approval, upgrade of what was agreed to, verification.",
            "organization": organization,
            "inventory": inventory,
            "ask_limit_on_launch": True,
            "survey_enabled": True,
        },
        survey=survey,
        linked={"notification_templates_approvals": told, "notification_templates_error": told},
    )


def _workflow_name(settings: Settings) -> str:
    return f"{settings.prefix}: upgrade after approval"


def _nodes(settings: Settings) -> Iterable[Thing]:
    """The nodes of the workflow, the last ones first, since each refers to those that follow it."""
    workflow = Reference("workflow_job_templates", _workflow_name(settings))
    for name in reversed(_in_order()):
        success, failure = FLOW[name]
        fields: dict[str, Any] = {"workflow_job_template": workflow}
        if name not in APPROVALS:
            fields["unified_job_template"] = Reference("job_templates", f"{settings.prefix}: {name}")
        if name == ROLLBACK:
            fields["extra_data"] = {"jupyterhub_accept_loss": "true"}
        yield Thing(
            "workflow_job_template_nodes",
            name,
            fields,
            within=("workflow_job_template",),
            key="identifier",
            linked={
                "success_nodes": tuple(Reference("workflow_job_template_nodes", each) for each in success),
                "failure_nodes": tuple(Reference("workflow_job_template_nodes", each) for each in failure),
            },
            approval=APPROVALS.get(name),
        )


def _in_order() -> list[str]:
    """The nodes, each before those that follow it."""
    found: list[str] = []
    left = [PLAN]
    while left:
        name = left.pop(0)
        found.append(name)
        left += [each for branch in FLOW[name] for each in branch]
    return found


def _schedules(settings: Settings) -> Iterable[Thing]:
    """The fleet, whenever the agreed window opens."""
    if settings.window:
        yield Thing(
            "schedules",
            f"{settings.prefix}: fleet in its window",
            {
                "unified_job_template": Reference("job_templates", f"{settings.prefix}: fleet"),
                "rrule": rrule(settings.window, settings.time_zone),
                "enabled": True,
            },
        )


def rrule(window: dict[str, Any], time_zone: str) -> str:
    """When a window opens, as AWX's schedules have it. Raises HubError for one that is none."""
    start = str(window.get("start", ""))
    days = [str(day) for day in window.get("days") or _DAYS]
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", start) or not set(days) <= set(_DAYS):
        raise HubError(f"{window} is no window.", 'It is like {days: [sat, sun], start: "22:00", hours: 4}.')
    named = ",".join(code for day, code in _DAYS.items() if day in days)
    # The first day does not matter, but must stay the same: a schedule that has not changed is left as it is.
    return (
        f"DTSTART;TZID={time_zone}:20260101T{start.replace(':', '')}00 "
        f"RRULE:FREQ=WEEKLY;INTERVAL=1;BYDAY={named}"
    )


def _asked(names: Iterable[str], questions: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(questions[name] for name in names if name in questions)


def questions(specs: Iterable[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Questions of surveys, by variable, made from roles' ``(options, defaults)``.

    ``options`` are those of an argument spec; ``defaults`` say which of the playbooks' variables each is
    taken from. Answers are texts, so no lists and mappings are asked for: they belong into the inventory.
    """
    found: dict[str, dict[str, Any]] = {}
    for options, defaults in specs:
        for name, option in options.items():
            taken = re.match(r"\{\{ (jupyterhub_\w+) \| default\((.*?)\) \}\}$", str(defaults.get(name, "")))
            if taken and option["type"] in ("str", "bool", "int", "path"):
                variable, default = taken.groups()
                found.setdefault(variable, _question(variable, option, default.strip("'\"")))
    return found


def _question(variable: str, option: dict[str, Any], default: str) -> dict[str, Any]:
    choices = [str(each) for each in option.get("choices", [])]
    if option["type"] == "bool":
        choices = ["true", "false"]
    described = option["description"]
    text = described if isinstance(described, str) else " ".join(described)
    kind = "multiplechoice" if choices else "integer" if option["type"] == "int" else "text"
    explained = [_MARKUP.sub(r"\1", text)]
    if default:
        explained.append(f"Not answered: as the inventory says, else {default}.")
    # Without a "default": AWX would pass that to each job, in the place of what the inventory says.
    return {
        "question_name": variable,
        "question_description": " ".join(explained),
        "variable": variable,
        "type": kind,
        "choices": choices,
        "required": False,
        "min": 0,
        "max": 1024 if kind == "text" else 10**9,
    }
