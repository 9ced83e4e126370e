"""The documentation site is not built with a link that leads nowhere; `make docs` builds all of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.docs.__main__ import render

INDEX = "# Site\n\n```{toctree}\nother\n```\n\n"
OTHER = "# Other\n\n## A part of it\n"


def rendered(folder: Path, link: str) -> str:
    source = folder / "source"
    source.mkdir()
    (source / "index.md").write_text(INDEX + link + "\n")
    (source / "other.md").write_text(OTHER)
    return (render(source, folder / "html", "0.1.0") / "index.html").read_text()


def test_a_link_leads_to_a_page_and_to_a_part_of_it(tmp_path: Path) -> None:
    page = rendered(tmp_path, "[a](other.md) and [b](other.md#a-part-of-it)")
    assert 'href="other.html"' in page and 'href="other.html#a-part-of-it"' in page


def test_what_leads_nowhere_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        rendered(tmp_path, "[a](nowhere.md), [b](other.md#no-such-part), [c](#no-part-of-mine)")
    said = capfd.readouterr().err
    assert all(each in said for each in ("nowhere.md", "no-such-part", "no-part-of-mine"))
