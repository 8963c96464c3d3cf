"""What a host's answer looks like in JSON: the record itself, and what Ansible puts around it."""

from __future__ import annotations

import marshal

from kvmppc.fleet.hosts import Answer
from kvmppc.record import RecordError
from kvmppc.report import HostReport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# As many different answers, and times, are remembered: some MB.
_ANSWERS = 4096
_TIMES = 1 << 16


class Records:
    """Reads records. One that differs from an earlier one in hostname and time alone costs less:
    checking the fields takes more time than all the rest, and a fleet has few different ones.
    """

    def __init__(self) -> None:
        self._answers: dict[bytes, Answer] = {}
        self._times: set[str] = set()

    def read(self, record: Mapping[str, object]) -> tuple[str, Answer]:
        """Hostname and answer of a record. Raises RecordError where it is none."""
        name, time = record.get("hostname"), record.get("time")
        try:
            # Equal bytes are equal values; version 2 writes no references.
            rest = marshal.dumps({**record, "hostname": None, "time": None}, 2)
        except ValueError:
            raise RecordError("nested too deeply to be a record") from None
        answer = self._answers.get(rest)
        if answer and isinstance(name, str) and isinstance(time, str) and time in self._times:
            return name, answer
        report = HostReport.from_dict(record)
        if answer is None:
            answer = Answer.of(report)
        self._remember(rest, answer, report.time)
        return report.hostname, answer

    def _remember(self, rest: bytes, answer: Answer, time: str) -> None:
        if len(self._answers) == _ANSWERS:
            self._answers.clear()
        if len(self._times) == _TIMES:
            self._times.clear()
        self._answers[rest] = answer
        self._times.add(time)
