"""The redeployed site: what its administrator finds in folder, repository and record."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from testinfra.host import Host

from tests.redeployments.qhub_site import DOMAIN, NEW, OLD, OLD_DOMAIN, ORDER, SECRETS

SITE = Path(os.environ["HUBOPS_SITE"])
KEPT = SITE / "state/qhub" / DOMAIN


def test_the_config_is_of_the_new_version_with_its_comments(host: Host) -> None:
    config = host.file(str(SITE / "site/qhub-config.yaml")).content_string
    assert f"qhub_version: {NEW}" in config
    assert "project_name: newproj" in config
    assert "prevent_deploy" not in config
    assert "# Our site. Ask operations before a change." in config
    assert f"domain: {DOMAIN}  # printed on every poster" in config


def test_every_step_is_recorded_with_its_evidence(host: Host) -> None:
    record = json.loads(host.file(str(KEPT / "redeployment.json")).content_string)
    assert [step["name"] for step in record["steps"]] == list(ORDER)
    evidence = {step["name"]: step["evidence"] for step in record["steps"]}
    assert evidence["deploy"]["refused_before"] == "yes"
    assert evidence["restore"]["files"] == "3"


def test_the_new_site_was_deployed_and_the_old_one_under_its_other_domain(host: Host) -> None:
    calls = host.file(str(SITE / "tmp/terraform/1.0.5/calls")).content_string
    assert "07-kubernetes-services apply" in calls
    assert "old-site/infrastructure apply" in calls
    old = host.file(str(KEPT / "old-site/qhub-config.yaml")).content_string
    assert f"domain: {OLD_DOMAIN}" in old


def test_the_repository_has_one_commit_and_no_hash_of_a_password(host: Host) -> None:
    git = f"git -C {SITE / 'remote.git'}"
    assert host.check_output(f"{git} log --format=%s main..qhub-{NEW}") == f"QHub {OLD} -> {NEW}"
    names = host.check_output(f"{git} ls-tree -r --name-only qhub-{NEW}").splitlines()
    assert {"qhub-config.yaml", ".github/workflows/qhub-ops.yaml"} <= set(names)
    assert [name for name in names if "users-import" in name or "before" in name] == []


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_in_what_is_kept(host: Host, secret: str) -> None:
    outputs = f"{KEPT}/*.log {KEPT}/redeployment.json"
    assert host.run(f"grep --files-with-matches {secret} {outputs}").stdout == ""
    assert host.run(f"stat --format %a {KEPT}/*.log").stdout.split().count("600") >= 3
