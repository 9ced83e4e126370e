"""The upgrade of a release by Helm while a guard watches; ended before the guard restores the old one."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import HubError
from ..system.execution_context import PR_SET_PDEATHSIG
from .cluster import ASKING_SECONDS, Chart, Helm, Kubectl, failure
from .guard import Heartbeats
from .guard_program import is_rolled_out
from .release import Release

LOOK_SECONDS = 0.5
#: For how long a pod may have what mostly does not end by itself: a registry may be slow to answer once.
STUCK_SECONDS = 30.0
#: Starts of a container that have ended: the cluster tries the next one after 20 s, which is not waited for.
MOST_ENDS = 3
STUCK = (
    "CrashLoopBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
LOG_LINES = 15
#: Within which a hub that has ended before has been started again.
WORDS_SECONDS = 15.0
RESTORED = "The guard restores the old release. Then run the playbook again."


@dataclass(frozen=True)
class WatchedHelm(Helm):
    """Helm that is ended when the heartbeats are lost, and with the process that has started it."""

    beats: Heartbeats

    def run(self, *argv: str, stdin: bytes = b"", timeout: float = ASKING_SECONDS) -> bytes:
        command = self.argv(*argv)
        library = ctypes.CDLL(None)

        def die_with_parent() -> None:
            if hasattr(library, "prctl"):
                library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        deadline = time.monotonic() + timeout
        file = tempfile.TemporaryFile
        with file() as given, file() as out, file() as err:
            given.write(stdin)
            given.seek(0)
            process = subprocess.Popen(
                command, stdin=given, stdout=out, stderr=err, preexec_fn=die_with_parent
            )
            try:
                while process.poll() is None:
                    if self.beats.lost:
                        raise HubError(f"Helm was ended. {self.beats.lost}", RESTORED)
                    if time.monotonic() > deadline:
                        raise HubError(f"helm {argv[0]} has not ended within {timeout:.0f} s.", RESTORED)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(LOOK_SECONDS)
            finally:
                process.kill()
                process.wait()
            if process.returncode < 0:
                raise HubError(f"helm {argv[0]} was killed by the signal {-process.returncode}.", RESTORED)
            if process.returncode:
                err.seek(0)
                output = err.read().decode(errors="replace")
                raise failure(command, self.access, output, process.returncode)
            out.seek(0)
            return out.read()


def upgrade(
    helm: WatchedHelm,
    release: Release,
    chart: Chart,
    values: dict[str, Any],
    timeout: float,
    progress: Callable[[str], None],
) -> None:
    """Upgrade the release, and wait until it is ready (seconds for each).

    Raises HubError with the reason where it does not become ready; the guard restores the old release then.
    """
    progress(f"helm upgrade {release.name}")
    # Without --wait, which says nothing of why a hub does not start.
    helm.upgrade(release.name, chart, values, timeout, wait=False, description="hubops.jupyterhub")
    wait_until_ready(Kubectl(helm.access), release.name, release.hub, timeout, helm.beats, progress)


def wait_until_ready(
    kubectl: Kubectl,
    release: str,
    hub: str,
    timeout: float,
    beats: Heartbeats,
    progress: Callable[[str], None],
) -> None:
    """Return once the release's deployments, the hub first, are ready, and of their newest state."""
    deadline = time.monotonic() + timeout
    stuck_since: float | None = None
    shown = ""
    while True:
        waiting = unready(kubectl.get("deployments.apps"), release, hub)
        if not waiting:
            return
        name, labels = waiting[0]["metadata"]["name"], waiting[0]["spec"]["selector"]["matchLabels"]
        pods = kubectl.get("pods", selector=",".join(f"{key}={value}" for key, value in labels.items()))
        line, stuck = describe(name, pods)
        if line != shown:
            shown = line
            progress(line)
        now = time.monotonic()
        stuck_since = (stuck_since or now) if stuck else None
        if stuck_since and (now - stuck_since > STUCK_SECONDS or ends(pods) >= MOST_ENDS):
            raise HubError(f"The new {name} does not start: {line}.", last_words(kubectl, pods))
        if now > deadline:
            raise HubError(
                f"The new {name} is not ready within {timeout:.0f} s: {line}.", last_words(kubectl, pods)
            )
        if beats.lost:
            raise HubError(beats.lost)
        time.sleep(LOOK_SECONDS)


