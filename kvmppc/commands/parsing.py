"""How a command's words are read: no abbreviations, one style of error.

Loads argparse, which takes as long as asking and all else: words that need no parser do not
come here.
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
    """The parser of a command: for its own words, and for those that all commands have."""
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
        help="where kvmppc fails by a fault of its own, print Python's traceback to report",
    )
    return parser


class Parser(argparse.ArgumentParser):
    """Raises UsageError for words that make no sense, and prints its help through streams."""

    color: bool

    def read(self, words: list[str]) -> argparse.Namespace:
        """What the words mean. Raises UsageError, and SystemExit after the help was printed."""
        for word in words:
            if word == "--":
                break
            name = word.partition("=")[0]
            # Before argparse looks: it would first miss what a mistyped option was to be.
            if name.startswith("--") and " " not in name and name not in self.options():
                raise UsageError(f"there is no option {name}{nearest(name, self.options())}")
        return self.parse_args(words)

    def options(self) -> list[str]:
        """The options, by all their names."""
        return [name for action in self.actions() for name in action.option_strings]

    def actions(self) -> list[argparse.Action]:
        """The options and operands, from which the manual page and the completions are made."""
        return self._actions

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, and where to find what is right."""
        more = "" if ";" in message else f"; {self.prog} --help tells which words it takes"
        raise UsageError(message.removeprefix("argument ") + more)

    def _check_value(self, action: argparse.Action, value: object) -> None:
        # argparse words it differently from version to version, and names no likely choice.
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            text = f"{value!a} is none of its values{nearest(str(value), choices)}"
            raise argparse.ArgumentError(action, text)

    def _print_message(self, message: str, _: object = None) -> None:
        streams.say(message, prose=True)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Lays the help out as the terminal is wide.

    argparse would find the width too, but loads shutil for it, also where no help is asked for:
    nearly a tenth of the time that the command's imports take.
    """
    width = streams.terminal_width(sys.stdout) or streams.COLUMNS
    return argparse.RawDescriptionHelpFormatter(prog, width=max(width, 40))
