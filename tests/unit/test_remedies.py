"""Why a host gives no answer: each reason is true on the host that it is given for."""

import errno

import pytest

from kvmppc.doctor import diagnose
from kvmppc.errors import refusal
from kvmppc.host import Host, Source, use_source
from kvmppc.remedies import explain
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
        return [name for name in self.files if name.startswith(path + "/")]

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
