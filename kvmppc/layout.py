"""How text for people fits a terminal: no line wider than it, what goes on is indented.

Loaded where there is a terminal, or help to print.
"""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_GREEN, _YELLOW, _RED = 32, 33, 31
_COLORS = {
    **dict.fromkeys(("pass", "yes"), _GREEN),
    **dict.fromkeys(("warn", "cannot tell", "likely yes", "likely no"), _YELLOW),
    **dict.fromkeys(("fail", "no"), _RED),
}
# What a line begins with that says how it went, as doctor and check print it; check of many
# domains has a file's name before it.
_OUTCOME = re.compile(rf"^(.*?: )??({'|'.join(_COLORS)})(?=: |  )", re.MULTILINE)
_GAP = re.compile(r" {2,}")
_WORD = re.compile(r" *[^ ]+")


def painted(text: str) -> str:
    """Text with the outcome that a line begins with in color: green, yellow or red."""
    return _OUTCOME.sub(
        lambda found: f"{found[1] or ''}\x1b[{_COLORS[found[2]]}m{found[2]}\x1b[0m", text
    )


def folded(text: str, width: int, indent: int = 2) -> str:
    """Text with lines of at most ``width`` columns.

    What goes on is under the last column of the line that begins in its first half (columns
    have two spaces or more between them), else it is indented by ``indent``.
    """
    return "\n".join(_folded_line(line, width, indent) for line in text.split("\n"))


def unfolded(text: str) -> str:
    """Text as it is written in a source, with each paragraph and each item as one line.

    Lines that begin deeper than an item's two spaces go on with the line before.
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
    """As much of a word as has room, and not nothing."""
    end = 1
    while end < len(word) and _columns(word[: end + 1]) <= width:
        end += 1
    return word[:end]


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
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
