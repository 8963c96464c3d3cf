"""Simulated kernels at the ioctl itself: order of checks, size rules, what is written back."""

import ctypes
import errno
import mmap
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawcalls import CHECK_EXTENSION, CREATE_VM, GET_API_VERSION, LINUX_7_3, PAGE, PATCH_V4, words

from kvmppc import Kvm
from kvmppc._simhost import lib
from kvmppc.testing import simulated_host

GRANTED = 0x6000000000000000
KVM_CAP_PPC_GET_PVINFO = 57


class Machine:
    """A VM of a simulated host, and memory to put structs into."""

    def __init__(self, name):
        with simulated_host(name), Kvm() as kvm:
            self.kvm_fd = os.dup(kvm.fileno())
            self.vm = kvm.create_vm()

    def close(self):
        self.vm.close()
        os.close(self.kvm_fd)

    def ioctl(self, request, data):
        """Makes the call; returns its result and the bytes afterwards."""
        buffer = ctypes.create_string_buffer(bytes(data), len(data))
        result = lib.kvmppc_simhost_ioctl(self.vm.fileno(), request, ctypes.addressof(buffer))
        return result, buffer.raw


@pytest.fixture
def on():
    machines = []

    def make(name):
        machines.append(Machine(name))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.mark.parametrize(
    ("size", "result", "returned"),
    [
        (0, -errno.EINVAL, 0),
        (23, -errno.EINVAL, 23),
        (24, 0, 24),
        (25, 0, 24),
        (32, 0, 24),
        (PAGE, 0, 24),
        (PAGE + 1, -errno.E2BIG, PAGE + 1),
        (1 << 63, -errno.E2BIG, 1 << 63),
    ],
)
def test_linux_7_3_takes_any_size_from_24_to_a_page(on, size, result, returned):
    sent = words(size) + bytes(PAGE - 8)
    answer, after = on("power10").ioctl(LINUX_7_3, sent)
    assert answer == result
    assert after == words(returned, 0, GRANTED if result == 0 else 0) + bytes(PAGE - 24)


def test_linux_7_3_refuses_flags_and_leaves_the_struct(on):
    sent = words(24, 1, 7)
    assert on("power10").ioctl(LINUX_7_3, sent) == (-errno.EINVAL, sent)


def test_linux_7_3_says_its_own_size_when_the_tail_is_not_zero(on):
    answer, after = on("power10").ioctl(LINUX_7_3, words(32, 0, 0, 1))
    assert (answer, after) == (-errno.E2BIG, words(24, 0, 0, 1))


def test_a_kernel_with_a_larger_struct_serves_a_smaller_one(on):
    machine = on("future")
    assert machine.ioctl(LINUX_7_3, words(24, 0, 0, 5)) == (0, words(24, 0, 0x71 << 56, 5))
    assert machine.ioctl(LINUX_7_3, words(32, 0, 0, 0))[1][:8] == words(32)
    assert machine.ioctl(LINUX_7_3, words(40, 0, 0, 0, 1)) == (
        -errno.E2BIG,
        words(32, 0, 0, 0, 1),
    )


@pytest.mark.parametrize(
    ("name", "size", "result", "returned"),
    [
        ("patch-v4", 23, -errno.EINVAL, 23),
        ("patch-v4", 24, 0, 24),
        ("patch-v4", 32, 0, 24),
        ("patch-v4", 1 << 40, 0, 24),
        ("patch-v4-strict", 23, -errno.EINVAL, 23),
        ("patch-v4-strict", 24, 0, 24),
        ("patch-v4-strict", 32, -errno.EINVAL, 32),
        ("patch-v4-short", 24, 0, 16),
    ],
)
def test_patch_v4_has_the_size_rule_of_its_posting(on, name, size, result, returned):
    answer, after = on(name).ioctl(PATCH_V4, words(9, size, 0, 5))
    granted = GRANTED if (result, returned) == (0, 24) else 0
    assert answer == result
    assert after == words(9 if result else 0, returned, granted, 5)


@pytest.mark.parametrize(
    ("name", "request_number"),
    [("power10", PATCH_V4), ("patch-v4", LINUX_7_3), ("linux-6.12", LINUX_7_3)],
)
def test_the_other_revisions_request_is_not_there(on, name, request_number):
    sent = words(24, 24, 0)
    assert on(name).ioctl(request_number, sent) == (-errno.ENOTTY, sent)


def test_bare_metal_refuses(on):
    sent = words(24, 0, 0)
    assert on("powernv10").ioctl(LINUX_7_3, sent) == (-errno.EINVAL, sent)


def test_a_migrating_host_answers_otherwise_from_the_second_question_on(on):
    machine, other = on("migrating"), on("migrating")
    sent = words(24, 0, 0)
    answers = [machine.ioctl(LINUX_7_3, sent)[1] for _ in range(3)]
    assert answers == [words(24, 0, 0x7 << 60), *[words(24, 0, GRANTED)] * 2]
    assert other.ioctl(LINUX_7_3, sent)[1] == answers[0]


