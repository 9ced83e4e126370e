"""The plan of a real release in a real cluster names all that forbids an upgrade, and changes nothing.

The tests share a release, which only the last one touches.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import planner
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import Access, Chart, Helm
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.planner import Plan, Wanted

from tests.clusters import releases
from tests.clusters.releases import NEW, OLD
from tests.testbed.kubernetes import Cluster
from tests.testbed.z2jh.release import TOKEN, VALUES, Release, new_release

#: Her claim and pod get another name by KubeSpawner 7.
PERSON, CLAIM = "grace.h", "claim-grace-2eh"
PATIENCE = 60


@pytest.fixture(scope="module")
def release(
    cluster: Cluster, charts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release of chart 3 with a running server."""
    with new_release(cluster, charts, tmp_path_factory.mktemp("release")) as made:
        made.install(OLD)
        made.ask("POST", f"/users/{PERSON}")
        made.start_server(PERSON)
        yield made


@pytest.fixture(scope="module")
def access(release: Release) -> Access:
    return releases.access(release)


@pytest.fixture(scope="module")
def chart(charts: dict[str, Path]) -> Chart:
    return Chart(str(charts[NEW]), version=NEW)


def plan(access: Access, chart: Chart, values: dict[str, Any] | None = None) -> Plan:
    files = (("values.json", json.dumps(values)),) if values else ()
    return planner.plan(access, "", Wanted(chart, files))


def playbook(release: Release, *arguments: str, **variables: Any) -> tuple[int, str]:
    """The exit status of the playbook, and what it prints."""
    return release.playbook("z2jh_plan.yml", *arguments, **{**release.wanted(NEW), **variables})


def found(made: Plan, id: str) -> list[str]:
    return [finding.found for finding in made.findings if finding.id == id]


def everything(release: Release) -> dict[str, str]:
    """Each object of the namespace and its version."""
    kinds = "deployments,secrets,configmaps,services,persistentvolumeclaims,serviceaccounts,jobs"
    return {
        f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
        for each in release.get(kinds)["items"]
    }


def test_the_playbook_stops_at_a_blocker_and_says_what_it_is_about(release: Release) -> None:
    before = everything(release)
    status, printed = playbook(release)
    assert status != 0
    assert "chart 3.3.8 (JupyterHub 4.1.6) -> 4.3.5 (JupyterHub 5.4.6), 1 blocker, 1 warning" in printed
    assert f"blocker homes-forgotten: Servers with claims that get another name run: {PERSON}." in printed
    assert "run: It has JupyterHub 4.1.6, the hub has 5.4.6: another major." in printed
    assert everything(release) == before


def test_an_accepted_plan_goes_into_a_file_for_review_and_no_secret_is_shown(
    release: Release, tmp_path: Path
) -> None:
    file = tmp_path / "plan.md"
    accepted = {"z2jh_report": str(file), "jupyterhub_accept": ["homes-forgotten"]}
    status, printed = playbook(release, "--diff", **accepted)
    assert status == 0, printed
    page = file.read_text()
    assert f"| {PERSON} |  | {CLAIM} | 100Mi |" in page
    for sign, version in (("-", OLD), ("+", NEW)):
        assert re.search(rf'^\{sign} +"image": "hubops-test/k8s-hub:{version}', page, re.MULTILINE)
        assert re.search(rf'^\{sign} +"image": "hubops-test/k8s-hub:{version}', printed, re.MULTILINE)
    for text in (TOKEN, *release.get("secret", "hub")["data"].values()):
        assert text not in page
        assert text not in printed


def test_helm_3_plans_what_helm_4_plans(access: Access, release: Release, chart: Chart) -> None:
    older = replace(access, helm=str(release.cluster.helm3_program))
    assert plan(older, chart) == plan(access, chart)


def test_all_keys_that_the_chart_refuses_are_named_at_once(
    access: Access, release: Release, chart: Chart
) -> None:
    hub = {**VALUES["hub"], "fsGid": 1000, "extraConfg": {"a": "b"}, "cookieSecret": "not-hexadecimal"}
    made = plan(access, chart, {**VALUES, "hub": hub, "rbac": {"enabled": True}, "singelusr": {}})
    refused = "\n".join(found(made, "value-refused"))
    assert "hub.extraConfg: the chart knows no such key." in refused
    assert "singelusr: the chart knows no such key." in refused
    removed = "\n".join(found(made, "value-removed"))
    assert "CHANGED: hub.fsGid" in removed
    assert "CHANGED: rbac.enabled" in removed
    assert any("Did you mean hub.extraConfig" in finding.fix for finding in made.findings)
    assert "not-hexadecimal" not in str(made)


