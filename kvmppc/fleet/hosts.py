"""Many hosts: the modes that all of them grant, and which hosts stand in the way of newer ones.

    >>> with Fleet() as fleet:
    ...     for report in reports:
    ...         fleet.add(report.hostname, Answer(report))
    ...     print(fleet.newest, list(fleet.blockers(CpuMode("power11"))))

A host that cannot tell is never counted as one that grants, nor as one that does not.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from itertools import chain

from kvmppc.processors import GRANTABLE, CpuMode, modes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import IO

    from kvmppc.report import HostReport

# As many texts of a list are held in memory: a few hundred KB.
_HELD = 4096
# As many names are compared with each other at a time, at 8 bytes each.
_COMPARED = 1 << 20


class Answer:
    """What a host's record says to a fleet, without the host's name.

    Attributes:
        grants: the bits of the modes that it grants (CpuMode.bit) in one number; None where
            the host cannot tell, which is every status but "known".
        status: the record's.
        reason: the record's status and reason: "denied: open /dev/kvm: ...".
        simulated: whether the host is a simulated one.
    """

    __slots__ = ("grants", "reason", "simulated", "status")

    def __init__(self, report: HostReport) -> None:
        mask, others = report.compat_capabilities, report.unknown_bits
        self.grants = None if mask is None or others is None else mask & ~others
        self.status: str = report.status
        self.reason = f"{report.status}: {report.reason}"
        self.simulated = report.simulated is not None


class Group:
    """The hosts of a fleet that gave one answer.

    Attributes:
        status: "known", or why they cannot tell.
        modes: what they grant, oldest first; None where they cannot tell.
        hosts: how many they are.
    """

    __slots__ = ("_members", "hosts", "modes", "status")

    def __init__(
        self,
        status: str,
        modes: tuple[CpuMode, ...] | None,
        hosts: int,
        members: Iterator[tuple[str, str]],
    ) -> None:
        self.status = status
        self.modes = modes
        self.hosts = hosts
        self._members = members

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """The hosts, once: hostname and reason, which is "" for those that are known."""
        return self._members


class Fleet:
    """Counts hosts, one after the other. Every record is a host, also where names are the same.

    Memory stays flat: hostnames are only kept to be told at the end, and go to temporary
    files without a name as soon as they are more than a few thousand. close(), or the
    end of a ``with`` block, gives the files back.

    Attributes:
        hosts: how many there are.
        known: how many of them could tell.
        simulated: how many of them are simulated ones.
    """

    def __init__(self) -> None:
        self.hosts = 0
        self.known = 0
        self.simulated = 0
        self._known: dict[int, _Spool] = {}
        self._unknown = _Spool()
        self._reasons = _Spool()
        self._statuses: dict[str, int] = {}

    def add(self, hostname: str, answer: Answer) -> None:
        """Counts one host. Raises OSError where the temporary files have no room left."""
        self.hosts += 1
        self.simulated += answer.simulated
        if answer.grants is None:
            self._statuses[answer.status] = self._statuses.get(answer.status, 0) + 1
            self._unknown.append(hostname)
            self._reasons.append(answer.reason)
            return
        self.known += 1
        names = self._known.get(answer.grants)
        if names is None:
            names = self._known[answer.grants] = _Spool()
        names.append(hostname)

    @property
    def modes(self) -> tuple[CpuMode, ...]:
        """The modes that all known hosts grant, oldest first; none where no host is known."""
        common = -1 if self._known else 0
        for grants in self._known:
            common &= grants
        return modes_of(common)

    @property
    def newest(self) -> CpuMode | None:
        """The newest mode that all known hosts grant, or None."""
        return self.modes[-1] if self.modes else None

    @property
    def newer(self) -> tuple[CpuMode, ...]:
        """The modes that are newer than the newest common one; all where there is none."""
        newest = self.newest
        return tuple(mode for mode in GRANTABLE if newest is None or mode > newest)

    def blockers(self, mode: CpuMode) -> Iterator[str]:
        """The hostnames of the known hosts that do not grant a mode."""
        for grants, hostnames in self._known.items():
            if not grants & mode.bit:
                yield from hostnames

    def blocking(self, mode: CpuMode) -> int:
        """How many known hosts do not grant a mode."""
        return sum(len(names) for grants, names in self._known.items() if not grants & mode.bit)

    def unknown(self) -> Iterator[tuple[str, str]]:
        """Hostname and reason of the hosts that cannot tell."""
        return zip(self._unknown, self._reasons)

    def groups(self) -> list[Group]:
        """All hosts by what they answered, those that grant the least first, unknown last."""
        known = [
            Group("known", modes_of(grants), len(names), ((name, "") for name in names))
            for grants, names in self._known.items()
        ]
        known.sort(key=lambda group: group.modes or ())
        return known + [
            Group(status, None, hosts, self._of_status(status))
            for status, hosts in sorted(self._statuses.items())
        ]

    def _of_status(self, status: str) -> Iterator[tuple[str, str]]:
        return (member for member in self.unknown() if member[1].startswith(f"{status}:"))

    def repeated(self, limit: int) -> tuple[int, list[str]]:
        """How many hostnames are in more than one record, and some of them, up to ``limit``.

        Names are compared by hash(), 64 bits, and a million at a time, which takes 8 MB.
        """
        count = 0
        some: set[int] = set()
        shares = self.hosts // _COMPARED + 1
        for share in range(shares):
            twice = _seen_twice(
                hash(name) for name in self._names() if hash(name) % shares == share
            )
            for value in twice:
                count += 1
                if len(some) < limit:
                    some.add(value)
        names = (name for name in self._names() if hash(name) in some)
        return count, list(dict.fromkeys(names)) if some else []

    def _names(self) -> Iterator[str]:
        return chain(*self._known.values(), self._unknown)

    def close(self) -> None:
        """Gives the temporary files back; what was counted stays, the names are gone."""
        for spool in (*self._known.values(), self._unknown, self._reasons):
            spool.close()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _seen_twice(hashes: Iterator[int]) -> Iterator[int]:
    """The hashes that come more than once, once each."""
    # In parts: a set of all would take eight times the room.
    parts = [array("q") for _ in range(256)]
    for value in hashes:
        parts[value >> 32 & 255].append(value)
    for part in parts:
        if len(set(part)) < len(part):
            yield from (value for value, times in Counter(part).items() if times > 1)


class _Spool:
    """A list of texts that is only added to and read from its start; in a file where it is long."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._file: IO[bytes] | None = None
        self._filed = 0

    def __len__(self) -> int:
        return self._filed + len(self._held)

    def append(self, text: str) -> None:
        self._held.append(text)
        if len(self._held) == _HELD:
            self._spill()

    def _spill(self) -> None:
        """Moves what is held to the end of the file, as a line: a JSON list."""
        if self._file is None:
            # Not at the top: most fleets fit into memory.
            import tempfile

            self._file = tempfile.TemporaryFile(prefix="kvmppc-")  # noqa: SIM115 - closed by close()
        self._file.seek(0, 2)
        self._file.write(json.dumps(self._held).encode() + b"\n")
        self._filed += len(self._held)
        self._held.clear()

    def __iter__(self) -> Iterator[str]:
        if self._file is not None:
            position = 0
            while True:
                # Others may read the same file between two lines.
                self._file.seek(position)
                line = self._file.readline()
                if not line:
                    break
                position += len(line)
                yield from json.loads(line)
        yield from self._held

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._held.clear()
