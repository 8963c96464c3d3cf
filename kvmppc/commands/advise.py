"""kvmppc advise: prints the words that give a guest a mode which the host grants."""

from __future__ import annotations

from kvmppc.commands import asking
from kvmppc.guest.advice import (
    NoAnswerError,
    NotGrantedError,
    choose_mode,
    libvirt_cpu,
    qemu_option,
)
from kvmppc.streams import answer, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Prints what to give QEMU or libvirt, so that a guest runs in a mode which this host grants:
the newest, or the one that is wanted. Nothing else goes to standard output.
"""
EPILOG = """\
exit codes:
  0  the advice was printed
  1  the host answered, and does not grant the mode, or none that is known here
  2  the command was not understood, or the record could not be read
  3  no answer to advise from; a hint is none, unless --accept-hint is given
  4  permission denied
"""

_FORMS = {"qemu": qemu_option, "libvirt": libvirt_cpu}


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument(
        "--for",
        dest="target",
        choices=_FORMS,
        required=True,
        help="options for QEMU's command line, or an element for a libvirt domain",
    )
    parser.add_argument(
        "--mode",
        type=asking.mode_named,
        metavar="MODE",
        help="this mode, if it is granted, not the newest",
    )
    parser.add_argument(
        "--accept-hint",
        action="store_true",
        help="where the kernel cannot be asked, take the mode that the host itself runs in",
    )
    asking.add_report_argument(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Asks, or reads the record, and prints."""
    report = asking.ask_or_read(arguments)
    try:
        chosen = choose_mode(report, arguments.mode, accept_hint=arguments.accept_hint)
    except NotGrantedError as error:
        tell(str(error))
        return 1
    except NoAnswerError as error:
        hint = f"hint: {report.reason} --accept-hint takes it all the same."
        tell(hint if report.status == "hint" else str(error))
        return asking.exit_code(report)
    if report.status == "hint":
        tell(f"taken from a hint: {report.reason}")
    answer(_FORMS[arguments.target](chosen) + "\n")
    return 0
