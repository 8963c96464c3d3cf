"""kvmppc check: tells whether a host grants what a libvirt domain asks for."""

from __future__ import annotations

from kvmppc import streams
from kvmppc.commands import UsageError, asking
from kvmppc.commands.outputfile import write_file
from kvmppc.guest.advice import AdviceError, NotGrantedError, choose_mode, libvirt_cpu
from kvmppc.guest.domain import SIZE_LIMIT, Domain, DomainError
from kvmppc.guest.verdict import check_domain
from kvmppc.output import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kvmppc.guest.verdict import Verdict
    from kvmppc.report import HostReport

DESCRIPTION = """\
Tells whether this host grants what a libvirt domain asks for, and if not, what to write
instead. With --fix, prints the domain with the mode put in; to the file that it came from
with --in-place (kvmppc check --fix g.xml > g.xml would find g.xml empty).
"""
EPILOG = """\
exit codes:
  0  yes; with --fix: what was printed is granted
  1  no, and what to write instead was printed; with --fix: no mode can be put in
  2  not a libvirt domain, or the command was not understood
  3  it cannot be told: no answer, a hint only, permission denied, or a domain that is not
     for pseries; with --fix: nothing was printed

The answer is for QEMU before 11.2, which does not ask the kernel itself.
"""
_CODES = {"yes": 0, "no": 1, "unknown": 3}
_WORDS = {"yes": "yes", "no": "no", "unknown": "cannot tell"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument(
        "domain", metavar="DOMAIN.xml", help="virsh dumpxml GUEST; - for standard input"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the answer as one line of JSON")
    form.add_argument(
        "--fix",
        action="store_true",
        help="print the domain, with the mode put in where it asks for one that is not granted",
    )
    parser.add_argument(
        "--in-place",
        action="store_true",
        help="with --fix: write the domain back to its file, and not to standard output",
    )
    parser.add_argument(
        "--mode",
        type=asking.mode_named,
        metavar="MODE",
        help="with --fix: put in this mode, also where another one is granted",
    )
    asking.add_report_argument(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reads, asks, and prints the verdict or the domain."""
    if arguments.domain == "-" and arguments.report == "-":
        raise UsageError("the domain and the record cannot both come from standard input")
    if arguments.mode is not None and not arguments.fix:
        raise UsageError("--mode is what --fix puts in: give --fix too")
    if arguments.in_place and (arguments.domain == "-" or not arguments.fix):
        raise UsageError("--in-place is where --fix writes to: give --fix, and a file")
    data = asking.read_input(arguments.domain, SIZE_LIMIT)
    try:
        domain = Domain(data)
    except DomainError as error:
        name = asking.input_name(arguments.domain)
        emptied = "it is empty, as where the shell has emptied it; use --in-place"
        why = str(error) if data else emptied
        raise UsageError(f"{name} is not a libvirt domain: {why}") from None
    report = asking.ask_or_read(arguments)
    verdict = check_domain(domain, report)
    if arguments.fix:
        return _fix(domain, report, verdict, arguments)
    if arguments.json:
        streams.answer(_json(report, verdict))
        return _CODES[verdict.answer]
    text = printable(f"{_WORDS[verdict.answer]}: {verdict.reason}") + "\n"
    if verdict.mode is not None:
        text += f"write instead: {libvirt_cpu(verdict.mode)}\n"
    streams.say(text)
    return _CODES[verdict.answer]


def _json(report: HostReport, verdict: Verdict) -> str:
    """The verdict as one line of JSON; ``write`` is what to write instead, or null."""
    import json

    mode = verdict.mode
    record = {
        "schema": 1,
        "hostname": report.hostname,
        "simulated": report.simulated,
        "answer": verdict.answer,
        "reason": verdict.reason,
        "mode": mode,
        "write": None if mode is None else libvirt_cpu(mode),
    }
    return json.dumps(record) + "\n"


def _fix(
    domain: Domain, report: HostReport, verdict: Verdict, arguments: argparse.Namespace
) -> int:
    """Writes the domain with a granted mode in it, and says on standard error what was done."""
    mode, wanted = verdict.mode, arguments.mode
    if verdict.answer == "unknown" or (verdict.answer == "no" and mode is None):
        streams.tell(f"{_WORDS[verdict.answer]}: {verdict.reason}")
        return _CODES[verdict.answer]
    if wanted is not None:
        try:
            mode = choose_mode(report, wanted)
        except AdviceError as error:
            streams.tell(str(error))
            return 1 if isinstance(error, NotGrantedError) else 3
    done = "nothing to put in" if mode is None else f"put in {mode}"
    fixed = domain.data if mode is None else domain.with_mode(mode)
    if not arguments.in_place:
        streams.answer(fixed)
    elif mode is not None:
        write_file(arguments.domain, fixed)
    streams.tell(f"{done}. {verdict.reason}")
    return 0
