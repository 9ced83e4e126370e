"""A person looks at a hub's pages and computes in JupyterLab while the hub is upgraded.

It is announced in both, the page of a hub that is away is seen meanwhile, and both go on by themselves: the
kernel still has its variable.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle, users_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.announcement import announcement_of
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import running_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.recovery import rollback
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from playwright.sync_api import Browser, Page, expect

from tests.hubs.real_hub import build, free_ports, stopped_hub
from tests.hubs.recovery.staged_hub import NEW, OLD, Hub
from tests.hubs.recovery.test_hold_page import CONFIG as EXTERNAL
from tests.hubs.recovery.test_hold_page import external_proxy
from tests.testbed.releases import MIGRATION_TO_5

#: Of the hub's own proxy and an external one; `make hub-pages` takes both.
PROXIES = os.environ.get("HUBOPS_TEST_PROXIES", "managed").split()
#: For what a browser waits; a machine of two cores may have much else to do.
PATIENCE_MILLISECONDS = 120_000
expect.set_options(timeout=PATIENCE_MILLISECONDS)
SERVERS = ("jupyterlab==4.6.*", "ipykernel", "jupyterlab-notifications-extension==1.2.*")
CONFIG = """
c.Authenticator.allow_all = True
c.Spawner.args = {arguments}
c.Spawner.default_url = "/lab/tree/work.ipynb"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home"
"""
#: Only at the hub's own database: a copy is migrated as ever.
MIGRATION_WAITS = """
import os, time
_upgrade = upgrade

def upgrade():
    while op.get_bind().engine.url.database == {path!r} and not os.path.exists({path!r} + ".seen"):
        time.sleep(0.05)
    _upgrade()
"""


def make_notebook(home: Path, *sources: str) -> None:
    home.mkdir()
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    kind: dict[str, object] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [{**kind, "id": f"cell{number}", "source": source} for number, source in enumerate(sources)]
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (home / "work.ipynb").write_text(json.dumps(notebook))


@contextmanager
def hub_of(proxy: str, folder: Path) -> Iterator[Hub]:
    """A hub with JupyterLab, whose pages can announce something, behind that kind of proxy."""
    make_notebook(
        folder / "home", "answer = 6; print(answer)", "answer += 1; print(answer)", "print(answer * 6)"
    )
    place = folder / "environment"
    build(place, OLD, *SERVERS)
    arguments = ["--allow-root"] if os.geteuid() == 0 else []
    config = CONFIG.format(folder=folder, arguments=arguments)
    with ExitStack() as stack:
        if proxy == "external":
            port, api_port = free_ports(2)
            config += EXTERNAL.format(port=port, api_port=api_port)
            stack.enter_context(external_proxy(place, port, api_port))
        stopped = stack.enter_context(stopped_hub(OLD, folder, place=place, config=config))
        announcement_of(stopped).install()
        lifecycle.start(stopped, str(folder / "state"), OLD, 60)
        yield Hub(find_deployment(stopped.name), folder)


@contextmanager
def upgrading(hub: Hub, run_id: str) -> Iterator[None]:
    """The hub is upgraded; it is away for the time of the block, and there again behind it."""
    upgrade = threading.Thread(target=hub.conduct, args=[run_id], kwargs={"migration_timeout": 3600})
    upgrade.start()
    try:
        hub.wait_until(lambda run: run.taken("stop") is not None)
        yield
    finally:
        hub.database.with_name(f"{hub.database.name}.seen").touch()
        upgrade.join()


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_person_is_told_and_goes_on(proxy: str, browser: Browser, tmp_path: Path) -> None:
    with hub_of(proxy, tmp_path) as hub:
        deployment = find_deployment(hub.name)
        announcement_of(deployment).show("An upgrade <soon>.")
        person = browser.new_context()
        home = person.new_page()
        log_in(home, deployment.config.public_url, "user1")
        expect(home.locator(".announcement")).to_have_text("An upgrade <soon>.")
        notebook = person.new_page()
        open_notebook(notebook, deployment.config.public_url)
        run_cell(notebook, 0, "6")
        with users_servers.attending(deployment, None, scopes=users_servers.ACCESS) as servers:
            assert servers.notify("An upgrade <i>soon</i>.").told == ["user1"]
        notification = notebook.locator(".Toastify__toast").filter(has_text="An upgrade")
        expect(notification).to_contain_text("An upgrade <i>soon</i>.")

        run_id = hub.arm(
            running_servers=running_servers.KEEP,
            expected_outage_seconds=300.0,
            append={MIGRATION_TO_5: MIGRATION_WAITS},
        )
        with upgrading(hub, run_id):
            home.reload()
            expect(home.get_by_role("status")).to_contain_text("JupyterHub is being upgraded")
            run_cell(notebook, 1, "7")
        assert (hub.now().phase, hub.version()) == (journal.VERIFIED, NEW)
        # Nobody does anything: the page loads the hub again once that is there, the notebook its kernel.
        expect(home.locator(".announcement")).to_have_text(f"In progress: upgrade of JupyterHub to {NEW}.")
        rollback.accept(hub.folder, run_id)
        run_cell(notebook, 2, "42")
        assert notebook.locator(".jp-Dialog").count() == 0
        # The notification stays until its reader closes it.
        notification.get_by_role("button", name="Hide notification").click()
        expect(notification).to_have_count(0)

        home.reload()
        expect(home.locator("#start")).to_be_visible()
        expect(home.locator(".announcement")).to_have_count(0)
        person.close()
        another = browser.new_page()
        log_in(another, deployment.config.public_url, "user2")
        another.close()


def log_in(page: Page, url: str, user: str) -> None:
    page.goto(f"{url}hub/login?next=%2Fhub%2Fhome", timeout=PATIENCE_MILLISECONDS)
    page.locator("#username_input").fill(user)
    page.locator("#password_input").fill("any")
    page.locator("#login_submit").click()
    expect(page.locator("#start")).to_be_visible()


def open_notebook(page: Page, url: str) -> None:
    """Start the server of whoever has logged in, which opens the notebook."""
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    page.goto(f"{url}hub/spawn")
    page.wait_for_url("**/user/user1/lab/**")
    # The notebook's own indicator says so before there is a kernel.
    expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()


def run_cell(page: Page, number: int, output: str) -> None:
    """Have a cell run, by the mouse: JupyterLab drops keys on a machine that has much else to do."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
    cell.locator(".jp-InputPrompt").click()
    expect(cell).to_have_class(re.compile("jp-mod-active"))
    page.locator('.jp-NotebookPanel-toolbar [data-jp-item-name="run"]').click()
    expect(cell.locator(".jp-OutputArea-output")).to_have_text(output)
