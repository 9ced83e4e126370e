"""The documentation sites of several versions beside each other, each page with a choice of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

NEWEST = """<!doctype html>
<meta charset="utf-8">
<title>hubops.jupyterhub</title>
<meta http-equiv="refresh" content="0; url={version}/index.html">
<a href="{version}/index.html">hubops.jupyterhub {version}</a>
"""


def publish(html: Path, version: str, site: Path) -> Path:
    """Put the site of a version into the folder of all of them; return its own folder.

    ``versions.json`` lists them, the newest first, and ``index.html`` leads to that one.
    """
    place = site / version
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(html, place)
    versions = sorted((found.parent.name for found in site.glob("*/index.html")), key=_order, reverse=True)
    (site / "versions.json").write_text(json.dumps(versions) + "\n")
    (site / "index.html").write_text(NEWEST.format(version=versions[0]))
    return place


def _order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Releases by their numbers, and a release after its pre-releases."""
    number, _dash, before = version.partition("-")
    return tuple(map(int, re.findall(r"\d+", number))), not before, before
