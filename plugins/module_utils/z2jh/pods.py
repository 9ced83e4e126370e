"""Pods and Jobs of our own beside a release's: what they share with the hub's, and why one does not run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

FOLDER = "/etc/hubops"
#: What a pod beside the hub needs of the hub's own.
SHARED = ("imagePullSecrets", "nodeSelector", "tolerations", "securityContext", "priorityClassName")
LABELS = {"app.kubernetes.io/name": "hubops", "app.kubernetes.io/managed-by": "hubops"}
#: What every container of ours asks for.
RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}}
#: Where a Job's pod leaves its answer for the guard.
MESSAGE = [{"name": "HUBOPS_MESSAGE", "value": "/dev/termination-log"}]
#: In what runtimes call an image that runs: `docker.io/library/hub@sha256:...` or `sha256:...`.
DIGEST = re.compile("sha256:[0-9a-f]{64}")
#: Characters of a release's name in ours: Kubernetes allows a Job 63 in all, Helm a release 53.
MOST_OF_RELEASE = 40


def own_name(release: str, what: str) -> str:
    """The name of an object of ours beside a release; the end of a long one is replaced by a hash of it."""
    if len(release) > MOST_OF_RELEASE:
        digest = hashlib.sha256(release.encode()).hexdigest()[:8]
        release = f"{release[: MOST_OF_RELEASE - len(digest) - 1]}-{digest}"
    return f"hubops-{release}-{what}"


def labelled(version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    """An object of ours."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": LABELS}, **rest}


def job(name: str, pod: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A Job of that pod."""
    template = {"metadata": {"labels": {**LABELS, "hubops-job": name}}, "spec": pod}
    return labelled("batch/v1", "Job", name, spec={"template": template, **spec})


def hub_container(hub: dict[str, Any], argv: list[str], mounts: list[dict[str, Any]]) -> dict[str, Any]:
    """A container of the hub's image, as restricted as the hub's."""
    own = next(
        (each for each in hub["spec"]["template"]["spec"]["containers"] if each["name"] == "hub"), None
    )
    own = own or hub["spec"]["template"]["spec"]["containers"][0]
    container = {
        "name": "hubops",
        "image": own["image"],
        "imagePullPolicy": "IfNotPresent",
        "command": argv,
        "volumeMounts": mounts,
        "resources": RESOURCES,
    }
    if "securityContext" in own:
        container["securityContext"] = own["securityContext"]
    return container


def shared(hub: dict[str, Any]) -> dict[str, Any]:
    """What a pod beside the hub takes over from the hub's deployment."""
    pod = hub["spec"]["template"]["spec"]
    return {key: pod[key] for key in SHARED if pod.get(key)}


def digest_of(pod: dict[str, Any], container: str) -> str:
    """The image that a container was started from, whatever its tag means by now; '' where it is not told."""
    for each in pod.get("status", {}).get("containerStatuses", []):
        if each["name"] == container and (found := DIGEST.search(each.get("imageID") or "")):
            return found[0]
    return ""


def why_waiting(pods: Sequence[dict[str, Any]]) -> str:
    """Why a pod does not run, as far as the cluster says."""
    for pod in pods:
        status = pod.get("status", {})
        for container in status.get("containerStatuses", []):
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                return f"Its pod waits: {waiting.get('reason', '')} {waiting.get('message', '')}".strip()
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"Its pod is not scheduled: {condition.get('message', '')}".strip()
    return ""
