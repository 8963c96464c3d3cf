"""The kvmppc command: arguments in, text and an exit code out."""

from __future__ import annotations

import argparse
import os
import sys

from kvmppc._version import __version__
from kvmppc.output import report_text, wants_color
from kvmppc.report import probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from kvmppc.report import HostReport

USAGE = 2
_EXIT_CODES = """\
exit codes of probe:
  0  the kernel answered, and grants a mode
  1  the kernel answered, and grants no mode that is known
  2  the command was not understood, or its output could not be written
  3  no answer: a hint only, unsupported, unavailable, or an error
  4  permission denied
"""


def exit_code(report: HostReport) -> int:
    """The exit code that stands for a report's status."""
    if report.status == "known":
        return 0 if report.modes else 1
    return 4 if report.status == "denied" else 3


def _probe(arguments: argparse.Namespace) -> int:
    report = probe(arguments.device)
    if arguments.json:
        print(report.to_json())
    elif arguments.quiet:
        if report.newest is not None:
            print(report.newest)
        if report.status != "known":
            print(f"kvmppc: {report.status}: {report.reason}", file=sys.stderr)
    else:
        print(report_text(report, wants_color(sys.stdout)), end="")
    return exit_code(report)


def _hosts(_: argparse.Namespace) -> int:
    from kvmppc.testing import simulated_hosts

    for host in simulated_hosts():
        print(f"{host.name:<18}  {host.summary}")
    return 0


def _version() -> str:
    """The version, and whose definitions of the interface were compiled in."""
    from kvmppc.kvm import header_definitions

    names = ", ".join(f"{name} {source}" for name, source in header_definitions())
    return f"kvmppc {__version__} (linux/kvm.h: {names})"


class _Version(argparse.Action):
    """--version, which needs the compiled module only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(_version())
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kvmppc",
        description="Tells which processor modes this host's KVM can give to nested guests. "
        "Without a command: probe.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="command", required=True)

    command = commands.add_parser(
        "probe",
        help="ask this host",
        description="Asks this host which processor modes its nested guests can be given.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the record as one line of JSON")
    form.add_argument("-q", "--quiet", action="store_true", help="print the newest mode alone")
    command.add_argument(
        "--device", type=_device, default="/dev/kvm", metavar="PATH", help="default: %(default)s"
    )
    _add_simulate(command)
    command.set_defaults(run=_probe)

    command = commands.add_parser("hosts", help="list the simulated hosts")
    command.set_defaults(run=_hosts, simulate=None)
    return parser


def _add_simulate(command: argparse.ArgumentParser) -> None:
    """For every command that asks a host."""
    command.add_argument(
        "--simulate", metavar="NAME", help="ask a simulated host (kvmppc hosts lists them)"
    )


def _device(path: str) -> str:
    if not path or "\0" in path:
        raise argparse.ArgumentTypeError("a device is the path of a file")
    return path


def _run(arguments: argparse.Namespace) -> int:
    run: int
    if arguments.simulate is None:
        run = arguments.run(arguments)
        return run
    from kvmppc.testing import simulated_host

    try:
        host = simulated_host(arguments.simulate)
        with host:
            run = arguments.run(arguments)
            return run
    except ValueError as error:
        print(f"kvmppc: {error}", file=sys.stderr)
        return USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code. argparse exits by itself with 2 on wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help", "--version")):
        words.insert(0, "probe")
    try:
        code = _run(_parser().parse_args(words))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, as head does. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except KeyboardInterrupt:
        return 128 + 2
    except OSError as error:
        print(f"kvmppc: the output could not be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return USAGE
    return code
