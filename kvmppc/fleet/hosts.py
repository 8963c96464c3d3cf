"""Many hosts: the modes that all of them grant, and which hosts do not grant the newer ones.

    >>> with Fleet() as fleet:
    ...     for report in reports:
    ...         fleet.add(report.hostname, Answer.of(report))
    ...     print(fleet.newest, list(fleet.blockers(CpuMode("power11"))))

A host without an answer counts neither as granting a mode nor as not granting it.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter

from kvmppc.processors import MODES, CpuMode
from kvmppc.report import HostReport
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from types import TracebackType

_TABLES = """
    PRAGMA journal_mode = OFF;
    CREATE TABLE answers (id INTEGER PRIMARY KEY, same TEXT UNIQUE, status TEXT, modes TEXT,
                          reason BLOB, record TEXT);
    CREATE TABLE hosts (name BLOB, place BLOB, answer INTEGER);
    CREATE TABLE expected (name BLOB PRIMARY KEY) WITHOUT ROWID;
    BEGIN;
"""
# CROSS JOIN keeps SQLite from changing the order: hosts come in the order they were added.
_EVERY = "FROM hosts CROSS JOIN answers ON answers.id = hosts.answer"
# For a host without an answer this is NULL, neither true nor false.
_GRANTED = "instr(' ' || modes || ' ', ' ' || ? || ' ')"
# Hosts that are written to the database at a time.
_BATCH = 4096
# Answers that are found without the database, at most; a fleet has about a dozen.
_REMEMBERED = 4096


class FleetError(Exception):
    """The temporary database of the fleet failed, or there is none; the message is for the user."""


class Answer(Value):
    """A host's answer, without its name. Immutable; hosts with equal answers can share one.

    Attributes:
        status: that of the record; without a record "missing" (there is none), "unreachable",
            "failed" (the query failed) or "unreadable" (the data is not a valid record).
        modes: the modes that the host grants, oldest first; None for any status other than
            "known".
        reason: the reason for the status, a sentence.
        report: the whole record, or None. Its hostname and time are those of one of the hosts
            with this answer.
    """

    __slots__ = ("modes", "reason", "report", "same", "status")

    status: str
    modes: tuple[CpuMode, ...] | None
    reason: str
    report: HostReport | None
    # Equal for equal answers: all of the record except hostname and time.
    same: str

    def __init__(self, status: str, reason: str, report: HostReport | None = None) -> None:
        record: dict[str, object]
        record = {"status": status, "reason": reason} if report is None else report.to_dict()
        record["hostname"] = record["time"] = None
        fill(
            self,
            status=status,
            modes=report.modes if report is not None and status == "known" else None,
            reason=reason,
            report=report,
            same=json.dumps(record),
        )

    @classmethod
    def of(cls, report: HostReport) -> Answer:
        """The answer in a record."""
        return cls(report.status, f"{report.status}: {report.reason}", report)

    def __eq__(self, other: object) -> bool:
        return self.same == other.same if isinstance(other, Answer) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.same)

    @property
    def simulated(self) -> bool:
        """Whether the answer comes from a simulated host."""
        return self.report is not None and self.report.simulated is not None


class Host(Value):
    """A host of a fleet: its name, its answer, and where that was read ("hosts.jsonl:7")."""

    __slots__ = ("answer", "name", "place")

    name: str
    answer: Answer
    place: str

    def __init__(self, name: str, answer: Answer, place: str) -> None:
        fill(self, name=name, answer=answer, place=place)


class Group(Value):
    """Hosts of a fleet that grant the same modes, or have no answer and the same status.

    Attributes:
        status: that of their answers.
        modes: the modes that they grant, oldest first; None if they have no answer.
        hosts: the number of these hosts.
    """

    __slots__ = ("hosts", "modes", "status")

    status: str
    modes: tuple[CpuMode, ...] | None
    hosts: int

    def __init__(self, status: str, modes: tuple[CpuMode, ...] | None, hosts: int) -> None:
        fill(self, status=status, modes=modes, hosts=hosts)


class Fleet:
    """Counts hosts. Every record counts as a host, even if names are equal.

    Memory use is constant: the hosts are in a temporary SQLite database, which close() or the
    end of a ``with`` block removes. Iteration yields all hosts, in the order they were added.

    Synchronization: use a fleet only in the thread that created it.

    Attributes:
        hosts: the number of hosts.
        known: the number of hosts with an answer.
        simulated: the number of simulated hosts.
        expecting: whether expect() was called.

    Raises:
        FleetError: this Python has no SQLite. At the end of the ``with`` block: the database
            failed (a full disk).
    """

    def __init__(self) -> None:
        try:
            # Not at the top: distributions may leave it out, or package it on its own.
            import sqlite3
        except ImportError as error:
            raise FleetError(
                f"this Python has no SQLite ({error}); install its module sqlite3, which some "
                "distributions package on its own, or use another Python"
            ) from None
        self.hosts: int = 0
        self.known: int = 0
        self.simulated: int = 0
        # The number of hosts by status and modes: a few hundred different ones at most.
        self._counts: Counter[tuple[str, tuple[CpuMode, ...] | None]] = Counter()
        self._numbers: dict[str, int] = {}
        self._added: list[tuple[bytes, bytes, int]] = []
        self.expecting: bool = False
        self._failure: type[Exception] = sqlite3.Error
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)

    def add(self, name: str, answer: Answer, place: str = "") -> None:
        """Adds a host; ``place`` is where its answer was read ("hosts.jsonl:7")."""
        self.hosts += 1
        self.known += answer.modes is not None
        self.simulated += answer.simulated
        self._counts[answer.status, answer.modes] += 1
        number = self._numbers.get(answer.same) or self._number(answer)
        self._added.append((_blob(name), _blob(place), number))
        if len(self._added) == _BATCH:
            self._write()

    def _number(self, answer: Answer) -> int:
        """The id of the answer's row; a new answer gets a new row."""
        record = None if answer.report is None else answer.report.to_json()
        modes = None if answer.modes is None else " ".join(answer.modes)
        row = (answer.same, answer.status, modes, _blob(answer.reason), record)
        self._database.execute(
            "INSERT OR IGNORE INTO answers (same, status, modes, reason, record) "
            "VALUES (?, ?, ?, ?, ?)",
            row,
        )
        [(number,)] = self._select("SELECT id FROM answers WHERE same = ?", answer.same)
        if len(self._numbers) == _REMEMBERED:
            self._numbers.clear()
        self._numbers[answer.same] = number
        return int(number)

    def _write(self) -> None:
        self._database.executemany("INSERT INTO hosts VALUES (?, ?, ?)", self._added)
        self._added.clear()

    def _select(self, query: str, *values: object) -> sqlite3.Cursor:
        self._write()
        return self._database.execute(query, values)

    def _names(self, query: str, *values: object) -> Iterator[str]:
        return (_text(name) for (name,) in self._select(query, *values))

    def __iter__(self) -> Iterator[Host]:
        answers: dict[int, Answer] = {}
        for name, place, number in self._select("SELECT name, place, answer FROM hosts"):
            if number not in answers:
                if len(answers) == _REMEMBERED:
                    answers.clear()
                answers[number] = self._answer(number)
            yield Host(_text(name), answers[number], _text(place))

    def _answer(self, number: int) -> Answer:
        query = "SELECT status, reason, record FROM answers WHERE id = ?"
        [(status, reason, record)] = self._select(query, number)
        report = None if record is None else HostReport.from_json(record)
        return Answer(status, _text(reason), report)

    def reasons(self) -> Iterator[tuple[str, int, Iterator[str]]]:
        """Yields the reasons for no answer, sorted; of each the number of hosts and their names.

        The names are valid until the next reason. Each host may have a reason of its own: one
        pass over all hosts, and not one for each reason.
        """
        silent = f"{_EVERY} WHERE modes IS NULL"
        names = self._names(f"SELECT name {silent} ORDER BY reason, hosts.rowid")
        for reason, hosts in self._select(
            f"SELECT reason, count(*) {silent} GROUP BY reason ORDER BY reason"
        ):
            members = itertools.islice(names, hosts)
            yield _text(reason), hosts, members
            for _ in members:
                pass

    def groups(self) -> list[Group]:
        """The groups of hosts: those that grant the least first, those without an answer last."""
        groups = [Group(status, modes, n) for (status, modes), n in self._counts.items()]
        return sorted(groups, key=lambda g: (g.modes is None, g.modes or (), g.status))

    def members(self, group: Group) -> Iterator[tuple[str, str]]:
        """The names and reasons of the hosts in a group."""
        modes = None if group.modes is None else " ".join(group.modes)
        query = f"SELECT name, reason {_EVERY} WHERE status = ? AND modes IS ?"
        rows = self._select(query, group.status, modes)
        return ((_text(name), _text(reason)) for name, reason in rows)

    @property
    def modes(self) -> tuple[CpuMode, ...]:
        """The modes that all hosts with an answer grant, oldest first; () if there is no answer."""
        return tuple(mode for mode in MODES if self.known and self.granting(mode) == self.known)

    @property
    def newest(self) -> CpuMode | None:
        """The newest mode that all hosts with an answer grant, or None."""
        return self.modes[-1] if self.modes else None

    @property
    def named(self) -> tuple[CpuMode, ...]:
        """The modes to show, oldest first: all that have a bit, and others that a host grants."""
        return tuple(mode for mode in MODES if mode.bit or self.granting(mode))

    @property
    def newer(self) -> tuple[CpuMode, ...]:
        """The modes in ``named`` that are newer than ``newest``; all of them if that is None."""
        newest = self.newest
        return tuple(mode for mode in self.named if newest is None or mode > newest)

    def granting(self, mode: CpuMode) -> int:
        """The number of hosts that grant a mode."""
        return sum(n for (_, modes), n in self._counts.items() if modes and mode in modes)

    def among(self, mode: CpuMode) -> Iterator[str]:
        """The names of the hosts that grant a mode. A guest in this mode can move between them."""
        return self._names(f"SELECT name {_EVERY} WHERE {_GRANTED}", mode)

    def blockers(self, mode: CpuMode) -> Iterator[str]:
        """The names of the hosts with an answer that do not grant a mode."""
        return self._names(f"SELECT name {_EVERY} WHERE NOT {_GRANTED}", mode)

    def unknown(self) -> Iterator[tuple[str, str]]:
        """The names of the hosts without an answer, and the reasons."""
        rows = self._select(f"SELECT name, reason {_EVERY} WHERE modes IS NULL")
        return ((_text(name), _text(reason)) for name, reason in rows)

    def expect(self, names: Iterable[str]) -> None:
        """Compares the hosts with the names of those that should be there. Call it last.

        A name without a host is added as a host without an answer, with the status "missing".
        """
        self.expecting = True
        self._database.executemany(
            "INSERT OR IGNORE INTO expected VALUES (?)", ((_blob(name),) for name in names)
        )
        missing = Answer("missing", "the host is expected, but there is no record of it")
        query = "SELECT name FROM expected WHERE name NOT IN (SELECT name FROM hosts)"
        for name in self._select(query).fetchall():
            self.add(_text(name[0]), missing)

    def missing(self) -> Iterator[str]:
        """The names in expect() for which there is no host."""
        return self._names(f"SELECT name {_EVERY} WHERE status = 'missing'")

    def unexpected(self) -> Iterator[str]:
        """The names of the hosts that are not in expect()."""
        return self._names(
            "SELECT name FROM hosts WHERE name NOT IN (SELECT name FROM expected) "
            "GROUP BY name ORDER BY min(rowid)"
        )

    def repeated(self, limit: int) -> tuple[int, list[tuple[str, list[str]]]]:
        """The number of names that several hosts have; at most ``limit`` of them, with places."""
        [(count,)] = self._select(
            "SELECT count(*) FROM (SELECT 1 FROM hosts GROUP BY name HAVING count(*) > 1)"
        )
        names = self._select(
            "SELECT name FROM hosts GROUP BY name HAVING count(*) > 1 ORDER BY min(rowid) LIMIT ?",
            limit,
        ).fetchall()
        places = "SELECT place FROM hosts WHERE name = ? LIMIT ?"
        return count, [(_text(name), list(self._names(places, name, limit))) for (name,) in names]

    def close(self) -> None:
        """Removes the database. The counts stay valid."""
        self._database.close()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, self._failure):
            raise FleetError(
                f"the temporary database failed: {error}; "
                "set SQLITE_TMPDIR to a directory with free space"
            ) from None


def _blob(text: str) -> bytes:
    """A text for the database. JSON allows characters that UTF-8 does not: lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
