"""A person computes in JupyterLab while the hub is upgraded: the page and the kernel go on.

`make hub-pages` runs it, and no other part: JupyterLab drops keys on a machine that has much else to do.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import running_servers
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal
from playwright.sync_api import Browser, Page, expect

from tests.hubs.real_hub import build, free_ports, running_hub
from tests.hubs.recovery.staged_hub import NEW, OLD, Hub
from tests.hubs.recovery.test_hold_page import CONFIG as EXTERNAL
from tests.hubs.recovery.test_hold_page import external_proxy

CONFIG = """
c.Spawner.args = {arguments}
c.Spawner.default_url = "/lab/tree/work.ipynb"
c.Authenticator.allow_all = True
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home"
"""
#: For what a browser waits; a machine of two cores may have much else to do.
PATIENCE_MILLISECONDS = 120_000


def make_notebook(home: Path, *sources: str) -> None:
    home.mkdir()
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    kind: dict[str, object] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [{**kind, "id": f"cell{number}", "source": source} for number, source in enumerate(sources)]
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (home / "work.ipynb").write_text(json.dumps(notebook))


@contextmanager
def hub_with_jupyterlab(folder: Path) -> Iterator[Hub]:
    """A hub with JupyterLab behind an external proxy."""
    make_notebook(
        folder / "home", "answer = 6; print(answer)", "answer += 1; print(answer)", "print(answer * 6)"
    )
    place = folder / "environment"
    build(place, OLD, "jupyterlab", "ipykernel")
    port, api_port = free_ports(2)
    arguments = ["--allow-root"] if os.geteuid() == 0 else []
    config = CONFIG.format(folder=folder, arguments=arguments) + EXTERNAL.format(port=port, api_port=api_port)
    with ExitStack() as stack:
        stack.enter_context(external_proxy(place, port, api_port))
        yield Hub(stack.enter_context(running_hub(OLD, folder, place=place, config=config)), folder)


def test_a_notebook_goes_on_by_itself(browser: Browser, tmp_path: Path) -> None:
    with hub_with_jupyterlab(tmp_path) as hub:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        log_in(page, find_deployment(hub.name).config.public_url)
        run_cell(page, 0, "6")

        run_id = hub.arm(running_servers=running_servers.KEEP)
        upgrade = threading.Thread(target=hub.conduct, args=[run_id])
        upgrade.start()
        hub.wait_until(lambda run: run.taken("stop") is not None)
        # The hub is away, and the kernel computes.
        run_cell(page, 1, "7")
        upgrade.join()
        assert (hub.now().phase, hub.version()) == (journal.VERIFIED, NEW)
        run_cell(page, 2, "42")
        assert page.locator(".jp-Dialog").count() == 0
        page.close()


def log_in(page: Page, url: str) -> None:
    """Log in; the server is started, and opens the notebook."""
    page.goto(f"{url}hub/login")
    page.locator("#username_input").fill("user1")
    page.locator("#password_input").fill("any")
    page.locator("#login_submit").click()
    page.wait_for_url("**/user/user1/**")
    indicator = page.locator(".jp-Notebook-ExecutionIndicator")
    expect(indicator).to_have_attribute("data-status", "idle", timeout=PATIENCE_MILLISECONDS)


def run_cell(page: Page, number: int, output: str) -> None:
    found = page.locator(".jp-Notebook .jp-CodeCell").nth(number)
    found.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    expect(found.locator(".jp-OutputArea-output")).to_have_text(output, timeout=PATIENCE_MILLISECONDS)
