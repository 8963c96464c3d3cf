"""Asks a Linux host's KVM which processor modes it can give to nested guests on IBM Power.

    >>> import kvmppc
    >>> with kvmppc.Kvm() as kvm, kvm.create_vm() as vm:
    ...     print(vm.get_compat_caps().newest)
    power10

:func:`probe` asks and explains in one call, and does not raise where a host cannot say.
"""

from kvmppc._version import __version__
from kvmppc.advice import (
    AdviceError,
    NoAnswerError,
    NotGrantedError,
    choose_mode,
    libvirt_cpu,
    qemu_option,
)
from kvmppc.errors import (
    ApiVersionError,
    ClosedError,
    DeviceNotFoundError,
    DevicePermissionError,
    InvalidError,
    KvmError,
    NoModuleError,
    NotKvmDeviceError,
    ProtocolError,
    TooBigError,
    UnsupportedError,
    VmCreationError,
)
from kvmppc.kvm import Cap, Kvm, Vm
from kvmppc.modes import CompatCaps, CpuMode, Revision
from kvmppc.record import RecordError
from kvmppc.report import HostReport, probe

__all__ = [
    "AdviceError",
    "ApiVersionError",
    "Cap",
    "ClosedError",
    "CompatCaps",
    "CpuMode",
    "DeviceNotFoundError",
    "DevicePermissionError",
    "HostReport",
    "InvalidError",
    "Kvm",
    "KvmError",
    "NoAnswerError",
    "NoModuleError",
    "NotGrantedError",
    "NotKvmDeviceError",
    "ProtocolError",
    "RecordError",
    "Revision",
    "TooBigError",
    "UnsupportedError",
    "Vm",
    "VmCreationError",
    "__version__",
    "choose_mode",
    "libvirt_cpu",
    "probe",
    "qemu_option",
]
