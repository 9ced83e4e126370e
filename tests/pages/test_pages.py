"""Report and plan as people see them: in a browser, wide and narrow, light and dark, and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import plan_page
from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning.plan import Plan
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import fleet, fleet_page, report_page
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import from_dict, to_dict
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests import stories
from tests.hostile import ATTACK, hostile
from tests.pages import screenshots

#: The narrowest telephone, and a screen.
NARROW, WIDE = 360, 1280
ATTACKED_PLAN = from_dict(Plan, hostile(to_dict(stories.plan())))
DOCUMENTS = {
    "upgraded": report_page.document(stories.report_of(stories.upgraded())),
    "restored, attacked": report_page.document(hostile(stories.report_of(stories.restored()))),
    "fleet, attacked": fleet_page.document(
        fleet.reported(
            fleet.Fleet(tuple(fleet.Hub(f"hub{number}{ATTACK}", number, "6.1.1") for number in (1, 2))),
            f"hub1{ATTACK}",
            hostile(stories.report_of(stories.restored())),
        )
    ),
    "plan, attacked": plan_page.document({f"hub1{ATTACK}": ATTACKED_PLAN}, "2026-11-21 20:00 UTC", "ada"),
}


@pytest.fixture(params=DOCUMENTS)
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """One of the documents, from a file as after a download; nothing may be said in the console."""
    file = tmp_path / "page.html"
    file.write_text(DOCUMENTS[request.param].html(), encoding="utf-8")
    opened = browser.new_page()
    said: list[str] = []
    requested: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda made: requested.append(made.url))
    opened.goto(file.as_uri())
    yield opened
    assert said == []
    assert requested == [file.as_uri()]
    opened.close()


def test_nothing_is_cut_off_on_a_telephone_or_on_paper(page: Page) -> None:
    beyond = """width => [...document.querySelectorAll("body *")]
        .filter(each => !each.closest("svg") || each.tagName === "svg")
        .filter(each => each.getBoundingClientRect().right > width + 0.5)
        .map(each => `${each.tagName} ${each.textContent.slice(0, 40)}`)"""
    for width, media in ((NARROW, "screen"), (WIDE, "screen"), (NARROW, "print")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(media=media)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(beyond, width) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert {each["id"] for each in found.response["passes"]} >= {"color-contrast", "heading-order"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_of_the_timeline_stand_out_from_bars_and_ground(browser: Browser, scheme: str) -> None:
    """What is drawn is not known to axe: the contrast of WCAG 2, with all that a text may lie on."""
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_content(DOCUMENTS["upgraded"].html())
    contrasts = page.evaluate("""() => {
        const light = colour => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map(each => each / 255)
                .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const style = selector => getComputedStyle(document.querySelector(selector));
        const of = (selector, property) => light(style(selector)[property]);
        const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const grounds = [of("section", "backgroundColor"), of(".band", "fill")];
        const texts = [of("svg text:not(.name)", "fill"), of("svg .name", "fill")];
        return {
            text: Math.min(...texts.flatMap(text => grounds.map(ground => contrast(text, ground)))),
            bar: Math.min(...grounds.map(ground => contrast(of(".bar", "fill"), ground))),
        };
    }""")
    assert contrasts["text"] >= 4.5 and contrasts["bar"] >= 3
    page.close()


def test_an_attack_remains_a_text(page: Page) -> None:
    assert page.title() != "taken"
    assert page.evaluate("document.querySelectorAll('script, img, a').length") == 0


def test_a_page_forbids_itself_to_execute_what_it_should_not_have(browser: Browser) -> None:
    page = browser.new_page()
    invaded = DOCUMENTS["upgraded"].html().replace("<main>", "<main><script>document.title='taken'</script>")
    page.set_content(invaded)
    assert page.title().startswith("JupyterHub")
    page.close()


def test_the_documentation_has_a_picture_of_each_page_and_no_other(browser: Browser, tmp_path: Path) -> None:
    taken = {file.name for file in screenshots.take(browser, tmp_path)}
    assert taken == {file.name for file in screenshots.FOLDER.iterdir()}, "python -m tests.pages.screenshots"
    shown = "".join(page.read_text() for page in screenshots.FOLDER.parent.glob("*.md"))
    assert all(f"](images/{name})" in shown for name in taken)
