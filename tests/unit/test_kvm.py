"""Kvm and Vm on simulated hosts: the answers, and the handles."""

import errno
import fcntl
import gc
import os
import pickle
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import Cap, CpuMode, Kvm, Vm
from kvmppc.caps import LINUX_7_3, PATCH_V4
from kvmppc.testing import simulated_host

ANSWERS = [
    ("power9", 0x4000000000000000, LINUX_7_3),
    ("power10", 0x6000000000000000, LINUX_7_3),
    ("power11", 0x7000000000000000, LINUX_7_3),
    ("power11-as-power10", 0x6000000000000000, LINUX_7_3),
    ("powervm-power11", 0x3000000000000000, LINUX_7_3),
    ("struct-32", 0x7000000000000000, LINUX_7_3),
    ("unknown-bit", 0x7100000000000000, LINUX_7_3),
    ("future", 0x7100000000000000, LINUX_7_3),
    ("patch-v4", 0x6000000000000000, PATCH_V4),
    ("patch-v4-strict", 0x6000000000000000, PATCH_V4),
]


pytestmark = pytest.mark.usefixtures("no_descriptor_is_left_open")


@pytest.fixture
def kvm(kvmppc_host):
    kvmppc_host("power11-as-power10")
    with Kvm() as kvm:
        yield kvm


@pytest.fixture
def vm(kvm):
    with kvm.create_vm() as vm:
        yield vm


@pytest.mark.parametrize(("name", "mask", "revision"), ANSWERS)
def test_a_vm_tells_what_its_kernel_grants(kvmppc_host, name, mask, revision):
    kvmppc_host(name)
    with Kvm() as kvm, kvm.create_vm() as vm:
        first, second = vm.get_compat_caps(), vm.get_compat_caps()
        assert (vm.revision, vm.get_revision(), kvm.get_revision()) == (revision,) * 3
    assert (first.compat_capabilities, first.flags, first.size) == (mask, 0, 24)
    assert first.revision is revision
    assert first == second


def test_a_repeated_answer_is_the_same_object(vm):
    assert vm.get_compat_caps() is vm.get_compat_caps()


def test_modes_that_are_not_cumulative_are_given_as_they_are(kvmppc_host):
    kvmppc_host("powervm-power11")
    with Kvm() as kvm, kvm.create_vm() as vm:
        caps = vm.get_compat_caps()
    assert caps.modes == (CpuMode("power10"), CpuMode("power11"))
    assert "power9" not in caps


def test_an_unknown_bit_is_kept(kvmppc_host):
    kvmppc_host("future")
    with Kvm() as kvm, kvm.create_vm() as vm:
        assert vm.get_compat_caps().unknown_bits == 1 << 56


@pytest.mark.parametrize("name", ["linux-6.12", "powernv10"])
def test_a_kernel_without_the_capability_is_not_asked(kvmppc_host, name):
    kvmppc_host(name)
    with Kvm() as kvm, kvm.create_vm() as vm:
        assert vm.revision is None
        with pytest.raises(kvmppc.UnsupportedError) as caught:
            vm.get_compat_caps()
    assert caught.value.errno == errno.ENOTTY


def test_an_answer_that_is_cut_off_is_an_error_not_a_zero(kvmppc_host):
    kvmppc_host("patch-v4-short")
    with Kvm() as kvm, kvm.create_vm() as vm:
        for _ in range(2):
            with pytest.raises(kvmppc.ProtocolError, match="returned 16 bytes"):
                vm.get_compat_caps()


@pytest.mark.parametrize(
    ("name", "kind", "number"),
    [
        ("no-device", kvmppc.DeviceNotFoundError, errno.ENOENT),
        ("no-permission", kvmppc.DevicePermissionError, errno.EACCES),
    ],
)
def test_errors_of_opening_are_told_apart(kvmppc_host, name, kind, number):
    kvmppc_host(name)
    with pytest.raises(kind) as caught:
        Kvm()
    assert (caught.value.errno, caught.value.filename) == (number, "/dev/kvm")


def test_a_vm_that_cannot_be_made_is_an_error_with_its_number(kvmppc_host):
    kvmppc_host("no-nesting")
    with Kvm() as kvm, pytest.raises(kvmppc.VmCreationError) as caught:
        kvm.create_vm()
    assert caught.value.errno == errno.EINVAL


