"""kvmppc advise, as scripts use it."""

import io
import json
import subprocess
import sys

import pytest

import kvmppc
from kvmppc.cli import main
from kvmppc.testing import simulated_host


@pytest.fixture
def record(tmp_path):
    """Writes a simulated host's record to a file, with values changed; gives the path."""

    def write(name, **values):
        with simulated_host(name):
            fields = kvmppc.probe().to_dict()
        path = tmp_path / "record.json"
        path.write_text(json.dumps({**fields, **values}))
        return str(path)

    return write


@pytest.fixture
def stdin(monkeypatch):
    """Puts bytes on standard input."""
    return lambda data: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def advise(*words):
    """Runs the command."""
    return main(["advise", *words])


def test_the_words_for_qemu_are_the_whole_output(capsys):
    assert advise("--for", "qemu", "--simulate", "power11-as-power10") == 0
    assert capsys.readouterr() == ("-machine pseries,max-cpu-compat=power10\n", "")


def test_the_element_for_libvirt_is_the_whole_output(capsys):
    assert advise("--for", "libvirt", "--simulate", "power11", "--mode", "POWER9") == 0
    expected = "<cpu mode='host-model' check='none'><model>power9</model></cpu>\n"
    assert capsys.readouterr() == (expected, "")


@pytest.mark.parametrize(
    ("words", "code", "mode", "hint"),
    [
        (["--simulate", "power10"], 0, "power10", False),
        (["--simulate", "power10", "--mode", "power11"], 1, None, False),
        (["--simulate", "linux-6.12"], 3, None, False),
        (["--simulate", "linux-6.12", "--accept-hint"], 0, "power10", True),
        (["--simulate", "no-permission"], 4, None, False),
    ],
)
def test_programs_get_all_forms_in_one_line_of_json(words, code, mode, hint, capsys):
    assert advise("--json", *words) == code
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (1, "")
    advice = json.loads(out)
    assert (advice["mode"], advice["hint"]) == (mode, hint)
    assert (advice["qemu"] is None) == (advice["libvirt"] is None) == (mode is None)
    assert advice["reason"]


def test_a_mode_that_is_not_granted_exits_1_and_lists_what_is(capsys):
    assert advise("--for", "qemu", "--simulate", "powervm-power11", "--mode", "power9") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("kvmppc: powervm-power11 does not grant power9; it grants power10, power11.\n")


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("linux-6.12", 3),
        ("no-device", 3),
        ("patch-v4-short", 3),
        ("no-permission", 4),
    ],
)
def test_without_an_answer_nothing_is_printed_and_the_exit_code_says_why(host, code, capsys):
    assert advise("--for", "qemu", "--simulate", host) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kvmppc: ")


def test_a_hint_needs_consent_and_is_told(capsys):
    words = ("--for", "qemu", "--simulate", "linux-6.12")
    assert advise(*words) == 3
    assert "--accept-hint" in capsys.readouterr().err
    assert advise(*words, "--accept-hint") == 0
    out, err = capsys.readouterr()
    assert out == "-machine pseries,max-cpu-compat=power10,cap-hpt-max-page-size=4k\n"
    assert "hint" in err


def test_another_host_is_advised_from_its_record(record, capsys):
    assert advise("--for", "qemu", "--report", record("powervm-power11")) == 0
    assert capsys.readouterr().out == "-machine pseries,max-cpu-compat=power11\n"


def test_a_record_can_come_from_standard_input(record, stdin, capsys):
    with open(record("power9"), "rb") as file:
        stdin(file.read())
    assert advise("--for", "qemu", "--report", "-") == 0
    assert capsys.readouterr().out == "-machine pseries,max-cpu-compat=power9\n"


def test_a_record_of_a_host_that_denied_exits_4(record):
    assert advise("--for", "qemu", "--report", record("no-permission")) == 4


