"""Recovery points of a release: what it was, and what is needed to be there again.

A recovery point is two Secrets in the release's namespace, so that whoever may reach the cluster can go
back, and a copy of the database on the hub's own volume, where a restore finds it without the controller.
Copied out, it is a folder on the controller.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from ..errors import HubError
from ..shapes import from_dict, to_dict
from ..system import files
from .cluster import Access, Helm, Kubectl
from .databases import NONE, database_of, database_of_backup
from .guard_program import KEPT_KINDS, record_name
from .hub_database import DatabaseBackup, Evidence, HubDatabase
from .release import Release, Server, Volume
from .rendering import objects as rendered

FORMAT = 1
LABEL = "hubops.jupyterhub/recovery-point"
RELEASE_LABEL = "hubops.jupyterhub/release"
#: Bytes that a Secret may have; the API server refuses more.
SECRET_BYTES = 1024 * 1024


@dataclass(frozen=True)
class RecoveryPoint:
    """A state of a release."""

    id: str
    release: str
    namespace: str
    #: The revision of Helm's history that serves.
    revision: int
    chart_version: str
    jupyterhub_version: str
    #: The hub's deployment.
    hub: str
    created: str
    database: DatabaseBackup
    volumes: tuple[Volume, ...] = ()
    #: Users' servers that ran.
    servers: tuple[Server, ...] = ()
    format: int = FORMAT

    @property
    def secret(self) -> str:
        return f"hubops-{self.release}-{self.id}"

    @property
    def record_secret(self) -> str:
        return f"{self.secret}-record"


@dataclass(frozen=True)
class Object:
    """An object of a release as it was, and where the API server has it."""

    path: str
    collection: str
    namespaced: bool
    object: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.object["kind"])


def make(
    access: Access,
    release: Release,
    fetch: str = "",
    image: str = "",
    storage: str = "1Gi",
    evidence: Evidence = NONE,
) -> RecoveryPoint:
    """Make a recovery point while the hub serves; ``fetch`` is a folder of this host for a copy of it.

    ``image`` and ``storage`` are for a database on a server, as `ServerDatabase` takes them, ``evidence`` for
    one that cannot be dumped. Raises HubError, with nothing left behind, where it cannot be made or is not
    whole.
    """
    database = database_of(access, release, image, storage, evidence)
    require_ready(release)
    kubectl = Kubectl(access)
    objects = snapshot(access, release)
    identity = time.strftime("%Y%m%dt%H%M%Sz", time.gmtime())
    point = RecoveryPoint(
        id=identity,
        release=release.name,
        namespace=release.namespace,
        revision=release.deployed_revision,
        chart_version=release.chart_version,
        jupyterhub_version=release.jupyterhub_version,
        hub=release.hub,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        database=database.back_up(release.database, hub_object(objects, release.hub), identity),
        volumes=release.volumes,
        servers=release.servers,
    )
    try:
        if fetch:
            copy_out(kubectl, point, database, objects, Path(fetch))
        keep(kubectl, point, objects)
    except HubError:
        database.remove(point.database)
        raise
    return point


def require_ready(release: Release) -> None:
    """Raise HubError where the release is none that can be restored."""
    if not release.hub_ready:
        raise HubError(
            f"The hub of the release {release.name} is not ready, and its database cannot be backed up.",
            f"See why: kubectl --namespace {release.namespace} describe deployment {release.hub}.",
        )


def hub_object(objects: Sequence[Object], hub: str) -> dict[str, Any]:
    """The hub's deployment among the objects."""
    for each in objects:
        if each.kind == "Deployment" and each.object["metadata"]["name"] == hub:
            return each.object
    raise HubError(
        f"The release's manifests have no deployment {hub}.", "See helm get manifest: another chart made it."
    )


def snapshot(access: Access, release: Release) -> list[Object]:
    """The objects of the release that serves, as they are in the cluster now."""
    helm = Helm(access)
    return read_objects(access, rendered(helm, helm.manifest(release.name, release.deployed_revision)))


