"""JSON objects in text, in any layout.

One per line, indented, joined without a newline, in arrays, after a name: all of these are objects
with other text between them. Other text, or a truncated object, does not hide the next object.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

LIMIT = 64 << 20
"""Characters that a line or an object may have at most. It is held in memory as a whole."""

_ENDLESS = 4 * LIMIT
"""Characters of a line that are skipped at most. A longer line does not end: a device, say."""

_DECODER = json.JSONDecoder()
# The beginning of an object. Python's notation of a dict ("{'name': ...") is not JSON.
_BEGIN = re.compile(r'\{(?=\s*(?:["}]|$))')
# A bracket or a separator, a string (without its end, the group is empty), or another value.
_TOKEN = re.compile(r'[{}\[\],:]|"[^"\\\n]*(?:\\.[^"\\\n]*)*("?)|[^\s{}\[\],:"]+')
# The beginning of a line that is never inside JSON: 'lpar1: {', 'lpar1 | SUCCESS => {'.
_NAMED = re.compile(r'[^\s"{}\[\],:]+(?:: ?| \| [^{"]*)\{')
# The tokens that can precede a token, by what it is inside of and what it is; "^" is the beginning
# of the object. Just enough of JSON's grammar to notice early that an object was truncated.
_AFTER = {
    "{": "^",
    "{s": "{,:",
    "{x": ":",
    "{{": ":",
    "{[": ":",
    "{}": "{sx}]",
    "{,": "sx}]",
    "{:": "s",
    "[s": "[,",
    "[x": "[,",
    "[{": "[,",
    "[[": "[,",
    "[]": "[sx}]",
    "[,": "sx}]",
}
_KINDS = {'"': "s", **{mark: mark for mark in "{}[],:"}}
# Colors, which Ansible, clush and jq print even to a file if they are told to.
_COLOR = re.compile("\x1b\\[[0-9;]*[mK]")
_NOTHING = " \t\r\n,[]}\ufeff"


class Document:
    """A JSON object in a text, or a line without one.

    Attributes:
        line: the number of the line in which it begins, from 1.
        before: the text before it in that line, or the whole line if there is no object.
        text: the source of the object; "" if there is none.
        value: the object; None if there is none, or if there is an ``error``.
        error: what is wrong with the object; "" for nothing.
    """

    __slots__ = ("before", "error", "line", "text", "value")

    def __init__(
        self,
        line: int,
        before: str,
        text: str = "",
        value: dict[str, object] | None = None,
        error: str = "",
    ) -> None:
        self.line: int = line
        self.before: str = before
        self.text: str = text
        self.value: dict[str, object] | None = value
        self.error: str = error


def documents(file: TextIO) -> Iterator[Document]:
    """Yields the objects of a text, and the lines between them that are not empty, in order.

    Raises:
        OSError: the file cannot be read, or has a line that does not end.
    """
    scanner = _Scanner()
    for number, line in _lines(file):
        if line[:1] == "{" and not scanner.open:
            # Most lines are one object.
            try:
                value = _DECODER.decode(line)
            except (ValueError, RecursionError):
                pass
            else:
                yield Document(number, "", line, value)
                continue
        yield from scanner.feed(number, line)
    yield from scanner.broken("truncated JSON object")


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Yields the lines of a file with their numbers; of a line that is too long, the beginning.

    Raises OSError for a line that does not seem to end.
    """
    number = 0
    while line := file.readline(LIMIT):
        number += 1
        yield number, _COLOR.sub("", line) if "\x1b" in line else line
        read = len(line)
        while len(line) == LIMIT and line[-1] != "\n":
            line = file.readline(LIMIT)
            read += len(line)
            if read > _ENDLESS:
                raise OSError(errno.EFBIG, f"line {number} is longer than {_ENDLESS >> 20} MiB")


class _Scanner:
    """Finds where objects begin and end, by brackets and separators."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._parts: list[str] = []
        self._length = 0
        self._first = 0
        self._before = ""
        # The last token: a bracket or separator, "s" for a string, "x" for another value.
        self._last = "^"

    @property
    def open(self) -> bool:
        """Whether an object has begun and not yet ended."""
        return bool(self._stack)

    def feed(self, number: int, line: str) -> Iterator[Document]:
        """Takes the next line, and yields what ends in it."""
        if self._stack and _NAMED.match(line):
            yield from self.broken(f"truncated JSON object (before line {number})")
        position = 0
        while position < len(line):
            if not self._stack:
                begin = _BEGIN.search(line, position)
                before = line[position : begin.start() if begin else None].strip(_NOTHING)
                if begin is None:
                    if before:
                        yield Document(number, line[position:].strip())
                    return
                self._begin(number, before)
                position = begin.start()
            end, wrong = self._scan(line, position)
            self._parts.append(line[position:end])
            self._length += end - position
            position = end
            if wrong is not None:
                yield from self.broken(f"truncated, or not JSON (line {number}, column {end + 1})")
                # Another object may have begun inside what looked like a string.
                begin = _BEGIN.search(line, wrong)
                if begin is None:
                    return
                position = begin.start()
            elif not self._stack:
                yield self._ended()
        if self._length >= LIMIT:
            yield from self.broken(f"JSON object longer than {LIMIT >> 20} MiB")

    def _begin(self, number: int, before: str) -> None:
        self._parts.clear()
        self._length = 0
        self._first = number
        self._before = before
        self._last = "^"

    def _scan(self, line: str, position: int) -> tuple[int, int | None]:
        """Scans to the end of the object. Returns that position, or the end of the line.

        If the text cannot be JSON, it returns the position of the error, and the position from
        which to look for another object.
        """
        stack, last, before = self._stack, self._last, position
        for match in _TOKEN.finditer(line, position):
            kind = _KINDS.get(match[0][0], "x")
            inside = stack[-1] if stack else ""
            if match[1] == "" or last not in _AFTER.get(inside + kind, ""):
                start = match.start()
                return start, before + (line[before] == "{" and before < start)
            if kind in "{[":
                stack.append(kind)
            elif kind in "}]":
                stack.pop()
                if not stack:
                    return match.end(), None
            last, before = kind, match.start()
        self._last = last
        return len(line), None

    def _ended(self) -> Document:
        text = "".join(self._parts)
        value, error = None, ""
        try:
            value = _DECODER.decode(text)
        except json.JSONDecodeError as found:
            where = f"line {self._first + found.lineno - 1}, {found.msg}"
            error = f"not JSON ({where})"
        except (ValueError, RecursionError):
            # A number of thousands of digits, or endlessly nested brackets.
            error = "JSON that Python cannot read (too long a number, or nested too deeply)"
        return Document(self._first, self._before, text, value, error)

    def broken(self, error: str) -> Iterator[Document]:
        """Gives up an object that has begun, if any, and looks for others in its lines."""
        if not self._stack:
            return
        self._stack.clear()
        own, others = [], []
        for number, line in enumerate(self._parts, self._first):
            if number > self._first and line.startswith("{"):
                with contextlib.suppress(ValueError, RecursionError):
                    value = _DECODER.decode(line.rstrip(", \r\n"))
                    others.append(Document(number, "", line, value))
                    continue
            own.append(line)
        yield Document(self._first, self._before, "".join(own), None, error)
        yield from others
