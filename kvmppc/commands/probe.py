"""kvmppc probe: asks this host, and prints what it said."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from kvmppc import streams
from kvmppc.commands import asking
from kvmppc.output import report_metrics, report_nfd, report_shell, report_text, wants_color
from kvmppc.record import schema_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kvmppc.report import HostReport

DESCRIPTION = "Asks this host's KVM which processor modes its nested guests can be given."
EPILOG = """\
exit codes:
  0  the kernel answered, and grants a mode
  1  the kernel answered, and grants no mode that is known here
  2  the command was not understood, or its output could not be written
  3  no answer: a hint only, unsupported, unavailable, or an error
  4  permission denied
"""


def _plain(form: str) -> SimpleNamespace:
    """What the parser makes of words that name a form and nothing else."""
    return SimpleNamespace(
        format=form,
        output=None,
        exit_zero=False,
        device=asking.DEVICE,
        simulate=None,
        sysroot=None,
        schema=False,
    )


# As scripts start it, over and over.
PLAIN: dict[tuple[str, ...], SimpleNamespace] = {
    (): _plain("text"),
    ("--json",): _plain("json"),
    ("-q",): _plain("quiet"),
    ("--quiet",): _plain("quiet"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("text", "json", "shell", "metrics", "nfd"),
        default="text",
        help="json: the record in one line; shell: assignments to eval; "
        "metrics: for Prometheus; nfd: for node-feature-discovery; default: %(default)s",
    )
    form.add_argument(
        "--json", action="store_const", const="json", dest="format", help="short for --format json"
    )
    form.add_argument(
        "-q",
        "--quiet",
        action="store_const",
        const="quiet",
        dest="format",
        help="print the newest mode alone",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write to a file, which is replaced as a whole: its readers never see half of it",
    )
    parser.add_argument(
        "--exit-zero",
        action="store_true",
        help="exit with 0 whatever the host said: the record tells",
    )
    parser.add_argument(
        "--schema", action="store_true", help="print the record's JSON Schema, and ask no host"
    )
    asking.add_sysroot(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace | SimpleNamespace) -> int:
    """Asks and prints."""
    if arguments.schema:
        streams.answer(schema_text())
        return 0
    report = asking.ask(arguments)
    text = _text(report, arguments.format, color=arguments.output is None)
    if arguments.output in (None, "-"):
        (streams.say if arguments.format == "text" else streams.answer)(text)
    else:
        # Not at the top: most who ask write no file.
        from kvmppc.commands.outputfile import write_file

        write_file(arguments.output, text)
    if arguments.format == "quiet" and report.status != "known":
        streams.tell(f"{report.status}: {report.reason}")
    return 0 if arguments.exit_zero else asking.exit_code(report)


def _text(report: HostReport, form: str, color: bool) -> str:
    """What is printed in one of the forms."""
    if form == "json":
        return report.to_json() + "\n"
    if form == "shell":
        return report_shell(report)
    if form == "metrics":
        return report_metrics(report)
    if form == "nfd":
        return report_nfd(report)
    if form == "quiet":
        return "" if report.newest is None else f"{report.newest}\n"
    return report_text(report, color and wants_color(sys.stdout))
