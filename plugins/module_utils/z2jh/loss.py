"""What restoring a recovery point would change and lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import HubError
from .cluster import Access
from .databases import database_of_backup
from .recovery import RecoveryPoint
from .release import Release
from .verification import ask_hub

SHOWN = 20


@dataclass(frozen=True)
class Loss:
    """What is lost, as names and as sentences."""

    users: tuple[str, ...]
    summary: tuple[str, ...]


def compare(access: Access, release: Release, point: RecoveryPoint) -> Loss:
    """Compare the release with a recovery point; a hub that does not run cannot be asked for its users."""
    lines = [
        f"Chart {release.chart_version} (JupyterHub {release.jupyterhub_version}) becomes "
        f"{point.chart_version} ({point.jupyterhub_version}), as of {point.created}."
    ]
    users: list[str] = []
    database = database_of_backup(access, release.name, release.hub, point.database)
    if database.by_hand():
        return Loss((), (*lines, database.by_hand(), "Users' volumes are not touched."))
    try:
        now = database.describe(point.database)
        if now is None:
            now = ask_hub(access, release.name, release.hub, database.url(point.database))
            if now["problems"]:
                raise HubError(" ".join(now["problems"]))
    except HubError as error:
        return Loss((), (*lines, f"What the database has got since is not known: {error.message}"))
    users = sorted(set(now.get("users", [])) - set(point.database.users))
    if users:
        lines.append(f"The hub will not know these users: {some(users)}.")
    if "schema" not in now:
        lines.append("Where no hub has migrated the database since, it stays as it is, with its rows.")
    elif now["schema"] == point.database.schema:
        lines.append("The database was not migrated since: it stays as it is, with its rows.")
        return Loss((), tuple(line for line in lines if "will not know" not in line))
    for table, count in sorted(now.get("rows", {}).items()):
        before = point.database.rows.get(table, 0)
        if count > before:
            lines.append(f"{table}: {count} rows become about {before}.")
    # Both times end with Z: as texts they are in the order of time.
    started = [each.person for each in release.servers if each.created > point.created]
    if started:
        lines.append(f"Servers that were started since are stopped: {some(started)}. Their files stay.")
    lines.append("Users' volumes are not touched.")
    return Loss(tuple(users), tuple(lines))


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
