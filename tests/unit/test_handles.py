"""Handles under threads, signals and errors: none is lost, none is closed twice or asked late."""

import contextlib
import gc
import os
import subprocess
import sys
import threading
import warnings

import pytest
from confined import in_child
from hypothesis import settings

import kvmppc
from kvmppc import Kvm, Vm
from kvmppc._simhost import ffi, lib
from kvmppc.kvm import _forget_other_threads
from kvmppc.testing import simulated_host

pytestmark = pytest.mark.usefixtures("no_descriptor_is_left_open")


@pytest.fixture
def switching():
    """Lets threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def refusal_of(ask):
    """The symbol of a refusal, "" for an answer."""
    try:
        ask()
    except kvmppc.KvmError as error:
        return f"{type(error).__name__} {error.name}"
    return ""


def asked_while_closed(vm, ask):
    """Refusals seen from before another thread closes a VM until after."""
    closer = threading.Thread(target=vm.close)
    seen = [refusal_of(lambda: ask(vm)) for _ in range(3)]
    closer.start()
    while not seen[-1]:
        seen.append(refusal_of(lambda: ask(vm)))
    closer.join()
    return set(seen)


QUESTIONS = {
    "check_extension": lambda vm: vm.check_extension(250),
    "get_compat_caps": lambda vm: vm.get_compat_caps(),
    "get_revision": lambda vm: vm.get_revision(),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_while_another_thread_closes_is_answered_or_refused(ask, switching, kvmppc_host):
    kvmppc_host("power10")
    with Kvm() as kvm:
        for _ in range(settings().max_examples // 2):
            assert asked_while_closed(kvm.create_vm(), ask) <= {"", "ClosedError EBADF"}


def error_of_closing(fd):
    try:
        os.close(fd)
    except OSError as error:
        return error


@contextlib.contextmanager
def files_opened_and_closed():
    """Opens and closes files all the while, so that a free descriptor's number is soon another's.

    Yields the list of what went wrong with them: somebody else closed one.
    """
    trouble = []
    done = threading.Event()

    def work():
        while not done.is_set():
            files = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) for _ in range(8)]
            trouble.extend(filter(None, map(error_of_closing, files)))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield trouble
    finally:
        done.set()
        thread.join()


def test_no_recycled_descriptor_is_asked_or_closed(switching, kvmppc_host):
    kvmppc_host("power10")
    # Of /dev/null every question would be refused with ENOTTY, and a file closed twice with EBADF.
    with files_opened_and_closed() as trouble, Kvm() as kvm:
        for _ in range(settings().max_examples):
            for ask in QUESTIONS.values():
                assert asked_while_closed(kvm.create_vm(), ask) <= {"", "ClosedError EBADF"}
    assert trouble == []


def test_many_threads_may_close_one_handle(switching, kvmppc_host):
    kvmppc_host("power10")
    with files_opened_and_closed() as trouble, Kvm() as kvm:
        for _ in range(settings().max_examples // 2):
            vm = kvm.create_vm()
            team = [threading.Thread(target=vm.close) for _ in range(3)]
            for thread in team:
                thread.start()
            for thread in team:
                thread.join()
    assert trouble == []


def test_a_descriptor_is_closed_after_the_last_question_that_is_under_way(kvmppc_host):
    kvmppc_host("power10")
    with Kvm() as kvm:
        vm = kvm.create_vm()
    data, fd = vm._data, vm.fileno()
    assert lib.kvmppc_handle_enter(data) == fd
    assert lib.kvmppc_handle_enter(data) == fd
    lib.kvmppc_handle_close(data)
    lib.kvmppc_handle_leave(data)
    os.fstat(fd)
    assert lib.kvmppc_handle_enter(data) == -1
    lib.kvmppc_handle_leave(data)
    os.fstat(fd)
    lib.kvmppc_handle_leave(data)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("closed_before", [False, True])
def test_a_child_closes_what_another_thread_of_its_parent_was_asking(kvmppc_host, closed_before):
    kvmppc_host("power10")
    with Kvm() as kvm:
        fd = kvm.fileno()
        assert lib.kvmppc_handle_enter(kvm._data) == fd  # as a thread does that goes on asking
        if closed_before:
            kvm.close()

        def child():
            kvm.close()
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)

        in_child(child)
        os.fstat(fd)
        lib.kvmppc_handle_leave(kvm._data)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_handle_may_be_collected_while_a_child_looks_at_all_handles(kvmppc_host):
    kvmppc_host("power10")
    thresholds = gc.get_threshold()
    with contextlib.ExitStack() as stack:
        stack.callback(gc.collect)
        stack.callback(gc.set_threshold, *thresholds)
        for _ in range(20):  # more than a tuple that Python has at hand
            stack.enter_context(Kvm())
        for allocations in range(40):
            gc.collect()
            forgotten = [Kvm()]
            forgotten.append(forgotten)
            del forgotten
            gc.set_threshold(gc.get_count()[0] + allocations)
            _forget_other_threads()
            gc.set_threshold(*thresholds)


INTERRUPTED = """
import gc, os, random, signal, sys, warnings
from kvmppc import Kvm
from kvmppc.testing import simulated_host

