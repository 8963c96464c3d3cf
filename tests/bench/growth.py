"""What long use does to memory, descriptors and time: nothing, it should be."""

from __future__ import annotations

import gc
import os
import threading
import time
from types import ModuleType

from kvmppc import Kvm, Vm

from .calls import CAPABILITY

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


def threads(vm: Vm, rivals: ModuleType, calls: int, rounds: int) -> list[Row]:
    """Questions a second by 1, 2 and 4 threads, through Python and in C; the best of the rounds."""

    def ours() -> None:
        for _ in range(calls):
            vm.check_extension(CAPABILITY)

    def floor() -> None:
        rivals.floor_check_extension(vm.fileno(), CAPABILITY, calls)

    rows = []
    for count in (1, 2, 4):
        best = {"python": 0.0, "c": 0.0}
        for _ in range(rounds):
            for name, work in (("python", ours), ("c", floor)):
                team = [threading.Thread(target=work) for _ in range(count)]
                start = time.perf_counter()
                for thread in team:
                    thread.start()
                for thread in team:
                    thread.join()
                best[name] = max(best[name], count * calls / (time.perf_counter() - start))
        rows.append({"threads": count, **best})
    return rows
