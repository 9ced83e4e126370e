"""A hub's database on a server, dumped and put back by pods of the database's own image.

The dumps are on a claim beside the release, which is made with the first of them. What the programs need to
reach the server is in a Secret, for as long as there is a pod or a guard for it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..databases import urls
from ..errors import HubError
from .cluster import Access, CommandError, Helm, Kubectl
from .hub_database import Copy, DatabaseBackup, HubDatabase
from .pods import MESSAGE, RESOURCES, job, labelled, own_name, shared, why_waiting
from .release import Database, without_password
from .server_program import FIRST, LAST, ServerProgram
from .server_programs import program_of
from .stopped_hub import stop_hub
from .values import Values, get, merged

CLAIM_FOLDER, SCRATCH_FOLDER = "/hubops", "/scratch"
#: What the hub of a rehearsal shares with the server of its copy.
SHARED_FOLDER, SHARED_VOLUME, MESSAGE_FILE = "/hubops", "hubops-shared", "message"
#: As whom a container runs, which a pod can say for all of its containers.
USER = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile")
#: For how long a pod of ours may live that nobody ends; a dump of a large database may take long.
LIFE_SECONDS = 4 * 3600
COPYING_SECONDS = 3600
READY_SECONDS = 300
ARGV = ["sh", "-c", 'eval "$HUBOPS_PROGRAM"', "hubops"]
#: Hosts that are another one in each pod, such as a proxy of a cloud's beside the hub.
LOCAL = ("", "localhost", "127.0.0.1", "::1")
MIGRATING: Values = {"hub": {"db": {"upgrade": True}}}


@dataclass(frozen=True)
class Server:
    """The image with a server's programs, and as whom its pod runs."""

    image: str
    pod_security: dict[str, Any] = field(default_factory=dict)
    container_security: dict[str, Any] = field(default_factory=dict)


