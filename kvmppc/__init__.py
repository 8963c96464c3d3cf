"""Asks a Linux host's KVM which processor modes it can give to nested guests on IBM Power.

    >>> import kvmppc
    >>> with kvmppc.Kvm() as kvm, kvm.create_vm() as vm:
    ...     print(vm.get_compat_caps().newest)
    power10

:func:`probe` asks and explains in one call, and does not raise where a host cannot say.
"""

from kvmppc._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc._public import *  # noqa: F403 - type checkers read the names there

__all__ = [  # noqa: F405
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
    "__version__",
    "choose_mode",
    "libvirt_cpu",
    "probe",
    "qemu_option",
]


def __getattr__(name: str) -> object:
    """Loads the public names when the first of them is used.

    Many programs import at their top what only some of their runs need: a libvirt hook is started
    for every step in a guest's life, and has a question at one of them.
    """
    if name not in __all__:
        raise AttributeError(f"module 'kvmppc' has no attribute {name!r}")
    from kvmppc import _public

    globals().update((public, getattr(_public, public)) for public in _public.__all__)
    value: object = globals()[name]
    return value


def __dir__() -> list[str]:
    """What is there, whether it has been loaded or not."""
    return sorted({*globals(), *__all__})