def test_what_a_record_says_cannot_reach_the_terminal_raw(record, capsys):
    path = record("no-device", reason="\x1b]0;owned\x07\ud800\u202e")
    assert advise("--for", "qemu", "--report", path) == 3
    err = capsys.readouterr().err
    assert err.isprintable() or err.rstrip("\n").isprintable()
    assert r"\x1b]0;owned\x07\ud800\u202e" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "a record is a JSON object"),
        (b"{}", "schema is missing"),
        (b"\xff\xfe\x00", "not JSON"),
        (b" " * (2 << 20), "longer than"),
    ],
)
def test_what_is_no_record_exits_2_and_is_named(content, message, tmp_path, capsys):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    assert advise("--for", "qemu", "--report", str(path)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"kvmppc: {path}: ")
    assert message in err


@pytest.mark.parametrize("path", ["missing\x1b[31m", "/", "a\0b"])
def test_a_file_that_cannot_be_read_exits_2_and_is_named(path, capsys):
    assert advise("--for", "qemu", "--report", path) == 2
    err = capsys.readouterr().err
    assert err.startswith("kvmppc: ")
    assert err.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--for"),
        (("--for", "xen"), "'xen'"),
        (("--for", "qemu", "--mode", "banana"), "choose from power9, power10, power11"),
        (("--for", "qemu", "--simulate", "power8"), "unknown simulated host 'power8'"),
        (("--for", "qemu", "--report", "-", "--simulate", "power9"), "--report does not query KVM"),
        (
            ("--for", "qemu", "--report", "-", "--device", "/dev/other"),
            "--report does not query KVM",
        ),
    ],
)
def test_words_that_make_no_sense_exit_2(words, message, capsys):
    assert advise(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_standard_input_that_is_closed_is_no_traceback():
    done = subprocess.run(
        ["sh", "-c", '"$0" -m kvmppc advise --for qemu --report - <&-', sys.executable],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.returncode == 2
    assert done.stderr.startswith("kvmppc: standard input: ")


def test_a_qemu_that_does_not_know_the_processor_gets_no_words(capsys):
    assert advise("--for", "qemu", "--simulate", "power11-as-power10", "--qemu", "9.1") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "9.2" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "--cpu mode=host-model,model=power10,check=none"),
        (
            ["--libvirt", "11.3"],
            "--cpu mode=host-passthrough,check=none "
            "--qemu-commandline='-machine max-cpu-compat=power10'",
        ),
        (
            ["--page-size", "4k"],
            "--cpu mode=host-model,model=power10,check=none "
            "--xml ./features/hpt/maxpagesize=4 --xml ./features/hpt/maxpagesize/@unit=KiB",
        ),
    ],
)
def test_virt_install_gets_the_words_that_its_libvirt_takes(words, expected, capsys):
    host = ["--simulate", "power11-as-power10", "--page-size", "64k"]
    assert advise("--for", "virt-install", *host, *words) == 0
    assert capsys.readouterr().out == expected + "\n"


def test_on_the_host_itself_the_programs_are_asked_once(tmp_path, monkeypatch, capsys):
    for name, says in (("qemu-system-ppc64", "QEMU emulator version 9.1.0"), ("virsh", "9.0.0")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho >> {tmp_path}/{name}.log\necho {says}\n")
        (tmp_path / name).chmod(0o755)
    domain = tmp_path / "guest.xml"
    domain.write_text("<domain type='kvm'><os><type arch='ppc64le'>hvm</type></os></domain>")
    monkeypatch.setenv("PATH", str(tmp_path))
    with simulated_host("power10"):  # without --simulate: as where this is the host
        assert main(["check", str(domain), str(domain), "--json", "--page-size", "64k"]) == 0
        places = {json.loads(line)["for"] for line in capsys.readouterr().out.splitlines()}
        assert advise("--for", "property") == 0
    assert places == {"QEMU 9.1, libvirt 9.0"}
    assert (tmp_path / "qemu-system-ppc64.log").read_text() == "\n"