def test_a_chart_that_needs_a_newer_cluster_is_refused(access: Access, chart: Chart, tmp_path: Path) -> None:
    with tarfile.open(chart.reference) as archive:
        archive.extractall(tmp_path, filter="data")
    about = tmp_path / "jupyterhub" / "Chart.yaml"
    about.write_text(re.sub(r">=1\.28\.0-0", ">=1.99.0-0", about.read_text()))
    made = plan(access, replace(chart, reference=str(about.parent)))
    [old] = found(made, "cluster-too-old")
    assert old.endswith("the chart 4.3.5 needs >=1.99.0-0.")
    # What the chart makes of the values is seen nevertheless.
    assert found(made, "template-fails") == []
    assert made.objects


def test_the_same_chart_with_the_same_values_is_nothing_to_do(
    access: Access, charts: dict[str, Path]
) -> None:
    made = plan(access, Chart(str(charts[OLD]), version=OLD))
    assert (made.action, made.objects, made.values) == ("nothing", (), ())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"namespace": "default"}, "There is no JupyterHub in the namespace default."),
        ({"context": "nowhere"}, "does not answer"),
        ({"kubeconfig": "/nowhere"}, "does not answer"),
        ({"kubectl": "/nowhere/kubectl"}, "The program /nowhere/kubectl is not on this host."),
    ],
)
def test_a_cluster_that_cannot_be_asked_is_named(
    access: Access, chart: Chart, wrong: dict[str, str], said: str
) -> None:
    with pytest.raises(HubError) as refused:
        plan(replace(access, **wrong), chart)
    assert said in refused.value.message


def test_a_release_that_is_not_there_is_told_with_those_that_are(access: Access, chart: Chart) -> None:
    with pytest.raises(HubError) as refused:
        planner.plan(access, "nope", Wanted(chart))
    assert refused.value.message == f"There is no release nope in the namespace {access.namespace}."
    assert f"There is: hub in {access.namespace}." in refused.value.hint


def test_a_version_of_jupyterhub_in_place_of_the_chart_s_is_told(access: Access, chart: Chart) -> None:
    with pytest.raises(HubError) as refused:
        plan(access, replace(chart, version="5.4.6"))
    assert "is 4.3.5, not 5.4.6." in refused.value.message
    assert "JupyterHub 5.4.6 is in the chart 4.3.5" in refused.value.hint


def test_a_chart_that_is_not_there_is_named(access: Access, release: Release) -> None:
    with pytest.raises(HubError) as refused:
        plan(access, Chart("/nowhere", version="9.9.9"))
    assert "The chart cannot be had" in refused.value.message
    assert "helm search repo" in refused.value.hint


def test_each_right_that_is_missing_is_named(
    access: Access, release: Release, chart: Chart, tmp_path: Path
) -> None:
    release.kubectl("create", "serviceaccount", "poor")
    release.kubectl("create", "role", "poor", "--verb=get,list", "--resource=secrets,pods")
    account = f"--serviceaccount={release.namespace}:poor"
    release.kubectl("create", "rolebinding", "poor", "--role=poor", account)
    settings = json.loads(release.cluster.kubectl("config", "view", "--raw", "--minify", "--output=json"))
    settings["users"][0]["user"] = {"token": release.kubectl("create", "token", "poor").strip()}
    kubeconfig = tmp_path / "poor.kubeconfig"
    kubeconfig.write_text(json.dumps(settings))
    poor = replace(access, kubeconfig=str(kubeconfig))
    with pytest.raises(HubError) as refused:
        plan(poor, chart)
    lacking = "list deployments.apps, list persistentvolumeclaims."
    assert (
        refused.value.message == f"The account lacks rights in the namespace {release.namespace}: {lacking}"
    )
    with pytest.raises(HubError) as refused:
        plan(replace(poor, namespace=""), chart)
    assert "may not list secrets" in refused.value.message
    assert "z2jh_namespace" in refused.value.hint


def test_a_helm_that_was_killed_is_found_and_its_remedy_works(
    access: Access, release: Release, chart: Chart
) -> None:
    killed = subprocess.Popen(
        [
            *(access.helm, "upgrade", "hub", chart.reference, "--namespace", release.namespace),
            *("--reuse-values", "--set", "hub.image.tag=none", "--wait", "--timeout", "300s"),
        ],
        env=release.cluster.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE
    while Helm(access).history("hub")[-1]["status"] != "pending-upgrade":
        assert time.monotonic() < deadline and killed.poll() is None, "Helm has not begun."
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    made = plan(access, chart)
    [pending] = [finding for finding in made.findings if finding.id == "release-pending"]
    assert (made.release.chart_version, made.release.deployed_revision) == (OLD, 1)
    assert pending.found.startswith("Revision 2 of hub is pending-upgrade since ")
    _words, command = pending.fix.rstrip(".").split(": helm ")
    release.cluster.helm(*command.split(), "--wait", "--timeout", "180s")
    healed = plan(access, chart)
    assert found(healed, "release-pending") == found(healed, "hub-not-ready") == []
