"""How long a start takes, against that of the bare interpreter; and probe() against C."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from types import ModuleType

import kvmppc

from .rounds import Loop, Summary, compared, in_turns, quartiles, timed

BARE = "python -c pass"


def commands() -> dict[str, list[str]]:
    """What is started."""
    python = sys.executable
    script = os.path.join(os.path.dirname(python), "kvmppc")
    found = {
        BARE: [python, "-c", "pass"],
        "import kvmppc": [python, "-c", "import kvmppc"],
        "import kvmppc; kvmppc.probe()": [python, "-c", "import kvmppc; kvmppc.probe()"],
        "kvmppc probe": [script, "probe"],
        "python -m kvmppc probe": [python, "-m", "kvmppc", "probe"],
    }
    return {name: words for name, words in found.items() if os.path.exists(words[0])}


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


def measure_starts(rounds: int) -> dict[str, Summary]:
    """All of them in turns, and their ratios to the bare interpreter: by clock, by processor."""
    wall: dict[str, list[float]] = {name: [] for name in commands()}
    used: dict[str, list[float]] = {name: [] for name in commands()}
    for number in range(-1, rounds):
        for name, words in commands().items():
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


def measure_probe(rivals: ModuleType, rounds: int, calls: int) -> dict[str, Summary]:
    """probe() against the same system calls in C."""

    def ours(calls: int) -> None:
        for _ in range(calls):
            kvmppc.probe()

    loops: dict[str, Loop] = {"C loop": rivals.floor_probe, "probe()": timed(ours)}
    return compared(in_turns(loops, rounds, calls), ("C loop",))
