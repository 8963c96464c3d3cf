"""Writes to standard output and standard error, and reads standard input, without losing bytes.

Python's own streams lose bytes: unbuffered (PYTHONUNBUFFERED) they drop the rest of a short write,
on a non-blocking descriptor they write and read only a part, and print() to a closed standard
error goes to standard output. Here a write is complete or an error, and a failure to write to
standard error never loses the answer.
"""

from __future__ import annotations

import errno
import io
import os
import sys

from kvmppc.output import printable, wants_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, TextIO

# The longest message in characters. A value from a file may have megabytes, and the path of the
# file, which the message names, up to 4,096 (PATH_MAX in <linux/limits.h>).
_SHOWN = 8000
# Characters of an answer that are written at once.
_BATCH = 1 << 16


COLUMNS = 80
"""The width of a terminal that does not report one, and of prose elsewhere."""


class OutputError(Exception):
    """Standard output cannot be written. The message is for the user."""


def answer(text: str | bytes) -> None:
    """Writes all of a text to standard output.

    Escapes the characters that the encoding of standard output does not have.

    Raises:
        BrokenPipeError: the reader has closed the pipe, as head does.
        OutputError: standard output is closed, or the write failed.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed; open it, or redirect it to a file")
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from None


def say(text: str, prose: bool = False) -> None:
    """Writes text for people to standard output; see answer().

    On a terminal, lines are wrapped to its width, and the outcome at the start of a line is
    colored. Elsewhere only prose is wrapped, to 80 columns.
    """
    width = terminal_width(sys.stdout) or (COLUMNS if prose else None)
    if width is not None:
        from kvmppc.layout import folded, painted

        text = folded(text, width, 0 if prose else 2)
        if wants_color(sys.stdout):
            text = painted(text)
    answer(text)


def terminal_width(stream: TextIO | None) -> int | None:
    """The width of a terminal in columns; None if the stream is not a terminal."""
    if stream is None or not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    except OSError:
        return COLUMNS


def answer_parts(parts: Iterable[str]) -> None:
    """Writes a text in parts, if it is too large for memory; see answer()."""
    for batch in batches(parts):
        answer(batch)


def batches(parts: Iterable[str]) -> Iterator[str]:
    """Joins the parts of a text into a few large ones, to save system calls."""
    batch: list[str] = []
    size = 0
    for part in parts:
        batch.append(part)
        size += len(part)
        if size >= _BATCH:
            yield "".join(batch)
            batch.clear()
            size = 0
    yield "".join(batch)


def tell(text: str) -> None:
    """Writes one line to standard error: "kvmppc: " and the text.

    The text need not be trusted: control characters are escaped, and the middle of a very long
    text is left out. Does nothing if standard error is closed or cannot be written.
    """
    half = _SHOWN // 2
    if len(text) > _SHOWN:
        text = f"{text[:half]} [...] {text[-half:]}"
    line = f"kvmppc: {printable(text)}"
    width = terminal_width(sys.stderr)
    if width is not None:
        from kvmppc.layout import folded

        line = folded(line, width, len("kvmppc: "))
    show(sys.stderr, line + "\n")


def show(stream: TextIO | None, text: str) -> None:
    """Writes to standard error or another stream, and ignores errors."""
    if stream is not None:
        try:  # noqa: SIM105 - contextlib takes as long to load as asking
            _write(stream, text)
        except (OSError, ValueError):
            pass


def standard_input() -> IO[bytes]:
    """Standard input as a stream of bytes. Reading waits even if the descriptor is non-blocking.

    Raises:
        OSError: standard input is closed (EBADF).
    """
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    descriptor = _descriptor(sys.stdin)
    return sys.stdin.buffer if descriptor is None else io.BufferedReader(_Input(descriptor))


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all bytes to a descriptor, also to a non-blocking one. Raises OSError."""
    left = memoryview(data)
    while left:
        try:
            written = os.write(descriptor, left)
        except BlockingIOError:
            _wait(descriptor, writing=True)
            continue
        if written == 0:
            # No file or pipe returns 0. A device may, and would do so forever.
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left = left[written:]


class _Input(io.RawIOBase):
    """Reads from a descriptor, and never closes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while True:
            try:
                return os.readv(self._descriptor, [buffer])
            except BlockingIOError:  # noqa: PERF203
                _wait(self._descriptor, writing=False)


def _wait(descriptor: int, writing: bool) -> None:
    """Waits until a non-blocking descriptor is ready."""
    # Not at the top: non-blocking descriptors are rare.
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    poll.poll()


def _write(stream: TextIO, text: str | bytes) -> None:
    """Flushes a stream, and writes text or bytes directly to its descriptor."""
    if isinstance(text, bytes):
        data = text
    elif text.isascii():
        data = text.encode("ascii")  # the same in every encoding of the environment
    else:
        data = text.encode(stream.encoding or "utf-8", "backslashreplace")
    descriptor = _descriptor(stream)
    if descriptor is not None:
        stream.flush()
        write_all(descriptor, data)
    elif isinstance(stream, io.TextIOWrapper):
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()
    else:
        stream.write(data.decode(stream.encoding or "utf-8"))


def _descriptor(stream: TextIO) -> int | None:
    """The descriptor of a stream, None for a stream in memory."""
    try:
        return stream.fileno()
    except OSError:
        return None
