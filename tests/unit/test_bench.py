"""kvmppc bench: what it measures, and how it ends."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from program import PROGRAM

import kvmppc
from kvmppc import Kvm
from kvmppc._simhost import lib
from kvmppc.cli import main
from kvmppc.commands.bench import _interruptible, _rows, _time
from kvmppc.measure import SLICE, Measurement, quartiles, rate_of_threads, time_of_threads
from kvmppc.testing import simulated_host

KEYS = {
    "version",
    "simulated",
    "device",
    "question",
    "interrupted",
    "calls",
    "median",
    "p99",
    "p99.9",
    "longest",
    "histogram",
    "floor_calls",
    "floor",
    "typed_calls",
    "typed",
    "rate",
    "ratio",
    "ratio_quartiles",
    "rounds",
    "threads",
    "together",
    "together_quartiles",
}


def bench(capsys, *words, host="power10"):
    """What the command prints as JSON on a simulated host."""
    assert main(["bench", "--json", "--simulate", host, *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def vm(kvmppc_host):
    kvmppc_host("power10")
    with Kvm() as kvm, kvm.create_vm() as vm:
        yield vm


def test_the_record_has_all_keys(capsys):
    assert set(bench(capsys, "--count", "10")) == KEYS


@pytest.mark.parametrize("count", [1, 2, 777, 20_000])
def test_as_many_calls_are_timed_as_were_asked_for(capsys, count):
    record = bench(capsys, "--count", str(count))
    assert record["calls"] == count
    assert record["interrupted"] is False


def test_every_timed_call_is_in_the_histogram(capsys):
    record = bench(capsys, "--count", "3000")
    assert sum(count for _, _, count in record["histogram"]) == 3000


def test_the_histogram_is_in_order_and_reaches_the_longest(capsys):
    rows = bench(capsys, "--count", "3000")["histogram"]
    assert all(start < end for start, end, _ in rows)
    assert all(row[1] <= following[0] for row, following in zip(rows, rows[1:]))


def test_the_longest_is_in_the_last_bucket_and_no_percentile_is_longer(capsys):
    record = bench(capsys, "--count", "3000")
    start, end, _ = record["histogram"][-1]
    assert start <= record["longest"] < end
    assert 0 < record["median"] <= record["p99"] <= record["p99.9"] <= record["longest"]


def test_rate_and_ratio_follow_from_the_times(capsys):
    record = bench(capsys, "--count", "1")
    assert record["rate"] == pytest.approx(1e9 / record["typed"])
    assert record["rounds"] == 1
    assert record["ratio"] == pytest.approx(record["typed"] / record["floor"])


def test_threads_are_compared_with_one_alone(capsys):
    record = bench(capsys, "--count", "50", "--threads", "3")
    lower, upper = record["together_quartiles"]
    assert record["threads"] == 3
    assert 0 < lower <= record["together"] <= upper


def test_threads_ask_for_a_slice_however_few_calls_are_timed(monkeypatch, vm):
    asked = []
    measurement = Measurement(vm, "check_extension")
    measurement.round(1)
    monkeypatch.setattr(measurement, "_typed", lambda _, calls: asked.append(calls) or 100 * calls)
    measurement.round_of_threads(2)
    assert asked[-3:] == [SLICE // 100 + 1] * 3


def test_the_rate_of_threads_is_what_all_get_done(monkeypatch):
    took = {1: 100, 4: 200}
    monkeypatch.setattr("kvmppc.measure.time_of_threads", lambda _, threads, calls: took[threads])
    assert rate_of_threads(lambda _: 0, 4, 1) == 2


def test_one_thread_is_compared_with_nothing(capsys):
    record = bench(capsys, "--count", "5")
    assert (record["threads"], record["together"], record["together_quartiles"]) == (1, None, None)


def test_a_refusal_in_a_thread_is_an_error(vm):
    measurement = Measurement(vm, "check_extension")
    vm.close()
    with pytest.raises(kvmppc.ClosedError):
        measurement.round_of_threads(2)
    with pytest.raises(kvmppc.ClosedError):
        time_of_threads(lambda _: vm.check_extension(250), 2, 1)


def test_an_amount_of_time_is_enough_to_say(capsys):
    record = bench(capsys, "--seconds", "0.01")
    assert record["calls"] > 0


@pytest.mark.parametrize(
    ("host", "question"),
    [
        ("power10", "get_compat_caps"),
        ("patch-v4", "get_compat_caps"),
        ("linux-6.12", "check_extension"),
    ],
)
def test_the_question_is_the_one_that_the_kernel_has(capsys, host, question):
    record = bench(capsys, "--count", "10", host=host)
    assert record["question"] == question
    assert record["simulated"] == host


def test_the_question_can_be_named(capsys):
    record = bench(capsys, "--count", "10", "--what", "check-extension")
    assert record["question"] == "check_extension"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--simulate", "no-device"], 3, "No such file"),
        (["--simulate", "no-permission"], 4, "usually kvm"),
        (["--simulate", "no-nesting"], 3, "No VM can be created"),
        (["--simulate", "no-operation"], 3, "ENOTTY"),
        (["--simulate", "backend-refuses"], 3, "EINVAL"),
        (["--simulate", "linux-6.12", "--what", "get-compat-caps"], 3, "ENOTTY"),
        (["--device", "/dev/null"], 3, "not a KVM device"),
    ],
)
def test_a_host_that_cannot_be_asked_is_told(capsys, words, code, message):
    assert main(["bench", "--count", "10", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.parametrize(
    "words",
    [
        ["--count", "0"],
        ["--count", "-1"],
        ["--count", "1.5"],
        ["--count", "9" * 5000],
        ["--count", "1" + "0" * 29],
        ["--seconds", "0"],
        ["--seconds", "nan"],
        ["--seconds", "inf"],
        ["--seconds", "soon"],
        ["--count", "1", "--seconds", "1"],
        ["--what", "everything"],
        ["--simulate", "power8"],
    ],
)
def test_wrong_usage_exits_2(capsys, words):
    assert main(["bench", *words]) == 2
    assert capsys.readouterr().out == ""


def test_people_get_floor_ratio_percentiles_and_a_histogram(capsys):
    assert main(["bench", "--simulate", "power10", "--count", "1000"]) == 0
    out = capsys.readouterr().out
    for word in ("Python", "floor", "ratio", "1,000 calls", "median", "p99.9", "longest", "###"):
        assert word in out
    rows = [line.split() for line in out.splitlines() if "from " in line and "#" in line]
    assert sum(int(row[3].replace(",", "")) for row in rows) == 1000


@given(
    st.dictionaries(
        st.integers(0, lib.KVMPPC_BENCH_BUCKETS - 1), st.integers(1, 1000), min_size=1, max_size=20
    )
)
@example({346: 1000, 362: 1})  # 1.44 µs, and 1.70 µs beyond the 99th percentile
def test_a_row_has_the_calls_from_its_time_up_to_the_next_row(counts):
    with simulated_host("power10"), Kvm() as kvm, kvm.create_vm() as vm:
        measurement = Measurement(vm, "check_extension")
    for bucket, count in counts.items():
        measurement._counts[bucket] = count
    measurement.calls = sum(counts.values())
    measurement.longest = lib.kvmppc_bench_start(max(counts))
    assert measurement.percentile(1) == measurement.longest
    rows = _rows(measurement)
    starts = [*rows, math.inf]
    assert starts == sorted(starts)
    for row, following in zip(starts, starts[1:]):
        inside = [n for start, _, n in measurement.buckets() if row <= start < following]
        assert rows[row] == sum(inside)


@given(st.integers(0, 10**15))
def test_a_time_has_three_digits_and_the_unit_that_fits(nanoseconds):
    number, unit = _time(nanoseconds).split()
    size = {"ns": 1, "µs": 10**3, "ms": 10**6, "s": 10**9}[unit]
    value = float(number.replace(",", ""))
    assert "e" not in number
    assert value < 1000 or unit == "s"
    assert value * size == pytest.approx(nanoseconds, rel=0.005)


def test_times_that_round_up_get_the_next_unit():
    assert [_time(n) for n in (999.4, 999.6, 999_600, 999_960_000)] == [
        "999 ns",
        "1 µs",
        "1 ms",
        "1 s",
    ]
    assert _time(999_600_000_000) == "1,000 s"


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([5], (5, 5, 5)),
        ([2, 1], (1.25, 1.5, 1.75)),
        ([5, 4, 3, 2, 1], (2, 3, 4)),
        ([1, 2, 3, 10], (1.75, 2.5, 4.75)),
    ],
)
def test_quartiles_lie_between_numbers_where_there_are_few(numbers, expected):
    assert quartiles(numbers) == expected


def start_endless(*words):
    """The installed command, measuring until it is interrupted."""
    program = PROGRAM
    command = [program, "bench", "--json", "--simulate", "power10", "--seconds", "1000000", *words]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def waits_for_the_interrupt(process):
    """Whether the command has its own handler for SIGINT in place, and the VM open (proc(5))."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        caught = next(int(line.split()[1], 16) for line in file if line.startswith("SigCgt"))
    names = os.listdir(f"/proc/{process.pid}/fd")
    return caught & 2 and len(names) > 4