def test_capabilities_are_asked_by_name_or_number(kvm, vm):
    assert kvm.check_extension(Cap.PPC_COMPAT_CAPS) == vm.check_extension(250) == 1
    assert kvm.check_extension(Cap.PPC_COMPAT_CAPS_PATCH_V4) == 0
    assert kvm.check_extension(0) == kvm.check_extension(2**32 - 1) == 0


@given(st.integers(max_value=-1) | st.integers(min_value=1 << 32))
def test_a_capability_that_does_not_fit_is_refused(number):
    with simulated_host("power10"), Kvm() as kvm, pytest.raises(ValueError, match="2\\*\\*32"):
        kvm.check_extension(number)


@pytest.mark.parametrize("wrong", [None, "250", 1.5])
def test_a_capability_is_a_whole_number(kvm, wrong):
    with pytest.raises(TypeError):
        kvm.check_extension(wrong)


def test_close_may_be_called_again(kvm):
    vm = kvm.create_vm()
    fd = vm.fileno()
    vm.close()
    with open(os.devnull) as other:
        assert other.fileno() == fd
        vm.close()
        os.fstat(fd)
    assert vm.closed


@pytest.mark.parametrize(
    "use",
    [
        lambda vm: vm.get_compat_caps(),
        lambda vm: vm.check_extension(250),
        lambda vm: vm.get_revision(),
        lambda vm: vm.fileno(),
        lambda vm: vm.__enter__(),
    ],
)
@pytest.mark.parametrize("name", ["power10", "linux-6.12", "patch-v4"])
def test_a_closed_vm_refuses_use(kvmppc_host, name, use):
    kvmppc_host(name)
    with Kvm() as kvm:
        vm = kvm.create_vm()
    vm.close()
    with pytest.raises(kvmppc.ClosedError, match="This Vm is closed"):
        use(vm)


@pytest.mark.parametrize(
    "use",
    [lambda kvm: kvm.create_vm(), lambda kvm: kvm.get_api_version(), lambda kvm: kvm.fileno()],
)
def test_a_closed_kvm_refuses_use(kvm, use):
    kvm.close()
    with pytest.raises(kvmppc.ClosedError, match="This Kvm is closed"):
        use(kvm)


def test_a_vm_works_after_its_kvm_is_closed(kvm):
    with kvm.create_vm() as vm:
        kvm.close()
        assert vm.get_compat_caps().newest == "power10"


def test_a_handle_shows_its_state(kvm, vm):
    assert repr(kvm) == f"<kvmppc.Kvm fd={kvm.fileno()}>"
    vm.close()
    assert repr(vm) == "<kvmppc.Vm closed>"


def test_descriptors_are_closed_on_exec(kvm, vm):
    for handle in (kvm, vm):
        assert fcntl.fcntl(handle, fcntl.F_GETFD) & fcntl.FD_CLOEXEC


def test_a_forgotten_handle_is_closed_and_complained_about(kvm):
    vm = kvm.create_vm()
    fd = vm.fileno()
    with pytest.warns(ResourceWarning, match=f"unclosed <kvmppc.Vm fd={fd}>") as warned:
        del vm
    assert warned[0].source.closed  # although the warning keeps the handle
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_descriptor_0_is_one_like_any_other(kvm):
    standard_input = os.dup(0)
    os.close(0)
    try:
        with kvm.create_vm() as vm:
            assert vm.fileno() == 0
            assert vm.get_compat_caps().newest == "power10"
        vm = kvm.create_vm()
        assert vm.fileno() == 0
        with pytest.warns(ResourceWarning, match="unclosed <kvmppc.Vm fd=0>"):
            del vm
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(0)
    finally:
        os.dup2(standard_input, 0)
        os.close(standard_input)


def test_a_handle_that_could_not_be_opened_leaves_nothing(kvmppc_host):
    kvmppc_host("no-device")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(kvmppc.DeviceNotFoundError):
            Kvm()
        gc.collect()


def test_a_borrowed_descriptor_is_left_open(vm):
    borrowed = Vm.from_fd(vm.fileno(), own=False)
    assert borrowed.get_compat_caps() == vm.get_compat_caps()
    borrowed.close()
    assert borrowed.closed
    assert vm.get_compat_caps().newest == "power10"


