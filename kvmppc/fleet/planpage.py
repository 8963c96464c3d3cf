"""A plan as a web page: guests by hosts, and for each guest the reasons and what to write."""

from __future__ import annotations

from kvmppc.fleet import plantext
from kvmppc.fleet.page import cell, escaped, facts, names, page, search
from kvmppc.fleet.table import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kvmppc.fleet.plan import Guests, Hosts, Plan

_KINDS = {"yes": "yes", "no": "no"}
_CHOICES = (
    ("no", "that do not start on some host"),
    ("maybe", "without a certain answer on some host"),
    ("write", "that need a change"),
)
_NAME_WIDTH = 40
# Up to this many groups of guests are expanded at first.
_FEW = 3
# A list of more names than this is collapsed at first.
_OPEN = 60


def plan_html(plan: Plan) -> Iterator[str]:
    """Yields a plan as a page of HTML, in parts; it has all guests and hosts."""
    guests = sum(len(group.members) for group in plan.guests)
    hosts = sum(len(group.names) for group in plan.hosts)
    return page(f"{_count(guests, 'guest')} on {_count(hosts, 'host')}", _body(plan))


def _body(plan: Plan) -> Iterator[str]:
    yield facts(plantext.facts(plan))
    yield search("guest", _CHOICES, "host")
    yield (
        '<div class="wide" tabindex="0" role="region" aria-label="Guests by hosts">\n<table>\n'
        "<caption>Which guests start on which hosts. Guests and hosts with the same answers are "
        'in one group.</caption>\n<thead><tr><th scope="col">Guests</th>'
    )
    for place, hosts in enumerate(plan.hosts):
        yield _heading(place, hosts)
    yield "</tr></thead>\n"
    for guests in plan.guests:
        yield from _row(plan, guests)
    yield "</table>\n</div>\n<h2>Hosts</h2>\n"
    for place, hosts in enumerate(plan.hosts):
        yield from _hosts(place, hosts)


def _heading(place: int, hosts: Hosts) -> str:
    letter = plantext.letters(place)
    first = escaped(cut(hosts.names[0], _NAME_WIDTH))
    more = f" and {len(hosts.names) - 1:,} more" if hosts.names[1:] else ""
    modes = (
        "no answer" if hosts.modes is None else escaped(" ".join(hosts.modes) or "no known mode")
    )
    return f'<th scope="col"><b><a href="#{letter}">{letter}</a> {first}{more}</b>{modes}</th>'


def _row(plan: Plan, guests: Guests) -> Iterator[str]:
    """Guests with the same answers, as HTML in parts: where they start, and the details."""
    kinds = [_KINDS.get(verdict.answer, "maybe") for verdict in guests.verdicts]
    words = {*kinds, "write"} if guests.write else {*kinds}
    cells = "".join(cell(kind, verdict.answer) for kind, verdict in zip(kinds, guests.verdicts))
    many = len(guests.members)
    title = escaped(guests.members[0].name) if many == 1 else _count(many, "guest")
    yield (
        f'<tbody data-is="{" ".join(sorted(words))}">\n<tr class="group"><th scope="row">'
        f'<span class="count"></span>{title}</th>{cells}</tr>\n'
        f'<tr class="names"><td class="why" colspan="{len(plan.hosts) + 1}"><div>'
        f"<details{' open' if len(plan.guests) <= _FEW else ''}><summary>More</summary>\n"
    )
    for sentence in plantext.sentences(plan, guests):
        yield f"<p>{escaped(sentence)}</p>\n"
    if guests.write:
        elements = "\n".join(map(escaped, guests.write))
        yield f"<p>Write for {plan.mode}:</p>\n<pre>{elements}</pre>\n"
    yield from names(guest.name for guest in guests.members)
    yield "</details></div></td></tr>\n</tbody>\n"


def _hosts(place: int, hosts: Hosts) -> Iterator[str]:
    letter = plantext.letters(place)
    many = _count(len(hosts.names), "host")
    said, where = escaped(plantext.granted(hosts)), escaped(hosts.place.text())
    yield (
        f'<h3 id="{letter}">{letter}: {many}</h3>\n<p>{said}</p>\n<p>{where}</p>\n'
        f"<details{' open' if len(hosts.names) <= _OPEN else ''}><summary>Names</summary>\n"
    )
    yield from names(hosts.names, f' data-column="{place + 1}"')
    yield "</details>\n"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
