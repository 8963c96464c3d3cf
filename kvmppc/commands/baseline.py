"""kvmppc baseline: which modes the hosts of a fleet have in common."""

from __future__ import annotations

import argparse
import os
import sys

from kvmppc import streams
from kvmppc.commands import UsageError
from kvmppc.commands.outputfile import write_file
from kvmppc.commands.progress import Progress
from kvmppc.fleet.expected import ExpectedError, expected_names
from kvmppc.fleet.hosts import Fleet, FleetError
from kvmppc.fleet.reading import RecordReader
from kvmppc.fleet.table import fleet_json, fleet_text
from kvmppc.output import wants_color

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DESCRIPTION = """\
Reports which processor modes all hosts of a fleet grant, and which hosts do not grant the
newer ones. Reads the records that kvmppc probe --json printed on each host.

A RECORD is a file, a directory of files, or - for standard input. A file contains records in
any layout, the output of pdsh or Ansible, or Ansible's cached facts. Every record counts as a
host, and so does an entry without a record. A host without an answer counts neither as
granting a mode nor as not granting it."""
EPILOG = """\
exit codes:
  0  all hosts grant at least one common mode
  1  there is no common mode
  2  usage error, an input that is not a record, or output that cannot be written
  3  a host gave no answer (see --ignore-unknown), no host gave one, or a host is missing
     or unexpected (see --expect)
2 takes precedence over 3, and 3 over the others.
"""

# More complaints than these are counted only: a wrong file would fill the screen.
_COMPLAINTS = 20
_REPEATED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "records", nargs="+", type=record_path, metavar="RECORD", help="a file, a directory or -"
    )
    add_form(parser)
    parser.add_argument(
        "--ignore-unknown",
        action="store_true",
        help="ignore hosts without an answer in the exit code",
    )
    parser.add_argument(
        "--expect",
        metavar="FILE",
        help="report missing and unexpected hosts; FILE has one host name per line, or is the "
        "output of ansible-inventory --list",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write to FILE, replacing it atomically; - for standard output",
    )


def add_form(parser: argparse.ArgumentParser) -> None:
    """Adds --format and --json, for a table of many hosts."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("text", "json", "html", "markdown"),
        default="text",
        help="json: one line; html: a web page; markdown: for a ticket; default: %(default)s",
    )
    form.add_argument(
        "--json", action="store_const", const="json", dest="format", help="short for --format json"
    )


def record_path(path: str) -> str:
    """An argument that names records, for argparse."""
    if not path or "\0" in path:
        raise argparse.ArgumentTypeError("not a record; give a file, a directory or -")
    return path


def run(arguments: argparse.Namespace) -> int:
    """Reads and counts the records, and prints the result."""
    progress = Progress(sys.stderr)
    complaints = Complaints(progress)
    try:
        expected = None if arguments.expect is None else expected_names(arguments.expect)
        with Fleet() as fleet:
            try:
                read_records(arguments.records, fleet, complaints, progress)
            finally:
                progress.clear()
            complaints.end()
            if expected is not None:
                fleet.expect(expected)
            warn(fleet)
            _show(fleet, arguments.format, arguments.output)
            return 2 if complaints.count else _exit_code(fleet, arguments.ignore_unknown)
    except (FleetError, ExpectedError) as error:
        raise UsageError(str(error)) from None


def read_records(
    paths: list[str], fleet: Fleet, complaints: Complaints, progress: Progress
) -> None:
    """Adds all records of the files to the fleet. Raises FleetError."""
    reader = RecordReader(complaints.add)
    size = _size(paths)
    add = fleet.add
    for path in paths:
        for host in reader.read(path):
            add(*host)
            if not fleet.hosts & 0xFF:
                done = reader.bytes_read / size if size else None
                progress.show(done, f"{fleet.hosts:,} records")


def _size(paths: list[str]) -> int | None:
    """The number of bytes to read, or None if it is not known in advance."""
    try:
        return sum(map(os.path.getsize, paths)) if all(map(os.path.isfile, paths)) else None
    except OSError:
        return None


def _show(fleet: Fleet, form: str, output: str | None) -> None:
    """Prints the fleet in one of the forms, or writes it to a file."""
    if output not in (None, "-"):
        write_file(output, streams.batches(_parts(fleet, form)))
    elif form != "text":
        streams.answer_parts(_parts(fleet, form))
    elif fleet.hosts:
        streams.say(fleet_text(fleet, wants_color(sys.stdout)))


def _parts(fleet: Fleet, form: str) -> Iterable[str]:
    if form == "json":
        return fleet_json(fleet)
    if form == "text":
        return [fleet_text(fleet)]
    # Not at the top: the other forms do not need it.
    from kvmppc.fleet.fleetpage import fleet_html, fleet_markdown

    return fleet_html(fleet) if form == "html" else fleet_markdown(fleet)


def _exit_code(fleet: Fleet, ignore_unknown: bool) -> int:
    if fleet.expecting and any(
        True for names in (fleet.missing(), fleet.unexpected()) for _ in names
    ):
        return 3
    if not fleet.known or (fleet.known < fleet.hosts and not ignore_unknown):
        return 3
    return 0 if fleet.modes else 1


def warn(fleet: Fleet) -> None:
    """Warns about what the counts do not show."""
    if fleet.simulated:
        streams.tell(f"{fleet.simulated:,} of {fleet.hosts:,} records come from simulated hosts")
    count, names = fleet.repeated(_REPEATED)
    if count:
        some = "; ".join(f"{name} in {' and '.join(places)}" for name, places in names)
        more = "; ..." if count > len(names) else ""
        names_are = "name is" if count == 1 else "names are"
        streams.tell(f"{count:,} {names_are} in several records; each counts: {some}{more}")


class Complaints:
    """Prints the first complaints at once, and counts the rest."""

    def __init__(self, progress: Progress) -> None:
        self.count: int = 0
        self._progress = progress

    def add(self, text: str) -> None:
        self.count += 1
        if self.count <= _COMPLAINTS:
            self._progress.clear()
            streams.tell(text)

    def end(self) -> None:
        if self.count > _COMPLAINTS:
            streams.tell(f"and {self.count - _COMPLAINTS:,} more of these")
