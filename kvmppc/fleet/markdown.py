"""Markdown for tickets. Text from records goes into code spans: there nothing has a meaning."""

from __future__ import annotations

import re

from kvmppc.output import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def code(text: str) -> str:
    """A text as it is, in a paragraph or in a table: no markup, no link, nobody mentioned."""
    # A bar would end a table's cell, in code too, and how it is escaped depends on the reader.
    text = printable(text).replace("|", r"\x7c")
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    # The spaces are no part of the text, and keep a backtick at its end from the fence's own.
    return f"{fence} {text} {fence}" if "`" in text or not text.strip() else f"{fence}{text}{fence}"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, line by line; its cells are Markdown."""
    yield _row(heading)
    yield _row(["---"] * len(heading))
    yield from map(_row, rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
