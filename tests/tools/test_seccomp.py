"""kvmppc probe gets along with the system calls that docs/threats.md lists, and no others."""

import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = os.path.join(os.path.dirname(sys.executable), "kvmppc")
PAGE = Path(__file__).parents[2] / "docs/threats.md"

# AUDIT_ARCH_* of <linux/audit.h>.
ARCHITECTURES = {"x86_64": 0xC000003E, "ppc64le": 0xC0000015}

# Takes the architecture, the allowed numbers, a dash, and the words to become.
FILTERED = """
import ctypes, os, struct, sys
architecture, *numbers = map(int, sys.argv[1 : sys.argv.index("-")])
words = sys.argv[sys.argv.index("-") + 1 :]
load, equal, give = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ, BPF_RET
kill, allow = 0x80000000, 0x7FFF0000  # SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW
code = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill), (load, 0, 0, 0)]
for number in numbers:
    code += [(equal, 0, 1, number), (give, 0, 0, allow)]
code.append((give, 0, 0, kill))
program = b"".join(struct.pack("HBBI", *each) for each in code)
buffer = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, filter, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
os.execv(words[0], words)
"""


def allowed():
    """The numbers, on this machine, of the system calls that the page lists."""
    names = re.findall(r"^SystemCallFilter=(.*)$", PAGE.read_text(), re.MULTILINE)
    header = subprocess.run(
        ["gcc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", os.devnull],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    numbers = dict(re.findall(r"^#define __NR_(\w+) (\d+)$", header, re.MULTILINE))
    return [numbers[name] for name in " ".join(names).split() if name in numbers]


@pytest.fixture(scope="module")
def filtered():
    """Starts a program with the filter on."""
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        pytest.skip(f"the page is about other machines than {platform.machine()}")
    begin = [sys.executable, "-c", FILTERED, str(architecture), *allowed(), "-"]

    def run(*words):
        return subprocess.run([*begin, *words], capture_output=True, text=True)

    return run


FORMS = [[], ["-q"], ["--json"], ["--format", "shell"], ["--format", "metrics"], ["--device", "/x"]]


@pytest.mark.parametrize("words", FORMS)
def test_every_form_of_probe_gets_along(words, filtered, tmp_path):
    for more in ([], ["--output", str(tmp_path / "out")], ["--output", str(tmp_path / "out")]):
        free = subprocess.run([PROGRAM, "probe", *words, *more], capture_output=True)
        assert filtered(PROGRAM, "probe", *words, *more).returncode == free.returncode


def test_what_is_not_on_the_list_ends_the_process(filtered):
    done = filtered(sys.executable, "-c", "import socket; socket.socket()")
    assert done.returncode == -signal.SIGSYS
