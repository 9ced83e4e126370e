"""HTML and Markdown in which a text stays a text: whatever is not markup by its type is escaped."""

from __future__ import annotations

import html
import re
from typing import Union

#: Elements without an end.
_VOID = ("meta",)
#: What begins markup somewhere in a line of Markdown.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|&~])")
#: What begins a block at the start of a line: a heading, a list, a rule.
_LEADING = re.compile(r"^(\s*(?:\d+(?=[.)](?:\s|$)))?)([#+=.)-])", re.MULTILINE)


class Html(str):
    """A text that is HTML already; any other is escaped where it becomes part of a page."""

    __slots__ = ()


Child = Union[str, Html]


def element(tag: str, /, *children: Child, **attributes: str) -> Html:
    """An element; of ``attributes`` ``class_`` is ``class``, and ``aria_label`` is ``aria-label``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{joined(*children)}</{tag}>")


def joined(*children: Child) -> Html:
    """One piece of HTML of several, texts escaped."""
    return Html("".join(child if isinstance(child, Html) else html.escape(child) for child in children))


def plain(text: str) -> str:
    """A text as Markdown shows it: nothing in it is markup, and lines are kept."""
    escaped = _SPECIAL.sub(r"\\\1", text.strip())
    return _LEADING.sub(r"\1\\\2", escaped).replace("\n", "  \n")


def in_one_line(text: str) -> str:
    """The same, for a cell of a table or an item of a list."""
    return plain(" ".join(text.split()))


def fenced(text: str) -> str:
    """A text as a block of code, whatever it contains."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
