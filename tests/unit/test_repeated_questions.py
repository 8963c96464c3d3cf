"""check_extension asked again: a handle keeps the last question, never an answer."""

import decimal
import fractions
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import Cap, Kvm, Vm
from kvmppc.testing import simulated_host

CAPS = [value for name, value in vars(Cap).items() if name.isupper()]


@pytest.fixture
def vm(kvmppc_host):
    kvmppc_host("power10")
    with Kvm() as kvm, kvm.create_vm() as vm:
        yield vm


@given(st.lists(st.integers(0, 2**32 - 1) | st.sampled_from(CAPS), min_size=1))
def test_an_answer_does_not_depend_on_what_was_asked_before(capabilities):
    with simulated_host("power10"), Kvm() as kvm:
        for capability in capabilities:
            expected = int(capability in (160, 250))
            assert [kvm.check_extension(capability) for _ in range(2)] == [expected] * 2


WRONG = [
    *(250.0, decimal.Decimal(250), fractions.Fraction(250), 250 + 0j, 1.5),
    *("250", b"250", None, [], {}),
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("asked_before", [True, False])
def test_a_capability_is_an_int_whatever_was_asked_before(vm, wrong, asked_before):
    if asked_before:
        assert vm.check_extension(250) == vm.check_extension(250) == 1
    for _ in range(2):
        with pytest.raises(TypeError, match=f"an int, not {type(wrong).__name__}"):
            vm.check_extension(wrong)


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
