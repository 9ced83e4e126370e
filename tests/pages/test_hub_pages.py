"""A person looks at the pages of a hub that is upgraded: announced, held, and there again by itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment import lifecycle
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

#: Of the hub's own proxy and an external one; `make hub-pages` takes both.
PROXIES = os.environ.get("HUBOPS_TEST_PROXIES", "managed").split()
#: For what a browser waits; a machine of two cores may have much else to do.
PATIENCE_MILLISECONDS = 120_000
expect.set_options(timeout=PATIENCE_MILLISECONDS)


@contextmanager
def hub_of(proxy: str, folder: Path) -> Iterator[Hub]:
    """A hub, whose pages can announce something, behind that kind of proxy."""
    place = folder / "environment"
    build(place, OLD)
    config = "c.Authenticator.allow_all = True\n"
    with ExitStack() as stack:
        if proxy == "external":
            port, api_port = free_ports(2)
            config += EXTERNAL.format(port=port, api_port=api_port)
            stack.enter_context(external_proxy(place, port, api_port))
        stopped = stack.enter_context(stopped_hub(OLD, folder, place=place, config=config))
        announcement_of(stopped).install()
        lifecycle.start(stopped, str(folder / "state"), OLD, 60)
        yield Hub(find_deployment(stopped.name), folder)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_page_says_what_happens_and_goes_on_by_itself(proxy: str, browser: Browser, tmp_path: Path) -> None:
    with hub_of(proxy, tmp_path) as hub:
        deployment = find_deployment(hub.name)
        announcement_of(deployment).show("An upgrade <soon>.")
        page = browser.new_page()
        log_in(page, deployment.config.public_url, "user1")
        expect(page.locator(".announcement")).to_have_text("An upgrade <soon>.")

        run_id = hub.arm(running_servers=running_servers.KEEP, expected_outage_seconds=300.0)
        upgrade = threading.Thread(target=hub.conduct, args=[run_id])
        upgrade.start()
        hub.wait_until(lambda run: run.taken("stop") is not None)
        page.reload()
        expect(page.get_by_role("status")).to_contain_text("JupyterHub is being upgraded")
        upgrade.join()
        assert (hub.now().phase, hub.version()) == (journal.VERIFIED, NEW)
        # Nobody does anything: the page loads the hub again once that is there.
        expect(page.locator(".announcement")).to_have_text(f"In progress: upgrade of JupyterHub to {NEW}.")
        rollback.accept(hub.folder, run_id)

        page.reload()
        expect(page.locator("#start")).to_be_visible()
        expect(page.locator(".announcement")).to_have_count(0)
        page.close()
        another = browser.new_page()
        log_in(another, deployment.config.public_url, "user2")
        another.close()


def log_in(page: Page, url: str, user: str) -> None:
    page.goto(f"{url}hub/login?next=%2Fhub%2Fhome", timeout=PATIENCE_MILLISECONDS)
    page.locator("#username_input").fill(user)
    page.locator("#password_input").fill("any")
    page.locator("#login_submit").click()
    expect(page.locator("#start")).to_be_visible()
