"""kvmppc bench: measures how long asking takes."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import sys
import time

from kvmppc import streams
from kvmppc._version import __version__
from kvmppc.commands import UsageError, asking
from kvmppc.commands.progress import Progress
from kvmppc.errors import DevicePermissionError, KvmError
from kvmppc.kvm import Kvm
from kvmppc.measure import SLICE, Measurement, quartiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from kvmppc.kvm import Vm

DESCRIPTION = """\
Measures how long asking this host takes: each call by itself in C, with a histogram; the
same in C without a clock in between, the floor; and through the typed Python method, with
the ratio to the floor. The three take turns, so what else the machine does hits all alike.
"""
EPILOG = """\
exit codes:
  0  measured; Ctrl-C ends it early, and what was measured is printed
  2  usage error, the threads cannot be started, or the output cannot be written
  3  the host cannot be asked
  4  permission denied
"""
_SECONDS = 2.0
_MAX_CALLS = 1 << 62
_MAX_THREADS = 256


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--count", type=_count, metavar="N", help="time this many calls, however long it takes"
    )
    length.add_argument(
        "--seconds",
        type=_seconds,
        metavar="T",
        help=f"measure for about this long; default: {_SECONDS:g}",
    )
    parser.add_argument(
        "--what",
        choices=("check-extension", "get-compat-caps"),
        help="the question; default: get-compat-caps where the kernel has it",
    )
    parser.add_argument(
        "--threads",
        type=_threads,
        default=1,
        metavar="N",
        help="also compare N threads that ask at the same time with one alone",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    asking.add_arguments(parser)


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 19 or not 0 < int(text) < _MAX_CALLS:
        raise argparse.ArgumentTypeError("a count is a whole number from 1 to 2**62 - 1")
    return int(text)


def _threads(text: str) -> int:
    if not text.isdecimal() or len(text) > 3 or not 0 < int(text) <= _MAX_THREADS:
        raise argparse.ArgumentTypeError(f"a number of threads is from 1 to {_MAX_THREADS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 1e6:
        raise argparse.ArgumentTypeError("a number of seconds is more than 0, up to a million")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Measures and prints."""
    try:
        with asking.on_host(arguments), Kvm(arguments.device) as kvm, kvm.create_vm() as vm:
            measurement = Measurement(vm, _question(arguments, vm))
            interrupted = _measure(measurement, arguments)
    except KvmError as error:
        streams.tell(str(error))
        return 4 if isinstance(error, DevicePermissionError) else 3
    if arguments.json:
        streams.answer(_json(measurement, arguments, interrupted))
    else:
        streams.say(_text(measurement, arguments.threads, interrupted))
    return 0