def test_ctrl_c_ends_it_early_with_what_was_measured():
    process = start_endless()
    while not waits_for_the_interrupt(process):
        assert process.poll() is None
    # Enough for the loop to have begun, whatever the machine is doing.
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    record = json.loads(out)
    assert record["interrupted"] is True
    assert 0 < record["calls"] == sum(count for _, _, count in record["histogram"])


def test_ctrl_c_before_the_first_round_waits_for_it(capsys, monkeypatch):
    @contextlib.contextmanager
    def interrupted():
        with _interruptible() as seen:
            signal.raise_signal(signal.SIGINT)
            yield seen

    monkeypatch.setattr("kvmppc.commands.bench._interruptible", interrupted)
    record = bench(capsys, "--seconds", "1000")
    assert (record["interrupted"], record["rounds"]) == (True, 1)


def test_an_interrupt_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _interruptible() as seen:
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == []


def test_ctrl_c_is_python_s_own_again_afterwards(capsys):
    before = signal.getsignal(signal.SIGINT)
    bench(capsys, "--count", "10")
    assert signal.getsignal(signal.SIGINT) is before


def test_rounds_add_up(vm):
    measurement = Measurement(vm, "get_compat_caps")
    for calls in (5, 7, 11):
        measurement.round(calls, 60 * 10**9)
    assert measurement.calls == measurement.floor_calls == measurement.typed_calls == 23
    assert sum(count for _, _, count in measurement.buckets()) == 23
    assert len(measurement.ratios) == 3


