"""A fleet as a web page, and as Markdown for a ticket: hosts by answer, and modes."""

from __future__ import annotations

from kvmppc.fleet import markdown
from kvmppc.fleet.page import cell, escaped, facts, names, page, search
from kvmppc.fleet.table import ROWS, common, differences, some

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kvmppc.fleet.hosts import Fleet
    from kvmppc.processors import CpuMode

# A group of more hosts than this is collapsed at first.
_OPEN = 60


class _Row:
    """Hosts that grant the same modes, or have no answer for the same reason."""

    def __init__(
        self, hosts: int, modes: tuple[CpuMode, ...] | None, reason: str, members: Iterable[str]
    ) -> None:
        self.hosts = hosts
        self.modes = modes
        self.reason = reason
        self.members = members


def _rows(fleet: Fleet) -> Iterator[_Row]:
    """The rows of the table: those that grant the least first, those without an answer last."""
    for group in fleet.groups():
        if group.modes is not None:
            known = (name for name, _ in fleet.members(group))
            yield _Row(group.hosts, group.modes, "", known)
    for reason, hosts, members in fleet.reasons():
        yield _Row(hosts, None, reason, members)


def fleet_html(fleet: Fleet) -> Iterator[str]:
    """Yields a fleet as a page of HTML, in parts; it has all hosts."""
    return page(f"Processor modes of {_count(fleet.hosts)}", _body(fleet))


def _body(fleet: Fleet) -> Iterator[str]:
    named = fleet.named
    yield facts(_facts(fleet))
    words = [(f"yes:{mode}", f"that grant {mode}") for mode in named]
    words += [(f"no:{mode}", f"that do not grant {mode}") for mode in named]
    yield search("host", [*words, ("unknown", "without an answer")])
    yield (
        "<table>\n<caption>The modes that hosts grant to guests. Hosts with the same answer are "
        'in one group.</caption>\n<thead><tr><th scope="col">Hosts</th>'
    )
    yield "".join(f'<th scope="col" class="cell">{escaped(mode)}</th>' for mode in named)
    yield "</tr></thead>\n"
    for row in _rows(fleet):
        yield from _row(row, named)
    yield "</table>\n"


def _facts(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """The summary: the common modes, and how many hosts grant newer ones."""
    if fleet.modes:
        yield "Common", f"{', '.join(fleet.modes)} (newest)"
    else:
        none = "none: the hosts have no mode in common"
        yield "Common", none if fleet.known else "unknown: no host gave an answer"
    for mode in fleet.newer if fleet.known else ():
        granting = fleet.granting(mode)
        yield mode, f"granted by {_count(granting)}, not granted by {fleet.known - granting:,}"
    if fleet.known < fleet.hosts:
        unknown = _count(fleet.hosts - fleet.known)
        yield "Unknown", f"no answer from {unknown}: neither yes nor no"
    if fleet.expecting:
        yield "Expected", differences(fleet)
    if fleet.simulated:
        yield "Simulated", f"{_count(fleet.simulated)}, not real ones"


def _row(row: _Row, named: tuple[CpuMode, ...]) -> Iterator[str]:
    """A group of hosts as HTML, in parts: the modes that they grant, and their names."""
    if row.modes is None:
        words = ["unknown"]
        cells = cell("maybe", "no answer", len(named))
    else:
        words = [f"{'yes' if mode in row.modes else 'no'}:{mode}" for mode in named]
        kinds = ["yes" if mode in row.modes else "no" for mode in named]
        cells = "".join(cell(kind, kind) for kind in kinds)
    opened = " open" if row.hosts <= _OPEN else ""
    reason = f"<p>{escaped(row.reason)}</p>\n" if row.reason else ""
    yield (
        f'<tbody data-is="{escaped(" ".join(words))}">\n<tr class="group"><th scope="row">'
        f'<span class="count"></span>{_count(row.hosts)}</th>{cells}</tr>\n'
        f'<tr class="names"><td colspan="{len(named) + 1}">{reason}'
        f"<details{opened}><summary>Names</summary>\n"
    )
    yield from names(row.members)
    yield "</details></td></tr>\n</tbody>\n"


def _count(hosts: int) -> str:
    return f"{hosts:,} host{'' if hosts == 1 else 's'}"


def fleet_markdown(fleet: Fleet) -> Iterator[str]:
    """Yields a fleet as Markdown, in parts: a row per host, or per answer if there are many."""
    for name, text in common(fleet):
        yield f"- {name}: {markdown.code(text)}\n"
    named = fleet.named
    yield "\n"
    yield from markdown.table(["hosts", *named, "reason"], _markdown_rows(fleet, named))


def _markdown_rows(fleet: Fleet, named: tuple[CpuMode, ...]) -> Iterator[list[str]]:
    for row in _rows(fleet):
        modes = row.modes
        words = ["?" if modes is None else "yes" if mode in modes else "no" for mode in named]
        reason = markdown.code(row.reason) if row.reason else ""
        if fleet.hosts <= ROWS:
            for name in row.members:
                yield [markdown.code(name), *words, reason]
        else:
            listed = markdown.code(some(row.members, row.hosts))
            yield [f"{_count(row.hosts)}: {listed}", *words, reason]
