"""What stands before and between the objects of a file: names of hosts, errors, and other text.

Ansible prints "lpar1 | SUCCESS => {" or "lpar1 | FAILED | rc=2 >>" and lines of text, pdsh and
clush begin each line with "lpar1: ".
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
    """The lines of one file that are no objects.

    Attributes:
        waiting: whether a host was named whose object has yet to come.
    """

    def __init__(self) -> None:
        self.waiting: bool = False
        self._name = ""
        self._ended_with = ""
        self._said = ""
        self._ansible = False
        # Of pdsh: the hosts that had an object, and what others said first.
        self._named: set[str] = set()
        self._spoken: dict[str, str] = {}
        self._spoken_lines = 0
        self._other = 0
        self._first: tuple[int, str] = (0, "")

    def take(self, document: Document) -> tuple[str | None, list[tuple[str, Answer]]]:
        """The name that stands before an object, if one does, and hosts that turn out to be lost.

        ``document`` is an object with what is before it, or a line without one.
        """
        before, is_object = document.before, bool(document.text)
        ansible = _ANSIBLE.match(before)
        if ansible:
            lost = self._give_up()
            self._ansible = True
            name, status, rc, mark, said = ansible.groups()
            if is_object:
                return name, lost
            if mark == ">>":
                self.waiting, self._name, self._said = True, name, ""
                self._ended_with = f"exit code {rc}"
                return None, lost
            return None, [*lost, (name, _lost(status, said))]
        if self.waiting:
            if is_object:
                self.waiting = False
                return self._name, []
            self._said = self._said or before
            return None, []
        pdsh = _PDSH.match(before)
        if pdsh and is_object and not pdsh[2]:
            self._named.add(pdsh[1])
            return pdsh[1], []
        if not is_object:
            self._other += 1
            self._first = self._first if self._other > 1 else (document.line, before)
            if pdsh and len(self._spoken) < _HELD:
                self._spoken.setdefault(pdsh[1], pdsh[2])
                self._spoken_lines += 1
        return None, []

    def _give_up(self) -> list[tuple[str, Answer]]:
        """The host that was waited for, if one was."""
        if not self.waiting:
            return []
        self.waiting = False
        said = f"{self._ended_with}: {self._said}" if self._said else self._ended_with
        return [(self._name, _lost("FAILED", said))]

    def ended(self) -> list[tuple[str, Answer]]:
        """Where the file has ended: the hosts that turn out to be lost."""
        lost = self._give_up()
        if self._named:
            self._other -= self._spoken_lines
            for name in self._spoken.keys() - self._named:
                lost.append((name, _lost("FAILED", self._spoken[name])))
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