def test_a_held_vm_gives_the_answer_of_the_moment(kvmppc_host):
    kvmppc_host("migrating")
    with Kvm() as kvm, kvm.create_vm() as vm:
        masks = [vm.get_compat_caps().compat_capabilities for _ in range(3)]
    assert masks == [0x7 << 60, GRANTED, GRANTED]


@pytest.mark.parametrize(
    ("name", "pvinfo"), [("power10", 0), ("powernv10", 0), ("no-nesting", 1), ("kvm-pr", 1)]
)
def test_what_only_the_other_backend_has_tells_that_kvm_hv_is_not_there(on, name, pvinfo):
    with simulated_host(name), Kvm() as kvm:
        assert kvm.check_extension(KVM_CAP_PPC_GET_PVINFO) == pvinfo


def test_kvm_pr_makes_vms_that_have_no_such_operation(on):
    machine = on("kvm-pr")
    sent = words(24, 0, 0)
    assert machine.ioctl(LINUX_7_3, sent) == (-errno.ENOTTY, sent)
    assert machine.vm.check_extension(KVM_CAP_PPC_GET_PVINFO) == 1


@pytest.mark.parametrize("name", ["power10", "patch-v4"])
def test_memory_that_is_not_there_is_efault(on, name):
    machine = on(name)
    request = PATCH_V4 if name == "patch-v4" else LINUX_7_3
    for address in (0, 8, 1 << 62, (1 << 64) - 8):
        assert lib.kvmppc_simhost_ioctl(machine.vm.fileno(), request, address) == -errno.EFAULT


def test_a_struct_that_reaches_over_the_end_of_memory_is_efault(on):
    machine = on("power10")
    with mmap.mmap(-1, 2 * PAGE) as memory:
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(start + PAGE), PAGE, 0) == 0
        memory[PAGE - 8 : PAGE] = words(24)
        result = lib.kvmppc_simhost_ioctl(machine.vm.fileno(), LINUX_7_3, start + PAGE - 8)
    assert result == -errno.EFAULT


def test_a_misaligned_struct_is_served(on):
    machine = on("power10")
    buffer = ctypes.create_string_buffer(b"x" + words(24, 0, 0) + b"x", 26)
    address = ctypes.addressof(buffer) + 1
    assert lib.kvmppc_simhost_ioctl(machine.vm.fileno(), LINUX_7_3, address) == 0
    assert buffer.raw == b"x" + words(24, 0, GRANTED) + b"x"


def test_the_ioctl_is_not_for_dev_kvm(on):
    assert lib.kvmppc_simhost_ioctl(on("power10").kvm_fd, LINUX_7_3, 0) == -errno.EINVAL


def test_dev_kvm_refuses_an_argument_that_must_be_zero(on):
    fd = on("power10").kvm_fd
    assert lib.kvmppc_simhost_ioctl(fd, GET_API_VERSION, 0) == 12
    assert lib.kvmppc_simhost_ioctl(fd, GET_API_VERSION, 1) == -errno.EINVAL
    assert lib.kvmppc_simhost_ioctl(fd, CREATE_VM, 2) == -errno.EINVAL


def test_a_descriptor_cannot_be_changed(on):
    fd = on("power10").vm.fileno()
    for change in (lambda: os.write(fd, b"x"), lambda: os.ftruncate(fd, 0)):
        with pytest.raises(PermissionError):
            change()


@pytest.mark.parametrize("folder", [None, "/dev/shm"])
def test_a_descriptor_that_is_not_ours_is_not_answered(folder, on):
    # On a disk, and in memory, where every file can be sealed.
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.write(os.pread(on("power10").vm.fileno(), 64, 0))
        assert lib.kvmppc_simhost_ioctl(file.fileno(), CHECK_EXTENSION, 250) == -errno.ENOTTY
    assert lib.kvmppc_simhost_ioctl(-1, CHECK_EXTENSION, 250) == -errno.EBADF


@given(
    name=st.sampled_from(["power10", "future", "linux-6.12", "patch-v4", "patch-v4-strict"]),
    request_number=st.sampled_from([LINUX_7_3, PATCH_V4]),
    head=st.lists(st.sampled_from([0, 1, 23, 24, 25, 32, 40, 4096, 4097, 1 << 63]), min_size=4),
)
def test_a_refused_call_changes_nothing_but_a_size_to_try(name, request_number, head):
    machine = Machine(name)
    try:
        sent = words(*head[:8]) + bytes(PAGE)
        result, after = machine.ioctl(request_number, sent)
    finally:
        machine.close()
    if result == -errno.E2BIG:
        assert after[8:] == sent[8:]
    elif result < 0:
        assert after == sent
    else:
        assert after[24:40] == sent[24:40] or name == "future"
