"""The command, as people and scripts use it."""

import argparse
import json
import os
import subprocess
import sys
from string import ascii_lowercase

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from program import PROGRAM

import kvmppc
from kvmppc.cli import main
from kvmppc.commands import SUMMARIES, nearest, probe
from kvmppc.testing import simulated_host, simulated_hosts

# 0 where it is not here.
EXIT_CODES = {
    "linux-6.12": 3,
    "linux-6.12-as-power10": 3,
    "no-nesting": 3,
    "power8-mode": 3,
    "kvm-pr": 3,
    "no-operation": 3,
    "backend-refuses": 3,
    "no-device": 3,
    "container": 3,
    "no-permission": 4,
    "patch-v4-short": 3,
}


def command(*words, **options):
    """Starts the installed command itself."""
    program = PROGRAM
    return subprocess.run(
        [program, *words],
        text=True,
        stderr=subprocess.PIPE,
        **{"stdout": subprocess.PIPE, **options},
    )


@pytest.mark.parametrize("name", [host.name for host in simulated_hosts()])
def test_the_exit_code_tells_the_status(name, capsys):
    assert main(["probe", "--json", "--simulate", name]) == EXIT_CODES.get(name, 0)
    record = json.loads(capsys.readouterr().out)
    assert record["simulated"] == name


def test_words_that_need_no_parser_mean_what_the_parser_makes_of_them():
    parser = argparse.ArgumentParser()
    probe.configure(parser)
    for words, arguments in probe.PLAIN.items():
        assert vars(arguments) == vars(parser.parse_args(words))


def test_people_get_a_few_aligned_lines(capsys):
    assert main(["probe", "--simulate", "power11-as-power10"]) == 0
    assert capsys.readouterr().out == (
        "Simulated host power11-as-power10.\n"
        "host       power11-as-power10 (ppc64le, Linux 7.3.0, guest of KVM or QEMU)\n"
        "processor  Power11, running in POWER10 mode\n"
        "modes      power9  power10 (newest)\n"
        "found      The kernel answered: negotiated with the hypervisor (nested API v2).\n"
    )


def test_without_a_command_the_host_is_asked(capsys):
    assert main(["--simulate", "power9", "-q"]) == 0
    assert capsys.readouterr().out == "power9\n"


def test_quiet_prints_the_newest_mode_alone(capsys):
    assert main(["probe", "-q", "--simulate", "future"]) == 0
    assert capsys.readouterr() == ("power11\n", "")


