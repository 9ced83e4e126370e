"""The old site gets its domain again: real QHub, names and TLS, and stand-ins for the sites themselves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.errors import HubError
from ansible_collections.hubops.jupyterhub.plugins.module_utils.qhub import redeployment

from tests.hubs.playbook import run_playbook
from tests.redeployments.internet import Names, new_site, old_site, served
from tests.redeployments.qhub_site import DOMAIN, NEW, OLD, OLD_DOMAIN, ORDER, SECRETS, RealSite


class Run:
    """A site, and the playbook that goes back."""

    def __init__(self, site: RealSite, names: Names, folder: Path) -> None:
        self.site, self.names, self.folder = site, names, folder

    def back(self, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        wanted = {
            "qhub_folder": str(self.site.folder),
            "qhub_state_folder": str(self.site.state),
            "qhub_old_deploy_options": list(self.site.wanted.old_deploy_options),
            **variables,
        }
        done = run_playbook("qhub_rollback.yml", self.folder, wanted, *arguments, within=self.names.within)
        assert [secret for secret in SECRETS if secret in done.stdout + done.stderr] == []
        return done

    def deployed_as(self) -> str:
        """The domain of the config that the old site was deployed with last."""
        text = (self.site.kept / "old-site/qhub-config.yaml").read_text()
        return re.findall(r"^domain: (\S+)", text, re.MULTILINE)[0]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A site before its redeployment."""
    site = RealSite(tmp_path)
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    site.have_programs()
    return Run(site, Names(tmp_path), tmp_path)


def test_the_old_site_gets_its_domain_again_when_visitors_reach_it(run: Run) -> None:
    site, before = run.site, run.site.config
    site.take(*ORDER[: ORDER.index("deploy") + 1])
    applied = len(site.calls())
    with served(run.names) as old, served(run.names) as new:
        old_site(old)
        new_site(new)
        run.names.lead(domain=new.address, old_domain=old.address)

        refused = run.back()
        assert refused.returncode != 0
        assert "what users have written on it is not on the old one" in refused.stdout
        assert len(site.calls()) == applied

        # DNS still leads to the new site: the old one is deployed, and nothing more is said to be done.
        waiting = run.back("--diff", qhub_accept_loss=True)
        assert f"{DOMAIN} resolves to {new.address}, and the old site, {OLD_DOMAIN}, to {old.address}" in (
            waiting.stdout
        )
        assert (site.config, run.deployed_as()) == (before, DOMAIN)
        deployed = len(site.calls())
        assert deployed > applied
        with pytest.raises(HubError, match="A rollback was begun at .*, and has not ended"):
            site.take("commit")

        # A proxy that has an address for both, and leads to the new one.
        new_site(old)
        run.names.lead(domain=old.address, old_domain=old.address)
        assert "visitors of the domain reach the new site" in run.back(qhub_accept_loss=True).stdout

        old_site(old)
        done = run.back(qhub_accept_loss=True)
        assert done.returncode == 0, done.stdout
        assert re.search(rf"addresses: {old.address}\n +jupyterhub: 1.4.2", done.stdout)
        assert len(site.calls()) == deployed

        again = run.back(qhub_accept_loss=True)
        assert re.search(r"changed=0 .* failed=0", again.stdout), again.stdout

    # What comes next is another redeployment, from its first step, with the programs that are there.
    plan = redeployment.plan(site.wanted)
    assert (plan.begun, plan.steps[0].state, plan.from_version) == (False, "next", OLD)
    assert site.take("back_up").message == "carried out"
    assert [path.name for path in site.kept.glob("redeployment-*.json")] != []
    assert redeployment.plan(site.wanted).rollback == ()
    assert site.take("install", "rename_old_site", "upgrade_config").message == "carried out"
    assert f"qhub_version: {NEW}" in site.config


def test_a_rollback_before_the_new_site_is_there_loses_nothing(run: Run) -> None:
    run.site.take(*ORDER[:3])
    with served(run.names) as old:
        old_site(old)
        run.names.lead(domain=old.address)
        # Killed when the old site is deployed, and that is not noted.
        run.names.take(run.site.wanted, "restore_old_domain", kill=2)
        assert run.site.state_of("rename_old_site") == "done"
        assert f"{OLD_DOMAIN} cannot be resolved" in run.back().stdout
        run.names.lead(domain=old.address, old_domain=old.address)
        run.names.take(run.site.wanted, "verify_old_site", kill=1)
        done = run.back()
    assert done.returncode == 0, done.stdout
    assert "lost:" not in done.stdout


def test_there_is_no_way_back_from_where_nothing_has_begun(run: Run) -> None:
    with pytest.raises(HubError, match="its site has its domain"):
        run.site.take("restore_old_domain")
    assert run.site.calls() == []
