"""The images that users' servers start from after the upgrade: which JupyterHub each of them has.

A pod has one container of each image, which prints its version and ends. It has no service account, no volume
and no network. The images are those that the chart's own pre-puller has each node pull.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import HubError
from ..planning.findings.finding import Finding, listing
from ..releases.versions import FAIL, WARN, compare, parse_release
from . import rehearsal_findings as kinds
from . import values as of
from .cluster import Kubectl
from .pods import LABELS, digest_of
from .release import Server, single_user_images
from .upgrade import STUCK, STUCK_SECONDS, describe

LOOK_SECONDS = 1.0
LEFT_SECONDS = 120
#: The interpreter of the program comes first: `python3` on the PATH may be another one.
READ = """
script=$(command -v jupyterhub-singleuser || command -v jupyterhub)
[ "$script" ] || { echo "it has no jupyterhub-singleuser"; exit 1; }
read -r line < "$script"
case $line in
  */env\\ *) python=${line##*/env } ;;
  '#!'*) python=${line#'#!'} ;;
esac
$python -B -c "$0" 2> /dev/null || exec python3 -B -c "$0"
"""
PRINT = "from importlib.metadata import version; print(version('jupyterhub'))"


@dataclass(frozen=True)
class SingleUserImage:
    """An image of users' servers."""

    name: str
    #: The JupyterHub in it; '' where that is not known.
    jupyterhub: str = ""
    #: Of the image that was asked; '' where it is not known.
    digest: str = ""
    #: Why it is not known.
    problem: str = ""
    #: Whether the cluster cannot get it.
    missing: bool = False


def named(values: of.Values) -> list[str]:
    """The images of the values, the default first: ``singleuser``, and KubeSpawner in ``hub.config``."""
    config = of.get(values, "hub.config.KubeSpawner", {})
    given = {
        "singleuser": {
            "image": config.get("image") or of.get(values, "singleuser.image"),
            "profileList": config.get("profile_list") or of.get(values, "singleuser.profileList"),
        }
    }
    return list(single_user_images(given))


def manifests(
    name: str,
    label: str,
    images: Sequence[str],
    pull_secrets: Sequence[Any],
    values: of.Values,
    seconds: float,
) -> list[dict[str, Any]]:
    """A Job whose pod has a container of each image, and the policy that it reaches nothing."""
    labels = {**LABELS, label: name}
    single_user = of.get(values, "singleuser", {})
    user = single_user.get("uid")
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    if isinstance(user, int):
        security.update(runAsUser=user, runAsNonRoot=user != 0)
    policy = of.get(single_user, "image.pullPolicy")
    containers = [
        {
            "name": f"image-{number}",
            "image": image,
            **({"imagePullPolicy": policy} if policy else {}),
            "command": ["/bin/sh", "-c", READ, PRINT],
            "workingDir": "/",
            "securityContext": security,
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        }
        for number, image in enumerate(images)
    ]
    taint = {"operator": "Equal", "value": "user", "effect": "NoSchedule"}
    dedicated = [{"key": f"hub.jupyter.org{sign}dedicated", **taint} for sign in "/_"]
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": containers,
        "nodeSelector": single_user.get("nodeSelector") or {},
        "tolerations": [*dedicated, *(single_user.get("extraTolerations") or [])],
        "imagePullSecrets": list(pull_secrets),
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(seconds) + 60,
            "ttlSecondsAfterFinished": LEFT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    rules = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "podSelector": {"matchLabels": {label: name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }
    return [job, rules]


def read(
    kubectl: Kubectl,
    selector: str,
    images: Sequence[str],
    seconds: float,
    progress: Callable[[str], None],
) -> list[SingleUserImage]:
    """What the containers of the Job's pod have printed, once each has ended or will not start."""
    deadline = time.monotonic() + seconds
    stuck_since: float | None = None
    while True:
        pods = kubectl.get("pods", selector=selector)
        states = _states(pods)
        left = [
            image
            for number, image in enumerate(images)
            if "terminated" not in states.get(f"image-{number}", {})
        ]
        open_states = [each for each in states.values() if "terminated" not in each]
        reasons = [each.get("waiting", {}).get("reason") for each in open_states]
        now = time.monotonic()
        stuck = bool(states) and all(reason in STUCK for reason in reasons)
        stuck_since = (stuck_since or now) if stuck else None
        if not left or now > deadline or stuck_since and now - stuck_since > STUCK_SECONDS:
            return [
                _read(kubectl, pods, image, f"image-{number}", states.get(f"image-{number}", {}))
                for number, image in enumerate(images)
            ]
        progress(f"Reading which JupyterHub {listing(left, 3)} has")
        time.sleep(LOOK_SECONDS)


def _states(pods: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        each["name"]: each.get("state", {})
        for pod in pods
        for each in pod.get("status", {}).get("containerStatuses", [])
    }


def _read(
    kubectl: Kubectl, pods: Sequence[dict[str, Any]], image: str, container: str, state: dict[str, Any]
) -> SingleUserImage:
    """What is known of one image."""
    digest = next((found for pod in pods if (found := digest_of(pod, container))), "")
    ended = state.get("terminated")
    if ended is None:
        waiting = state.get("waiting", {})
        reason = " ".join(part for part in (waiting.get("reason"), waiting.get("message")) if part)
        missing = waiting.get("reason") in STUCK
        return SingleUserImage(image, problem=reason or describe(container, pods)[0], missing=missing)
    try:
        printed = kubectl.logs(pods[0]["metadata"]["name"], container, tail=5).strip()
    except HubError as error:
        return SingleUserImage(image, digest=digest, problem=error.message)
    # What a runtime cannot start has no log.
    last = (printed or ended.get("message") or ended.get("reason") or "it has printed nothing").splitlines()[
        -1
    ]
    if ended.get("exitCode") == 0 and re.fullmatch(r"\d+\.\d+\S*", last):
        return SingleUserImage(image, last, digest)
    return SingleUserImage(image, digest=digest, problem=last)


def judge(images: Sequence[SingleUserImage], version: str) -> Iterator[Finding]:
    """What is wrong with images, the default first, for a hub of this version."""
    unknown = []
    for number, each in enumerate(images):
        if each.missing and number == 0:
            yield kinds.SINGLE_USER_IMAGE_MISSING.found(f"{each.name}: {each.problem.rstrip('.')}.")
        elif not each.jupyterhub:
            unknown.append(f"{each.name} ({each.problem.rstrip('.')})")
        else:
            judged = compare(parse_release(version), parse_release(each.jupyterhub))
            kind = {FAIL: kinds.SINGLE_USER_IMAGE_VERSION, WARN: kinds.SINGLE_USER_IMAGE_RELEASE}.get(
                judged.verdict
            )
            if kind:
                yield kind.found(f"The image {each.name}: {judged.reason}")
    if unknown:
        yield kinds.SINGLE_USER_IMAGE_UNKNOWN.found(f"Not known: {listing(unknown)}.")


def moved(images: Sequence[SingleUserImage], servers: Sequence[Server]) -> Iterator[Finding]:
    """Images whose name meant another one when servers that run were started."""
    for each in images:
        users = sorted(
            server.user
            for server in servers
            if server.image == each.name and each.digest and server.digest not in ("", each.digest)
        )
        if users:
            yield kinds.SINGLE_USER_IMAGE_MOVED.found(
                f"{each.name} is {each.digest} now, and servers of these users run another one: "
                f"{listing(users)}."
            )
