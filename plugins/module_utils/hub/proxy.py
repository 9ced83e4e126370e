"""The proxy's program: which one the hub's service really starts, and what it needs to run."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Sequence

from ..environments.discovery import environment_of_script
from ..environments.packages import installed_version
from ..errors import HubError
from ..system.execution_context import ExecutionContext
from .facts import ProxyProgram

NODE = "node"
PYTHON = "python"
OTHER = "other"
_VERSION_SECONDS = 10


def find_program_of(managed: bool, command: Sequence[str], context: ExecutionContext) -> ProxyProgram | None:
    """What the first word of a proxy's command is; None where the hub starts no proxy."""
    if not managed or not command:
        return None
    found = ProxyProgram()
    # A name with a slash in it is looked for in the hub's directory, not on its PATH.
    name = os.path.join(context.inside(context.directory), command[0]) if "/" in command[0] else command[0]
    program = context.program(name)
    if program and _is_node(program):
        # `node /path/to/configurable-http-proxy`: what matters is the script.
        found = replace(found, **_node(program, context))
        program = next((Path(word) for word in command[1:] if Path(word).is_file()), None)
    if program is None:
        return found
    found = replace(found, path=str(program), kind=OTHER)
    package = _package_of(program)
    if package:
        found = replace(found, kind=NODE, version=package.get("version"), engine=_engine(package))
        return found if found.node else replace(found, **_node(context.program("node"), context))
    environment = environment_of_script(str(program), context.path)
    if environment:
        found = replace(found, kind=PYTHON, version=_python_version(environment))
    return found


def _is_node(program: Path) -> bool:
    return program.name in ("node", "nodejs")


def _package_of(program: Path) -> dict[str, Any] | None:
    """The package.json of the npm package that a script belongs to."""
    real = Path(os.path.realpath(program))
    # npm links to <package>/bin/<script>.
    for file in (folder / "package.json" for folder in list(real.parents)[:2]):
        try:
            package = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return package if isinstance(package, dict) else None
    return None


def _engine(package: dict[str, Any]) -> str | None:
    engine = package.get("engines", {}).get("node")
    return str(engine).replace(" ", "") if engine else None


def _node(node: Path | None, context: ExecutionContext) -> dict[str, str | None]:
    """Where Node is and its version, asked as the hub's own user."""
    if node is None:
        return {"node": None, "node_version": None}
    try:
        output = context.run([str(node), "--version"], timeout=_VERSION_SECONDS).stdout
    except HubError:
        output = ""
    version = re.fullmatch(r"v?(\d+\.\d+\.\d+)\S*", output.strip())
    return {"node": str(node), "node_version": version[1] if version else None}


def _python_version(environment: str) -> str | None:
    try:
        return installed_version(environment, "configurable-http-proxy")
    except HubError:
        return None
