"""A line on a terminal that shows how far a long work has come."""

from __future__ import annotations

import time

from kvmppc.streams import COLUMNS, show, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_WAIT = 1.0
_PAUSE = 0.2
_BAR = 30
# To the begin of the line, and clear what is right of it.
_CLEAR = "\r\x1b[K"


class Progress:
    """Shows nothing before a second has passed, and nothing at all where there is no terminal.

    Args:
        stream: standard error, which is None where a process was started without.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._next = time.monotonic() + _WAIT
        self._shown = False

    def show(self, done: float | None, text: str) -> None:
        """Draws the line anew, at most five times a second.

        ``done`` is the part that is done, 0 to 1, or None where nobody knows it.
        """
        if self._stream is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PAUSE
        self._shown = True
        if done is not None:
            part = min(max(done, 0.0), 1.0)
            text = f"[{'#' * int(part * _BAR):<{_BAR}}] {part:4.0%}  {text}"
        # A line that wraps could not be drawn over.
        width = (terminal_width(self._stream) or COLUMNS) - 1
        show(self._stream, f"{_CLEAR}{text[:width]}")

    def clear(self) -> None:
        """Takes the line away, before anything else is written there."""
        if self._stream is not None and self._shown:
            self._shown = False
            show(self._stream, _CLEAR)
