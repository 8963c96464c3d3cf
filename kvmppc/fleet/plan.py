"""Guests by hosts: where each can start and move, and the changes that let all run everywhere.

Many hosts give the same answer, and many domains ask for the same. Both are grouped first, and
there is one verdict (:mod:`kvmppc.guest.verdict`) for each pair of groups.

A guest can move between two hosts if it starts on both, and the target grants the mode that it
runs in. Source: cpu_post_load() in QEMU's target/ppc/machine.c, which keeps the compatibility
mode of a migrated guest.
"""

from __future__ import annotations

from kvmppc.guest import qemu
from kvmppc.guest.domain import Asks, Domain
from kvmppc.guest.place import Place
from kvmppc.guest.verdict import HostAnswer, Verdict, elements, judge
from kvmppc.processors import CpuMode
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TypeVar

    from kvmppc.fleet.hosts import Answer, Host
    from kvmppc.report import HostReport

    _T = TypeVar("_T")
    # What to write; why that does not help; whether this rules the mode out for the other guests.
    _Fix = tuple[tuple[str, ...], str, bool]

_NOTHING: _Fix = ((), "", False)


class Guest(Value):
    """A guest: its name, the file of its domain, and the domain. Immutable."""

    __slots__ = ("domain", "file", "name")

    name: str
    file: str
    domain: Domain

    def __init__(self, name: str, file: str, domain: Domain) -> None:
        fill(self, name=name, file=file, domain=domain)


class Hosts(Value):
    """Hosts that are alike for every guest. Immutable.

    Attributes:
        names: their names, in the order they were read.
        answer: their answer; None if there is no record.
        reason: why there is no answer; "" if there is one.
        modes: the modes that they grant, with ``accept_hint`` also by a hint; None without an
            answer.
        place: their QEMU, libvirt and page size.
    """

    __slots__ = ("answer", "modes", "names", "place", "reason")

    names: tuple[str, ...]
    answer: HostAnswer | None
    reason: str
    modes: tuple[str, ...] | None
    place: Place


class Guests(Value):
    """Guests with the same verdicts and changes. Immutable.

    Attributes:
        members: the guests, in the order they were read.
        verdicts: one for each of the plan's ``hosts``.
        write: the elements for their domains, with which they run on all hosts in the plan's
            mode; empty if no change is needed, or there is no such mode.
        hindrance: why they cannot run on all hosts even with a change; "" if they can.
    """

    __slots__ = ("hindrance", "members", "verdicts", "write")

    members: tuple[Guest, ...]
    verdicts: tuple[Verdict, ...]
    write: tuple[str, ...]
    hindrance: str

    def moves(self, hosts: tuple[Hosts, ...]) -> list[tuple[CpuMode | None, list[int], list[int]]]:
        """For each mode that a guest starts in: where it does, and where it can move from there.

        Both are lists of indices in ``hosts``. The mode is None for an emulated guest.
        """
        starts = [place for place, verdict in enumerate(self.verdicts) if verdict.answer == "yes"]
        modes = dict.fromkeys(self.verdicts[place].gets for place in starts)
        return [
            (
                mode,
                [place for place in starts if self.verdicts[place].gets == mode],
                [place for place in starts if mode is None or mode in (hosts[place].modes or ())],
            )
            for mode in modes
        ]


class Plan(Value):
    """A plan for all guests and hosts. Immutable.

    Attributes:
        hosts, guests: the groups, in the order in which the first member of each was read.
        mode: the newest mode in which all guests could run on all hosts with an answer; None if
            there is none.
        reason: why there is no such mode, a sentence; "" if there is one.
        unknown: the number of hosts without an answer, which ``mode`` does not consider.
    """

    __slots__ = ("guests", "hosts", "mode", "reason", "unknown")

    hosts: tuple[Hosts, ...]
    guests: tuple[Guests, ...]
    mode: CpuMode | None
    reason: str
    unknown: int


def make_plan(
    guests: Iterable[Guest],
    hosts: Iterable[Host],
    place: Place,
    places: Mapping[str, Place],
    accept_hint: bool = False,
) -> Plan:
    """Returns the plan. ``places`` has single hosts' places by name, ``place`` is for others."""
    columns = _columns(hosts, place, places, accept_hint)
    rows: dict[Asks, list[Guest]] = {}
    for guest in guests:
        rows.setdefault(_essence(guest.domain.asks), []).append(guest)
    verdicts = {asks: _verdicts(asks, columns, accept_hint) for asks in rows}
    mode, fixes, reason = _common_mode(rows, verdicts, columns, accept_hint)
    # Guests that ask for different things may still get the same verdicts and changes.
    same: dict[tuple[tuple[Verdict, ...], tuple[str, ...], str], list[Guest]] = {}
    for asks, members in rows.items():
        write, hindrance, _ = fixes.get(asks, _NOTHING)
        same.setdefault((verdicts[asks], write, hindrance), []).extend(members)
    groups = tuple(
        _made(Guests, members=tuple(members), verdicts=told, write=write, hindrance=hindrance)
        for (told, write, hindrance), members in same.items()
    )
    unknown = sum(len(column.names) for column in columns if column.modes is None)
    return _made(Plan, hosts=columns, guests=groups, mode=mode, reason=reason, unknown=unknown)


def _made(kind: type[_T], **fields: object) -> _T:
    return fill(kind.__new__(kind), **fields)


