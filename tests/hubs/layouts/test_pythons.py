"""A hub on the oldest Python that this machine has, which also runs the collection's modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hubs.playbook import upgrade
from tests.hubs.real_hub import build, running_hub
from tests.pythons import pythons


@pytest.mark.alone
def test_a_hub_on_the_oldest_python(tmp_path: Path) -> None:
    minor, python = next(iter(pythons().items()))
    place = tmp_path / "environment"
    build(place, "4.1.6", "supervisor", base=python)
    with running_hub("4.1.6", tmp_path, place=place) as deployment:
        assert (deployment.hub_environment.python_version or "").startswith(f"{minor}.")
        # These take half of the time, and have tests of their own.
        shortened = {"jupyterhub_rehearse": False, "jupyterhub_backup_after_upgrade": False}
        report = upgrade(deployment.name, "5.4.6", tmp_path, ansible_python_interpreter=python, **shortened)
        assert report["outcome"] == "upgraded", report["printed"]
