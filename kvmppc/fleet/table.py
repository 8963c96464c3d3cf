"""How a fleet is written for people and for programs, without ever being in memory as a whole."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from kvmppc.output import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kvmppc.fleet.hosts import Fleet, Host
    from kvmppc.processors import CpuMode

# A fleet of more hosts than this has a line for each answer, not for each host.
ROWS = 40
_NAMED = 5
_NAME_WIDTH = 64
_NOTE_WIDTH = 240


def fleet_text(fleet: Fleet, color: bool = False) -> str:
    """A fleet as a table, hosts by modes, and what is common; each line ends in a newline."""
    rows = _host_rows(fleet) if fleet.hosts <= ROWS else _group_rows(fleet)
    width = max((len(first) for first, *_ in rows), default=0)
    table = "".join(
        f"{first:<{width}}  {cells}  {note}".rstrip() + "\n" for first, cells, note in rows
    )
    return f"{table}\n" + "".join(f"{name:<9}  {value}\n" for name, value in common(fleet, color))


def _cells(modes: tuple[CpuMode, ...] | None, named: tuple[CpuMode, ...]) -> str:
    """A row's middle: for each mode yes, no, or that nobody knows."""
    words = ("?" if modes is None else "yes" if mode in modes else "-" for mode in named)
    return "  ".join(f"{word:<{len(mode)}}" for word, mode in zip(words, named))


def _host_rows(fleet: Fleet) -> list[tuple[str, str, str]]:
    """A row for each host, by name."""
    named = fleet.named
    rows = [
        (
            cut(host.name, _NAME_WIDTH),
            _cells(host.answer.modes, named),
            "" if host.answer.modes is not None else cut(host.answer.reason, _NOTE_WIDTH),
        )
        for host in fleet
    ]
    return [("host", "  ".join(named), ""), *sorted(rows)]


def _group_rows(fleet: Fleet) -> list[tuple[str, str, str]]:
    """A row for each answer: how many hosts gave it, and some of them by name."""
    named = fleet.named
    rows = [("hosts", "  ".join(named), "")]
    for group in fleet.groups():
        names = some((name for name, _ in fleet.members(group)), group.hosts)
        note = names if group.modes is not None else f"{group.status}: {names}"
        rows.append((f"{group.hosts:,}", _cells(group.modes, named), note))
    return rows


def common(fleet: Fleet, color: bool = False) -> Iterator[tuple[str, str]]:
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
        granting = fleet.granting(mode)
        if granting:
            blockers = some(fleet.blockers(mode), fleet.known - granting)
            yield str(mode), f"held back by {blockers}"
        else:
            yield str(mode), "granted by no host"
    unknown = fleet.hosts - fleet.known
    if unknown:
        yield "unknown", f"{unknown:,} of {fleet.hosts:,} cannot tell: neither yes nor no"
    if fleet.expecting:
        yield "expected", differences(fleet)


def differences(fleet: Fleet) -> str:
    """Which hosts are missing, and which are not expected."""
    found = []
    for word, names in (("missing", fleet.missing), ("not expected", fleet.unexpected)):
        count = sum(1 for _ in names())
        if count:
            found.append(f"{word}: {some(names(), count)}")
    return "; ".join(found) or "all are there, and no other"


def some(names: Iterable[str], count: int) -> str:
    """The first few names of many, and how many more there are."""
    first = ", ".join(cut(name, _NAME_WIDTH) for name in itertools.islice(names, _NAMED))
    return first if count <= _NAMED else f"{first} and {count - _NAMED:,} more"


def cut(text: str, width: int) -> str:
    """A text that leaves room beside it. A file may have a name or a reason of megabytes."""
    text = printable(text[: width + 1])
    return text if len(text) <= width else text[: width - 3] + "..."


# As many items of a list are written at a time: a fleet's JSON is never in memory as a whole.
_BATCH = 4096


def fleet_json(fleet: Fleet) -> Iterator[str]:
    """A fleet as one line of JSON, in parts: schema 1.

    ``hosts`` and ``known`` are how many. ``blockers`` has every mode that is newer than
    ``newest``, with the names of all known hosts that do not grant it. ``unknown`` has name and
    reason of all hosts that cannot tell. ``groups`` has the hosts by their answers, ``by_mode``
    the hosts that grant a mode (a guest in that mode can move among them), and ``by_host`` each
    host with the modes it grants, or the reason why it cannot tell. ``missing`` and
    ``unexpected`` are null where nobody said which hosts are expected.
    """
    document = {
        "schema": 1,
        "hosts": fleet.hosts,
        "known": fleet.known,
        "modes": fleet.modes,
        "newest": fleet.newest,
        "blockers": [{"mode": m, "hostnames": fleet.blockers(m)} for m in fleet.newer],
        "unknown": ({"hostname": name, "reason": reason} for name, reason in fleet.unknown()),
        "groups": [
            {
                "status": group.status,
                "modes": group.modes,
                "hostnames": (name for name, _ in fleet.members(group)),
            }
            for group in fleet.groups()
        ],
        "missing": fleet.missing() if fleet.expecting else None,
        "unexpected": fleet.unexpected() if fleet.expecting else None,
        "by_mode": [{"mode": m, "hostnames": fleet.among(m)} for m in fleet.named],
        "by_host": map(_host, fleet),
    }
    yield from _encoded(document)
    yield "\n"


def _host(host: Host) -> dict[str, object]:
    answer = host.answer
    return {
        "hostname": host.name,
        "status": answer.status,
        "modes": answer.modes,
        "reason": answer.reason if answer.modes is None else None,
        "place": host.place,
    }


def _encoded(value: object) -> Iterator[str]:
    """JSON of a value in which an iterator stands for a list too long for memory."""
    if isinstance(value, dict):
        separator = "{"
        for name, inner in value.items():
            yield f"{separator}{json.dumps(name)}: "
            yield from _encoded(inner)
            separator = ", "
        yield "}"
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield ", " if position else "["
            yield from _encoded(inner)
        yield "]" if value else "[]"
    elif isinstance(value, Iterator):
        separator = "["
        while batch := list(itertools.islice(value, _BATCH)):
            yield separator + json.dumps(batch)[1:-1]
            separator = ", "
        yield "]" if separator == ", " else "[]"
    else:
        yield json.dumps(value)
