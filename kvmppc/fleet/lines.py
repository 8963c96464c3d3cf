"""The text before and between the objects of a file: names of hosts, errors, and other text.

Ansible prints "lpar1 | SUCCESS => {", or "lpar1 | FAILED | rc=2 >>" and lines of text. pdsh and
clush begin each line with "lpar1: ". dshbak and clush -b print "lpar1" between two rules above the
lines of a host, or "lpar[1-3]" if several hosts printed the same.
"""

from __future__ import annotations

import re

from kvmppc.fleet.hosts import Answer
from kvmppc.fleet.nodesets import expanded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from kvmppc.fleet.documents import Document

EXPECTED = "expected the output of kvmppc probe --json"

_ANSIBLE = re.compile(r"(\S+) \| ([A-Z]+)!?(?: \| rc=(\d+))?(?: (=>|>>|\|)|:)?\s*(.*)", re.DOTALL)
# "@lpars" is a group of clush -r, also "@source:lpars".
_HOSTS = r"((?:[^\s:|,@]+,)*@[^\s|]+|[^\s:|]+)"
_SET = re.compile(r"^@|[\[,]")
_PDSH = re.compile(_HOSTS + ": ?(.*)", re.DOTALL)
# clush adds the number of hosts: "lpar[1-3] (3)".
_COUNTED = _HOSTS + r"(?: \(([0-9]{1,9})\))?"
# Their own messages: "pdsh@admin: lpar1: ssh exited with exit code 255".
_OWN = re.compile(rf"(?:pdsh@[^\s:|]+|clush): {_COUNTED}: (.*)", re.DOTALL)
# pdsh -u, to a program that takes too long: "sending signal 15 to lpar1 [ssh] pid 4711"; and the
# progress of clush, "clush: 1/3".
_NO_HOST = re.compile(r"sending signal [0-9]+ to \S+ \[.*\] pid [0-9]+|clush: *[0-9]+/[0-9]+.*")
# A rule of dshbak has 16 dashes, and one of clush 15.
_RULE = re.compile("-{15,16}")
_TITLE = re.compile(_COUNTED)
# Hosts in sets such as "lpar[1-3]", in a file. Ten characters can stand for billions.
_IN_SETS = 1 << 18
# Hosts with other text that are remembered at most, until the file turns out to be from pdsh.
_HELD = 4096
# The kind of text that a line is, if a file has no objects.
_KINDS = (
    (re.compile(r"[^\n]*\0"), "binary data; give the output of kvmppc probe --json"),
    # An error such as "ssh: connect to host lpar1 port 22: Connection refused" is not YAML.
    (re.compile(r"---|%YAML|- |[\w.-]+:(\s(?!.*: )|$)"), "YAML, not JSON; convert it to JSON"),
    (re.compile("<"), "XML or HTML, not JSON; give the output of kvmppc probe --json"),
    (re.compile(""), "text (a log?), not JSON; give the output of kvmppc probe --json"),
)
_SHOWN = 60


