"""A small API server for the guard's program: it stands in for Kubernetes.

It has objects by path, with versions, and refuses what conflicts.

`tests/clusters` runs the same program in a real cluster.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Objects = dict[str, dict[str, Any]]
VERBS = {"GET": "get", "PUT": "update", "POST": "create", "PATCH": "patch", "DELETE": "delete"}


class ApiServer:
    """Serves ``objects``; calls ``changed`` with method and path after each request that changes any."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.requests: list[tuple[str, str]] = []
        self.changed: Callable[[str, str], None] = lambda _method, _path: None
        #: Whether an account may do this: a verb, and a path.
        self.allows: Callable[[str, str], bool] = lambda _verb, _path: True
        #: Requests until the server does not answer any more; None for never.
        self.fails_after: int | None = None
        self.version = 100
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                outer.answer(self)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                request.close_connection = True
                return
        address = urlsplit(request.path)
        self.requests.append((request.command, address.path))
        code, reply = self.reply(
            request.command, address.path, json.loads(body or b"null"), parse_qs(address.query)
        )
        content = json.dumps(reply).encode()
        if request.command != "GET" and code < 400:
            self.changed(request.command, address.path)
        request.send_response(code)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def reply(self, method: str, path: str, body: Any, query: dict[str, list[str]]) -> tuple[int, Any]:
        verb = "list" if "labelSelector" in query else VERBS[method]
        if not self.allows(verb, path):
            return 403, {"message": f"cannot {verb} {path}"}
        if "labelSelector" in query:
            wanted = dict(each.split("=") for each in query["labelSelector"][0].split(","))
            found = [
                each
                for where, each in self.objects.items()
                if where.rpartition("/")[0] == path
                and wanted.items() <= (each["metadata"].get("labels") or {}).items()
            ]
            return 200, {"items": found}
        if method == "POST":
            where = f"{path}/{body['metadata']['name']}"
            if where in self.objects:
                return 409, {"message": "already exists"}
            return 201, self.put(where, body)
        present = self.objects.get(path)
        if present is None:
            return 404, {"message": f"{path} not found"}
        if method == "GET":
            return 200, present
        if method == "DELETE":
            return 200, self.objects.pop(path)
        if method == "PATCH":
            return 200, self.put(path, merged(present, body))
        if body["metadata"].get("resourceVersion") not in (None, present["metadata"]["resourceVersion"]):
            return 409, {"message": "the object has been modified"}
        selector = present.get("spec", {}).get("selector")
        if present["kind"] == "Deployment" and body["spec"]["selector"] != selector:
            return 422, {"message": "spec.selector: field is immutable"}
        return 200, self.put(path, {**body, **({"status": present["status"]} if "status" in present else {})})

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self.version)
        stored["metadata"].setdefault("generation", 1)
        stored["metadata"]["generation"] += 1
        self.objects[path] = stored
        return stored


def merged(present: Any, patch: Any) -> Any:
    """A JSON merge patch applied."""
    if not isinstance(patch, dict) or not isinstance(present, dict):
        return patch
    result = dict(present)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(present.get(key), value)
    return result
