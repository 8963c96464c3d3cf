"""kvmppc explain: explains error messages of QEMU, libvirt and the kernel."""

from __future__ import annotations

from kvmppc.commands import UsageError, asking
from kvmppc.commands.placing import PAGE_SIZES, add_page_size
from kvmppc.guest.explain import Explanation, explain
from kvmppc.guest.place import Place
from kvmppc.output import printable
from kvmppc.streams import answer, say, standard_input, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kvmppc.report import HostReport

DESCRIPTION = """\
Explains an error message of QEMU, libvirt or the kernel: what failed, why it failed on this
host, and what to do. Reads the message from the command line, or a log from standard input:
kvmppc explain < /var/log/libvirt/qemu/GUEST.log
"""
EPILOG = """\
exit codes:
  0  a message was explained
  2  usage error, the log cannot be read, or the output cannot be written
  3  no known message was found
"""

# Bytes of a line that are read at once: a log may have lines of any length.
_LINE = 1 << 13


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "words", nargs="*", metavar="MESSAGE", help="the message; default: read standard input"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    add_page_size(parser)
    asking.add_report_argument(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reads the messages, queries the host, and prints the explanations."""
    words = [word for word in arguments.words if word != "-"]
    if not words and arguments.report == "-":
        raise UsageError("log and record are both standard input; give one of them as a file")
    report = _report(arguments)
    place = Place(page_size=PAGE_SIZES.get(arguments.page_size))
    lines = iter([" ".join(words)]) if words else _log()
    found = explain(lines, report, place)
    if arguments.json:
        answer(_json(report, found))
    elif found:
        say("\n".join(map(_text, found)))
    else:
        tell("no known message found; run kvmppc doctor to check this host step by step")
    return 0 if found else 3


def _report(arguments: argparse.Namespace) -> HostReport | None:
    """The host's report; None if this installation cannot query KVM. Messages do not need it."""
    try:
        return asking.ask_or_read(arguments)
    except ImportError:
        if arguments.simulate is not None or arguments.device != asking.DEVICE:
            raise
        return None


def _log() -> Iterator[str]:
    """Yields the lines of standard input. Raises UsageError."""
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

    head = {
        "schema": 1,
        "hostname": report and report.hostname,
        "simulated": report and report.simulated,
    }
    return json.dumps({**head, "explained": [one.to_dict() for one in found]}) + "\n"
