"""A line on a terminal that shows the progress of a long task."""

from __future__ import annotations

import time

from kvmppc.streams import COLUMNS, show, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_WAIT = 1.0
_PAUSE = 0.2
_BAR = 30
# Go to the start of the line and clear it.
_CLEAR = "\r\x1b[K"


class Progress:
    """Shows nothing in the first second, and nothing at all if there is no terminal.

    Args:
        stream: standard error, which is None if the process was started with it closed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._next = time.monotonic() + _WAIT
        self._shown = False

    def show(self, done: float | None, text: str) -> None:
        """Redraws the line, at most five times a second.

        ``done`` is the fraction that is done, 0 to 1, or None if it is not known.
        """
        if self._stream is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PAUSE
        self._shown = True
        if done is not None:
            part = min(max(done, 0.0), 1.0)
            text = f"[{'#' * int(part * _BAR):<{_BAR}}] {part:4.0%}  {text}"
        # A line that wraps could not be redrawn.
        width = (terminal_width(self._stream) or COLUMNS) - 1
        show(self._stream, f"{_CLEAR}{text[:width]}")

    def clear(self) -> None:
        """Removes the line, before anything else is written to the terminal."""
        if self._stream is not None and self._shown:
            self._shown = False
            show(self._stream, _CLEAR)
