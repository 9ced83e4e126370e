"""The documentation's pictures, taken of pages as they are today: ``python -m tests.pages.screenshots``."""

from __future__ import annotations

import shutil
from pathlib import Path

from ansible_collections.hubops.jupyterhub.plugins.module_utils.planning import plan_page
from ansible_collections.hubops.jupyterhub.plugins.module_utils.runs import fleet, fleet_page, report_page
from playwright.sync_api import Browser, sync_playwright

from tests import REPOSITORY, stories

FOLDER = REPOSITORY / "docs/images"
SIZE = {"width": 1024, "height": 720}
HOST = "hub.example.org"
DOCUMENTS = {
    "plan": plan_page.document({HOST: stories.plan()}, "2026-11-21 20:00 UTC", "ada"),
    "report": report_page.document({**stories.report_of(stories.upgraded()), "host": HOST}),
    "fleet": fleet_page.document(
        fleet.reported(
            fleet.Fleet(
                tuple(fleet.Hub(f"hub{number}.example.org", number, "6.1.1") for number in (1, 2, 3))
            ),
            "hub1.example.org",
            stories.report_of(stories.upgraded()),
        )
    ),
}


def take(browser: Browser, folder: Path) -> list[Path]:
    """Take a picture of the beginning of each page; return their files."""
    folder.mkdir(exist_ok=True)
    page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
    taken = []
    for name, document in DOCUMENTS.items():
        page.set_content(document.html())
        taken.append(folder / f"{name}.png")
        page.screenshot(path=taken[-1])
    page.close()
    return taken


def main() -> None:
    """Take those of the documentation."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for file in take(launched, FOLDER):
            print(file.relative_to(REPOSITORY), file.stat().st_size)
        launched.close()


if __name__ == "__main__":
    main()
