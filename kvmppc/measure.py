"""How long questions take: in C, where each is timed, and through the typed methods.

A measurement goes in rounds of three loops, so that what else the machine does hits all three
alike: one in C that looks at the clock before and after each call, for the histogram; one in C
that does not, the floor; and one in Python. All clocks are CLOCK_MONOTONIC.
"""

from __future__ import annotations

import time
from itertools import repeat

from kvmppc.errors import KvmError, refusal
from kvmppc.kvm import Cap, compiled, revision_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kvmppc._native import Bench
    from kvmppc.kvm import Vm

SLICE = 20_000_000
"""Nanoseconds that a timed loop may take: how soon Ctrl-C is seen."""

# The other two loops of a round make as many calls as the timed one, up to this many.
_ROUND_CALLS = 5_000


class Measurement:
    """What has been measured so far; times are nanoseconds.

    Args:
        vm: the VM that is asked.
        question: "check_extension", of KVM_CAP_PPC_COMPAT_CAPS, or "get_compat_caps".

    Attributes:
        question: as above.
        calls: the calls that were timed one by one.
        nanoseconds: what they took together, clocks and all.
        longest: the longest of them, exact.
        floor_calls, floor_nanoseconds: the calls in C that were not timed one by one.
        typed_calls, typed_nanoseconds: the calls through the Python method.
        ratios: of each round, the time of a typed call by the time of a call of the floor.
        together: of each round of threads, the rate of all of them by the rate of one alone.

    Raises:
        KvmError: the kernel refuses, as Vm.check_extension and Vm.get_compat_caps tell.
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
        self._counts = [0] * self._lib.KVMPPC_BENCH_BUCKETS

    def round(self, calls: int, nanoseconds: int = SLICE) -> None:
        """Measures one more round, with up to a number of timed calls, and up to a time for them.

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

    def round_of_threads(self, threads: int, calls: int) -> None:
        """Measures one more round of so many calls by one thread, and by so many at once.

        All through the typed method and on the one VM; each thread as many as take a slice, which
        is longer than Python lets one thread run. After a :meth:`round`, and raises as it does.
        """
        calls = min(calls, SLICE * self.typed_calls // max(self.typed_nanoseconds, 1) + 1)
        self.together.append(
            rate_of_threads(lambda calls: self._typed(self._vm, calls), threads, calls)
        )

    def _raise_refusal(self, bench: Bench) -> None:
        if bench.error:
            raise refusal(-bench.error, f"KVM_{self.question.upper()}")

    def percentile(self, part: float) -> int:
        """The time that a part of the timed calls (0 to 1) did not exceed, to within 1/64."""
        wanted = part * self.calls
        seen = 0
        for _, end, count in self.buckets():
            seen += count
            if seen >= wanted:
                return min(end - 1, self.longest)
        return self.longest

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """The histogram, without what is empty: from, up to but not including, and how many."""
        start = self._lib.kvmppc_bench_start
        for index, count in enumerate(self._counts):
            if count:
                yield start(index), max(start(index + 1), start(index) + 1), count


def rate_of_threads(loop: Callable[[int], int], threads: int, calls: int) -> float:
    """The rate of so many threads that each run a loop, by the rate of one alone.

    The loop makes a number of calls and returns the nanoseconds that they took. Raises what it
    raises, if that is a KvmError.
    """
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

    alone = loop(calls)
    team = [threading.Thread(target=work) for _ in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    if refusals:
        raise refusals[0]
    passed = max(end for _, end in spans) - min(begun for begun, _ in spans)
    return threads * alone / max(passed, 1)


def _typed_check_extension(vm: Vm, calls: int) -> int:
    """What a loop over the method takes, in nanoseconds, the loop itself included."""
    capability = Cap.PPC_COMPAT_CAPS
    start = time.monotonic_ns()
    for _ in repeat(None, calls):
        vm.check_extension(capability)
    return time.monotonic_ns() - start


def _typed_get_compat_caps(vm: Vm, calls: int) -> int:
    """Likewise."""
    start = time.monotonic_ns()
    for _ in repeat(None, calls):
        vm.get_compat_caps()
    return time.monotonic_ns() - start
