"""Processor modes and what a kernel grants of them: values, no I/O."""

from __future__ import annotations

import enum
import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


@functools.total_ordering
class CpuMode(enum.Enum):
    """A processor mode that a guest can run in, oldest first.

    ``str()`` gives the spelling of QEMU's ``max-cpu-compat`` and of libvirt's
    ``<model>`` ("power10"). ``CpuMode("POWER10")`` reads any spelling in use; it
    raises ValueError for anything else. Modes compare by age.

    Attributes:
        generation: the number in the name: 9, 10 or 11.
        title: the product's name, for people: "Power10".
        bit: the mode's bit in ``compat_capabilities``, as a mask of 64 bits. Source:
            KVM_PPC_COMPAT_CAP_POWER9, 10 and 11 in powerpc's <asm/kvm.h>; bits 1, 2 and 3
            in the documentation, which counts from the top.
    """

    POWER9 = "power9"
    POWER10 = "power10"
    POWER11 = "power11"

    @classmethod
    def _missing_(cls, value: object) -> CpuMode | None:
        name = value.lower() if isinstance(value, str) else None
        return next((mode for mode in cls if mode.value == name), None)

    def __init__(self, name: object) -> None:
        # Once, and not when asked: a fleet's records ask for these a million times. "object",
        # since type checkers take this for what CpuMode(...) accepts.
        self.title = str(name).capitalize()
        self.generation = int(self.title[len("power") :])
        self.bit = 1 << (71 - self.generation)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, CpuMode):
            return NotImplemented
        return self.generation < other.generation

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def from_cpu_version(cls, number: int) -> CpuMode | None:
        """The mode of a device tree's ``cpu-version`` (32 bits), None for one that is not known.

        Source: PVR_ARCH_300, PVR_ARCH_31 and PVR_ARCH_31_P11 in powerpc's <asm/reg.h>.
        """
        return _CPU_VERSIONS.get(number)

    @classmethod
    def from_pvr(cls, pvr: int) -> CpuMode | None:
        """The processor of a PVR (32 bits; the upper 16 name it), None for one that is not known.

        Source: PVR_POWER9, PVR_POWER10 and PVR_POWER11 in powerpc's <asm/reg.h>.
        """
        return _PVRS.get(pvr >> 16)


_CPU_VERSIONS = {
    0x0F000005: CpuMode.POWER9,
    0x0F000006: CpuMode.POWER10,
    0x0F000007: CpuMode.POWER11,
}
_PVRS = {0x004E: CpuMode.POWER9, 0x0080: CpuMode.POWER10, 0x0082: CpuMode.POWER11}
_KNOWN_BITS = sum(mode.bit for mode in CpuMode)


class Revision(enum.Enum):
    """A revision of the interface; ``str()`` gives its name in the record."""

    LINUX_7_3 = "linux-7.3"
    PATCH_V4 = "patch-v4"

    def __str__(self) -> str:
        return str(self.value)


class CompatCaps:
    """What a kernel grants: the answer of KVM_PPC_GET_COMPAT_CAPS, immutable.

    Attributes:
        compat_capabilities: the mask, 64 bits, unsigned, exactly as the kernel gave it.
        flags: the struct's flags as returned; 0 today.
        size: the struct's size in bytes as returned; 24 today.
        revision: which revision of the interface answered.
        modes: the modes granted, oldest first. They need not be all up to the newest.
        newest: the newest of them, None where no known mode is granted.
        unknown_bits: the bits of the mask that no mode here stands for.

    ``"power10" in caps`` and ``CpuMode.POWER10 in caps`` tell whether one is granted.

    Raises:
        ValueError: a number is negative or has more than 64 bits.
    """

    __slots__ = (
        "compat_capabilities",
        "flags",
        "modes",
        "newest",
        "revision",
        "size",
        "unknown_bits",
    )

    compat_capabilities: int
    flags: int
    size: int
    revision: Revision
    modes: tuple[CpuMode, ...]
    newest: CpuMode | None
    unknown_bits: int

    def __init__(
        self,
        compat_capabilities: int,
        *,
        flags: int = 0,
        size: int = 24,
        revision: Revision = Revision.LINUX_7_3,
    ) -> None:
        for number in (compat_capabilities, flags, size):
            if not 0 <= number < 1 << 64:
                raise ValueError(f"{number:#x} is not an unsigned number of 64 bits")
        modes = modes_of(compat_capabilities)
        fields = (
            ("compat_capabilities", compat_capabilities),
            ("flags", flags),
            ("size", size),
            ("revision", revision),
            ("modes", modes),
            ("newest", modes[-1] if modes else None),
            ("unknown_bits", unknown_bits_of(compat_capabilities)),
        )
        for name, value in fields:
            object.__setattr__(self, name, value)

    def _key(self) -> tuple[object, ...]:
        return self.compat_capabilities, self.flags, self.size, self.revision

    def __contains__(self, mode: object) -> bool:
        try:
            return CpuMode(mode) in self.modes
        except ValueError:
            return False

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, CompatCaps) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"CompatCaps is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"CompatCaps is immutable: {name} cannot be deleted")

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickle, self._key()

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.modes)) or "no known mode"
        return f"<kvmppc.CompatCaps {self.compat_capabilities:#018x} {names} ({self.revision})>"


def _unpickle(compat_capabilities: int, flags: int, size: int, revision: Revision) -> CompatCaps:
    return CompatCaps(compat_capabilities, flags=flags, size=size, revision=revision)


def modes_of(compat_capabilities: int) -> tuple[CpuMode, ...]:
    """The known modes of a mask, oldest first."""
    return tuple(mode for mode in CpuMode if compat_capabilities & mode.bit)


def unknown_bits_of(compat_capabilities: int) -> int:
    """The bits of a mask that stand for no known mode."""
    return compat_capabilities & ~_KNOWN_BITS
