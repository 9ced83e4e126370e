"""Servers that a hub does not know after its database was put back: those that were started since.

Their pods would run on where nobody reaches them, and nothing culls them: the hub has no record of the
server, and refuses the token with which it asks who may come in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..system.source import source_of
from . import known_tokens_program
from .cluster import Access, CommandError, Helm, Kubectl
from .recovery import RecoveryPoint
from .release import SERVER_SELECTOR, person_of

TOKEN = "JUPYTERHUB_API_TOKEN"
#: The chart's labels with the name of the release that a pod is of.
OF_RELEASE = ("release", "app.kubernetes.io/instance")
SECONDS = 300


@dataclass(frozen=True)
class Pod:
    """The pod of a person's server."""

    name: str
    uid: str
    person: str
    """``user``, or ``user/server``."""
    token: str
    """With which the server asks the hub."""


def remove(access: Access, point: RecoveryPoint) -> tuple[str, ...]:
    """Remove the pods of servers that the running hub does not know; whose they were, by name.

    None that is older than the recovery point, or of which the hub does not say that it knows it not.
    Volumes are not touched.
    """
    kubectl = Kubectl(access)
    secret = kubectl.one("secret", point.secret)
    if secret is None:
        return ()
    since = secret["metadata"]["creationTimestamp"]
    pods = started_since(kubectl.get("pods", selector=SERVER_SELECTOR), since, point.release)
    if not pods:
        return ()
    known = _known(access, point, [pod.token for pod in pods])
    unknown = [pod for pod, is_so in zip(pods, known) if is_so is False]
    for pod in unknown:
        _remove(kubectl, pod)
    return tuple(sorted(pod.person for pod in unknown))


def started_since(pods: Sequence[dict[str, Any]], since: str, release: str) -> list[Pod]:
    """Those of the release that are younger than ``since``, a time as the API server writes it, and stay."""
    return [
        Pod(
            pod["metadata"]["name"],
            pod["metadata"]["uid"],
            "/".join(filter(None, person_of(pod["metadata"]))),
            token,
        )
        for pod in pods
        if pod["metadata"]["creationTimestamp"] > since
        and "deletionTimestamp" not in pod["metadata"]
        and not {(pod["metadata"].get("labels") or {}).get(label, release) for label in OF_RELEASE}
        - {release}
        and (token := _token(pod["spec"]))
    ]


def _token(pod: dict[str, Any]) -> str:
    """The token that a server is given, '' where it is given otherwise."""
    for container in pod["containers"]:
        for variable in container.get("env") or []:
            if variable["name"] == TOKEN:
                return str(variable.get("value") or "")
    return ""


def _known(access: Access, point: RecoveryPoint, tokens: Sequence[str]) -> list[bool | None]:
    values = Helm(access).values(point.release, everything=True)
    base_url = (values.get("hub") or {}).get("baseUrl") or "/"
    printed = Kubectl(access).exec(
        f"deploy/{point.hub}",
        ["python3", "-c", source_of(known_tokens_program)],
        stdin=json.dumps({"base_url": base_url, "tokens": list(tokens)}).encode(),
        container="hub",
        timeout=SECONDS,
    )
    return list(json.loads(printed.decode().strip().splitlines()[-1]))


def _remove(kubectl: Kubectl, pod: Pod) -> None:
    """Remove it, and none that has been started under its name meanwhile."""
    path = f"/api/v1/namespaces/{kubectl.access.namespace}/pods/{pod.name}"
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": pod.uid}}
    try:
        kubectl.run("delete", "--raw", path, "--filename", "-", stdin=json.dumps(options).encode())
    except CommandError as error:
        if "NotFound" not in error.output and "Conflict" not in error.output:
            raise
