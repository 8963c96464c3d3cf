"""Formats a report for people, shells, Prometheus and node-feature-discovery."""

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
    """Whether a stream is a terminal with color, and NO_COLOR is not set (no-color.org)."""
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def report_text(report: HostReport, color: bool = False) -> str:
    """A report as aligned lines, each with a newline at its end."""
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
        lines.append(("hint", f"{report.hint}, the host's own mode"))
    if report.unknown_bits:
        lines.append(("unknown", f"{report.unknown_bits:#x}: bits of unknown modes"))
    if report.later:
        names = ", ".join(report.later)
        lines.append(
            (
                "later",
                printable(f"keys of kvmppc {report.version} unknown to this version: {names}"),
            )
        )
    lines.append(("found", printable(report.reason)))
    if report.remedy is not None:
        lines.append(("try", printable(report.remedy)))
    first = "" if report.simulated is None else f"Simulated host {printable(report.simulated)}.\n"
    return first + "".join(f"{name:<9}  {value}\n" for name, value in lines)


def _processor(report: HostReport) -> str:
    """The physical processor and the effective mode."""
    return f"{label_of(report.cpu_physical)}, running in {label_of(report.cpu_effective)} mode"


def _modes(report: HostReport, color: bool) -> str:
    """The modes, the newest marked."""
    if not report.modes:
        return "none that kvmppc knows"
    bold, plain = ("\x1b[1m", "\x1b[0m") if color else ("", "")
    names = [str(mode) for mode in report.modes]
    names[-1] = f"{bold}{names[-1]}{plain} (newest)"
    return "  ".join(names)


def printable(text: str) -> str:
    """Text from a host or a file, with control characters escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def report_shell(report: HostReport) -> str:
    """A report as assignments for the eval of a POSIX shell, one per line: KVMPPC_STATUS=known.

    Contains all keys of the record, in capitals. null becomes the empty string, modes are
    separated by spaces, and control characters are escaped.
    """
    # Not at the top: only this form needs it.
    from shlex import quote

    # Without the keys of later versions: a shell evaluates the name, which could be anything.
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

    Source: the text-based format in prometheus.io's "Exposition formats". Without an answer
    there is no metric for modes: 0 would be a guess.
    """
    record = report.to_dict()
    text = _metric(
        "kvmppc_info",
        "The queried host, and the version of kvmppc; always 1.",
        [({name: record[name] for name in _INFO}, 1)],
    )
    text += _metric(
        "kvmppc_status",
        "The result of the query: 1 for one status, 0 for the others.",
        [({"status": status}, int(status == report.status)) for status in STATUSES],
    )
    text += _metric(
        "kvmppc_probe_timestamp_seconds",
        "The time of the query, in seconds since 1970.",
        [({}, _seconds(report.time))],
    )
    physical, effective = report.cpu_physical, report.cpu_effective
    if isinstance(physical, Processor) and effective is not None:
        text += _metric(
            "kvmppc_compatibility_mode",
            "Whether the host runs in the mode of an earlier processor than its own.",
            [({}, int(physical.mode != effective))],
        )
    if report.status == "known":
        text += _metric(
            "kvmppc_mode_granted",
            "Whether the host grants the processor mode to guests; absent if not known.",
            [({"mode": str(mode)}, int(mode in report.modes)) for mode in _columns(report.modes)],
        )
    return text


def _columns(modes: Iterable[CpuMode]) -> list[CpuMode]:
    """The modes to report on: those with a bit, and others that bare metal grants."""
    return sorted({*GRANTABLE, *modes})


def _metric(name: str, meaning: str, samples: Iterable[tuple[Mapping[str, object], int]]) -> str:
    """One gauge: its help text, and a line for each set of labels."""
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_label(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return "\n".join(lines) + "\n"


def _label(value: object) -> str:
    """The value of a label. printable() escapes all special characters but these two."""
    text = "" if value is None else printable(str(value))
    return text.replace("\\", r"\\").replace('"', r"\"")


def report_nfd(report: HostReport) -> str:
    """A report as node labels, for a file in node-feature-discovery's features.d.

    Each line has a label and its value. Source: "Feature files" in the customization guide of
    node-feature-discovery, which adds its prefix, feature.node.kubernetes.io/, to the names.
    Without an answer there are no labels for modes.
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
    """Text as a valid value of a Kubernetes label.

    At most 63 characters of A-Z a-z 0-9 - _ . with a letter or digit at both ends. Source:
    "Labels and Selectors" in the Kubernetes documentation.
    """
    text = text.replace("+", "plus")  # or POWER7+ would become POWER7
    letters = (c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in text)
    return "".join(letters)[:63].strip("-_.")


def _seconds(text: str) -> int:
    """The time of a record, in seconds since 1970."""
    import calendar
    import time

    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
