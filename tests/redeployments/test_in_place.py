"""A version that needs no redeployment: real QHub 0.4.5 deploys the site that 0.4.4 has deployed."""

from __future__ import annotations

import fcntl
import re
import shutil
from functools import lru_cache
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import programs
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub.site import Site

from tests.hubs.playbook import run_playbook
from tests.pythons import pythons
from tests.redeployments.qhub_site import NEW, SECRETS, RealSite, git, initialised, installed

OLD = "0.4.4"


@lru_cache(maxsize=None)
def deployed_config() -> str:
    """What an administrator has who went from 0.3.14 to 0.4.4 without this collection."""
    kept = installed()
    requirements = kept / f"{OLD}.txt"
    folder = kept / f"config-{OLD}"
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            pins = "\n".join(programs.PINS[NEW]).replace(f"qhub=={NEW}", f"qhub=={OLD}")
            requirements.write_text(f"{pins}\n")
            site = Site("", python=pythons()["3.9"], requirements={OLD: str(requirements)})
            programs.install(site, kept, OLD)
            part = kept / f"config-{OLD}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            (part / "qhub-config.yaml").write_text(initialised())
            output = programs.run(
                [str(programs.program(kept, OLD)), "upgrade", "-c", "qhub-config.yaml"], part
            )
            assert output.status == 0, output.text
            part.rename(folder)
    return (folder / "qhub-config.yaml").read_text().replace("prevent_deploy: true\n", "")


def test_a_site_is_deployed_by_the_new_version_and_none_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = RealSite(tmp_path, deployed_config())
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    # Neither another domain and project nor the old version's packages are asked for.
    unneeded = ("qhub_old_domain", "qhub_project", "qhub_kubernetes_version", "qhub_old_deploy_options")
    variables = {name: value for name, value in site.inventory().items() if name not in unneeded}
    # Backups as qhub_backup leaves them.
    for name in ("qhub_user_data_backup", "qhub_hub_database_backup"):
        del variables[name]
    variables["qhub_backups"] = str(site.data.parent)
    before = site.config

    planned = run_playbook("qhub_plan.yml", tmp_path, variables)
    assert f"QHub {OLD} -> {NEW} at https://qhub.example.org (aws): not begun, 0 blockers" in planned.stdout
    assert f"note: QHub {OLD} becomes {NEW} in place." in planned.stdout

    site.kept.mkdir(parents=True)
    (site.kept / f"qhub-{NEW}").symlink_to(installed() / f"qhub-{NEW}")
    done = run_playbook("qhub_redeploy.yml", tmp_path, variables, "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 steps done" in done.stdout
    assert [secret for secret in SECRETS if secret in done.stdout + done.stderr] == []
    assert f"qhub_version: {NEW}" in site.config
    names = ("project_name", "domain", "initial_root_password")
    for name in names:
        [was] = re.findall(rf"^ *{name}: .*$", before, re.MULTILINE)
        assert was in site.config
    assert f"{site.folder}/stages/07-kubernetes-services apply" in "".join(site.calls())
    assert not (site.kept / "old-site").exists()
    assert git(site.remote, "show", f"qhub-{NEW}:qhub-config.yaml") == site.config.strip()

    again = run_playbook("qhub_redeploy.yml", tmp_path, variables)
    assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout
    with pytest.raises(HubError, match=f"Deploy qhub-config.yaml.before-{NEW} of its folder with QHub {OLD}"):
        site.take("restore_old_domain")
