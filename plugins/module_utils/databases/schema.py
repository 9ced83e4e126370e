"""Schema: the database's revisions, as the hub of an environment has them; no Python is started for it."""

from __future__ import annotations

import re
from pathlib import Path

from ..environments.packages import site_packages
from ..errors import HubError

REVISION = re.compile(r"^(revision|down_revision)\b[^=\n]*=\s*(?:['\"](\w+)['\"]|None)", re.MULTILINE)

#: Rows that a revision gives up on purpose, from jupyterhub/alembic/versions.
GIVEN_UP = {
    "3ec6993fe20c": {"proxies", "hubs"},
    "833da8570507": {"api_tokens", "oauth_access_tokens"},
    "651f5419b74d": {"oauth_code_role_map", "api_token_role_map", "oauth_client_role_map"},
}


def revisions(environment: str | Path) -> dict[str, str | None]:
    """Return the revisions that an environment's hub knows, each with the one before it.

    Raises HubError when the environment has no jupyterhub.
    """
    known: dict[str, str | None] = {}
    for path in (package(environment) / "alembic" / "versions").glob("*.py"):
        found = {name: value or None for name, value in REVISION.findall(path.read_text(encoding="utf-8"))}
        if found.get("revision"):
            known[str(found["revision"])] = found.get("down_revision")
    return known


def head_revision(environment: str | Path) -> str:
    """Return the revision that an environment's hub needs.

    Raises HubError when the environment has no jupyterhub.
    """
    known = revisions(environment)
    heads = set(known) - set(known.values())
    if len(heads) != 1:
        raise HubError(
            f"The jupyterhub in {environment} has {len(heads)} newest database revisions, not one.",
            "Install it anew.",
        )
    return heads.pop()


def given_up(environment: str | Path, from_revision: str | None) -> set[str]:
    """Tables whose rows are given up on the way from a revision to that of an environment's hub."""
    known = revisions(environment)
    tables: set[str] = {"alembic_version"}
    step: str | None = head_revision(environment)
    while step and step != from_revision:
        tables |= GIVEN_UP.get(step, set())
        step = known[step]
    return tables


def package(environment: str | Path) -> Path:
    """The folder of an environment's jupyterhub. Raises HubError when it has none."""
    for folder in site_packages(Path(environment)):
        if (folder / "jupyterhub" / "alembic").is_dir():
            return folder / "jupyterhub"
    raise HubError(f"There is no jupyterhub in {environment}.", "Install it there first.")
