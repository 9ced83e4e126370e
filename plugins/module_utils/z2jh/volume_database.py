"""A hub's SQLite database on the hub's own volume, copied by a program in the hub's pod."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import HubError
from ..shapes import from_dict
from ..system.source import source_of
from . import database_program
from .cluster import Kubectl
from .hub_database import Copy, DatabaseBackup, HubDatabase
from .pods import FOLDER, MESSAGE, hub_container, job, labelled, shared
from .release import Database
from .values import Values

DATABASE = "jupyterhub.sqlite"
COPIES = "hubops-recovery"
COPYING_SECONDS = 1800


class VolumeDatabase(HubDatabase):
    """SQLite on a volume. The hub itself copies it before it migrates it."""

    file = DATABASE

    def back_up(self, found: Database, hub: dict[str, Any], identity: str) -> DatabaseBackup:
        container, mount = hub_mount(hub, found.claim)
        database, folder = f"{mount}/{DATABASE}", f"{mount}/{COPIES}/{identity}"
        made = self._ask({"do": "back-up", "database": database, "folder": folder}, container)
        described = self._ask({"do": "describe", "database": f"{folder}/{DATABASE}"}, container)
        users = described.get("users", [])
        whole = {**made, "users": users, "claim": found.claim, "database": database, "folder": folder}
        return from_dict(DatabaseBackup, whole)

    def content(self, backup: DatabaseBackup) -> bytes:
        argv = ["cat", f"{backup.folder}/{DATABASE}"]
        return self.kubectl.exec(f"deploy/{self.hub}", argv, container="hub", timeout=COPYING_SECONDS)

    def remove(self, backup: DatabaseBackup) -> None:
        self._ask({"do": "remove", "folder": backup.folder})

    def restoring(self, backup: DatabaseBackup, hub: dict[str, Any], name: str) -> list[dict[str, Any]]:
        request = {
            "do": "restore",
            "database": backup.database,
            "folder": backup.folder,
            "backup": {"began": backup.began, "schema": backup.schema, "sha256": backup.sha256},
        }
        spec = hub["spec"]["template"]["spec"]
        hub_mount(hub, backup.claim)
        volume = next(
            each
            for each in spec["volumes"]
            if each.get("persistentVolumeClaim", {}).get("claimName") == backup.claim
        )
        mount = next(
            mount
            for container in spec["containers"]
            for mount in container.get("volumeMounts") or []
            if mount["name"] == volume["name"]
        )
        container = hub_container(
            hub,
            ["python3", f"{FOLDER}/database.py", json.dumps(request)],
            [mount, {"name": "hubops", "mountPath": FOLDER, "readOnly": True}],
        )
        container["env"] = MESSAGE
        pod = {
            **shared(hub),
            # The API server is none of its business.
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [volume, {"name": "hubops", "secret": {"secretName": name}}],
        }
        return [
            labelled("v1", "Secret", name, stringData={"database.py": source_of(database_program)}),
            job(name, pod, suspend=True, backoffLimit=2),
        ]

    def copy(self, found: Database, name: str, folder: str) -> Copy:
        return Copy(f"sqlite:///{folder}/{DATABASE}", sent=True)

    def pods_in_the_way(self) -> list[str]:
        return []

    def require_kept(
        self,
        backup: DatabaseBackup,
        supplied: Values,
        wanted: Sequence[dict[str, Any]],
        old: Sequence[dict[str, Any]],
    ) -> None:
        require_claim(backup.claim, wanted, old)

    def seal(self, backup: DatabaseBackup, require: Callable[[], None], show: Callable[[str], None]) -> None:
        return

    def upgrades(self, supplied: Values, migrates: bool) -> list[Values]:
        return [supplied]

    def url(self, backup: DatabaseBackup | None) -> str:
        return f"sqlite:///{backup.database if backup else f'/srv/jupyterhub/{DATABASE}'}"

    def describe(self, backup: DatabaseBackup) -> dict[str, Any] | None:
        return self._ask({"do": "describe", "database": backup.database})

    def _ask(self, request: dict[str, Any], container: str = "hub") -> dict[str, Any]:
        return ask_database(self.kubectl, self.hub, container, request)


def ask_database(kubectl: Kubectl, hub: str, container: str, request: dict[str, Any]) -> dict[str, Any]:
    """Have the program of databases answer in the running hub's pod. Raises HubError with its reason."""
    argv = ["python3", "-c", source_of(database_program), json.dumps(request)]
    printed = kubectl.exec(f"deploy/{hub}", argv, container=container, timeout=COPYING_SECONDS)
    answer: dict[str, Any] = json.loads(printed.decode().strip().splitlines()[-1])
    if "error" in answer:
        raise HubError(
            f"The request '{request['do']}' has failed in the hub's pod: {answer['error']}",
            "See the space on the hub's volume, and its owner.",
        )
    return answer


def hub_mount(hub: dict[str, Any], claim: str) -> tuple[str, str]:
    """The container that has the claim's volume, and where. Raises HubError where none has."""
    pod = hub["spec"]["template"]["spec"]
    names = {
        volume["name"]
        for volume in pod.get("volumes") or []
        if volume.get("persistentVolumeClaim", {}).get("claimName") == claim
    }
    for container in pod["containers"]:
        for mount in container.get("volumeMounts") or []:
            if mount["name"] in names:
                return container["name"], mount["mountPath"].rstrip("/")
    raise HubError(f"The hub's deployment does not mount the claim {claim}.", "Compare hub.db.pvc.")


def require_claim(claim: str, wanted: Sequence[dict[str, Any]], old: Sequence[dict[str, Any]]) -> None:
    """Raise HubError where Helm would remove the volume that the database and its copy are on."""

    def has(objects: Sequence[dict[str, Any]]) -> bool:
        return any(
            each["kind"] == "PersistentVolumeClaim" and each["metadata"]["name"] == claim for each in objects
        )

    if has(old) and not has(wanted):
        raise HubError(
            f"The target has no claim {claim}: Helm would remove the volume with the hub's database.",
            "Keep hub.db.type and hub.db.pvc as they are in this upgrade.",
        )
