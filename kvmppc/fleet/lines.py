"""The text before and between the objects of a file: names of hosts, errors, and other text.

Ansible prints "lpar1 | SUCCESS => {", or "lpar1 | FAILED | rc=2 >>" and lines of text. pdsh and
clush begin each line with "lpar1: ". dshbak and clush -b print "lpar1" between two rules above the
lines of a host.
"""

from __future__ import annotations

import re

from kvmppc.fleet.hosts import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.fleet.documents import Document

EXPECTED = "expected the output of kvmppc probe --json"

_ANSIBLE = re.compile(r"(\S+) \| ([A-Z]+)!?(?: \| rc=(\d+))?(?: (=>|>>|\|)|:)?\s*(.*)", re.DOTALL)
# Also their own messages: "pdsh@admin: lpar1: ssh exited with exit code 255".
_PDSH = re.compile(r"(?:(?:pdsh@[^\s:|]+|clush): )?([^\s:|]+): ?(.*)", re.DOTALL)
# A rule of dshbak has 16 dashes, and one of clush 15.
_RULE = re.compile("-{15,16}")
# clush prints "lpar[1-3] (3)" for three hosts with the same output.
_TITLE = re.compile(r"[^\s:|]+(?: \(\d+\))?")
# Hosts with other text that are remembered at most, until the file turns out to be from pdsh.
_HELD = 4096
# The kind of text that a line is, if a file has no objects.
_KINDS = (
    (re.compile(r"[^\n]*\0"), "binary data; give the output of kvmppc probe --json"),
    (re.compile(r"---|%YAML|- |[\w.-]+:(\s|$)"), "YAML, not JSON; convert it to JSON"),
    (re.compile("<"), "XML or HTML, not JSON; give the output of kvmppc probe --json"),
    (re.compile(""), "text (a log?), not JSON; give the output of kvmppc probe --json"),
)
_SHOWN = 60


class Lines:
    """The lines of one file that are not objects."""

    def __init__(self) -> None:
        # The host that Ansible named, whose object has not come yet.
        self._name = ""
        self._ended_with = ""
        self._said = ""
        self._ansible = False
        # From dshbak: the lines of a heading so far, and the host in the last heading.
        self._heading: list[tuple[int, str]] = []
        self._has_headings = False
        self._under = ""
        # From pdsh: the hosts with an object, and the first line of the others.
        self._named: set[str] = set()
        self._spoken: dict[str, str] = {}
        self._spoken_lines = 0
        self._other = 0
        self._first: tuple[int, str] = (0, "")

    @property
    def waiting(self) -> bool:
        """Whether an object without text before it may belong to a host that was named earlier."""
        return bool(self._name or self._under or self._heading)

    def take(self, document: Document) -> tuple[str | None, list[tuple[str, Answer]]]:
        """Returns the host name before an object, or None, and hosts that turn out to have none.

        ``document`` is an object with the text before it, or a line without one.
        """
        before, is_object = document.before, bool(document.text)
        if self._is_heading(document):
            return None, []
        if self._under:
            before = f"{self._under}: {before}"
            # Only one record, because errors of other hosts may follow it.
            self._under = "" if is_object else self._under
        ansible = _ANSIBLE.match(before)
        if ansible:
            lost = self._give_up()
            self._ansible = True
            name, status, rc, mark, said = ansible.groups()
            if is_object:
                return name, lost
            if mark == ">>":
                self._name, self._said = name, ""
                self._ended_with = f"exit code {rc}"
                return None, lost
            return None, [*lost, (name, _lost(status, said))]
        if self._name:
            if is_object:
                name, self._name = self._name, ""
                return name, []
            self._said = self._said or before
            return None, []
        pdsh = _PDSH.match(before)
        if pdsh and is_object and not pdsh[2]:
            self._named.add(pdsh[1])
            return pdsh[1], []
        if not is_object:
            self._count(document.line, before)
            if pdsh and len(self._spoken) < _HELD:
                self._spoken[pdsh[1]] = self._spoken.get(pdsh[1]) or pdsh[2]
                self._spoken_lines += 1
        return None, []

    def _is_heading(self, document: Document) -> bool:
        """Whether a line belongs to a heading: a rule, a name and a rule."""
        form = _TITLE if len(self._heading) == 1 else _RULE
        if document.text or not form.fullmatch(document.before):
            self._no_heading()
            return False
        self._heading.append((document.line, document.before))
        if len(self._heading) == 3:
            name = self._heading[1][1].partition(" ")[0]
            self._heading.clear()
            self._has_headings = True
            # Each line of pdsh's own messages names its host.
            self._under = "" if name.startswith("pdsh@") else name
            if self._under:
                self._spoken.setdefault(name, "")
        return True

    def _no_heading(self) -> None:
        """Counts lines that looked like the beginning of a heading and were not one."""
        for number, line in self._heading:
            self._count(number, line)
        self._heading.clear()

    def _count(self, number: int, line: str) -> None:
        """Counts a line that is not an object."""
        self._other += 1
        if self._other == 1:
            self._first = (number, line)

    def _give_up(self) -> list[tuple[str, Answer]]:
        """The host whose object was awaited, if any."""
        if not self._name:
            return []
        name, self._name = self._name, ""
        said = f"{self._ended_with}: {self._said}" if self._said else self._ended_with
        return [(name, _lost("FAILED", said))]

    def ended(self) -> list[tuple[str, Answer]]:
        """Call it at the end of the file. Returns the hosts that turn out to have no object."""
        lost = self._give_up()
        self._no_heading()
        if self._named or self._has_headings:
            self._other -= self._spoken_lines
            for name in self._spoken.keys() - self._named:
                lost.append((name, _lost("FAILED", self._spoken[name] or "it printed nothing")))
        return sorted(lost, key=lambda one: one[0])

    def wrong(self, alone: bool) -> str:
        """Returns the message about lines that belong to no host; "" if there are none.

        ``alone`` is whether the file has nothing else.
        """
        if self._other == 0 or self._ansible:
            return ""
        number, text = self._first
        if alone:
            kind = next(kind for form, kind in _KINDS if form.match(text))
            return f"this is {kind}"
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        more = f"; neither are {self._other - 1:,} others" if self._other > 1 else ""
        return f"line {number} is not a record ({shown}){more}; {EXPECTED}"


def _lost(status: str, said: str) -> Answer:
    said = " ".join(said.split())
    if status == "UNREACHABLE":
        return Answer("unreachable", f"Ansible could not reach the host: {said}")
    return Answer("failed", f"the query failed: {said}")
