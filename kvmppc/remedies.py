"""Why this host gives no answer, and what to do: the same error has other causes on other hosts.

errors.py has what an error means on any host. This module adds the facts of the host: whether it
is a container, which mode it runs in, how old its kernel is.
"""

from __future__ import annotations

import errno

from kvmppc.errors import GIVE_DEVICE
from kvmppc.processors import GRANTABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.errors import KvmError
    from kvmppc.host import Host

NOT_POWER = "Run kvmppc on an IBM Power host, or use a simulated host (kvmppc hosts lists them)."
_IOCTL = "KVM_PPC_GET_COMPAT_CAPS"
ASKING_KERNEL = (7, 3)
"""The first Linux version with KVM_PPC_GET_COMPAT_CAPS in mainline."""

_OLDEST = GRANTABLE[0]
_NEWER = f"Use a host with a {_OLDEST.label} or later processor."
_COMPATIBILITY = (
    f"Set the host's processor compatibility mode to {_OLDEST.label} or later (PowerVM: on the "
    "HMC; QEMU: max-cpu-compat), and restart the host."
)
_PATH = "/dev/kvm"
# The errors of a KVM whose backend did not load, as on an unfit host. Others, such as EMFILE, have
# the same cause on every host.
_NO_BACKEND = (errno.ENODEV, errno.ENXIO, errno.EINVAL, errno.EPERM)
_LOAD = "Load it: modprobe kvm_hv."
_DEVICE = (
    "Pass the device: podman or docker run --device /dev/kvm; in Kubernetes request "
    "devices.kubevirt.io/kvm."
)


def explain(error: KvmError, host: Host) -> tuple[str, str | None]:
    """The reason of an error on this host and its remedy, in sentences; the remedy may be None."""
    special = _special(error, host)
    if special is not None:
        return special
    return error.reason, error.remedy or None


def _special(error: KvmError, host: Host) -> tuple[str, str | None] | None:
    """What the host's facts add to the error; None if they add nothing."""
    operation, number = error.operation, error.errno
    if operation == "open" and number in (errno.EACCES, errno.EPERM):
        return _closed_device(error, host)
    if not host.is_power:
        return None
    if operation == "open" and number == errno.ENOENT:
        return _no_device(error, host)
    if operation == "KVM_CREATE_VM" and number == errno.EINVAL and _is_bare(host):
        return "No VM can be created: kvm_hv is not loaded.", _LOAD
    if operation in ("open", "KVM_CREATE_VM") and number in _NO_BACKEND:
        return unfit(host)
    if operation == "KVM_PPC_GET_COMPAT_CAPS":
        return _no_capabilities(error, host)
    return None


def _is_bare(host: Host) -> bool:
    """Bare metal without kvm_hv: nesting, which error.reason is about, is not the cause there."""
    return host.platform == "powernv" and not host.has_module("kvm_hv")


def _no_device(error: KvmError, host: Host) -> tuple[str, str | None] | None:
    """A path that does not exist: not the device's own, hidden by a container, or no module."""
    if error.filename != _PATH:
        return "The device does not exist.", GIVE_DEVICE
    if host.has_module("kvm_hv"):
        return (
            "The device does not exist, although kvm_hv is loaded: this is probably a container "
            "without the device.",
            _DEVICE,
        )
    return unfit(host) or ("The device does not exist: kvm_hv is not loaded.", _LOAD)


def _closed_device(error: KvmError, host: Host) -> tuple[str, str | None] | None:
    """No permission: because of the device's own mode, a container or a security module."""
    if host.source.is_root():
        return (
            "root has no permission to open the device: a user namespace (a rootless container) or "
            "a security module denies it.",
            "Run kvmppc on the host itself, or pass the device and its group to the container "
            "(podman: --device /dev/kvm --group-add keep-groups).",
        )
    found = host.source.permissions(str(error.filename))
    if error.errno != errno.EACCES or found is None:
        return None
    mode, owner, group = found
    belongs = f"It belongs to {owner}:{group}, mode {mode & 0o777:04o}."
    if mode & 0o006 == 0o006:
        belongs += " Its mode permits all users: a security module (SELinux, AppArmor) denies it."
        remedy = (
            "Find the denial in the audit log (ausearch -m avc, or journalctl -k), and permit it."
        )
    elif mode & 0o060 == 0o060:
        remedy = f"Add the user to the group: usermod -aG {group} USER; then log in again."
    else:
        remedy = f"Give the group access: chmod g+rw {error.filename}, or a udev rule."
    return f"This user has no permission to open the device. {belongs}", remedy


def unfit(host: Host) -> tuple[str, str] | None:
    """Why this host cannot have nested guests, whichever modules are loaded; None if it can."""
    mode = host.cpu_effective
    if host.platform == "powernv":
        return None
    if mode is not None and mode < _OLDEST:
        remedy = _COMPATIBILITY
        if host.cpu_physical is not None and host.cpu_physical.mode < _OLDEST:
            remedy = _NEWER
        reason = (
            f"The host runs in {mode.label} mode; nested KVM requires {_OLDEST.label} or later."
        )
        return reason, remedy
    if mode is None and host.words and host.mmu != "radix":
        return (
            f"The processor is {host.words!a}; nested KVM requires {_OLDEST.label} or later.",
            _NEWER,
        )
    if host.mmu == "hash":
        return (
            "The host uses the hash MMU; nested KVM requires the radix MMU.",
            f"{_COMPATIBILITY} Remove disable_radix from the kernel command line.",
        )
    return None


def _no_capabilities(error: KvmError, host: Host) -> tuple[str, str | None] | None:
    """The kernel has the capability, but the ioctl fails."""
    if error.errno == errno.ENOTTY:
        return error.reason, "Use kvm_hv, not kvm_pr: modprobe -r kvm_pr; modprobe kvm_hv."
    if error.errno != errno.EINVAL or host.cpu_version is None:
        return None
    # The kernel logs nothing in either case of EINVAL. The cpu-version may be what it cannot map.
    return (
        f"{error.reason} The device tree's cpu-version is {host.cpu_version:#010x}"
        f"{'' if host.cpu_effective is None else f' ({host.cpu_effective.label})'}.",
        error.remedy,
    )


def cannot_ask(host: Host) -> tuple[str, str | None]:
    """Why the capability is 0 on a host that can create VMs."""
    if host.kernel_version < ASKING_KERNEL:
        return f"This kernel does not support {_IOCTL}", "Update to Linux 7.3 or later."
    if host.has_module("kvm_pr") and not host.has_module("kvm_hv"):
        return f"{_IOCTL} requires kvm_hv, but kvm_pr is loaded", PR[1]
    return f"KVM does not support {_IOCTL} here, although this is Linux 7.3 or later", None


PR = (
    "This host's VMs use kvm_pr, which cannot set a processor mode.",
    "If the hypervisor supports nesting, use kvm_hv: modprobe -r kvm_pr; modprobe kvm_hv.",
)
"""The reason and the remedy if the VM's backend is kvm_pr."""
