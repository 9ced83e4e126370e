"""The report as files: the JSON, a page for people, Markdown for a ticket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import journal
from .report_page import document

NAME = "report"


def contents(report: dict[str, Any]) -> dict[str, str]:
    """What each file has, by its suffix; the JSON first, which a disk that becomes full has at least."""
    page = document(report)
    return {
        ".json": json.dumps(report, indent=2) + "\n",
        ".html": page.html(),
        ".md": page.markdown(),
    }


def write(folder: Path, report: dict[str, Any]) -> Path:
    """Keep a run's report beside its record; the path of the JSON."""
    kept = [
        journal.keep(folder, report["run"], NAME + suffix, content.encode())
        for suffix, content in contents(report).items()
    ]
    return kept[0]
