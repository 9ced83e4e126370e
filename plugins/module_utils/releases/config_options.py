"""The options that a JupyterHub knows, read from its source: nothing is imported, no Python is started."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator

#: Where the classes are that a hub's config may name.
_FILES = ("app.py", "auth.py", "crypto.py", "proxy.py", "spawner.py", "authenticators/*.py")
#: Classes of traitlets, whose own options stay.
_OUTSIDE = ("Application", "Configurable", "HasTraits", "LoggingConfigurable", "SingletonConfigurable")


def read_options(package: Path) -> dict[str, list[str]]:
    """``{class: [names]}`` of a jupyterhub package's folder, with those that a class inherits.

    Classes that inherit from something that is neither there nor in traitlets are left out.
    """
    classes: dict[str, tuple[list[str], set[str]]] = {}
    for file in (file for pattern in _FILES for file in sorted(package.glob(pattern))):
        tree = ast.parse(file.read_bytes())
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                classes[node.name] = ([_name(base) for base in node.bases], set(_own_options(node)))
    known = {name: _inherited(name, classes) for name in classes}
    return {name: sorted(options) for name, options in known.items() if options is not None}


def _own_options(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and _is_option(statement.value):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


def _is_option(value: ast.expr) -> bool:
    """Whether it is ``Trait(..., config=True)`` or ``Trait(...).tag(config=True)``."""
    while isinstance(value, ast.Call):
        if any(keyword.arg == "config" for keyword in value.keywords):
            return True
        if not isinstance(value.func, ast.Attribute):
            return False
        value = value.func.value
    return False


def _inherited(name: str, classes: dict[str, tuple[list[str], set[str]]]) -> set[str] | None:
    if name in _OUTSIDE:
        return set()
    if name not in classes:
        return None
    bases, options = classes[name]
    found = set(options)
    for base in bases:
        more = _inherited(base, classes) if base != name else None
        if more is None:
            return None
        found |= more
    return found


def _name(base: ast.expr) -> str:
    return base.id if isinstance(base, ast.Name) else ""