class ServerDatabase(HubDatabase):
    """One for whose server there is a ``program``; ``image`` and ``storage`` as an administrator chooses."""

    file = "jupyterhub.dump"

    def __init__(
        self,
        access: Access,
        release: str,
        hub: str,
        program: ServerProgram,
        image: str = "",
        storage: str = "1Gi",
    ) -> None:
        super().__init__(access, release, hub)
        self.program = program
        self.image = image
        self.storage = storage

    @property
    def _claim(self) -> str:
        return own_name(self.release, "recovery")

    @property
    def _pod(self) -> str:
        return own_name(self.release, "dump")

    def back_up(self, found: Database, hub: dict[str, Any], identity: str) -> DatabaseBackup:
        server = server_of(self.kubectl, found.url, self.image)
        backup = DatabaseBackup(
            claim=self._claim,
            database="",
            folder=f"{CLAIM_FOLDER}/{identity}",
            sha256="",
            bytes=0,
            schema="",
            began=time.time(),
            url=found.url,
            image=server.image,
            pod_security=server.pod_security,
            container_security=server.container_security,
        )
        self._make_claim()
        with self._running(backup, hub):
            try:
                return replace(backup, **description(self._ask("back-up", backup.folder, FIRST)))
            except HubError:
                with contextlib.suppress(HubError):
                    self._ask("remove", backup.folder)
                raise

    def content(self, backup: DatabaseBackup) -> bytes:
        with self._running(backup, self._deployment(), connected=False):
            argv = ["cat", f"{backup.folder}/{FIRST}/dump"]
            return self.kubectl.exec(self._pod, argv, timeout=COPYING_SECONDS)

    def remove(self, backup: DatabaseBackup) -> None:
        with self._running(backup, self._deployment(), connected=False):
            self._ask("remove", backup.folder)

    def restoring(self, backup: DatabaseBackup, hub: dict[str, Any], name: str) -> list[dict[str, Any]]:
        pod = self._pod_of(backup, hub, name, [*ARGV, "restore", backup.folder])
        pod["containers"][0]["env"] = MESSAGE
        return [self._secret(name, self._access_to(backup.url)), job(name, pod, suspend=True, backoffLimit=2)]

    def copy(self, found: Database, name: str, folder: str) -> Copy:
        server = server_of(self.kubectl, found.url, self.image)
        values = self._values()
        parts = self.program.copy_of(urls.parse(get(values, "hub.db.url", "")), SHARED_FOLDER)
        container: dict[str, Any] = {
            "name": "database",
            "image": server.image,
            "imagePullPolicy": "IfNotPresent",
            "command": [*ARGV, "rehearse", SHARED_FOLDER],
            "envFrom": [{"secretRef": {"name": name}}],
            "env": [{"name": "HUBOPS_MESSAGE", "value": f"{SHARED_FOLDER}/{MESSAGE_FILE}"}],
            "volumeMounts": [
                {"name": SHARED_VOLUME, "mountPath": SHARED_FOLDER},
                {"name": "hubops-scratch", "mountPath": SCRATCH_FOLDER},
            ],
            "resources": RESOURCES,
        }
        # What is of the whole pod is the hub's.
        security = {key: server.pod_security[key] for key in USER if key in server.pod_security}
        if security or server.container_security:
            container["securityContext"] = {**security, **server.container_security}
        access = self._access_to(found.url)
        return Copy(
            urls.of_server(parts, ""),
            shared=SHARED_FOLDER,
            container=container,
            volumes=(
                {"name": SHARED_VOLUME, "emptyDir": {}},
                {"name": "hubops-scratch", "emptyDir": {}},
            ),
            secret={**self._variables(access), "HUBOPS_CLAIM": SHARED_FOLDER},
        )

    def pods_in_the_way(self) -> list[str]:
        return [self._pod]

    def require_kept(
        self,
        backup: DatabaseBackup,
        supplied: Values,
        wanted: Sequence[dict[str, Any]],
        old: Sequence[dict[str, Any]],
    ) -> None:
        if without_password(get(supplied, "hub.db.url", "")) != backup.url:
            raise HubError(
                f"With these values the hub's database is not {backup.url}, of which there is a dump.",
                "Keep hub.db.type and hub.db.url as they are in this upgrade.",
            )

    def seal(self, backup: DatabaseBackup, require: Callable[[], None], show: Callable[[str], None]) -> None:
        # While the hub still serves: an image may have to be pulled.
        with self._running(backup, self._deployment()):
            require()
            show("the old hub stops")
            stop_hub(self.kubectl, self.hub, require)
            show("the database is dumped as the old hub has left it")
            self._ask("back-up", backup.folder, LAST)
        require()

    def upgrades(self, supplied: Values, migrates: bool) -> list[Values]:
        if not migrates or get(supplied, "hub.db.upgrade") is True:
            return [supplied]
        return [merged(supplied, MIGRATING), supplied]

    def url(self, backup: DatabaseBackup | None) -> str:
        values = self._values()
        parts = self.program.of_hub(urls.parse(get(values, "hub.db.url", "")))
        known = password(self.kubectl, values, self.program.password_variable)
        return urls.of_server(parts._replace(password=known), "")

    def describe(self, backup: DatabaseBackup) -> dict[str, Any] | None:
        return None

    def _values(self) -> Values:
        return Helm(self.access).values(self.release, everything=True)

    def _deployment(self) -> dict[str, Any]:
        found = self.kubectl.one("deployments.apps", self.hub)
        if found is None:
            raise HubError(f"There is no deployment {self.hub} any more.", "See helm status.")
        return found

    def _make_claim(self) -> None:
        if self.kubectl.one("persistentvolumeclaims", self._claim) is None:
            resources = {"requests": {"storage": self.storage}}
            spec = {"accessModes": ["ReadWriteOnce"], "resources": resources}
            self.kubectl.apply([labelled("v1", "PersistentVolumeClaim", self._claim, spec=spec)])

    def _access_to(self, known: str) -> dict[str, str]:
        """How the server is reached. Raises HubError where the release has another database by now."""
        values = self._values()
        url = get(values, "hub.db.url", "")
        if without_password(url) != known:
            raise HubError(
                f"The release's database is {without_password(url) or 'another one'}, and not that of the "
                f"recovery point, {known}.",
                "Set hub.db.url to that one first, or choose another recovery point.",
            )
        secret = password(self.kubectl, values, self.program.password_variable)
        return self.program.variables(urls.parse(url), secret)

    def _secret(self, name: str, access: dict[str, str]) -> dict[str, Any]:
        return labelled("v1", "Secret", name, stringData=self._variables(access))

    def _variables(self, access: dict[str, str]) -> dict[str, str]:
        """The variables of a pod."""
        return {
            **access,
            "HUBOPS_PROGRAM": self.program.text,
            "HUBOPS_CLAIM": CLAIM_FOLDER,
            "HUBOPS_SCRATCH": SCRATCH_FOLDER,
            # In the place of a home that is not there.
            "HOME": SCRATCH_FOLDER,
        }

    def _pod_of(
        self, backup: DatabaseBackup, hub: dict[str, Any], secret: str, argv: list[str]
    ) -> dict[str, Any]:
        container = {
            "name": "hubops",
            "image": backup.image,
            "imagePullPolicy": "IfNotPresent",
            "command": argv,
            "envFrom": [{"secretRef": {"name": secret}}],
            "volumeMounts": [
                {"name": "recovery", "mountPath": CLAIM_FOLDER},
                {"name": "scratch", "mountPath": SCRATCH_FOLDER},
            ],
            "resources": RESOURCES,
        }
        if backup.container_security:
            container["securityContext"] = backup.container_security
        return {
            **{key: value for key, value in shared(hub).items() if key != "securityContext"},
            **({"securityContext": backup.pod_security} if backup.pod_security else {}),
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [
                {"name": "recovery", "persistentVolumeClaim": {"claimName": backup.claim}},
                {"name": "scratch", "emptyDir": {}},
            ],
        }

    @contextlib.contextmanager
    def _running(self, backup: DatabaseBackup, hub: dict[str, Any], connected: bool = True) -> Iterator[None]:
        """A pod with the server's programs, in which requests are carried out; it is gone afterwards.

        Whether it is ``connected`` to the database, or works with dumps alone.
        """
        access = self._access_to(backup.url) if connected else {}
        self._end()
        spec = {
            **self._pod_of(backup, hub, self._pod, ["sleep", str(LIFE_SECONDS)]),
            "activeDeadlineSeconds": LIFE_SECONDS,
            "terminationGracePeriodSeconds": 1,
        }
        try:
            pod = labelled("v1", "Pod", self._pod, spec=spec)
            self.kubectl.apply([self._secret(self._pod, access), pod])
            try:
                self.kubectl.wait(f"pod/{self._pod}", "condition=Ready", READY_SECONDS)
            except CommandError:
                why = why_waiting(self.kubectl.get("pods", self._pod))
                raise HubError(
                    f"A pod of the image {backup.image} does not start. {why}".strip(),
                    f"Set z2jh_database_image to {self.program.product} that the cluster can have.",
                ) from None
            yield
        finally:
            self._end()

    def _end(self) -> None:
        self.kubectl.delete("pod", self._pod)
        self.kubectl.delete("secret", self._pod)

    def _ask(self, *request: str) -> str:
        try:
            return self.kubectl.exec(self._pod, [*ARGV, *request], timeout=COPYING_SECONDS).decode()
        except CommandError as error:
            lines = [line for line in error.output.splitlines() if line.strip()]
            said = [line for line in lines if not line.startswith("command terminated")]
            raise HubError(
                f"The request '{request[0]}' has failed in a pod of the database's image: "
                f"{said[-1] if said else error.message}",
                f"Correct what it names. z2jh_database_image has to be {self.program.product} of the "
                "server's version, with clients and server; z2jh_database_storage is the size of the claim "
                "for dumps.",
            ) from None


