"""Shows text that a person reads, whatever the callback: on the command line, in AWX and in a log."""

from __future__ import annotations

from collections.abc import Iterable

from ansible.utils.display import Display


def show(lines: Iterable[str], colour: str | None = None) -> None:
    """Display lines together: those of another host do not come between them."""
    text = "\n".join(lines)
    if text:
        Display().display(text, color=colour)
