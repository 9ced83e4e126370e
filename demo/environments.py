"""The Python environments of the demo: the controller's, the hub's, and that of people's servers."""

from __future__ import annotations

import sys
from pathlib import Path

from screen import Step, StepFailed

CONTROLLER = ["ansible-core", "supervisor"]
HUB = ["jupyterhub=={version}", "configurable-http-proxy"]  # the pure-Python proxy: no Node
SERVERS = ["jupyterhub=={version}", "jupyterlab"]


def build_controller(step: Step, path: Path) -> None:
    """The environment that `ansible-playbook` runs from; uv in it makes everything after it faster."""
    _create(step, path)
    try:
        _pip_install(step, path, ["uv"])
    except StepFailed:
        step.write("No uv for this machine: pip installs everything, more slowly.")
    _install(step, path, path, CONTROLLER)


def build(step: Step, controller: Path, path: Path, requirements: list[str], version: str) -> None:
    """An environment with a JupyterHub of this version, made the way administrators make it."""
    _create(step, path)
    _install(step, controller, path, [requirement.format(version=version) for requirement in requirements])


def _create(step: Step, path: Path) -> None:
    step.run([sys.executable, "-m", "venv", path])


def _install(step: Step, controller: Path, path: Path, requirements: list[str]) -> None:
    """With uv, else with pip, which alone knows the index of a pip.conf."""
    uv, python = controller / "bin" / "uv", path / "bin" / "python"
    if uv.exists():
        try:
            step.run([uv, "pip", "install", "--compile-bytecode", "--python", python, *requirements])
            return
        except StepFailed:
            step.write("uv could not: pip tries.")
    _pip_install(step, path, requirements)


def _pip_install(step: Step, path: Path, requirements: list[str]) -> None:
    step.run([path / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", *requirements])
