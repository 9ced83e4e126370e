"""What the guard does in the cluster: a restore in its order, wherever it is cut off."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import guard_program as program
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.guard import rules
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import DatabaseBackup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.recovery import Object, RecoveryPoint

from tests.unit.z2jh.api_server import ApiServer, Objects

CORE = "/api/v1/namespaces/jhub"
MEETING = f"{CORE}/configmaps/hubops-jhub-guard"
HUB = "/apis/apps/v1/namespaces/jhub/deployments/hub"
JOB = "/apis/batch/v1/namespaces/jhub/jobs/hubops-jhub-database"
SECRETS = f"{CORE}/secrets"
OLD, NEW = "hub:4.1.6", "hub:5.4.0"


def deployment(image: str, replicas: int = 1, selector: str = "hub") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "hub",
            "resourceVersion": "1",
            "generation": 1,
            "uid": "u",
            "managedFields": [1],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"component": selector}},
            "template": {"spec": {"containers": [{"image": image}]}},
        },
        "status": {},
    }


def config(name: str, text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "resourceVersion": "1"},
        "data": {"text": text},
    }


def record(version: int, status: str) -> dict[str, Any]:
    content = {"name": "jhub", "version": version, "info": {"status": status, "description": ""}}
    name = program.record_name("jhub", version)
    labels = {"name": "jhub", "owner": "helm", "status": status, "version": str(version)}
    return {
        "kind": "Secret",
        "metadata": {"name": name, "labels": labels, "resourceVersion": "1"},
        "data": {"release": program.packed_record(content)},
    }


class Cluster:
    """A release in the middle of its upgrade, and what Kubernetes' controllers would do meanwhile."""

    def __init__(self, folder: Path, new: dict[str, Any] | None = None) -> None:
        self.events: list[str] = []
        self.database = "migrated"
        self.job_fails = False
        objects: Objects = {
            MEETING: {**config("hubops-jhub-guard", ""), "data": {"state": "armed", "heartbeat": "1"}},
            HUB: new or deployment(NEW),
            f"{CORE}/configmaps/hub": config("hub", "new"),
            f"{CORE}/configmaps/added": config("added", "new"),
            f"{CORE}/persistentvolumeclaims/hub-db-dir": {"kind": "x", **claim("as it is")},
            f"{SECRETS}/{program.record_name('jhub', 3)}": record(3, "deployed"),
            f"{SECRETS}/{program.record_name('jhub', 4)}": record(4, "pending-upgrade"),
            JOB: {
                "kind": "Job",
                "metadata": {"name": "hubops-jhub-database"},
                "spec": {"suspend": True},
                "status": {},
            },
        }
        self.server = ApiServer(objects)
        self.server.changed = self.react
        for path in list(objects):
            self.server.put(path, objects[path])
        self.run_controllers()
        (folder / "token").write_text("token")
        self.api = program.Api(self.server.url, str(folder))
        self.rules = self.role()
        self.server.allows = self.allows

    @property
    def objects(self) -> Objects:
        return self.server.objects

    def react(self, _method: str, _path: str) -> None:
        self.run_controllers()

    def run_controllers(self) -> None:
        """Deployments get their pods, and the Job puts the database back, if no hub runs."""
        pods = [path for path in self.objects if path.startswith(f"{CORE}/pods/hub-")]
        hub = self.objects.get(HUB)
        image = hub["spec"]["template"]["spec"]["containers"][0]["image"] if hub else ""
        wanted = hub["spec"]["replicas"] if hub else 0
        for path in pods:
            if not wanted or self.objects[path]["image"] != image:
                del self.objects[path]
        if hub and wanted and not any(path.startswith(f"{CORE}/pods/hub-") for path in self.objects):
            labels = hub["spec"]["selector"]["matchLabels"]
            self.objects[f"{CORE}/pods/hub-1"] = {
                "metadata": {"name": "hub-1", "labels": labels},
                "image": image,
            }
            text = self.objects[f"{CORE}/configmaps/hub"]["data"]["text"]
            self.events.append(f"{image} starts on the {self.database} database with the {text} config")
        if hub:
            hub["status"] = {
                "observedGeneration": hub["metadata"]["generation"],
                **{key: wanted for key in ("replicas", "updatedReplicas", "availableReplicas")},
            }
        job = self.objects[JOB]
        if not job["spec"]["suspend"] and not job["status"]:
            if f"{CORE}/pods/hub-1" in self.objects:
                self.events.append("the database was touched while a hub ran")
            message = (
                {"error": "The backup is not what it was."} if self.job_fails else {"used": "the backup"}
            )
            self.database = "migrated" if self.job_fails else "old"
            kind = "Failed" if self.job_fails else "Complete"
            job["status"] = {"conditions": [{"type": kind, "status": "True"}]}
            self.objects[f"{CORE}/pods/job-1"] = {
                "metadata": {"name": "job-1", "labels": {"job-name": "hubops-jhub-database"}},
                "status": {
                    "containerStatuses": [{"state": {"terminated": {"message": json.dumps(message)}}}]
                },
            }

    def role(self) -> list[dict[str, Any]]:
        """The rules of the guard's Role."""
        guard = self.guard()
        backup = DatabaseBackup("hub-db-dir", "/d", "/f", "", 0, "", 0.0)
        point = RecoveryPoint("a", "jhub", "jhub", 3, "3.3.8", "4.1.6", "hub", "", backup)
        objects = [from_dict(Object, each) for each in guard.objects]
        return rules(point, objects, guard.settings["added"], guard.settings)

    def allows(self, verb: str, path: str) -> bool:
        """What Kubernetes makes of the rules."""
        parts = path.strip("/").split("/")
        group = parts[1] if parts[0] == "apis" else ""
        resource, _slash, name = path.partition("/namespaces/jhub/")[2].partition("/")
        return any(
            group in rule["apiGroups"]
            and resource in rule["resources"]
            and verb in rule["verbs"]
            and (name in rule["resourceNames"] if "resourceNames" in rule else True)
            for rule in self.rules
        )

    def guard(self, patience: float = 1000) -> program.Guard:
        settings = {
            "namespace": "jhub",
            "config_map": "hubops-jhub-guard",
            "hub": "hub",
            "release": "jhub",
            "database_job": "hubops-jhub-database",
            "pods_in_the_way": ["hubops-jhub-dump"],
            "by_hand": "",
            "patience": patience,
            "mark": "point-1",
            "added": [
                {"path": f"{CORE}/{plural}/{name}", "collection": f"{CORE}/{plural}", "kind": kind}
                for plural, name, kind in (
                    ("configmaps", "added", "ConfigMap"),
                    ("persistentvolumeclaims", "hub-db-dir", "PersistentVolumeClaim"),
                )
            ],
            "records": [program.record_name("jhub", number) for number in range(3, 9)],
            "newer_records": [program.record_name("jhub", 4)],
            "record": base64.b64encode(
                gzip.compress(
                    json.dumps(program.unpacked_record(record(3, "deployed")["data"]["release"])).encode()
                )
            ).decode(),
        }
        objects = [
            {
                "path": HUB,
                "collection": HUB.rpartition("/")[0],
                "namespaced": True,
                "object": deployment(OLD),
            },
            {
                "path": f"{CORE}/configmaps/hub",
                "collection": f"{CORE}/configmaps",
                "namespaced": True,
                "object": config("hub", "old"),
            },
            {
                "path": f"{CORE}/persistentvolumeclaims/hub-db-dir",
                "collection": f"{CORE}/persistentvolumeclaims",
                "namespaced": True,
                "object": claim("as it was"),
            },
            {
                "path": "/apis/rbac.authorization.k8s.io/v1/clusterroles/jhub",
                "collection": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
                "namespaced": False,
                "object": {"kind": "ClusterRole", "metadata": {"name": "jhub"}},
            },
        ]
        return program.Guard(self.api, settings, objects)

    def ask(self, **data: str) -> None:
        self.objects[MEETING]["data"].update(data)

    @property
    def meeting(self) -> dict[str, str]:
        return dict(self.objects[MEETING]["data"])

    def statuses(self) -> dict[str, str]:
        """Status by revision of Helm's records, which label and content agree on."""
        found = {}
        for path, each in self.objects.items():
            if "sh.helm" in path:
                content = program.unpacked_record(each["data"]["release"])
                labels = each["metadata"]["labels"]
                assert (str(content["version"]), content["info"]["status"]) == (
                    labels["version"],
                    labels["status"],
                )
                found[labels["version"]] = labels["status"]
        return found


