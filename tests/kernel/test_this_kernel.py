"""This machine's own KVM: what a real kernel answers, and how handles live with it.

Where there is no usable /dev/kvm, or the machine is a Power host with the
interface, what cannot be asked is skipped and says why.
"""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading

import pytest

import kvmppc
from kvmppc import Cap, Kvm, Vm
from kvmppc._native import lib

IS_POWER = os.uname().machine.startswith("ppc64")


def why_not():
    """Why this machine's KVM cannot be used, or None."""
    try:
        with Kvm() as kvm:
            kvm.create_vm().close()
    except kvmppc.KvmError as error:
        return str(error)
    return None


REASON = why_not()
needs_kvm = pytest.mark.skipif(REASON is not None, reason=str(REASON))
needs_no_ioctl = pytest.mark.skipif(
    REASON is None and kvmppc.probe().capability != 0, reason="this kernel has the ioctl"
)
needs_ioctl = pytest.mark.skipif(
    REASON is not None or kvmppc.probe().capability == 0,
    reason="this kernel does not have the ioctl",
)


pytestmark = pytest.mark.usefixtures("no_descriptor_is_left_open")


@pytest.fixture
def kvm():
    with Kvm() as kvm:
        yield kvm


@pytest.fixture
def vm(kvm):
    with kvm.create_vm() as vm:
        yield vm


@needs_kvm
def test_the_api_version_is_12(kvm):
    assert kvm.get_api_version() == 12


@needs_kvm
def test_a_capability_that_every_kvm_has_is_there(kvm, vm):
    user_memory = 3  # KVM_CAP_USER_MEMORY
    assert kvm.check_extension(user_memory) >= 1
    assert vm.check_extension(user_memory) >= 1


@needs_kvm
def test_the_device_is_not_taken_for_a_vm(kvm, vm):
    with pytest.raises(kvmppc.KvmError, match="not a VM"):
        Vm.from_fd(kvm.fileno(), own=True)
    assert Vm.from_fd(vm.fileno(), own=False).check_extension(3) >= 1


@needs_kvm
def test_a_capability_that_nobody_has_is_zero(kvm):
    assert kvm.check_extension(2**31 - 1) == 0


@needs_kvm
@needs_no_ioctl
def test_the_capability_is_0_where_the_kernel_does_not_have_it(kvm, vm):
    assert kvm.check_extension(Cap.PPC_COMPAT_CAPS) == 0
    assert vm.check_extension(Cap.PPC_COMPAT_CAPS) == 0
    assert (kvm.get_revision(), vm.revision) == (None, None)


@needs_kvm
@needs_no_ioctl
@pytest.mark.skipif(
    kvmppc.probe().platform == "powernv",
    reason="bare metal has the call and refuses it: test_conformance",
)
def test_a_vm_says_that_it_has_no_such_call(vm):
    # Raw, since the typed call does not ask a kernel that has no capability.
    for revision in range(lib.KVMPPC_REVISION_NONE, lib.KVMPPC_REVISIONS):
        answer = lib.kvmppc_get_compat_caps(vm.fileno(), revision)
        assert (answer.error, answer.valid) == (-errno.ENOTTY, 0)
        assert lib.kvmppc_get_plain(vm.fileno(), revision) == -1
    with pytest.raises(kvmppc.UnsupportedError) as caught:
        vm.get_compat_caps()
    assert caught.value.errno == errno.ENOTTY


@needs_kvm
def test_dev_kvm_is_the_wrong_descriptor_for_the_question(kvm):
    answer = lib.kvmppc_get_compat_caps(kvm.fileno(), lib.KVMPPC_REVISION_LINUX_7_3)
    assert answer.error == -errno.EINVAL


@needs_ioctl
def test_this_kernel_gives_the_answer_that_is_in_the_report(vm):
    report = kvmppc.probe()
    if report.status == "known":
        caps = vm.get_compat_caps()
        assert caps.compat_capabilities == report.compat_capabilities
        assert caps.size == 24
        assert vm.get_compat_caps() is caps
    else:
        with pytest.raises(kvmppc.KvmError) as caught:
            vm.get_compat_caps()
        assert caught.value.name == report.errno


