"""What all commands that ask a host have in common: which host, and how it is asked."""

from __future__ import annotations

import os

from kvmppc.commands import UsageError, nearest
from kvmppc.host import Source, use_source
from kvmppc.output import printable
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

# Bytes. A record has about 900; what is much longer is some other file.
_RECORD_LIMIT = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --device and --simulate."""
    parser.add_argument(
        "--device", type=_device, default=DEVICE, metavar="PATH", help="default: %(default)s"
    )
    parser.add_argument(
        "--simulate", metavar="NAME", help="ask a simulated host; kvmppc hosts lists them"
    )


def add_sysroot(parser: argparse.ArgumentParser) -> None:
    """Adds --sysroot, for commands that have something to say of a host's files alone."""
    parser.add_argument(
        "--sysroot",
        metavar="DIR",
        help="read the files of another machine, as in a sosreport or a chroot, and ask no KVM",
    )


def _device(path: str) -> str:
    from argparse import ArgumentTypeError

    if not path or "\0" in path:
        raise ArgumentTypeError("a device is the path of a file")
    return path


def on_host(arguments: argparse.Namespace | SimpleNamespace) -> AbstractContextManager[object]:
    """The host to be on while asking: this one, or the simulated one that was named."""
    sysroot = getattr(arguments, "sysroot", None)
    if sysroot is not None:
        if arguments.simulate is not None or arguments.device != DEVICE:
            raise UsageError("--sysroot asks no host: leave --simulate and --device out")
        if not os.path.isdir(sysroot):
            raise UsageError(f"{printable(sysroot)}: no such folder")
        return _Files(sysroot)
    if arguments.simulate is None:
        from contextlib import nullcontext

        return nullcontext()
    # Loaded only here: the simulation is no part of what runs on a real host.
    from kvmppc.testing import simulated_host, simulated_hosts

    names = [host.name for host in simulated_hosts()]
    if arguments.simulate not in names:
        near = nearest(arguments.simulate, names)
        raise UsageError(f"no simulated host is called {arguments.simulate!r}{near}")
    return simulated_host(arguments.simulate)


class _Files:
    """Makes read_host() read a copy of another machine's files, for a ``with`` block."""

    def __init__(self, folder: str) -> None:
        self._source = Source(os.path.abspath(folder))

    def __enter__(self) -> None:
        self._source = use_source(self._source)

    def __exit__(self, *_: object) -> None:
        use_source(self._source)


def ask(arguments: argparse.Namespace | SimpleNamespace) -> HostReport:
    """Asks the host; of another machine's files, tells what they say."""
    if arguments.simulate is None and getattr(arguments, "sysroot", None) is None:
        return probe(arguments.device)  # as scripts do it, over and over: nothing more to load
    with on_host(arguments):
        if getattr(arguments, "sysroot", None) is not None:
            return describe()
        return probe(arguments.device)


def exit_code(report: HostReport) -> int:
    """The exit code for a report: 0 known, 1 known but no mode we know, 4 denied, else 3."""
    if report.status == "known":
        return 0 if report.modes else 1
    return 4 if report.status == "denied" else 3


def mode_named(name: str) -> CpuMode:
    """A mode by any spelling of its name, for argparse."""
    from argparse import ArgumentTypeError

    try:
        return CpuMode(name)
    except ValueError:
        raise ArgumentTypeError(f"{name!a} is no mode{nearest(name, GRANTABLE)}") from None


def add_report_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --report, which stands in for asking."""
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="do not ask, but read the host's record (kvmppc probe --json); - for standard input",
    )


def ask_or_read(arguments: argparse.Namespace) -> HostReport:
    """The report of the host that is asked, or of the record that was named instead."""
    if arguments.report is None:
        return ask(arguments)
    if arguments.simulate is not None or arguments.device != DEVICE:
        raise UsageError("--report asks no host: leave --simulate and --device out")
    data = read_input(arguments.report, _RECORD_LIMIT)
    try:
        return HostReport.from_json(data)
    except RecordError as error:
        raise UsageError(f"{input_name(arguments.report)}: {error}") from None


def read_input(path: str, limit: int) -> bytes:
    """A whole file, or standard input for "-", of up to a number of bytes."""
    try:
        with standard_input() if path == "-" else open(path, "rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{input_name(path)}: {reason}") from None
    if len(data) > limit:
        raise UsageError(f"{input_name(path)}: longer than {limit} bytes")
    return data


def input_name(path: str) -> str:
    """What a file is called in a message."""
    return "standard input" if path == "-" else path
