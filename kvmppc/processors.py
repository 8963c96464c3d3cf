"""The table of processors and their modes, from which everything else is derived.

A machine has a processor. A host or a guest runs in a mode: that of its processor or, as a
compatibility mode, that of an earlier one. A new generation is a new row of this table and, if the
interface has a bit for it, a new name in csrc/kvm_uapi.h.
"""

from __future__ import annotations

from kvmppc.values import Frozen, fill

# The columns: the processor, as /proc/cpuinfo spells it (powerpc's cpu_specs); the upper half of
# its PVR (PVR_POWER7 and so on in <asm/reg.h>); its mode; the mode's cpu-version (PVR_ARCH_206 and
# so on, in the same header); the mode's bit in compat_capabilities, numbered from the most
# significant as in the kernel's documentation (KVM_PPC_COMPAT_CAP_* in <asm/kvm.h>), or None if
# the interface has no bit. Oldest mode first.
_TABLE = (
    ("POWER7", 0x003F, "POWER7", 0x0F000003, None),
    ("POWER7+", 0x004A, "POWER7+", 0x0F100003, None),
    ("POWER8E", 0x004B, "POWER8", 0x0F000004, None),
    ("POWER8NVL", 0x004C, "POWER8", 0x0F000004, None),
    ("POWER8", 0x004D, "POWER8", 0x0F000004, None),
    ("POWER9", 0x004E, "POWER9", 0x0F000005, 1),
    ("POWER10", 0x0080, "POWER10", 0x0F000006, 2),
    ("Power11", 0x0082, "Power11", 0x0F000007, 3),
    ("Power12", 0x0083, "Power12", 0x0F000008, None),
)


class CpuMode(Frozen, str):
    """A processor mode: a ``str`` that compares by age with other modes and their names.

    It equals its name as QEMU's ``max-cpu-compat`` and libvirt's ``<model>`` spell it:
    ``mode == "power10"``. ``CpuMode("POWER10")`` accepts any common spelling.

    Attributes:
        label: the name as /proc/cpuinfo spells it: "POWER10", "Power11".
        cpu_version: its logical PVR in the device tree, 32 bits. Source: PVR_ARCH_206 to
            PVR_ARCH_31_P12 in powerpc's <asm/reg.h>.
        bit: its bit in ``compat_capabilities``, as a 64-bit mask; 0 if the interface has no
            bit for it. Source: KVM_PPC_COMPAT_CAP_* in powerpc's <asm/kvm.h>.

    Raises:
        ValueError: there is no mode with this name.
        TypeError: a mode is compared with something that is not a mode's name.
    """

    __slots__ = ("_age", "bit", "cpu_version", "label")

    label: str
    cpu_version: int
    bit: int
    _age: int

    def __new__(cls, name: str) -> CpuMode:
        mode = find_mode(name)
        if mode is None:
            raise ValueError(f"unknown processor mode {name!r}; choose from {', '.join(MODES)}")
        return mode

    @classmethod
    def from_cpu_version(cls, number: int) -> CpuMode | None:
        """The mode of a device tree's ``cpu-version`` (32 bits), None if it is not known."""
        return next((mode for mode in MODES if mode.cpu_version == number), None)

    # The comparisons of str would sort power10 before power9.
    def __lt__(self, other: str) -> bool:
        return self._age < CpuMode._age_of(other)

    def __le__(self, other: str) -> bool:
        return self._age <= CpuMode._age_of(other)

    def __gt__(self, other: str) -> bool:
        return self._age > CpuMode._age_of(other)

    def __ge__(self, other: str) -> bool:
        return self._age >= CpuMode._age_of(other)

    @staticmethod
    def _age_of(other: object) -> int:
        try:
            return CpuMode(other)._age  # type: ignore[arg-type] # not a str: ValueError
        except ValueError:
            raise TypeError(
                f"cannot compare a processor mode with {other!r}; give the name of a mode"
            ) from None

    def __reduce__(self) -> tuple[object, ...]:
        return CpuMode, (str(self),)


class Processor(Frozen, str):
    """A processor: a ``str`` that equals its name in lower case ("power8nvl").

    ``Processor("POWER10_v2.0")`` accepts any common spelling, also QEMU's with a version.

    Attributes:
        label: the name as /proc/cpuinfo spells it.
        pvr: the upper 16 bits of its 32-bit PVR. Source: PVR_POWER7 to PVR_POWER12 in
            powerpc's <asm/reg.h>.
        mode: its own mode.

    Raises:
        ValueError: there is no processor with this name.
    """

    __slots__ = ("label", "mode", "pvr")

    label: str
    pvr: int
    mode: CpuMode

    def __new__(cls, name: str) -> Processor:
        processor = find_processor(name)
        if processor is None:
            raise ValueError(f"unknown processor {name!r}; choose from {', '.join(PROCESSORS)}")
        return processor

    @classmethod
    def from_pvr(cls, pvr: int) -> Processor | None:
        """The processor of a 32-bit PVR (its upper 16 bits count), None if it is not known."""
        return next((one for one in PROCESSORS if one.pvr == pvr >> 16), None)

    def __reduce__(self) -> tuple[object, ...]:
        return Processor, (str(self),)


def find_mode(name: str) -> CpuMode | None:
    """The mode with this name, in any common spelling; None if there is none."""
    return _MODES.get(name.lower()) if isinstance(name, str) else None


def find_processor(name: str) -> Processor | None:
    """The processor with this name, in any common spelling; None if there is none."""
    return _PROCESSORS.get(name.lower().partition("_v")[0]) if isinstance(name, str) else None


def _read_table() -> None:
    """Creates the single object of each name."""
    for age, (label, pvr, mode_label, cpu_version, place) in enumerate(_TABLE):
        mode = _MODES.get(mode_label.lower())
        if mode is None:
            bit = 0 if place is None else 1 << (63 - place)
            mode = str.__new__(CpuMode, mode_label.lower())
            fill(mode, label=mode_label, cpu_version=cpu_version, bit=bit, _age=age)
            _MODES[mode] = mode
        processor = str.__new__(Processor, label.lower())
        _PROCESSORS[processor] = fill(processor, label=label, pvr=pvr, mode=mode)


_MODES: dict[str, CpuMode] = {}
_PROCESSORS: dict[str, Processor] = {}
_read_table()

PROCESSORS: tuple[Processor, ...] = tuple(_PROCESSORS.values())
"""All known processors, oldest first."""

MODES: tuple[CpuMode, ...] = tuple(_MODES.values())
"""All known modes, oldest first."""

GRANTABLE: tuple[CpuMode, ...] = tuple(mode for mode in MODES if mode.bit)
"""The modes that have a bit in the kernel's answer, oldest first."""

_KNOWN_BITS = sum(mode.bit for mode in GRANTABLE)


def own_mode(processor: str | None) -> CpuMode | None:
    """The mode of a processor; None if the processor is None or not known."""
    return processor.mode if isinstance(processor, Processor) else None


def label_of(name: str | None) -> str:
    """The label of a processor or a mode; an unknown name is returned unchanged."""
    return "unknown" if name is None else getattr(name, "label", name)


def modes_of(compat_capabilities: int) -> tuple[CpuMode, ...]:
    """The known modes of a mask, oldest first."""
    return tuple(mode for mode in GRANTABLE if compat_capabilities & mode.bit)


def unknown_bits_of(compat_capabilities: int) -> int:
    """The bits of a mask that belong to no known mode."""
    return compat_capabilities & ~_KNOWN_BITS
