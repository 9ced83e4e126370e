"""Runs in the cluster as a Job, in the hub's own image: restores a release whose upgrade is not accepted.

It imports nothing of this collection, and needs no controller: it talks to the API server with its
service account. What it needs is in the folder of ``argv[1]``, a Secret: ``settings.json``, and
``objects.json.gz`` with the old release's objects as they were before the upgrade. A ConfigMap is where
it and the controller meet; both change it only if nobody else has meanwhile:

``state``: ``armed`` (it watches) -> ``accepted`` (the new release stays; it ends), or ``restoring``
(asked to, or because no heartbeat came) -> ``restored``, or ``failed``, where a person has to decide; the
hub stays at 0 pods then. ``waiting``: a person has to restore the database, and to say so by
``database-restored``; then it goes on.
``heartbeat``: any text; each other text than before is a heartbeat. ``ready``: it has begun to watch.
``reason``, ``step``, ``done``, ``problem``, ``database``: what it does and has done, and why.

The order of a restore is fixed, for a hub migrates its database when it starts: the hub scaled to 0 pods,
the database put back (by a Job that waits suspended, since a volume may be attached to one node alone),
the objects of the old release put back and its revision made the newest one, the hub up. Each step may be
repeated, and is, until it succeeds: the program may be killed at any time, and its Job starts it again.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import gzip
import json
import math
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
LOOK_SECONDS = 1.0
RETRY_SECONDS = 3.0
ASKING_SECONDS = 20.0
#: For how long the hub waits for its proxy, without which nobody reaches it.
PROXY_SECONDS = 60.0
#: What the API server sets: not part of what an object is to be.
SERVER_FIELDS = ("resourceVersion", "uid", "generation", "creationTimestamp", "managedFields", "selfLink")
#: What is never replaced or removed: the data in it is a person's, or the hub's.
KEPT_KINDS = ("PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition")


class ApiError(Exception):
    """The API server has refused a request; ``code`` is HTTP's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Unrecoverable(Exception):
    """Nothing that a repetition could change: a person has to decide."""


