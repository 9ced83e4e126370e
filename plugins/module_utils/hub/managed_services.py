"""JupyterHub's managed services: processes that the hub itself starts, such as an idle culler."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ..errors import HubError
from ..system.processes import family, started_at

#: What the hub tells each of them in its environment (jupyterhub.service.Service.start).
NAME_VARIABLE = "JUPYTERHUB_SERVICE_NAME"
LOOK_SECONDS = 0.2
#: The hub starts one that has ended again at once: one that fails lives for moments.
LASTING_SECONDS = 2


def running(main_pid: int | None, seconds: float = 0) -> set[str]:
    """The names of the managed services that the hub with this process has run for so many ``seconds``."""
    names = set()
    for process in family(main_pid) if main_pid else ():
        try:
            name = process.environment().get(NAME_VARIABLE, "")
            if time.time() - started_at(process.pid) >= seconds:
                names.add(name)
        except OSError:
            continue
    return names - {""}


def require(names: Iterable[str], main_pid: int, timeout: float) -> None:
    """Wait until these services keep running. Raises HubError when one does not within ``timeout`` seconds.

    A hub answers before it starts them.
    """
    wanted = set(names)
    deadline = time.monotonic() + timeout
    while missing := wanted - running(main_pid, LASTING_SECONDS):
        if time.monotonic() > deadline:
            raise HubError(
                f"The hub does not run {', '.join(sorted(missing))}, which it did before.",
                "A managed service of the hub's config ends or is not started; the hub's log says why.",
            )
        time.sleep(LOOK_SECONDS)
