"""A plan as text for people, as JSON, and as Markdown for a ticket.

Hosts with the same answer share a letter, which the tables and sentences use.
"""

from __future__ import annotations

from kvmppc.fleet import markdown
from kvmppc.fleet.table import some
from kvmppc.output import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kvmppc.fleet.plan import Guests, Hosts, Plan
    from kvmppc.guest.verdict import Verdict

WORDS = {
    "yes": "yes",
    "likely yes": "yes?",
    "unknown": "?",
    "likely no": "no?",
    "no": "no",
}
"""A verdict's answer, short enough for a table of text."""


def letters(place: int) -> str:
    """The letters of hosts in the tables: A to Z, AA, AB and so on."""
    first, last = divmod(place, 26)
    return (letters(first - 1) if first else "") + chr(ord("A") + last)


def listed(places: Iterable[int]) -> str:
    """The letters of several hosts, for a sentence."""
    return ", ".join(map(letters, places))


def granted(hosts: Hosts) -> str:
    """The modes that hosts grant, or the reason for no answer."""
    if hosts.modes is None:
        return f"no answer: {hosts.reason}"
    return " ".join(hosts.modes) or "no known mode"


def facts(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yields the summary of a plan: names and sentences."""
    if plan.mode is None:
        yield "Common mode", f"none. {plan.reason}"
    else:
        change = sum(len(guests.members) for guests in plan.guests if guests.write)
        many = f"{change:,} {'domain' if change == 1 else 'domains'}"
        need = f" once {many} {'is' if change == 1 else 'are'} changed" if change else ""
        yield "Common mode", f"{plan.mode}: all guests can run in it on all hosts{need}"
    if plan.unknown:
        hosts = "1 host, which is" if plan.unknown == 1 else f"{plan.unknown:,} hosts, which are"
        yield "Unknown", f"no answer from {hosts} left out"
    unsure = sum(len(guests.members) for guests in plan.guests if guests.hindrance)
    if unsure and plan.mode is not None:
        guests = "1 guest, which is" if unsure == 1 else f"{unsure:,} guests, which are"
        yield "Unsure", f"no answer for {guests} left out"


def sentences(plan: Plan, guests: Guests) -> Iterator[str]:
    """Yields sentences on guests: why they do not start, and where they can move."""
    for where, verdict in _different(guests):
        also = (f"Also: {text}" for text in verdict.also)
        words = (f"{verdict.answer.capitalize()}.", verdict.reason, *also)
        yield f"{listed(where)}: {' '.join(words)}"
    for mode, starts, moves in guests.moves(plan.hosts):
        among = f"can move to {listed(moves)}"
        if mode is None:
            yield f"Emulated, starts on {listed(starts)} and {among}."
        else:
            yield f"Started on {listed(starts)}, runs in {mode} mode and {among}."
    if guests.hindrance:
        yield f"Cannot run on all hosts, whatever the mode. {guests.hindrance}"
    elif plan.mode is not None and not guests.write:
        yield f"Needs no change for {plan.mode}."


def _different(guests: Guests) -> Iterator[tuple[list[int], Verdict]]:
    """The verdicts other than "yes", each once, with the hosts that they are for."""
    found: dict[tuple[str, str, tuple[str, ...]], tuple[list[int], Verdict]] = {}
    for place, verdict in enumerate(guests.verdicts):
        if verdict.answer != "yes":
            key = (verdict.answer, verdict.reason, verdict.also)
            found.setdefault(key, ([], verdict))[0].append(place)
    yield from found.values()


def names(guests: Guests) -> str:
    """The names of the guests, or the first few of many."""
    return some((guest.name for guest in guests.members), len(guests.members))


def plan_text(plan: Plan) -> str:
    """A plan as tables and sentences; each line ends in a newline."""
    hosts = [
        (letters(place), some(iter(group.names), len(group.names)), granted(group))
        for place, group in enumerate(plan.hosts)
    ]
    cells = [
        (names(guests), *(WORDS[verdict.answer] for verdict in guests.verdicts))
        for guests in plan.guests
    ]
    lines = [*_aligned([("", "hosts", "grant"), *hosts]), ""]
    lines += [*_aligned([("guests", *map(letters, range(len(plan.hosts)))), *cells]), ""]
    for guests in plan.guests:
        lines.append(names(guests))
        lines += [f"  {printable(sentence)}" for sentence in sentences(plan, guests)]
        lines += [f"  write: {element}" for element in guests.write]
        lines.append("")
    lines += [f"{name.lower():<11}  {printable(text)}" for name, text in facts(plan)]
    return "".join(f"{line}\n" for line in lines)


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The rows of a table, aligned; the last column is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = (f"{printable(cell):<{width}}" for cell, width in zip(row, widths))
        yield "  ".join(cells).rstrip()


def plan_markdown(plan: Plan) -> Iterator[str]:
    """Yields a plan as Markdown, in parts."""
    for name, text in facts(plan):
        yield f"- {name}: {text}\n"
    places = [letters(place) for place in range(len(plan.hosts))]
    yield "\n"
    yield from markdown.table(
        ["", "hosts", "grant"],
        (
            [place, markdown.code(some(iter(hosts.names), len(hosts.names))), _grant(hosts)]
            for place, hosts in zip(places, plan.hosts)
        ),
    )
    yield "\n"
    yield from markdown.table(
        ["guests", *places],
        (
            [markdown.code(names(guests)), *(WORDS[verdict.answer] for verdict in guests.verdicts)]
            for guests in plan.guests
        ),
    )
    for guests in plan.guests:
        yield f"\n{markdown.code(names(guests))}\n\n"
        for sentence in sentences(plan, guests):
            yield f"- {markdown.code(sentence)}\n"
        for element in guests.write:
            yield f"- write {markdown.code(element)}\n"


def _grant(hosts: Hosts) -> str:
    return markdown.code(granted(hosts))


def plan_json(plan: Plan) -> str:
    """A plan as one line of JSON: schema 1.

    ``hosts`` and ``guests`` are groups with the same answers, with all their names. Everywhere
    else a host is its index in ``hosts``, from 0.
    """
    import json

    document = {
        "schema": 1,
        "mode": plan.mode,
        "reason": plan.reason or None,
        "hosts": [
            {
                "hostnames": hosts.names,
                "modes": hosts.modes,
                "reason": hosts.reason or None,
                "for": hosts.place.text(),
            }
            for hosts in plan.hosts
        ],
        "guests": [_guests(plan, guests) for guests in plan.guests],
    }
    return json.dumps(document) + "\n"


def _guests(plan: Plan, guests: Guests) -> dict[str, object]:
    return {
        "domains": [{"name": guest.name, "file": guest.file} for guest in guests.members],
        "answers": [
            {
                "answer": verdict.answer,
                "reason": verdict.reason,
                "also": verdict.also,
                "gets": verdict.gets,
            }
            for verdict in guests.verdicts
        ],
        "moves": [
            {"mode": mode, "from": starts, "to": moves}
            for mode, starts, moves in guests.moves(plan.hosts)
        ],
        "write": "\n".join(guests.write) or None,
        "hindrance": guests.hindrance or None,
    }
