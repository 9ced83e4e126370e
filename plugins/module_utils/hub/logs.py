"""The messages of a hub's log about its start, without its secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LEVEL = re.compile(r"^\[(?P<level>[CEW]) \d{4}-\d\d-\d\d [\d:.]+ [^\]]*\] ?(?P<message>.*)")
SECRET = re.compile(
    r"(?i)([\w-]*(?:token|secret|password|passwd|crypt_key|api_key|_xsrf)[\w-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+"
)
#: The hub takes this for critical, and an upgrade asks for it, by its manager or by its API.
ASKED_TO_STOP = ("Received signal SIGTERM, initiating shutdown", "Initiating shutdown")
EXCEPTION = re.compile(r"[\w.]*(Error|Exception|Exit|Interrupt)\b: ")
CREDENTIALS = re.compile(r"(\w://[^\s:/@]*):[^\s/]*@")
AUTHORIZATION = re.compile(r"(?i)(authorization[\"']?\s*[=:]\s*[\"']?)(\w+\s+)?[^\s\"']+")


class Findings(NamedTuple):
    """Lines that an administrator should read, each once, in the order of the log."""

    errors: list[str]
    """Lines of level E or C, and the last line of each traceback."""
    deprecated: list[str]
    unrecognized: list[str]
    """Options of the config that the hub does not know. An unknown one restricts no access."""
    access: list[str]
    """The hub's warning that its config allows no user."""


def sort_out(lines: Sequence[str]) -> Findings:
    """Pick what matters out of a hub's log (the formats of JupyterHub, traitlets and Python's warnings)."""
    found = Findings([], [], [], [])
    traceback: int | None = None
    for line in map(scrub, lines):
        # The hub indents a traceback that belongs to a line of its log.
        indent = len(line) - len(line.lstrip())
        if line.lstrip().startswith("Traceback (most recent call last)"):
            traceback = indent
            continue
        if traceback is not None:
            if line.strip() and indent <= traceback:
                traceback = None
                _add(found.errors, line.strip())
            continue
        match = LEVEL.match(line)
        message = match["message"] if match else line
        if "not recognized by" in message and "onfig option" in message:
            _add(found.unrecognized, message)
        elif "No allow config found" in message:
            _add(found.access, message)
        elif "DeprecationWarning" in message or re.search(r"(?i)\bdeprecated\b", message):
            _add(found.deprecated, message)
        elif match and match["level"] in "CE" and not message.startswith(ASKED_TO_STOP):
            _add(found.errors, message)
    return found


def starts(lines: Sequence[str]) -> int:
    """How many times a hub was started."""
    return sum("Running JupyterHub version" in line for line in lines)


def stops(lines: Sequence[str]) -> int:
    """How many times a hub was asked to stop."""
    return sum("initiating shutdown" in line.lower() for line in lines)


def scrub(line: str) -> str:
    """Return a line without colours, and with ``***`` for tokens, passwords and other secrets in it."""
    line = AUTHORIZATION.sub(r"\1\2***", COLOUR.sub("", line))
    return CREDENTIALS.sub(r"\1:***@", SECRET.sub(r"\1***", line))


def reason(output: str) -> str:
    """Return the line of a failed program's output that says why: its last exception, or its last line."""
    lines = [scrub(line.strip()) for line in output.splitlines() if line.strip()]
    exceptions = [line for line in lines if EXCEPTION.match(line)]
    return (exceptions or lines or [""])[-1]


def end(lines: Sequence[str], count: int = 25) -> str:
    """Return the last lines of a log, as part of an error's message."""
    shown = [scrub(line) for line in lines[-count:]]
    return "The end of its log:\n" + "\n".join(shown) if shown else "Its log is empty."


def _add(lines: list[str], line: str) -> None:
    if line and line not in lines:
        lines.append(line)
