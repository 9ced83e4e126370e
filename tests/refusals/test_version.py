"""A version that the hub cannot be upgraded to."""

from __future__ import annotations

from tests.testbed import Hub
from tests.testbed.judge import untouched
from tests.testbed.releases import release

from .refusal import reason, refusal


def test_no_version(hub: Hub) -> None:
    with untouched(hub):
        said = reason(hub.playbook("upgrade.yml", expect_rc=2).stdout)
    assert said.startswith("No version to upgrade to.")
    assert 'Set it in the inventory, in quotes: jupyterhub_version: "6.1.1".' in said


def test_malformed_version(hub: Hub) -> None:
    said = refusal(hub, jupyterhub_version="the latest")
    assert said.startswith(
        '"the latest" is not a version number. Write it like "6.1.1", in quotes. Or say patch or latest.'
    )


def test_no_such_version(hub: Hub) -> None:
    said = refusal(hub, jupyterhub_version="6.99.0")
    assert "JupyterHub 6.99.0 does not exist on the index. Newest releases: 6.1.1" in said


def test_no_such_version_among_the_wheels(hub: Hub) -> None:
    folder = "/usr/local/share/wheels-6.1.1"
    said = refusal(hub, jupyterhub_version="6.1.0", jupyterhub_wheels=folder)
    assert f"JupyterHub 6.1.0 does not exist in {folder}. Newest releases: 6.1.1" in said


def test_lower_version(hub: Hub) -> None:
    said = refusal(hub, jupyterhub_version="4.1.5")
    assert "The hub runs JupyterHub 4.1.6, which is newer than 4.1.5." in said
    assert (
        "A database cannot be migrated back, so an upgrade cannot lower the version. Name a newer version."
        in said
    )


def test_version_for_a_newer_python(hub: Hub) -> None:
    said = refusal(hub, **release(hub, "7.0.0", {"Requires-Python": ">=3.77"}))
    for environment in hub.layout.environments:
        assert f"JupyterHub 7.0.0 needs Python >=3.77, {environment} has 3.11" in said
    assert "Name a newer interpreter of the host in jupyterhub_python." in said


def test_interpreter_that_does_not_exist(hub: Hub) -> None:
    said = refusal(hub, jupyterhub_python="/usr/bin/python3.77")
    assert "The interpreter /usr/bin/python3.77 does not exist on the host or does not run." in said
    assert "Name another one in jupyterhub_python." in said


def test_index_that_cannot_be_reached(hub: Hub) -> None:
    said = refusal(hub, jupyterhub_index_url="http://127.0.0.1:9/simple")
    assert "The package index could not be reached: Connection refused" in said
    assert "jupyterhub_index_url" in said


def test_packages_that_do_not_go_together(hub: Hub) -> None:
    said = refusal(hub, jupyterhub_packages=["sqlalchemy<1.4"])
    assert "packages-not-available: jupyterhub==6.1.1, sqlalchemy<1.4 cannot be installed into" in said
    assert "jupyterhub_packages" in said