def description(said: str) -> dict[str, Any]:
    """The fields of a backup that the program has printed."""
    found: dict[str, Any] = {"rows": {}, "users": []}
    for line in said.splitlines():
        key, _tab, value = line.partition("\t")
        if key == "row":
            name, count, _hash = value.split("\t")
            found["rows"][json.loads(name)] = int(count)
        elif key == "user":
            found["users"].append(json.loads(value))
        else:
            found[key] = json.loads(value)
    return {**found, "users": tuple(found["users"])}


def password(kubectl: Kubectl, values: Values, variable: str) -> str | None:
    """The password of the database, where the chart has it: the URL, a Secret, values, a ``variable``."""
    given = urls.parse(get(values, "hub.db.url", "")).password
    if given is not None:
        return given
    existing = get(values, "hub.existingSecret")
    if existing and (kept := _of_secret(kubectl, existing, "hub.db.password")) is not None:
        return kept
    if given := get(values, "hub.db.password"):
        return str(given)
    extra = get(values, "hub.extraEnv", {})
    listed = {each["name"]: each for each in extra} if isinstance(extra, list) else extra
    found = listed.get(variable)
    if not isinstance(found, dict):
        return None if found is None else str(found)
    if reference := get(found, "valueFrom.secretKeyRef"):
        return _of_secret(kubectl, reference["name"], reference["key"])
    return found.get("value")


def _of_secret(kubectl: Kubectl, name: str, key: str) -> str | None:
    data = (kubectl.one("secrets", name) or {}).get("data") or {}
    return base64.b64decode(data[key]).decode() if key in data else None


def server_of(kubectl: Kubectl, url: str, image: str = "") -> Server:
    """The image with the programs of the server that a URL names: the chosen one, or that of its own pod.

    Raises HubError where a pod of ours could not reach it, and where it does not run in this cluster.
    """
    program = program_of(url)
    host = urls.parse(url).host
    if program is None or host in LOCAL:
        raise HubError(
            f"The hub's database {url} is reached only from within the hub's own pod: no other can dump it.",
            "Name the server's own address in hub.db.url, or in z2jh_database_evidence what there is of it.",
        )
    if image:
        return Server(image)
    name, _dot, rest = host.partition(".")
    namespace = rest.partition(".")[0] or kubectl.access.namespace
    pods: list[dict[str, Any]] = []
    with contextlib.suppress(CommandError):
        there = Kubectl(replace(kubectl.access, namespace=namespace))
        service = there.one("services", name)
        labels = ((service or {}).get("spec") or {}).get("selector") or {}
        if labels:
            selector = ",".join(f"{key}={value}" for key, value in labels.items())
            pods = there.get("pods", selector=selector)
    for pod in pods:
        containers = pod["spec"]["containers"]
        named = [each for each in containers if is_image(each["image"], program)]
        own = (named or containers)[0]
        return Server(
            own["image"], pod["spec"].get("securityContext") or {}, own.get("securityContext") or {}
        )
    raise HubError(
        f"The database's server {host} does not run in this cluster as far as can be seen, and so it is not "
        "known which image can dump it.",
        f"Set z2jh_database_image to an image of {program.product} of the server's version, such as "
        f"{program.image}.",
    )


def is_image(image: str, program: ServerProgram) -> bool:
    """Whether an image is one of the database, by its name, and none of what stands beside it."""
    name = image.rpartition("/")[2].partition("@")[0]
    return "exporter" not in name and any(mark in name for mark in program.marks)
