"""kvmppc check: checks whether libvirt domains start on a host, and fixes them."""

from __future__ import annotations

import os

from kvmppc import streams
from kvmppc.commands import UsageError, asking
from kvmppc.commands.outputfile import write_file
from kvmppc.commands.placing import Placing, add_arguments
from kvmppc.guest.advice import AdviceError, NotGrantedError, choose_mode
from kvmppc.guest.domain import SIZE_LIMIT, Domain, DomainError
from kvmppc.guest.verdict import check_domain
from kvmppc.output import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kvmppc.guest.verdict import Verdict
    from kvmppc.processors import CpuMode
    from kvmppc.report import HostReport

DESCRIPTION = """\
Checks whether guests start on this host with the CPU settings of their libvirt domains. If
not, prints what to write instead. The answer is for the QEMU and libvirt versions and the page
size of this host, unless options give others.

With --fix, prints the domain with a granted mode inserted. --in-place writes it back to its
file (do not redirect to that file: the shell empties it first), --output-dir to a directory.
"""
EPILOG = """\
exit codes; for several domains the first of 2, 1, 3, 0 that applies:
  0  yes; with --fix: the written domain starts
  1  no, and what to write instead was printed; with --fix: kvmppc cannot fix it
  2  usage error, not a libvirt domain, or the output cannot be written
  3  unknown: the host gave no answer or only a hint ("likely"; see --accept-hint), permission
     was denied, or the domain is not for pseries; with --fix: nothing was written
"""
CODES = {"yes": 0, "no": 1, "unknown": 3, "likely yes": 3, "likely no": 3}
WORST = (2, 1, 3, 0)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "domains",
        nargs="+",
        metavar="DOMAIN.xml",
        help="from virsh dumpxml GUEST; - for standard input; a directory for all *.xml in it",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one line of JSON per domain")
    form.add_argument(
        "--fix",
        action="store_true",
        help="print the domain; if it does not start as it is, with a granted mode inserted",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--in-place",
        action="store_true",
        help="with --fix: write each domain back to its file",
    )
    where.add_argument(
        "--output-dir", metavar="DIR", help="with --fix: write the domains to this directory"
    )
    parser.add_argument(
        "--mode",
        type=asking.mode_named,
        metavar="MODE",
        help="with --fix: insert this mode, even if the domain starts as it is",
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
    """Reads the domains, queries the host, and prints verdicts or writes fixed domains."""
    paths = list(domain_paths(arguments.domains))
    _refuse_nonsense(arguments, paths)
    # Before the query: a file that is not a domain needs no host.
    first = read_domain(paths[0]) if len(paths) == 1 else None
    checker = _Checker(arguments, asking.ask_or_read(arguments), many=first is None)
    if first is not None:
        return checker.check(paths[0], first)
    codes = {checker.check_file(path) for path in paths}
    return next(code for code in WORST if code in codes)


def domain_paths(given: list[str]) -> list[str]:
    """The files of the arguments; directories are replaced by their *.xml, sorted by name."""
    paths: list[str] = []
    for path in given:
        if path == "-" or not os.path.isdir(path):
            paths.append(path)
            continue
        try:
            names = sorted(name for name in os.listdir(path) if name.endswith(".xml"))
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        files = [os.path.join(path, name) for name in names]
        # Opening a pipe would block until there is a writer. A dangling link is an error.
        inside = [file for file in files if os.path.isfile(file) or not os.path.exists(file)]
        if not inside:
            raise UsageError(f"{path}: no *.xml in this directory")
        paths += inside
    return paths


def _refuse_nonsense(arguments: argparse.Namespace, paths: list[str]) -> None:
    writes = arguments.in_place or arguments.output_dir is not None
    if "-" in paths and arguments.report == "-":
        raise UsageError("domain and record are both standard input; give one of them as a file")
    if paths.count("-") > 1:
        raise UsageError("standard input is one domain; give - only once")
    if arguments.mode is not None and not arguments.fix:
        raise UsageError("--mode requires --fix; add --fix")
    if writes and not arguments.fix:
        raise UsageError("--in-place and --output-dir require --fix; add --fix")
    if writes and "-" in paths:
        raise UsageError("--in-place and --output-dir require files; do not give -")
    if arguments.fix and len(paths) > 1 and not writes:
        raise UsageError(
            "--fix of several domains must write files; add --in-place or --output-dir DIR"
        )
    if arguments.output_dir is not None:
        names = [os.path.basename(path) for path in paths]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"two domain files are called {twice}; use an --output-dir for each")
        if not os.path.isdir(arguments.output_dir):
            raise UsageError(f"{arguments.output_dir}: not a directory; create it first")


def read_domain(path: str) -> Domain:
    """Reads a domain from a file. Raises UsageError."""
    data = asking.read_input(path, SIZE_LIMIT)
    try:
        return Domain(data)
    except DomainError as error:
        why = str(error) if data else "it is empty"
        if not data and path != "-":
            why += ". To fix a file in place, use --in-place, not a redirection"
        raise UsageError(f"{asking.input_name(path)} is not a libvirt domain: {why}") from None


