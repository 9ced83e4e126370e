"""A package of the collection's thinking imports only packages below it, and nothing runs in circles."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import REPOSITORY

UTILS = REPOSITORY / "plugins" / "module_utils"
#: Lowest first; docs/architecture.md describes each.
ORDER = (
    "errors",
    "shapes",
    "progress",
    "pages",
    "awx",
    "system",
    "releases",
    "hub_scripts",
    "environments",
    "services",
    "hub",
    "databases",
    "deployment",
    "planning",
    "z2jh",
    "runs",
    "singleuser_hosts",
    "rehearsal",
    "recovery",
    "qhub",
    "arguments",
)
MODULES = {
    ".".join(file.relative_to(UTILS).with_suffix("").parts).replace(".__init__", ""): file
    for file in sorted(UTILS.rglob("*.py"))
    if file.parent != UTILS or file.stem != "__init__"
}


def imported_by(name: str, file: Path) -> Iterator[str]:
    """Modules of ours that a module imports, also within functions, also what is imported on the way."""
    package = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) + 1 - node.level], *(node.module or "").split(".")]
            base = [part for part in base if part]
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield whole if whole in MODULES else ".".join(base)


@pytest.mark.parametrize("name", MODULES)
def test_a_package_imports_only_what_is_below_it(name: str) -> None:
    own = name.split(".")[0]
    above = {
        each
        for each in imported_by(name, MODULES[name])
        if ORDER.index(each.split(".")[0]) > ORDER.index(own)
    }
    assert above == set()


def test_nothing_is_imported_in_a_circle() -> None:
    imports = {name: set(imported_by(name, file)) - {name} for name, file in MODULES.items()}
    done: set[str] = set()
    while ready := {name for name in imports if name not in done and imports[name] <= done}:
        done |= ready
    assert set(MODULES) - done == set()


def test_nothing_is_imported_within_a_function() -> None:
    """Ansible sends such a module along, but does not report when it is missing."""
    hidden = [
        f"{file}:{node.lineno}"
        for file in MODULES.values()
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert hidden == []
