"""What can go wrong when a kernel is asked, each kind told apart.

Every error is a :class:`KvmError`, which is an :class:`OSError`: it has the
kernel's ``errno``, and says which call was refused, what that means and what to
try. ``FileNotFoundError`` and ``PermissionError`` catch what their names say.
"""

from __future__ import annotations

import errno as _errno
import os


class KvmError(OSError):
    """A call to KVM was refused.

    Attributes:
        errno: the error number the kernel gave.
        operation: the call, by the kernel's name ("open", "KVM_CREATE_VM").
        reason: what that means, a sentence.
        remedy: what to try, a sentence, or "" where nothing is known.
        filename: the device, for the errors of opening it; else None.
    """

    operation: str
    reason: str
    remedy: str

    def __init__(
        self,
        number: int,
        operation: str,
        reason: str = "",
        remedy: str = "",
        device: str | None = None,
    ) -> None:
        super().__init__(number, os.strerror(number), device)
        self.operation = operation
        self.reason = reason
        self.remedy = remedy

    @property
    def name(self) -> str:
        """The symbol of ``errno``: "ENOTTY"; "E#N" for a number without one."""
        number = self.errno or 0
        return _errno.errorcode.get(number, f"E#{number}")

    @property
    def call(self) -> str:
        """The operation and what it was done to: "open /dev/kvm"."""
        return self.operation if self.filename is None else f"{self.operation} {self.filename}"

    def __str__(self) -> str:
        parts = (f"{self.call}: {self.strerror} ({self.name}).", self.reason, self.remedy)
        return " ".join(part for part in parts if part)

    def __reduce__(self) -> tuple[object, ...]:
        # OSError would pickle its own two arguments, which are not ours.
        arguments = (self.errno, self.operation, self.reason, self.remedy, self.filename)
        return type(self), arguments


class DeviceNotFoundError(KvmError, FileNotFoundError):
    """There is no such device: ENOENT on open."""


class DevicePermissionError(KvmError, PermissionError):
    """The device may not be opened by this user or in this container: EACCES or EPERM."""


class NoModuleError(KvmError):
    """The device file is there, but no module is behind it: ENODEV or ENXIO on open."""


class NotKvmDeviceError(KvmError):
    """The file is not a KVM device: it does not understand KVM_GET_API_VERSION."""


class VmCreationError(KvmError):
    """No VM can be made: any error of KVM_CREATE_VM."""


class UnsupportedError(KvmError):
    """The kernel, or the VM's backend, does not have the operation: ENOTTY, or ENOSYS."""


class InvalidError(KvmError):
    """The kernel has the operation and refused it: EINVAL."""


class TooBigError(KvmError):
    """The kernel does not take a struct of the size that was sent: E2BIG."""


class ProtocolError(KvmError):
    """The kernel answered without an error, but not with an answer.

    ``errno`` is EPROTO, which is ours: the kernel gave none.
    """


class ApiVersionError(ProtocolError):
    """KVM_GET_API_VERSION is not 12, the only version there has been since Linux 2.6.22.

    Attributes:
        api_version: the number that the kernel gave.
    """

    api_version: int

    def __init__(self, api_version: int) -> None:
        super().__init__(
            _errno.EPROTO,
            "KVM_GET_API_VERSION",
            f"The device speaks version {api_version} of KVM's API; only 12 is known.",
            "Check that the path names KVM's own device.",
        )
        self.api_version = api_version

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.api_version,)


class ClosedError(KvmError, ValueError):
    """A handle was used after its close(). A ValueError too, as for Python's own files."""


_LOAD = "On an IBM Power host load it: modprobe kvm_hv."
_NESTING = (
    "Ask for a KVM-capable partition (PowerVM: a setting of the partition on the HMC; "
    "QEMU: cap-nested-papr=on or cap-nested-hv=on), then load kvm_hv; dmesg says why it refused."
)
_NO_VM = "No VM can be made."
_LATER = "Try again later; dmesg may say more."

