"""examples/qemu-wrapper: it adds what is missing where a pseries guest starts, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

WRAPPER = Path(__file__).parents[2] / "examples" / "qemu-wrapper"
START = ["-machine", "pseries-10.0,usb=off", "-accel", "kvm", "-cpu", "host"]


@pytest.fixture
def wrapper(tmp_path):
    """Runs the wrapper with stand-ins for QEMU, kvmppc and getconf; gives what QEMU was given."""

    def run(words, says="power10", page=65536, setting=""):
        program(tmp_path / "qemu", 'printf "%s\\n" "$@"')
        program(tmp_path / "kvmppc", f': > "{tmp_path}/asked"; echo {says}')
        program(tmp_path / "getconf", f"echo {page}")
        text = WRAPPER.read_text()
        text = text.replace("/usr/bin/qemu-system-ppc64", str(tmp_path / "qemu"))
        text = text.replace("/opt/kvmppc/bin/kvmppc", str(tmp_path / "kvmppc"))
        text = text.replace("\nMODE=\n", f"\nMODE={setting}\n")
        program(tmp_path / "qemu-kvmppc", text.split("\n", 1)[1])
        done = subprocess.run(
            [tmp_path / "qemu-kvmppc", *words],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        )
        return done.stdout.splitlines(), done.stderr

    return run


def program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    "words",
    [
        START,
        ["-machine", "pseries,accel=kvm,usb=off"],
        ["-machine", "accel=kvm:tcg", "-cpu", "host"],
        ["-M", "pseries", "-enable-kvm"],
        ["--machine", "type=pseries", "--accel", "kvm,thread=single"],
        ["-machine", "accel=kvm,type=pseries,usb=off"],
        ["-machine", "pseries", "-machine", "accel=kvm"],
        ["-name", "guest=help", *START],
        ["-append", "a b  c", *START, ""],
        ["-append", "modules=x-device,help", *START],
    ],
)
def test_a_guest_that_starts_under_kvm_is_given_the_mode(words, wrapper):
    assert wrapper(words)[0] == [*words, "-machine", "max-cpu-compat=power10"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--version"],
        ["-h"],
        ["-machine", "none,accel=kvm:tcg", "-qmp", "stdio"],  # libvirt's probing
        ["-S", "-machine", "none", "-accel", "kvm"],
        ["-M", "help"],
        ["-machine", "pseries,accel=kvm", "-device", "help"],
        ["-machine", "accel=kvm:tcg", "-device", "?"],
        ["-machine", "pseries", "-accel", "tcg"],
        ["-machine", "pseries,accel=tcg"],
        ["-machine", "powernv10", "-accel", "kvm"],
        ["-machine", "accel=kvm,type=powernv10"],
        ["-machine", "pseries", "-append", "accel=kvm"],
    ],
)
def test_every_other_call_reaches_qemu_as_it_is(words, wrapper, tmp_path):
    assert wrapper(words, page=4096) == ([*words] or [""], "")
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("given", "page", "added"),
    [
        ([], 4096, ["-machine", "max-cpu-compat=power10,cap-hpt-max-page-size=4k"]),
        (["-machine", "max-cpu-compat=power9"], 65536, []),
        (["-M", "max-cpu-compat=power9"], 4096, ["-machine", "cap-hpt-max-page-size=4k"]),
        (
            ["-machine", "cap-hpt-max-page-size=4k"],
            4096,
            ["-machine", "max-cpu-compat=power10"],
        ),
        (["-machine", "max-cpu-compat=power9,cap-hpt-max-page-size=4096"], 4096, []),
    ],
)
def test_only_what_is_missing_is_added(given, page, added, wrapper):
    assert wrapper([*START, *given], page=page)[0] == [*START, *given, *added]


@pytest.mark.parametrize("says", ["", "hint", "; exit 3"])
def test_where_the_kernel_tells_no_mode_none_is_added_and_it_is_said(says, wrapper):
    out, err = wrapper(START, says=says)
    assert out == START
    assert err == "kvmppc: no mode was added, because the kernel reports none; run kvmppc doctor\n"


def test_a_mode_that_was_set_counts_and_nobody_is_asked(wrapper, tmp_path):
    assert wrapper(START, setting="power9")[0] == [*START, "-machine", "max-cpu-compat=power9"]
    assert not (tmp_path / "asked").exists()


def test_it_is_a_program():
    assert os.access(WRAPPER, os.X_OK)
