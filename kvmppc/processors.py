"""Processors and their modes: the one table that everything else is taken from.

A processor is what a machine has. A mode is what a host or a guest runs in: its processor's own
or, as a compatibility mode, that of an earlier one. A new generation is a row of this table (and,
where the interface has a bit for it, a name in csrc/kvm_uapi.h).
"""

from __future__ import annotations

from kvmppc.values import Frozen, fill

# Processor and mode as /proc/cpuinfo spells them (powerpc's cpu_specs); the upper half of the PVR
# (PVR_POWER7 and so on in <asm/reg.h>); the mode's cpu-version (PVR_ARCH_206 and so on, there); the
# mode's bit in compat_capabilities, counted from the top as the kernel's documentation does
# (KVM_PPC_COMPAT_CAP_* in <asm/kvm.h>), None where the interface has none. Oldest mode first.
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
    """A processor mode: a ``str`` that knows its place among the others.

    It is equal to its name in the spelling of QEMU's ``max-cpu-compat`` and of libvirt's
    ``<model>`` (``mode == "power10"``). ``CpuMode("POWER10")`` reads any spelling in use.
    Modes compare by age, with each other and with the names of modes.

    Attributes:
        label: as /proc/cpuinfo spells it, for people: "POWER10", "Power11".
        cpu_version: the logical PVR that the device tree has for it, 32 bits. Source:
            PVR_ARCH_206 to PVR_ARCH_31_P12 in powerpc's <asm/reg.h>.
        bit: its bit in ``compat_capabilities``, as a mask of 64 bits; 0 where the interface
            has none for it. Source: KVM_PPC_COMPAT_CAP_* in powerpc's <asm/kvm.h>.

    Raises:
        ValueError: there is no mode of this name.
    """

    __slots__ = ("_age", "bit", "cpu_version", "label")

    label: str
    cpu_version: int
    bit: int
    _age: int

    def __new__(cls, name: str) -> CpuMode:
        mode = find_mode(name)
        if mode is None:
            raise ValueError(f"{name!r} is not a processor mode")
        return mode

    @classmethod
    def from_cpu_version(cls, number: int) -> CpuMode | None:
        """The mode of a device tree's ``cpu-version`` (32 bits), None for one that is not known."""
        return next((mode for mode in MODES if mode.cpu_version == number), None)

    # str's own comparisons would sort power10 before power9.
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
            return CpuMode(other)._age  # type: ignore[arg-type] # it raises for what is no text
        except ValueError:
            raise TypeError(f"a processor mode does not compare with {other!r}") from None

    def __reduce__(self) -> tuple[object, ...]:
        return CpuMode, (str(self),)


class Processor(Frozen, str):
    """A processor: a ``str`` that is equal to its name in small letters ("power8nvl").

    ``Processor("POWER10_v2.0")`` reads any spelling in use, QEMU's with a version too.

    Attributes:
        label: as /proc/cpuinfo spells it, for people.
        pvr: the upper 16 of its PVR's 32 bits. Source: PVR_POWER7 to PVR_POWER12 in
            powerpc's <asm/reg.h>.
        mode: its own mode.

    Raises:
        ValueError: there is no processor of this name.
    """

    __slots__ = ("label", "mode", "pvr")

    label: str
    pvr: int
    mode: CpuMode

    def __new__(cls, name: str) -> Processor:
        processor = find_processor(name)
        if processor is None:
            raise ValueError(f"{name!r} is not a processor known here")
        return processor

    @classmethod
    def from_pvr(cls, pvr: int) -> Processor | None:
        """The processor of a PVR (32 bits; the upper 16 name it), None for one not known."""
        return next((one for one in PROCESSORS if one.pvr == pvr >> 16), None)

    def __reduce__(self) -> tuple[object, ...]:
        return Processor, (str(self),)


def find_mode(name: str) -> CpuMode | None:
    """The mode of a name in any spelling in use, None where there is none."""
    return _MODES.get(name.lower()) if isinstance(name, str) else None


def find_processor(name: str) -> Processor | None:
    """The processor of a name in any spelling in use, None where there is none."""
    return _PROCESSORS.get(name.lower().partition("_v")[0]) if isinstance(name, str) else None


def _read_table() -> None:
    """Makes the one object that there is of each name."""
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
"""All processors that are known, oldest first."""

MODES: tuple[CpuMode, ...] = tuple(_MODES.values())
"""All modes that are known, oldest first."""

GRANTABLE: tuple[CpuMode, ...] = tuple(mode for mode in MODES if mode.bit)
"""The modes that have a bit in the kernel's answer, oldest first."""

_KNOWN_BITS = sum(mode.bit for mode in GRANTABLE)


def own_mode(processor: str | None) -> CpuMode | None:
    """The mode of a processor; None where it has no name, or one that is not known here."""
    return processor.mode if isinstance(processor, Processor) else None


def label_of(name: str | None) -> str:
    """A processor or a mode for people; a name of a later version as it is."""
    return "unknown" if name is None else getattr(name, "label", name)


def modes_of(compat_capabilities: int) -> tuple[CpuMode, ...]:
    """The known modes of a mask, oldest first."""
    return tuple(mode for mode in GRANTABLE if compat_capabilities & mode.bit)


def unknown_bits_of(compat_capabilities: int) -> int:
    """The bits of a mask that stand for no known mode."""
    return compat_capabilities & ~_KNOWN_BITS
