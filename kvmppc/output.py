"""How a report is written for people."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from kvmppc.report import HostReport

_PLATFORMS = {
    "powervm": "partition of PowerVM",
    "kvm": "guest of KVM or QEMU",
    "powernv": "bare metal",
}


def wants_color(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows color, and nobody objects (no-color.org)."""
    return (
        stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def report_text(report: HostReport, color: bool = False) -> str:
    """A report as a few aligned lines, each ending in a newline."""
    kind = "" if report.platform is None else f", {_PLATFORMS[report.platform]}"
    host = f"{report.hostname} ({report.machine}, Linux {report.kernel}{kind})"
    lines = [("host", _printable(host))]
    if report.cpu_physical or report.cpu_effective:
        lines.append(("processor", _processor(report)))
    if report.source is None:
        lines.append(("modes", f"no answer: {report.status}"))
    else:
        lines.append(("modes", _modes(report, color)))
    if report.unknown_bits:
        lines.append(("unknown", f"{report.unknown_bits:#x}: bits of no mode known here"))
    lines.append(("found", _printable(report.reason)))
    if report.remedy is not None:
        lines.append(("try", _printable(report.remedy)))
    first = "" if report.simulated is None else f"Simulated host {_printable(report.simulated)}.\n"
    return first + "".join(f"{name:<9}  {value}\n" for name, value in lines)


def _processor(report: HostReport) -> str:
    """Physical and effective side by side."""
    physical = report.cpu_physical.title if report.cpu_physical else "unknown"
    effective = report.cpu_effective.title if report.cpu_effective else "unknown"
    return f"{physical}, running in {effective} mode"


def _modes(report: HostReport, color: bool) -> str:
    """The modes, the newest marked."""
    if not report.modes:
        return "none that is known here"
    bold, plain = ("\x1b[1m", "\x1b[0m") if color else ("", "")
    mark = "newest" if report.source == "kvm" else "hint"
    names = [str(mode) for mode in report.modes]
    names[-1] = f"{bold}{names[-1]}{plain} ({mark})"
    return "  ".join(names)


def _printable(text: str) -> str:
    """Text from a host or a file, with what a terminal would act on made visible."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
