"""examples/libvirt-hook: it blocks one thing and lets everything else pass."""

import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from kvmppc.testing import simulated_host

HOOK = Path(__file__).parents[2] / "examples" / "libvirt-hook"
PAGE = Path(__file__).parents[2] / "docs" / "guests.md"
BEGIN = ("guest", "prepare", "begin", "-")
STARTS = (BEGIN, ("guest", "restore", "begin", "-"), ("guest", "migrate", "begin", "-"))


def domain(cpu, arch="ppc64le"):
    return f"<domain type='kvm'><os><type arch='{arch}'>hvm</type></os>{cpu}</domain>".encode()


@pytest.fixture(autouse=True)
def programs(tmp_path, monkeypatch):
    """Puts stand-ins for QEMU and virsh before this machine's own; sets what QEMU says."""

    def qemu(version, libvirt="12.8.0"):
        for name, script in (
            ("qemu-system-ppc64", f"echo QEMU emulator version {version}"),
            ("virsh", f'[ "$1" = --version ] && echo {libvirt} || : > {tmp_path}/called'),
        ):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    qemu("11.1.0")
    return qemu


@pytest.fixture(autouse=True)
def noted(monkeypatch):
    """The lines that go to syslog."""
    lines = []
    monkeypatch.setattr("syslog.syslog", lambda _, line: lines.append(line))
    return lines


REFUSED = domain("<cpu mode='host-passthrough'/>")
GRANTED = domain("<cpu mode='host-model'><model>power10</model></cpu>")


@pytest.fixture
def hook(monkeypatch, capfd):
    """Runs the script itself in this process, on a simulated host; gives exit code and stderr."""

    def run(words, xml, host="power11-as-power10"):
        monkeypatch.setattr("sys.argv", [str(HOOK), *words])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(xml)))
        with simulated_host(host), pytest.raises(SystemExit) as stop:
            runpy.run_path(str(HOOK), run_name="__main__")
        out, err = capfd.readouterr()
        assert out == ""
        return stop.value.code, err

    return run


def test_a_guest_that_asks_for_what_is_not_granted_is_not_started(hook):
    code, err = hook(BEGIN, REFUSED)
    assert code == 1
    assert err.startswith("kvmppc: guest is not started. With host-passthrough")
    assert "<model>power10</model>" in err
    assert err.count("\n") == 1
    assert err in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "what", "where"),
    [
        (STARTS[0], "started", "virsh edit"),
        (STARTS[1], "restored", "virsh save-image-edit"),
        (STARTS[2], "migrated to this host", "virsh migrate --xml"),
    ],
)
def test_a_restore_and_an_incoming_migration_are_starts_too(words, what, where, hook):
    code, err = hook(words, REFUSED)
    assert code == 1
    assert err.startswith(f"kvmppc: guest is not {what}. ")
    assert where in err


def test_a_qemu_that_asks_the_kernel_itself_is_let_go_on(hook, programs):
    programs("11.1.90")
    assert hook(BEGIN, REFUSED) == (0, "")


def test_the_domains_own_emulator_is_the_one_that_counts(hook, tmp_path):
    own = tmp_path / "qemu-of-its-own"
    own.write_text("#!/bin/sh\necho QEMU emulator version 11.2.0\n")
    own.chmod(0o755)
    devices = f"<devices><emulator>{own}</emulator></devices>"
    assert hook(BEGIN, domain("<cpu mode='host-passthrough'/>" + devices)) == (0, "")


def test_a_guest_whose_emulator_adds_the_mode_is_let_go_on(hook):
    devices = "<devices><emulator>/usr/local/bin/qemu-kvmppc</emulator></devices>"
    assert hook(BEGIN, domain("<cpu mode='host-passthrough'/>" + devices)) == (0, "")


def test_the_version_of_libvirt_does_not_tell_whether_it_has_a_host_model(hook, programs):
    programs("11.1.0", libvirt="10.0.0")
    assert hook(BEGIN, GRANTED) == (0, "")
    assert hook(BEGIN, domain("<cpu mode='host-model'/>"))[0] == 1


def test_libvirts_daemon_is_not_called(hook, tmp_path):
    hook(BEGIN, REFUSED)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("xml", [GRANTED, domain("", arch="x86_64")])
def test_a_guest_that_nothing_is_said_against_is_started_without_a_word(xml, hook):
    assert hook(BEGIN, xml) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("guest", "reconnect", "begin", "-"),
        ("guest", "start", "begin", "-"),
        ("guest", "started", "begin", "-"),
        ("guest", "stopped", "end", "-"),
        ("guest", "release", "end", "-"),
        ("guest", "migrate", "end", "-"),
        ("guest", "attach", "begin", "-"),
        ("guest", "prepare", "end", "-"),
        ("guest", "prepare"),
        (),
    ],
)
def test_no_other_operation_is_ever_blocked(words, hook):
    assert hook(words, REFUSED) == (0, "")


@pytest.mark.parametrize("host", ["no-device", "no-permission", "no-nesting"])
def test_a_host_that_cannot_tell_blocks_nothing_and_syslog_is_told(host, hook, noted):
    code, err = hook(BEGIN, REFUSED, host)
    assert code == 0
    assert err.startswith("kvmppc: guest could not be checked: ")
    assert [f"kvmppc: {line}\n" for line in noted] == [err]


@pytest.mark.parametrize("xml", [b"", b"<network/>", b"<!DOCTYPE domain><domain/>", b"\xff\x00"])
def test_what_is_no_domain_blocks_nothing_and_is_told(xml, hook):
    code, err = hook(BEGIN, xml)
    assert code == 0
    assert err.startswith("kvmppc: guest was not checked: ")


def test_an_error_of_the_hooks_own_blocks_nothing_and_is_told(hook, monkeypatch):
    def broken():
        raise RuntimeError("broken")

    monkeypatch.setattr("kvmppc.probe", broken)
    assert hook(BEGIN, REFUSED) == (0, "kvmppc: guest was not checked: broken.\n")


def test_it_is_a_program():
    assert os.access(HOOK, os.X_OK)
    assert HOOK.read_bytes().startswith(b"#!/opt/kvmppc/bin/python3\n")


def test_on_a_machine_that_cannot_tell_it_lets_the_guest_start():
    done = subprocess.run(
        [sys.executable, str(HOOK), *BEGIN], input=REFUSED, capture_output=True, check=False
    )
    assert done.returncode in ((0, 1) if os.uname().machine.startswith("ppc64") else (0,))


@pytest.mark.parametrize("words", [BEGIN, ("guest", "reconnect", "begin", "-")])
def test_without_kvmppc_it_lets_the_guest_start(words, tmp_path):
    """-S: without the folder that packages are installed in."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(HOOK), *words],
        input=REFUSED,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0
    told = b"Name the Python that has kvmppc in the first line of the hook." in done.stderr
    assert told == (words[1] == "prepare")


def test_without_standard_input_it_lets_the_guest_start():
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", sys.executable, str(HOOK), *BEGIN],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
