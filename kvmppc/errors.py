"""The errors of a query, one class for each kind.

Every error is a :class:`KvmError`, which is an :class:`OSError`: it has the
kernel's ``errno``, the call that failed, what this means, and what to do.
``FileNotFoundError`` and ``PermissionError`` also catch the errors of their kind.
"""

from __future__ import annotations

import errno as _errno
import os

GIVE_DEVICE = "Give the KVM device, usually /dev/kvm."


class KvmError(OSError):
    """A call to KVM failed.

    Attributes:
        errno: the error number from the kernel.
        operation: the call, by the kernel's name ("open", "KVM_CREATE_VM").
        reason: what the error means, in a sentence.
        remedy: what to do, in a sentence, or "" if nothing is known.
        filename: the device, if opening it failed; else None.
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
        """The symbol of ``errno``, such as "ENOTTY"; "E#N" for a number N without a symbol."""
        number = self.errno or 0
        return _errno.errorcode.get(number, f"E#{number}")

    @property
    def call(self) -> str:
        """The operation and its device, such as "open /dev/kvm"."""
        return self.operation if self.filename is None else f"{self.operation} {self.filename}"

    def __str__(self) -> str:
        parts = (f"{self.call}: {self.strerror} ({self.name}).", self.reason, self.remedy)
        return " ".join(part for part in parts if part)

    def __reduce__(self) -> tuple[object, ...]:
        # OSError would pickle its own two arguments, which differ from those of __init__.
        arguments = (self.errno, self.operation, self.reason, self.remedy, self.filename)
        return type(self), arguments


class DeviceNotFoundError(KvmError, FileNotFoundError):
    """The device does not exist: ENOENT on open."""


class DevicePermissionError(KvmError, PermissionError):
    """This user or container has no permission to open the device: EACCES or EPERM."""


class NoModuleError(KvmError):
    """The device file exists, but no KVM module is loaded: ENODEV or ENXIO on open."""


class NotKvmDeviceError(KvmError):
    """The file is not a KVM device: it does not support KVM_GET_API_VERSION."""


class VmCreationError(KvmError):
    """No VM can be created: any error of KVM_CREATE_VM."""


class UnsupportedError(KvmError):
    """The kernel or the VM's backend does not support the call: ENOTTY or ENOSYS."""


class InvalidError(KvmError):
    """The kernel supports the call and rejected it: EINVAL."""


class TooBigError(KvmError):
    """The kernel does not accept a struct of this size: E2BIG."""


class ProtocolError(KvmError):
    """A call succeeded, but its result is not a valid answer.

    ``errno`` is EPROTO. kvmppc sets it; the kernel returned no error.
    """


class ApiVersionError(ProtocolError):
    """KVM_GET_API_VERSION is not 12, the only version since Linux 2.6.22.

    Attributes:
        api_version: the number that the kernel returned.
    """

    api_version: int

    def __init__(self, api_version: int, device: str | None = None) -> None:
        super().__init__(
            _errno.EPROTO,
            "KVM_GET_API_VERSION",
            f"The device has version {api_version} of the KVM API; only 12 is supported.",
            GIVE_DEVICE,
            device,
        )
        self.api_version = api_version

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.api_version, self.filename)


class ClosedError(KvmError, ValueError):
    """A handle was used after close(). Also a ValueError, as for a closed Python file."""


_LOAD = "On an IBM Power host, load the module: modprobe kvm_hv."
_NESTING = (
    "Enable KVM for the host itself (PowerVM: the partition's KVM Capable setting on the HMC; "
    "QEMU: cap-nested-papr=on or cap-nested-hv=on), then load kvm_hv. If that fails, see dmesg."
)
_NO_VM = "No VM can be created."
_LATER = "Try again later, and see dmesg."
_NOT_KVM = (
    NotKvmDeviceError,
    "This is not a KVM device: it does not support KVM_GET_API_VERSION.",
    GIVE_DEVICE,
)
_DEAD_VM = (
    KvmError,
    "The VM is dead, or belongs to another process: a VM cannot be used after fork().",
    "Create a VM in the process that uses it.",
)
_NO_MODULE = (NoModuleError, "The device file exists, but no KVM module is loaded.", _LOAD)
_NO_PATH = (
    KvmError,
    "No file can have this path.",
    GIVE_DEVICE,
)

