"""Why a host gives no answer: each reason is true on the host that it is given for."""

import errno

import pytest

from kvmppc.doctor import diagnose
from kvmppc.errors import refusal
from kvmppc.host import Host, Source, use_source
from kvmppc.remedies import cannot_ask, explain
from kvmppc.testing import simulated_host

PARTITION = {"/proc/device-tree/compatible": b"IBM,9080-HEX\0", "/proc/device-tree/name": b"\0"}
BARE = {"/proc/device-tree/compatible": b"ibm,powernv\0"}
KVM_HV = {"/sys/module/kvm_hv/refcnt": b"0\n"}


class Files(Source):
    """A Power host with these files, and these permissions of its device."""

    def __init__(self, files, mode=0o660, root=False, auxv=("power10", "power10", 0x00800200)):
        super().__init__(uname=("node", "7.3.0", "ppc64le"))
        self.files = files
        self.mode = mode
        self.root_user = root
        self.auxv = auxv

    def processor(self):
        return self.auxv

    def page_size(self):
        return 65536

    def read(self, path, limit=4096):
        return self.files.get(path)

    def entries(self, path):
        inside = [name[len(path) + 1 :] for name in self.files if name.startswith(path + "/")]
        return [name.partition("/")[0] for name in inside]

    def permissions(self, path):
        return (0o020000 | self.mode, "root", "kvm") if path == "/dev/kvm" else None

    def is_root(self):
        return self.root_user


def explained(number, operation, files, path="/dev/kvm", **more):
    device = path if operation == "open" else None
    return explain(refusal(number, operation, device), Host(Files(files, **more)))


@pytest.mark.parametrize("files", [PARTITION, {**PARTITION, **KVM_HV}])
def test_a_wrong_path_is_not_blamed_on_a_module_or_a_container(files):
    reason, remedy = explained(errno.ENOENT, "open", files, "/dev/kmv")
    assert reason == "The device does not exist."
    assert "usually /dev/kvm" in remedy


def test_a_missing_device_is_blamed_on_the_module_only_if_that_is_not_loaded():
    assert "not loaded" in explained(errno.ENOENT, "open", PARTITION)[0]
    reason, remedy = explained(errno.ENOENT, "open", {**PARTITION, **KVM_HV})
    assert "although kvm_hv is loaded" in reason
    assert "--device /dev/kvm" in remedy


def test_bare_metal_is_not_told_to_enable_nesting():
    reason, remedy = explained(errno.EINVAL, "KVM_CREATE_VM", BARE)
    assert (reason, remedy) == (
        "No VM can be created: kvm_hv is not loaded.",
        "Load it: modprobe kvm_hv.",
    )
    assert "nesting" in explained(errno.EINVAL, "KVM_CREATE_VM", PARTITION)[0]


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (0o660, "usermod -aG kvm USER"),
        (0o600, "chmod g+rw /dev/kvm"),
        (0o666, "audit log"),
    ],
)
def test_the_remedy_for_a_closed_device_goes_by_its_mode(mode, says):
    reason, remedy = explained(errno.EACCES, "open", PARTITION, mode=mode)
    assert f"root:kvm, mode {mode:04o}" in reason
    assert says in remedy
    assert ("security module" in reason) == (mode == 0o666)


def test_root_is_not_told_to_join_a_group():
    reason, remedy = explained(errno.EACCES, "open", PARTITION, root=True)
    assert reason.startswith("root has no permission")
    assert "usermod" not in remedy


def test_a_kernel_older_than_its_bare_metal_processor_is_no_compatibility_mode():
    before = use_source(Files(BARE, auxv=("power10", None, 0x00820200)))
    try:
        steps = {step.name: step for step in diagnose(None)}
    finally:
        use_source(before)
    assert steps["processor"].found.startswith("Power11, running in POWER10 mode")
    assert steps["processor"].remedy == "Give guests a granted mode: run kvmppc advise."


def test_a_capability_of_0_is_not_blamed_on_a_kernel_that_has_the_ioctl():
    with simulated_host("kvm-pr"):
        (step,) = (step for step in diagnose() if step.name == "capability")
    assert "requires kvm_hv, but kvm_pr is loaded" in step.found
    assert "modprobe -r kvm_pr" in step.remedy


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO, errno.EMFILE])
def test_only_a_device_that_does_not_exist_is_blamed_on_a_container(number):
    error = refusal(number, "open", "/dev/kvm")
    assert explained(number, "open", {**PARTITION, **KVM_HV}) == (error.reason, error.remedy)


