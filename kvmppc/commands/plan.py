"""kvmppc plan: which guests can run on which hosts of a fleet."""

from __future__ import annotations

import os
import sys
from collections import Counter

from kvmppc import streams
from kvmppc.commands import UsageError, asking
from kvmppc.commands.baseline import Complaints, add_form, read_records, record_path, warn
from kvmppc.commands.check import CODES, WORST, domain_paths, read_domain
from kvmppc.commands.places import LIMIT, read_places
from kvmppc.commands.placing import PAGE_SIZES, add_arguments
from kvmppc.commands.progress import Progress
from kvmppc.fleet.hosts import Fleet, FleetError
from kvmppc.fleet.plan import Guest, make_plan
from kvmppc.fleet.plantext import plan_json, plan_markdown, plan_text
from kvmppc.guest.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from kvmppc.fleet.plan import Plan

DESCRIPTION = """\
Reports which guests start on which hosts of a fleet and can migrate between them, which mode
would let all guests run on all hosts, and how to change each domain for that. The answers are
those of kvmppc check.

A RECORD is a file of records, a directory, or - for standard input, as for kvmppc baseline.
No host is queried for its QEMU and libvirt: --qemu and --libvirt give the versions of the
fleet, and --places those of single hosts.
"""
EPILOG = """\
exit codes, the first of 2, 1, 3, 0 that applies:
  0  every guest starts on every host
  1  some guest does not start on some host
  2  usage error, an input that is not a domain or not a record, or output that cannot be
     written
  3  for some guest and host the answer is unknown

a file for --places has one line per host; - is the value of the option, # starts a comment:
  # host  QEMU  libvirt  pages
  lpar1   11.1  12.8     64k
  lpar2   10.0  -        -
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "domains",
        nargs="+",
        metavar="DOMAIN.xml",
        help="the output of virsh dumpxml GUEST, or a directory of such files",
    )
    parser.add_argument(
        "--fleet",
        nargs="+",
        action="extend",
        required=True,
        type=record_path,
        metavar="RECORD",
        help="the hosts' records, from kvmppc probe --json",
    )
    add_form(parser)
    parser.add_argument(
        "--accept-hint",
        action="store_true",
        help="if a host gives only a hint (its own mode), use the hint",
    )
    add_arguments(parser, here="")
    parser.add_argument(
        "--places",
        metavar="FILE",
        help="the QEMU, libvirt and page size of single hosts; see below",
    )


def run(arguments: argparse.Namespace) -> int:
    """Reads the guests and hosts, and prints the plan."""
    if "-" in arguments.domains and "-" in arguments.fleet:
        raise UsageError("domains and records are both standard input; give one of them as a file")
    place = Place(arguments.qemu, arguments.libvirt, None, PAGE_SIZES.get(arguments.page_size))
    places = _places(arguments.places, place)
    progress = Progress(sys.stderr)
    complaints = Complaints(progress)
    try:
        guests = _told_apart(list(_guests(arguments.domains, complaints, progress)))
        with Fleet() as fleet:
            read_records(arguments.fleet, fleet, complaints, progress)
            progress.clear()
            complaints.end()
            warn(fleet)
            names = {host.name for host in fleet} if places else set()
            plan = make_plan(guests, fleet, place, places, arguments.accept_hint)
    except FleetError as error:
        raise UsageError(str(error)) from None
    finally:
        progress.clear()
    for name in places:
        if name not in names:
            streams.tell(f"{arguments.places}: there is no record of host {name}")
    if plan.guests and plan.hosts:
        _show(plan, arguments.format)
    return 2 if complaints.count else _exit_code(plan)


def _places(path: str | None, others: Place) -> dict[str, Place]:
    if path is None:
        return {}
    try:
        text = asking.read_input(path, LIMIT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text; convert it") from None
    return read_places(text, path, others)


def _guests(given: list[str], complaints: Complaints, progress: Progress) -> Iterator[Guest]:
    """Yields the guests whose domains can be read, and reports the others."""
    paths = domain_paths(given)
    for done, path in enumerate(paths):
        progress.show(done / len(paths), f"{done:,} domains")
        try:
            domain = read_domain(path)
        except UsageError as error:
            complaints.add(str(error))
        else:
            file = asking.input_name(path)
            yield Guest(domain.name or file, file, domain)


def _told_apart(guests: list[Guest]) -> list[Guest]:
    """The guests; those that share a name get their file's name added."""
    count = Counter(guest.name for guest in guests)
    return [
        guest
        if count[guest.name] == 1
        else Guest(f"{guest.name} ({os.path.basename(guest.file)})", guest.file, guest.domain)
        for guest in guests
    ]


def _show(plan: Plan, form: str) -> None:
    """Prints the plan in one of the forms."""
    if form == "json":
        streams.answer(plan_json(plan))
    elif form == "markdown":
        streams.answer_parts(plan_markdown(plan))
    elif form == "html":
        # Not at the top: the other forms do not need it.
        from kvmppc.fleet.planpage import plan_html

        streams.answer_parts(plan_html(plan))
    else:
        streams.say(plan_text(plan))


def _exit_code(plan: Plan) -> int:
    codes = {CODES[verdict.answer] for guests in plan.guests for verdict in guests.verdicts}
    return next((code for code in WORST if code in codes), 3)
