"""Whether a release is what it should be: its version, its users, and every person's volume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import HubError
from ..hub_scripts import token_lender
from ..system.source import source_of
from . import hub_check_program
from .cluster import Access, Helm, Kubectl
from .databases import database_of, database_of_backup
from .recovery import RecoveryPoint
from .release import Release, Server, Volume, volumes

SERVER_SECONDS = 300.0


@dataclass(frozen=True)
class VolumeChange:
    """A person's volume before and after; '' where there is none."""

    user: str
    server: str
    before: str
    after: str
    change: str


@dataclass(frozen=True)
class Verified:
    """What was found in order."""

    jupyterhub_version: str
    users: int
    #: What became of the server of the user that was asked for.
    server: str
    volumes: tuple[Volume, ...]


def verify(
    access: Access,
    before: Release,
    point: RecoveryPoint | None,
    volumes_of: RecoveryPoint | None,
    jupyterhub_version: str = "",
    user: str = "",
) -> Verified:
    """See that the hub serves as it should: the one of ``jupyterhub_version``, with the users of ``point``.

    Volumes and servers must be those of ``volumes_of``; ``before`` is the release as it was found. Raises
    HubError that names everything that is missing.
    """
    kubectl = Kubectl(access)
    answer = ask_hub(access, before.name, before.hub, _url(access, before, point), user)
    problems = [*answer["problems"]]
    if jupyterhub_version and answer["version"] not in ("", jupyterhub_version):
        problems.append(f"The hub is {answer['version']}, not {jupyterhub_version}.")
    if point is not None and not answer["problems"]:
        lost = sorted(set(point.database.users) - set(answer["users"]))
        if lost:
            problems.append(f"The hub does not know these users any more: {_some(lost)}.")
    now = volumes(kubectl)
    if volumes_of is not None:
        problems += [sentence(each) for each in compare_volumes(volumes_of.volumes, now)]
        problems += lost_servers(volumes_of.servers, [pod["metadata"]["name"] for pod in kubectl.get("pods")])
    if problems:
        raise HubError(
            f"The hub of {before.name} is not what it should be: {' '.join(problems)}",
            f"See its log: kubectl --namespace {before.namespace} logs deployment/{before.hub}.",
        )
    return Verified(answer["version"], len(answer["users"]), answer["server"], now)


def ask_hub(access: Access, name: str, hub: str, url: str, user: str = "") -> dict[str, Any]:
    """What the hub answers to `hub_check_program`, in its own pod."""
    values = Helm(access).values(name, everything=True)
    base_url = (values.get("hub") or {}).get("baseUrl") or "/"
    request = {
        "lender": source_of(token_lender),
        "base_url": base_url,
        "user": user,
        "seconds": SERVER_SECONDS,
    }
    argv = ["python3", "-c", source_of(hub_check_program), json.dumps(request)]
    printed = Kubectl(access).exec(
        *(f"deploy/{hub}", argv),
        # It may have a password.
        stdin=f"{url}\n".encode(),
        container="hub",
        timeout=2 * SERVER_SECONDS + 120,
    )
    return dict(json.loads(printed.decode().strip().splitlines()[-1]))


def compare_volumes(before: Sequence[Volume], after: Sequence[Volume]) -> list[VolumeChange]:
    """Each person whose volume is not the one before, or who has got another one beside it."""
    known = {(each.user, each.server, each.claim): each for each in after}
    people = {(each.user, each.server) for each in before}
    changes = []
    for each in before:
        now = known.get((each.user, each.server, each.claim))
        if now is None:
            changes.append(VolumeChange(each.user, each.server, each.claim, "", "lost"))
        elif each.volume and now.volume != each.volume:
            changes.append(VolumeChange(each.user, each.server, each.volume, now.volume, "replaced"))
    claims = {each.claim for each in before}
    for each in after:
        if (each.user, each.server) in people and each.claim not in claims:
            old = next(one.claim for one in before if (one.user, one.server) == (each.user, each.server))
            changes.append(VolumeChange(each.user, each.server, old, each.claim, "second"))
    return changes


def sentence(change: VolumeChange) -> str:
    """A change of a volume, with the person's name."""
    person = change.user + (f" (server {change.server})" if change.server else "")
    if change.change == "lost":
        return f"The claim {change.before} of {person} is gone."
    if change.change == "replaced":
        return f"{person} has the volume {change.after or 'none'} instead of {change.before}."
    return f"{person} has got a second, empty volume, {change.after}, beside {change.before}."


def lost_servers(before: Sequence[Server], pods: Sequence[str]) -> list[str]:
    """A sentence on the servers that ran and whose pods are gone."""
    lost = sorted(each.user for each in before if each.pod not in pods)
    return [f"The servers of these users were stopped: {_some(lost)}."] if lost else []


def _url(access: Access, release: Release, point: RecoveryPoint | None) -> str:
    if point is None:
        return database_of(access, release).url(None)
    return database_of_backup(access, release.name, release.hub, point.database).url(point.database)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more
