"""Makes share/: the manual page and the completions, from the commands' parsers.

.venv/bin/python tools/share.py            # after a change of a command, an option, a host
.venv/bin/python tools/share.py --check    # exits 1 where that has been forgotten
"""

from __future__ import annotations

import datetime
import importlib
import re
import sys
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from kvmppc import __version__
from kvmppc.commands import SUMMARIES
from kvmppc.commands.parsing import Parser, parser_of
from kvmppc.processors import GRANTABLE
from kvmppc.testing import simulated_hosts

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

SHARE = Path(__file__).parents[1] / "share"
MADE = "Made by tools/share.py from the commands' parsers."
PARSERS = {
    name: parser_of(name, importlib.import_module(f"kvmppc.commands.{name}")) for name in SUMMARIES
}
HELP = "show the help of a command"
VERSION = "show the version"
FILES = {"DIR", "FILE", "FOLDER", "PATH", "DOMAIN.xml", "RECORD"}
NAMES = {
    "MODE": [str(mode) for mode in GRANTABLE],
    "NAME": [host.name for host in simulated_hosts()],
}


# What is asked of a parser


def options(parser: Parser) -> list[argparse.Action]:
    """The options, without what all programs have."""
    return [action for action in parser.actions() if action.option_strings]


def operands(parser: Parser) -> list[argparse.Action]:
    """What comes without an option before it."""
    return [action for action in parser.actions() if not action.option_strings]


def takes_value(action: argparse.Action) -> bool:
    """Whether a word follows the option."""
    return action.nargs != 0


def metavar(action: argparse.Action) -> str:
    """What the value is called."""
    return str(action.metavar or action.dest.upper())


def values(action: argparse.Action) -> list[str]:
    """The values there are, none where they cannot be listed."""
    return list(map(str, action.choices or NAMES.get(metavar(action), [])))


def takes_files(action: argparse.Action) -> bool:
    """Whether the value is a file."""
    return metavar(action) in FILES


def meaning(action: argparse.Action) -> str:
    """What the help says of it."""
    return (action.help or "") % {"default": action.default}


# bash


def bash() -> str:
    """The completion for bash, which needs no package beside it."""
    cases = [f"\thelp,*) words='{' '.join(SUMMARIES)}' ;;"]
    for name, parser in PARSERS.items():
        for action in filter(takes_value, options(parser)):
            pattern = "|".join(f"{name},{option}" for option in action.option_strings)
            what = "files=1" if takes_files(action) else f"words='{' '.join(values(action))}'"
            cases.append(f"\t{pattern}) {what} ;;")
        names = f"words='{' '.join(parser.options())}'"
        if any(map(takes_files, operands(parser))):
            cases.append(f"\t{name},*) if [[ $cur == -* ]]; then {names}; else files=1; fi ;;")
        else:
            cases.append(f"\t{name},*) {names} ;;")
    return f"""\
# bash completion for kvmppc. {MADE}
_kvmppc() {{
	local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
	local command=${{COMP_WORDS[1]}} words= files=
	# bash takes --option=value for three words.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${{COMP_WORDS[COMP_CWORD - 2]}}
	fi
	[[ $command == -* ]] && command=probe
	((COMP_CWORD == 1)) && [[ $cur != -* ]] && command=
	case $command,$prev in
	,*) words='{" ".join([*SUMMARIES, "help"])}' ;;
{chr(10).join(cases)}
	esac
	((COMP_CWORD == 1)) && [[ $cur == -* ]] && words+=' --version'
	if [[ $files ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}}
complete -F _kvmppc kvmppc
"""


# zsh


