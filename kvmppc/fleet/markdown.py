"""Markdown for tickets. Text from records goes into code spans, where it is not interpreted."""

from __future__ import annotations

import re

from kvmppc.output import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def code(text: str) -> str:
    """A text as a code span, in a paragraph or a table: no markup, no link, no mention."""
    # A bar would end the cell of a table, even in code. How to escape it differs by renderer.
    text = printable(text).replace("|", r"\x7c")
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    # Renderers drop the spaces. They separate a backtick of the text from those of the fence.
    return f"{fence} {text} {fence}" if "`" in text or not text.strip() else f"{fence}{text}{fence}"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yields a table, line by line. The cells are Markdown."""
    yield _row(heading)
    yield _row(["---"] * len(heading))
    yield from map(_row, rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
