"""Runs a playbook of the collection on this machine, as an administrator does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import REPOSITORY
from tests.testbed import prepared

CONNECTION = "ansible.builtin.local"


def run_playbook(
    name: str, folder: Path, variables: dict[str, Any], *arguments: str, within: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run ``playbooks/<name>`` with these extra variables; ``folder`` is for what the controller keeps.

    ``within`` is a command that runs the one behind it.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    extra = folder / "variables.json"
    usual = {"jupyterhub_state_folder": str(folder / "state"), "jupyterhub_audit": "never"}
    extra.write_text(json.dumps({**usual, **variables}))
    return subprocess.run(
        [
            *within,
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--inventory", "hub.example.org,", "--extra-vars", f"@{extra}"),
            *(str(REPOSITORY / "playbooks" / name), *arguments),
        ],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            **prepared.environment(CONNECTION),
            "HOME": str(home),
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "ANSIBLE_TRANSPORT": CONNECTION,
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
    )


def upgrade(service: str, version: str, folder: Path, **variables: Any) -> dict[str, Any]:
    """The report of ``upgrade.yml`` for one hub of this machine, with all that was printed as ``printed``."""
    report = folder / "report.json"
    wanted = {
        "jupyterhub_service": service,
        "jupyterhub_version": version,
        "jupyterhub_watch_seconds": 0,
        "jupyterhub_report_fetch": str(report),
        **variables,
    }
    report.unlink(missing_ok=True)
    done = run_playbook("upgrade.yml", folder, wanted)
    made = json.loads(report.read_text()) if report.exists() else {}
    return {**made, "printed": done.stdout + done.stderr}
