"""Whether single-user environments and the database go with the hub, by their versions on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ..databases.schema import head_revision
from ..environments.packages import installed_version
from ..errors import HubError
from ..releases.catalogue import major_of_revision, schema_head
from ..releases.versions import FAIL, OK, WARN, Release, Verdict, compare, parse_release
from .model import Deployment

MOST_TOLD = 10


def match(
    hub: Release,
    paths: Iterable[str],
    revision: str | None,
    allow: Collection[str] = (),
    wanted: str | None = None,
) -> dict[str, Any]:
    """``{hub_version, environments: [{path, version, verdict, reason}], database}``, in the paths' order.

    ``database`` is ``{revision, verdict, reason}``, None where no revision is known. ``wanted`` is the
    revision that the hub needs; without it, what its major is known to need.
    """
    return {
        "hub_version": str(hub),
        "environments": [judge_environment(hub, path, allow) for path in paths],
        "database": judge_revision(hub, revision, wanted) if revision else None,
    }


def match_deployment(
    deployment: Deployment | None,
    version: str,
    revision: str,
    allow: Collection[str],
    more: Iterable[str] = (),
    without: Collection[str] = (),
) -> dict[str, Any]:
    """`match` for a deployment's environments, and those at ``more`` paths, with a hub of this version.

    Those at the paths of ``without`` are left out.

    ``revision`` is the database's, the one that was found unless given.
    """
    known = [environment.path for environment in deployment.user_environments] if deployment else []
    found = revision or (deployment.database.revision if deployment else None)
    place = deployment.hub_environment.path if deployment else None
    hub = parse_release(version)
    wanted = wanted_revision(hub, place) if place else None
    paths = [path for path in dict.fromkeys([*known, *more]) if path.rstrip("/") not in without]
    return match(hub, paths, found, allow, wanted)


def judge_environment(hub: Release, path: str, allow: Collection[str] = ()) -> dict[str, Any]:
    """The verdict on one environment; one that cannot be read or compared fails, and the others continue."""
    version = None
    try:
        version = installed_version(path, "jupyterhub")
        if version is None:
            judged = Verdict(FAIL, "It has no JupyterHub, so no single-user server can start from it.")
        else:
            judged = compare(hub, parse_release(version), allow)
    except HubError as error:
        judged = Verdict(FAIL, str(error))
    return {"path": path, "version": version, "verdict": judged.verdict, "reason": judged.reason}


def wanted_revision(hub: Release, environment: str) -> str | None:
    """The revision that the hub in an environment needs; None where the environment has another version."""
    try:
        installed = installed_version(environment, "jupyterhub")
        return head_revision(environment) if installed and parse_release(installed) == hub else None
    except HubError:
        return None


def judge_revision(hub: Release, revision: str, wanted: str | None = None) -> dict[str, Any]:
    """The verdict on the database: a hub starts only on the revision that it needs, ``wanted`` if known."""
    wanted, major = wanted or schema_head(hub), major_of_revision(revision)
    if wanted is None:
        judged = Verdict(WARN, f"Which revision JupyterHub {hub} needs is not known here.")
    elif revision == wanted:
        judged = Verdict(OK, f"It is what JupyterHub {hub} needs.")
    elif major is None:
        judged = Verdict(FAIL, f"Revision {revision} is unknown; JupyterHub {hub} needs {wanted}.")
    elif major > hub.major:
        judged = Verdict(
            FAIL, f"It is of JupyterHub {major}, newer than the hub {hub}, which does not start on it."
        )
    else:
        judged = Verdict(
            FAIL, f"It is of JupyterHub {major} and needs a migration before {hub} starts on it."
        )
    return {"revision": revision, "verdict": judged.verdict, "reason": judged.reason}


def failures(result: dict[str, Any]) -> list[str]:
    """One sentence for everything that failed."""
    failed = [
        f"{found['path']}: {found['reason']}" for found in result["environments"] if found["verdict"] == FAIL
    ]
    database = result["database"]
    if database and database["verdict"] == FAIL:
        failed.append(f"The database: {database['reason']}")
    return failed


def message(failed: list[str]) -> str:
    """What failed, in so many words that a person reads them."""
    more = [f"And {len(failed) - MOST_TOLD} more."] if len(failed) > MOST_TOLD else []
    return " ".join([*failed[:MOST_TOLD], *more])
