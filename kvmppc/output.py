"""How a report is written for people, for shells and for Prometheus."""

from __future__ import annotations

import os

from kvmppc.processors import GRANTABLE, CpuMode, Processor, label_of
from kvmppc.record import FIELDS, STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

    from kvmppc.report import HostReport

_PLATFORMS = {
    "powervm": "partition of PowerVM",
    "kvm": "guest of KVM or QEMU",
    "powernv": "bare metal",
}


def wants_color(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that shows color, and nobody objects (no-color.org)."""
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def report_text(report: HostReport, color: bool = False) -> str:
    """A report as a few aligned lines, each ending in a newline."""
    kind = (
        "" if report.platform is None else f", {_PLATFORMS.get(report.platform, report.platform)}"
    )
    host = f"{report.hostname} ({report.machine}, Linux {report.kernel}{kind})"
    lines = [("host", printable(host))]
    if report.cpu_physical or report.cpu_effective:
        lines.append(("processor", _processor(report)))
    if report.status == "known":
        lines.append(("modes", _modes(report, color)))
    else:
        lines.append(("modes", f"no answer: {report.status}"))
    if report.hint is not None:
        lines.append(("hint", f"{report.hint}, the mode of the host itself"))
    if report.unknown_bits:
        lines.append(("unknown", f"{report.unknown_bits:#x}: bits of no mode known here"))
    if report.later:
        names = ", ".join(report.later)
        lines.append(("later", printable(f"of kvmppc {report.version}, not known here: {names}")))
    lines.append(("found", printable(report.reason)))
    if report.remedy is not None:
        lines.append(("try", printable(report.remedy)))
    first = "" if report.simulated is None else f"Simulated host {printable(report.simulated)}.\n"
    return first + "".join(f"{name:<9}  {value}\n" for name, value in lines)


def _processor(report: HostReport) -> str:
    """Physical and effective side by side."""
    return f"{label_of(report.cpu_physical)}, running in {label_of(report.cpu_effective)} mode"


def _modes(report: HostReport, color: bool) -> str:
    """The modes, the newest marked."""
    if not report.modes:
        return "none that is known here"
    bold, plain = ("\x1b[1m", "\x1b[0m") if color else ("", "")
    names = [str(mode) for mode in report.modes]
    names[-1] = f"{bold}{names[-1]}{plain} (newest)"
    return "  ".join(names)


def printable(text: str) -> str:
    """Text from a host or a file, with what a terminal would act on made visible."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def report_shell(report: HostReport) -> str:
    """A report as assignments that a POSIX shell can eval, one a line: KVMPPC_STATUS=known.

    All of the record's keys are there, in capitals; null is empty, modes are separated by
    spaces, and what a terminal would act on is made visible.
    """
    # Not at the top: only this form needs it.
    from shlex import quote

    # No key of a later version: it could be anything, and a shell is to evaluate its name.
    record = report.to_dict()
    values = {
        name: " ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in ((name, record[name]) for name in ("schema", *FIELDS))
    }
    return "".join(
        f"KVMPPC_{name.upper()}={quote('' if value is None else printable(str(value)))}\n"
        for name, value in values.items()
    )


_INFO = (
    "version",
    "hostname",
    "simulated",
    "machine",
    "kernel",
    "platform",
    "cpu_physical",
    "cpu_effective",
    "revision",
)


def report_metrics(report: HostReport) -> str:
    """A report in Prometheus' text format, for node_exporter's textfile collector.

    Source: the text-based format of prometheus.io's "Exposition formats". Where the kernel
    did not answer, nothing is said of modes: 0 would be a guess.
    """
    record = report.to_dict()
    text = _metric(
        "kvmppc_info",
        "The host that was asked, and the kvmppc that asked; always 1.",
        [({name: record[name] for name in _INFO}, 1)],
    )
    text += _metric(
        "kvmppc_status",
        "How asking ended: 1 for one status, 0 for the others.",
        [({"status": status}, int(status == report.status)) for status in STATUSES],
    )
    text += _metric(
        "kvmppc_probe_timestamp_seconds",
        "When the host was asked, in seconds since 1970.",
        [({}, _seconds(report.time))],
    )
    physical, effective = report.cpu_physical, report.cpu_effective
    if isinstance(physical, Processor) and effective is not None:
        text += _metric(
            "kvmppc_compatibility_mode",
            "Whether the host itself runs in the mode of an earlier processor than its own.",
            [({}, int(physical.mode != effective))],
        )
    if report.status == "known":
        text += _metric(
            "kvmppc_mode_granted",
            "Whether nested guests can be given the processor mode; missing if not known.",
            [({"mode": str(mode)}, int(mode in report.modes)) for mode in _columns(report.modes)],
        )
    return text


def _columns(modes: Iterable[CpuMode]) -> list[CpuMode]:
    """The modes to say yes or no to: those with a bit, and what bare metal has beyond them."""
    return sorted({*GRANTABLE, *modes})


def _metric(name: str, meaning: str, samples: Iterable[tuple[Mapping[str, object], int]]) -> str:
    """One metric, a gauge: what it means, and a line for each set of labels."""
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_label(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _label(value: object) -> str:
    """A label's value. Of what the format has escapes for, printable() leaves these two."""
    text = "" if value is None else printable(str(value))
    return text.replace("\\", r"\\").replace('"', r"\"")


def report_nfd(report: HostReport) -> str:
    """A report as node labels, for a file in node-feature-discovery's features.d.

    A line is a label and its value. Source: "Feature files" in node-feature-discovery's
    customization guide; it puts its own prefix, feature.node.kubernetes.io/, before the names.
    Where the kernel did not answer, there is no label for any mode.
    """
    labels: dict[str, object] = {
        "status": report.status,
        "simulated": report.simulated,
        "cpu": report.cpu_physical,
        "cpu-mode": report.cpu_effective,
    }
    if report.status == "known":
        labels["newest"] = report.newest
        for mode in _columns(report.modes):
            labels[f"mode.{mode}"] = str(mode in report.modes).lower()
    return "".join(
        f"kvmppc.{name}={_label_value(str(value))}\n"
        for name, value in labels.items()
        if value is not None
    )


def _label_value(text: str) -> str:
    """Text as Kubernetes takes it for a label's value.

    At most 63 of A-Z a-z 0-9 - _ . with a letter or digit at both ends. Source: "Labels and
    Selectors" in the Kubernetes documentation.
    """
    text = text.replace("+", "plus")  # else POWER7+ would be POWER7
    letters = (c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in text)
    return "".join(letters)[:63].strip("-_.")


def _seconds(text: str) -> int:
    """A record's time in seconds since 1970."""
    import calendar
    import time

    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
