"""Wraps text to the width of a terminal, with hanging indents, and colors outcomes.

Loaded only for output to a terminal, and for help.
"""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_GREEN, _YELLOW, _RED = 32, 33, 31
_COLORS = {
    **dict.fromkeys(("pass", "yes"), _GREEN),
    **dict.fromkeys(("warn", "unknown", "likely yes", "likely no"), _YELLOW),
    **dict.fromkeys(("fail", "no"), _RED),
}
# The outcome at the start of a line of doctor or check. For several domains, check prints the
# file's name before it.
_OUTCOME = re.compile(rf"^(.*?: )??({'|'.join(_COLORS)})(?=: |  )", re.MULTILINE)
_GAP = re.compile(r" {2,}")
_WORD = re.compile(r" *[^ ]+")


def painted(text: str) -> str:
    """Colors the outcome at the start of each line green, yellow or red."""
    return _OUTCOME.sub(
        lambda found: f"{found[1] or ''}\x1b[{_COLORS[found[2]]}m{found[2]}\x1b[0m", text
    )


def folded(text: str, width: int, indent: int = 2) -> str:
    """Wraps text to lines of at most ``width`` terminal columns.

    A line with columns of text (separated by two or more spaces) continues under the last one
    that starts in the first half of the width. Other lines continue after ``indent`` spaces.
    """
    return "\n".join(_folded_line(line, width, indent) for line in text.split("\n"))


def unfolded(text: str) -> str:
    """Joins the lines of each paragraph and each item of a text in a source file.

    A line that is indented by more than an item's two spaces continues the line before.
    """
    lines: list[str] = []
    for line in text.rstrip("\n").split("\n"):
        plain = bool(line) and line[0] != " "
        if lines and (line.startswith("   ") or (plain and lines[-1] and lines[-1][0] != " ")):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
    return "\n".join(lines)


def _folded_line(line: str, width: int, indent: int) -> str:
    if _columns(line) <= width:
        return line
    columns = [gap.end() for gap in _GAP.finditer(line) if gap.end() <= width // 2]
    before = " " * (columns[-1] if columns else min(indent, width // 2))
    lines, current, used = [], "", 0
    for word in _WORD.findall(line):
        needed = _columns(word)
        if current.strip() and used + needed > width:
            lines.append(current)
            word = word.lstrip(" ")
            current, used, needed = before, len(before), _columns(word)
        while used + needed > width:
            part = _start(word, width - used)
            lines.append(current + part)
            word = word[len(part) :]
            current, used, needed = before, len(before), _columns(word)
        current += word
        used += needed
    return "\n".join([*lines, current])


def _start(word: str, width: int) -> str:
    """The part of a word that fits in the width; at least one character."""
    end = 1
    while end < len(word) and _columns(word[: end + 1]) <= width:
        end += 1
    return word[:end]


def _columns(text: str) -> int:
    """The width of a text in terminal columns."""
    text = _ESCAPE.sub("", text)
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(c) in "WF"
        else 1
        for c in text
    )
