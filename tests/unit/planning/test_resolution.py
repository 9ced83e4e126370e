"""Conflicts after an upgrade, from the requirements of packages."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.resolution import conflicts

BEFORE = {"jupyterhub": "4.1.6", "authenticator": "1.0", "sqlalchemy": "2.0.30", "tool": "3.2"}
AFTER = {**BEFORE, "jupyterhub": "6.1.1"}


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("jupyterhub<5", ["authenticator 1.0 requires jupyterhub <5, which would be 6.1.1."]),
        ("JupyterHub (<5,>=2)", ["authenticator 1.0 requires jupyterhub <5,>=2, which would be 6.1.1."]),
        (
            "jupyterhub[test] <5 ; python_version >= '3.8'",
            ["authenticator 1.0 requires jupyterhub <5, which would be 6.1.1."],
        ),
        ("jupyterhub>=2", []),
        ("jupyterhub", []),
        ("jupyterhub<5 ; python_version < '3.8'", []),
        ("jupyterhub<5 ; extra == 'old'", []),
        ("jupyterhub<5 ; platform_machine == 'riscv'", []),
        # It did not fit before, so that is not the upgrade's doing.
        ("jupyterhub<4", []),
        ("sqlalchemy<2", []),
        ("not-installed<5", []),
        ("jupyterhub @ https://example.org/x.whl", []),
        ("jupyterhub<=five", []),
    ],
)
def test_what_a_package_that_stays_requires_of_one_that_changes(requirement: str, said: list[str]) -> None:
    assert conflicts({"authenticator": [requirement]}, BEFORE, AFTER, "3.11.2") == said


def test_what_changes_was_chosen_to_fit() -> None:
    after = {**AFTER, "authenticator": "2.0"}
    assert conflicts({"authenticator": ["jupyterhub<5"]}, BEFORE, after, "3.11.2") == []
