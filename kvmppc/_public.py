"""All public names. The package kvmppc loads this module when one of them is first used."""

from kvmppc.caps import CompatCaps, Revision
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
from kvmppc.guest.advice import (
    AdviceError,
    NoAnswerError,
    NotGrantedError,
    choose_mode,
    libvirt_cpu,
    qemu_option,
)
from kvmppc.kvm import Cap, Kvm, Vm
from kvmppc.processors import GRANTABLE, MODES, PROCESSORS, CpuMode, Processor
from kvmppc.record import RecordError
from kvmppc.report import HostReport, probe

__all__ = [
    "GRANTABLE",
    "MODES",
    "PROCESSORS",
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
    "Processor",
    "ProtocolError",
    "RecordError",
    "Revision",
    "TooBigError",
    "UnsupportedError",
    "Vm",
    "VmCreationError",
    "choose_mode",
    "libvirt_cpu",
    "probe",
    "qemu_option",
]
