"""Standard output, error and input, as what a program says and reads goes through them.

Python's own streams lose bytes: where they are not buffered (PYTHONUNBUFFERED) they drop what a
short write left, on a descriptor that does not block they write and read less than all, and
print() to a closed standard error goes to standard output. Here a write is whole or an error,
and what cannot be said on standard error never costs the answer.
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

# Characters of a message that are shown. A file can have megabytes in a field, and a message
# names its file, whose path can have 4,096.
_SHOWN = 8000
# As many characters of an answer are written at once.
_BATCH = 1 << 16


COLUMNS = 80
"""Of a terminal that does not say, and of prose that goes elsewhere."""


class OutputError(Exception):
    """Standard output cannot be written; the message is for the user."""


def answer(text: str | bytes) -> None:
    """Writes to standard output, all of it.

    Characters that its encoding lacks are escaped: a terminal or a log that cannot show one is
    no reason not to answer.

    Raises:
        BrokenPipeError: the reader has gone, as head does.
        OutputError: it is closed, or the write failed.
    """
    if sys.stdout is None:
        raise OutputError("standard output is closed; leave it open")
    try:
        _write(sys.stdout, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output: cannot be written: {error.strerror}") from None


def say(text: str, prose: bool = False) -> None:
    """Writes text for people to standard output; see answer().

    On a terminal, no line is wider than that, and the outcome that a line begins with is in
    color. Elsewhere lines are as they are, but prose has 80 columns.
    """
    width = terminal_width(sys.stdout) or (COLUMNS if prose else None)
    if width is not None:
        from kvmppc.layout import folded, painted

        text = folded(text, width, 0 if prose else 2)
        if wants_color(sys.stdout):
            text = painted(text)
    answer(text)


def terminal_width(stream: TextIO | None) -> int | None:
    """How many columns a terminal has; None for what is no terminal."""
    if stream is None or not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    except OSError:
        return COLUMNS


def answer_parts(parts: Iterable[str]) -> None:
    """Writes to standard output what is too much to be in memory at a time; see answer()."""
    for batch in batches(parts):
        answer(batch)


def batches(parts: Iterable[str]) -> Iterator[str]:
    """Puts parts of a text together to a few large ones, so that writing them takes few calls."""
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
    """Writes one line to standard error: "kvmppc: " and the text, which may come from anywhere.

    What a terminal would act on is made visible, and of a text too long to be read the middle
    is left out. Where standard error is closed or cannot be written, nothing is said.
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
    """Writes to standard error, or to a stream in its place, if that can be done."""
    if stream is not None:
        try:  # noqa: SIM105 - contextlib takes as long to load as asking
            _write(stream, text)
        except (OSError, ValueError):
            pass


def standard_input() -> IO[bytes]:
    """Standard input, to read bytes from; it waits for them also where the descriptor does not.

    Raises:
        OSError: it is closed (EBADF).
    """
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    descriptor = _descriptor(sys.stdin)
    return sys.stdin.buffer if descriptor is None else io.BufferedReader(_Input(descriptor))


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all bytes to a descriptor, and waits where it does not block. Raises OSError."""
    left = memoryview(data)
    while left:
        try:
            written = os.write(descriptor, left)
        except BlockingIOError:
            _wait(descriptor, writing=True)
            continue
        if written == 0:
            # Never of a file or a pipe; to try for ever what a device refuses helps nobody.
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left = left[written:]


class _Input(io.RawIOBase):
    """A descriptor to read from, which is not ours to close."""

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
    """Sleeps until a descriptor that does not block can go on."""
    # Not at the top: hardly anybody has such a descriptor.
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    poll.poll()


def _write(stream: TextIO, text: str | bytes) -> None:
    """Writes text or bytes past the buffer of a stream, after what is still in there."""
    if isinstance(text, bytes):
        data = text
    elif text.isascii():
        data = text.encode("ascii")  # whatever the environment says of encodings
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
    """The descriptor behind a stream, None for one in memory."""
    try:
        return stream.fileno()
    except OSError:
        return None
