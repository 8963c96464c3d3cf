"""kvmppc advise: prints the QEMU options or libvirt elements for a granted mode."""

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
Prints the QEMU options or libvirt elements that start a guest in a mode that this host grants:
the newest, or the one in --mode. Nothing else is printed to standard output.

They are for the QEMU and libvirt versions and the page size of this host, unless options give
others.
"""
EPILOG = """\
exit codes:
  0  the options or elements were printed
  1  the host is not known to grant the mode, or grants no mode that kvmppc knows
  2  usage error, the record cannot be read, or the output cannot be written
  3  the host gave no answer (a hint is an answer only with --accept-hint), or its QEMU
     does not support the processor
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
    """Adds the command's arguments."""
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument(
        "--for",
        dest="target",
        choices=_FORMS,
        help="options for QEMU's command line, elements for a libvirt domain, options for "
        "virt-install, or only the machine properties (for Kata, kola)",
    )
    form.add_argument(
        "--json", action="store_true", help="print all forms and the reason as one line of JSON"
    )
    parser.add_argument(
        "--mode",
        type=asking.mode_named,
        metavar="MODE",
        help="use this mode instead of the newest; fails if it is not granted",
    )
    parser.add_argument(
        "--accept-hint",
        action="store_true",
        help="if the host gives only a hint (its own mode), use the hint",
    )
    add_arguments(parser)
    asking.add_report_argument(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Queries the host or reads the record, and prints the advice."""
    report = asking.ask_or_read(arguments)
    chosen, reason, code = None, report.reason, 0
    try:
        chosen = choose_mode(report, arguments.mode, accept_hint=arguments.accept_hint)
    except NotGrantedError as error:
        reason, code = str(error), 1
    except NoAnswerError as error:
        hint = f"hint: {report.reason} To use it nevertheless, add --accept-hint."
        reason, code = hint if report.status == "hint" else str(error), asking.exit_code(report)
    # The properties are for programs that start a QEMU of their own, so this host's does not count.
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
            tell(f"based on a hint: {reason}")
        say(_FORMS[arguments.target](chosen, place, report.cpu_physical) + "\n")
    return code


def _json(report: HostReport, mode: CpuMode | None, place: Place, reason: str) -> str:
    """The advice in all forms, as one line of JSON; ``mode`` is null if there is none."""
    import json

    advice = {
        name: None if mode is None else form(mode, place, report.cpu_physical)
        for name, form in _FORMS.items()
    }
    head = {"schema": 1, "hostname": report.hostname, "simulated": report.simulated}
    hint = mode is not None and report.status == "hint"
    found = {"mode": mode, "hint": hint, "reason": reason, "for": place.text()}
    return json.dumps({**head, **found, **advice}) + "\n"
