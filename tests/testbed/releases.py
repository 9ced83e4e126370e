"""Releases of JupyterHub that were never made: 6.1.1 under another version, with faults of our choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .hub import Hub

RELATED_PACKAGES = "/usr/local/share/wheels-6.1.1"

#: A version that was never released, and files of the package to append lines to.
VERSION = "6.1.9"
APP = "jupyterhub/app.py"
USERS = "jupyterhub/apihandlers/users.py"
MIGRATION = "jupyterhub/alembic/versions/ffffffffffff_broken.py"
#: The last migration that 5.4.6 has as well.
MIGRATION_TO_5 = "jupyterhub/alembic/versions/4621fec11365_manage_roles.py"

MIGRATION_BREAKS = """
def upgrade():
    raise RuntimeError("this step breaks")
"""
DOES_NOT_START = """
async def _start(self):
    raise RuntimeError("this release does not start")

JupyterHub.start = _start
"""
NEVER_ANSWERS = """
async def _start(self):
    self.log.warning("this release waits for ever")
    await asyncio.Event().wait()

JupyterHub.start = _start
"""
CANNOT_READ_USERS = """
async def _get(self):
    raise RuntimeError("this release cannot read its users")

UserListAPIHandler.get = _get
"""


def release(
    hub: Hub,
    version: str,
    metadata: dict[str, str] | None = None,
    append: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Put a release into a folder of wheels on the hub's host; return the variables that ask for it.

    ``metadata`` replaces fields such as Requires-Python, or adds them; ``append`` adds lines to files of the
    package, or makes new ones. The folder also has everything that 6.1.1 needs.
    """
    folder = f"/usr/local/share/wheels-{version}"
    wanted = {
        "source": RELATED_PACKAGES,
        "folder": folder,
        "version": version,
        "metadata": metadata or {},
        "append": append or {},
    }
    program = Path(__file__).with_name("repack.py").read_text()
    hub.exec(["/usr/bin/python3", "-", json.dumps(wanted)], stdin=program)
    return {"jupyterhub_version": version, "jupyterhub_wheels": folder}