@needs_kvm
def test_a_vm_cannot_be_used_after_fork(vm):
    child = os.fork()
    if child == 0:
        try:
            vm.check_extension(Cap.PPC_COMPAT_CAPS)
        except kvmppc.KvmError as error:
            os._exit(error.errno or 0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EIO
    assert vm.check_extension(Cap.PPC_COMPAT_CAPS) >= 0


@needs_kvm
def test_dev_kvm_can_be_used_after_fork(kvm):
    child = os.fork()
    if child == 0:
        os._exit(kvm.get_api_version())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 12


@needs_kvm
def test_descriptors_are_closed_on_exec(kvm, vm):
    for handle in (kvm, vm):
        assert fcntl.fcntl(handle, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    numbers = f"{kvm.fileno()} {vm.fileno()}"
    code = f"import os\nfor fd in '{numbers}'.split(): print(os.path.exists('/proc/self/fd/' + fd))"
    done = subprocess.run(
        [sys.executable, "-c", code], close_fds=False, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "False"]


@needs_kvm
def test_many_vms_can_be_open_at_once(kvm):
    vms = [kvm.create_vm() for _ in range(10)]
    assert len({vm.fileno() for vm in vms}) == 10
    for vm in vms:
        vm.close()


@needs_kvm
def test_a_vm_outlives_its_kvm():
    with Kvm() as kvm:
        vm = kvm.create_vm()
    with vm:
        assert vm.check_extension(Cap.PPC_COMPAT_CAPS) >= 0


@needs_kvm
def test_a_passed_descriptor_is_taken(kvm, vm):
    with Kvm.from_fd(os.dup(kvm.fileno()), own=True) as taken:
        assert taken.get_api_version() == 12
    with Vm.from_fd(os.dup(vm.fileno()), own=True) as taken:
        assert taken.revision == vm.revision


@needs_kvm
def test_a_vm_is_no_dev_kvm(vm):
    with pytest.raises(kvmppc.NotKvmDeviceError) as caught:
        Kvm.from_fd(vm.fileno(), own=True)
    assert caught.value.errno == errno.ENOTTY


@needs_kvm
def test_no_descriptors_left_is_an_error_that_leaves_nothing(kvm):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(kvmppc.VmCreationError) as caught:
            kvm.create_vm()
        assert caught.value.errno == errno.EMFILE
        with pytest.raises(kvmppc.KvmError) as caught:
            Kvm()
        assert caught.value.errno == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@needs_kvm
def test_signals_during_the_calls_are_survived(kvm):
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while len(seen) < 50:
            with kvm.create_vm() as vm:
                assert vm.check_extension(Cap.PPC_COMPAT_CAPS) >= 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@needs_kvm
def test_many_threads_may_ask_one_vm(vm):
    answers = []

    def ask():
        answers.extend(vm.check_extension(Cap.PPC_COMPAT_CAPS) for _ in range(2000))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {vm.check_extension(Cap.PPC_COMPAT_CAPS)}
    assert len(answers) == 8000


@needs_kvm
@pytest.mark.skipif(IS_POWER, reason="this is Power")
def test_the_report_says_that_this_is_not_power():
    report = kvmppc.probe()
    assert (report.status, report.api_version, report.capability) == ("unsupported", 12, 0)
    assert os.uname().machine in report.reason


@needs_kvm
def test_a_report_has_the_path_that_was_asked(tmp_path):
    other = tmp_path / "kvm"
    other.symlink_to("/dev/kvm")
    paths = ["/dev/kvm", str(other), "/dev/kvm"]
    assert [kvmppc.probe(path).device for path in paths] == paths


def test_a_device_with_no_module_behind_it_is_told(tmp_path):
    # A major number that no driver has: what /dev/kvm is where the module is not loaded.
    device = tmp_path / "kvm"
    try:
        os.mknod(device, 0o600 | 0o020000, os.makedev(10, 253))
    except PermissionError:
        pytest.skip("device files can be made by root only")
    try:
        fd = os.open(device, os.O_RDWR)
    except OSError as error:
        number = error.errno
    else:
        os.close(fd)
        pytest.skip("something has this device number")
    if number not in (errno.ENODEV, errno.ENXIO):
        pytest.skip(f"device files cannot be opened in this folder: {os.strerror(number)}")
    with pytest.raises(kvmppc.NoModuleError) as caught:
        Kvm(device)
    assert caught.value.errno == number
    assert kvmppc.probe(device).status == "unavailable"