class InterruptedAnywhere(Exception): pass

def handle(number, frame):
    raise InterruptedAnywhere

def work():
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-4))
    for _ in range(200):  # not for ever: what is raised in __del__ is dropped
        with Kvm() as kvm, kvm.create_vm() as vm:
            vm.check_extension(250)

def descriptors():
    gc.collect()
    return os.listdir("/proc/self/fd")

warnings.simplefilter("ignore")
sys.unraisablehook = lambda unraisable: None  # __del__ is interrupted too
signal.signal(signal.SIGALRM, handle)
raised = 0
with simulated_host("power10"):
    before = descriptors()
    for _ in range(int(sys.argv[1])):
        try:
            work()
        except InterruptedAnywhere:
            raised += 1
    print(2 * raised > int(sys.argv[1]), descriptors() == before)
"""


def test_a_handler_that_raises_loses_no_descriptor(tmp_path):
    times = str(10 * settings().max_examples)
    words = [sys.executable, "-c", INTERRUPTED, times]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_a_forgotten_handle_is_closed_where_the_warning_is_an_error(kvmppc_host):
    kvmppc_host("power10")
    with Kvm() as kvm:
        vm = kvm.create_vm()
    fd = vm.fileno()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unraisable = []
        before, sys.unraisablehook = sys.unraisablehook, unraisable.append
        try:
            del vm
        finally:
            sys.unraisablehook = before
    assert [args.exc_type for args in unraisable] == [ResourceWarning]
    del unraisable[:]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("kind", [Kvm, Vm])
def test_a_handle_is_made_once(kvmppc_host, kind):
    kvmppc_host("power10")
    with Kvm() as kvm, kvm.create_vm() as vm:
        handle = kvm if kind is Kvm else vm
        fd = handle.fileno()
        with pytest.raises(TypeError, match=r"create another one|to create a Vm"):
            handle.__init__()
        assert handle.fileno() == fd
        assert handle.check_extension(250) == 1


def test_a_handle_has_nothing_to_close_where_the_device_was_not_opened():
    data = ffi.gc(
        ffi.new("struct kvmppc_handle *", {"fd": -1, "owned": -1}), lib.kvmppc_handle_close
    )
    assert lib.kvmppc_handle_open(data, b"nowhere:/dev/kvm") < 0
    assert (data.fd, data.owned, data.users) == (-1, -1, 0)


def test_a_descriptor_of_any_number_is_asked():
    high = 5000
    with simulated_host("power10"), Kvm() as kvm, kvm.create_vm() as vm:
        os.dup2(vm.fileno(), high)
        with Vm.from_fd(high, own=True) as other:
            for _ in range(3):
                assert other.check_extension(250) == 1
                assert other.get_compat_caps() == vm.get_compat_caps()
