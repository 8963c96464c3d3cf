"""Records that need not be parsed, since one with the same text was."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.fleet.hosts import Answer
    from kvmppc.report import HostReport

_DAY = len("2026-07-01")
_MINUTE = len("2026-07-01T12:00:")
_MINUTES = frozenset(b"T%02d:%02d:" % (n // 60, n % 60) for n in range(24 * 60))
_SECONDS = frozenset(b"%02dZ" % n for n in range(60))


class SeenRecords:
    """Lines that were read in full, by their text without hostname and time.

    A fleet's records are few texts many times over. A line that is one of these but for
    hostname and time is as valid as the first, and says the same: it need not be parsed,
    which takes more time than all the rest. It is found only if nothing can be doubtful,
    and is read in full otherwise.
    """

    # 8 MB at most; a fleet that needs more is read correctly, and slower.
    _LINES = 4096
    _LENGTH = 2048
    _DAYS = 4096

    def __init__(self) -> None:
        self._answers: dict[bytes, Answer] = {}
        self._days: set[bytes] = set()

    def find(self, line: bytes) -> tuple[str, Answer] | None:
        """Hostname and answer of a line, None where it has to be read."""
        rest, name, time = _cut(line)
        answer = self._answers.get(rest)
        if (
            answer is None
            or time[:_DAY] not in self._days
            or time[_DAY:_MINUTE] not in _MINUTES
            or time[_MINUTE:] not in _SECONDS
        ):
            return None
        hostname = name.decode("utf-8", "backslashreplace")
        if "\\" in hostname or not hostname.isprintable():
            return None
        return hostname, answer

    def remember(self, line: bytes, report: HostReport, answer: Answer) -> None:
        """Keeps a line that was read as a record."""
        rest, name, time = _cut(line)
        if (
            len(line) > self._LENGTH
            or b"\n" in line.rstrip()
            or name != report.hostname.encode("utf-8", "replace")
            or time != report.time.encode()
            # Said twice, or in another spelling, the name might not be what was cut out.
            or rest.count(b'"hostname"') != 1
            or b"\\" in rest
        ):
            return
        if len(self._answers) == self._LINES:
            self._answers.clear()
        if len(self._days) == self._DAYS:
            self._days.clear()
        self._answers[rest] = answer
        self._days.add(time[:_DAY])


def _cut(line: bytes) -> tuple[bytes, bytes, bytes]:
    """A line without hostname and time, the hostname, the time; anything if it has none."""
    start = line.find(b'"', line.find(b'"hostname"') + 10) + 1
    end = line.find(b'"', start)
    begin = line.find(b'"', line.find(b'"time"', end) + 6) + 1
    stop = line.find(b'"', begin)
    # No line has a newline but at its end: two texts are the same only if all parts are.
    return (
        b"\n".join((line[:start], line[end:begin], line[stop:])),
        line[start:end],
        line[begin:stop],
    )
