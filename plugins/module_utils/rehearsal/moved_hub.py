"""The rehearsal of a move: all rows are copied to the new database, and a hub is started on them.

The hub that serves keeps its database, of which a copy is moved; the new one is empty again afterwards.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..databases.moving import Target
from ..deployment.config import load_config
from ..deployment.database import database_of
from ..deployment.model import Deployment
from ..errors import HubError
from ..planning import moving
from ..planning.plan import Move
from ..services.kinds import service_of
from . import checks, rehearsed_hub
from .rehearsed_hub import HubExited, NoAnswer


def rehearse(
    deployment: Deployment,
    move: Move,
    url: str,
    folder: Path,
    *,
    start_timeout: float = 120,
    move_timeout: float = 3600,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Rehearse a ``move`` to the database at ``url``; ``folder`` is the state folder.

    Returns ``{timings, rows, expected_outage_seconds}``: seconds of each part, the number of rows of each
    table, and the seconds from the word to stop to the first answer. Raises HubError with what would fail.
    """
    database = database_of(deployment)
    context = service_of(deployment.service).context()
    target = moving.target_of(deployment, url, folder)
    sqlalchemy = deployment.hub_environment.packages.get("sqlalchemy", "")
    moving.remember(folder, moving.moved(deployment, move), target)
    with database.scratch(context) as scratch:
        rehearsed_hub.end_leftovers(scratch)
        began = time.monotonic()
        copy = database.copy(scratch, context, "move")
        timings = {"back up": round(time.monotonic() - began, 3)}
        progress("Copying all rows to the new database, as a rehearsal")
        try:
            copied = target.fill(copy.url(sqlalchemy), move_timeout, progress)
            timings.update({"copy": copied.copy_seconds, "compare": copied.compare_seconds})
            target.forget_servers()
            progress("Starting the hub on the copied rows")
            timings.update(_play(deployment, target, scratch, copied.rows["users"], start_timeout))
        except HubError:
            # It is tried once more when the run ends.
            with contextlib.suppress(HubError):
                target.empty()
            raise
        target.empty()
    return {
        "timings": timings,
        "rows": copied.rows,
        "expected_outage_seconds": round(sum(timings.values()), 1),
    }


def _play(
    deployment: Deployment, target: Target, folder: Path, users: int, timeout: float
) -> dict[str, float]:
    """Start the hub on the new database and count its users; the seconds of its start and its stop."""
    hub, service = deployment.hub_environment, service_of(deployment.service)
    context, command = target.context, service.hub_command()
    config = load_config(hub, command, context, deployment.config.file)
    wanted = rehearsed_hub.without_servers(
        hub.path, command, config, target.url, context, timeout, checks.SCOPES
    )
    began = time.monotonic()
    with rehearsed_hub.booted(wanted, context, folder) as started:
        try:
            started.wait_until_it_answers(timeout)
            seconds = time.monotonic() - began
            found = checks.users(started)
        except (HubExited, NoAnswer) as error:
            raise HubError(
                f"{error.message} It was started on {target.name}.\n{started.log_end()}"
            ) from error
        if found != users:
            raise HubError(f"A hub finds {found} users in {target.name}, and there are {users}.")
        return {"start": round(seconds, 3), "stop": round(started.stop(), 3)}
