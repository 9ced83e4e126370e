"""The charts of all versions, made from one template: folders, archives, and the index of a repository."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from .images import images_of
from .values import default_values, schema
from .versions import VERSIONS, Version

FOLDER = Path(__file__).parent


def write_charts(target: Path, helm: Path) -> dict[str, Path]:
    """Write the archive of each version into a folder, with an index; give the archives by version."""
    target.mkdir(parents=True, exist_ok=True)
    for version in VERSIONS.values():
        write_chart(version, target / version.chart / "jupyterhub")
        packaged: list[str | Path] = [
            helm,
            "package",
            target / version.chart / "jupyterhub",
            "--destination",
            target,
        ]
        subprocess.run(packaged, check=True, capture_output=True)
    subprocess.run([helm, "repo", "index", target], check=True, capture_output=True)
    return {chart: target / f"jupyterhub-{chart}.tgz" for chart in VERSIONS}


def write_chart(version: Version, folder: Path) -> None:
    """Write the folder of a chart, as it is before it is packaged."""
    shutil.copytree(FOLDER / "chart", folder, dirs_exist_ok=True)
    images = images_of(version)
    values = default_values(version, images.hub, images.person, images.proxy)
    about = {
        "apiVersion": "v2",
        "name": "jupyterhub",
        "version": version.chart,
        "appVersion": version.hub,
        "kubeVersion": version.kubernetes,
        "description": "A stand-in of Zero to JupyterHub's chart, for tests",
    }
    # YAML takes JSON.
    for name, content in {
        "Chart.yaml": about,
        "values.yaml": values,
        "values.schema.json": schema(version, values),
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
