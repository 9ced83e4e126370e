"""Wheels are kept for hubs of several Pythons and platforms, and what cannot be had is one hub's problem."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import wheelhouse
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import InstallerOptions
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.wheel_need import (
    WheelNeed,
    this_platform,
)

from tests.hubs.small_wheels import make_hub_wheel, make_wheel

NEED = WheelNeed("/opt/hub", "3.11", this_platform(), ("jupyterhub==2.0.0",), from_scratch=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which an administrator has put wheels, on a machine without an index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    make_hub_wheel(tmp_path, "2.0.0", requires=["helper>=1", "newcomer"])
    make_wheel(tmp_path, "helper", "1.0")
    make_wheel(tmp_path, "helper", "2.0")
    make_wheel(tmp_path, "newcomer", "1.0")
    return tmp_path


def members(parcel: wheelhouse.Parcel) -> list[str]:
    with tarfile.open(parcel.archive) as archive:
        return archive.getnames()


def test_hubs_get_what_they_lack_and_the_same_wheels_are_one_archive(folder: Path) -> None:
    has_helper = replace(NEED, packages={"helper": "1.0", "jupyterhub": "1.0.0"})
    elsewhere = replace(has_helper, path="/srv/hub")
    needs = {"hub1": [NEED], "hub2": [has_helper], "hub3": [elsewhere], "hub4": []}
    parcels = wheelhouse.fill(needs, folder, InstallerOptions()).parcels
    new, hub = "newcomer-1.0-py3-none-any.whl", "jupyterhub-2.0.0-py3-none-any.whl"
    assert parcels["hub1"].wheels == ("helper-2.0-py3-none-any.whl", hub, new)
    assert parcels["hub2"].wheels == (hub, new)
    assert parcels["hub3"] == parcels["hub2"]
    # The last one tells that all of it was unpacked.
    name = f".hubops-wheels-{parcels['hub2'].id}"
    assert members(parcels["hub2"]) == [".hubops-wheels", hub, new, name]


def test_what_cannot_be_had_is_the_problem_of_the_hubs_that_need_it(folder: Path) -> None:
    absent = replace(NEED, requirements=("jupyterhub==3.0.0",))
    parcels = wheelhouse.fill({"hub1": [NEED], "hub2": [absent]}, folder, InstallerOptions()).parcels
    assert parcels["hub1"].problem == ""
    assert parcels["hub2"].problem.startswith("jupyterhub==3.0.0 cannot be had for /opt/hub: ")
    assert parcels["hub2"].problem.endswith(
        f"Where a package has no wheel, build one and put it into {folder}."
    )


def test_packages_that_stay_keep_their_versions_where_all_are_installed_again(folder: Path) -> None:
    again = replace(NEED, packages={"helper": "1.0"}, from_scratch=True)
    parcel = wheelhouse.fill({"hub1": [again]}, folder, InstallerOptions()).parcels["hub1"]
    assert "helper-1.0-py3-none-any.whl" in parcel.wheels


def test_archives_that_no_hub_needs_any_more_are_removed(folder: Path) -> None:
    first = wheelhouse.fill({"hub1": [NEED]}, folder, InstallerOptions()).parcels["hub1"]
    has_helper = replace(NEED, packages={"helper": "1.0"})
    second = wheelhouse.fill({"hub1": [has_helper]}, folder, InstallerOptions()).parcels["hub1"]
    assert [str(path) for path in (folder / "archives").iterdir()] == [second.archive] != [first.archive]


@pytest.mark.parametrize(
    ("tags", "python", "platform", "expected"),
    [
        ("py3-none-any", "3.11", "x86_64-manylinux_2_36", True),
        ("py2.py3-none-any", "3.11", "x86_64-manylinux_2_36", True),
        ("py2-none-any", "3.11", "x86_64-manylinux_2_36", False),
        ("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "3.11", "x86_64-manylinux_2_36", True),
        ("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "3.12", "x86_64-manylinux_2_36", False),
        ("cp311-cp311-manylinux_2_17_aarch64", "3.11", "x86_64-manylinux_2_36", False),
        ("cp311-cp311-manylinux_2_28_x86_64", "3.11", "x86_64-manylinux_2_17", False),
        ("cp311-cp311-manylinux2014_aarch64", "3.11", "aarch64-manylinux_2_28", True),
        ("cp311-cp311-musllinux_1_2_x86_64", "3.11", "x86_64-manylinux_2_36", False),
        ("cp37-abi3-manylinux_2_28_x86_64", "3.11", "x86_64-manylinux_2_36", True),
        ("cp313-abi3-manylinux_2_28_x86_64", "3.11", "x86_64-manylinux_2_36", False),
    ],
)
def test_a_wheel_fits_a_python_and_a_platform(tags: str, python: str, platform: str, expected: bool) -> None:
    pythons, abis, platforms = (part.split(".") for part in tags.split("-"))
    assert wheelhouse.fits(pythons, abis, platforms, python, platform) is expected
