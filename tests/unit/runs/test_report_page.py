"""The report as a page and as a ticket."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import NOTHING
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import journal, report, report_files
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.journal import Phase
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs.report_page import document
from markdown_it import MarkdownIt

from tests import stories
from tests.hostile import ATTACK, hostile


class Page(HTMLParser):
    """What is in a page: elements with their attributes, and the text of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(told: dict[str, Any]) -> Page:
    return Page(document(told).html())


def test_a_page_tells_all_that_a_reader_asks_for() -> None:
    text = " ".join(page_of(stories.report_of(stories.upgraded())).text.split())
    for told in (
        "JupyterHub 4.1.6 \N{RIGHTWARDS ARROW} 6.1.1, upgraded",
        "4.5 soutage, 4.2 s expected",
        "2026-11-21 22:00:00 UTC",
        "ada on laptop",
        "The hub is away after 59 s, for 4.5 s.",
        "jupyterhub.service has KillMode=control-group.",
        "passed: 1 + 1 is 2, single-user 6.1.1",
        "JupyterHub.extra_handlers is deprecated.",
        "roles56",
        "shares\N{EN DASH}0",
        "f460b0348206",
        "CVE-2026-33175, CVE-2026-33709",
        "oauthenticator16.2.117.4.0",
        "pycurl7.45.3removed",
        stories.POINT,
        "ansible-playbook hubops.jupyterhub.rollback -i inventory.yml "
        "-e jupyterhub_recovery_point=20261121T220101Z-4.1.6-6.1.1 -e jupyterhub_accept_loss=true",
    ):
        assert told in text, told


def test_a_restored_hub_is_told_as_that() -> None:
    text = page_of(stories.report_of(stories.restored())).text
    assert "JupyterHub 4.1.6 serves again as before." in text
    assert "The end of its log:\n[C 2026-11-21 22:01:02.000 JupyterHub app:1] No." in text
    assert "packages would change" in text and "would be closed" in text
    assert "To go back" not in text


@pytest.mark.parametrize("run", [stories.upgraded(), stories.restored()], ids=["upgraded", "restored"])
def test_nothing_that_others_have_written_is_markup(run: journal.Run) -> None:
    plain = page_of(stories.report_of(run))
    attacked = page_of(hostile(stories.report_of(run)))
    # The attack is text, and nothing but text.
    assert [tag for tag, _ in attacked.elements] == [tag for tag, _ in plain.elements]
    assert not {tag for tag, _ in attacked.elements} & {"script", "img", "link", "iframe"}
    assert attacked.text.count(ATTACK) > 60
    written = document(hostile(stories.report_of(run))).markdown()
    rendered = MarkdownIt("commonmark").enable("table").render(written)
    assert not re.search(r"<(script|img|/style)", rendered)


def test_a_password_of_the_command_line_is_not_handed_round() -> None:
    run = replace(
        stories.upgraded(), command="ansible-playbook x -e password=s3cret -e url=pg://hub:s3cret@db/hub"
    )
    told = stories.report_of(run)
    assert "s3cret" not in json.dumps(told) and "-e password=***" in told["command"]


def test_a_page_needs_nothing_but_itself() -> None:
    page = page_of(stories.report_of(stories.upgraded()))
    loading = {"src", "href", "srcset", "action", "style"}
    assert not {name for _, attributes in page.elements for name in attributes} & loading
    assert "url(" not in document(stories.report_of(stories.upgraded())).html()


def test_a_clock_that_was_set_back_draws_nothing_over_what_was_before() -> None:
    run = stories.upgraded()
    back = [replace(each, began=each.began - 3600) if each.began else each for each in run.phases[-2:]]
    told = stories.report_of(replace(run, phases=[*run.phases[:-2], *back]))
    assert "first backup 4 s" in document(told).html()
    assert "The hub is away after 59 s, for 4.5 s." in document(told).html()


@pytest.mark.parametrize(
    ("story", "title"),
    [
        (
            report.Story(None, None, [Phase("find", 1.0, "failed")], {"task": "Find", "reason": "No."}),
            "failed",
        ),
        (
            report.Story(
                stories.upgraded().deployment,
                replace(stories.plan(), action=NOTHING, environments=()),
                [],
                {},
            ),
            "unchanged",
        ),
        (report.Story(stories.upgraded().deployment, stories.plan(), [], {}, check=True), "checked"),
        (
            report.of_run(replace(stories.upgraded(), phase=journal.PREPARING, outcome={}, phases=[])),
            "under way",
        ),
    ],
)
def test_what_has_hardly_begun_has_its_page_as_well(story: report.Story, title: str) -> None:
    assert title in Page(document(report.compose(story)).html()).text


def test_json_page_and_ticket_are_kept_beside_the_record(tmp_path: Path) -> None:
    told = stories.report_of(stories.upgraded())
    path = report_files.write(tmp_path, told)
    assert path == tmp_path / "runs" / stories.upgraded().id / "report.json"
    assert json.loads(path.read_text()) == told
    assert path.with_suffix(".html").read_text().startswith("<!doctype html>")
    assert path.with_suffix(".md").read_text().startswith("# jupyterhub.service on ")
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
