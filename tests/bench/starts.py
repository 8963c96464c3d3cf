"""How long a start takes, against that of the bare interpreter; and probe() against C."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
import time
from types import ModuleType
from typing import Callable

import kvmppc
from kvmppc.kvm import read_processor
from kvmppc.measure import quartiles
from kvmppc.record import FIELDS

from .calls import CAPABILITY, CHECK_EXTENSION, FLOOR, GET_API_VERSION
from .rounds import Loop, Summary, compared, in_turns, timed

BARE = "python -c pass"
_PLACE = "from kvmppc.guest.place import place_here; print(place_here())"
# What pip writes for a command, before and from version 25.2.
_SCRIPTS = {
    "kvmppc probe, by an earlier pip": "import re\nimport sys\n",
    "kvmppc probe, by pip 25.2": "import sys\n",
}
_SCRIPT = """#!{python}
{imports}from kvmppc.cli import main
if __name__ == '__main__':
    sys.exit(main())
"""


def _commands(folder: str) -> dict[str, list[str]]:
    """What is started; scripts are made in a folder."""
    python = sys.executable
    scripts: dict[str, list[str]] = {}
    for name, imports in _SCRIPTS.items():
        path = os.path.join(folder, f"kvmppc{len(scripts)}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_SCRIPT.format(python=python, imports=imports))
        os.chmod(path, 0o700)
        scripts[name] = [path, "probe"]
    return {
        BARE: [python, "-c", "pass"],
        "import kvmppc": [python, "-c", "import kvmppc"],
        "import kvmppc; kvmppc.probe()": [python, "-c", "import kvmppc; kvmppc.probe()"],
        **scripts,
        "python -m kvmppc probe": [python, "-m", "kvmppc", "probe"],
        "import kvmppc.guest.place": [python, "-c", "import kvmppc.guest.place"],
        # Both programs are started, where this machine has them.
        "QEMU's and libvirt's version": [python, "-c", _PLACE],
    }


def _start(words: list[str]) -> tuple[float, float]:
    """Starts a program and waits: milliseconds by the clock, and of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    # Not in the root of the sources, where there is a package that is not the installed one.
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1e3, used * 1e3


def measure_starts(rounds: int, folder: str) -> dict[str, Summary]:
    """All of them in turns, and their ratios to the bare interpreter: by clock, by processor."""
    commands = _commands(folder)
    wall: dict[str, list[float]] = {name: [] for name in commands}
    used: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(-1, rounds):
        for name, words in commands.items():
            times = _start(words)
            if number >= 0:  # the first round only fills the caches
                wall[name].append(times[0])
                used[name].append(times[1])
    return {
        name: {
            "ms": quartiles(wall[name])[1],
            "ratio": quartiles([a / b for a, b in zip(wall[name], wall[BARE])]),
            "processor_ms": quartiles(used[name])[1],
            "processor_ratio": quartiles([a / b for a, b in zip(used[name], used[BARE])]),
        }
        for name in wall
    }


def _by_hand() -> dict[str, object]:
    """The system calls of probe() and a record of what they told, as a script would do it.

    Without a handle, a reason, a remedy, or a look at what the kernel refuses.
    """
    name = os.uname()
    fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    try:
        version = fcntl.ioctl(fd, GET_API_VERSION)
        capability = fcntl.ioctl(fd, CHECK_EXTENSION, CAPABILITY)
    finally:
        os.close(fd)
    return {
        **_RECORD,
        "hostname": name.nodename,
        "kernel": name.release,
        "machine": name.machine,
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "api_version": version,
        "capability": capability,
    }


_RECORD: dict[str, object] = dict.fromkeys(FIELDS)


def _repeated(call: Callable[[], object]) -> Loop:
    def body(calls: int) -> None:
        for _ in range(calls):
            call()

    return timed(body)


def measure_probe(rivals: ModuleType, rounds: int, calls: int) -> dict[str, Summary]:
    """probe() against the same system calls in C, and in a script."""
    loops: dict[str, Loop] = {
        FLOOR: rivals.floor_probe,
        "os and fcntl": _repeated(_by_hand),
        "probe()": _repeated(kvmppc.probe),
        "auxv and PVR of that": _repeated(read_processor),
    }
    return compared(in_turns(loops, rounds, calls), (FLOOR,))
