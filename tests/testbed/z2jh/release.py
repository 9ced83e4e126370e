"""A release of the chart in a namespace of its own, and what its people do."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..kubernetes import Cluster

#: Seconds until a hub or a server must answer, on two cores that are busy.
PATIENCE = 180


class Release:
    """A release named ``hub``, and the API of its hub with the rights of an administrator."""

    def __init__(self, cluster: Cluster, namespace: str, charts: dict[str, Path]) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.name = "hub"
        self.token = secrets.token_hex(16)
        self._charts = charts
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def values(self) -> dict[str, Any]:
        """Values for a hub of some people, who are let in by a password."""
        return {
            "hub": {
                "config": {
                    "DummyAuthenticator": {"password": "testbed"},
                    "Authenticator": {"admin_users": ["admin"], "allowed_users": ["ada", "bob"]},
                },
                "services": {"tests": {"admin": True, "apiToken": self.token}},
            },
            "proxy": {"service": {"type": "ClusterIP"}},
            "singleuser": {"memory": {"guarantee": "50M"}, "storage": {"capacity": "100Mi"}},
        }

    def install(self, version: str, helm: int = 4, **values: Any) -> None:
        """Install a version of the chart with ``values()`` and these on top, and wait for its hub."""
        self._helm("install", version, helm, values)

    def upgrade(self, version: str, helm: int = 4, **values: Any) -> None:
        """What an administrator does without this collection."""
        self._helm("upgrade", version, helm, values)

    def users(self) -> list[dict[str, Any]]:
        """The people that the hub knows."""
        return list(self.request("GET", "/users"))

    def version(self) -> str:
        """The hub's own version, from its API."""
        return str(self.request("GET", "/")["version"])

    def start(self, person: str) -> None:
        """Start a person's server, and wait until the hub says that it is ready."""
        self.request("POST", f"/users/{person}/server")
        self._wait(f"{person}'s server is ready", lambda: self._server(person).get("ready", False))

    def stop(self, person: str) -> None:
        """Stop a person's server, and wait until it is gone."""
        self.request("DELETE", f"/users/{person}/server")
        self._wait(f"{person}'s server has stopped", lambda: not self._server(person))

    def wait_for_hub(self) -> None:
        """Wait until the hub answers through the proxy: its pod is ready a little earlier."""
        self._wait("the hub answers", self._answers)

    def containers(self) -> set[str]:
        """The identifiers of the containers in this namespace, as the cluster has them in its records."""
        pods = self.get("pods")["items"]
        return {
            container["containerID"]
            for pod in pods
            for container in pod["status"].get("containerStatuses", [])
            if "containerID" in container
        }

    def wait_for_pods(self, ended: set[str]) -> None:
        """Wait until all pods of the namespace are ready, and none of them by a container that has ended.

        Where the power of a node was cut, the cluster takes its pods for ready until it has looked.
        """
        self._wait("the containers are others", lambda: not ended & self.containers())
        ready = ("wait", "pod", "--all", "--for=condition=Ready", f"--timeout={PATIENCE}s")
        self.kubectl(*ready)

    def in_server(self, person: str, *command: str) -> str:
        """What a command prints that runs in the pod of a person."""
        return self.kubectl("exec", f"pod/jupyter-{person}", "--", *command)

    def volumes(self) -> dict[str, str]:
        """The volume of each claim in the namespace."""
        claims = self.get("persistentvolumeclaims")["items"]
        return {claim["metadata"]["name"]: claim["spec"]["volumeName"] for claim in claims}

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl prints in this namespace."""
        return self.cluster.kubectl(f"--namespace={self.namespace}", *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:
        """The objects that ``kubectl get`` finds in this namespace."""
        return self.cluster.get(f"--namespace={self.namespace}", *arguments)

    def request(self, method: str, path: str) -> Any:
        """The answer of the hub's API, through the proxy as people reach it."""
        address = self.get("service", "proxy-public")["spec"]["clusterIP"]
        request = urllib.request.Request(f"http://{address}/hub/api{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with self._direct.open(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def _server(self, person: str) -> dict[str, Any]:
        return dict(self.request("GET", f"/users/{person}")["servers"].get("", {}))

    def _helm(self, verb: str, version: str, helm: int, values: dict[str, Any]) -> None:
        file = self._charts[version].with_name(f"{self.namespace}.json")
        file.write_text(json.dumps(_merged(self.values(), values)))
        self.cluster.helm(
            verb,
            self.name,
            str(self._charts[version]),
            f"--namespace={self.namespace}",
            f"--values={file}",
            "--wait",
            f"--timeout={PATIENCE}s",
            version=helm,
        )
        self.wait_for_hub()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.version())
        return False

    def _wait(self, what: str, is_so: Any) -> None:
        limit = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > limit:
                raise TimeoutError(f"After {PATIENCE} s it is not so that {what}:\n{self._circumstances()}")
            time.sleep(0.3)

    def _circumstances(self) -> str:
        return self.kubectl("get", "pods,events") + self.kubectl("logs", "deployment/hub", "--tail=60")


@contextlib.contextmanager
def new_release(cluster: Cluster, charts: dict[str, Path]) -> Iterator[Release]:
    """A namespace for a release, which goes with all that is in it; nobody waits for that."""
    namespace = f"hubops-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", namespace)
    try:
        yield Release(cluster, namespace, charts)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
