"""Option files of MySQL's and MariaDB's clients: what they say, and how a value is written in one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import HubError

_ESCAPED = {b"\\": b"\\\\", b'"': b'\\"', b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b"\b": b"\\b"}
_MEANT = {"b": "\b", "n": "\n", "r": "\r", "s": " ", "t": "\t", '"': '"', "'": "'", "\\": "\\"}


def content(options: Mapping[str, bytes]) -> bytes:
    """The file with these options for all clients, each with any value; a switch has an empty one."""
    lines = [
        name.encode() + (b'="' + _escaped(value) + b'"' if value else b"") for name, value in options.items()
    ]
    return b"\n".join([b"[client]", *lines, b""])


def read(file: Path, groups: Iterable[str]) -> dict[str, str]:
    """The options of some groups of a file, names with underscores; later ones count.

    Files that it includes are not read. Raises HubError when it cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise HubError(
            f"The option file {file} of the hub's database cannot be read: {error.strerror}.",
            "Correct read_default_file in the hub's config, or the permissions of the file.",
        ) from error
    wanted, group = set(groups), ""
    found = {}
    for line in map(str.strip, lines):
        header = re.match(r"\[([^\]]*)\]", line)
        if header:
            group = header[1].strip()
        elif line and line[0] not in "#;!" and group in wanted:
            name, _equals, value = line.partition("=")
            found[name.strip().replace("-", "_")] = _value(value.strip())
    return found


def _escaped(value: bytes) -> bytes:
    return re.sub(rb'[\\"\n\r\t\b]', lambda found: _ESCAPED[found[0]], value)


def _value(written: str) -> str:
    """What is meant: a comment may follow after a blank, quotes enclose, and a backslash escapes."""
    quote = written[:1] if written[:1] in ("'", '"') else ""
    if quote:
        match = re.match(rf"{quote}((?:\\.|[^\\{quote}])*){quote}\s*(?:#.*)?$", written)
        written = match[1] if match else written
    else:
        written = re.sub(r"\s+#.*", "", written)
    return re.sub(r"\\(.)", lambda found: _MEANT.get(found[1], found[0]), written)
