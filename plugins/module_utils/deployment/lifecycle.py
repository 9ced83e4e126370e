"""The two ends of an outage: the hub stops and stays down, the hub starts and answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import HubError
from ..hub import api, logs
from ..services.base import DoesNotStop, Service
from ..services.kinds import service_of
from ..system import state
from ..system.processes import is_alive
from .model import Deployment

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Stopped:
    """When the hub was asked to stop, and where its log ended then."""

    changed: bool
    stopped_at: float
    log_mark: str


@dataclass(frozen=True)
class Started:
    """When the hub first answered, with which version, as which process."""

    changed: bool
    answered_at: float
    version: str
    main_pid: int | None


def stop(
    deployment: Deployment,
    base: str | None,
    reason: str,
    timeout: float,
    shut_down: Callable[[], None] | None = None,
) -> Stopped:
    """Hold the hub down, then stop it; returns when its main process is gone.

    ``shut_down`` has the hub end by itself, in its own way; its manager stops what has not ended by then.
    ``timeout`` in seconds, for each of the two. Raises HubError when the process outlives it.
    """
    service = service_of(deployment.service)
    hold = state.hold_file(state.state_folder(deployment.name, base))
    service.install_hold(hold)
    running = service.state() != "stopped"
    mark = service.log_mark()
    held = service.is_held(hold)
    stopped_at = time.time()
    if not held:
        service.hold(reason, hold)
    if running:
        if shut_down:
            _end_by_itself(service, shut_down, timeout)
        service.stop(timeout)
    return Stopped(changed=running or not held, stopped_at=stopped_at, log_mark=mark)


def _end_by_itself(service: Service, shut_down: Callable[[], None], timeout: float) -> None:
    process = service.hub_process()
    shut_down()
    deadline = time.monotonic() + timeout
    while process and is_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def downtime(stopped_at: float, answered_at: float) -> float | None:
    """Seconds without a hub, to the millisecond; None where the host's clock was set back in between."""
    seconds = round(answered_at - stopped_at, 3)
    return seconds if seconds >= 0 else None


def take_down(
    deployment: Deployment,
    base: str | None,
    reason: str,
    timeout: float,
    shut_down: Callable[[], None] | None = None,
) -> None:
    """`stop`, in a restore: a hub that has not stopped after ``timeout`` seconds is killed."""
    try:
        stop(deployment, base, reason, timeout, shut_down)
    except DoesNotStop:
        service_of(deployment.service).kill()
        stop(deployment, base, reason, timeout)


def start(deployment: Deployment, base: str | None, version: str, timeout: float) -> Started:
    """Let the hub start, start it, and wait until it answers as ``version`` ('' accepts any).

    ``timeout`` in seconds. Raises HubError, with the end of the hub's log, when the hub exits, answers
    as another version, or does not answer in time.
    """
    service = service_of(deployment.service)
    hold = state.hold_file(state.state_folder(deployment.name, base))
    changed = service.is_held(hold) or service.state() == "stopped"
    mark = service.log_mark()
    service.release(hold)
    if changed or service.state() != "running":
        service.start()
    answer = wait_for_version(service, str(deployment.config.hub_api_url), version, timeout, mark)
    return Started(changed=changed, answered_at=time.time(), version=answer, main_pid=service.main_pid())


def wait_for_version(service: Service, api_url: str, version: str, timeout: float, mark: str) -> str:
    """The version that ``api_url`` answers, as soon as it is ``version``.

    The version of a hub needs no token: it is the answer to ``GET <base url>hub/api``.
    """
    deadline = time.monotonic() + timeout
    first_pid: int | None = None
    checked = time.monotonic()
    answer = ""
    while time.monotonic() < deadline:
        answer = api.version(api_url) or answer
        if answer and answer == (version or answer):
            return answer
        if time.monotonic() - checked > 0.5:
            checked = time.monotonic()
            pid = service.main_pid()
            first_pid = first_pid or pid
            if service.state() in ("failed", "stopped") or (pid and pid != first_pid):
                raise HubError(f"The hub exited at its start.\n{log_end(service, mark)}", "")
        time.sleep(POLL_SECONDS)
    problem = f"it answers as version {answer}, not {version}" if answer else "it does not answer"
    raise HubError(
        f"The hub was started, but {problem} at {api_url} after {timeout:.0f} s.\n{log_end(service, mark)}",
        "",
    )


def log_end(service: Service, mark: str) -> str:
    """The last lines that the hub has logged since ``mark``, without secrets."""
    return logs.end(service.log_since(mark))


def arm(deployment: Deployment, base: str | None) -> None:
    """Make the service manager obey the hold file; done before the outage since it may have to reload."""
    folder = state.state_folder(deployment.name, base)
    state.make_private(folder)
    service_of(deployment.service).install_hold(state.hold_file(folder))


def disarm(deployment: Deployment, base: str | None) -> None:
    """Forget the hold file and what made the service manager obey it, and spare no servers any more."""
    service = service_of(deployment.service)
    service.end_sparing_servers()
    service.remove_hold(state.hold_file(state.state_folder(deployment.name, base)))
