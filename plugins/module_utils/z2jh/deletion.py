"""The removal of a release that does not serve, such as a test that has failed: what goes, and what stays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import HubError
from . import recovery
from .cluster import Access, Helm, Kubectl
from .guard import Meeting
from .release import HUB_SELECTOR, Server, Volume, find_entry, owner, servers, volumes
from .rendering import objects

KEEP = "helm.sh/resource-policy"
TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True)
class Deletion:
    """A release, what is removed with it, and what speaks against that."""

    release: str
    namespace: str
    state: str
    #: Claims that the chart has made, which go with their data; the hub's database is on one.
    removed: tuple[str, ...]
    #: Users' claims, which stay.
    kept: tuple[Volume, ...]
    recovery_points: tuple[str, ...]
    servers: tuple[Server, ...] = ()
    serves: bool = False
    owner: str = ""
    guarded: bool = False

    @property
    def confirmation(self) -> str:
        """What an administrator has to say."""
        return f"{self.namespace}/{self.release}"

    def summary(self) -> list[str]:
        """What goes and what stays, as lines."""
        claims = ", ".join(self.removed) or "none"
        lines = [
            f"The release {self.release} in {self.namespace} ({self.state}) is removed.",
            f"Claims that are removed with all their data: {claims}.",
        ]
        if self.recovery_points:
            lines.append(f"Recovery points that are removed: {', '.join(self.recovery_points)}.")
        lines.append(f"{len(self.kept)} claims of users stay.")
        return lines


def look(access: Access, name: str) -> Deletion:
    """What a removal would mean. Raises HubError where there is no such release."""
    entry = find_entry(access, name)
    access = replace(access, namespace=entry["namespace"])
    kubectl, helm = Kubectl(access), Helm(access)
    hubs = [
        each
        for each in kubectl.get("deployments.apps", selector=HUB_SELECTOR)
        if (each["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name") == entry["name"]
    ]
    return Deletion(
        release=entry["name"],
        namespace=access.namespace,
        state=entry["status"],
        removed=tuple(
            each["metadata"]["name"]
            for each in objects(helm, helm.manifest(entry["name"]))
            if each["kind"] == "PersistentVolumeClaim"
            and (each["metadata"].get("annotations") or {}).get(KEEP) != "keep"
        ),
        kept=volumes(kubectl),
        recovery_points=tuple(each.id for each in lost_points(kubectl, entry["name"])),
        servers=servers(kubectl),
        serves=any(each.get("status", {}).get("readyReplicas") for each in hubs),
        owner=next(filter(None, (owner(each["metadata"]) for each in hubs)), ""),
        guarded=Meeting(access, entry["name"]).read() is not None,
    )


def lost_points(kubectl: Kubectl, release: str) -> list[recovery.RecoveryPoint]:
    """Recovery points whose copy of the database is on the hub's volume, and goes with it."""
    return [each for each in recovery.kept(kubectl, release) if not each.database.url]


def require(deletion: Deletion, confirmation: str) -> None:
    """Raise HubError with each reason why the release must not be removed, or not yet."""
    name = f"{deletion.release} in {deletion.namespace}"
    if deletion.owner:
        raise HubError(f"{name} belongs to {deletion.owner}.", "Remove it there, or it is made again.")
    if deletion.guarded:
        raise HubError(
            f"A run on {name} is under way, or was cut off.",
            "Let z2jh_upgrade or z2jh_rollback end it, and look whether the release is still broken.",
        )
    if deletion.serves:
        raise HubError(
            f"The hub of {name} serves: it is not broken.",
            "To remove it nevertheless: helm uninstall. A database on the hub's volume goes with it.",
        )
    if deletion.servers:
        people = ", ".join(sorted({each.user for each in deletion.servers}))
        raise HubError(f"Servers of these users run in {name}: {people}.", "Have them stopped first.")
    if confirmation != deletion.confirmation:
        wrong = f"z2jh_delete_confirm is {confirmation}. " if confirmation else ""
        raise HubError(
            f"{wrong}Nothing was removed. {' '.join(deletion.summary())}",
            f"To do so, confirm it: -e z2jh_delete_confirm={deletion.confirmation}",
        )


def delete(access: Access, deletion: Deletion) -> None:
    """Remove the release, and the recovery points whose databases go with it."""
    access = replace(access, namespace=deletion.namespace)
    kubectl = Kubectl(access)
    points = lost_points(kubectl, deletion.release)
    Helm(access).uninstall(deletion.release, TIMEOUT_SECONDS)
    for point in points:
        kubectl.delete("secret", point.record_secret)
        kubectl.delete("secret", point.secret)