def claim(text: str) -> dict[str, Any]:
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "hub-db-dir",
            "resourceVersion": "1",
            "annotations": {"note": text},
            "managedFields": [text],
        },
    }


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(program, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(program, "RETRY_SECONDS", 0.01)
    made = Cluster(tmp_path)
    yield made
    made.server.close()


def assert_is_old(cluster: Cluster) -> None:
    assert cluster.meeting["state"] == "restored"
    assert cluster.objects[HUB]["spec"] == deployment(OLD)["spec"]
    assert cluster.objects[f"{CORE}/configmaps/hub"]["data"] == {"text": "old"}
    assert f"{CORE}/configmaps/added" not in cluster.objects
    # The old hub has started on the old database alone, and the database was touched by nobody else.
    starts = [event for event in cluster.events if event.startswith(OLD)]
    assert starts == [f"{OLD} starts on the old database with the old config"]
    assert "the database was touched while a hub ran" not in cluster.events
    assert cluster.statuses() == {"3": "superseded", "4": "failed", "5": "deployed"}


def test_what_is_accepted_stays(cluster: Cluster) -> None:
    cluster.ask(state="accepted")
    before = copy.deepcopy(cluster.objects)
    cluster.guard().run()
    assert cluster.objects == before


def test_it_reports_that_it_watches(cluster: Cluster) -> None:
    guard = cluster.guard()
    assert guard.turn(program.Patience(1000)) == "armed"
    assert "ready" in cluster.meeting


def test_without_a_heartbeat_the_old_release_is_restored(cluster: Cluster) -> None:
    cluster.guard(patience=0.2).run()
    assert_is_old(cluster)
    assert "no heartbeat" in cluster.meeting["reason"]


def test_heartbeats_hold_it_back(cluster: Cluster) -> None:
    patience = program.Patience(0.5)
    guard = cluster.guard(patience=0.5)
    for number in range(60):
        cluster.ask(heartbeat=f"beat {number}")
        assert guard.turn(patience) == "armed"


def test_what_is_asked_for_is_restored(cluster: Cluster) -> None:
    cluster.ask(state="restoring", reason="the new hub does not start")
    cluster.guard().run()
    assert_is_old(cluster)
    assert json.loads(cluster.meeting["database"]) == {"used": "the backup"}
    # Nothing outside of the namespace is touched: it has no right to.
    assert not [path for _method, path in cluster.server.requests if "clusterroles" in path]
    # The claim of the hub's volume is kept as it is, whatever a chart says.
    kept = cluster.objects[f"{CORE}/persistentvolumeclaims/hub-db-dir"]
    assert kept["metadata"]["annotations"] == {"note": "as it is"}


PROXY = "/apis/apps/v1/namespaces/jhub/deployments/proxy"


def with_proxy(cluster: Cluster) -> program.Guard:
    """A guard of a release whose proxy was ready, and is to be another one."""
    old = deployment("proxy:1", selector="proxy")
    old["metadata"].update(name="proxy", labels={"component": "proxy"})
    old["status"] = {"availableReplicas": 1}
    new = copy.deepcopy(old)
    new["spec"]["template"]["spec"]["containers"][0]["image"] = "proxy:2"
    cluster.server.put(PROXY, {**new, "status": {}})
    cluster.ask(state="restoring")
    guard = cluster.guard()
    guard.objects.append(
        {"path": PROXY, "collection": PROXY.rpartition("/")[0], "namespaced": True, "object": old}
    )
    cluster.server.allows = lambda _verb, _path: True
    return guard


@pytest.mark.parametrize(
    ("seconds", "replicas"),
    [
        # The proxy is there before the hub starts.
        (60.0, 0),
        # It is waited for in vain, and comes when the hub has started.
        (0.05, 1),
    ],
)
def test_a_hub_starts_when_its_proxy_can_take_the_routes_to_servers_or_does_not_come(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, seconds: float, replicas: int
) -> None:
    monkeypatch.setattr(program, "PROXY_SECONDS", seconds)
    guard = with_proxy(cluster)
    hub_had: list[int] = []

    def react(_method: str, _path: str) -> None:
        cluster.run_controllers()
        proxy, hub = cluster.objects[PROXY], cluster.objects[HUB]["spec"]["replicas"]
        is_awaited = cluster.meeting.get("step", "").startswith("waiting for")
        if is_awaited and hub == replicas and not hub_had:
            assert proxy["spec"]["template"]["spec"]["containers"][0]["image"] == "proxy:1"
            hub_had.append(hub)
        if hub_had:
            counts = {key: 1 for key in ("replicas", "updatedReplicas", "availableReplicas")}
            proxy["status"] = {"observedGeneration": proxy["metadata"]["generation"], **counts}

    cluster.server.changed = react
    guard.run()
    assert hub_had == [replicas]
    assert_is_old(cluster)


def test_what_was_lost_before_its_upgrade_began_costs_no_outage(cluster: Cluster) -> None:
    for entry in cluster.guard().objects:
        cluster.server.put(entry["path"], entry["object"])
    del cluster.objects[f"{CORE}/configmaps/added"]
    del cluster.objects[f"{SECRETS}/{program.record_name('jhub', 4)}"]
    guard = cluster.guard(patience=-1)
    # The claim of the hub's volume is not what a chart adds.
    guard.settings["added"] = guard.settings["added"][:1]
    cluster.run_controllers()
    cluster.events.clear()
    guard.run()
    assert cluster.meeting["state"] == "restored"
    assert cluster.events == []
    assert cluster.statuses() == {"3": "deployed"}


def test_an_acceptance_that_comes_first_wins(cluster: Cluster) -> None:
    """Both write only what they have read."""
    guard = cluster.guard(patience=-1)
    read = cluster.api.ask

    def ask(method: str, path: str, *rest: Any) -> Any:
        if method == "PUT" and path == MEETING:
            cluster.server.put(MEETING, {**cluster.objects[MEETING], "data": {"state": "accepted"}})
        return read(method, path, *rest)

    cluster.api.ask = ask  # type: ignore[assignment,method-assign]
    guard.run()
    assert cluster.objects[HUB]["spec"] == deployment(NEW)["spec"]


def test_a_deployment_that_cannot_be_changed_is_made_again(cluster: Cluster) -> None:
    del cluster.objects[f"{CORE}/pods/hub-1"]
    cluster.objects[HUB]["spec"]["selector"] = {"matchLabels": {"component": "other"}}
    cluster.run_controllers()
    cluster.ask(state="restoring")
    cluster.guard().run()
    assert_is_old(cluster)


def test_a_database_that_cannot_be_put_back_leaves_the_hub_down(cluster: Cluster) -> None:
    cluster.job_fails = True
    cluster.ask(state="restoring")
    cluster.guard().run()
    assert cluster.meeting["state"] == "failed"
    assert "The backup is not what it was." in cluster.meeting["problem"]
    assert cluster.objects[HUB]["spec"]["replicas"] == 0
    assert not [event for event in cluster.events if event.startswith(OLD)]


def test_where_a_person_restores_the_database_the_hub_stays_down_until_that_is_said(cluster: Cluster) -> None:
    def pod() -> threading.Thread:
        guard = cluster.guard()
        guard.settings["by_hand"] = "Restore the snapshot of Monday."
        thread = threading.Thread(target=guard.run)
        thread.start()
        return thread

    cluster.ask(state="restoring")
    waiting = pod()
    while cluster.meeting["state"] != "waiting":
        assert waiting.is_alive()
    assert cluster.meeting["problem"] == "Restore the snapshot of Monday."
    assert cluster.objects[HUB]["spec"]["replicas"] == 0
    assert not [event for event in cluster.events if event.startswith(OLD)]
    cluster.database = "old"
    cluster.ask(**{"database-restored": "yes"})
    waiting.join(60)
    assert_is_old(cluster)
    assert json.loads(cluster.meeting["database"]) == {"used": "the database as it was restored by hand"}


def test_another_pod_of_the_guard_waits_for_the_person_as_well(cluster: Cluster) -> None:
    cluster.ask(state="waiting")
    guard = cluster.guard()
    guard.settings["by_hand"] = "Restore it."
    thread = threading.Thread(target=guard.run)
    thread.start()
    while len(cluster.server.requests) < 30:
        assert thread.is_alive()
    assert cluster.objects[HUB]["spec"]["replicas"] == 0
    cluster.database = "old"
    cluster.ask(**{"database-restored": "yes"})
    thread.join(60)
    assert_is_old(cluster)


def test_cut_off_at_any_request_and_started_again_it_ends_in_the_old_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "LOOK_SECONDS", 0.001)
    whole = Cluster(tmp_path)
    whole.ask(state="restoring")
    whole.guard().run()
    whole.server.close()
    for number in range(len(whole.server.requests)):
        cluster = Cluster(tmp_path)
        cluster.ask(state="restoring")
        cluster.server.fails_after = number
        with pytest.raises((OSError, ValueError, program.ApiError)):
            cluster.guard().turn(program.Patience(1000))
        cluster.server.fails_after = None
        cluster.guard().run()
        assert_is_old(cluster)
        cluster.server.close()


def test_a_server_that_does_not_answer_for_a_while_only_delays_it(cluster: Cluster) -> None:
    cluster.ask(state="restoring")
    cluster.server.fails_after = 7
    guard = threading.Thread(target=cluster.guard().run)
    guard.start()
    while cluster.server.fails_after > -3:
        guard.join(0.01)
    cluster.server.fails_after = None
    guard.join(20)
    assert_is_old(cluster)
    assert cluster.meeting["problem"] == ""


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("pending-upgrade", "failed"),
        ("pending-rollback", "failed"),
        ("deployed", "superseded"),
        ("failed", "failed"),
        ("superseded", "superseded"),
    ],
)
def test_what_another_revision_replaces_is_ended_in_helms_words(status: str, ended: str) -> None:
    assert program.ended_status(status) == ended