def quoted(text: str) -> str:
    """A word for a shell, in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


def zsh_value(action: argparse.Action) -> str:
    """What follows: its name, and how it is completed."""
    how = "_files" if takes_files(action) else f"({' '.join(values(action))})"
    return f":{metavar(action)}:{how if how != '()' else ' '}"


def zsh_words(parser: Parser) -> Iterator[str]:
    """The specifications for _arguments."""
    for action in options(parser):
        names = action.option_strings
        text = re.sub(r"([\[\]])", r"\\\1", meaning(action))
        value = zsh_value(action) if takes_value(action) else ""
        for name in names:
            first = f"({' '.join(names)})" if len(names) > 1 else ""
            equals = "=" if value and name.startswith("--") else ""
            yield quoted(f"{first}{name}{equals}[{text}]{value}")
    for action in operands(parser):
        yield quoted(("*" if action.nargs in ("+", "*") else "") + zsh_value(action))


def zsh() -> str:
    """The completion for zsh."""
    commands = "\n".join(f"  {quoted(f'{name}:{text}')}" for name, text in SUMMARIES.items())
    cases = "".join(
        f"{name})\n  _arguments $version \\\n    "
        + " \\\n    ".join(zsh_words(parser))
        + "\n  ;;\n"
        for name, parser in PARSERS.items()
    )
    return f"""\
#compdef kvmppc
# {MADE}
local -a commands
commands=(
{commands}
)
local command=probe
local -a version
if (( CURRENT == 2 )); then
  if [[ $words[2] != -* ]]; then
    commands+=({quoted(f"help:{HELP}")})
    _describe command commands
    return
  fi
  version=({quoted(f"--version[{VERSION}]")})
fi
if [[ $words[2] != -* ]]; then
  command=$words[2]
  shift words
  (( CURRENT-- ))
fi
case $command in
help)
  _describe command commands
  ;;
{cases}esac
"""


# fish


def fish() -> str:
    """The completion for fish."""
    others = " ".join([*SUMMARIES, "help"])
    lines = [f"# fish completion for kvmppc. {MADE}", "complete -c kvmppc -f"]
    for name, text in {**SUMMARIES, "help": HELP}.items():
        begin = f"complete -c kvmppc -n 'not __fish_seen_subcommand_from {others}'"
        lines.append(f"{begin} -a {name} -d {quoted(text)}")
    lines += [
        "complete -c kvmppc -n 'test (count (commandline -opc)) -eq 1' -l version -d "
        + quoted(VERSION),
        f"complete -c kvmppc -n '__fish_seen_subcommand_from help' -a '{' '.join(SUMMARIES)}'",
    ]
    for name, parser in PARSERS.items():
        condition = f"__fish_seen_subcommand_from {name}"
        if name == "probe":
            rest = " ".join(one for one in [*SUMMARIES, "help"] if one != "probe")
            condition = f"not __fish_seen_subcommand_from {rest}"
        begin = f"complete -c kvmppc -n '{condition}'"
        lines += [f"{begin}{words}" for words in fish_options(parser)]
        if any(map(takes_files, operands(parser))):
            lines.append(f"{begin} -F")
    return "\n".join(lines) + "\n"


def fish_options(parser: Parser) -> Iterator[str]:
    """What complete is told of each option."""
    for action in options(parser):
        words = "".join(
            f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
            for name in action.option_strings
        )
        if takes_value(action):
            words += " -r -F" if takes_files(action) else f" -x -a '{' '.join(values(action))}'"
        yield f"{words} -d {quoted(meaning(action))}"


# The manual page


def roff(text: str) -> str:
    """Text as roff takes it for text, in lines that can be read."""
    lines = wrap(text, 66, break_long_words=False, break_on_hyphens=False)
    text = "\n".join(lines).replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def item(term: str, text: str) -> str:
    """A term, and what it means."""
    return f".TP\n{term}\n{roff(text)}\n"


def bold(text: str) -> str:
    """A word as it is typed."""
    return f"\\fB{roff(text)}\\fR"


def man_option(action: argparse.Action) -> str:
    """An option or an operand, with its values where they are few."""
    name = ", ".join(map(bold, action.option_strings))
    if takes_value(action):
        name = f"{name} \\fI{roff(metavar(action))}\\fR".strip()
    text = meaning(action)
    if action.choices:
        text += f" (one of {', '.join(values(action))})"
    return item(name, text or "the same for every command")


def man_text(text: str) -> str:
    """A description or the end of a help: paragraphs, and items of two columns."""
    parts = []
    for line in text.split("\n"):
        found = re.fullmatch(r"  (\S+(?: \S+)*)  +(.*)", line)
        if found is not None:
            parts.append(item(bold(found[1]), found[2]))
        elif line:
            parts.append(f".PP\n{roff(line)}\n")
    return "".join(parts)


def man_command(name: str, parser: Parser) -> str:
    """The part of a command."""
    words = " ".join([name, *(metavar(action) for action in operands(parser))])
    description = man_text(parser.description or "").removeprefix(".PP\n")
    listed = [*operands(parser), *options(parser)]
    common = {"help", "traceback"}
    parts = "".join(man_option(action) for action in listed if action.dest not in common)
    return f'.SS "kvmppc {roff(words)}"\n{description}{parts}{man_text(parser.epilog or "")}'


def man(date: str) -> str:
    """The manual page."""
    return f"""\
