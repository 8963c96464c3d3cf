"""Why a host cannot answer, and what to do there: the same refusal has other causes elsewhere.

errors.py tells what a refusal means on any host. Here the facts of the host are added: whether it
is a container, which mode it runs in, how old its kernel is.
"""

from __future__ import annotations

import errno

from kvmppc.processors import GRANTABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.errors import KvmError
    from kvmppc.host import Host

NOT_POWER = "Ask on an IBM Power host, or try a simulated one: kvmppc hosts lists them."
ASKING_KERNEL = (7, 3)
"""The first Linux that can be asked."""

_OLDEST = GRANTABLE[0]
_COMPATIBILITY = (
    f"Set the processor compatibility mode of the partition to {_OLDEST.label} or later (PowerVM: "
    "on the HMC; QEMU: max-cpu-compat) and restart it."
)
_DEVICE = (
    "Pass it: podman or docker run --device /dev/kvm; in Kubernetes request "
    "devices.kubevirt.io/kvm."
)


def explain(error: KvmError, host: Host) -> tuple[str, str | None]:
    """The reason and the remedy of a refusal on a host, in sentences; no remedy may be known."""
    special = _special(error, host)
    if special is not None:
        return special
    return error.reason, error.remedy or None


def _special(error: KvmError, host: Host) -> tuple[str, str | None] | None:
    """What the host's facts add; None where they add nothing."""
    operation, number = error.operation, error.errno
    if operation == "open" and number in (errno.EACCES, errno.EPERM):
        return _closed_device(error, host)
    if not host.is_power:
        return None
    if operation == "open" and number == errno.ENOENT and host.has_module("kvm_hv"):
        return (
            "There is no such device, although kvm_hv is loaded: this container was not given it.",
            _DEVICE,
        )
    if operation in ("open", "KVM_CREATE_VM"):
        return unfit(host)
    if operation == "KVM_PPC_GET_COMPAT_CAPS":
        return _no_capabilities(error, host)
    return None


def _closed_device(error: KvmError, host: Host) -> tuple[str, str | None] | None:
    """A device that may not be opened: by its owner, or by what is around the process."""
    if host.source.is_root():
        return (
            "root may not open the device: a user namespace (a rootless container) or a security "
            "module forbids it.",
            "Ask on the host itself, or give the container the device and its group "
            "(podman: --device /dev/kvm --group-add keep-groups).",
        )
    found = host.source.permissions(str(error.filename))
    if error.errno != errno.EACCES or found is None:
        return None
    mode, owner, group = found
    belongs = f"It belongs to {owner}:{group}, mode {mode & 0o777:04o}."
    if mode & 0o060 == 0o060:
        remedy = f"Join the group: usermod -aG {group} USER; then log in again."
    else:
        remedy = f"Its group may not use it: chmod g+rw {error.filename}, or a udev rule."
    return f"This user may not open the device. {belongs}", remedy


def unfit(host: Host) -> tuple[str, str] | None:
    """Why KVM cannot nest on a host whatever is done to its modules; None where it can."""
    mode = host.cpu_effective
    if host.platform == "powernv":
        return None
    if mode is not None and mode < _OLDEST:
        remedy = _COMPATIBILITY
        if host.cpu_physical is not None and host.cpu_physical.mode < _OLDEST:
            remedy = f"Ask on a {_OLDEST.label} or later."
        return f"The host runs in {mode.label} mode: KVM nests from {_OLDEST.label} on.", remedy
    if mode is None and host.words:
        return (
            f"The processor is {host.words!a}: KVM nests on {_OLDEST.label} and later only.",
            f"Ask on a {_OLDEST.label} or later.",
        )
    if host.mmu == "hash":
        return (
            "The host's MMU is Hash: KVM nests with the radix MMU only.",
            f"{_COMPATIBILITY} Leave disable_radix out of the kernel's command line.",
        )
    return None


def _no_capabilities(error: KvmError, host: Host) -> tuple[str, str | None] | None:
    """The kernel has the question, and no answer."""
    if error.errno == errno.ENOTTY:
        return error.reason, "Load kvm_hv, and unload kvm_pr (modprobe -r kvm_pr)."
    if error.errno != errno.EINVAL or host.cpu_version is None:
        return None
    # Neither of the kernel's two paths to EINVAL prints anything: what it could not map is shown.
    return (
        f"{error.reason} The device tree's cpu-version is {host.cpu_version:#010x}"
        f"{'' if host.cpu_effective is None else f' ({host.cpu_effective.label})'}.",
        "A newer kernel or firmware may know this processor.",
    )


def cannot_ask(host: Host) -> tuple[str, str | None]:
    """Why a kernel whose VMs can be made has no such question."""
    if host.kernel_version < ASKING_KERNEL:
        return "This kernel cannot be asked", "Linux 7.3 and later can answer."
    return "This kernel cannot be asked, although it is Linux 7.3 or later", None


PR = (
    "The VMs of this host are kvm_pr's, which can give no processor mode.",
    "Load kvm_hv instead, where the hypervisor gives nesting: modprobe -r kvm_pr; modprobe kvm_hv.",
)
"""The reason and the remedy where a VM has the wrong backend."""
