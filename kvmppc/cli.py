"""The kvmppc command: words in, text and an exit code out."""

from __future__ import annotations

import importlib
import io
import os
import sys

from kvmppc._version import __version__
from kvmppc.commands import SUMMARIES, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import ModuleType, SimpleNamespace

USAGE = 2


def _overview() -> str:
    commands = "".join(f"  {name:<9} {summary}\n" for name, summary in SUMMARIES.items())
    return (
        "usage: kvmppc [command] [options]\n\n"
        "Tells which processor modes (POWER9, POWER10, Power11) this host's KVM can give to\n"
        f"nested guests on IBM Power.\n\ncommands:\n{commands}\n"
        "Without a command: probe. kvmppc COMMAND --help tells more of one;\n"
        "kvmppc --version tells the version.\n"
    )


def _version() -> str:
    """The version, and whose definitions of the interface were compiled in."""
    from kvmppc.kvm import header_definitions

    names = ", ".join(f"{name} {source}" for name, source in header_definitions())
    return f"kvmppc {__version__} (linux/kvm.h: {names})\n"


def _parse(name: str, command: ModuleType, words: list[str]) -> argparse.Namespace:
    """Reads a command's words. Loads argparse, which takes as long as asking and all else."""
    import argparse

    parser = argparse.ArgumentParser(
        prog=f"kvmppc {name}",
        description=command.DESCRIPTION,
        epilog=command.EPILOG,
        formatter_class=_formatter,
    )
    command.configure(parser)
    return parser.parse_args(words)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Lays the help out as the terminal is wide.

    argparse would find the width too, but loads shutil for it, also where no help is asked for:
    nearly a tenth of the time that the command's imports take.
    """
    from argparse import RawDescriptionHelpFormatter

    try:
        columns = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size().columns or 80
    except (ValueError, OSError):
        columns = 80
    return RawDescriptionHelpFormatter(prog, width=max(columns, 40) - 2)


def _run(words: list[str]) -> int:
    """Finds the command and carries it out."""
    if words and words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0
    if words and words[0] in ("-V", "--version"):
        sys.stdout.write(_version())
        return 0
    if not words or words[0].startswith("-"):
        words.insert(0, "probe")
    name = words.pop(0)
    if name not in SUMMARIES:
        raise UsageError(f"{name!r} is no command; there are {', '.join(SUMMARIES)}")
    command = importlib.import_module(f"kvmppc.commands.{name}")
    plain: dict[tuple[str, ...], SimpleNamespace] = getattr(command, "PLAIN", {})
    arguments = plain.get(tuple(words)) or _parse(name, command, words)
    code: int = command.run(arguments)
    return code


def _abandon_stdout() -> None:
    """Lets what is still buffered go nowhere: Python would complain of it once more at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 2 where it was not understood."""
    if sys.stdout is None:
        print("kvmppc: standard output is closed", file=sys.stderr)
        return USAGE
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a log that cannot show a character is no reason not to answer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except UsageError as error:
        print(f"kvmppc: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # The reader has gone, as head does: the shell's own way to say so is 128 + SIGPIPE.
        _abandon_stdout()
        return 128 + 13
    except KeyboardInterrupt:
        return 128 + 2
    except OSError as error:
        _abandon_stdout()
        print(f"kvmppc: {error.strerror or error}", file=sys.stderr)
        return USAGE
    return code
