"""How a fleet is written for people and for programs, without ever being in memory as a whole."""

from __future__ import annotations

import itertools
import json

from kvmppc.output import printable
from kvmppc.processors import GRANTABLE, CpuMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kvmppc.fleet.hosts import Fleet

# A fleet of more hosts than this has a line for each answer, not for each host.
_ROWS = 40
_NAMED = 5
_NAME_WIDTH = 64


def fleet_text(fleet: Fleet, color: bool = False) -> str:
    """A fleet as a table, hosts by modes, and what is common; each line ends in a newline."""
    rows = _host_rows(fleet) if fleet.hosts <= _ROWS else _group_rows(fleet)
    width = max((len(first) for first, *_ in rows), default=0)
    table = "".join(
        f"{first:<{width}}  {cells}  {note}".rstrip() + "\n" for first, cells, note in rows
    )
    return f"{table}\n" + "".join(f"{name:<9}  {value}\n" for name, value in _common(fleet, color))


def _cells(modes: tuple[CpuMode, ...] | None) -> str:
    """A row's middle: for each mode yes, no, or that nobody knows."""
    words = ("?" if modes is None else "yes" if mode in modes else "-" for mode in GRANTABLE)
    return "  ".join(f"{word:<{len(str(mode))}}" for word, mode in zip(words, GRANTABLE))


def _host_rows(fleet: Fleet) -> list[tuple[str, str, str]]:
    """A row for each host, by name."""
    rows = [
        (_cut_name(hostname), _cells(group.modes), printable(reason))
        for group in fleet.groups()
        for hostname, reason in group
    ]
    return [("host", "  ".join(GRANTABLE), ""), *sorted(rows)]


def _group_rows(fleet: Fleet) -> list[tuple[str, str, str]]:
    """A row for each answer: how many hosts gave it, and some of them by name."""
    rows = [("hosts", "  ".join(GRANTABLE), "")]
    for group in fleet.groups():
        names = _some((name for name, _ in group), group.hosts)
        note = names if group.modes is not None else f"{group.status}: {names}"
        rows.append((f"{group.hosts:,}", _cells(group.modes), note))
    return rows


def _common(fleet: Fleet, color: bool) -> Iterator[tuple[str, str]]:
    """What the hosts have in common, what holds newer modes back, and who cannot tell."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if color else ("", "")
    names = [str(mode) for mode in fleet.modes]
    if names:
        names[-1] = f"{bold}{names[-1]}{plain} (newest)"
        yield "common", "  ".join(names)
    elif fleet.known:
        yield "common", "none: no mode is granted by all"
    else:
        yield "common", "no answer: no host can tell"
    for mode in fleet.newer if fleet.known else ():
        blocking = fleet.blocking(mode)
        if blocking == fleet.known:
            yield str(mode), "granted by no host"
        else:
            yield str(mode), f"held back by {_some(fleet.blockers(mode), blocking)}"
    unknown = fleet.hosts - fleet.known
    if unknown:
        yield "unknown", f"{unknown:,} of {fleet.hosts:,} cannot tell: neither yes nor no"


def _some(hostnames: Iterable[str], count: int) -> str:
    """The first few names of many, and how many more there are."""
    names = ", ".join(map(_cut_name, itertools.islice(hostnames, _NAMED)))
    return names if count <= _NAMED else f"{names} and {count - _NAMED:,} more"


def _cut_name(hostname: str) -> str:
    """A hostname that leaves room beside it. Linux has none longer, a file may."""
    text = printable(hostname)
    return text if len(text) <= _NAME_WIDTH else text[: _NAME_WIDTH - 3] + "..."


# As many names are written at a time: a fleet's JSON is never in memory as a whole.
_BATCH = 4096


def fleet_json(fleet: Fleet) -> Iterator[str]:
    """A fleet as one line of JSON, in parts: schema 1.

    ``hosts`` and ``known`` are how many; ``blockers`` has every mode that is newer than
    ``newest``, with the hostnames of all known hosts that do not grant it; ``unknown`` has
    hostname and reason of all hosts that cannot tell.
    """
    head = {
        "schema": 1,
        "hosts": fleet.hosts,
        "known": fleet.known,
        "modes": [str(mode) for mode in fleet.modes],
        "newest": None if fleet.newest is None else str(fleet.newest),
    }
    yield json.dumps(head)[:-1] + ', "blockers": ['
    for position, mode in enumerate(fleet.newer):
        yield f'{", " if position else ""}{{"mode": "{mode}", "hostnames": ['
        yield from _items(fleet.blockers(mode))
        yield "]}"
    yield '], "unknown": ['
    yield from _items({"hostname": name, "reason": reason} for name, reason in fleet.unknown())
    yield "]}\n"


def _items(values: Iterator[object]) -> Iterator[str]:
    """The inside of a JSON list."""
    separator = ""
    while True:
        batch = list(itertools.islice(values, _BATCH))
        if not batch:
            return
        yield separator + json.dumps(batch)[1:-1]
        separator = ", "