class Api:
    """The API server, with the service account of this pod."""

    def __init__(self, url: str = "", account: str = ACCOUNT) -> None:
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
        host = f"[{host}]" if ":" in host else host
        self.url = url or f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
        self.account = account
        authority = os.path.join(account, "ca.crt")
        context = ssl.create_default_context(cafile=authority) if os.path.exists(authority) else None
        # Made once: from Python 3.12 on each one without a context reads all of the system's authorities.
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """What the server answers. Raises ApiError, and OSError where it does not answer."""
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode()
        )
        # It is renewed while this program runs.
        token = Path(self.account, "token").read_text(encoding="utf-8").strip()
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", kind)
        try:
            with self.opener.open(request, timeout=ASKING_SECONDS) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError, KeyError, TypeError):
                text = json.loads(text)["message"]
            raise ApiError(error.code, text) from None

    def get(self, path: str) -> Any:
        """An object, or None."""
        try:
            return self.ask("GET", path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def merge(self, path: str, body: Any) -> Any:
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> None:
        try:
            self.ask("DELETE", path, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.code != 404:
                raise


class Guard:
    """Watches one upgrade."""

    def __init__(self, api: Api, settings: dict[str, Any], objects: list[dict[str, Any]]) -> None:
        self.api = api
        self.settings = settings
        # What is outside of the namespace is the controller's to put back: a Role cannot reach it.
        self.objects = [each for each in objects if each["namespaced"]]
        self.namespace = f"/api/v1/namespaces/{settings['namespace']}"
        self.meeting = f"{self.namespace}/configmaps/{settings['config_map']}"
        self.jobs = f"/apis/batch/v1/namespaces/{settings['namespace']}/jobs"
        self.hub = f"/apis/apps/v1/namespaces/{settings['namespace']}/deployments/{settings['hub']}"

    def run(self) -> None:
        """Watch until the upgrade is accepted, or restore the old release."""
        patience = Patience(self.settings["patience"])
        while True:
            try:
                state = self.turn(patience)
            except Unrecoverable as error:
                self.report(state="failed", problem=str(error))
                return
            except (ApiError, OSError, ValueError, KeyError) as error:
                problem = f"{type(error).__name__}: {error}"
                log(problem)
                self.try_to_report(problem)
                time.sleep(RETRY_SECONDS)
                continue
            if state != "armed":
                return
            time.sleep(LOOK_SECONDS)

    def turn(self, patience: Patience) -> str:
        """Look once, and do what there is to do; the state that this ends with."""
        meeting = self.api.ask("GET", self.meeting)
        data = meeting.get("data") or {}
        state = data.get("state", "armed")
        if state == "armed":
            if patience.is_over(data.get("heartbeat", "")):
                reason = f"no heartbeat of the controller for {self.settings['patience']} s"
                if not self.change(meeting, state="restoring", reason=reason):
                    return "armed"
                state = "restoring"
            elif "ready" not in data:
                self.change(meeting, ready=str(int(time.time())))
        if state in ("restoring", "waiting"):
            if not data.get("done"):
                self.restore()
            self.start()
            return "restored"
        return str(state)

    def change(self, meeting: dict[str, Any], **data: str) -> bool:
        """Write into the ConfigMap as it was read; whether it still was that."""
        changed = copy.deepcopy(meeting)
        changed.setdefault("data", {}).update(data)
        try:
            self.api.ask("PUT", self.meeting, changed)
        except ApiError as error:
            if error.code == 409:
                return False
            raise
        return True

    def report(self, **data: str) -> None:
        """Write into the ConfigMap, whoever else has."""
        log(json.dumps(data))
        self.api.merge(self.meeting, {"data": data})

    def try_to_report(self, problem: str) -> None:
        try:
            self.api.merge(self.meeting, {"data": {"problem": problem}})
        except (ApiError, OSError, ValueError):
            log("The problem could not be reported.")

    def restore(self) -> None:
        """Take the steps in their order; none where nothing was changed yet."""
        if self.is_unchanged():
            self.report(done="nothing was changed yet")
            return
        self.report(step="stopping the hub")
        self.stop_hub()
        database = self.put_database_back()
        self.report(step="restoring the release", database=json.dumps(database))
        self.restore_objects()
        self.restore_record()
        # From here on the hub may be up: what follows is repeated without stopping it again.
        self.report(done="the release is restored")

    def start(self) -> None:
        """Start the hub, and wait for the release."""
        # A hub gives its proxy the routes to users' servers when it starts, and later once a minute.
        for each in self.objects:
            if is_proxy(each["object"]) and was_ready(each["object"]):
                self.report(step="waiting for the proxy")
                self.wait_until_ready(each["path"], PROXY_SECONDS)
        self.report(step="starting the hub")
        self.start_hub()
        # Helm 4 must meet the owners of fields that it knows, not this program.
        self.put_owners_back()
        self.report(step="waiting for the release")
        for each in self.objects:
            if each["object"]["kind"] == "Deployment" and was_ready(each["object"]):
                self.wait_until_ready(each["path"])
        self.report(state="restored", step="", problem="")

    def is_unchanged(self) -> bool:
        """Whether the release is what it was, so that its hub need not be stopped."""
        newer = [
            name
            for name in self.settings["newer_records"]
            if self.api.get(f"{self.namespace}/secrets/{name}")
        ]
        added = [each for each in self.settings["added"] if self.api.get(each["path"])]
        if newer or added:
            return False
        for each in self.objects:
            present = self.api.get(each["path"])
            if present is None or not is_same(present, each["object"]):
                return False
        return True

    def stop_hub(self) -> None:
        """Scale the hub to 0, and wait until no pod of it is left."""
        deployment = self.api.get(self.hub)
        if deployment is None:
            return
        if deployment["spec"].get("replicas") != 0:
            self.api.merge(self.hub, {"spec": {"replicas": 0}})
        labels = deployment["spec"]["selector"]["matchLabels"]
        selector = urllib.parse.quote(",".join(f"{key}={value}" for key, value in sorted(labels.items())))
        while pods := self.api.ask("GET", f"{self.namespace}/pods?labelSelector={selector}")["items"]:
            names = ", ".join(pod["metadata"]["name"] for pod in pods)
            log(f"Waiting until {names} has ended.")
            time.sleep(LOOK_SECONDS)

    def put_database_back(self) -> dict[str, Any]:
        """Have the suspended Job put the database back; its answer. Raises Unrecoverable if it cannot."""
        if self.settings["by_hand"]:
            return self.wait_for_person()
        name = self.settings["database_job"]
        if not name:
            return {}
        for pod in self.settings["pods_in_the_way"]:
            self.remove_pod(f"{self.namespace}/pods/{pod}")
        path = f"{self.jobs}/{name}"
        job = self.api.ask("GET", path)
        if job["spec"].get("suspend"):
            self.report(step="putting the database back")
            self.api.merge(path, {"spec": {"suspend": False}})
        while True:
            job = self.api.ask("GET", path)
            conditions = {
                each["type"] for each in job["status"].get("conditions", []) if each["status"] == "True"
            }
            if conditions & {"Complete", "Failed"}:
                reply = self.last_words(name)
                if "Failed" in conditions:
                    raise Unrecoverable(
                        f"The database could not be put back: {reply.get('error', 'the Job failed')} "
                        "The hub is at 0 pods, and has to stay there until it is."
                    )
                return reply
            time.sleep(LOOK_SECONDS)

    def wait_for_person(self) -> dict[str, Any]:
        """Wait until somebody says that the database is restored, which nothing here can do."""
        while not self.api.ask("GET", self.meeting)["data"].get("database-restored"):
            meeting = self.api.ask("GET", self.meeting)
            if meeting["data"]["state"] != "waiting":
                self.report(state="waiting", problem=self.settings["by_hand"])
            time.sleep(LOOK_SECONDS)
        self.report(state="restoring", problem="")
        return {"used": "the database as it was restored by hand"}

    def remove_pod(self, path: str) -> None:
        """Remove a pod of the controller's, which may have the volume that the Job needs."""
        self.api.delete(path)
        while self.api.get(path) is not None:
            time.sleep(LOOK_SECONDS)

    def last_words(self, job: str) -> dict[str, Any]:
        """The answer of a Job's pod, from its termination message; {} where it has none."""
        selector = urllib.parse.quote(f"job-name={job}")
        for pod in self.api.ask("GET", f"{self.namespace}/pods?labelSelector={selector}")["items"]:
            for container in pod.get("status", {}).get("containerStatuses", []):
                ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get(
                    "terminated"
                )
                try:
                    return dict(json.loads((ended or {}).get("message", "")))
                except ValueError:
                    continue
        return {}

    def restore_objects(self) -> None:
        """Make each object what it was, the hub with 0 pods; remove those that only the new release has."""
        for entry in self.objects:
            wanted = copy.deepcopy(entry["object"])
            if entry["path"] == self.hub:
                wanted["spec"]["replicas"] = 0
            self.put(entry["collection"], entry["path"], wanted)
        for entry in self.settings["added"]:
            if entry["kind"] not in KEPT_KINDS:
                self.api.delete(entry["path"])

    def put(self, collection: str, path: str, wanted: dict[str, Any]) -> None:
        """Make one object equal to ``wanted``; made again where the API server does not let it be changed."""
        present = self.api.get(path)
        if present is None:
            self.api.ask("POST", collection, without_server_fields(wanted))
            return
        if wanted["kind"] in KEPT_KINDS or is_same(present, wanted):
            return
        version = present["metadata"]["resourceVersion"]
        try:
            self.api.ask("PUT", f"{path}?fieldManager=helm", without_server_fields(wanted, version))
        except ApiError as error:
            # Of a few fields, such as a deployment's selector, the server refuses the change.
            if error.code != 422:
                raise
            log(f"{path} is made again: {error}")
            self.api.delete(path)
            while self.api.get(path) is not None:
                time.sleep(LOOK_SECONDS)
            self.api.ask("POST", collection, without_server_fields(wanted))

    def restore_record(self) -> None:
        """Make the old revision the newest one, as `helm rollback` does, and end those that are under way."""
        release = self.settings["release"]
        secrets = f"{self.namespace}/secrets"
        old = json.loads(gzip.decompress(base64.b64decode(self.settings["record"])))
        mark = self.settings["mark"]
        # By name, since the right to list Secrets is one to read them all.
        asked = [self.api.get(f"{secrets}/{name}") for name in self.settings["records"]]
        records = [each for each in asked if each is not None]
        newest = max([old["version"], *(int(each["metadata"]["labels"]["version"]) for each in records)])
        if not any(each["metadata"]["labels"].get("hubops-restore") == mark for each in records):
            restored = helm_record(old, newest + 1)
            labels = {
                "name": release,
                "owner": "helm",
                "status": "deployed",
                "version": str(newest + 1),
                "modifiedAt": str(int(time.time())),
                "hubops-restore": mark,
            }
            self.api.ask(
                "POST",
                secrets,
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "helm.sh/release.v1",
                    "metadata": {"name": record_name(release, newest + 1), "labels": labels},
                    "data": {"release": packed_record(restored)},
                },
            )
        for each in records:
            labels = each["metadata"]["labels"]
            if labels.get("hubops-restore") == mark:
                continue
            status = ended_status(labels.get("status", ""))
            if status != labels.get("status"):
                record = unpacked_record(each["data"]["release"])
                record["info"]["status"] = status
                changed = {
                    "metadata": {"labels": {"status": status}},
                    "data": {"release": packed_record(record)},
                }
                self.api.merge(f"{secrets}/{each['metadata']['name']}", changed)

    def start_hub(self) -> None:
        """Give the hub the pods that it had, and wait until they are ready."""
        entry = next(each for each in self.objects if each["path"] == self.hub)
        replicas = entry["object"]["spec"].get("replicas", 1)
        deployment = self.api.merge(self.hub, {"spec": {"replicas": replicas}})
        generation = deployment["metadata"]["generation"]
        while not is_rolled_out(deployment, generation, replicas):
            time.sleep(LOOK_SECONDS)
            deployment = self.api.ask("GET", self.hub)

    def wait_until_ready(self, path: str, seconds: float = math.inf) -> None:
        """Wait for a deployment that was ready before, for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            deployment = self.api.ask("GET", path)
            if is_rolled_out(
                deployment, deployment["metadata"]["generation"], deployment["spec"]["replicas"]
            ):
                return
            time.sleep(LOOK_SECONDS)

    def put_owners_back(self) -> None:
        """Give each object the owners of its fields (``managedFields``) that it had."""
        for entry in self.objects:
            owners = entry["object"]["metadata"].get("managedFields")
            present = self.api.get(entry["path"])
            if entry["object"]["kind"] in KEPT_KINDS or not owners or present is None:
                continue
            if is_same(present, entry["object"]) and present["metadata"].get("managedFields") != owners:
                self.api.merge(entry["path"], {"metadata": {"managedFields": owners}})


class Patience:
    """Says when no heartbeat has come for too long, by this host's clock alone."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last: str | None = None
        self.since = time.monotonic()

    def is_over(self, heartbeat: str) -> bool:
        if heartbeat != self.last:
            self.last = heartbeat
            self.since = time.monotonic()
        return time.monotonic() - self.since > self.seconds


def without_server_fields(wanted: dict[str, Any], version: str = "") -> dict[str, Any]:
    """An object to be sent: without what the server sets, and without its status."""
    sent = {key: value for key, value in wanted.items() if key != "status"}
    sent["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in SERVER_FIELDS}
    if version:
        sent["metadata"]["resourceVersion"] = version
    return sent


def is_same(present: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether an object is what it is to be."""
    return comparable(present) == comparable(wanted)


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """An object without what a controller counts up in it."""
    compared = without_server_fields(state)
    annotations = compared["metadata"].get("annotations") or {}
    kept = {key: value for key, value in annotations.items() if key != "deployment.kubernetes.io/revision"}
    compared["metadata"]["annotations"] = kept
    return compared


def is_rolled_out(deployment: dict[str, Any], generation: int, replicas: int) -> bool:
    """Whether all pods of a deployment are those of its newest state, and ready."""
    status = deployment.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= generation
        and status.get("replicas", 0) == replicas
        and status.get("updatedReplicas", 0) == replicas
        and status.get("availableReplicas", 0) == replicas
    )


def is_proxy(state: dict[str, Any]) -> bool:
    """Whether an object is the deployment by which users reach the hub: the chart labels it so."""
    labels = state["metadata"].get("labels") or {}
    return bool(state["kind"] == "Deployment" and labels.get("component") == "proxy")


def was_ready(deployment: dict[str, Any]) -> bool:
    """Whether a deployment had all its pods, when it was kept."""
    wanted = deployment["spec"].get("replicas", 1)
    return bool(wanted and deployment.get("status", {}).get("availableReplicas", 0) == wanted)


def ended_status(status: str) -> str:
    """The status in Helm's history of a revision that another one has replaced."""
    if status.startswith("pending-"):
        return "failed"
    return "superseded" if status == "deployed" else status


def helm_record(old: dict[str, Any], version: int) -> dict[str, Any]:
    """The old revision's record as a new revision, as `helm rollback` writes it."""
    record = copy.deepcopy(old)
    record["version"] = version
    record["info"]["status"] = "deployed"
    record["info"]["description"] = f"Rollback to {old['version']}"
    record["info"]["last_deployed"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return record


def record_name(release: str, version: int) -> str:
    """The name of the Secret in which Helm keeps a revision."""
    return f"sh.helm.release.v1.{release}.v{version}"


def packed_record(record: dict[str, Any]) -> str:
    """A release's record as Helm keeps it in a Secret: JSON, gzip, base64, and the Secret's own base64."""
    inner = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    return base64.b64encode(inner).decode()


def unpacked_record(data: str) -> dict[str, Any]:
    """The inverse of `packed_record`."""
    return dict(json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data)))))


def log(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}\n")
    sys.stdout.flush()


def read(folder: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Settings and objects of a guard."""
    settings = json.loads(Path(folder, "settings.json").read_text(encoding="utf-8"))
    settings["record"] = Path(folder, "record").read_text(encoding="utf-8")
    with gzip.open(os.path.join(folder, "objects.json.gz")) as packed:
        return settings, json.load(packed)


def main() -> None:
    settings, objects = read(sys.argv[1])
    Guard(Api(), settings, objects).run()


if __name__ == "__main__":
    main()
