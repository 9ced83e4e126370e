"""Requirements, and whether they are met; `packaging` is the reference."""

from __future__ import annotations

from importlib.metadata import distributions

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.releases.requirements import (
    Requirement,
    parse_requirement,
    requirement_name,
    satisfies,
    seems_to_satisfy,
)
from packaging.requirements import Requirement as Known
from packaging.utils import canonicalize_name

INSTALLED = sorted({text for each in distributions() for text in each.requires or ()})
PYTHONS = ("3.8.10", "3.11.2", "3.13.0")
VERSIONS = ("0.9", "1.0.3", "2.0.0", "2.31", "4.1.6", "21.3", "2026.1")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("jupyterhub==6.1.1", "jupyterhub"),
        ("JupyterHub", "jupyterhub"),
        ("oauth_authenticator[google] >= 17, < 18", "oauth-authenticator"),
        ("batchspawner @ git+https://example.org/batchspawner.git", "batchspawner"),
        ('pamela; python_version < "3.12"', "pamela"),
        ("git+https://example.org/batchspawner.git", ""),
        ("./wheels/theauthenticator-1.0-py3-none-any.whl", ""),
        ("-e .", ""),
        ("pamela 1.0", ""),
    ],
)
def test_name_of_a_requirement(text: str, name: str) -> None:
    assert requirement_name(text) == name


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("JupyterHub (<5,>=2)", Requirement("jupyterhub", "<5,>=2")),
        ("a[b,c] >= 17, < 18 ; extra == 'd'", Requirement("a", ">= 17, < 18", marker="extra == 'd'")),
        ("a@https://u:p@h/a.whl", Requirement("a", address="https://u:p@h/a.whl")),
        (
            "a @ file:///a-1.whl ; python_version < '4'",
            Requirement("a", address="file:///a-1.whl", marker="python_version < '4'"),
        ),
    ],
)
def test_parts_of_a_requirement(text: str, parsed: Requirement) -> None:
    assert parse_requirement(text) == parsed


def test_what_is_installed_here_asks_for_what_packaging_says() -> None:
    assert len(INSTALLED) > 100
    for text in INSTALLED:
        ours, known = parse_requirement(text), Known(text)
        assert ours is not None, text
        assert ours.name == canonicalize_name(known.name)
        assert bool(ours.marker) == bool(known.marker)
        for version in VERSIONS:
            assert satisfies(version, ours.specifiers) == known.specifier.contains(version), (text, version)


def test_a_marker_holds_where_packaging_says_so_or_is_left_open() -> None:
    answers = []
    for text in INSTALLED:
        ours, known = parse_requirement(text), Known(text)
        for python in PYTHONS:
            answer = ours and ours.applies(python)
            variables = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
            if answer is not None:
                assert answer == (known.marker is None or known.marker.evaluate(variables)), (text, python)
            answers.append((bool(known.marker), answer))
    assert {(True, True), (True, False), (True, None), (False, True)} == set(answers)


@pytest.mark.parametrize(
    ("marker", "python", "expected"),
    [
        ("", "3.11.2", True),
        ("python_version < '3.8'", "3.11.2", False),
        ("python_version >= '3.8' and python_version < '3.12'", "3.11.2", True),
        ("python_version < '3.8' or python_version > '3.10'", "3.11.2", True),
        ("(python_version < '3.8' or python_version > '3.10') and python_version < '3.11'", "3.11.2", False),
        ("python_full_version >= '3.11.3'", "3.11.2", False),
        ("python_version == '3.11.*'", "3.11.2", True),
        ("sys_platform == 'linux'", "3.11.2", None),
        ("sys_platform == 'linux' and python_version < '3.8'", "3.11.2", False),
        ("sys_platform == 'linux' or python_version > '3.8'", "3.11.2", True),
        ("extra == 'a or b'", "3.11.2", None),
        ("python_version >= '3.8'", "", None),
        ("python_version in '3.8 3.11'", "3.11.2", None),
        ("python_version >=", "3.11.2", None),
        ("(python_version >= '3.8'", "3.11.2", None),
        ("python_version >= '3.8' and", "3.11.2", None),
        ("python_version >= '3.8')", "3.11.2", None),
        ("python_version >= '3.8' '3.9'", "3.11.2", None),
    ],
)
def test_markers(marker: str, python: str, expected: bool | None) -> None:
    assert Requirement("a", marker=marker).applies(python) is expected


@pytest.mark.parametrize(
    ("version", "specifiers", "expected"),
    [
        ("3.11.2", ">=3.8", True),
        ("3.8", ">=3.8", True),
        ("3.7.16", ">=3.8", False),
        ("3.9.1", ">=3.8,!=3.9.*", False),
        ("3.10.1", ">=3.8, !=3.9.*", True),
        ("3.11", "==3.11.*", True),
        ("2.1", "~=2.0", True),
        ("3.0", "~=2.0", False),
        ("1.4.1", ">=1.4.1,<2", True),
        ("2.0", ">=1.4.1,<2", False),
        ("3.11.2", "", True),
        ("3.11.2", "<=3.11", False),
        ("3.11", ">3.10", True),
    ],
)
def test_specifiers(version: str, specifiers: str, expected: bool) -> None:
    assert satisfies(version, specifiers) is expected


def test_a_specifier_that_is_none_is_refused() -> None:
    with pytest.raises(HubError, match='"3.10 or so" is not a version specifier'):
        satisfies("3.10", "3.10 or so")


@pytest.mark.parametrize("unclear", [True, False])
def test_what_is_not_clear_is_what_the_caller_says(unclear: bool) -> None:
    assert seems_to_satisfy("3.10", "3.10 or so", unclear) is unclear
    assert seems_to_satisfy("unknown", ">=3", unclear) is unclear
    assert seems_to_satisfy("3.10", ">=3", unclear)
    assert not seems_to_satisfy("3.10", "<3", unclear)
