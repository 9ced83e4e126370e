"""Hops: releases that a database is migrated through, where the target cannot migrate it in one step."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import versions


class Hop(NamedTuple):
    """One migration that fails when it is made in one step."""

    revision: str
    """Of a database that it fails for, where servers are registered in that."""
    major: int
    """From this major of the target on."""
    through: str
    """The release in between."""
    why: str
    source: str


KNOWN = (
    Hop(
        "833da8570507",
        5,
        "4.1.6",
        "from JupyterHub 5 on the migration of a database of 2.x asks for columns that it does not have yet "
        "where a user's server is registered",
        "https://github.com/jupyterhub/jupyterhub/issues/5427",
    ),
)


def needed(deployment: dict[str, Any], target: str, python: str = "") -> list[dict[str, Any]]:
    """The hops of a deployment's database to the release ``target``, as the plan has them.

    Each has an environment of its own beside the hub's, as `staging.stage` makes it, with the interpreter
    ``python`` or the hub's.
    """
    database, hub = deployment["database"], deployment["hub_environment"]
    path = hub["path"].rstrip("/")
    return [
        {
            "version": hop.through,
            "path": path,
            "staged_path": f"{path}.hop-{hop.through}",
            "strategy": "hop",
            "python": python or hub["python"],
            "requirements": [f"jupyterhub=={hop.through}"],
            "why": hop.why,
            "source": hop.source,
        }
        for hop in KNOWN
        if database["revision"] == hop.revision
        and database["servers"]
        and versions.parse_release(target).major >= hop.major
    ]
