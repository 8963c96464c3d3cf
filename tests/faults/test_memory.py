"""Where memory ends, wherever that is, there is no answer and a line, or the whole answer."""

import json
import resource
import subprocess
import sys

import pytest

import kvmppc
from kvmppc.testing import simulated_host

# What the process has when the command begins is left to it, and a number of bytes more.
PROGRAM = """
import resource, sys
from kvmppc.cli import main
more = int(sys.argv.pop(1))
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize() + more
resource.setrlimit(resource.RLIMIT_AS, (size, size))
sys.exit(main())
"""
COMMANDS = {
    "probe": ["probe", "--json", "--simulate", "power10"],
    "advise": ["advise", "--for", "qemu", "--simulate", "power10"],
    "check": ["check", "--fix", "guest.xml", "--simulate", "power11-as-power10"],
    "baseline": ["baseline", "--json", "records"],
    "hosts": ["hosts"],
}


@pytest.fixture
def folder(tmp_path):
    """A domain of 3 MB, and records of which one has a text of 6 MB."""
    with simulated_host("power10"):
        record = {**kvmppc.probe().to_dict(), "simulated": None}
    records = [record, {**record, "reason": "x" * 6_000_000}, record]
    (tmp_path / "records").write_text("".join(json.dumps(each) + "\n" for each in records))
    (tmp_path / "guest.xml").write_text(
        "<domain type='kvm'><os><type arch='ppc64le'>hvm</type></os>"
        f"<cpu mode='host-passthrough'/><description>{'x' * 3_000_000}</description></domain>"
    )
    return tmp_path


def start(words, folder, more):
    # A core file would be as large as what is missing.
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(more), *words],
        capture_output=True,
        text=True,
        cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_no_memory_is_no_answer(name, folder):
    words = COMMANDS[name]
    enough = start(words, folder, 1 << 30)
    assert enough.returncode == 0
    codes = []
    for megabytes in (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        done = start(words, folder, megabytes << 20)
        codes.append(done.returncode)
        assert all(line.startswith("kvmppc: ") for line in done.stderr.splitlines()), done.stderr
        if done.returncode == 0:
            assert len(done.stdout) == len(enough.stdout)
        else:
            assert (done.returncode, done.stdout) in ((70, ""), (2, ""))
            assert done.stderr
    assert codes[0] == 70
    assert {0, 70} <= set(codes)
