"""Finds numbers and names in text: in a line of a log, a dump or a file.

Hardware name: IBM,9080-HEX POWER10 (raw) 0x800200 0xf000006 of:IBM,FW1060.00 hv:phyp pSeries
revision : 2.0 (pvr 0082 0200)
cpu-version      0f000006 (251658246)              lsprop
00000000: 0f00 0006                                xxd
0000000 0600000f                                   od -x, in this machine's byte order
"""

from __future__ import annotations

import re

from kvmppc.processors import find_mode, find_processor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Union

    # A name, or a number in all possible interpretations of its digits.
    Finding = Union[str, tuple[int, ...]]

# Groups of digits after an offset of 0; xxd's text column comes after two spaces.
_DUMP = re.compile(r"\s*0{6,8}:?((?: +[0-9a-fA-F]+)+)(?:  .*)?\s*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,64}|[0-9a-fA-F]{1,64}")
# What is certainly a number in a text: with a 0x, a PVR in two halves, or of full length.
_IN_TEXT = re.compile(
    r"(?<!\w)(?:0[xX][0-9a-fA-F]{1,64}|[0-9a-fA-F]{4} [0-9a-fA-F]{4}"
    r"|[0-9a-fA-F]{16}|[0-9a-fA-F]{8})(?!\w)"
)
_WORD = re.compile(r"[A-Za-z][\w+.]*")


def findings(text: str) -> list[Finding]:
    """All numbers and names in a text, in order; numbers of more than 64 bits are left out."""
    found: list[Finding] = []
    for line in text.splitlines():
        dump = _DUMP.fullmatch(line)
        words = line.split()
        if dump is not None:
            found += _readings_of_dump(dump[1].split())
        elif all(map(_NUMBER.fullmatch, words)):
            found += _numbers(words)
        else:
            found += _in_text(line)
    return found


def _readings_of_dump(groups: list[str]) -> list[Finding]:
    """The number in a dump of 4 or 8 bytes: as written, and with each group's bytes swapped."""
    digits = "".join(groups)
    if len(digits) not in (8, 16) or len({len(group) for group in groups}) > 1:
        return []
    if len(groups[0]) % 2:
        return []
    reversed_ = "".join(bytes.fromhex(group)[::-1].hex() for group in groups)
    return [(int(digits, 16), int(reversed_, 16))]


def _numbers(words: list[str]) -> Iterator[Finding]:
    """The numbers in a line that has only numbers."""
    words = words[::-1]
    while words:
        word = words.pop()
        # As /proc/cpuinfo writes a PVR: "0080 1200".
        if words and len(word) == len(words[-1]) == 4 and not word.lower().startswith("0x"):
            word = f"0x{word}{words.pop()}"
        yield from _number(word)


def _number(word: str) -> Iterator[Finding]:
    """One number: without 0x decimal or hexadecimal; of 32 bits, in both byte orders."""
    if word.lower().startswith("0x"):
        if int(word, 16) < 1 << 64:
            yield (int(word, 16),)
        return
    readings = [int(word, 16)]
    if word.isdecimal():
        readings.insert(0, int(word))
    if len(word) == 8:
        readings.append(int.from_bytes(bytes.fromhex(word), "little"))
    fitting = tuple(dict.fromkeys(number for number in readings if number < 1 << 64))
    if fitting:
        yield fitting


def _in_text(line: str) -> Iterator[Finding]:
    """The numbers and names among other words; each name once."""
    seen: set[str] = set()
    for match in sorted(
        (*_IN_TEXT.finditer(line), *_WORD.finditer(line)), key=lambda match: match.start()
    ):
        word = match[0]
        if match.re is _IN_TEXT:
            # A PVR in two halves, separated by a space, is hexadecimal.
            yield from _number("0x" + word.replace(" ", "") if " " in word else word)
        elif (find_processor(word) or find_mode(word)) and word.lower() not in seen:
            seen.add(word.lower())
            yield word