def test_quiet_prints_nothing_where_there_is_no_answer_and_says_why(capsys):
    assert main(["probe", "-q", "--simulate", "no-permission"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kvmppc: denied: ")


def test_a_hint_is_marked(capsys):
    assert main(["probe", "--simulate", "linux-6.12"]) == 3
    out, _ = capsys.readouterr()
    assert "hint       power10, the host's own mode" in out
    assert "(newest)" not in out


def test_unknown_bits_are_shown_raw(capsys):
    main(["probe", "--simulate", "future"])
    assert "unknown    0x100000000000000: " in capsys.readouterr().out


def test_hosts_lists_the_simulated_hosts(capsys):
    assert main(["hosts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [host.name for host in simulated_hosts()]


def test_hosts_are_listed_for_programs_too(capsys):
    assert main(["hosts", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["hosts"]
    assert [host["name"] for host in listed] == [host.name for host in simulated_hosts()]


def test_the_version_says_whose_definitions_were_compiled_in(capsys):
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"kvmppc {kvmppc.__version__} (linux/kvm.h: capability ")
    for name in ("capability", "request", "struct", "bits"):
        assert any(f"{name} {source}" in out for source in ("own", "fallback", "differs"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frobnicate"], "unknown command 'frobnicate'; choose from probe"),
        (["probe", "--simulate", "power8"], "unknown simulated host 'power8'"),
        (["probe", "--device", ""], "not a path; give the path of the KVM device"),
        (["probe", "--device", "a\0b"], "not a path; give the path of the KVM device"),
        (["probe", "--json", "-q"], "not allowed with"),
        (["probe", "extra"], "unrecognized arguments"),
        (["pobe"], "unknown command 'pobe'; did you mean probe?"),
        (["probe", "--simulate", "power-11"], "did you mean power11?"),
        (["probe", "--jsn"], "unknown option --jsn; did you mean --json?"),
        (["probe", "--form", "json"], "unknown option --form; did you mean --format?"),
        (["probe", "--format", "jsn"], "--format: invalid value 'jsn'; did you mean json?"),
        (["advise", "--for", "qemu", "--mode", "powr10"], "did you mean power10?"),
        (["advise"], "--for --json is required; see kvmppc advise --help"),
    ],
)
def test_wrong_usage_is_explained_and_exits_2(words, message, capsys):
    code = main(words)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert message in err


def edits(one, other):
    """The least number of letters to insert, remove or replace, to turn one word into another."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        before, row = row, [number]
        for at, wanted in enumerate(other, 1):
            row.append(min(before[at] + 1, row[-1] + 1, before[at - 1] + (letter != wanted)))
    return row[-1]


@given(st.sampled_from(list(SUMMARIES)), st.data())
def test_a_command_with_one_letter_wrong_has_a_suggestion(name, data):
    at = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from(["", *ascii_lowercase]))
    word = name[:at] + letter + name[at + data.draw(st.integers(0, 1)) :]
    assume(word not in SUMMARIES)
    assert nearest(word, SUMMARIES).startswith("; did you mean ")


@given(
    st.text(ascii_lowercase, min_size=1, max_size=12) | st.permutations("probe").map("".join),
    st.sampled_from([list(SUMMARIES), ["--json", "--format", "--for", "--device"]]),
)
@example("frob", list(SUMMARIES))
@example("--frob", ["--for", "--format"])
def test_a_suggestion_is_near(word, names):
    said = nearest(word, names)
    if said.startswith("; choose from "):
        assert said == f"; choose from {', '.join(names)}"
        return
    name = said.removeprefix("; did you mean ").removesuffix("?").lstrip("-")
    word = word.lstrip("-")
    assert name.startswith(word) or edits(word, name) <= (len(word) + len(name)) / 4


def test_a_word_that_is_near_no_command_has_no_suggestion(capsys):
    assert main(["help", "frob"]) == 2
    assert "unknown command 'frob'; choose from probe, " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["probe", "--help"], ["help", "hosts"]])
def test_help_is_there(words, capsys):
    code = main(words)
    assert code == 0
    assert capsys.readouterr().out.startswith("usage: kvmppc")


def test_a_closed_pipe_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    done = command("hosts", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_told():
    with open("/dev/full", "w") as full:
        done = command("hosts", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "kvmppc: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("words", ["hosts", "-q --simulate no-permission", "--version", "help"])
def test_a_closed_output_exits_2_whatever_the_host_said(words):
    done = subprocess.run(["sh", "-c", f"{PROGRAM} {words} >&-"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith("kvmppc: standard output is closed")) == (
        2,
        True,
    )


def test_a_closed_output_is_no_traceback():
    program = PROGRAM
    done = subprocess.run(["sh", "-c", f"{program} hosts >&-"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "kvmppc: standard output is closed; open it, or redirect it to a file\n",
    )


def test_output_is_plain_where_it_is_not_a_terminal():
    assert "\x1b" not in command("--simulate", "power10").stdout


def on_terminal(**environment):
    """What the command shows on a terminal."""
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as screen:
        command("--simulate", "power10", stdout=theirs, env={**os.environ, **environment})
        os.close(theirs)
        return screen.read(4096).decode()


def test_the_newest_mode_is_bold_on_a_terminal():
    assert "\x1b[1mpower10\x1b[0m (newest)" in on_terminal(TERM="xterm", NO_COLOR="")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": ""}])
def test_color_is_left_out_where_it_is_not_wanted(environment):
    assert "\x1b" not in on_terminal(**{"TERM": "xterm", **environment})


def test_text_that_the_output_cannot_show_is_escaped(tmp_path):
    with simulated_host("power10"):
        record = kvmppc.probe().to_dict()
    (tmp_path / "record").write_text(json.dumps({**record, "hostname": "größe"}))
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = command("baseline", str(tmp_path / "record"), env=ascii_only)
    assert done.returncode == 0
    assert "gr\\xf6\\xdfe" in done.stdout


def test_python_m_is_the_same_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kvmppc", "-q", "--simulate", "power9"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "power9\n")


@pytest.mark.parametrize(
    "words", ["", "-q", "probe --simulate power10", "doctor", "hosts", "bench"]
)
def test_an_installation_without_cffi_says_what_to_install(words, tmp_path):
    code = "import sys; sys.modules['_cffi_backend'] = None; from kvmppc.cli import main; "
    code += "sys.exit(main(sys.argv[1:]))"
    python = [sys.executable, "-c", code, *words.split()]
    done = subprocess.run(python, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kvmppc: ")
    assert "_cffi_backend" in done.stderr
    assert "; install cffi for this Python, " in done.stderr