# What a refusal means: by operation and errno, the kind of error, the reason, the remedy.
# Sources: Documentation/virt/kvm/api.rst (4.1, 4.2, KVM_PPC_GET_COMPAT_CAPS) and open(2).
_REFUSALS: dict[tuple[str, int], tuple[type[KvmError], str, str]] = {
    ("open", _errno.ENOENT): (
        DeviceNotFoundError,
        "There is no such device: KVM is not loaded here.",
        _LOAD,
    ),
    ("open", _errno.ENODEV): (
        NoModuleError,
        "The device file is there, but no KVM module is behind it.",
        _LOAD,
    ),
    ("open", _errno.ENXIO): (
        NoModuleError,
        "The device file is there, but no KVM module is behind it.",
        _LOAD,
    ),
    ("open", _errno.EACCES): (
        DevicePermissionError,
        "This user may not open the device.",
        "Join the group that owns it, usually kvm (usermod -aG kvm USER), and log in again.",
    ),
    ("open", _errno.EPERM): (
        DevicePermissionError,
        "A rule of this container or of the system's security module forbids the device.",
        "Pass the device to the container, or ask on the host itself.",
    ),
    ("open", _errno.EISDIR): (
        NotKvmDeviceError,
        "This is a folder, not a KVM device.",
        "Name the device itself, usually /dev/kvm.",
    ),
    ("KVM_GET_API_VERSION", _errno.ENOTTY): (
        NotKvmDeviceError,
        "This is not a KVM device: it does not know KVM's first question.",
        "Name the device itself, usually /dev/kvm.",
    ),
    ("KVM_GET_API_VERSION", _errno.ENOSYS): (
        UnsupportedError,
        "There is no KVM here: this program runs on an emulated processor (qemu-user).",
        "Ask on the host itself.",
    ),
    ("KVM_GET_API_VERSION", _errno.EINVAL): (
        NotKvmDeviceError,
        "This is not a KVM device: it does not know KVM's first question.",
        "Name the device itself, usually /dev/kvm.",
    ),
    ("KVM_CREATE_VM", _errno.EINVAL): (
        VmCreationError,
        "No VM can be made: KVM has no backend here, as where the hypervisor gives no nesting.",
        _NESTING,
    ),
    ("KVM_CREATE_VM", _errno.ENOMEM): (
        VmCreationError,
        "No VM can be made: there is no memory for one, here or in the hypervisor.",
        _LATER,
    ),
    ("KVM_CREATE_VM", _errno.EPERM): (
        VmCreationError,
        "No VM can be made: the hypervisor does not permit it.",
        _NESTING,
    ),
    ("KVM_CREATE_VM", _errno.EIO): (
        VmCreationError,
        "No VM can be made: the hypervisor failed.",
        _LATER,
    ),
    ("KVM_CREATE_VM", _errno.EBUSY): (
        VmCreationError,
        "No VM can be made now: the hypervisor is busy.",
        _LATER,
    ),
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.ENOTTY): (
        UnsupportedError,
        "This VM's backend cannot tell: it does not have the operation.",
        "Use the HV backend (module kvm_hv) on a kernel from Linux 7.3 on.",
    ),
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.EINVAL): (
        InvalidError,
        "The kernel could not get the capabilities from its hypervisor, or could not map them.",
        "dmesg may say why; a newer kernel or firmware may know this processor.",
    ),
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.E2BIG): (
        TooBigError,
        "The kernel does not take a struct of this size.",
        "A newer kvmppc may know this kernel.",
    ),
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.EFAULT): (
        KvmError,
        "The kernel could not read or write the struct.",
        "",
    ),
}

# Errors that mean the same for every call on a descriptor.
_ANYWHERE: dict[int, tuple[type[KvmError], str, str]] = {
    _errno.EIO: (
        KvmError,
        "The VM belongs to another process, or is dead: it cannot be used after fork().",
        "Make a VM in the process that asks.",
    ),
    _errno.EBADF: (
        KvmError,
        "The descriptor is not open: something other than its handle has closed it.",
        "Let only the handle close it.",
    ),
    _errno.EMFILE: (
        KvmError,
        "This process has as many open files as it may have.",
        "Close some, or raise the limit (ulimit -n).",
    ),
    _errno.ENFILE: (
        KvmError,
        "The system has as many open files as it may have.",
        "Close some, or raise the limit (sysctl fs.file-max).",
    ),
    _errno.EINTR: (
        KvmError,
        "The call was interrupted by a signal each time.",
        "Try again with fewer signals, as from timers.",
    ),
}


def refusal(number: int, operation: str, device: str | None = None) -> KvmError:
    """Makes the error for a refused call: errno, the call's name, and the device if it was open."""
    known = _REFUSALS.get((operation, number)) or _ANYWHERE.get(number)
    kind, reason, remedy = known or (KvmError, "The kernel refused.", "")
    if operation == "KVM_CREATE_VM" and kind is KvmError:
        kind = VmCreationError
        reason, remedy = (f"{_NO_VM} {reason}", remedy) if known else (_NO_VM, _LATER)
    return kind(number, operation, reason, remedy, device)


def closed(operation: str, handle: str) -> ClosedError:
    """Makes the error for the use of a closed handle ("Vm")."""
    return ClosedError(_errno.EBADF, operation, f"This {handle} is closed.", "Open a new one.")