class Paths:
    """Where the API server has the objects of each kind."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.groups: dict[str, dict[str, tuple[str, bool]]] = {}

    def of(self, identity: dict[str, Any], namespace: str) -> tuple[str, str, bool]:
        """The path of an object, of its collection, and whether it is in a namespace."""
        version = identity["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if root not in self.groups:
            listed = json.loads(self.kubectl.run("get", "--raw", root))["resources"]
            self.groups[root] = {
                each["kind"]: (each["name"], each["namespaced"]) for each in listed if "/" not in each["name"]
            }
        plural, namespaced = self.groups[root][identity["kind"]]
        where = identity["metadata"].get("namespace") or namespace
        collection = f"{root}/namespaces/{where}/{plural}" if namespaced else f"{root}/{plural}"
        return f"{collection}/{identity['metadata']['name']}", collection, namespaced


def read_objects(access: Access, wanted: Sequence[dict[str, Any]]) -> list[Object]:
    """Those of the objects that are in the cluster, whole."""
    kubectl = Kubectl(access)
    paths = Paths(kubectl)
    found = []
    for identity in wanted:
        path, collection, namespaced = paths.of(identity, access.namespace)
        try:
            # Raw, so that the owners of fields are there with every version of kubectl.
            whole = json.loads(kubectl.run("get", "--raw", path))
        except HubError as error:
            if "not find the requested resource" in str(error) or "not found" in str(error):
                continue
            raise
        found.append(Object(path, collection, namespaced, whole))
    return found


def added_objects(
    access: Access, wanted: Sequence[dict[str, Any]], old: Sequence[Object]
) -> list[dict[str, str]]:
    """What is wanted that the old release has not, and a restore removes: path, collection, kind."""
    paths = Paths(Kubectl(access))
    known = {each.path for each in old}
    added = []
    for identity in wanted:
        path, collection, namespaced = paths.of(identity, access.namespace)
        if path not in known and namespaced and identity["kind"] not in KEPT_KINDS:
            added.append({"path": path, "collection": collection, "kind": identity["kind"]})
    return added


def keep(kubectl: Kubectl, point: RecoveryPoint, objects: Sequence[Object]) -> None:
    """Write the recovery point into the cluster. Raises HubError where it is too large for a Secret."""
    packed = base64.b64encode(pack(objects)).decode()
    if len(packed) > SECRET_BYTES:
        raise HubError(
            f"The release's objects have {len(packed):,} bytes packed, more than a Secret may.",
            "Take large files out of hub.extraFiles and singleuser.extraFiles.",
        )
    record = kubectl.one("secrets", record_name(point.release, point.revision))
    if record is None:
        raise HubError(
            f"Helm has no record of the revision {point.revision} of {point.release}.",
            "It keeps as many revisions as --history-max says.",
        )
    labels = {LABEL: point.id, RELEASE_LABEL: point.release}
    manifest = base64.b64encode(json.dumps(to_dict(point)).encode()).decode()
    kubectl.apply(
        [
            _secret(point.secret, labels, {"recovery-point.json": manifest, "objects.json.gz": packed}),
            _secret(point.record_secret, labels, {"record": record["data"]["release"]}),
        ]
    )


def _secret(name: str, labels: dict[str, str], data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels},
        "type": "Opaque",
        "data": data,
    }


def pack(objects: Sequence[Object]) -> bytes:
    """The objects as the guard reads them."""
    return gzip.compress(json.dumps([to_dict(each) for each in objects]).encode(), mtime=0)


def read_kept_objects(kubectl: Kubectl, point: RecoveryPoint) -> list[Object]:
    """The objects of a recovery point."""
    secret = kubectl.one("secrets", point.secret)
    if secret is None:
        raise HubError(
            f"The recovery point {point.id} is not in the cluster any more.",
            "`z2jh_rollback` without z2jh_recovery_point takes one that is there.",
        )
    packed = gzip.decompress(base64.b64decode(secret["data"]["objects.json.gz"]))
    return [from_dict(Object, each) for each in json.loads(packed)]


def kept(kubectl: Kubectl, release: str) -> list[RecoveryPoint]:
    """The release's recovery points, the newest first."""
    found = []
    for secret in kubectl.get("secrets", selector=f"{LABEL},{RELEASE_LABEL}={release}"):
        if "recovery-point.json" in secret.get("data", {}):
            data = json.loads(base64.b64decode(secret["data"]["recovery-point.json"]))
            found.append(from_dict(RecoveryPoint, data))
    return sorted(found, key=lambda each: each.id, reverse=True)


def choose(points: Sequence[RecoveryPoint], release: str, identity: str = "") -> RecoveryPoint:
    """The recovery point of that id, or the newest. Raises HubError where it is not there."""
    known = ", ".join(each.id for each in points) or "none"
    for each in points:
        if identity in ("", each.id):
            return each
    raise HubError(
        f"The release {release} has no recovery point {identity}.".replace(" .", "."),
        f"There is: {known}. Set z2jh_recovery_point.",
    )


def prune(access: Access, release: Release, keep_newest: int) -> list[str]:
    """Remove all but the newest recovery points, with their copies on the volume; their ids."""
    kubectl = Kubectl(access)
    removed = []
    for point in kept(kubectl, release.name)[max(keep_newest, 1) :]:
        database_of_backup(access, release.name, release.hub, point.database).remove(point.database)
        kubectl.delete("secret", point.record_secret)
        kubectl.delete("secret", point.secret)
        removed.append(point.id)
    return removed


def copy_out(
    kubectl: Kubectl, point: RecoveryPoint, database: HubDatabase, objects: Sequence[Object], folder: Path
) -> None:
    """Copy a recovery point to this host, for its owner alone; HubError where the copy is not whole."""
    target = folder / point.namespace / point.release / point.id
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(target, 0o700)
    except OSError as error:
        raise HubError(f"Cannot write into {folder}: {error.strerror}.", "Set z2jh_backup_fetch.") from error
    content = database.content(point.database)
    if hashlib.sha256(content).hexdigest() != point.database.sha256:
        raise HubError("The copy of the database that came out of the pod is not whole.", "Try again.")
    files.write(target / database.file, content)
    files.write(target / "objects.json.gz", pack(objects))
    record = kubectl.one("secrets", record_name(point.release, point.revision)) or {}
    files.write(target / "record.json", json.dumps(record).encode())
    files.write(target / "recovery-point.json", json.dumps(to_dict(point), indent=2).encode())