class _Checker:
    """Checks domains on one host."""

    def __init__(self, arguments: argparse.Namespace, report: HostReport, many: bool) -> None:
        self.arguments = arguments
        self.report = report
        self.many = many
        self.placing = Placing(arguments, report)

    def check_file(self, path: str) -> int:
        """Checks one file of several: an error in it does not stop the others."""
        try:
            return self.check(path, read_domain(path))
        except UsageError as error:
            streams.tell(str(error))
            return 2

    def check(self, path: str, domain: Domain) -> int:
        """Prints the verdict or writes the fixed domain, and returns the exit code."""
        verdict = self.verdict(domain)
        if self.arguments.fix:
            return self.fix(path, domain, verdict)
        if self.arguments.json:
            streams.answer(_json(path, self.report, verdict))
        else:
            lines = _lines(verdict)
            if self.many:
                lines = [" ".join((f"{asking.input_name(path)}:", *lines))]
            streams.say("".join(f"{printable(line)}\n" for line in lines))
        return CODES[verdict.answer]

    def verdict(self, domain: Domain) -> Verdict:
        place = self.placing.place(domain.asks.emulator)
        hint = self.arguments.accept_hint
        return check_domain(domain, self.report, place, accept_hint=hint)

    def fix(self, path: str, domain: Domain, verdict: Verdict) -> int:
        """Writes the domain with a granted mode, and reports on standard error what was done."""
        name = f"{asking.input_name(path)}: " if self.many else ""
        mode = verdict.mode
        if verdict.answer not in ("yes", "no") or (verdict.answer == "no" and mode is None):
            streams.tell(name + _not_fixed(verdict))
            return CODES[verdict.answer]
        if self.arguments.mode is not None:
            try:
                accept_hint = self.arguments.accept_hint
                mode = choose_mode(self.report, self.arguments.mode, accept_hint=accept_hint)
            except AdviceError as error:
                streams.tell(name + str(error))
                return 1 if isinstance(error, NotGrantedError) else 3
        fixed = domain.data if mode is None else self.with_mode(domain, mode, verdict)
        if mode is not None:
            left = self.verdict(Domain(fixed))
            if left.answer != "yes":
                streams.tell(name + _not_fixed(left))
                return CODES[left.answer]
        self.write(path, fixed, changed=fixed != domain.data)
        done = "no change needed" if mode is None else f"inserted {mode}"
        streams.tell(f"{name}{done}. {' '.join((verdict.reason, *map(_also, verdict.also)))}")
        if mode is not None and domain.lacks_password:
            streams.tell(
                f"{name}the domain has a graphical console without a password. virsh dumpxml "
                "omits passwords by default, and virsh define would then remove the guest's: "
                "dump the domain with --inactive --security-info."
            )
        return 0

    def with_mode(self, domain: Domain, mode: CpuMode, verdict: Verdict) -> bytes:
        place = verdict.place
        host_model = place.has_host_model(self.report.cpu_physical)
        return domain.with_mode(mode, host_model=host_model, page_size=place.page_size)

    def write(self, path: str, fixed: bytes, changed: bool) -> None:
        folder = self.arguments.output_dir
        if folder is not None:
            # A domain may contain passwords: the copy gets the permissions of the original.
            mode = os.stat(path).st_mode & 0o777
            write_file(os.path.join(folder, os.path.basename(path)), fixed, mode)
        elif not self.arguments.in_place:
            streams.answer(fixed)
        elif changed:
            write_file(path, fixed)


def _lines(verdict: Verdict) -> list[str]:
    """The verdict for people: the answer, other obstacles to a start, what to write instead."""
    if verdict.answer == "unknown":
        return [f"unknown: {verdict.reason}"]
    lines = [f"{verdict.answer}: {verdict.reason} ({verdict.place.text()})"]
    lines += map(_also, verdict.also)
    lines += [f"write instead: {element}" for element in verdict.instead]
    return lines


def _not_fixed(verdict: Verdict) -> str:
    """Why --fix wrote nothing, and what to do if it can."""
    lines = _lines(verdict)
    if verdict.answer in ("likely yes", "likely no"):
        return "; ".join([*lines, "to use the hint, add --accept-hint"])
    return "; ".join([*lines, "--fix cannot fix it"] if verdict.answer == "no" else lines)


def _also(text: str) -> str:
    return f"also: {text}"


def _json(path: str, report: HostReport, verdict: Verdict) -> str:
    """The verdict as one line of JSON; ``write`` is what to write instead, or null."""
    import json

    record = {
        "schema": 1,
        "file": path,
        "hostname": report.hostname,
        "simulated": report.simulated,
        "answer": verdict.answer,
        "reason": verdict.reason,
        "also": list(verdict.also),
        "mode": verdict.mode,
        "write": "\n".join(verdict.instead) or None,
        "for": verdict.place.text(),
    }
    return json.dumps(record) + "\n"