def _columns(
    hosts: Iterable[Host], place: Place, places: Mapping[str, Place], accept_hint: bool
) -> tuple[Hosts, ...]:
    """The hosts, grouped if they are alike for every guest."""
    names: dict[tuple[HostAnswer | str, Place], list[str]] = {}
    # Equal answers are one object, and extracting what matters from it takes time.
    seen: dict[int, tuple[Answer, HostAnswer | str]] = {}
    for host in hosts:
        answer = host.answer
        if id(answer) not in seen:
            report = answer.report
            seen[id(answer)] = answer, answer.reason if report is None else _said(report)
        key = seen[id(answer)][1]
        here = places.get(host.name, place)
        if isinstance(key, HostAnswer):
            here = here.on(key.page_size)
        names.setdefault((key, here), []).append(host.name)
    return tuple(_column(*key, tuple(many), accept_hint) for key, many in names.items())


def _said(report: HostReport) -> HostAnswer:
    """What matters of a report to guests. The source of the kernel's answer does not."""
    said = HostAnswer(report)
    return _but(said, reason="") if said.status == "known" else said


def _column(
    said: HostAnswer | str, place: Place, names: tuple[str, ...], accept_hint: bool
) -> Hosts:
    answer, reason, modes = None, "", None
    if isinstance(said, str):
        reason = said
    else:
        answer = said
        if said.status == "known":
            modes = said.modes
        elif accept_hint and said.hint is not None:
            modes = (said.hint,)
        else:
            reason = f"{said.status}: {said.reason}"
    return _made(Hosts, names=names, answer=answer, modes=modes, reason=reason, place=place)


def _essence(asks: Asks) -> Asks:
    """What a domain asks for, without what verdicts do not depend on.

    That is the emulator, because each host has its own QEMU version, unless it is the wrapper.
    """
    return _but(asks, emulator=qemu.WRAPPER if qemu.is_wrapper(asks.emulator) else None)


def _but(value: _T, **others: object) -> _T:
    """A copy of a value with some fields changed."""
    kind = type(value)
    fields = {name: getattr(value, name) for name in kind.__slots__}  # type: ignore[attr-defined]
    return _made(kind, **{**fields, **others})


def _verdicts(asks: Asks, columns: tuple[Hosts, ...], accept_hint: bool) -> tuple[Verdict, ...]:
    return tuple(_verdict(asks, column, accept_hint) for column in columns)


def _verdict(asks: Asks, column: Hosts, accept_hint: bool) -> Verdict:
    if column.answer is not None:
        place = column.place
        if asks.emulator is not None:
            place = _but(place, wrapped=True)
        return judge(asks, column.answer, place, accept_hint=accept_hint)
    fields = {"answer": "unknown", "reason": column.reason, "mode": None, "gets": None}
    return _made(Verdict, **fields, also=(), instead=(), place=column.place)


def _common_mode(
    rows: Mapping[Asks, list[Guest]],
    verdicts: Mapping[Asks, tuple[Verdict, ...]],
    columns: tuple[Hosts, ...],
    accept_hint: bool,
) -> tuple[CpuMode | None, dict[Asks, _Fix], str]:
    """The newest mode for all guests, the change for each, and why there is no such mode."""
    known = [place for place, column in enumerate(columns) if column.modes is not None]
    granted = [set(columns[place].modes or ()) for place in known]
    common = set.intersection(*granted) if granted else set()
    modes = sorted((mode for mode in common if isinstance(mode, CpuMode)), reverse=True)
    there = tuple(columns[place] for place in known)
    newest: dict[Asks, _Fix] = {}
    none: dict[Asks, _Fix] = {}
    for mode in modes:
        fixes = {}
        for asks, members in rows.items():
            now = [verdicts[asks][place] for place in known]
            fixes[asks] = _fix(mode, members[0], now, there, accept_hint)
        if not any(blocks for _, _, blocks in fixes.values()):
            return mode, fixes, ""
        newest = newest or fixes
    if not known:
        return None, none, "No host gave an answer."
    if not modes:
        return None, none, "No mode is granted by all hosts."
    left: dict[Asks, _Fix] = {
        asks: ((), hindrance, blocks) for asks, (_, hindrance, blocks) in newest.items()
    }
    return None, left, "At least one guest cannot run on all hosts, whatever its mode."


def _fix(
    mode: CpuMode,
    guest: Guest,
    verdicts: list[Verdict],
    columns: tuple[Hosts, ...],
    accept_hint: bool,
) -> _Fix:
    """What to write into a domain so that it runs in a mode on all hosts, or why it cannot."""
    if all(verdict.answer == "yes" and verdict.gets in (mode, None) for verdict in verdicts):
        return _NOTHING
    if guest.domain.asks.type == "qemu":
        # No mode helps it, and it does not rule a mode out for the others.
        return (), next(verdict.reason for verdict in verdicts if verdict.answer != "yes"), False
    answers = [column.answer for column in columns if column.answer is not None]
    pages = [column.place.page_size for column in columns]
    page_size = min((size for size in pages if size is not None), default=None)
    host_model = all(
        column.place.has_host_model(answer.cpu_physical) for column, answer in zip(columns, answers)
    )
    changed = guest.domain.with_mode(mode, host_model=host_model, page_size=page_size)
    asks = _essence(Domain(changed).asks)
    for column in columns:
        verdict = _verdict(asks, column, accept_hint)
        if verdict.answer != "yes" or verdict.gets != mode:
            # A guest without an answer does not rule a mode out for the others.
            why = f"On {column.names[0]}, in {mode} mode: {verdict.reason}"
            also = (f"Also: {text}" for text in verdict.also)
            return (), " ".join((why, *also)), verdict.answer != "unknown"
    everywhere = Place(None, None, host_model, page_size)
    return elements(mode, guest.domain.asks, answers[0], everywhere), "", False
