"""What is read of a release from the cluster's objects and the chart's values."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.z2jh import release


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        ({}, ""),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, ""),
        (
            {"labels": {"helm.toolkit.fluxcd.io/name": "jhub", "helm.toolkit.fluxcd.io/namespace": "flux"}},
            "Flux, HelmRelease flux/jhub",
        ),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "hub-prod:apps/Deployment:jhub/hub"}},
            "Argo CD, Application hub-prod",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "hub-prod"}}, "Argo CD, Application hub-prod"),
    ],
)
def test_who_else_upgrades_the_release(metadata: dict[str, dict[str, str]], owner: str) -> None:
    assert release.owner(metadata) == owner


def test_images_of_servers_are_found_in_image_profiles_and_extra_images() -> None:
    choices = {"gpu": {"kubespawner_override": {"image": "lab:gpu"}}}
    values = {
        "singleuser": {
            "image": {"name": "lab", "tag": "1"},
            "profileList": [
                {"display_name": "Default"},
                {"display_name": "R", "kubespawner_override": {"image": "r:2"}},
                {"display_name": "Choice", "profile_options": {"image": {"choices": choices}}},
            ],
        },
        "prePuller": {
            "extraImages": {"more": {"name": "lab", "tag": "1"}, "other": {"name": "julia", "tag": "3"}}
        },
    }
    assert list(release.single_user_images(values)) == ["lab:1", "r:2", "lab:gpu", "julia:3"]


def test_profiles_that_are_python_are_no_images() -> None:
    assert list(release.single_user_images({"singleuser": {"profileList": ["a function"]}})) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://hub:s3cr3t@db:5432/hub", "postgresql://hub:***@db:5432/hub"),
        ("mysql+pymysql://hub:p@ss@db/hub", "mysql+pymysql://hub:***@db/hub"),
        ("postgresql://hub@db/hub", "postgresql://hub@db/hub"),
        ("sqlite:///jupyterhub.sqlite", "sqlite:///jupyterhub.sqlite"),
        ("", ""),
    ],
)
def test_a_database_s_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert release.without_password(url) == shown