def test_an_owned_descriptor_is_closed(kvm, vm):
    for kind, handle in ((Kvm, kvm), (Vm, vm)):
        fd = os.dup(handle.fileno())
        kind.from_fd(fd, own=True).close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


@pytest.mark.parametrize("kind", [Kvm, Vm])
def test_a_descriptor_that_is_not_kvm_is_refused_and_left_open(kvm, kind):
    with open(os.devnull) as other, pytest.raises(kvmppc.KvmError) as caught:
        kind.from_fd(other.fileno(), own=True)
    assert caught.value.errno == errno.ENOTTY


def test_the_device_is_not_taken_for_a_vm(kvm):
    with pytest.raises(kvmppc.KvmError, match="not a VM") as caught:
        Vm.from_fd(kvm.fileno(), own=True)
    assert caught.value.errno == errno.ENOTTY
    assert kvm.check_extension(0) >= 0


def test_a_handle_from_a_descriptor_is_of_the_class_that_was_asked(kvm, vm):
    class OwnKvm(Kvm):
        pass

    class OwnVm(Vm):
        pass

    assert type(OwnKvm.from_fd(kvm.fileno(), own=False)) is OwnKvm
    assert type(OwnVm.from_fd(vm.fileno(), own=False)) is OwnVm


def test_a_descriptor_closed_by_somebody_else_is_an_error_not_a_no(vm):
    borrowed = Vm.from_fd(os.dup(vm.fileno()), own=False)
    os.close(borrowed.fileno())
    for use in (borrowed.get_compat_caps, lambda: borrowed.check_extension(250)):
        with pytest.raises(kvmppc.KvmError) as caught:
            use()
        assert caught.value.errno == errno.EBADF
        assert not isinstance(caught.value, (kvmppc.ClosedError, kvmppc.UnsupportedError))


def test_a_vm_cannot_be_used_by_a_child(kvm, vm):
    child = os.fork()
    if child == 0:
        code = 0
        try:
            vm.get_compat_caps()
        except kvmppc.KvmError as error:
            code = error.errno or 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EIO
    assert vm.get_compat_caps().newest == "power10"


def test_a_handle_cannot_be_pickled_or_made_by_hand(vm):
    with pytest.raises(TypeError, match="owns a descriptor"):
        pickle.dumps(vm)
    with pytest.raises(TypeError, match="create_vm"):
        Vm()


def test_many_threads_may_ask_at_once(vm):
    answers = []

    def ask():
        answers.extend(vm.get_compat_caps().compat_capabilities for _ in range(500))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0x6000000000000000] * 4000


def test_only_one_of_many_threads_closes(kvm):
    for _ in range(50):
        vm = kvm.create_vm()
        threads = [threading.Thread(target=vm.close) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert vm.closed


@pytest.mark.parametrize("path", ["/dev/kvm\0", "\0"])
def test_a_path_with_a_null_is_refused(path):
    with pytest.raises(ValueError, match="null character"):
        Kvm(path)


@pytest.mark.parametrize("ask", [Kvm, kvmppc.probe])
def test_a_path_that_cannot_be_encoded_is_refused(ask):
    with pytest.raises(ValueError, match="can't encode"):
        ask("/dev/\ud800")


def test_a_path_may_be_a_path_object(kvmppc_host, tmp_path):
    kvmppc_host("power10")
    with pytest.raises(kvmppc.DeviceNotFoundError) as caught:
        Kvm(tmp_path / "kvm")
    assert caught.value.filename == str(tmp_path / "kvm")


@pytest.mark.parametrize("ask", [Kvm, kvmppc.probe])
def test_a_path_of_bytes_is_refused_as_what_it_is(ask):
    with pytest.raises(TypeError, match=r"(not|and) .*bytes"):
        ask(b"/dev/kvm")


def test_another_version_of_kvms_api_is_refused_by_its_number(kvmppc_host, monkeypatch):
    kvmppc_host("power10")
    monkeypatch.setattr("kvmppc.kvm.API_VERSION", 13)
    with pytest.raises(kvmppc.ApiVersionError) as caught:
        Kvm()
    assert caught.value.api_version == 12
