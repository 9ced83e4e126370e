"""A text on a page or in a ticket stays a text."""

from __future__ import annotations

import pytest
from ansible_collections.hubops.jupyterhub.plugins.module_utils.pages.blocks import Code, Facts, Items, Table
from ansible_collections.hubops.jupyterhub.plugins.module_utils.pages.markup import Html, element, plain
from markdown_it import MarkdownIt
from markdown_it.token import Token


def texts(tokens: list[Token]) -> list[str]:
    """What a reader of Markdown sees, and ``<kind>`` for whatever is more than that."""
    seen = []
    for token in tokens:
        if token.type == "inline":
            seen += texts(token.children or [])
        elif token.type in ("text", "text_special"):
            seen.append(token.content)
        elif token.type == "hardbreak":
            seen.append("\n")
        elif token.type not in ("paragraph_open", "paragraph_close"):
            seen.append(f"<{token.type}>")
    return seen


def test_texts_are_escaped_and_html_is_not() -> None:
    made = element("p", "a < b & 'c'", Html("<br>"), class_="x", aria_label='"><script>')
    assert made == ('<p class="x" aria-label="&quot;&gt;&lt;script&gt;">a &lt; b &amp; &#x27;c&#x27;<br></p>')


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[ada](javascript:alert(1)) ![x](http://example.org/x.png)",
        "# no heading",
        "- no item",
        "1. no item",
        "4.1.6 is a version",
        "2026-11-29",
        "***\n---\n===",
        "`code` and ~~strike~~ and *emphasis* and __more__",
        "a | b\n--- | ---\nc | d",
        "&lt;b&gt; \\*",
        "<https://example.org>",
        "> no quotation\n    no code",
    ],
)
def test_nothing_in_a_text_is_markdown(text: str) -> None:
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    seen = "".join(texts(markdown.parse(plain(text))))
    assert [line.strip() for line in seen.split("\n")] == [line.strip() for line in text.split("\n")]


def test_blocks_in_markdown_have_their_own_structure_alone() -> None:
    hostile = "```\n# <b> | x\n1. y"
    markdown = MarkdownIt("commonmark").enable("table")
    written = "\n\n".join(
        block.markdown()
        for block in (
            Code(hostile),
            Items((hostile, hostile), numbered=True),
            Facts(((hostile, hostile),)),
            Table((hostile, hostile), ((hostile, hostile), (hostile, hostile)), numbers=(1,)),
        )
    )
    kinds = [token.type for token in markdown.parse(written) if token.level == 0]
    assert kinds == [
        *("fence", "ordered_list_open", "ordered_list_close"),
        *("bullet_list_open", "bullet_list_close", "table_open", "table_close"),
    ]
    assert "<b>" not in MarkdownIt("commonmark").enable("table").render(written)
