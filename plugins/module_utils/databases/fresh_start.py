"""A fresh database in the place of one that cannot be migrated, with the same users.

The hub's tables are made anew in the database itself, so that its owner, its settings and others' tables
remain. What is cut off has no revision, and is restored as a migration is that was cut off.
"""

from __future__ import annotations

import time

from ..environments.packages import installed_version
from ..errors import HubError
from ..system.execution_context import ExecutionContext
from . import schema
from .base import Contents, Database
from .copier import Copier
from .hub_tables import CARRIED, NOT_CARRIED
from .migration import Migration


def start_fresh(
    database: Database,
    context: ExecutionContext,
    environment: str,
    *,
    stopped: bool,
    timeout: float,
) -> Migration:
    """Put a fresh database of an environment's hub in the place of ``database``, which nobody else uses.

    ``stopped`` says that no single-user server goes on without the hub; where one is registered nevertheless,
    that is refused. ``timeout`` is in seconds.

    Raises HubError where that fails, or not all users are there afterwards: then only a copy helps.
    """
    before = database.contents()
    url = database.url(installed_version(environment, "sqlalchemy") or "")
    carried = {table: list(without) for table, without in CARRIED.items()}
    began = time.monotonic()
    copier = Copier(environment, context)
    copier.ask(url, timeout, do="start fresh", url=url, carried=carried, stopped=stopped)
    seconds = round(time.monotonic() - began, 3)
    after = database.contents()
    head = schema.head_revision(environment)
    missing = [name for name in CARRIED if after.rows.get(name, 0) != before.rows.get(name, 0)]
    if after.revision != head or missing:
        raise HubError(
            f"The fresh {database.name} has revision {after.revision} of {head}, and not the same rows of "
            f"{', '.join(missing) or 'none'}.",
            "Restore the copy and report it.",
        )
    return Migration(
        changed=True,
        from_revision=before.revision,
        to_revision=head,
        rows_before=before.rows,
        rows_after=after.rows,
        seconds=seconds,
        prepared=False,
    )


def lost(contents: Contents) -> list[str]:
    """What a fresh database would not have, as an administrator knows it, with numbers."""
    return [
        f"{what}: {contents.rows[table]}" for table, what in NOT_CARRIED.items() if contents.rows.get(table)
    ]
