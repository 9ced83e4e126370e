"""What was staged and is not needed goes; the environment in place stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.planned import (
    INTERMEDIATE,
    IntermediateVersion,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.transitions import apply
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress

from tests.plans import planned_environment


@pytest.mark.parametrize("check", [True, False], ids=["check", "for real"])
def test_the_releases_that_a_migration_goes_through_go_as_well(tmp_path: Path, check: bool) -> None:
    place = tmp_path / "hub"
    planned = planned_environment(place, "6.1.1")
    intermediate = IntermediateVersion(
        version="4.1.6",
        path=str(place),
        kind="venv",
        staged_path=f"{place}.intermediate-4.1.6",
        strategy=INTERMEDIATE,
        python=f"{place}/bin/python",
        requirements=("jupyterhub==4.1.6",),
        why="in one step it fails",
        source="the rehearsal on this host",
    )
    staged = [Path(entry.staged_path) for entry in (intermediate, planned)]
    for folder in (place, *staged):
        (folder / "lib/python3.11/site-packages").mkdir(parents=True)

    done = apply("absent", [intermediate, planned], "", InstallerOptions(), Progress(), check)

    assert [each["changed"] for each in done["environments"]] == [True, True]
    assert [folder.exists() for folder in staged] == [check, check]
    assert place.is_dir()