def unready(deployments: Sequence[dict[str, Any]], release: str, hub: str) -> list[dict[str, Any]]:
    """The deployments of a release that are not rolled out, the hub first. Raises HubError without a hub."""
    own = [
        each
        for each in deployments
        if (each["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name") == release
    ]
    if hub not in [each["metadata"]["name"] for each in own]:
        raise HubError(f"The new release has no deployment {hub}.", "Compare fullnameOverride in the values.")
    waiting = [
        each
        for each in own
        if not is_rolled_out(each, each["metadata"]["generation"], each["spec"].get("replicas", 1))
        # Helm has left it as it was stopped.
        or (each["metadata"]["name"] == hub and each["spec"].get("replicas") == 0)
    ]
    return sorted(waiting, key=lambda each: each["metadata"]["name"] != hub)


def describe(deployment: str, pods: Sequence[dict[str, Any]]) -> tuple[str, bool]:
    """What a deployment's pods do, as a line, and whether that mostly does not end by itself."""
    for pod in pods:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        if "deletionTimestamp" in pod["metadata"]:
            return f"the pod {name} ends", False
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                reason = waiting.get("reason", "waiting")
                said = f": {waiting['message']}" if reason in STUCK and waiting.get("message") else ""
                return f"the pod {name} has {reason}{said}".rstrip("."), reason in STUCK
            if container.get("restartCount") and not container.get("ready"):
                return f"the pod {name} has started {container['restartCount'] + 1} times", True
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"the pod {name} is not scheduled: {condition.get('message', '')}".rstrip(".: "), False
        return f"the pod {name} is {status.get('phase', 'Pending')}, and not ready yet", False
    return f"{deployment} has no pod yet", False


def ends(pods: Sequence[dict[str, Any]]) -> int:
    """How often a container that does not run has ended."""
    return max(
        (
            each.get("restartCount", 0) + 1
            for pod in pods
            for each in pod.get("status", {}).get("containerStatuses", [])
            if "running" not in each.get("state", {}) and each.get("restartCount")
        ),
        default=0,
    )


def last_words(kubectl: Kubectl, pods: Sequence[dict[str, Any]]) -> str:
    """The end of the log of the hub that does not start; of its last start, where it is started again."""
    for pod in pods:
        # Of one that does not run it is the log itself: the node may have removed the one before.
        previous = not _is_over(pod)
        # While the next one is being made the cluster may have the log of none that has ended.
        until = time.monotonic() + (WORDS_SECONDS if _has_ended(pod) else 0)
        while not (log := _log(kubectl, pod, previous)) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        log = log or _log(kubectl, pod, not previous)
        if log:
            return f"Its log ends with:\n{log}"
    return "It has no log."


def _has_ended(pod: dict[str, Any]) -> bool:
    """Whether a container of the pod has ended before."""
    return any(each.get("restartCount") for each in pod.get("status", {}).get("containerStatuses", []))


def _is_over(pod: dict[str, Any]) -> bool:
    """Whether a container of the pod does not run at present."""
    states = [each.get("state", {}) for each in pod.get("status", {}).get("containerStatuses", [])]
    return any("terminated" in each or "waiting" in each for each in states)


def _log(kubectl: Kubectl, pod: dict[str, Any], previous: bool) -> str:
    """The end of a pod's log, '' where there is none."""
    with contextlib.suppress(HubError):
        return kubectl.logs(pod["metadata"]["name"], tail=LOG_LINES, previous=previous).strip()
    return ""
