"""JSON objects in text, however they are put together.

A line each, indented, joined without a newline, in arrays, after a name: all of these are objects
with something between them. What is no object, or was cut off, hides none that comes after it.
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
"""As many characters a line, or an object, may have. It is held in memory as a whole."""

_ENDLESS = 4 * LIMIT
"""As many characters of a line are passed over: what goes on is a device, say."""

_DECODER = json.JSONDecoder()
# What an object begins with; Python's own way to print one ("{'name': ...") is no JSON.
_BEGIN = re.compile(r'\{(?=\s*(?:["}]|$))')
# A bracket or a separator, a string (the group is empty where it does not end), or another value.
_TOKEN = re.compile(r'[{}\[\],:]|"[^"\\\n]*(?:\\.[^"\\\n]*)*("?)|[^\s{}\[\],:"]+')
# Begins a line that is not JSON, whatever was before: 'lpar1: {', 'lpar1 | SUCCESS => {'.
_NAMED = re.compile(r'[^\s"{}\[\],:]+(?:: ?| \| [^{"]*)\{')
# What a token can come after, by what it is in and what it is; "^" is the object's begin. Only so
# much of JSON's grammar as shows early where an object was cut off and another follows.
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
_NOTHING = " \t\r\n,[]}\ufeff"


class Document:
    """A JSON object in a text, or a line without one.

    Attributes:
        line: the number of the line in which it begins, from 1.
        before: the text before it in that line, or the whole line where there is no object.
        text: the object as it is written; "" where there is none.
        value: the object; None where there is none, or where ``error`` says what is wrong.
        error: "" where all is right.
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
    """The objects of a text, and the lines between them that are not empty, in their order."""
    scanner = _Scanner()
    for number, line in _lines(file):
        if line[0] == "{" and not scanner.open:
            # Most are an object by themselves.
            try:
                value = _DECODER.decode(line)
            except (ValueError, RecursionError):
                pass
            else:
                yield Document(number, "", line, value)
                continue
        yield from scanner.feed(number, line)
    yield from scanner.broken("it is cut off")


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """A file's lines and their numbers. Of one that is too long, no more than its begin.

    Raises OSError for one that does not seem to end.
    """
    number = 0
    while line := file.readline(LIMIT):
        number += 1
        yield number, line
        read = len(line)
        while len(line) == LIMIT and line[-1] != "\n":
            line = file.readline(LIMIT)
            read += len(line)
            if read > _ENDLESS:
                raise OSError(errno.EFBIG, f"line {number} does not end in {_ENDLESS >> 20} MiB")


class _Scanner:
    """Finds where objects begin and end, by their brackets and separators."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._parts: list[str] = []
        self._length = 0
        self._first = 0
        self._before = ""
        # What the last token was: a bracket or separator, "s" for a string, "x" for another value.
        self._last = "^"

    @property
    def open(self) -> bool:
        """Whether an object has begun and not ended."""
        return bool(self._stack)

    def feed(self, number: int, line: str) -> Iterator[Document]:
        """Takes a line. Yields what ends with it."""
        if self._stack and _NAMED.match(line):
            yield from self.broken(f"it is cut off before line {number}")
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
                yield from self.broken(
                    f"it is cut off, or not JSON (line {number}, column {end + 1})"
                )
                # In what was taken for a string, another object may have begun.
                begin = _BEGIN.search(line, wrong)
                if begin is None:
                    return
                position = begin.start()
            elif not self._stack:
                yield self._ended()
        if self._length >= LIMIT:
            yield from self.broken(f"longer than {LIMIT >> 20} MiB")

    def _begin(self, number: int, before: str) -> None:
        self._parts.clear()
        self._length = 0
        self._first = number
        self._before = before
        self._last = "^"

    def _scan(self, line: str, position: int) -> tuple[int, int | None]:
        """Goes on until the object ends. Returns where that is, or the line's end.

        Where the text cannot be JSON, it returns where that shows, and from where on to look for
        another object.
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
            # A number of thousands of digits, or brackets in brackets without end.
            error = "JSON beyond what Python reads"
        return Document(self._first, self._before, text, value, error)

    def broken(self, error: str) -> Iterator[Document]:
        """Gives up on an object that has begun, if one has, and looks for others in its lines."""
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
