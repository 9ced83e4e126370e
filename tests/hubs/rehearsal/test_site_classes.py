"""Spawners and authenticators of the site's own, which its config defines: upgraded, or refused in time."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases import migration
from ansible_collections.hubops.jupyterhub.plugins.module_utils.rehearsal import rehearsal

from tests.hubs.real_hub import environment, link_environment, running_hub
from tests.plans import planned_environment

NEW = "6.1.1"

SPAWNER = """
from jupyterhub.spawner import SimpleLocalProcessSpawner

def made():
    class SiteSpawner(SimpleLocalProcessSpawner):
        pass
    return SiteSpawner

c.JupyterHub.spawner_class = made()
c.SiteSpawner.cmd = ["jupyterhub-singleuser"]
c.SiteSpawner.no_such_option = 1
"""

#: An authenticator to which another site sends what it says of a user, as with LTI and SAML.
LAUNCH = """
from jupyterhub.auth import Authenticator
from jupyterhub.handlers import BaseHandler

class LaunchHandler(BaseHandler):
    async def post(self):
        await self.auth_to_user({"name": self.get_argument("user", "user0")})
        self.finish("launched")
@exempt@

class PageHandler(BaseHandler):
    def get(self):
        if @page@:
            raise ValueError("a page that fails")
        self.finish("a page")

class FormHandler(BaseHandler):
    def get(self):
        self.finish('<input name="_xsrf" value="x">')

    async def post(self):
        self.finish("sent")

class LaunchAuthenticator(Authenticator):
    def get_handlers(self, app):
        launches = [(r"/launch", LaunchHandler), (r"/of/(.*)", LaunchHandler)]
        return [*launches, (r"/form$", FormHandler), (r"/page", PageHandler)]

c.JupyterHub.authenticator_class = LaunchAuthenticator
c.Authenticator.allow_existing_users = True
"""
EXEMPT = """
    def check_xsrf_cookie(self):
        pass
"""


def launch(exempt: str = "", page: str = "False") -> str:
    """The config; its page fails where ``page`` is so."""
    return LAUNCH.replace("@exempt@", exempt).replace("@page@", page)


def rehearsed(version: str, folder: Path, config: str) -> dict[str, str]:
    """Findings of the rehearsal of an upgrade to the newest version, by their ids."""
    staged = link_environment(NEW, folder / "staged")
    with running_hub(version, folder, config=config) as deployment:
        entry = planned_environment(environment(version), NEW, staged_path=str(staged))
        with migration.passing(folder / "state"):
            done = rehearsal.rehearse(deployment, [entry], NEW, folder / "state", start_timeout=60)
    return {each.id: each.found for each in done.findings if each.severity != "note"}


def test_a_spawner_that_a_function_of_the_config_makes(tmp_path: Path) -> None:
    assert rehearsed("4.1.6", tmp_path, SPAWNER) == {
        "config-option-gone": "Config option `no_such_option` not recognized by `SiteSpawner`."
    }


def test_an_authenticator_whose_launches_the_new_hub_refuses_and_whose_page_fails(tmp_path: Path) -> None:
    of_the_new = f"__import__('jupyterhub').__version__ == {NEW!r}"
    found = rehearsed("3.1.1", tmp_path, launch(page=of_the_new))
    assert found.pop("rehearsal-errors").count("ValueError: a page that fails") == 1
    assert found == {
        "rehearsal-page-fails": f"JupyterHub {NEW} fails with /hub/page (500) of "
        "builtins.LaunchAuthenticator; 3.1.1 answers.",
        "rehearsal-post-refused": f"JupyterHub {NEW} refuses a POST from another site to /hub/launch of "
        "builtins.LaunchAuthenticator; 3.1.1 takes it.",
    }


def test_an_authenticator_that_is_made_for_the_new_hub(tmp_path: Path) -> None:
    assert rehearsed("3.1.1", tmp_path, launch(EXEMPT)) == {}


def test_launches_that_are_refused_today_are_no_change(tmp_path: Path) -> None:
    assert rehearsed("4.1.6", tmp_path, launch()) == {}