def test_a_round_ends_when_its_time_is_over(vm):
    measurement = Measurement(vm, "check_extension")
    measurement.round(1 << 62, 1)
    assert measurement.calls == 1


def test_a_closed_vm_cannot_be_measured(vm):
    measurement = Measurement(vm, "check_extension")
    vm.close()
    with pytest.raises(kvmppc.ClosedError):
        measurement.round(1)


def test_a_refusal_while_measuring_is_an_error(vm):
    measurement = Measurement(vm, "get_compat_caps")
    child = os.fork()
    if child == 0:
        code = 0
        try:
            measurement.round(10)
        except kvmppc.KvmError as error:
            code = (error.errno or 0) if "The VM is dead" in str(error) else 1
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5  # EIO


def test_a_loop_in_c_stops_at_the_first_refusal():
    for result in (lib.kvmppc_bench_timed(-1, 0, 5, 1 << 60), lib.kvmppc_bench_floor(-1, 0, 5)):
        assert (result.error, result.calls, result.longest) == (-9, 0, 0)  # EBADF


@given(st.integers(min_value=1, max_value=lib.KVMPPC_BENCH_BUCKETS - 1))
def test_no_bucket_is_wider_than_a_64th_of_its_start(index):
    start, end = lib.kvmppc_bench_start(index), lib.kvmppc_bench_start(index + 1)
    assert start < end
    assert end - start == 1 or (end - start) * 64 <= start


def test_threads_are_told_in_a_line_of_their_own(capsys):
    assert main(["bench", "--simulate", "power10", "--count", "50", "--threads", "2"]) == 0
    assert "threads    2 together make " in capsys.readouterr().out


@pytest.mark.parametrize("count", ["0", "257", "1000", "-1", "two"])
def test_a_number_of_threads_that_cannot_be_is_refused(count, capsys):
    assert main(["bench", "--simulate", "power10", f"--threads={count}"]) == 2
    assert "a number of threads is from 1 to 256" in capsys.readouterr().err


NO_MORE_THREADS = """
import sys, threading
from kvmppc.cli import main

start = threading.Thread.start

def start_up_to_two(thread):
    if threading.active_count() > 2:
        raise RuntimeError("can't start new thread")
    start(thread)

threading.Thread.start = start_up_to_two
sys.exit(main(["bench", "--simulate", "power10", "--count", "1", "--threads", "4"]))
"""


def test_threads_that_cannot_be_started_are_a_usage_error_and_none_is_waited_for(tmp_path):
    words = [sys.executable, "-c", NO_MORE_THREADS]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "--threads 4: can't start new thread; give fewer" in done.stderr
