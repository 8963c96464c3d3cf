"""What stands before and between the objects of a file: names of hosts, errors, and other text.

Ansible prints "lpar1 | SUCCESS => {" or "lpar1 | FAILED | rc=2 >>" and lines of text, pdsh and
clush begin each line with "lpar1: ", and dshbak and clush -b write "lpar1" between two rules above
a host's lines.
"""

from __future__ import annotations

import re

from kvmppc.fleet.hosts import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.fleet.documents import Document

EXPECTED = "expected a record of kvmppc probe --json"

_ANSIBLE = re.compile(r"(\S+) \| ([A-Z]+)!?(?: \| rc=(\d+))?(?: (=>|>>|\|)|:)?\s*(.*)", re.DOTALL)
# Also what they say themselves: "pdsh@admin: lpar1: ssh exited with exit code 255".
_PDSH = re.compile(r"(?:(?:pdsh@[^\s:|]+|clush): )?([^\s:|]+): ?(.*)", re.DOTALL)
# dshbak's rule has 16 dashes, and that of clush 15.
_RULE = re.compile("-{15,16}")
# "lpar[1-3] (3)" is clush's name for three hosts that said the same.
_TITLE = re.compile(r"[^\s:|]+(?: \(\d+\))?")
# As many hosts are held that said something else until it shows that a file is of pdsh's.
_HELD = 4096
# What text a line is of, where there are no objects.
_KINDS = (
    (re.compile(r"[^\n]*\0"), "binary data; give what kvmppc probe --json prints"),
    (re.compile(r"---|%YAML|- |[\w.-]+:(\s|$)"), "YAML, not JSON; convert it"),
    (re.compile("<"), "XML or HTML, not JSON; give what kvmppc probe --json prints"),
    (re.compile(""), "text (a log?), not JSON; give what kvmppc probe --json prints"),
)
_SHOWN = 60


class Lines:
    """The lines of one file that are no objects."""

    def __init__(self) -> None:
        # The host that Ansible named, whose object has yet to come.
        self._name = ""
        self._ended_with = ""
        self._said = ""
        self._ansible = False
        # Of dshbak: the lines of a heading so far, and the host that the last heading names.
        self._heading: list[tuple[int, str]] = []
        self._has_headings = False
        self._under = ""
        # Of pdsh: the hosts that had an object, and what others said first.
        self._named: set[str] = set()
        self._spoken: dict[str, str] = {}
        self._spoken_lines = 0
        self._other = 0
        self._first: tuple[int, str] = (0, "")

    @property
    def waiting(self) -> bool:
        """Whether an object with nothing before it matters here: a host may have been named."""
        return bool(self._name or self._under or self._heading)

    def take(self, document: Document) -> tuple[str | None, list[tuple[str, Answer]]]:
        """The name that stands before an object, if one does, and hosts that turn out to be lost.

        ``document`` is an object with what is before it, or a line without one.
        """
        before, is_object = document.before, bool(document.text)
        if self._is_heading(document):
            return None, []
        if self._under:
            before = f"{self._under}: {before}"
            # One record, for other hosts' errors may follow it.
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
        """Whether a line is of a heading: a rule, a name and a rule."""
        form = _TITLE if len(self._heading) == 1 else _RULE
        if document.text or not form.fullmatch(document.before):
            self._no_heading()
            return False
        self._heading.append((document.line, document.before))
        if len(self._heading) == 3:
            name = self._heading[1][1].partition(" ")[0]
            self._heading.clear()
            self._has_headings = True
            # What pdsh itself says names its host in each line.
            self._under = "" if name.startswith("pdsh@") else name
            if self._under:
                self._spoken.setdefault(name, "")
        return True

    def _no_heading(self) -> None:
        """Counts the lines that looked like the begin of a heading, and are none."""
        for number, line in self._heading:
            self._count(number, line)
        self._heading.clear()

    def _count(self, number: int, line: str) -> None:
        """Counts a line that is no object."""
        self._other += 1
        if self._other == 1:
            self._first = (number, line)

    def _give_up(self) -> list[tuple[str, Answer]]:
        """The host that was waited for, if one was."""
        if not self._name:
            return []
        name, self._name = self._name, ""
        said = f"{self._ended_with}: {self._said}" if self._said else self._ended_with
        return [(name, _lost("FAILED", said))]

    def ended(self) -> list[tuple[str, Answer]]:
        """Where the file has ended: the hosts that turn out to be lost."""
        lost = self._give_up()
        self._no_heading()
        if self._named or self._has_headings:
            self._other -= self._spoken_lines
            for name in self._spoken.keys() - self._named:
                lost.append((name, _lost("FAILED", self._spoken[name] or "it printed nothing")))
        return sorted(lost, key=lambda one: one[0])

    def wrong(self, alone: bool) -> str:
        """What to say of lines that are of no host; "" if there are none.

        ``alone`` is whether there is nothing else in the file.
        """
        if self._other == 0 or self._ansible:
            return ""
        number, text = self._first
        if alone:
            kind = next(kind for form, kind in _KINDS if form.match(text))
            return f"this is {kind}"
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        more = f", and {self._other - 1:,} more lines are none" if self._other > 1 else ""
        return f"line {number} is no record ({shown}){more}; {EXPECTED}"


def _lost(status: str, said: str) -> Answer:
    said = " ".join(said.split())
    if status == "UNREACHABLE":
        return Answer("unreachable", f"Ansible could not reach it: {said}")
    return Answer("failed", f"asking it failed: {said}")
