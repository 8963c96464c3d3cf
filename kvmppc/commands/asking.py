"""What all commands that ask a host have in common: which host, and how it is asked."""

from __future__ import annotations

import argparse
import contextlib

from kvmppc.commands import UsageError
from kvmppc.report import probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kvmppc.report import HostReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --device and --simulate."""
    parser.add_argument(
        "--device", type=_device, default="/dev/kvm", metavar="PATH", help="default: %(default)s"
    )
    parser.add_argument(
        "--simulate", metavar="NAME", help="ask a simulated host; kvmppc hosts lists them"
    )


def _device(path: str) -> str:
    if not path or "\0" in path:
        raise argparse.ArgumentTypeError("a device is the path of a file")
    return path


def on_host(arguments: argparse.Namespace) -> AbstractContextManager[object]:
    """The host to be on while asking: this one, or the simulated one that was named."""
    if arguments.simulate is None:
        return contextlib.nullcontext()
    # Loaded only here: the simulation is no part of what runs on a real host.
    from kvmppc.testing import simulated_host, simulated_hosts

    names = [host.name for host in simulated_hosts()]
    if arguments.simulate not in names:
        raise UsageError(
            f"no simulated host is called {arguments.simulate!r}; there are {', '.join(names)}"
        )
    return simulated_host(arguments.simulate)


def ask(arguments: argparse.Namespace) -> HostReport:
    """Asks the host."""
    with on_host(arguments):
        return probe(arguments.device)


def exit_code(report: HostReport) -> int:
    """The exit code for a report: 0 known, 1 known but no mode we know, 4 denied, else 3."""
    if report.status == "known":
        return 0 if report.modes else 1
    return 4 if report.status == "denied" else 3
