"""Parses a command's arguments: no abbreviated options, one style of error.

Loads argparse, which takes as long as everything else in a query. Arguments that need no
parser do not load this module (PLAIN in a command).
"""

from __future__ import annotations

import argparse
import sys

from kvmppc import streams
from kvmppc.commands import UsageError, nearest
from kvmppc.layout import unfolded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn


def parser_of(name: str, command: ModuleType) -> Parser:
    """The parser of a command, with the options that all commands have."""
    parser = Parser(
        prog=f"kvmppc {name}",
        description=unfolded(command.DESCRIPTION),
        epilog=unfolded(command.EPILOG),
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    parser.color = False  # Python 3.14 has colors of its own
    command.configure(parser)
    parser.add_argument(
        "--traceback",
        action="store_true",
        help="print Python's traceback of an internal error, for a bug report",
    )
    return parser


class Parser(argparse.ArgumentParser):
    """Raises UsageError for wrong arguments, and prints its help through streams."""

    color: bool

    def read(self, words: list[str]) -> argparse.Namespace:
        """Parses the arguments; operands may stand between options.

        Raises:
            UsageError: the arguments are wrong.
            SystemExit: the help was printed.
        """
        for word in words:
            if word == "--":
                break
            name = word.partition("=")[0]
            # Before argparse, which would first report what the mistyped option was to supply.
            if name.startswith("--") and " " not in name and name not in self.options():
                raise UsageError(f"unknown option {name}{nearest(name, self.options())}")
        return self.parse_intermixed_args(words)

    def options(self) -> list[str]:
        """The options, by all their names."""
        return [name for action in self.actions() for name in action.option_strings]

    def actions(self) -> list[argparse.Action]:
        """The options and operands, from which the manual page and the completions are made."""
        return self._actions

    def error(self, message: str) -> NoReturn:
        """Reports what is wrong, and where to look."""
        more = "" if ";" in message else f"; see {self.prog} --help"
        raise UsageError(message.removeprefix("argument ") + more)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        # argparse's own text differs between versions, and suggests no choice.
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            text = f"invalid value {value!a}{nearest(str(value), choices)}"
            raise argparse.ArgumentError(action, text)

    def _print_message(self, message: str, _: object = None) -> None:
        streams.say(message, prose=True)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Makes the help as wide as the terminal.

    argparse finds the width too, but loads shutil for it even if no help is printed: nearly a
    tenth of the time that the command's imports take.
    """
    width = streams.terminal_width(sys.stdout) or streams.COLUMNS
    return argparse.RawDescriptionHelpFormatter(prog, width=max(width, 40))
