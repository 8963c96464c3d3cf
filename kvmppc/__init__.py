"""Asks a Linux host's KVM which processor modes it grants to nested guests on IBM Power.

    >>> import kvmppc
    >>> with kvmppc.Kvm() as kvm, kvm.create_vm() as vm:
    ...     print(vm.get_compat_caps().newest)
    power10

:func:`probe` queries the host in one call and returns a report. It raises no exception if the
host gives no answer: the report has the reason.
"""

from kvmppc._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc._public import *  # noqa: F403 - for type checkers

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


if not TYPE_CHECKING:  # type checkers would take every name for a public one

    def __getattr__(name: str) -> object:
        """Loads the public names when the first of them is used.

        A program may import kvmppc in every run and need it in few: libvirt runs its hook at every
        step in the life of a guest, and the hook queries KVM in one of them.

        Raises:
            AttributeError: there is no public name ``name``.
        """
        if name not in __all__:
            raise AttributeError(f"module 'kvmppc' has no attribute {name!r}")
        from kvmppc import _public

        globals().update((public, getattr(_public, public)) for public in _public.__all__)
        value: object = globals()[name]
        return value


def __dir__() -> list[str]:
    """All names, loaded or not."""
    return sorted({*globals(), *__all__})