# By operation and errno: the class of the error, its reason and its remedy.
# Sources: Documentation/virt/kvm/api.rst (4.1, 4.2, KVM_PPC_GET_COMPAT_CAPS) and open(2).
_REFUSALS: dict[tuple[str, int], tuple[type[KvmError], str, str]] = {
    ("open", _errno.ENOENT): (
        DeviceNotFoundError,
        "The device does not exist: KVM is not loaded, or this is a container without the device.",
        _LOAD,
    ),
    ("open", _errno.ENODEV): _NO_MODULE,
    ("open", _errno.ENXIO): _NO_MODULE,
    ("open", _errno.EACCES): (
        DevicePermissionError,
        "This user has no permission to open the device.",
        "Add the user to the group of the device, usually kvm (usermod -aG kvm USER), and log in "
        "again.",
    ),
    ("open", _errno.EPERM): (
        DevicePermissionError,
        "This container or a security module denies access to the device.",
        "Pass the device to the container, or run this on the host itself.",
    ),
    ("open", _errno.EISDIR): (
        NotKvmDeviceError,
        "This is a directory, not a KVM device.",
        GIVE_DEVICE,
    ),
    ("open", _errno.ENOTDIR): _NO_PATH,
    ("open", _errno.ELOOP): _NO_PATH,
    ("open", _errno.ENAMETOOLONG): _NO_PATH,
    ("KVM_GET_API_VERSION", _errno.ENOTTY): _NOT_KVM,
    ("KVM_GET_API_VERSION", _errno.EINVAL): _NOT_KVM,
    ("KVM_GET_API_VERSION", _errno.ENOSYS): (
        UnsupportedError,
        "KVM is not available: this program runs in QEMU's user mode emulation.",
        "Run it on the host itself.",
    ),
    ("KVM_CREATE_VM", _errno.EINVAL): (
        VmCreationError,
        "No VM can be created: KVM has no backend, probably because nesting is not enabled.",
        _NESTING,
    ),
    ("KVM_CREATE_VM", _errno.ENOMEM): (
        VmCreationError,
        "No VM can be created: this host or its hypervisor is out of memory.",
        _LATER,
    ),
    ("KVM_CREATE_VM", _errno.EPERM): (
        VmCreationError,
        "No VM can be created: the hypervisor does not permit it.",
        _NESTING,
    ),
    ("KVM_CREATE_VM", _errno.EIO): (
        VmCreationError,
        "No VM can be created: the hypervisor reported an error.",
        _LATER,
    ),
    ("KVM_CREATE_VM", _errno.EBUSY): (
        VmCreationError,
        "No VM can be created now: the hypervisor is busy.",
        _LATER,
    ),
    ("KVM_CHECK_EXTENSION", _errno.ENOTTY): (
        KvmError,
        "This is not, or no longer, a descriptor of KVM.",
        "Give that of a VM, or create one with Kvm.create_vm().",
    ),
    ("KVM_CHECK_EXTENSION", _errno.EIO): _DEAD_VM,
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.EIO): _DEAD_VM,
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.ENOTTY): (
        UnsupportedError,
        "The VM's backend does not support this ioctl.",
        "Use the HV backend (module kvm_hv) of Linux 7.3 or later.",
    ),
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.EINVAL): (
        InvalidError,
        "The kernel could not retrieve or map the capabilities.",
        "Update the kernel and the firmware: newer ones may know this processor.",
    ),
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.E2BIG): (
        TooBigError,
        "The kernel does not accept a struct of this size.",
        "Update kvmppc: a newer version may support this kernel.",
    ),
    ("KVM_PPC_GET_COMPAT_CAPS", _errno.EFAULT): (
        KvmError,
        "The kernel could not read or write the struct.",
        "Report this: it is a fault of kvmppc or of the kernel.",
    ),
}

# Errors with the same meaning for every call on a descriptor.
_ANYWHERE: dict[int, tuple[type[KvmError], str, str]] = {
    _errno.EBADF: (
        KvmError,
        "The descriptor is not open.",
        "Give an open one, and close it only through its handle.",
    ),
    _errno.EMFILE: (
        KvmError,
        "This process has reached its limit of open files.",
        "Close files, or raise the limit (ulimit -n).",
    ),
    _errno.ENFILE: (
        KvmError,
        "The system has reached its limit of open files.",
        "Close files, or raise the limit (sysctl fs.file-max).",
    ),
    _errno.EINTR: (
        KvmError,
        "Signals interrupted the call at every attempt.",
        "Try again with fewer signals, for example from timers.",
    ),
}


def refusal(number: int, operation: str, device: str | None = None) -> KvmError:
    """Returns the error for a call that failed.

    Args:
        number: the errno.
        operation: the call, by the kernel's name.
        device: the path, if the call was open(2) or concerns the file itself.
    """
    known = _REFUSALS.get((operation, number)) or _ANYWHERE.get(number)
    kind, reason, remedy = known or (KvmError, "The kernel rejected the call.", "")
    if operation == "KVM_CREATE_VM" and kind is KvmError:
        kind = VmCreationError
        reason, remedy = (f"{_NO_VM} {reason}", remedy) if known else (_NO_VM, _LATER)
    return kind(number, operation, reason, remedy, device)


def closed(operation: str, handle: str) -> ClosedError:
    """Returns the error for the use of a closed handle, such as "Vm"."""
    return ClosedError(_errno.EBADF, operation, f"This {handle} is closed.", "Open a new one.")


def not_a_vm(fd: int) -> KvmError:
    """Returns the error for a descriptor of /dev/kvm where one of a VM is needed."""
    return KvmError(
        _errno.ENOTTY,
        "from_fd",
        f"Descriptor {fd} is /dev/kvm itself, not a VM.",
        "Use Kvm.from_fd(), and create a VM with Kvm.create_vm().",
    )
