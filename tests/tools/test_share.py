"""The manual page and the completions: made from the parsers, installed, taken by real programs."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kvmppc.commands import SUMMARIES, advise, probe
from kvmppc.commands.parsing import parser_of
from kvmppc.processors import GRANTABLE
from kvmppc.testing import simulated_hosts

TOP = Path(__file__).parents[2]
SHARE = TOP / "share"
FILES = sorted(str(path.relative_to(SHARE)) for path in SHARE.rglob("*") if path.is_file())
HOSTS = {host.name for host in simulated_hosts()}
MODES = {str(mode) for mode in GRANTABLE}


def run(*words, **options):
    if shutil.which(words[0]) is None:
        pytest.fail(f"{words[0]} is not installed; it is in Debian's package of that name")
    return subprocess.run(words, capture_output=True, text=True, **options)


def test_they_are_what_the_parsers_say():
    done = run(sys.executable, str(TOP / "tools/share.py"), "--check", cwd="/")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_the_wheel_installs_each_where_it_is_looked_for(name):
    installed = Path(sys.prefix, "share", name)
    assert installed.read_text() == (SHARE / name).read_text()
    recorded = {file.locate().resolve() for file in importlib.metadata.files("kvmppc")}
    assert installed.resolve() in recorded


def test_mandoc_has_nothing_to_object_to():
    done = run("mandoc", "-T", "lint", str(SHARE / "man/man1/kvmppc.1"))
    assert (done.returncode, done.stdout) == (0, "")


def test_man_shows_the_page_without_a_warning():
    environment = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    done = run("man", "-l", "--warnings", str(SHARE / "man/man1/kvmppc.1"), env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    for name in SUMMARIES:
        assert re.search(rf"^   kvmppc {name}\b", done.stdout, re.MULTILINE)


def choices(command, option):
    """The values that a command's option has."""
    actions = parser_of("any", command).actions()
    return set(next(action.choices for action in actions if option in action.option_strings))


# Line by line as it is typed: what may follow.
TYPED = {
    "kvmppc ": {*SUMMARIES, "help"},
    "kvmppc pro": {"probe"},
    "kvmppc help ": set(SUMMARIES),
    "kvmppc help che": {"check"},
    "kvmppc --ver": {"--version"},
    "kvmppc --js": {"--json"},
    "kvmppc probe --exit": {"--exit-zero"},
    "kvmppc probe --format ": choices(probe, "--format"),
    "kvmppc advise --for ": choices(advise, "--for"),
    "kvmppc advise --json --mode ": MODES,
    "kvmppc --simulate ": HOSTS,
    "kvmppc doctor --simulate no-p": {"no-permission"},
    "kvmppc check dom": {"domain one.xml"},
    "kvmppc check --report rec": {"record.json"},
    "kvmppc baseline rec": {"record.json"},
}


@pytest.fixture
def folder(tmp_path):
    """A folder with two files, to be in."""
    (tmp_path / "domain one.xml").touch()
    (tmp_path / "record.json").touch()
    return tmp_path


@pytest.mark.parametrize("line", [*TYPED, "kvmppc probe --format=", "kvmppc probe --format=js"])
def test_bash_lists_what_may_follow(line, folder):
    words = re.findall(r"=|[^\s=]+|(?<=\s)$", line)
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_kvmppc; ((${#COMPREPLY[@]})) && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    source = str(SHARE / "bash-completion/completions/kvmppc")
    done = run("bash", "--norc", "-uc", script, "bash", source, *words, cwd=folder)
    expected = TYPED.get(line) or {
        word for word in TYPED["kvmppc probe --format "] if word.startswith(line.split("=")[1])
    }
    assert done.stderr == ""
    assert set(done.stdout.splitlines()) == expected


# How an interactive shell of each kind is started, and how it is given the completion.
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], f"source {SHARE}/bash-completion/completions/kvmppc"),
    "zsh": (
        ["-f", "-i"],
        f"fpath=({SHARE}/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D",
    ),
}


def typed_into(shell, lines, folder, setup=""):
    """The words that a shell on a terminal has on each line after Tab and Enter."""
    options, source = SHELLS[shell]
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [shell, *options],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PS1": "", "TERM": "dumb", "HISTFILE": ""},
        start_new_session=True,
    )
    os.close(theirs)
    # The command itself is a function here, which shows its words.
    typed = [source, "kvmppc() { printf '<%s>' \"$@\"; echo; }", setup]
    typed += [f"{line}\t" for line in lines]
    os.write(ours, "\n".join([*typed, "exit", ""]).encode())
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    return [re.findall(r"<([^>]*)>", line) for line in out.decode().splitlines()]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes_at_a_tab(shell, folder):
    completed = {
        "kvmppc adv": ["advise"],
        "kvmppc probe --simulate power11-as-power1": ["probe", "--simulate", "power11-as-power10"],
        "kvmppc probe --format=me": ["probe", "--format=metrics"],
        "kvmppc check dom": ["check", "domain one.xml"],
    }
    assert typed_into(shell, completed, folder) == list(completed.values())


# Has Tab put in all that may follow, where it otherwise puts in what they have in common.
ALL = """\
all() { _main_complete; compstate[insert]=all; }
zle -C all complete-word all; bindkey '^I' all"""


def test_zsh_lists_what_may_follow(folder):
    listed = {}
    for line, words in zip(TYPED, typed_into("zsh", TYPED, folder, ALL)):
        before = len(line.rsplit(" ", 1)[0].split()) - 1
        listed[line] = set(words[before:])
    assert listed == TYPED


@pytest.mark.parametrize("line", TYPED)
def test_fish_lists_what_may_follow(line, folder):
    source = SHARE / "fish/vendor_completions.d/kvmppc.fish"
    script = f"source {source}; complete -C {line!r}"
    done = run("fish", "--no-config", "-c", script, cwd=folder, env={**os.environ, "HOME": "/tmp"})
    listed = {each.split("\t")[0] for each in done.stdout.splitlines()}
    assert (listed, done.stderr) == (TYPED[line], "")