def _question(arguments: argparse.Namespace, vm: Vm) -> str:
    """The question that was named, else the one that this kernel has an answer to."""
    if arguments.what is not None:
        name: str = arguments.what
        return name.replace("-", "_")
    return "check_extension" if vm.revision is None else "get_compat_caps"


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Lets the first Ctrl-C be seen between two rounds: the list is not empty any more.

    The second is as it always is, for where a round does not end. In a process that was started
    with SIGINT ignored, as in the background of a script, it stays ignored.
    """
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        seen.append(number)
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _measure(measurement: Measurement, arguments: argparse.Namespace) -> bool:
    """Goes on until there are enough calls or the time is over; True if somebody interrupted."""
    progress = Progress(sys.stderr)
    count: int | None = arguments.count
    seconds = arguments.seconds or _SECONDS
    start = time.monotonic()
    done = 0.0
    with _interruptible() as interrupted:
        # One round in any case: without it there is nothing to print.
        while done < 1 and not (interrupted and measurement.calls):
            # A third of the time that is left: a round has three loops.
            limit = SLICE if count is not None else int((1 - done) * seconds * 1e9 / 3) + 1
            left = _MAX_CALLS if count is None else count - measurement.calls
            measurement.round(left, min(limit, SLICE))
            if arguments.threads > 1:
                _compare_threads(measurement, arguments.threads)
            passed = (time.monotonic() - start) / seconds
            done = passed if count is None else measurement.calls / count
            progress.show(done, f"{measurement.calls:,} calls")
        progress.clear()
    return bool(interrupted)


def _compare_threads(measurement: Measurement, threads: int) -> None:
    """A round with several threads, if this process may have so many."""
    try:
        measurement.round_of_threads(threads)
    except RuntimeError as error:  # threading has no error of its own
        raise UsageError(
            f"--threads {threads}: {error}; give fewer, or raise the limit (ulimit -u, pids.max)"
        ) from None


def _json(measurement: Measurement, arguments: argparse.Namespace, interrupted: bool) -> str:
    """What was measured, as one line of JSON; times are in nanoseconds."""
    import json

    typed = measurement.typed_nanoseconds / measurement.typed_calls
    lower, ratio, upper = quartiles(measurement.ratios)
    together = quartiles(measurement.together) if measurement.together else None
    record = {
        "version": __version__,
        "simulated": arguments.simulate,
        "device": arguments.device,
        "question": measurement.question,
        "interrupted": interrupted,
        "calls": measurement.calls,
        "median": measurement.percentile(0.5),
        "p99": measurement.percentile(0.99),
        "p99.9": measurement.percentile(0.999),
        "longest": measurement.longest,
        "histogram": list(measurement.buckets()),
        "floor_calls": measurement.floor_calls,
        "floor": measurement.floor_nanoseconds / measurement.floor_calls,
        "typed_calls": measurement.typed_calls,
        "typed": typed,
        "rate": 1e9 / typed,
        "ratio": ratio,
        "ratio_quartiles": [lower, upper],
        "rounds": len(measurement.ratios),
        "threads": arguments.threads,
        "together": together[1] if together else None,
        "together_quartiles": [together[0], together[2]] if together else None,
    }
    return json.dumps(record) + "\n"


def _text(measurement: Measurement, threads: int, interrupted: bool) -> str:
    """What was measured, for people."""
    floor = measurement.floor_nanoseconds / measurement.floor_calls
    typed = measurement.typed_nanoseconds / measurement.typed_calls
    lower, ratio, upper = quartiles(measurement.ratios)
    name = measurement.question
    lines = [
        f"{'Python':<9}  {_time(typed)} a call, {1e9 / typed:,.0f} a second, by Vm.{name}()",
        f"{'floor':<9}  {_time(floor)} a call, {1e9 / floor:,.0f} a second, in C",
        f"{'ratio':<9}  {ratio:.2f} (half of {len(measurement.ratios):,} rounds: "
        f"{lower:.2f} to {upper:.2f})",
        *_together(measurement, threads),
        "",
        f"{measurement.calls:,} calls in C, each timed (a clock is in each time)"
        f"{', interrupted' if interrupted else ''}:",
        f"{'median':<9}  {_time(measurement.percentile(0.5))}",
        f"{'p99':<9}  {_time(measurement.percentile(0.99))}",
        f"{'p99.9':<9}  {_time(measurement.percentile(0.999))}",
        f"{'longest':<9}  {_time(measurement.longest)}",
        "",
        *_histogram(measurement),
    ]
    return "\n".join(lines) + "\n"


def _together(measurement: Measurement, threads: int) -> Iterator[str]:
    """The line about threads, if they were asked for."""
    if measurement.together:
        lower, middle, upper = quartiles(measurement.together)
        yield (
            f"{'threads':<9}  {threads} together make {middle:.2f} times the calls a second of one "
            f"(half of the rounds: {lower:.2f} to {upper:.2f})"
        )


def _histogram(measurement: Measurement) -> Iterator[str]:
    """A line for each row: from which time on, how many calls, and a bar."""
    rows = _rows(measurement)
    most = max(rows.values())
    room = min(40, (streams.terminal_width(sys.stdout) or streams.COLUMNS) - 31)
    for start, count in rows.items():
        bar = "#" * max(1, count * room // most)
        yield f"{'from ' + _time(start):>14}  {count:>12,}  {bar}"


def _rows(measurement: Measurement) -> dict[int, int]:
    """The calls from each row's time on, up to the next row."""
    rows: dict[int, int] = {}
    # Fine up to the end of a doubling, since the rows that follow are whole doublings.
    fine = measurement.percentile(0.99).bit_length()
    for start, _, count in measurement.buckets():
        row = _row(start, 8 if start.bit_length() <= fine else 1)
        rows[row] = rows.get(row, 0) + count
    return rows


def _row(time: int, parts: int) -> int:
    """Where the row begins that a time is in: there are so many to each doubling."""
    if time < 2 * parts:
        return time
    width = (1 << (time.bit_length() - 1)) // parts
    return time // width * width


def _time(nanoseconds: float) -> str:
    """A time with its unit."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        number = nanoseconds / size
        if number >= 0.9995:  # else it would be rounded to 1000 of the next unit
            return f"{number:.3g} {unit}" if number < 999.5 else f"{number:,.0f} {unit}"
    return f"{nanoseconds:.0f} ns"
