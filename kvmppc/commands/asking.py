"""What all commands that query a host share: which host, and how it is queried."""

from __future__ import annotations

import os

from kvmppc.commands import UsageError, nearest
from kvmppc.host import Source, use_source
from kvmppc.processors import GRANTABLE, CpuMode
from kvmppc.record import RecordError
from kvmppc.report import HostReport, describe, probe
from kvmppc.streams import standard_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager
    from types import SimpleNamespace


DEVICE = "/dev/kvm"

# Bytes. A record has about 900; a much longer file is something else.
_RECORD_LIMIT = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --device and --simulate."""
    parser.add_argument(
        "--device",
        type=_device,
        default=DEVICE,
        metavar="PATH",
        help="the KVM device; default: %(default)s",
    )
    parser.add_argument(
        "--simulate", metavar="NAME", help="query a simulated host; kvmppc hosts lists them"
    )


def add_sysroot(parser: argparse.ArgumentParser) -> None:
    """Adds --sysroot, for commands that can work from a host's files alone."""
    parser.add_argument(
        "--sysroot",
        metavar="DIR",
        help="read the files of another machine (a sosreport, a chroot) and do not query KVM",
    )


def _device(path: str) -> str:
    from argparse import ArgumentTypeError

    if not path or "\0" in path:
        raise ArgumentTypeError("not a path; give the path of the KVM device")
    return path


def on_host(arguments: argparse.Namespace | SimpleNamespace) -> AbstractContextManager[object]:
    """Makes the process run on the selected host: this one, a simulated one, or a copy of files."""
    sysroot = getattr(arguments, "sysroot", None)
    if sysroot is not None:
        if arguments.simulate is not None or arguments.device != DEVICE:
            raise UsageError("--sysroot does not query KVM; remove --simulate and --device")
        return _Files(sysroot)
    if arguments.simulate is None:
        from contextlib import nullcontext

        return nullcontext()
    # Not at the top: a query of a real host never loads the simulation.
    from kvmppc.testing import simulated_host, simulated_hosts

    names = [host.name for host in simulated_hosts()]
    if arguments.simulate not in names:
        near = nearest(arguments.simulate, names)
        raise UsageError(f"unknown simulated host {arguments.simulate!r}{near}")
    return simulated_host(arguments.simulate)


class _Files:
    """Makes read_host() read a copy of another machine's files, for a ``with`` block."""

    def __init__(self, folder: str) -> None:
        try:
            os.listdir(folder)
            self._source = Source(os.path.abspath(folder))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"--sysroot {folder!r}: {reason}") from None

    def __enter__(self) -> None:
        self._source = use_source(self._source)

    def __exit__(self, *_: object) -> None:
        use_source(self._source)


def ask(arguments: argparse.Namespace | SimpleNamespace) -> HostReport:
    """Queries the host, or reports what the files of another machine contain."""
    if arguments.simulate is None and getattr(arguments, "sysroot", None) is None:
        return probe(arguments.device)  # the case that scripts repeat: nothing more to load
    with on_host(arguments):
        if getattr(arguments, "sysroot", None) is not None:
            return describe()
        return probe(arguments.device)


def exit_code(report: HostReport) -> int:
    """The exit code for a report: 0 known, 1 known without a known mode, 4 denied, else 3."""
    if report.status == "known":
        return 0 if report.modes else 1
    return 4 if report.status == "denied" else 3


def mode_named(name: str) -> CpuMode:
    """The mode of a name in any spelling, for argparse."""
    from argparse import ArgumentTypeError

    try:
        return CpuMode(name)
    except ValueError:
        raise ArgumentTypeError(f"unknown mode {name!a}{nearest(name, GRANTABLE)}") from None


def add_report_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --report, which replaces the query."""
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="do not query KVM; read FILE, a record of kvmppc probe --json (- for standard input)",
    )


def ask_or_read(arguments: argparse.Namespace) -> HostReport:
    """The report of the selected host, or of the record in --report."""
    if arguments.report is None:
        return ask(arguments)
    if arguments.simulate is not None or arguments.device != DEVICE:
        raise UsageError("--report does not query KVM; remove --simulate and --device")
    data = read_input(arguments.report, _RECORD_LIMIT)
    try:
        return HostReport.from_json(data)
    except RecordError as error:
        raise UsageError(f"{input_name(arguments.report)}: {error}") from None


def read_input(path: str, limit: int) -> bytes:
    """Returns a whole file, or standard input for "-". Raises UsageError above ``limit`` bytes."""
    try:
        with standard_input() if path == "-" else open(path, "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{input_name(path)}: {reason}") from None
    if len(data) > limit:
        raise UsageError(f"{input_name(path)}: longer than {limit} bytes; give the right file")
    return data


def input_name(path: str) -> str:
    """The name of a file in a message."""
    return "standard input" if path == "-" else path
