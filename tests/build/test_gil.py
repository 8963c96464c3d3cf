"""Who keeps the GIL while the kernel is asked: the two questions of loops, and nobody else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, threading
from kvmppc import Kvm
from kvmppc.kvm import lacks_interface

WAKE, WORD = 100, 101
def pipe(end, number):
    ends = os.pipe()
    os.dup2(ends[end], number)
    return ends[1 - end]
woken, word = pipe(1, WAKE), pipe(0, WORD)

def answer():
    while os.read(woken, 1):
        os.write(word, b"x")
threading.Thread(target=answer, daemon=True).start()

lacks_interface("/dev/kvm")  # the whole question of probe() in one function
kvm = Kvm()
vm = kvm.create_vm()
vm.check_extension(250)
for ask in (lambda: vm.check_extension(250), vm.get_compat_caps):
    ask()
    os.read(WORD, 1)  # too late
vm._get_in_full()  # for an answer of another form
vm.close()
kvm.close()
"""


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="there is no GIL to keep"
)
def test_only_loops_questions_keep_the_gil(tmp_path):
    library = tmp_path / "gil.so"
    source = Path(__file__).with_name("gil.c")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, source, "-o", library], check=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        *("open heard", "check_extension heard"),  # by lacks_interface
        "open heard",
        "create_vm heard",
        "check_extension heard",  # which revision is spoken
        "check_extension heard",  # for the first time
        "check_extension alone",
        "get_compat_caps alone",
        "get_compat_caps heard",
        "close heard",
    ]
