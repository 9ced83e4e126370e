"""What a page is made of. Each block is HTML on a page and Markdown in a ticket."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from .markup import Html, element, fenced, in_one_line, joined, plain

#: How a reader should feel about something.
GOOD, WARN, BAD, CALM = "good", "warn", "bad", "calm"

#: With more a table is a list of its rows where the screen is narrow.
_MOST_COLUMNS = 3


class Block(ABC):
    """A part of a section."""

    @abstractmethod
    def html(self) -> Html:
        """It on a page."""

    @abstractmethod
    def markdown(self) -> str:
        """It in a ticket."""


@dataclass(frozen=True)
class Text(Block):
    """A paragraph."""

    text: str

    def html(self) -> Html:
        return element("p", self.text)

    def markdown(self) -> str:
        return plain(self.text)


@dataclass(frozen=True)
class Code(Block):
    """What is typed into a shell, or was written into a log."""

    text: str

    def html(self) -> Html:
        return element("pre", element("code", self.text))

    def markdown(self) -> str:
        return fenced(self.text)


@dataclass(frozen=True)
class Items(Block):
    """A list."""

    items: tuple[str, ...]
    numbered: bool = False

    def html(self) -> Html:
        return element("ol" if self.numbered else "ul", joined(*(element("li", each) for each in self.items)))

    def markdown(self) -> str:
        marks = (f"{number}." if self.numbered else "-" for number in range(1, len(self.items) + 1))
        return "\n".join(f"{mark} {in_one_line(each)}" for mark, each in zip(marks, self.items))


@dataclass(frozen=True)
class Facts(Block):
    """Terms, each with what is known of it."""

    rows: tuple[tuple[str, str], ...]

    def html(self) -> Html:
        pairs = (element("div", element("dt", term), element("dd", text)) for term, text in self.rows if text)
        return element("dl", joined(*pairs), class_="facts")

    def markdown(self) -> str:
        return "\n".join(f"- **{plain(term)}:** {in_one_line(text)}" for term, text in self.rows if text)


@dataclass(frozen=True)
class Figures(Block):
    """The few numbers that matter, each with its meaning."""

    figures: tuple[tuple[str, str], ...]

    def html(self) -> Html:
        tiles = (element("div", element("dd", figure), element("dt", text)) for figure, text in self.figures)
        return element("dl", joined(*tiles), class_="figures")

    def markdown(self) -> str:
        return Facts(tuple((text, figure) for figure, text in self.figures)).markdown()


@dataclass(frozen=True)
class Table(Block):
    """Rows of cells; the first column names the row, and ``numbers`` has the columns that are aligned so."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()

    def html(self) -> Html:
        head = element("tr", joined(*(self._cell("th", *each, scope="col") for each in enumerate(self.head))))
        body = element("tbody", joined(*(self._row(row) for row in self.rows)))
        stacked = {"class_": "stacked"} if len(self.head) > _MOST_COLUMNS else {}
        return element("table", element("thead", head), body, **stacked)

    def _row(self, row: tuple[str, ...]) -> Html:
        named = self._cell("th", 0, row[0], scope="row")
        cells = (
            self._cell("td", column, text, data_label=self.head[column])
            for column, text in enumerate(row[1:], 1)
        )
        return element("tr", named, *cells)

    def _cell(self, name: str, column: int, text: str, **attributes: str) -> Html:
        number = {"class_": "number"} if column in self.numbers else {}
        return element(name, text, **number, **attributes)

    def markdown(self) -> str:
        rule = tuple("---:" if column in self.numbers else "---" for column in range(len(self.head)))
        cells = [self.head, *self.rows]
        lines = [" | ".join(in_one_line(text) for text in row) for row in cells]
        lines.insert(1, " | ".join(rule))
        return "\n".join(f"| {line} |" for line in lines)


@dataclass(frozen=True)
class Notice(Block):
    """Something to know or to do: how urgent, what, why, and the remedy."""

    tone: str
    label: str
    title: str
    text: str = ""
    remedy: str = ""

    def html(self) -> Html:
        more = [element("p", self.text)] if self.text else []
        more += [element("p", element("strong", "To do: "), self.remedy)] if self.remedy else []
        label = element("span", self.label, class_="label")
        return element(
            "div", element("p", label, element("strong", self.title)), *more, class_=f"notice {self.tone}"
        )

    def markdown(self) -> str:
        remedy = f"  \n  **To do:** {in_one_line(self.remedy)}" if self.remedy else ""
        text = f"  \n  {in_one_line(self.text)}" if self.text else ""
        return f"- **{plain(self.label)}:** {in_one_line(self.title)}{text}{remedy}"
