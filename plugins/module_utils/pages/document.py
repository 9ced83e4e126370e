"""A document: one HTML page that needs nothing beside it, and the same as Markdown."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from .blocks import Block
from .markup import Html, element, in_one_line, joined, plain
from .style import STYLE


@dataclass(frozen=True)
class Section:
    """A heading with what belongs to it."""

    title: str
    blocks: tuple[Block, ...]

    def html(self) -> Html:
        return element("section", element("h2", self.title), joined(*(each.html() for each in self.blocks)))

    def markdown(self) -> str:
        return "\n\n".join([f"## {in_one_line(self.title)}", *(each.markdown() for each in self.blocks)])


@dataclass(frozen=True)
class Document:
    """What it is about, its verdict and whether that is good, and its sections; empty ones are left out."""

    subject: str
    title: str
    verdict: str
    tone: str
    sections: tuple[Section, ...]
    made: str
    """By what and when it was made."""

    @property
    def _shown(self) -> list[Section]:
        return [each for each in self.sections if each.blocks]

    def html(self) -> str:
        """The whole page. It loads nothing and executes nothing, and forbids itself to."""
        digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'"
        head = element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"{self.title}: {self.subject}"),
            element("style", Html(STYLE)),
        )
        header = element(
            "header",
            element("p", self.subject, class_="subject"),
            element("h1", self.title),
            element("p", self.verdict, class_="verdict"),
            class_=self.tone,
        )
        main = element("main", joined(*(each.html() for each in self._shown)))
        footer = element("footer", element("p", self.made))
        page = element("html", head, element("body", header, main, footer), lang="en")
        return f"<!doctype html>\n{page}\n"

    def markdown(self) -> str:
        """The same for a ticket."""
        title = f"# {in_one_line(f'{self.subject}: {self.title}')}"
        parts = [title, plain(self.verdict), *(each.markdown() for each in self._shown), plain(self.made)]
        return "\n\n".join(parts) + "\n"
