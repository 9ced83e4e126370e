"""Files on the controller: the data, a page for people, Markdown for a ticket."""

from __future__ import annotations

from pathlib import Path

JSON = ".json"


def files(file: str, contents: dict[str, str]) -> dict[Path, str]:
    """What each file has, of ``contents`` by suffix: the JSON is ``file``, the others lie beside it."""
    path = Path(file).expanduser()
    base = path.with_suffix("") if path.suffix == JSON else path
    return {
        path if suffix == JSON else base.with_name(base.name + suffix): content
        for suffix, content in contents.items()
    }
