"""How long calls take, in C and through the typed methods.

A measurement consists of rounds of three loops, so that other load on the machine affects all
three: a loop in C that reads the clock before and after each call, for the histogram; one in C
that does not, the floor; and one in Python. The clock is CLOCK_MONOTONIC.
"""

from __future__ import annotations

import time
from itertools import repeat
from statistics import quantiles

from kvmppc.errors import KvmError, refusal
from kvmppc.kvm import Cap, compiled, revision_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kvmppc._native import Bench
    from kvmppc.kvm import Vm

SLICE = 20_000_000
"""Nanoseconds that a timed loop may take; Ctrl-C has an effect after it."""

# The kernel's name of each question.
_CALLS = {"check_extension": "KVM_CHECK_EXTENSION", "get_compat_caps": "KVM_PPC_GET_COMPAT_CAPS"}

# The other two loops of a round make as many calls as the timed one, up to this many.
_ROUND_CALLS = 5_000


class Measurement:
    """The measurements so far; times are in nanoseconds.

    Args:
        vm: the VM that is queried.
        question: "check_extension" (of KVM_CAP_PPC_COMPAT_CAPS) or "get_compat_caps".

    Attributes:
        question: as above.
        calls: the calls that were timed one by one.
        nanoseconds: their total time, including that of reading the clock.
        longest: the time of the longest one, exact.
        floor_calls, floor_nanoseconds: the calls in C that were not timed one by one.
        typed_calls, typed_nanoseconds: the calls through the Python method.
        ratios: for each round, the time of a typed call relative to one of the floor.
        together: for each round of threads, the rate of all relative to the rate of one.

    Raises:
        KvmError: the kernel refused, as for Vm.check_extension and Vm.get_compat_caps.
    """

    question: str
    calls: int
    nanoseconds: int
    longest: int
    floor_calls: int
    floor_nanoseconds: int
    typed_calls: int
    typed_nanoseconds: int

    def __init__(self, vm: Vm, question: str) -> None:
        self._vm = vm
        self._lib = compiled(vm)
        self._revision = self._lib.KVMPPC_REVISION_NONE
        self._typed = _typed_check_extension
        self.question = question
        if question == "get_compat_caps":
            self._revision = revision_number(vm.get_compat_caps().revision)
            self._typed = _typed_get_compat_caps
        self.calls = self.nanoseconds = self.longest = 0
        self.floor_calls = self.floor_nanoseconds = 0
        self.typed_calls = self.typed_nanoseconds = 0
        self.ratios: list[float] = []
        self.together: list[float] = []
        self._slice_calls = 0
        self._counts = [0] * self._lib.KVMPPC_BENCH_BUCKETS

    def round(self, calls: int, nanoseconds: int = SLICE) -> None:
        """Measures a round with at most ``calls`` timed calls, for at most ``nanoseconds``.

        Raises:
            KvmError: the kernel refused, or the handle is closed.
        """
        lib, fd = self._lib, self._vm.fileno()
        timed = lib.kvmppc_bench_timed(fd, self._revision, calls, nanoseconds)
        self._raise_refusal(timed)
        calls = min(timed.calls, _ROUND_CALLS)
        floor = lib.kvmppc_bench_floor(fd, self._revision, calls)
        self._raise_refusal(floor)
        typed = self._typed(self._vm, calls)
        self.calls += timed.calls
        self.nanoseconds += timed.nanoseconds
        self.longest = max(self.longest, timed.longest)
        self._counts = list(map(int.__add__, self._counts, timed.counts))
        self.floor_calls += calls
        self.floor_nanoseconds += floor.nanoseconds
        self.typed_calls += calls
        self.typed_nanoseconds += typed
        self.ratios.append(typed / max(floor.nanoseconds, 1))

    def round_of_threads(self, threads: int) -> None:
        """Measures a round of typed calls on the one VM, by one thread and then by several.

        Each thread makes the calls of about a slice, which is longer than Python's switch interval.

        Raises:
            KvmError: as for :meth:`round`.
        """

        def loop(calls: int) -> int:
            return self._typed(self._vm, calls)

        self._slice_calls = self._slice_calls or calls_of_slice(loop)
        self.together.append(rate_of_threads(loop, threads, self._slice_calls))

    def _raise_refusal(self, bench: Bench) -> None:
        if bench.error:
            raise refusal(-bench.error, _CALLS[self.question])

    def percentile(self, part: float) -> int:
        """The time that ``part`` (0 to 1) of the timed calls did not exceed, to within 1/64."""
        wanted = part * self.calls
        seen = 0
        for _, end, count in self.buckets():
            seen += count
            if seen >= wanted:
                return min(end - 1, self.longest)
        return self.longest

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """The buckets of the histogram that are not empty: start, end (exclusive) and count."""
        start = self._lib.kvmppc_bench_start
        for index, count in enumerate(self._counts):
            if count:
                yield start(index), start(index + 1), count


def quartiles(numbers: list[float]) -> tuple[float, float, float]:
    """The number a quarter of the way from the least, the median, and three quarters."""
    if len(numbers) == 1:  # statistics takes one number only from Python 3.13 on
        numbers = numbers * 2
    lower, middle, upper = quantiles(numbers, method="inclusive")
    return lower, middle, upper


def calls_of_slice(loop: Callable[[int], int]) -> int:
    """How many calls a loop makes in about a slice."""
    calls = took = 16
    while took < SLICE // 2:
        calls *= 2
        took = loop(calls)
    return SLICE * calls // took + 1


def rate_of_threads(loop: Callable[[int], int], threads: int, calls: int) -> float:
    """The rate of several threads that each run a loop, relative to the rate of one thread.

    The one is a thread of its own too: in a process with a second thread, even one that waits,
    the kernel takes longer for each system call on a descriptor.

    The loop makes a number of calls and returns the nanoseconds that they took. Raises the
    KvmError that a loop raises.
    """
    alone = time_of_threads(loop, 1, calls)
    return threads * alone / max(time_of_threads(loop, threads, calls), 1)


def time_of_threads(loop: Callable[[int], int], threads: int, calls: int) -> int:
    """The nanoseconds from the first thread's start of its loop to the last one's end."""
    import threading

    start = threading.Barrier(threads)
    spans: list[tuple[int, int]] = []
    refusals: list[KvmError] = []

    def work() -> None:
        start.wait()
        begun = time.monotonic_ns()
        try:
            loop(calls)
        except KvmError as error:
            refusals.append(error)
        spans.append((begun, time.monotonic_ns()))

    # Daemons: if one cannot be started, the others wait for it, and must not keep the process.
    team = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    if refusals:
        raise refusals[0]
    return max(end for _, end in spans) - min(begun for begun, _ in spans)


def _typed_check_extension(vm: Vm, calls: int) -> int:
    """The time of a loop over the method, in nanoseconds, including the loop itself."""
    capability = Cap.PPC_COMPAT_CAPS
    start = time.monotonic_ns()
    for _ in repeat(None, calls):
        vm.check_extension(capability)
    return time.monotonic_ns() - start


def _typed_get_compat_caps(vm: Vm, calls: int) -> int:
    """The same for the other method."""
    start = time.monotonic_ns()
    for _ in repeat(None, calls):
        vm.get_compat_caps()
    return time.monotonic_ns() - start