class Lines:
    """The lines of one file that are not objects."""

    def __init__(self, complain: Callable[[int, str], None]) -> None:
        """``complain`` is called with the number of a line, and what is wrong with it."""
        self._complain = complain
        # The host that Ansible named, whose object has not come yet.
        self._name = ""
        self._ended_with = ""
        self._said = ""
        self._ansible = False
        # The host of a command that failed, which ansible --one-line prints in two lines.
        self._failed = ""
        # From dshbak: the lines of a heading so far, the hosts in the last heading, and whether no
        # line came since.
        self._heading: list[tuple[int, str]] = []
        self._under: list[str] = []
        self._silent = False
        # From pdsh: whether some line can only be its own, the hosts with an object, and the first
        # line of the others.
        self._is_pdsh = False
        self._named: set[str] = set()
        self._spoken: dict[str, str] = {}
        self._room = _IN_SETS
        # The number of lines that belong to no host, and of those that do if the file is from
        # pdsh; and the first of each.
        self._others = [0, 0]
        self._firsts = [(0, ""), (0, "")]

    @property
    def waiting(self) -> bool:
        """Whether an object without text before it may belong to a host that was named earlier."""
        return bool(self._name or self._under or self._heading)

    def take(self, document: Document) -> tuple[list[str] | None, list[tuple[str, Answer]]]:
        """Returns the names of the hosts of an object, and hosts that turn out to have none.

        ``document`` is an object with the text before it, or a line without one. Hosts that
        printed the same share an object; there is no name if the text has none. None in place of
        the names says that the object only repeats the line before it.
        """
        # clush writes "clush: 1/3", and overwrites it after a carriage return.
        before, is_object = document.before.rpartition("\r")[2], bool(document.text)
        if self._is_heading(document.line, before, is_object):
            return [], []
        ansible = None if self._under else _ANSIBLE.match(before)
        if ansible:
            lost = self._give_up()
            self._ansible = True
            name, status, rc, mark, said = ansible.groups()
            repeats = mark == "=>" and name == self._failed
            self._failed = name if rc and mark == "|" else ""
            if repeats:
                return None, lost
            if is_object:
                return [name], lost
            if mark == ">>":
                self._name, self._said = name, ""
                self._ended_with = f"exit code {rc}"
                return [], lost
            return [], [*lost, (name, _lost(status, said))]
        if self._name:
            if is_object:
                name, self._name = self._name, ""
                return [name], []
            self._said = self._said or before
            return [], []
        return self._take_pdsh(document.line, before, is_object), []

    def _take_pdsh(self, line: int, before: str, is_object: bool) -> list[str]:
        """The names of the hosts of an object, by the text before it or the heading above it."""
        hosts, said = [], before
        if not is_object and _NO_HOST.fullmatch(before):
            return []
        own, pdsh = _OWN.match(before), _PDSH.match(before)
        if own:
            self._is_pdsh = True
            hosts, said = self._hosts(line, own[1], own[2]), own[3]
        elif self._under:
            # The first line that is not an object is the reason for all of them.
            hosts = self._under if is_object or self._silent else self._under[:1]
            self._silent = False
            # Only one record, because errors of other hosts may follow it.
            self._under = [] if is_object else self._under
        elif pdsh and not is_object:
            hosts, said = self._expanded(pdsh[1]) or [pdsh[1]], pdsh[2]
        elif pdsh and not pdsh[2]:
            hosts = self._hosts(line, pdsh[1])
        if is_object:
            self._named.update(hosts)
            return hosts
        if len(self._spoken) >= _HELD and not self._is_pdsh:
            hosts = [host for host in hosts if host in self._spoken]
        for host in hosts:
            self._spoken[host] = self._spoken.get(host) or said
        self._count(line, before, bool(hosts))
        return []

    def _hosts(self, line: int, text: str, count: str | None = None) -> list[str]:
        """The hosts in a text that stands for one or several; ``count`` is how many clush says."""
        hosts = self._expanded(text)
        if hosts and len(hosts) == int(count or len(hosts)):
            return hosts
        self._complain(
            line,
            f"{text} stands for {count or 'several'} hosts and counts as one; "
            "print each host by itself (clush -L without -b, dshbak without -c)",
        )
        return [text]

    def _expanded(self, text: str) -> list[str]:
        """The hosts in a text; none for a group, or for a set that is too large."""
        if not _SET.search(text):
            return [text]
        hosts = expanded(text, self._room)
        self._room -= len(hosts)
        return hosts

    def _is_heading(self, line: int, before: str, is_object: bool) -> bool:
        """Whether a line belongs to a heading: a rule, the names of hosts and a rule."""
        is_rule = not is_object and bool(_RULE.fullmatch(before))
        after_rule = len(self._heading) == 1
        belongs = is_rule or (after_rule and not is_object and bool(_TITLE.fullmatch(before)))
        # Of two rules, the host above printed the first one.
        if not belongs or (is_rule and after_rule):
            self._no_heading()
        if not belongs:
            return False
        self._heading.append((line, before))
        if len(self._heading) == 3:
            number, title = self._heading[1]
            self._heading.clear()
            self._is_pdsh = True
            text, _, count = title.partition(" ")
            # Each line of pdsh's own messages names its host.
            self._under, self._silent = [], True
            if not text.startswith("pdsh@"):
                self._under = self._hosts(number, text, count.strip("()") or None)
                for host in self._under:
                    self._spoken.setdefault(host, "")
        return True

    def _no_heading(self) -> None:
        """Takes lines that looked like the beginning of a heading as other text."""
        lines = self._heading.copy()
        self._heading.clear()
        for number, line in lines:
            self._take_pdsh(number, line, is_object=False)

    def _count(self, number: int, line: str, spoken: bool = False) -> None:
        """Counts a line that is not an object; ``spoken`` if it may be what a host said."""
        self._others[spoken] += 1
        if self._others[spoken] == 1:
            self._firsts[spoken] = (number, line)

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
        if self._named or self._is_pdsh:
            self._others[True] = 0
            for name in self._spoken.keys() - self._named:
                lost.append((name, _lost("FAILED", self._spoken[name] or "it printed nothing")))
        return sorted(lost, key=lambda one: one[0])

    def wrong(self, alone: bool) -> str:
        """Returns the message about lines that belong to no host; "" if there are none.

        ``alone`` is whether the file has nothing else.
        """
        count = sum(self._others)
        if count == 0 or self._ansible:
            return ""
        number, text = min(first for first, n in zip(self._firsts, self._others) if n)
        if alone:
            kind = next(kind for form, kind in _KINDS if form.match(text))
            return f"this is {kind}"
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        more = f"; neither are {count - 1:,} others" if count > 1 else ""
        return f"line {number} is not a record ({shown}){more}; {EXPECTED}"


def _lost(status: str, said: str) -> Answer:
    said = " ".join(said.split())
    if status == "UNREACHABLE":
        return Answer("unreachable", f"Ansible could not reach the host: {said}")
    return Answer("failed", f"the query failed: {said}")
