"""What a guard is made of: rights by name alone, and pods that are as restricted as the hub's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import guard
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import DatabaseBackup
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.recovery import (
    Object,
    RecoveryPoint,
    choose,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.volume_database import (
    VolumeDatabase,
    hub_mount,
    require_claim,
)

POD = {
    "securityContext": {"fsGroup": 1000},
    "serviceAccountName": "hub",
    "tolerations": [{"key": "hub.jupyter.org_dedicated"}],
    "containers": [
        {
            "name": "hub",
            "image": "hub:4.1.6",
            "env": [{"name": "SECRET", "value": "x"}],
            "securityContext": {"runAsUser": 1000, "allowPrivilegeEscalation": False},
            "volumeMounts": [
                {"name": "secret", "mountPath": "/usr/local/etc/jupyterhub/secret/"},
                {"name": "pvc", "mountPath": "/srv/jupyterhub", "subPath": "hub"},
            ],
        }
    ],
    "volumes": [
        {"name": "secret", "secret": {"secretName": "hub"}},
        {"name": "pvc", "persistentVolumeClaim": {"claimName": "hub-db-dir"}},
    ],
}
APPS, CORE = "/apis/apps/v1/namespaces/jhub", "/api/v1/namespaces/jhub"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def made(collection: str, kind: str, name: str, namespaced: bool = True, **rest: Any) -> Object:
    whole = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **rest}
    return Object(f"{collection}/{name}", collection, namespaced, whole)


OBJECTS = [
    made(f"{APPS}/deployments", "Deployment", "hub", spec={"template": {"spec": POD}}),
    made(f"{CORE}/secrets", "Secret", "hub"),
    made(f"{CORE}/persistentvolumeclaims", "PersistentVolumeClaim", "hub-db-dir"),
    made(f"{RBAC}/namespaces/jhub/roles", "Role", "hub", rules=[{"verbs": ["get"], "resources": ["pods"]}]),
    made(f"{RBAC}/clusterroles", "ClusterRole", "jhub-user-scheduler", namespaced=False, rules=[{}]),
]
BACKUP = DatabaseBackup(
    claim="hub-db-dir",
    database="/srv/jupyterhub/jupyterhub.sqlite",
    folder="/srv/jupyterhub/hubops-recovery/a",
    sha256="0",
    bytes=1,
    schema="s",
    began=1.0,
)


def point(identity: str = "a") -> RecoveryPoint:
    return RecoveryPoint(identity, "jhub", "jhub", 3, "3.3.8", "4.1.6", "hub", "now", BACKUP)


ADDED = [
    {"path": f"{CORE}/services/extra", "collection": f"{CORE}/services", "kind": "Service"},
]
MANIFESTS = {
    (each["kind"], each["metadata"]["name"]): each
    for each in guard.manifests(
        point(), OBJECTS, ADDED, 4, 120, "a-1", VolumeDatabase(Access(), "jhub", "hub")
    )
}
RULES: list[dict[str, Any]] = MANIFESTS["Role", "hubops-jhub-guard"]["rules"]


def test_it_may_read_no_secret_but_the_releases_own() -> None:
    reading = [
        rule
        for rule in RULES
        if "secrets" in rule["resources"] and {"get", "list", "watch", "*"} & set(rule["verbs"])
    ]
    names = {name for rule in reading for name in rule["resourceNames"]}
    assert names == {"hub", *(f"sh.helm.release.v1.jhub.v{number}" for number in range(3, 13))}


def test_what_it_may_change_and_remove_is_named() -> None:
    changing = {"update", "patch", "delete", "deletecollection", "*"}
    assert [rule for rule in RULES if changing & set(rule["verbs"]) and not rule.get("resourceNames")] == []


def test_volumes_are_never_removed() -> None:
    verbs = {
        verb for rule in RULES if "persistentvolumeclaims" in rule["resources"] for verb in rule["verbs"]
    }
    assert verbs == {"get", "create"}


def test_what_only_the_new_release_has_may_be_removed() -> None:
    assert any(rule.get("resourceNames") == ["extra"] and "delete" in rule["verbs"] for rule in RULES)


def test_the_rules_of_the_releases_own_roles_are_held_and_nothing_outside_of_the_namespace() -> None:
    assert {"verbs": ["get"], "resources": ["pods"]} in RULES
    assert "jhub-user-scheduler" not in json.dumps(RULES)


def test_the_pods_are_the_hubs_without_what_is_the_hubs_alone() -> None:
    for name in ("hubops-jhub-guard", "hubops-jhub-database"):
        pod = MANIFESTS["Job", name]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert container["image"] == "hub:4.1.6"
        assert container["securityContext"] == {"runAsUser": 1000, "allowPrivilegeEscalation": False}
        assert pod["securityContext"] == {"fsGroup": 1000}
        assert pod["tolerations"] == POD["tolerations"]
        assert "SECRET" not in json.dumps(container)


def test_the_database_is_put_back_where_the_hub_has_it_by_a_pod_without_rights() -> None:
    job = MANIFESTS["Job", "hubops-jhub-database"]
    pod = job["spec"]["template"]["spec"]
    assert job["spec"]["suspend"] is True
    assert pod["automountServiceAccountToken"] is False
    assert {"name": "pvc", "mountPath": "/srv/jupyterhub", "subPath": "hub"} in pod["containers"][0][
        "volumeMounts"
    ]
    request = json.loads(pod["containers"][0]["command"][-1])
    assert request["database"] == "/srv/jupyterhub/jupyterhub.sqlite"
    assert "volumes" in pod and "jhub" not in str(pod.get("serviceAccountName"))


def test_the_guards_pod_is_no_pod_of_the_hub() -> None:
    for kind, name in MANIFESTS:
        if kind == "Job":
            labels = MANIFESTS[kind, name]["spec"]["template"]["metadata"]["labels"]
            assert not {"component", "app", "release"} & set(labels)


def test_a_hub_that_does_not_mount_the_claim_is_named() -> None:
    with pytest.raises(HubError, match="does not mount the claim other"):
        hub_mount(OBJECTS[0].object, "other")


def test_a_target_without_the_databases_claim_is_refused() -> None:
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "hub-db-dir"}}
    other = {"kind": "Deployment", "metadata": {"name": "hub-db-dir"}}
    require_claim("hub-db-dir", [other, claim], [claim])
    # One that is not the chart's is not Helm's to remove.
    require_claim("hub-db-dir", [other], [other])
    with pytest.raises(HubError, match="Helm would remove the volume with the hub's database"):
        require_claim("hub-db-dir", [other], [other, claim])


def test_the_newest_recovery_point_is_chosen_or_the_named_one() -> None:
    points = [point("b"), point("a")]
    assert choose(points, "jhub").id == "b"
    assert choose(points, "jhub", "a").id == "a"
    with pytest.raises(HubError, match=r"no recovery point c\. There is: b, a\."):
        choose(points, "jhub", "c")
    with pytest.raises(HubError, match="There is: none"):
        choose([], "jhub")
