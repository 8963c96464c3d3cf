"""kvmppc decode: explains the numbers and names of the interface, on any machine."""

from __future__ import annotations

from kvmppc.commands import UsageError
from kvmppc.commands.findings import findings
from kvmppc.processors import (
    CpuMode,
    Processor,
    find_processor,
    modes_of,
    own_mode,
    unknown_bits_of,
)
from kvmppc.streams import answer, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kvmppc.commands.findings import Finding

DESCRIPTION = """\
Explains a compat_capabilities mask (0x6000000000000000), a device tree's cpu-version
(0x0f000006), a processor's PVR (0x00801200, or "0080 1200" as in /proc/cpuinfo), or the name
of a processor or a mode. Takes several of them, and whole lines: of a log, of /proc/cpuinfo,
of lsprop, xxd or od.
"""
EPILOG = """\
A number of digits alone is tried as decimal and as hexadecimal, and one of 8 digits in either
byte order.

exit codes:
  0  something is known
  1  nothing is known; what the numbers could be is printed
  2  there is no number of up to 64 bits, and no name that is known
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("value", nargs="+", metavar="VALUE", help="a number, a name or a line")


def run(arguments: argparse.Namespace) -> int:
    """Prints what is known of each finding, else what the numbers could be."""
    text = " ".join(arguments.value)
    found = findings(text)
    if not found:
        raise UsageError(f"{text[:60]!a} has no number of up to 64 bits and no name known here")
    known = [meaning for one in found for meaning in [_meaning(one)] if meaning]
    if arguments.json:
        import json

        answer(json.dumps({"schema": 1, "meanings": known}) + "\n")
        return 0 if known else 1
    lines = [line for meaning in known for line in _lines(meaning)]
    if not known:
        numbers = [number for one in found if not isinstance(one, str) for number in one]
        lines = [line for number in numbers for line in _unknown(number)]
    say("".join(f"{line}\n" for line in lines))
    return 0 if known else 1


def _meaning(finding: Finding) -> dict[str, object] | None:
    """What a finding means, as JSON has it; of a number's readings the first that is known."""
    if isinstance(finding, str):
        return _meaning_of_name(finding)
    meanings = map(_meaning_of_number, finding)
    return next((meaning for meaning in meanings if meaning is not None), None)


def _meaning_of_number(number: int) -> dict[str, object] | None:
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
        # As powerpc's show_cpuinfo() tells these processors' revision.
        revision = f"{number >> 8 & 0xF}.{number & 0xFF}"
        value = f"{number:#010x}"
        return {"kind": "pvr", "value": value, "processor": processor, "revision": revision}
    return None


def _meaning_of_name(word: str) -> dict[str, object]:
    """Both that a name is of: "power10" is a processor and a mode, "power8nvl" a processor."""
    processor = find_processor(word)
    mode = own_mode(processor) or CpuMode(word)
    return {
        "kind": "name",
        "value": word,
        "processor": processor,
        "pvr": None if processor is None else f"{processor.pvr << 16:#010x}",
        "mode": mode,
        "cpu_version": f"{mode.cpu_version:#010x}",
        "bit": f"{mode.bit:#018x}" if mode.bit else None,
    }


def _lines(meaning: dict[str, object]) -> list[str]:
    """A meaning for people."""
    value = meaning["value"]
    if meaning["kind"] == "compat_capabilities":
        return _mask(int(str(value), 16))
    if meaning["kind"] == "cpu-version":
        mode = CpuMode(str(meaning["mode"]))
        return [
            f"{value}: a cpu-version (logical PVR)",
            f"  {mode.label} mode, {str(mode)!r} for QEMU and libvirt{_no_bit(mode)}",
        ]
    if meaning["kind"] == "pvr":
        processor, number = Processor(str(meaning["processor"])), int(str(value), 16)
        return [
            f"{value}: a PVR",
            f"  the processor is a {processor.label}, revision {meaning['revision']}",
            f"  {number >> 16:#06x} names the processor, {number & 0xFFFF:#06x} its version",
        ]
    return _name(str(value), CpuMode(str(meaning["mode"])), meaning["pvr"])


def _name(word: str, mode: CpuMode, pvr: object) -> list[str]:
    lines = [f"{word}: a processor, whose own mode is {mode.label}" if pvr else f"{word}: a mode"]
    if pvr:
        lines.append(f"  PVR {str(pvr)[:6]}....")
    lines.append(f"  cpu-version {mode.cpu_version:#010x}")
    if mode.bit:
        lines.append(f"  bit {64 - mode.bit.bit_length()} of compat_capabilities, {mode.bit:#018x}")
    else:
        lines.append("  no bit in this interface")
    return lines


def _no_bit(mode: CpuMode) -> str:
    return "" if mode.bit else "; no bit in this interface"


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
