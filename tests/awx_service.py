"""A stand-in of AWX's REST API: strict, and with nothing behind it, so that no job runs.

It takes the fields of each kind of object that AWX 24.6.1 takes, as its own API server has described them
(``OPTIONS``, recorded in ``awx_24_6_1.json``), and refuses any other, and other choices. Names are unique,
objects that are referred to exist, and what depends on an object is removed with it. A template needs a
project that was fetched, which takes until it is asked for again.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "token-of-the-administrator"
#: ``type``, ``required`` and ``choices`` of each field, by kind.
FIELDS: dict[str, dict[str, dict[str, Any]]] = json.loads(
    Path(__file__).with_name("awx_24_6_1.json").read_text()
)
_READ_ONLY = ("credentials", "notification_templates")
#: What it requires without describing that.
_REQUIRED = {
    "projects": {"organization"},
    "inventory_sources": {"source"},
    "job_templates": {"project", "playbook", "inventory"},
}
#: Fields that hold the number of another object, and what it may be.
_NUMBERS = {
    "organization": ("organizations",),
    "default_environment": ("execution_environments",),
    "execution_environment": ("execution_environments",),
    "project": ("projects",),
    "source_project": ("projects",),
    "inventory": ("inventories",),
    "workflow_job_template": ("workflow_job_templates",),
    "unified_job_template": ("job_templates", "workflow_job_templates"),
}
_LINKED = {
    "credentials": "credentials",
    "success_nodes": "workflow_job_template_nodes",
    "failure_nodes": "workflow_job_template_nodes",
    "notification_templates_approvals": "notification_templates",
    "notification_templates_error": "notification_templates",
}
_QUESTION = {
    *("question_name", "question_description", "variable", "type", "choices", "required"),
    *("min", "max"),
}
_TYPES = ("text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect")


class Refused(Exception):
    """A status and what AWX says with it."""


class Awx:
    """What it has: objects by number."""

    def __init__(self) -> None:
        self.objects: dict[int, dict[str, Any]] = {}
        self.surveys: dict[int, dict[str, Any]] = {}
        self.links: dict[tuple[int, str], list[int]] = {}
        self.requests: list[str] = []
        for kind, name in (("credentials", "hubs"), ("notification_templates", "chat")):
            self._add(kind, {"name": name})

    def passed(self, template: int) -> dict[str, Any]:
        """The variables that a job gets of whose survey nothing is answered: as AWX does it."""
        survey = self.surveys.get(template, {"spec": []})["spec"]
        return {each["variable"]: each["default"] for each in survey if each.get("default") is not None}

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.objects.values() if each["type"] == kind]

    def _add(self, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        number = max(self.objects, default=0) + 1
        self.objects[number] = {"id": number, "type": kind, **values}
        return self.objects[number]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """The status and the body of an answer."""
        self.requests.append(f"{method} {path}")
        kind, *rest = path.strip("/").split("/")
        if kind not in (*FIELDS, *_READ_ONLY):
            raise Refused(404, {"detail": "Not found."})
        if not rest:
            return self._list(kind, query) if method == "GET" else self._create(kind, body)
        number = int(rest[0])
        if self.objects.get(number, {}).get("type") != kind:
            raise Refused(404, {"detail": "Not found."})
        if len(rest) == 1:
            return self._one(method, kind, number, body)
        return self._below(method, number, rest[1], body)

    def _list(self, kind: str, query: dict[str, str]) -> tuple[int, Any]:
        found = [
            each
            for each in self.of(kind)
            if all(str(each.get(name, "")) == value for name, value in query.items())
        ]
        return 200, {"count": len(found), "next": None, "results": found}

    def _create(self, kind: str, body: dict[str, Any]) -> tuple[int, Any]:
        if kind in _READ_ONLY:
            raise Refused(405, {"detail": 'Method "POST" not allowed.'})
        described = {name for name, field in FIELDS[kind].items() if field.get("required")}
        missing = (described | _REQUIRED.get(kind, set())) - set(body)
        if missing:
            raise Refused(400, {name: ["This field is required."] for name in missing})
        self._check(kind, body)
        key = "identifier" if kind == "workflow_job_template_nodes" else "name"
        scope = {
            "inventory_sources": "inventory",
            "workflow_job_template_nodes": "workflow_job_template",
        }.get(kind)
        for each in self.of(kind):
            if each[key] == body.get(key) and (scope is None or each[scope] == body[scope]):
                raise Refused(400, {key: [f"{kind} with this {key} already exists."]})
        if kind == "job_templates" and self.objects[body["project"]]["status"] != "successful":
            raise Refused(400, {"playbook": ["Playbook not found for project."]})
        return 201, self._add(kind, {**body, "status": "pending"} if kind == "projects" else body)

    def _check(self, kind: str, body: dict[str, Any]) -> None:
        wrong = {name: "This field is not known." for name in body if name not in FIELDS[kind]}
        for name in body.keys() - wrong.keys():
            if body[name] not in FIELDS[kind][name].get("choices", [body[name]]):
                wrong[name] = f'"{body[name]}" is not a valid choice.'
        if wrong:
            raise Refused(400, {name: [why] for name, why in wrong.items()})
        for name, kinds in _NUMBERS.items():
            if body.get(name) is not None and self.objects.get(body[name], {}).get("type") not in kinds:
                raise Refused(400, {name: [f'Invalid pk "{body[name]}" - object does not exist.']})

    def _one(self, method: str, kind: str, number: int, body: Any) -> tuple[int, Any]:
        if method == "DELETE":
            self._remove(number)
            return 204, None
        if method == "PATCH":
            self._check(kind, body)
            self.objects[number].update(body)
        found = dict(self.objects[number])
        if kind == "projects":
            # It is fetched meanwhile, unless its address leads nowhere.
            self.objects[number]["status"] = "failed" if "nowhere" in found["scm_url"] else "successful"
        return 200, found

    def _remove(self, number: int) -> None:
        del self.objects[number]
        for each in list(self.objects.values()):
            if each["id"] in self.objects and any(each.get(name) == number for name in _NUMBERS):
                self._remove(each["id"])

    def _below(self, method: str, number: int, what: str, body: Any) -> tuple[int, Any]:
        if what == "survey_spec":
            if method == "POST":
                self.surveys[number] = _survey(body)
            return 200, self.surveys.get(number, {})
        if what == "create_approval_template":
            if set(body) - {"name", "description", "timeout"}:
                raise Refused(400, {"detail": "Unknown field."})
            made = self._add("workflow_approval_templates", body)
            self.objects[number]["unified_job_template"] = made["id"]
            return 201, made
        if what not in _LINKED:
            raise Refused(404, {"detail": "Not found."})
        linked = self.links.setdefault((number, what), [])
        if method == "POST":
            if self.objects.get(body["id"], {}).get("type") != _LINKED[what]:
                raise Refused(400, {"id": ["Object does not exist."]})
            linked.append(body["id"])
            return 204, None
        return 200, {"results": [self.objects[each] for each in linked if each in self.objects]}


def _survey(body: dict[str, Any]) -> dict[str, Any]:
    if set(body) != {"name", "description", "spec"} or not body["spec"]:
        raise Refused(400, {"error": "name, description and a spec with questions are required."})
    for question in body["spec"]:
        wrong = set(question) - {"default"} != _QUESTION or question["type"] not in _TYPES
        if wrong or (question["type"] == "multiplechoice" and not question["choices"]):
            raise Refused(400, {"error": f"Question {question} is not valid."})
    return body


@contextlib.contextmanager
def serving(awx: Awx) -> Iterator[str]:
    """The address of an AWX, without the API's path."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise Refused(401, {"detail": "Authentication credentials were not provided."})
                if not asked.path.startswith("/api/v2/"):
                    raise Refused(404, {"detail": "Not found."})
                path = asked.path[len("/api/v2/") :]
                status, answer = awx.answer(self.command, path, dict(parse_qsl(asked.query)), body)
            except Refused as refused:
                status, answer = refused.args
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
