"""Real hubs of this machine as a fleet, each with its own environment, and a package index that counts."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import REPOSITORY
from tests.hubs.counted_index import CountedIndex, counted_index
from tests.hubs.real_hub import build, running_hub
from tests.testbed import prepared

LOCAL = "ansible.builtin.local"
TARGET = "6.1.1"
#: With these no earlier download hides a request.
NO_CACHE = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"}
#: A busy machine answers late; what is asked for twice would be counted twice.
PATIENT = {"UV_HTTP_TIMEOUT": "600", "PIP_DEFAULT_TIMEOUT": "600"}


@dataclass
class Fleet:
    """Running hubs of 4.1.6 by their hosts' names; ``variables`` are the inventory's for all of them."""

    folder: Path
    index: CountedIndex
    services: dict[str, str]
    variables: dict[str, Any] = field(default_factory=dict)

    def environment(self, host: str) -> Path:
        return self.folder / host / "env"

    def staged(self, host: str) -> Path:
        return self.folder / host / f"env.staged-{TARGET}"

    def playbook(
        self,
        name: str,
        *arguments: str,
        core: Path | None = None,
        variables: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        expect_rc: int = 0,
    ) -> str:
        """Run a playbook on them, which must end with ``expect_rc``; what it has printed.

        ``core`` is the folder of an ansible-core's programs, in the place of ours; ``variables`` come on top
        of the fleet's, ``environment`` on top of the process's.
        """
        places = {
            host: {
                "jupyterhub_service": service,
                "jupyterhub_state_folder": str(self.folder / host / "state"),
            }
            for host, service in self.services.items()
        }
        shared = {
            "ansible_connection": LOCAL,
            "ansible_python_interpreter": sys.executable,
            "jupyterhub_version": TARGET,
            "jupyterhub_wheels": str(self.folder / "{{ inventory_hostname }}" / "wheels"),
            "jupyterhub_wheelhouse": str(self.folder / "wheelhouse"),
            "jupyterhub_index_url": f"{self.index.url}/simple/",
            "jupyterhub_audit": "never",
            "jupyterhub_rehearse": False,
            "jupyterhub_watch_seconds": 0,
            **self.variables,
            **(variables or {}),
        }
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"hubs": {"hosts": places, "vars": shared}}))
        programs = core or Path(sys.executable).parent
        ours = {"ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".collections"), "HOME": str(self.folder)}
        ran = subprocess.run(
            [programs / "ansible-playbook", "--inventory", inventory, *arguments, f"playbooks/{name}"],
            cwd=REPOSITORY,
            env={
                **os.environ,
                **(ours if core else prepared.environment(LOCAL)),
                "ANSIBLE_NOCOLOR": "1",
                **PATIENT,
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert ran.returncode == expect_rc, ran.stdout
        return ran.stdout


@contextlib.contextmanager
def fleet_of_hubs(folder: Path, *hosts: str) -> Iterator[Fleet]:
    """As many running hubs as there are names of hosts."""
    with contextlib.ExitStack() as stack:
        index, services = stack.enter_context(counted_index()), {}
        for host in hosts:
            (folder / host).mkdir()
            build(folder / host / "env", "4.1.6")
            hub = running_hub("4.1.6", folder / host, place=folder / host / "env")
            services[host] = stack.enter_context(hub).name
        yield Fleet(folder, index, services)
