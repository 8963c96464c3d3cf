"""A fleet as text and as JSON, without holding all of it in memory."""

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

# A fleet with more hosts than this gets a line per answer instead of a line per host.
ROWS = 40
_NAMED = 5
_NAME_WIDTH = 64
_NOTE_WIDTH = 240


def fleet_text(fleet: Fleet, color: bool = False) -> str:
    """A fleet as a table of hosts and modes, and a summary; each line ends in a newline."""
    rows = _host_rows(fleet) if fleet.hosts <= ROWS else _group_rows(fleet)
    width = max((len(first) for first, *_ in rows), default=0)
    table = "".join(
        f"{first:<{width}}  {cells}  {note}".rstrip() + "\n" for first, cells, note in rows
    )
    return f"{table}\n" + "".join(f"{name:<9}  {value}\n" for name, value in common(fleet, color))


def _cells(modes: tuple[CpuMode, ...] | None, named: tuple[CpuMode, ...]) -> str:
    """The cells of a row: for each mode "yes", "-" for no, or "?" without an answer."""
    words = ("?" if modes is None else "yes" if mode in modes else "-" for mode in named)
    return "  ".join(f"{word:<{len(mode)}}" for word, mode in zip(words, named))


def _host_rows(fleet: Fleet) -> list[tuple[str, str, str]]:
    """A row per host, sorted by name."""
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
    """A row per answer: the number of hosts with it, and some of their names."""
    named = fleet.named
    rows = [("hosts", "  ".join(named), "")]
    for group in fleet.groups():
        names = some((name for name, _ in fleet.members(group)), group.hosts)
        note = names if group.modes is not None else f"{group.status}: {names}"
        rows.append((f"{group.hosts:,}", _cells(group.modes, named), note))
    return rows


def common(fleet: Fleet, color: bool = False) -> Iterator[tuple[str, str]]:
    """The summary: the common modes, who does not grant newer ones, and who has no answer."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if color else ("", "")
    names = [str(mode) for mode in fleet.modes]
    if names:
        names[-1] = f"{bold}{names[-1]}{plain} (newest)"
        yield "common", "  ".join(names)
    elif fleet.known:
        yield "common", "none: the hosts have no mode in common"
    else:
        yield "common", "unknown: no host gave an answer"
    for mode in fleet.newer if fleet.known else ():
        granting = fleet.granting(mode)
        if granting:
            blockers = some(fleet.blockers(mode), fleet.known - granting)
            yield str(mode), f"not granted by {blockers}"
        else:
            yield str(mode), "granted by no host"
    unknown = fleet.hosts - fleet.known
    if unknown:
        yield "unknown", f"no answer from {unknown:,} of {fleet.hosts:,} hosts"
    if fleet.expecting:
        yield "expected", differences(fleet)


def differences(fleet: Fleet) -> str:
    """Which hosts are missing, and which are not expected, for a sentence."""
    found = []
    for word, names in (("missing", fleet.missing), ("not expected", fleet.unexpected)):
        count = sum(1 for _ in names())
        if count:
            found.append(f"{word}: {some(names(), count)}")
    return "; ".join(found) or "all hosts are there, and no others"


def some(names: Iterable[str], count: int) -> str:
    """The first few names, and the number of the others."""
    first = ", ".join(cut(name, _NAME_WIDTH) for name in itertools.islice(names, _NAMED))
    return first if count <= _NAMED else f"{first} and {count - _NAMED:,} more"


def cut(text: str, width: int) -> str:
    """A text of at most ``width`` characters. A file may have a name or reason of megabytes."""
    text = printable(text[: width + 1])
    return text if len(text) <= width else text[: width - 3] + "..."


# Items of a list that are written at a time, so that the JSON is never in memory as a whole.
_BATCH = 4096


def fleet_json(fleet: Fleet) -> Iterator[str]:
    """Yields a fleet as one line of JSON, in parts: schema 1.

    ``hosts`` and ``known`` are numbers: of all hosts, and of hosts with an answer. ``blockers``
    has each mode newer than ``newest``, with the hosts with an answer that do not grant it.
    ``unknown`` has the hosts without an answer and the reasons, ``groups`` the hosts by answer,
    ``by_mode`` the hosts that grant a mode (a guest in it can move between them), and ``by_host``
    each host with its modes, or the reason for no answer. ``missing`` and ``unexpected`` are null
    without expected names.
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
    """A value as JSON, in parts. An iterator in it stands for a list too long for memory."""
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