@pytest.mark.parametrize("operation", ["open", "KVM_CREATE_VM"])
def test_a_mode_without_nesting_keeps_a_device_from_opening_and_a_vm_from_being_created(operation):
    set_lower, too_old = "compatibility mode", "or later processor"
    for pvr, says in ((0x00800200, set_lower), (None, set_lower), (0x004D0200, too_old)):
        auxv = ("power8", None, pvr)
        reason, remedy = explained(errno.ENODEV, operation, PARTITION, auxv=auxv)
        assert "runs in POWER8 mode" in reason
        assert says in remedy
    assert "POWER8" not in explained(errno.EIO, "KVM_CHECK_EXTENSION", PARTITION, auxv=auxv)[0]


@pytest.mark.parametrize("operation", ["open", "KVM_CREATE_VM"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EINTR, errno.ENOMEM])
def test_what_can_happen_on_every_host_is_not_blamed_on_its_mode(operation, number):
    error = refusal(number, operation, "/dev/kvm" if operation == "open" else None)
    found = explained(number, operation, PARTITION, auxv=("power8", "power10", 0x00800200))
    assert found == (error.reason, error.remedy or None)


def test_on_bare_metal_nothing_has_to_nest():
    error = refusal(errno.ENODEV, "open", "/dev/kvm")
    found = explained(errno.ENODEV, "open", BARE, auxv=("power8", "power8", 0x004D0200))
    assert found == (error.reason, error.remedy)


def test_the_owner_of_a_device_matters_only_where_its_mode_denies_it():
    error = refusal(errno.EPERM, "open", "/dev/kvm")
    assert explained(errno.EPERM, "open", PARTITION) == (error.reason, error.remedy or None)
    elsewhere = explained(errno.EACCES, "open", PARTITION, "/nowhere/kvm")
    assert "belongs" not in elsewhere[0]


def test_a_mode_that_the_kernel_cannot_map_is_shown_by_its_number():
    files = {**PARTITION, "/proc/device-tree/cpus/PowerPC,POWER10@0/cpu-version": b"\x0f\0\0\x99"}
    operation = "KVM_PPC_GET_COMPAT_CAPS"
    assert "cpu-version is 0x0f000099 (POWER10)" in explained(errno.EINVAL, operation, files)[0]
    for number in (errno.EFAULT, errno.ENOTTY):
        assert "0x0f000099" not in explained(number, operation, files)[0]
    assert "modprobe -r kvm_pr" in explained(errno.ENOTTY, operation, files)[1]


def test_elsewhere_than_on_power_nothing_is_added(tmp_path):
    (tmp_path / "sys/module/kvm_hv/parameters").mkdir(parents=True)
    host = Host(Source(str(tmp_path), ("node", "7.3.0", "x86_64")))
    error = refusal(errno.ENOENT, "open", "/dev/kvm")
    assert explain(error, host) == (error.reason, error.remedy)


def test_an_error_that_nothing_is_known_of_has_no_remedy():
    assert explained(4000, "KVM_CHECK_EXTENSION", PARTITION)[1] is None


@pytest.mark.parametrize(
    ("kernel", "older"), [("7.2.9", True), ("7.3.0", False), ("7.10.1", False), ("8.0", False)]
)
def test_linux_7_3_is_the_first_that_has_the_ioctl(tmp_path, kernel, older):
    reason, remedy = cannot_ask(Host(Source(str(tmp_path), ("node", kernel, "ppc64le"))))
    assert (remedy is not None) == older
    assert ("although this is Linux 7.3 or later" in reason) != older


@pytest.mark.parametrize(
    ("cpuinfo", "says"),
    [
        ({}, "on the host itself"),
        ({"/proc/cpuinfo": b"cpu\t: POWER13\nMMU\t: Radix\n"}, "Update kvmppc"),
    ],
)
def test_an_unknown_processor_is_blamed_on_this_version_only_if_it_has_a_name(cpuinfo, says):
    before = use_source(Files({**PARTITION, **cpuinfo}, auxv=(None, None, None)))
    try:
        steps = {step.name: step for step in diagnose(None)}
    finally:
        use_source(before)
    assert says in steps["processor"].remedy
    assert steps["mmu"].state != "fail"
