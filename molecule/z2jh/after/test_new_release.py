"""The release after three upgrades has what it had before them."""

from __future__ import annotations

import json
import time

from conftest import Site

PATIENCE = 300


def test_it_has_the_newest_chart_and_hub(site: Site) -> None:
    history = json.loads(site.run("helm", "history", "hub", "--output=json"))
    assert [each["chart"] for each in history if each["status"] == "deployed"] == ["jupyterhub-4.3.5"]
    assert [each["chart"].rpartition("-")[2] for each in history] == ["1.2.0", "2.0.0", "3.3.8", "4.3.5"]
    assert site.ask("/")["version"] == "5.4.6"


def test_people_and_volumes_are_those_of_before(site: Site) -> None:
    before = json.loads(site.memory.read_text())
    assert site.people() == before["people"]
    assert site.volumes() == before["volumes"]


def test_somebody_finds_her_files(site: Site) -> None:
    """Her server was stopped before the first upgrade."""
    assert site.ask("/users/ada")["server"] is None
    site.ask("/users/ada/server", "POST")
    deadline = time.monotonic() + PATIENCE
    while not site.ask("/users/ada")["server"]:
        assert time.monotonic() < deadline, "The server of ada has not started."
        time.sleep(0.5)
    assert site.run("kubectl", "exec", "jupyter-ada", "--", "sh", "-c", "cat ~/mine.txt").strip() == "mine"


def test_nothing_is_left_of_the_upgrades_but_recovery_points(site: Site) -> None:
    left = site.get(
        "jobs,configmaps,secrets,serviceaccounts,roles,rolebindings", "app.kubernetes.io/managed-by=hubops"
    )
    assert left == []
