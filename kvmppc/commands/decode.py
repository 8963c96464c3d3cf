"""kvmppc decode: explains a number of the interface, on any machine."""

from __future__ import annotations

from kvmppc.commands import UsageError
from kvmppc.processors import CpuMode, Processor, modes_of, unknown_bits_of
from kvmppc.streams import answer, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Explains a compat_capabilities mask (0x6000000000000000), a device tree's cpu-version
(0x0f000006) or a processor's PVR (0x00801200, or "0080 1200" as in /proc/cpuinfo).
"""
EPILOG = """\
Decimal and hexadecimal numbers are taken. One of digits alone is tried as both.

exit codes:
  0  the number is known
  1  the number is not known; what it could be is printed
  2  this is not a number of up to 64 bits
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("value", nargs="+", metavar="VALUE", help="one number")


def run(arguments: argparse.Namespace) -> int:
    """Prints what is known of the number, else what it could be."""
    text = " ".join(arguments.value)
    numbers = [number for number in _numbers(text) if number < 1 << 64]
    if not numbers:
        raise UsageError(f"{text[:60]!a} is not a number of up to 64 bits")
    known = [lines for number in numbers for lines in [_known(number)] if lines]
    if arguments.json:
        answer(_json(numbers))
        return 0 if known else 1
    lines = [line for group in known or map(_unknown, numbers) for line in group]
    say("".join(f"{line}\n" for line in lines))
    return 0 if known else 1


def _numbers(text: str) -> list[int]:
    """The numbers that a text can mean: one, or two for digits without a base, or none."""
    words = text.split("pvr")[-1].strip(" ()").split()
    if len(words) == 2 and all(len(word) == 4 for word in words):
        # As /proc/cpuinfo writes a PVR: "0080 1200".
        return _parsed("".join(words), 16)
    if len(words) != 1:
        return []
    word = words[0]
    if word.lower().startswith("0x"):
        return _parsed(word[2:], 16)
    return list(dict.fromkeys(_parsed(word, 10) + _parsed(word, 16)))


def _parsed(digits: str, base: int) -> list[int]:
    allowed = "0123456789abcdef"[:base]
    if not digits or len(digits) > 64 or not set(digits.lower()) <= set(allowed):
        return []
    return [int(digits, base)]


def _known(number: int) -> list[str]:
    """What a number means, in lines; none where it is not known."""
    if number == 0 or modes_of(number):
        return _mask(number)
    if number >= 1 << 32:
        return []
    mode = CpuMode.from_cpu_version(number)
    if mode is not None:
        return [
            f"{number:#010x}: a cpu-version (logical PVR)",
            f"  {mode.label} mode, {str(mode)!r} for QEMU and libvirt",
        ]
    processor = Processor.from_pvr(number)
    if processor is not None:
        # As powerpc's show_cpuinfo() tells these processors' revision.
        major, minor = number >> 8 & 0xF, number & 0xFF
        return [
            f"{number:#010x}: a PVR",
            f"  the processor is a {processor.label}, revision {major}.{minor}",
            f"  {number >> 16:#06x} names the processor, {number & 0xFFFF:#06x} its version",
        ]
    return []


def _json(numbers: list[int]) -> str:
    """What is known of the numbers, as one line of JSON; no meaning where nothing is."""
    import json

    meanings = [meaning for number in numbers for meaning in [_meaning(number)] if meaning]
    return json.dumps({"schema": 1, "meanings": meanings}) + "\n"


def _meaning(number: int) -> dict[str, object] | None:
    """What a number means, as JSON has it; as _known() has it for people."""
    mode, processor = CpuMode.from_cpu_version(number), Processor.from_pvr(number)
    if number == 0 or modes_of(number):
        return {
            "kind": "compat_capabilities",
            "value": f"{number:#018x}",
            "modes": modes_of(number),
            "unknown_bits": f"{unknown_bits_of(number):#x}",
        }
    if mode is not None:
        return {"kind": "cpu-version", "value": f"{number:#010x}", "mode": mode}
    if processor is not None:
        revision = f"{number >> 8 & 0xF}.{number & 0xFF}"
        value = f"{number:#010x}"
        return {"kind": "pvr", "value": value, "processor": processor, "revision": revision}
    return None


def _mask(number: int) -> list[str]:
    """A mask by its bits, counted from the top as the kernel's documentation does."""
    modes = modes_of(number)
    lines = [f"{number:#018x}: a compat_capabilities mask"]
    lines += [f"  bit {64 - mode.bit.bit_length()}  {mode.bit:#018x}  {mode}" for mode in modes]
    unknown = unknown_bits_of(number)
    if unknown:
        lines.append(f"  other  {unknown:#018x}  of no mode known here")
    return lines if number else [*lines, "  grants nothing"]


def _unknown(number: int) -> list[str]:
    """What a number could be that is not known."""
    lines = [f"{number:#x}: not known here"]
    if number >> 24 == 0x0F:
        lines.append("  a cpu-version (logical PVR) of a mode that is not known here")
    elif number < 1 << 32:
        lines.append("  as a PVR, a processor that is not known here")
    lines.append(f"  as a compat_capabilities mask, bits of no mode known here: {number:#018x}")
    return lines
