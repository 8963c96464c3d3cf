"""Long use of this machine's KVM: memory and descriptors stay as they were."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest

import kvmppc
from kvmppc import Cap, Kvm

QUESTIONS = 100_000
# Each makes a VM, which on an emulated machine under nested API v2 takes a second.
PROBES = int(os.environ.get("KVMPPC_PROBES", "3000"))


@pytest.fixture
def vm():
    try:
        with Kvm() as kvm, kvm.create_vm() as vm:
            yield vm
    except kvmppc.KvmError as error:
        pytest.skip(f"this machine's KVM cannot be used: {error}")


def pages():
    """Memory in use, in pages (proc(5), statm)."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1])


def used():
    gc.collect()
    return len(os.listdir("/proc/self/fd")), pages()


def ask(vm):
    """The question where the kernel has it; where not, the capability alone."""
    if vm.revision is None:
        return vm.check_extension(Cap.PPC_COMPAT_CAPS)
    return vm.get_compat_caps().compat_capabilities


def assert_costs_nothing(calls, repeats):
    """Assert that `repeats` calls cost no descriptor, and no memory in one of three rounds.

    A leak grows in each. What else grows does so once: under user emulation the translated
    code counts as the process's memory, and comes in huge pages of 2 MiB.
    """
    # As many as are counted: each leaves garbage, which grows up to what Python collects at once.
    for _ in range(min(repeats, 1000)):
        calls()
    grown = []
    for _ in range(3):
        descriptors, memory = used()
        for _ in range(repeats // 3):
            calls()
        now_open, now_used = used()
        assert now_open == descriptors
        grown.append(now_used - memory)
    # A page or two come from the interpreter's own free lists, none from a call each.
    assert min(grown) < 64, grown


def test_a_hundred_thousand_questions_leave_everything_as_it_was(vm):
    try:
        first = ask(vm)
    except kvmppc.KvmError as error:
        pytest.skip(f"this kernel has no answer: {error}")

    def answered():
        assert ask(vm) == first

    assert_costs_nothing(answered, QUESTIONS)


def test_refused_questions_leave_everything_as_it_was(vm):
    def refused():
        with pytest.raises(kvmppc.KvmError):
            kvmppc.Vm.from_fd(0, own=False).get_compat_caps()

    assert_costs_nothing(refused, 3000)


def test_whole_probes_leave_everything_as_it_was():
    first = kvmppc.probe()

    def probed():
        report = kvmppc.probe()
        assert (report.status, report.modes, report.errno) == (
            first.status,
            first.modes,
            first.errno,
        )

    assert_costs_nothing(probed, PROBES)


def test_probes_go_on_through_threads_forks_and_signals():
    first = kvmppc.probe()
    before = used()[0]
    wrong = []
    alarms = []

    def probe_often():
        wrong.extend(
            report
            for report in (kvmppc.probe() for _ in range(PROBES // 10))
            if report.status != first.status
        )

    handler = signal.signal(signal.SIGALRM, lambda *_: alarms.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        threads = [threading.Thread(target=probe_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        probe_often()
        for thread in threads:
            thread.join()
        child = os.fork()
        if child == 0:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os._exit(kvmppc.probe().status != first.status)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert not wrong
    assert used()[0] == before
