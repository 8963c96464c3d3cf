"""kvmppc probe: queries this host, and prints the answer."""

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

DESCRIPTION = "Reports which processor modes this host's KVM grants to nested guests."
EPILOG = """\
exit codes:
  0  the host grants a mode
  1  the host grants no mode that kvmppc knows
  2  usage error, the output cannot be written, or this installation cannot query KVM
  3  no answer: only a hint, unsupported, unavailable, or an error
  4  permission denied
"""


def _plain(form: str) -> SimpleNamespace:
    """What the parser returns if the arguments only select a form."""
    return SimpleNamespace(
        format=form,
        output=None,
        exit_zero=False,
        device=asking.DEVICE,
        simulate=None,
        sysroot=None,
        schema=False,
    )


# The cases that scripts repeat.
PLAIN: dict[tuple[str, ...], SimpleNamespace] = {
    (): _plain("text"),
    ("--json",): _plain("json"),
    ("-q",): _plain("quiet"),
    ("--quiet",): _plain("quiet"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("text", "json", "shell", "metrics", "nfd"),
        default="text",
        help="json: the record on one line; shell: assignments for eval; "
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
        help="print only the newest mode",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write to FILE, replacing it atomically; - for standard output",
    )
    parser.add_argument(
        "--exit-zero",
        action="store_true",
        help="exit with 0 whatever the answer is; the record contains it",
    )
    parser.add_argument(
        "--schema",
        action="store_true",
        help="print the JSON Schema of the record and do not query KVM",
    )
    asking.add_sysroot(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace | SimpleNamespace) -> int:
    """Queries the host and prints the answer."""
    if arguments.schema:
        _write(schema_text(), "json", arguments.output)
        return 0
    report = asking.ask(arguments)
    text = _text(report, arguments.format, color=arguments.output is None)
    _write(text, arguments.format, arguments.output)
    if arguments.format == "quiet" and report.status != "known":
        streams.tell(f"{report.status}: {report.reason}")
    return 0 if arguments.exit_zero else asking.exit_code(report)


def _write(text: str, form: str, output: str | None) -> None:
    """Writes a text in one of the forms to the file that --output names, or prints it."""
    if output not in (None, "-"):
        # Not at the top: most queries write no file.
        from kvmppc.commands.outputfile import write_file

        write_file(output, text)
    elif form == "text":
        streams.say(text)
    else:
        # Prometheus reads UTF-8 only. The other forms are ASCII, or read in this environment.
        streams.answer(text.encode() if form == "metrics" else text)


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
