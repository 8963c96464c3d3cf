"""kvmppc explain: says what a message of QEMU, libvirt or the kernel means, and what to do."""

from __future__ import annotations

from kvmppc.commands import UsageError, asking
from kvmppc.commands.placing import Placing, add_arguments
from kvmppc.guest.explain import Explanation, explain
from kvmppc.output import printable
from kvmppc.streams import answer, say, standard_input, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kvmppc.report import HostReport

DESCRIPTION = """\
Says what a message of QEMU, libvirt or the kernel means: what failed, why on this host, and
the command that mends it. Reads the message from the command line, or a log from standard
input, as in: kvmppc explain < /var/log/libvirt/qemu/GUEST.log
"""
EPILOG = """\
exit codes:
  0  a message was explained
  2  the command was not understood, or the log could not be read
  3  no message that is known here
"""

# Characters of a line that are read at once: a log may have lines without an end.
_LINE = 1 << 13


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument(
        "words", nargs="*", metavar="MESSAGE", help="the message; without, standard input is read"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    add_arguments(parser)
    asking.add_report_argument(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reads, asks the host, and prints what the messages mean."""
    words = [word for word in arguments.words if word != "-"]
    if not words and arguments.report == "-":
        raise UsageError("the log and the record cannot both come from standard input")
    report = _report(arguments)
    place = None if report is None else Placing(arguments, report).place(programs=False)
    lines = iter([" ".join(words)]) if words else _log()
    found = explain(lines, report, place)
    if arguments.json:
        answer(_json(report, found))
    elif found:
        say("\n".join(map(_text, found)))
    else:
        tell("no message in it is known here. kvmppc doctor goes through the steps of this host.")
    return 0 if found else 3


def _report(arguments: argparse.Namespace) -> HostReport | None:
    """The host's report; None if this installation cannot ask, which a message does not need."""
    try:
        return asking.ask_or_read(arguments)
    except ImportError:
        if arguments.simulate is not None or arguments.device != asking.DEVICE:
            raise
        return None


def _log() -> Iterator[str]:
    """The lines on standard input. Raises UsageError."""
    try:
        with standard_input() as stream:
            while line := stream.readline(_LINE):
                yield line.decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"standard input: {error.strerror}") from None


def _text(one: Explanation) -> str:
    """An explanation as lines for people."""
    parts = (("found", one.line), ("means", one.means), ("why", one.why), ("try", one.remedy))
    return "".join(f"{name:<5}  {printable(text)}\n" for name, text in parts)


def _json(report: HostReport | None, found: list[Explanation]) -> str:
    import json

    host = (None, None) if report is None else (report.hostname, report.simulated)
    head = {"schema": 1, **dict(zip(("hostname", "simulated"), host))}
    return json.dumps({**head, "explained": [one.to_dict() for one in found]}) + "\n"
