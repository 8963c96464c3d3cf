"""Sets of hosts, as clush and dshbak print them: "lpar[08-10],vios1" has four hosts."""

from __future__ import annotations

import itertools
import re

# A comma inside brackets does not separate hosts.
_HOSTS = re.compile(r"(?:[^\[\],]|\[[^\[\]]*\])+")
_BRACKETS = re.compile(r"(\[[^\[\]]*\])")
_RANGE = re.compile("([0-9]{1,18})(?:-([0-9]{1,18}))?")


def expanded(text: str, most: int) -> list[str]:
    """Returns the hosts of a set; none if it has another form, or more hosts than ``most``.

    Numbers keep their zeros, and a name may have several ranges: "r[1-2]n[08-10]". Source:
    NodeSet and RangeSet of ClusterShell 1.10, and compress() in dshbak of pdsh 2.34.
    """
    parts = _HOSTS.findall(text)
    # "@name" is a group of ClusterShell, defined only where clush ran.
    if ",".join(parts) != text or any(part.startswith("@") for part in parts):
        return []
    hosts: list[str] = []
    for part in parts:
        room = most - len(hosts)
        choices = []
        for piece in _BRACKETS.split(part):
            choice = _numbers(piece[1:-1], room) if piece.startswith("[") else [piece]
            if not choice:
                return []
            choices.append(choice)
            room //= len(choice)
        hosts += map("".join, itertools.product(*choices))
    return hosts


def _numbers(ranges: str, most: int) -> list[str]:
    """The numbers of "08-10,12"; none if it has another form, or more numbers than ``most``."""
    numbers: list[str] = []
    for one in ranges.split(","):
        match = _RANGE.fullmatch(one)
        if match is None:
            return []
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 <= last - first < most - len(numbers):
            return []
        numbers += (str(number).zfill(len(match[1])) for number in range(first, last + 1))
    return numbers
