"""A real hub whose upgrade is staged, for tests of its outage."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.database import database_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.model import Deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.installer import (
    Installer,
    InstallerOptions,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.environments.staging import stage
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.hub import api
from ansible_collections.hubops.jupyterhub.plugins.module_utils.progress import Progress
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import (
    arming,
    outage,
    recovery_point,
    rollback,
)
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery.outage_steps import Settings
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from ansible_collections.hubops.jupyterhub.plugins.module_utils.services.kinds import service_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import state

from tests.hubs.real_hub import copy_environment
from tests.plans import plan_to, planned_environment

OLD, NEW = "4.1.6", "6.1.1"
ADA = {"user": "ada", "controller": "laptop", "process": "", "command": "ansible-playbook upgrade.yml"}
PATIENCE = 120


class Hub:
    """A hub whose upgrade is staged; each run upgrades it from the same state."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.name, self.base, self.kept = deployment.name, folder / "state", folder / "kept"
        self.folder = state.state_folder(self.name, str(self.base))
        self.entry = planned_environment(Path(deployment.hub_environment.path), NEW, jupyterhub=OLD)
        stage(self.entry, Installer(InstallerOptions(), self.entry.path), Progress())
        Path(self.entry.staged_path).rename(self.kept)

    @property
    def staged(self) -> Path:
        return Path(self.entry.staged_path)

    def arm(
        self,
        unconfirmed: str = journal.KEEP,
        confirm_timeout: float = 600,
        append: dict[str, str] | None = None,
        **changes: Any,
    ) -> str:
        """Prepare a run up to its outage; its id.

        ``append`` has lines for files of the new release, ``changes`` what is different in the plan.
        """
        deployment, plan = find_deployment(self.name), replace(plan_to(NEW, self.entry), **changes)
        self.database = Path(deployment.database.path or "")
        self.api_url = deployment.config.hub_api_url
        run = journal.begin(
            self.folder, ADA, confirm_timeout, deployment=deployment, plan=plan, unconfirmed=unconfirmed
        )
        # From then on the guard of the run before removes nothing any more.
        self.lay_out(append or {})
        self.point = recovery_point.create(deployment, plan, str(self.base), [], 10)
        migration.prepare(
            database_of(deployment),
            service_of(deployment.service).context(),
            plan.migrating_environment,
            self.folder,
            intermediate=[each.staged_path for each in plan.intermediate_versions],
        )
        arming.arm(self.folder, run.id, self.point)
        return run.id

    def lay_out(self, append: dict[str, str]) -> None:
        """Have the new environment staged, with more lines in its files."""
        copy_environment(self.kept, self.staged)
        for name, lines in append.items():
            (path,) = self.staged.glob(f"lib/python*/site-packages/{name}")
            with path.open("a") as file:
                file.write(lines.format(path=str(self.database)))

    def conduct(self, run_id: str, **settings: Any) -> journal.Run:
        return outage.conduct(self.folder, run_id, Settings(**{"start_timeout": 60, **settings}))

    def begin_to_conduct(self, run_id: str, **settings: Any) -> int:
        """The same in a process of its own, which ends well however the outage ends; its number."""
        begun = os.fork()
        if begun == 0:
            with suppress(BaseException):
                self.conduct(run_id, **settings)
            os._exit(0)
        return begun

    def now(self) -> journal.Run:
        found = journal.read(self.folder)
        assert found
        return found

    def wait_until(self, condition: Callable[[journal.Run], bool]) -> journal.Run:
        deadline = time.monotonic() + PATIENCE
        while not condition(found := self.now()):
            assert time.monotonic() < deadline, f"{found.phase} {found.doing} {found.outcome}"
            time.sleep(0.02)
        return found

    def fall_silent(self) -> None:
        """Let the run's heartbeat be too old, from now on."""
        run = self.now()
        run.confirm_timeout = -1
        journal.write(self.folder, run)

    def version(self) -> str | None:
        return api.version(self.api_url)

    def make_old(self) -> None:
        """End what a test has left, and have the old hub again."""
        with suppress(HubError):
            rollback.roll_back(self.folder, "hand", "")
        recovery_point.restore(self.point, 60, 60)
        shutil.rmtree(self.staged, ignore_errors=True)
