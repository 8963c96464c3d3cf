"""What long use does to memory, descriptors and time: nothing, it should be."""

from __future__ import annotations

import gc
import os
import threading
import time

from kvmppc import Kvm, Vm
from kvmppc.measure import calls_of_slice, quartiles, rate_of_threads, time_of_threads

from .calls import CAPABILITY
from .rounds import Loop

Row = dict[str, float]


def _used() -> tuple[int, int]:
    """Memory in KiB (proc(5), statm) and descriptors."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 1024, len(os.listdir("/proc/self/fd"))


def _row(done: int, nanoseconds: float) -> Row:
    memory, descriptors = _used()
    return {"done": done, "ns": nanoseconds, "memory_kib": memory, "descriptors": descriptors}


def many_calls(vm: Vm, calls: int, parts: int = 10) -> list[Row]:
    """As many calls in one process, in parts: time per call, memory and descriptors after each."""
    rows = []
    for part in range(parts):
        start = time.perf_counter_ns()
        for _ in range(calls // parts):
            vm.check_extension(CAPABILITY)
        passed = time.perf_counter_ns() - start
        rows.append(_row((part + 1) * (calls // parts), passed / (calls // parts)))
    return rows


def many_cycles(cycles: int, parts: int = 10) -> list[Row]:
    """Opens /dev/kvm, makes a VM, asks, and closes both, over and over."""
    rows = []
    for part in range(parts):
        start = time.perf_counter_ns()
        for _ in range(cycles // parts):
            with Kvm() as kvm, kvm.create_vm() as vm:
                vm.check_extension(CAPABILITY)
        passed = time.perf_counter_ns() - start
        rows.append(_row((part + 1) * (cycles // parts), passed / (cycles // parts)))
    return rows


def many_vms(count: int, parts: int = 10) -> list[Row]:
    """VMs that are open at once: time of a question to the newest as they become more."""
    rows = []
    vms: list[Vm] = []
    with Kvm() as kvm:
        try:
            for _ in range(parts):
                vms.extend(kvm.create_vm() for _ in range(count // parts))
                rows.append(_row(len(vms), many_calls(vms[-1], 20_000, 1)[0]["ns"]))
        finally:
            while vms:
                vms.pop().close()
    rows.append(_row(0, 0))
    return rows


def threads(loops: dict[str, Loop], rounds: int) -> dict[str, list[Row]]:
    """The rates of 2 and 4 threads together, by the rate of one thread, of all rivals in turns.

    And of that one thread, by the rate of a process without a second thread.
    """
    calls = {name: calls_of_slice(loop) for name, loop in loops.items()}
    rates: dict[tuple[str, int], list[float]] = {
        (name, count): [] for name in loops for count in (1, 2, 4)
    }
    for _ in range(rounds):
        for (name, count), found in rates.items():
            loop, times = loops[name], calls[name]
            if count == 1:
                found.append(loop(times) / time_of_threads(loop, 1, times))
            else:
                found.append(rate_of_threads(loop, count, times))
    return {
        name: [{"threads": count, **_spread(rates[name, count])} for count in (1, 2, 4)]
        for name in loops
    }


def _spread(ratios: list[float]) -> Row:
    lower, middle, upper = quartiles(ratios)
    return {"lower": lower, "ratio": middle, "upper": upper}


def _compute(passes: int) -> int:
    """Does something that has nothing to do with the kernel; the nanoseconds it took."""
    start = time.perf_counter_ns()
    for _ in range(passes):
        sum(number for number in range(1000))
    return time.perf_counter_ns() - start


def beside(loops: dict[str, Loop], rounds: int) -> dict[str, list[Row]]:
    """What a thread that computes gets done beside one that asks, by what it does alone.

    And beside one that computes too, which is all that Python promises.
    """
    neighbours = {**loops, "one that computes": lambda _: _compute(10)}
    ratios: dict[str, list[float]] = {name: [] for name in neighbours}
    for _ in range(rounds):
        for name, loop in neighbours.items():
            alone = _compute(3000)
            done = threading.Event()

            def keep_on(loop: Loop = loop, done: threading.Event = done) -> None:
                while not done.is_set():
                    loop(1000)

            neighbour = threading.Thread(target=keep_on)
            neighbour.start()
            ratios[name].append(alone / _compute(3000))
            done.set()
            neighbour.join()
    return {name: [_spread(found)] for name, found in ratios.items()}
