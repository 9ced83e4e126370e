"""What Compose says of the containers that it has made, in their labels, and its files of their images."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

PROJECT = "com.docker.compose.project"
FILES = f"{PROJECT}.config_files"
FOLDER = f"{PROJECT}.working_dir"
SERVICE = "com.docker.compose.service"
_IMAGE = re.compile(r"""^\s*(?:-\s*)?image:\s*["']?([^"'#\s]+)""")


def started_by(labels: Mapping[str, str]) -> str:
    """Who has made a container, as far as its labels say: Compose's project and file, or `docker run`."""
    if PROJECT not in labels:
        return "docker run"
    return f"docker compose, project {labels[PROJECT]} of {labels.get(FILES, 'unknown files')}"


def where_defined(labels: Mapping[str, str], image: str, name: str) -> str:
    """Where Compose reads the image of a container, as a sentence; '' where it has not made it."""
    if PROJECT not in labels:
        return ""
    service = labels.get(SERVICE, name)
    files = [os.path.join(labels.get(FOLDER, "/"), file) for file in labels.get(FILES, "").split(",") if file]
    lines = [found for file in files for found in _lines(file, image)]
    if lines:
        return f"Compose's service {service} has the image {image} of {', '.join(lines)}."
    if files:
        # A variable, or `build`.
        return f"Compose's service {service} is defined in {', '.join(files)}; its image is {image}."
    return f"Compose's service {service} of the project {labels[PROJECT]} has the image {image}."


def _lines(file: str, image: str) -> list[str]:
    """``file:number`` of each line that names the image; none of a file that cannot be read."""
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = ((number, _IMAGE.match(line)) for number, line in enumerate(text.splitlines(), 1))
    return [f"{file}:{number}" for number, match in found if match and match[1] == image]
