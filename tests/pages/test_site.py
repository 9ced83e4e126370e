"""The documentation site in a browser: one version of several."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tools.docs.__main__ import render
from tools.docs.versions import publish

#: Pages by version, in the order in which they were published.
VERSIONS = {"0.10.0": ("index", "stage"), "0.9.0": ("index",), "0.10.0-rc1": ("index", "stage")}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server of the site with all versions."""
    site = tmp_path / "site"
    for version, pages in VERSIONS.items():
        source = tmp_path / version / "source"
        source.mkdir(parents=True)
        for page in pages:
            (source / f"{page}.md").write_text(f"# {page} of {version}\n")
        contents = "\n".join(page for page in pages if page != "index")
        (source / "index.md").write_text(f"# index of {version}\n\n```{{toctree}}\n{contents}\n```\n")
        publish(render(source, tmp_path / version / "html", version), version, site)
    assert json.loads((site / "versions.json").read_text()) == ["0.10.0", "0.10.0-rc1", "0.9.0"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_another_version_is_chosen_on_any_page(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    page.wait_for_url(f"{address}/0.10.0/index.html")
    choice = page.get_by_label("Version")
    expect(choice).to_have_value("0.10.0")
    page.goto(f"{address}/0.10.0/stage.html")
    # The same page of the other version, where it has one, and else its first.
    choice.select_option("0.10.0-rc1")
    page.wait_for_url(f"{address}/0.10.0-rc1/stage.html")
    choice.select_option("0.9.0")
    page.wait_for_url(f"{address}/0.9.0/index.html")
    expect(page.get_by_role("heading", level=1)).to_contain_text("index of 0.9.0")
    page.close()