.\\" {MADE}
.TH KVMPPC 1 {date} "kvmppc {__version__}" "User Commands"
.SH NAME
kvmppc \\- tell which processor modes KVM can give to nested guests on IBM Power
.SH SYNOPSIS
.B kvmppc
.RI [ command ]
.RI [ option ...]
.br
.B kvmppc help
.I command
.br
.B kvmppc \\-\\-version
.SH DESCRIPTION
{
        roff(
            "A partition of IBM Power that runs in a processor compatibility mode cannot start "
            "a guest in the mode of its physical processor. kvmppc asks the kernel which modes "
            "it grants, and turns the answer into what QEMU, libvirt and a fleet need. Without "
            "a command it does what probe does."
        )
    }
.PP
All commands take
.B \\-\\-help
and
.BR \\-\\-traceback ,
which prints Python's traceback where kvmppc fails by a fault of its own.
.SH COMMANDS
{"".join(man_command(name, parser) for name, parser in PARSERS.items()).rstrip()}
.SH EXIT STATUS
Each command lists its own.
For all of them, and for no answer:
{item(bold("2"), "the command was not understood, or its output could not be written")}{
        item(bold("70"), "kvmppc failed by a fault of its own, or there was no memory")
    }{item(bold("130"), "it was interrupted (128 + SIGINT)")}{
        item(bold("141"), "the reader of its output has gone (128 + SIGPIPE)").rstrip()
    }
.SH ENVIRONMENT
No variable changes an answer.
.TP
.BR NO_COLOR ", " TERM=dumb
no color on a terminal
.SH FILES
.TP
.I /dev/kvm
what is asked; who may open it may ask
.SH EXAMPLES
.TP
.B kvmppc
ask this host
.TP
.B kvmppc advise \\-\\-for libvirt
print the element that gives a guest the newest mode that is granted
.TP
.B kvmppc check \\-\\-fix \\-\\-in\\-place guest.xml
put that mode into a libvirt domain
.TP
.B kvmppc probe \\-\\-simulate power11\\-as\\-power10
try it where there is no Power
.SH SEE ALSO
.BR qemu\\-system\\-ppc64 (1),
.BR virsh (1)
"""


def files(date: str) -> dict[str, str]:
    """All files, by their paths under share/."""
    return {
        "bash-completion/completions/kvmppc": bash(),
        "fish/vendor_completions.d/kvmppc.fish": fish(),
        "man/man1/kvmppc.1": man(date),
        "zsh/site-functions/_kvmppc": zsh(),
    }


def main(words: list[str]) -> int:
    """Writes what has changed; the page keeps its date where nothing else has."""
    page = SHARE / "man/man1/kvmppc.1"
    before = re.search(r"^\.TH KVMPPC 1 (\S+)", page.read_text() if page.exists() else "", re.M)
    changed = [
        path
        for path, text in files(before[1] if before else "").items()
        if not (SHARE / path).exists() or (SHARE / path).read_text() != text
    ]
    if words == ["--check"]:
        for path in changed:
            print(f"share/{path} is not what the parsers say; run tools/share.py", file=sys.stderr)
        return 1 if changed else 0
    for path, text in files(str(datetime.date.today())).items():
        if path in changed:
            (SHARE / path).parent.mkdir(parents=True, exist_ok=True)
            (SHARE / path).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
