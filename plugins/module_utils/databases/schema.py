"""Schema: the database's revisions, as the hub of an environment has them; no Python is started for it."""

from __future__ import annotations

from pathlib import Path

from ..environments.packages import site_packages
from ..errors import HubError
from ..releases import catalogue
from ..releases.migrations import Revisions, heads, history, read_revisions


def revisions(environment: str | Path) -> Revisions:
    """Return the revisions that an environment's hub knows, each with those that it follows.

    Raises HubError when the environment has no jupyterhub.
    """
    return read_revisions(package(environment))


def head_revision(environment: str | Path) -> str:
    """Return the revision that an environment's hub needs.

    Raises HubError when the environment has no jupyterhub.
    """
    newest = heads(revisions(environment))
    if len(newest) != 1:
        raise HubError(
            f"The jupyterhub in {environment} has {len(newest)} newest database revisions, not one.",
            "Reinstall it.",
        )
    return newest.pop()


def given_up(environment: str | Path, from_revision: str | None) -> set[str]:
    """Tables whose rows are given up on the way from a revision to that of an environment's hub."""
    known = revisions(environment)
    passed = history(known, head_revision(environment)) - history(known, from_revision)
    return {"alembic_version"}.union(*(each.gives_up for each in catalogue.revisions() if each.id in passed))


def package(environment: str | Path) -> Path:
    """The folder of an environment's jupyterhub. Raises HubError when it has none."""
    for folder in site_packages(Path(environment)):
        if (folder / "jupyterhub" / "alembic").is_dir():
            return folder / "jupyterhub"
    raise HubError(f"There is no jupyterhub in {environment}.", "Install it there first.")
