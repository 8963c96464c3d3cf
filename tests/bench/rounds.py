"""Rivals measured in turns, and what is made of it: ratios with their spread."""

from __future__ import annotations

import time
from typing import Any, Callable

from kvmppc.measure import quartiles

Loop = Callable[[int], int]
"""Makes a number of calls, and gives what they took in nanoseconds."""

Summary = dict[str, Any]
"""Figures by name, as JSON has them."""


def timed(body: Callable[[int], None]) -> Loop:
    """A loop that is timed from outside; the clock is looked at twice for all its calls."""

    def loop(calls: int) -> int:
        start = time.perf_counter_ns()
        body(calls)
        return time.perf_counter_ns() - start

    return loop


def in_turns(loops: dict[str, Loop], rounds: int, calls: int) -> dict[str, list[float]]:
    """Nanoseconds a call, by rival and round. Each round begins with another rival."""
    names = list(loops)
    times: dict[str, list[float]] = {name: [] for name in names}
    for loop in loops.values():
        loop(min(calls, 200))
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(loops[name](calls) / calls)
    return times


def compared(times: dict[str, list[float]], to: tuple[str, ...]) -> dict[str, Summary]:
    """The median time of each rival, and its ratios to others: lower quartile, median, upper."""
    return {
        name: {
            "ns": quartiles(own)[1],
            "ratio": {other: quartiles([a / b for a, b in zip(own, times[other])]) for other in to},
        }
        for name, own in times.items()
    }
