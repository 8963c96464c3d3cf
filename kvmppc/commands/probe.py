"""kvmppc probe: asks this host, and prints what it said."""

from __future__ import annotations

import sys

from kvmppc.commands import asking
from kvmppc.output import report_text, wants_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

DESCRIPTION = "Asks this host's KVM which processor modes its nested guests can be given."
EPILOG = """\
exit codes:
  0  the kernel answered, and grants a mode
  1  the kernel answered, and grants no mode that is known here
  2  the command was not understood, or its output could not be written
  3  no answer: a hint only, unsupported, unavailable, or an error
  4  permission denied
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the record as one line of JSON")
    form.add_argument("-q", "--quiet", action="store_true", help="print the newest mode alone")
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Asks and prints."""
    report = asking.ask(arguments)
    if arguments.json:
        print(report.to_json())
    elif arguments.quiet:
        if report.newest is not None:
            print(report.newest)
        if report.status != "known":
            print(f"kvmppc: {report.status}: {report.reason}", file=sys.stderr)
    else:
        print(report_text(report, wants_color(sys.stdout)), end="")
    return asking.exit_code(report)
