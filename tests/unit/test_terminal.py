"""On a terminal nothing is wider than it, and outcomes are in color; elsewhere lines stay whole."""

import fcntl
import json
import os
import re
import struct
import subprocess
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import PROGRAM

import kvmppc
from kvmppc.commands import SUMMARIES
from kvmppc.layout import _columns, folded, painted, unfolded
from kvmppc.testing import simulated_host, simulated_hosts

ENVIRONMENT = {**os.environ, "TERM": "xterm", "NO_COLOR": ""}
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def shown(*words, columns=80, **environment):
    """What the command shows, standard error too, on a terminal with so many columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [PROGRAM, *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**ENVIRONMENT, **environment},
    )
    os.close(theirs)
    text = b""
    with open(ours, "rb", buffering=0) as screen:
        try:
            while part := screen.read(4096):
                text += part
        except OSError:
            pass  # EIO: nobody has the other side open any more
    process.wait()
    return text.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A fleet's records, with long names and wide ones, and a domain that is not granted."""
    folder = tmp_path_factory.mktemp("files")
    with simulated_host("power11-as-power10"):
        record = {**kvmppc.probe().to_dict(), "simulated": None}
    with simulated_host("no-permission"):
        denied = {**kvmppc.probe().to_dict(), "simulated": None}
    names = ["lpar1", "n" * 64, "電力" * 20, "lpar1"]
    records = [{**record, "hostname": name} for name in names] + [denied]
    (folder / "records").write_text("".join(json.dumps(each) + "\n" for each in records) + "{\n")
    (folder / "guest.xml").write_text(
        "<domain type='kvm'><os><type arch='ppc64le'>hvm</type></os>"
        "<cpu mode='host-passthrough'/></domain>"
    )
    return folder


COMMANDS = {
    "overview": ["--help"],
    "version": ["--version"],
    **{f"{name} --help": [name, "--help"] for name in SUMMARIES},
    **{f"probe {host.name}": ["--simulate", host.name] for host in simulated_hosts()},
    **{f"doctor {host.name}": ["doctor", "--simulate", host.name] for host in simulated_hosts()},
    "probe here": [],
    "doctor here": ["doctor"],
    "check no": ["check", "{}/guest.xml", "--simulate", "power11-as-power10"],
    "check unknown": ["check", "{}/guest.xml", "--simulate", "no-nesting"],
    "check --fix": ["check", "--fix", "{}/guest.xml", "--simulate", "no-nesting"],
    "advise": ["advise", "--for", "libvirt", "--simulate", "power10"],
    "advise none": ["advise", "--for", "qemu", "--simulate", "no-nesting"],
    "decode": ["decode", "0x9100000000000001"],
    "decode unknown": ["decode", "0x12345678"],
    "hosts": ["hosts"],
    "baseline": ["baseline", "{}/records"],
    "check many": ["check", "{0}/guest.xml", "{0}", "--simulate", "power11-as-power10"],
    "explain": ["explain", "kvm run failed Invalid argument"],
    "plan": ["plan", "{}/guest.xml", "--fleet", "{}/records"],
    "bench": ["bench", "--simulate", "power10", "--count", "2000"],
    "no command": ["frobnicate"],
    "no option": ["probe", "--frobnicate"],
    "no host": ["probe", "--simulate", "x"],
    "no value": ["probe", "--format", "x" * 300],
}


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("case", COMMANDS)
def test_nothing_is_wider_than_the_terminal(case, columns, files):
    words = [word.format(files) for word in COMMANDS[case]]
    text = shown(*words, columns=columns)
    assert text
    assert [line for line in re.split("[\n\r]", text) if _columns(line) > columns] == []


def test_what_goes_on_is_indented_under_its_column():
    lines = shown("doctor", "--simulate", "no-nesting", columns=60, NO_COLOR="1").splitlines()
    continued = [line for line in lines if line.startswith(" ")]
    assert continued
    assert all(re.match(r" {25}\S", line) for line in continued)


def test_a_message_that_goes_on_is_indented():
    lines = shown("frobnicate", columns=60).splitlines()
    assert lines[0].startswith("kvmppc: unknown command 'frobnicate'; ")
    assert all(line.startswith(" " * 8) for line in lines[1:])


def test_elsewhere_a_line_stays_a_line():
    words = ["doctor", "--simulate", "no-nesting"]
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False)
    assert max(map(len, done.stdout.splitlines())) > 120
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "outcome", "color"),
    [
        (["doctor", "--simulate", "power10"], "pass", 32),
        (["doctor", "--simulate", "linux-6.12"], "fail", 31),
        (["doctor", "--simulate", "power11-as-power10"], "warn", 33),
        (["check", "{}/guest.xml", "--simulate", "power11"], "yes", 32),
        (["check", "{}/guest.xml", "--simulate", "power11-as-power10"], "no", 31),
        (["check", "{}/guest.xml", "--simulate", "no-device"], "unknown", 33),
        (["check", "{0}/guest.xml", "{0}/guest.xml", "--simulate", "no-device"], "unknown", 33),
    ],
)
def test_outcomes_are_in_color_where_that_is_wanted(words, outcome, color, files):
    words = [word.format(files) for word in words]
    colored = f"\x1b[{color}m{outcome}\x1b[0m"
    assert colored in shown(*words)
    for unwanted in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in shown(*words, **unwanted)


TEXTS = st.text("ab \n:", max_size=200) | st.text("ab  電\u0301", max_size=200)


@given(TEXTS, st.integers(20, 100), st.integers(0, 8))
def test_no_text_is_wider_and_no_word_is_lost(text, width, indent):
    lines = folded(text, width, indent).split("\n")
    assert all(_columns(line) <= width for line in lines if len(line) > 1)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(TEXTS)
def test_text_that_fits_stays_as_it_is(text):
    assert folded(text, 400) == text


def test_color_is_no_reason_to_fold():
    bold = "modes      power9  \x1b[1mpower10\x1b[0m (newest)"
    assert folded(bold, len(ESCAPE.sub("", bold))) == bold


def test_only_an_outcome_at_the_begin_of_a_line_is_painted():
    assert painted("no host: x\nnothing\nmodes  no\nno-device  y") == (
        "no host: x\nnothing\nmodes  no\nno-device  y"
    )


def test_a_source_s_lines_become_paragraphs_and_items():
    text = "One\ntwo.\n\nexit codes:\n  0  yes,\n     or so\n  1  no\nThe end.\n"
    assert unfolded(text) == "One two.\n\nexit codes:\n  0  yes, or so\n  1  no\nThe end."


def test_a_word_that_is_longer_than_a_line_goes_on_in_the_next():
    assert folded("x" * 25, 10, 2).split("\n") == ["x" * 10, "  " + "x" * 8, "  " + "x" * 7]
    assert folded("\u96fb" * 6, 10, 2).split("\n") == ["\u96fb" * 5, "  \u96fb"]
