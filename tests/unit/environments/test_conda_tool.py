"""What conda, mamba and micromamba are told, each in its own words, and what they answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments import conda_tool
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.conda_tool import (
    CondaTool,
    Order,
)

CHANNELS = ("https://conda.anaconda.org/conda-forge", "file:///srv/channel")
TARGET = ["jupyterhub==6.1.1", "jupyterhub-base==6.1.1"]
START = "--yes --json --prefix /opt/hub.staged-6.1.1 --override-channels"
SOURCES = " ".join(f"--channel {channel}" for channel in CHANNELS)
INSTALL = Order("install", Path("/opt/hub.staged-6.1.1"), TARGET, Path("/tmp/cache"))
DRY_RUN = Order("install", Path("/opt/hub.staged-6.1.1"), TARGET, Path("/tmp/cache"), dry_run=True)
FETCH = Order(
    "create",
    Path("/opt/hub.staged-6.1.1"),
    ["jupyterhub-base==6.1.1"],
    Path("/tmp/cache"),
    download_only=True,
    alone=True,
)
OLD_CONDA, CONDA = CondaTool("conda", "conda", "4.3.16"), CondaTool("conda", "conda", "25.1.1")
MAMBA_1, MAMBA_2 = CondaTool("mamba", "mamba", "1.5.8"), CondaTool("mamba", "mamba", "2.0.5")
MICROMAMBA = CondaTool("micromamba", "micromamba", "1.5.8")

COMMANDS = [
    (OLD_CONDA, INSTALL, "--copy --no-update-dependencies"),
    (OLD_CONDA, DRY_RUN, "--copy --no-update-dependencies --dry-run"),
    (OLD_CONDA, FETCH, "--copy --no-default-packages --no-deps"),
    (CONDA, INSTALL, "--copy"),
    (CONDA, DRY_RUN, "--copy --dry-run"),
    (CONDA, FETCH, "--copy --no-default-packages --no-deps --download-only"),
    (MAMBA_1, INSTALL, "--copy"),
    (MAMBA_1, FETCH, "--copy --no-default-packages --no-deps --download-only"),
    (MAMBA_2, INSTALL, "--always-copy"),
    (MAMBA_2, DRY_RUN, "--always-copy --dry-run"),
    (MICROMAMBA, INSTALL, "--always-copy"),
    (MICROMAMBA, FETCH, "--always-copy --no-deps --download-only"),
]


@pytest.mark.parametrize(("tool", "order", "words"), COMMANDS)
def test_commands(tool: CondaTool, order: Order, words: str) -> None:
    expected = [tool.program, order.action, *f"{START} {SOURCES} {words}".split(), *order.specs]
    assert conda_tool.command(tool, order, CHANNELS) == expected


def test_channels_that_are_not_recorded_are_those_of_the_user() -> None:
    assert "--override-channels" not in conda_tool.command(CONDA, INSTALL, [])


@pytest.mark.parametrize("tool", [OLD_CONDA, CONDA, MAMBA_1, MAMBA_2, MICROMAMBA])
def test_nothing_of_the_user_is_written(tool: CondaTool) -> None:
    found = conda_tool.variables(tool, INSTALL, CHANNELS, {"HOME": "/root", "CONDA_DEFAULT_ENV": "base"})
    assert found["HOME"] == "/root"
    assert found["CONDA_PKGS_DIRS"] == "/tmp/cache"
    assert found["CONDA_REGISTER_ENVS"] == found["MAMBA_REGISTER_ENVS"] == "false"
    assert "CONDA_DEFAULT_ENV" not in found


def test_only_an_old_conda_is_told_its_channels_twice() -> None:
    name = "CONDA_DEFAULT_CHANNELS"
    assert conda_tool.variables(OLD_CONDA, INSTALL, CHANNELS, {})[name] == ",".join(CHANNELS)
    assert name not in conda_tool.variables(CONDA, INSTALL, CHANNELS, {})


@pytest.mark.parametrize(
    ("name", "output", "version"),
    [
        ("conda", "conda 4.3.16\n", "4.3.16"),
        ("conda", "conda 25.1.1\n", "25.1.1"),
        ("mamba", "mamba 1.5.8\nconda 24.5.0\n", "1.5.8"),
        ("mamba", "2.0.5\n", "2.0.5"),
        ("micromamba", "2.3.3\n", "2.3.3"),
        ("micromamba", "1.5.8", "1.5.8"),
        ("micromamba", "2.0.6.rc0\n", "2.0.6"),
        ("conda", "Segmentation fault\n", ""),
    ],
)
def test_versions(name: str, output: str, version: str) -> None:
    assert conda_tool.version_in(output, name) == version


LINK = {"name": "jupyterhub-base", "version": "6.1.1", "build_string": "pyh31011fe_0"}


@pytest.mark.parametrize(
    "answer",
    [
        {"actions": [{"LINK": [LINK], "PREFIX": "/opt/hub"}], "dry_run": True, "success": True},
        {"actions": {"LINK": [LINK], "UNLINK": [{**LINK, "version": "4.1.6"}]}, "success": True},
        {"actions": {"LINK": ["conda-forge::jupyterhub-base-6.1.1-pyh31011fe_0"]}, "success": True},
        {"actions": {"LINK": ["jupyterhub-base-6.1.1-pyh31011fe_0"]}, "success": True},
    ],
)
def test_what_is_linked(answer: dict[str, Any]) -> None:
    assert conda_tool.linked(answer) == {"jupyterhub-base": "6.1.1"}


@pytest.mark.parametrize(
    "answer",
    [
        {"message": "All requested packages already installed.", "success": True},
        {"actions": [{"LINK": [], "PREFIX": "/opt/hub"}], "success": True},
        {"actions": {}, "success": True},
    ],
)
def test_nothing_is_linked(answer: dict[str, Any]) -> None:
    assert conda_tool.linked(answer) == {}


@pytest.mark.parametrize(
    "before", ["", "Collecting package metadata: {done}\n", '{"fetch": "x", "progress": 1}\0']
)
def test_the_answer_is_what_comes_last(before: str) -> None:
    answer = {"success": True, "actions": {"LINK": [LINK]}}
    assert conda_tool.last_answer(f"{before}{json.dumps(answer, indent=2)}\n") == answer


@pytest.mark.parametrize(
    ("answer", "errors", "said"),
    [
        (
            {"exception_name": "PackagesNotFoundError", "message": "Missing:\n\n  - jupyterhub=9.9.9\n"},
            "",
            "Missing: - jupyterhub=9.9.9",
        ),
        (
            {"error": "EnvironmentLocationNotFound: Not one: /opt/x\n"},
            "",
            "EnvironmentLocationNotFound: Not one: /opt/x",
        ),
        (
            {"solver_problems": ["nothing provides jupyterhub 9", "pinned"]},
            "",
            "nothing provides jupyterhub 9; pinned",
        ),
        (
            {},
            "critical libmamba Could not resolve host: conda.example.org.\n",
            "critical libmamba Could not resolve host: conda.example.org",
        ),
        (
            {"message": "401 for https://me:secret@conda.example.org/t/tk-1/x/"},
            "",
            "401 for https://***@conda.example.org/t/***/x/",
        ),
        ({}, "", "it says nothing"),
    ],
)
def test_why_it_failed(answer: dict[str, Any], errors: str, said: str) -> None:
    assert conda_tool.explanation(answer, errors) == said
