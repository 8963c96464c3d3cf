"""The kvmppc command: arguments in, text and an exit code out."""

from __future__ import annotations

import importlib
import sys

from kvmppc import streams
from kvmppc._version import __version__
from kvmppc.commands import SUMMARIES, UsageError, nearest
from kvmppc.processors import GRANTABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import ModuleType, SimpleNamespace

USAGE = 2
CRASH = 70
"""EX_SOFTWARE of sysexits.h."""

_TRACEBACK = "--traceback"
# The modules that an installation may lack, and what to do if the error does not say it.
_MODULES = {
    "kvmppc._fast": "",
    "_cffi_backend": "; install cffi for this Python, with pip or as your distribution's package",
}


def _overview() -> str:
    commands = "".join(f"  {name:<9} {summary}\n" for name, summary in SUMMARIES.items())
    modes = ", ".join(mode.label for mode in GRANTABLE)
    return (
        "usage: kvmppc [command] [options]\n\n"
        f"Reports which processor modes ({modes}) this host's KVM grants to "
        f"nested guests on IBM Power.\n\ncommands:\n{commands}\n"
        "The default command is probe.\nkvmppc help COMMAND prints the options of a command, "
        "kvmppc --version the version.\n"
    )


def _version() -> str:
    """The version, and the source of each definition that was compiled in."""
    try:
        from kvmppc.kvm import header_definitions
    except ImportError as error:
        return f"kvmppc {__version__} ({error})\n"
    names = ", ".join(f"{name} {source}" for name, source in header_definitions())
    return f"kvmppc {__version__} (linux/kvm.h: {names})\n"


def _run(words: list[str]) -> int:
    """Finds the command and runs it."""
    first = words[0] if words else ""
    if first == "help" and len(words) > 1:
        words = [words[1], "--help"]
    elif first in ("-h", "--help", "help"):
        streams.say(_overview(), prose=True)
        return 0
    elif first in ("-V", "--version"):
        streams.say(_version())
        return 0
    elif not words or first.startswith("-"):
        words = ["probe", *words]
    name = words.pop(0)
    if name not in SUMMARIES:
        raise UsageError(f"unknown command {name!r}{nearest(name, SUMMARIES)}")
    command = importlib.import_module(f"kvmppc.commands.{name}")
    plain: dict[tuple[str, ...], SimpleNamespace] = getattr(command, "PLAIN", {})
    arguments = plain.get(tuple(words)) or _parse(name, command, words)
    code: int = command.run(arguments)
    return code


def _parse(name: str, command: ModuleType, words: list[str]) -> argparse.Namespace:
    """Parses a command's arguments."""
    # Not at the top: it loads argparse.
    from kvmppc.commands.parsing import parser_of

    return parser_of(name, command).read(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code.

    Besides the codes of the commands: 2 for a usage error or output that cannot be written, 70
    for an internal error or lack of memory, 128 + the signal's number for SIGINT and SIGPIPE.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _code(words)
    except KeyboardInterrupt:
        # Not in _code(): the signal may arrive while it handles another error.
        return 128 + 2


def _code(words: list[str]) -> int:
    """Runs the command, and turns an exception into an exit code."""
    try:
        return _run(list(words))
    except (UsageError, streams.OutputError) as error:
        streams.tell(str(error))
        return USAGE
    except ImportError as error:
        if error.name not in _MODULES:
            return _crashed(error, _TRACEBACK in words)
        streams.tell(f"{error}{_MODULES[error.name]}")
        return USAGE
    except BrokenPipeError:
        # The reader has closed the pipe, as head does. Shells report this as 128 + SIGPIPE.
        return 128 + 13
    except SystemExit:
        return 0  # argparse has printed the help
    except Exception as error:
        return _crashed(error, _TRACEBACK in words)


def _crashed(error: Exception, in_full: bool) -> int:
    """Reports an internal error in one line, or with Python's traceback if it was requested."""
    try:
        if in_full:
            import traceback

            for line in traceback.format_exc().splitlines():
                streams.tell(line)
        elif isinstance(error, MemoryError):
            streams.tell("out of memory; raise the limit (ulimit -v) or read less at a time")
        else:
            cause = f"{type(error).__name__}: {error}"
            streams.tell(f"internal error: {cause}; report it with the output of {_TRACEBACK}")
    except MemoryError:
        pass  # the exit code says enough
    return CRASH
