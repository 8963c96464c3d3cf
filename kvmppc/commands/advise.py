"""kvmppc advise: prints the words that give a guest a mode which the host grants."""

from __future__ import annotations

from kvmppc.commands import asking
from kvmppc.commands.placing import Placing, add_arguments
from kvmppc.guest.advice import (
    NoAnswerError,
    NotGrantedError,
    choose_mode,
    libvirt_elements,
    machine_property,
    qemu_option,
    virt_install_options,
)
from kvmppc.guest.verdict import unknown_processor
from kvmppc.streams import answer, say, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Callable

    from kvmppc.guest.place import Place
    from kvmppc.processors import CpuMode
    from kvmppc.report import HostReport

DESCRIPTION = """\
Prints what to give QEMU or libvirt, so that a guest runs in a mode which this host grants:
the newest, or the one that is wanted. Nothing else goes to standard output.

The words are for the QEMU, the libvirt and the page size of this host, or as the options say.
"""
EPILOG = """\
exit codes:
  0  the advice was printed
  1  the host answered, and does not grant the mode, or none that is known here
  2  the command was not understood, or the record could not be read
  3  no answer to advise from (a hint is none, unless --accept-hint is given), or a QEMU
     that does not know this processor
  4  permission denied
"""


def _libvirt(mode: CpuMode, place: Place, processor: str | None) -> str:
    return "\n".join(libvirt_elements(mode, place, processor))


_FORMS: dict[str, Callable[[CpuMode, Place, str | None], str]] = {
    "qemu": lambda mode, place, _: qemu_option(mode, place),
    "libvirt": _libvirt,
    "virt-install": virt_install_options,
    "property": lambda mode, place, _: machine_property(mode, place),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument(
        "--for",
        dest="target",
        choices=_FORMS,
        help="options for QEMU's command line, elements for a libvirt domain, options for "
        "virt-install, or the properties of QEMU's machine alone (Kata, kola)",
    )
    form.add_argument(
        "--json", action="store_true", help="all forms and the reason, as one line of JSON"
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
    add_arguments(parser)
    asking.add_report_argument(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Asks, or reads the record, and prints."""
    report = asking.ask_or_read(arguments)
    chosen, reason, code = None, report.reason, 0
    try:
        chosen = choose_mode(report, arguments.mode, accept_hint=arguments.accept_hint)
    except NotGrantedError as error:
        reason, code = str(error), 1
    except NoAnswerError as error:
        hint = f"hint: {report.reason} --accept-hint takes it all the same."
        reason, code = hint if report.status == "hint" else str(error), asking.exit_code(report)
    # Properties alone are for a program that starts its own QEMU, which need not be asked.
    programs = chosen is not None and arguments.target != "property"
    place = Placing(arguments, report).place(programs=programs)
    unknown = unknown_processor(report, place)
    if chosen is not None and unknown is not None:
        chosen, reason, code = None, unknown, 3
    if arguments.json:
        answer(_json(report, chosen, place, reason))
    elif chosen is None:
        tell(reason)
    else:
        if report.status == "hint":
            tell(f"taken from a hint: {reason}")
        say(_FORMS[arguments.target](chosen, place, report.cpu_physical) + "\n")
    return code


def _json(report: HostReport, mode: CpuMode | None, place: Place, reason: str) -> str:
    """The advice as one line of JSON, for all programs; ``mode`` is null where there is none."""
    import json

    advice = {
        name: None if mode is None else form(mode, place, report.cpu_physical)
        for name, form in _FORMS.items()
    }
    head = {"schema": 1, "hostname": report.hostname, "simulated": report.simulated}
    hint = mode is not None and report.status == "hint"
    found = {"mode": mode, "hint": hint, "reason": reason, "for": place.text()}
    return json.dumps({**head, **found, **advice}) + "\n"
