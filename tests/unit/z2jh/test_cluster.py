"""What goes wrong with the cluster's programs, told apart by what they have printed."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh.cluster import (
    Access,
    Chart,
    Kubectl,
    chart_of,
    failure,
)

HERE = Access(context="test")


@pytest.mark.parametrize(
    ("output", "message", "unreachable"),
    [
        (
            'Error: Kubernetes cluster unreachable: Get "http://localhost:8080/": connection refused\n',
            "The cluster (context test) does not answer:",
            True,
        ),
        (
            'Error from server (Forbidden): pods is forbidden: User "bot" cannot list resource "pods" in API '
            'group "" in the namespace "jhub"\n',
            "The account may not list pods in the cluster (context test).",
            False,
        ),
        (
            'Error from server (Forbidden): deployments.apps is forbidden: User "bot" cannot list resource '
            '"deployments" in API group "apps" in the namespace "jhub"\n',
            "The account may not list deployments.apps in the cluster (context test).",
            False,
        ),
        (
            'Error: looks like "https://example.org/" is not a valid chart repository or cannot be reached: '
            "dial tcp: no such host\n",
            "The chart cannot be had: looks like",
            True,
        ),
        (
            "W1129 17:00:00 1 warnings.go:70] deprecated\nError: release: not found\n",
            "helm history has failed: release: not found.",
            False,
        ),
    ],
)
def test_a_failure_names_its_cause(output: str, message: str, unreachable: bool) -> None:
    error = failure(["helm", "history", "jhub"], HERE, output, 1)
    assert error.message.startswith(message)
    assert error.unreachable is unreachable


def test_a_missing_program_is_named_with_the_variable_for_it() -> None:
    with pytest.raises(HubError, match="kubectl-is-not-here is not on this host.*z2jh_kubectl"):
        Kubectl(Access(kubectl="kubectl-is-not-here")).get("pods")


def test_only_a_plain_name_is_looked_for_in_the_repository() -> None:
    repository = "https://hub.jupyter.org/helm-chart/"
    assert chart_of("jupyterhub", repository, "4.4.0").argv() == [
        *("jupyterhub", "--repo", repository, "--version", "4.4.0")
    ]
    for reference in (
        "oci://example.org/jupyterhub",
        "./jupyterhub",
        "jupyterhub-4.4.0.tgz",
        "mine/jupyterhub",
    ):
        assert chart_of(reference, repository, "4.4.0") == Chart(reference, "", "4.4.0")
