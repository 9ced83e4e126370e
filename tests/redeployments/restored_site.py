"""A site whose redeployment has come to what is left to do at the new one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import record, redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.record import Done, Redeployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system import files

from tests.hubs.playbook import run_playbook
from tests.redeployments import keycloak
from tests.redeployments.qhub_site import (
    DOMAIN,
    NEW,
    OLD,
    OLD_DOMAIN,
    ORDER,
    backed_up,
    initialised,
    installed,
)

CONFIG = f"""\
project_name: newproj
provider: aws
domain: {DOMAIN}
qhub_version: {NEW}
security:
  authentication:
    type: password
  keycloak:
    initial_root_password: {keycloak.PASSWORD}
"""
IMPORT: dict[str, list[dict[str, Any]]] = {
    "users": [
        {"username": "ada", "enabled": True, "groups": ["admin", "users"]},
        {"username": "grace", "enabled": True, "groups": ["users"]},
        {"username": "linus", "enabled": True, "groups": ["scientists"]},
    ],
    "groups": [{"name": "scientists", "path": "/scientists"}, {"name": "empty", "path": "/empty"}],
}


class RestoredSite:
    """A site whose redeployment has come to the users."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tests = folder / "site", folder
        self.folder.mkdir()
        (self.folder / "qhub-config.yaml").write_text(CONFIG)
        path = self.folder / "qhub-users-import.json"
        path.write_text(json.dumps(IMPORT))
        self.kept = folder / "state/qhub" / DOMAIN
        self.kept.mkdir(parents=True)
        for version in (OLD, NEW):
            (self.kept / f"qhub-{version}").symlink_to(installed() / f"qhub-{version}")
        data, database = folder / "home.tar", folder / "jupyterhub.sqlite"
        backed_up(data, database)
        old = self.kept / "old-site"
        old.mkdir()
        (old / "qhub-config.yaml").write_text(
            initialised().replace(f"domain: {DOMAIN}", f"domain: {OLD_DOMAIN}")
        )
        evidence = {
            "back_up": {
                "user_data": str(data),
                "user_data_sha256": files.sha256(data),
                "hub_database": str(database),
                "hub_database_sha256": files.sha256(database),
            },
            "upgrade_config": {"import": str(path), "import_sha256": files.sha256(path)},
            "rename_project": {"project": "newproj"},
            "rename_old_site": {"old_domain": OLD_DOMAIN},
        }
        begun = Redeployment(1, str(self.folder), DOMAIN, "aws", OLD, NEW, "oldproj")
        for name in ORDER:
            begun = begun.with_step(Done(name, "", "root", 0.0, evidence.get(name, {})))
        record.write(self.kept, begun)

    def run(
        self,
        url: str,
        password: str = keycloak.PASSWORD,
        playbook: str = "qhub_users.yml",
        within: Sequence[str] = (),
        **variables: Any,
    ) -> subprocess.CompletedProcess[str]:
        done = run_playbook(
            playbook,
            self.tests,
            {
                "qhub_folder": str(self.folder),
                "qhub_state_folder": str(self.tests / "state"),
                "qhub_keycloak_url": url,
                "qhub_keycloak_password": password,
                **variables,
            },
            "-vvv",
            within=within,
        )
        assert password not in done.stdout + done.stderr
        return done

    def evidence(self, step: str = "import_users") -> dict[str, str]:
        begun = record.read(self.kept)
        assert begun
        return begun.evidence(step)

    def after(self, *steps: str) -> None:
        """As if these had been taken as well."""
        begun = record.read(self.kept)
        assert begun
        for name in steps:
            begun = begun.with_step(Done(name, "", "root", 0.0, {}))
        record.write(self.kept, begun)

    def forget(self, step: str) -> None:
        """As if neither that step nor a later one had been taken."""
        begun = record.read(self.kept)
        assert begun
        names = [done.name for done in begun.steps]
        record.write(self.kept, replace(begun, steps=begun.steps[: names.index(step)]))

    def wanted(self, url: str = "", **changes: Any) -> Site:
        return replace(
            Site(str(self.folder), state_folder=str(self.tests / "state"), keycloak_url=url), **changes
        )

    def take(self, url: str = "", step: str = "root_password", **changes: str) -> str:
        """Take a step, most often the one that changes root's password; what became of it."""
        return redeployment.take(self.wanted(url, **changes), step).message
