"""kvmppc decode: explains the numbers and names of the interface. Works on any machine."""

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
of a processor or a mode. Accepts several of them, and whole lines: of a log, of
/proc/cpuinfo, or of the output of lsprop, xxd or od.
"""
EPILOG = """\
A number without 0x is tried as decimal and as hexadecimal, and one of 8 digits in both byte
orders.

exit codes:
  0  at least one number or name is known
  1  no number is known; what each could be was printed
  2  usage error, neither a number of at most 64 bits nor a known name, or the output cannot
     be written
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("value", nargs="+", metavar="VALUE", help="a number, a name or a line")


def run(arguments: argparse.Namespace) -> int:
    """Prints what each number or name means, else what the numbers could be."""
    text = " ".join(arguments.value)
    found = findings(text)
    if not found:
        raise UsageError(
            f"{text[:60]!a}: no number of up to 64 bits and no known name; see kvmppc decode --help"
        )
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
    """The meaning of a finding, as in JSON; of a number, the first known interpretation."""
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
        # As powerpc's show_cpuinfo() prints the revision of POWER9 and POWER10.
        revision = f"{number >> 8 & 0xF}.{number & 0xFF}"
        value = f"{number:#010x}"
        return {"kind": "pvr", "value": value, "processor": processor, "revision": revision}
    return None


def _meaning_of_name(word: str) -> dict[str, object]:
    """The meaning of a name: "power10" is a processor and a mode, "power8nvl" a processor."""
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
            f"  {mode.label} mode, {str(mode)!r} in QEMU and libvirt{_no_bit(mode)}",
        ]
    if meaning["kind"] == "pvr":
        processor, number = Processor(str(meaning["processor"])), int(str(value), 16)
        return [
            f"{value}: a PVR",
            f"  the processor is a {processor.label}, revision {meaning['revision']}",
            f"  {number >> 16:#06x} is the processor, {number & 0xFFFF:#06x} its version",
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
        lines.append("  no bit in compat_capabilities")
    return lines


def _no_bit(mode: CpuMode) -> str:
    return "" if mode.bit else "; no bit in compat_capabilities"


def _mask(number: int) -> list[str]:
    """A mask by its bits, numbered from the most significant as in the kernel's documentation."""
    modes = modes_of(number)
    lines = [f"{number:#018x}: a compat_capabilities mask"]
    lines += [f"  bit {64 - mode.bit.bit_length()}  {mode.bit:#018x}  {mode}" for mode in modes]
    unknown = unknown_bits_of(number)
    if unknown:
        lines.append(f"  other  {unknown:#018x}  of unknown modes")
    return lines if number else [*lines, "  grants nothing"]


def _unknown(number: int) -> list[str]:
    """What an unknown number could be."""
    lines = [f"{number:#x}: unknown"]
    if number >> 24 == 0x0F:
        lines.append("  a cpu-version (logical PVR): an unknown mode")
    elif number < 1 << 32:
        lines.append("  as a PVR: an unknown processor")
    lines.append(f"  as a compat_capabilities mask: unknown modes, {number:#018x}")
    return lines
