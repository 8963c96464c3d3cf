"""kvmppc baseline: what the hosts of a fleet have in common."""

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
Tells which processor modes all hosts of a fleet grant, from the records that
kvmppc probe --json printed on each, and which hosts stand in the way of newer ones.

A RECORD is a file, a folder with files, or - for standard input. A file has records in
any form, what pdsh or Ansible print, or the facts that Ansible keeps. Nobody is left out:
every record is a host, and so is what has no record. Hosts that cannot tell count neither
as yes nor as no."""
EPILOG = """\
exit codes:
  0  there is a mode that all hosts grant
  1  there is none
  2  the command was not understood, or something that was read is no record
  3  some host cannot tell (see --ignore-unknown), or no host can, or a host is missing
     or not expected (see --expect)
2 goes before 3, and 3 before the others.
"""

# A file with nothing right in it would fill the screen.
_COMPLAINTS = 20
_REPEATED = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument("records", nargs="+", type=record_path, metavar="RECORD")
    add_form(parser)
    parser.add_argument(
        "--ignore-unknown",
        action="store_true",
        help="let the exit code be that of the hosts that can tell",
    )
    parser.add_argument(
        "--expect",
        metavar="FILE",
        help="tell which hosts are missing, and which are not expected: FILE has a name a line, "
        "or what ansible-inventory --list prints",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write to a file, which is replaced as a whole: its readers never see half of it",
    )


def add_form(parser: argparse.ArgumentParser) -> None:
    """Adds --format, for a table of many hosts, and --json."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=("text", "json", "html", "markdown"),
        default="text",
        help="json: one line; html: one page to look at; markdown: for a ticket; "
        "default: %(default)s",
    )
    form.add_argument(
        "--json", action="store_const", const="json", dest="format", help="short for --format json"
    )


def record_path(path: str) -> str:
    """A word that names records, for argparse."""
    if not path or "\0" in path:
        raise argparse.ArgumentTypeError("a record is a file, a folder or -")
    return path


def run(arguments: argparse.Namespace) -> int:
    """Reads, counts and prints."""
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
            _warn(fleet)
            _show(fleet, arguments.format, arguments.output)
            return 2 if complaints.count else _exit_code(fleet, arguments.ignore_unknown)
    except (FleetError, ExpectedError) as error:
        raise UsageError(str(error)) from None


def read_records(
    paths: list[str], fleet: Fleet, complaints: Complaints, progress: Progress
) -> None:
    """Counts all records of the files. Raises FleetError."""
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
    """How many bytes are to be read, None where that is not known beforehand."""
    try:
        return sum(map(os.path.getsize, paths)) if all(map(os.path.isfile, paths)) else None
    except OSError:
        return None


def _show(fleet: Fleet, form: str, output: str | None) -> None:
    """Prints the fleet in one of the forms, or writes it to a file."""
    if output is not None:
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
    # Not at the top: whoever wants text needs none of it.
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


def _warn(fleet: Fleet) -> None:
    """Tells what the counts do not show."""
    if fleet.simulated:
        streams.tell(f"{fleet.simulated:,} of {fleet.hosts:,} records are of simulated hosts")
    count, names = fleet.repeated(_REPEATED)
    if count:
        some = "; ".join(f"{name} in {' and '.join(places)}" for name, places in names)
        more = "; ..." if count > len(names) else ""
        verb = "name is" if count == 1 else "names are"
        streams.tell(f"{count:,} {verb} in more than one record, and each is counted: {some}{more}")


class Complaints:
    """Prints the first complaints as they come, and counts the others."""

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
