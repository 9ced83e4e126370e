"""Makes AWX have the objects that it should have, or none of them, over its REST API."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Callable
from urllib.parse import urlencode

from ..errors import HubError
from .objects import Reference, Thing

#: How long AWX may take to fetch a project.
UPDATE_SECONDS = 600
_UNDER_WAY = ("new", "pending", "waiting", "running", "never updated")
#: A request: method, path below the API's own, body; what was answered, None for nothing.
Call = Callable[[str, str, Any], Any]


def present(call: Call, things: Sequence[Thing], check: bool = False) -> list[str]:
    """Make or change what is not as it should be; what was, or with ``check`` would be, as ``kind: name``.

    Fields that are not named are left as they are. Raises HubError for what is refused, or missing.
    """
    known = _Known(call, check)
    changed = []
    for thing in things:
        if _present(call, known, thing, check):
            changed.append(f"{thing.kind}: {thing.name}")
    return changed


def absent(call: Call, things: Sequence[Thing], keep: Sequence[str], check: bool = False) -> list[str]:
    """Remove them, the last ones first, but for those of the kinds ``keep``."""
    known = _Known(call, check=True)
    removed = []
    for thing in reversed([each for each in things if each.kind not in keep]):
        found = known.find(thing)
        if found:
            removed.append(f"{thing.kind}: {thing.name}")
            if not check:
                call("DELETE", f"{thing.kind}/{found['id']}/", None)
    return removed


class _Known:
    """The numbers of objects, asked for once."""

    def __init__(self, call: Call, check: bool) -> None:
        self._call = call
        self._check = check
        self._ids: dict[Reference, int] = {}

    def learn(self, thing: Thing, number: int) -> None:
        self._ids[Reference(thing.kind, thing.name)] = number

    def id(self, reference: Reference) -> int:
        """The number of an object; 0 for one that is only going to be made. Raises HubError for none."""
        if reference not in self._ids:
            query = urlencode({"name": reference.name})
            found = self._call("GET", f"{reference.kind}/?{query}", None)["results"]
            if not found and not self._check:
                raise HubError(
                    f"AWX has none of the {reference.kind} named {reference.name!r}.",
                    "Make it in AWX first, or name another one.",
                )
            self._ids[reference] = found[0]["id"] if found else 0
        return self._ids[reference]

    def resolved(self, value: Any) -> Any:
        return self.id(value) if isinstance(value, Reference) else value

    def find(self, thing: Thing) -> dict[str, Any] | None:
        """The object as AWX has it, None where it has none."""
        filters = {thing.key: thing.name}
        for name in thing.within:
            filters[name] = self.resolved(thing.fields[name])
            if not filters[name]:
                return None
        found = self._call("GET", f"{thing.kind}/?{urlencode(filters)}", None)["results"]
        if found:
            self.learn(thing, found[0]["id"])
        return found[0] if found else None


def _present(call: Call, known: _Known, thing: Thing, check: bool) -> bool:
    fields = {name: known.resolved(value) for name, value in thing.fields.items()}
    found = known.find(thing)
    differs = {name: value for name, value in fields.items() if not found or found.get(name) != value}
    changed = bool(differs) or not found
    if changed and check:
        return True
    if not found:
        made = call("POST", f"{thing.kind}/", {thing.key: thing.name, **fields})
        known.learn(thing, made["id"])
        found = made
    elif differs:
        call("PATCH", f"{thing.kind}/{found['id']}/", differs)
    path = f"{thing.kind}/{found['id']}/"
    if thing.updated and not check:
        _wait(call, path, thing)
    changed |= _approval(call, path, thing, found, check)
    changed |= _survey(call, path, thing, check)
    return _links(call, path, known, thing, check) or changed


def _wait(call: Call, path: str, thing: Thing) -> None:
    """Until AWX has fetched it. Raises HubError where it could not, or has not after `UPDATE_SECONDS`."""
    deadline = time.monotonic() + UPDATE_SECONDS
    while True:
        status = call("GET", path, None).get("status")
        if status == "successful":
            return
        if status not in _UNDER_WAY or time.monotonic() > deadline:
            raise HubError(
                f"AWX has not updated {thing.name!r} of its {thing.kind}: {status}.",
                "Its last job in AWX says why; correct that, or the address and the branch of the project.",
            )
        time.sleep(1)


def _approval(call: Call, path: str, thing: Thing, found: dict[str, Any], check: bool) -> bool:
    if thing.approval is None or found.get("unified_job_template"):
        return False
    name, description = thing.approval
    if not check:
        call("POST", f"{path}create_approval_template/", {"name": name, "description": description})
    return True


def _survey(call: Call, path: str, thing: Thing, check: bool) -> bool:
    if not thing.survey:
        return False
    wanted = {"name": "", "description": "", "spec": list(thing.survey)}
    if call("GET", f"{path}survey_spec/", None) == wanted:
        return False
    if not check:
        call("POST", f"{path}survey_spec/", wanted)
    return True


def _links(call: Call, path: str, known: _Known, thing: Thing, check: bool) -> bool:
    """Associate what is missing. What others have associated stays."""
    changed = False
    for endpoint, references in thing.linked.items():
        if not references:
            continue
        there = {each["id"] for each in call("GET", f"{path}{endpoint}/", None)["results"]}
        for number in (known.id(each) for each in references):
            if number not in there:
                changed = True
                if not check:
                    call("POST", f"{path}{endpoint}/", {"id": number})
    return changed
