"""What a rehearsal is made of: the hub to be, apart from the hub that is; and what its result means."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import logs
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import rehearsal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.hub_database import Copy
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.release import Database, Release

from .test_guard import POD

HUB_POD: dict[str, Any] = {**POD}
CONTAINER: dict[str, Any] = HUB_POD["containers"][0]
JOB = "hubops-rehearsal-1"
HUB_LABELS = {"app": "jupyterhub", "component": "hub", "release": "jhub"}
HUB: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "hub", "labels": HUB_LABELS},
    "spec": {
        "selector": {"matchLabels": HUB_LABELS},
        "template": {"metadata": {"labels": {**HUB_LABELS, "hub.jupyter.org/out": "true"}}, "spec": HUB_POD},
    },
}
SECRET = {
    "kind": "Secret",
    "metadata": {"name": "hub"},
    "data": {"key": base64.b64encode(b"s3cret").decode()},
}
RELEASE = Release(
    "jhub", "jhub", 1, "deployed", 1, "3.3.8", "4.1.6", Database("sqlite-pvc", "", "hub-db-dir")
)
DENY = {"kind": "NetworkPolicy", "metadata": {"name": "all"}, "spec": {"policyTypes": ["Egress"]}}
SENT = Copy("sqlite:////var/lib/hubops/jupyterhub.sqlite", sent=True)
FINE = {"log": [], "known": {}, "seconds": {}, "rows": {}, "version": "5.4.6"}
RUNNING = "[I 2026-01-01 00:00:00.000 JupyterHub app:1] Running JupyterHub version 5.4.6"


def made(
    pod: dict[str, Any] | None = None,
    beside: list[dict[str, Any]] | None = None,
    database: Copy = SENT,
) -> list[dict[str, Any]]:
    hub = copy.deepcopy(HUB)
    hub["spec"]["template"]["spec"].update(pod or {})
    request = rehearsal.request_of(hub, database, "/", rehearsal.Seconds())
    return rehearsal.manifests(JOB, RELEASE, [hub, SECRET], beside or [], "hub", request, database)


def pod_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(objects[0]["spec"]["template"]["spec"])


def test_no_service_policy_or_deployment_takes_the_pod_for_the_hub() -> None:
    labels = made()[0]["spec"]["template"]["metadata"]["labels"]
    assert not HUB_LABELS.items() & labels.items()
    assert labels[rehearsal.LABEL] == JOB


def test_the_hub_s_volume_is_not_there_and_its_copy_is_on_one_of_the_pod_s_own() -> None:
    volumes = {each["name"]: each for each in pod_of(made())["volumes"]}
    assert volumes["pvc"] == {"name": "pvc", "emptyDir": {}}
    assert volumes["hubops-work"]["emptyDir"] == {}
    assert "hub-db-dir" not in str(volumes)


def test_it_has_the_rights_and_limits_of_the_hub_to_be() -> None:
    pod = pod_of(made({"imagePullSecrets": [{"name": "hub"}]}))
    [container] = pod["containers"]
    for key in ("securityContext", "tolerations"):
        assert pod[key] == HUB_POD[key]
    assert pod["serviceAccountName"] == "hub"
    assert (container["image"], container["securityContext"]) == (
        "hub:4.1.6",
        {"runAsUser": 1000, "allowPrivilegeEscalation": False},
    )


def test_config_and_secrets_are_copies_of_the_target_s_under_other_names() -> None:
    value = {"secretKeyRef": {"name": "hub", "key": "key"}}
    container = {**CONTAINER, "env": [{"name": "KEY", "valueFrom": value}]}
    objects = made({"containers": [container], "imagePullSecrets": [{"name": "elsewhere"}]})
    [kept] = [each for each in objects if each.get("data") == SECRET["data"]]
    name = kept["metadata"]["name"]
    pod = pod_of(objects)
    assert name != "hub"
    assert {"name": "secret", "secret": {"secretName": name}} in pod["volumes"]
    assert pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] == name
    # What the chart does not make is not copied.
    assert pod["imagePullSecrets"] == [{"name": "elsewhere"}]


def test_other_volumes_that_stay_are_only_read_and_on_the_hub_s_node() -> None:
    mount = {"name": "shared", "mountPath": "/shared"}
    container = {**CONTAINER, "volumeMounts": [*CONTAINER["volumeMounts"], mount]}
    volume = {"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}}
    pod = pod_of(made({"containers": [container], "volumes": [*HUB_POD["volumes"], volume]}))
    mounts = {each["name"]: each.get("readOnly") for each in pod["containers"][0]["volumeMounts"]}
    assert (mounts["shared"], mounts["pvc"]) == (True, None)
    [near] = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert near["labelSelector"]["matchLabels"] == HUB_LABELS
    assert "affinity" not in pod_of(made())


def test_a_server_s_copy_is_served_beside_the_hub_and_only_that_container_has_the_password() -> None:
    container = {"name": "database", "envFrom": [{"secretRef": {"name": f"{JOB}-database"}}]}
    volume = {"name": "hubops-shared", "emptyDir": {}}
    copied = Copy("mysql://x", False, "/hubops", container, (volume,), {"PASSWORD": "p@ss"})
    objects = made(database=copied)
    pod = pod_of(objects)
    assert pod["containers"][1] == container
    assert {"name": "hubops-shared", "mountPath": "/hubops"} in pod["containers"][0]["volumeMounts"]
    assert volume in pod["volumes"]
    [holder] = [each for each in objects if "p@ss" in str(each)]
    assert (holder["kind"], holder["metadata"]["name"]) == ("Secret", f"{JOB}-database")
    # With the others it goes when the Job goes.
    assert holder["metadata"]["labels"][rehearsal.LABEL] == JOB


def test_nothing_waits_for_a_person_to_remove_it() -> None:
    job, *rest = made()
    assert job["kind"] == "Job"
    assert job["spec"]["ttlSecondsAfterFinished"] == rehearsal.LEFT_SECONDS
    assert job["spec"]["activeDeadlineSeconds"] > 0
    assert job["spec"]["backoffLimit"] == 0
    assert {each["metadata"]["labels"][rehearsal.LABEL] for each in rest} == {JOB}


def test_the_policy_lets_out_what_the_hub_s_let_out_and_nothing_in() -> None:
    dns = {"ports": [{"port": 53}]}
    own = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "hub"},
        "spec": {"podSelector": {"matchLabels": {"component": "hub"}}, "egress": [dns], "ingress": [{}]},
    }
    other = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "proxy"},
        "spec": {"podSelector": {"matchLabels": {"component": "proxy"}}, "egress": [{}]},
    }
    spec = made(beside=[own, other, DENY])[-2]["spec"]
    assert spec["podSelector"] == {"matchLabels": {rehearsal.LABEL: JOB}}
    assert (spec["ingress"], spec["egress"]) == ([], [dns])
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in made(beside=[other])[-2]["spec"]


@pytest.mark.parametrize(
    ("operator", "values", "means"),
    [
        ("In", ["hub"], True),
        ("In", ["proxy"], False),
        ("NotIn", ["proxy"], True),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_a_selector_of_expressions_is_understood(operator: str, values: Any, means: bool) -> None:
    selector = {"matchExpressions": [{"key": "component", "operator": operator, "values": values}]}
    assert rehearsal.selects(selector, HUB_LABELS) is means


def test_a_hub_that_runs_as_another_user_is_named_for_its_volume_was_not_rehearsed() -> None:
    other = copy.deepcopy(HUB)
    other["spec"]["template"]["spec"]["securityContext"]["fsGroup"] = 100
    [found] = rehearsal.other_users(RELEASE, HUB, other)
    assert (found.id, found.found) == ("hub-user-changes", "fsGroup is 1000 now, and 100 afterwards.")
    assert not [*rehearsal.other_users(RELEASE, HUB, HUB)]


def shown(present: tuple[str, ...] = (), **result: Any) -> list[tuple[str, str]]:
    hidden = [*rehearsal.secret_texts([SECRET])]
    whole = {**FINE, **result}
    found = rehearsal.shown(whole, "", "5.4.6", logs.sort_out(present), hidden)
    return [(each.id, each.found) for each in found.findings]


def test_a_hub_that_answers_as_it_should_is_no_finding() -> None:
    assert shown(log=[RUNNING]) == []


def test_a_hub_that_exits_is_of_its_config_until_it_has_read_that() -> None:
    failed: dict[str, Any] = {"version": "", "failed": "start", "problem": "The new hub exited.", "known": {}}
    [(early, text)] = shown(log=["Traceback (most recent call last):", "KeyError: 's3cret'"], **failed)
    [(late, _text)] = shown(log=[RUNNING, "KeyError: 'x'"], **failed)
    assert (early, late) == ("rehearsal-config", "rehearsal-start")
    assert "KeyError: '***'" in text and "s3cret" not in text


@pytest.mark.parametrize(
    ("result", "id"),
    [
        ({"failed": "migration", "problem": "x", "version": ""}, "rehearsal-migration"),
        ({"failed": "rows", "problem": "x", "version": ""}, "rehearsal-rows"),
        ({"failed": "answer", "problem": "x", "version": ""}, "rehearsal-no-answer"),
        ({"failed": "users", "problem": "x"}, "rehearsal-database"),
        ({"failed": "log-in", "problem": "x"}, "rehearsal-log-in"),
        ({"failed": "copy", "problem": "x", "version": ""}, "rehearsal-pod"),
        ({"failed": "dump", "problem": "x", "version": ""}, "database-not-copied"),
        ({"version": "5.3.0"}, "rehearsal-version"),
        ({"log": ["[E 2026-01-01 00:00:00.000 JupyterHub app:1] No way"]}, "rehearsal-errors"),
    ],
)
def test_each_failure_is_a_finding_of_its_kind(result: dict[str, Any], id: str) -> None:
    assert [each for each, _text in shown(**result)] == [id]


def test_an_option_that_only_the_new_hub_does_not_know_is_named() -> None:
    old, new = (f"Config option `{name}` not recognized by `Authenticator`." for name in ("x", "whitelist"))
    line = "[W 2026-01-01 00:00:00.000 JupyterHub app:1] "
    assert shown(present=(line + old,), log=[line + old, line + new]) == [("allow-option-gone", new)]
