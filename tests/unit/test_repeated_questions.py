"""check_extension asked again: a handle keeps the question, never the answer."""

import os
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvmppc
from kvmppc import Cap, Kvm, Vm
from kvmppc._simhost import lib
from kvmppc.testing import simulated_host


@pytest.fixture
def vm(kvmppc_host):
    kvmppc_host("power10")
    with Kvm() as kvm, kvm.create_vm() as vm:
        yield vm


@pytest.mark.parametrize("name", ["power10", "patch-v4", "linux-6.12"])
@pytest.mark.parametrize("capability", [0, 160, 249, 250, 1023])
def test_a_question_packed_into_one_number_is_the_same_question(name, capability):
    with simulated_host(name), Kvm() as kvm, kvm.create_vm() as vm:
        packed = vm.fileno() << lib.KVMPPC_PACKED_BITS | capability
        expected = lib.kvmppc_check_extension(vm.fileno(), capability)
        assert lib.kvmppc_check_packed(packed) == expected


@given(st.lists(st.integers(0, 2**32 - 1) | st.sampled_from(list(Cap)), min_size=1))
def test_an_answer_does_not_depend_on_what_was_asked_before(capabilities):
    with simulated_host("power10"), Kvm() as kvm:
        for capability in capabilities * 2:
            assert kvm.check_extension(capability) == int(capability in (160, 250))


def test_more_capabilities_than_a_handle_keeps_are_answered(vm):
    for _ in range(2):
        answers = [vm.check_extension(number) for number in range(2000)]
        assert [number for number, answer in enumerate(answers) if answer] == [160, 250]


def test_a_closed_handle_refuses_a_question_that_was_asked_before(vm):
    assert vm.check_extension(250) == vm.check_extension(250) == 1
    vm.close()
    with pytest.raises(kvmppc.ClosedError):
        vm.check_extension(250)


def test_a_closed_handle_does_not_ask_who_has_its_descriptor_now(kvmppc_host):
    kvmppc_host("power10")
    with Kvm() as kvm:
        vm = kvm.create_vm()
        fd = vm.fileno()
        assert vm.check_extension(250) == 1
        vm.close()
        with kvm.create_vm() as other:
            assert other.fileno() == fd
            with pytest.raises(kvmppc.ClosedError):
                vm.check_extension(250)


def test_the_kernel_is_asked_each_time(vm):
    borrowed = Vm.from_fd(os.dup(vm.fileno()), own=False)
    assert borrowed.check_extension(250) == 1
    os.close(borrowed.fileno())
    with pytest.raises(kvmppc.KvmError, match="EBADF") as caught:
        borrowed.check_extension(250)
    assert not isinstance(caught.value, kvmppc.ClosedError)


def test_a_refusal_is_raised_on_its_own(vm):
    vm.check_extension(250)
    vm.close()
    with pytest.raises(kvmppc.ClosedError) as caught:
        vm.check_extension(250)
    assert caught.value.__context__ is None


def refused_with(vm, capability):
    """The symbol of a refusal, "" for an answer."""
    try:
        vm.check_extension(capability)
    except kvmppc.KvmError as error:
        return error.name
    return ""


def test_a_question_while_another_thread_closes_is_answered_or_refused(kvmppc_host):
    kvmppc_host("power10")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with Kvm() as kvm:
            for _ in range(2 * settings().max_examples):
                vm = kvm.create_vm()
                closer = threading.Thread(target=vm.close)
                closer.start()
                assert {refused_with(vm, number) for number in range(40)} <= {"", "EBADF"}
                closer.join()
                assert {refused_with(vm, number) for number in range(40)} == {"EBADF"}
    finally:
        sys.setswitchinterval(interval)
