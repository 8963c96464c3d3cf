"""The kernel's answer as a value, and the revisions of the interface."""

from __future__ import annotations

from kvmppc.processors import CpuMode, modes_of, unknown_bits_of
from kvmppc.values import Value, fill

API_VERSION = 12
"""What KVM_GET_API_VERSION gives (Documentation/virt/kvm/api.rst, 4.1)."""


class Revision(str):
    """A revision of the interface: a ``str`` that equals its name in the record.

    Raises:
        ValueError: there is no revision with this name.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> Revision:
        for revision in REVISIONS:
            if revision == name:
                return revision
        raise ValueError(f"unknown revision {name!r}; choose from {', '.join(REVISIONS)}")


REVISIONS: tuple[Revision, ...] = tuple(
    str.__new__(Revision, name) for name in ("linux-7.3", "patch-v4")
)
"""All known revisions: mainline since Linux 7.3, and version 4 of the patch series."""

LINUX_7_3, PATCH_V4 = REVISIONS[:2]


class CompatCaps(Value):
    """The modes that a kernel grants: the answer of KVM_PPC_GET_COMPAT_CAPS. Immutable.

    Attributes:
        compat_capabilities: the mask, 64 bits unsigned, unchanged. Source of the bits:
            KVM_PPC_GET_COMPAT_CAPS in Documentation/virt/kvm/api.rst.
        flags: the ``flags`` of the returned struct, 64 bits unsigned; 0 in Linux 7.3.
        size: the ``size`` of the returned struct in bytes; 24 in Linux 7.3
            (KVM_PPC_COMPAT_CAPS_SIZE_VER0 in powerpc's <asm/kvm.h>).
        revision: the revision of the interface that answered.
        modes: the granted modes, oldest first. Modes older than the newest may be missing.
        newest: the newest granted mode, None if no known mode is granted.
        unknown_bits: the bits of the mask that belong to no known mode, 64 bits unsigned.

    ``"power10" in caps`` is True if that mode is granted.

    Raises:
        ValueError: a number is negative or does not fit in 64 bits.
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
        revision: Revision = LINUX_7_3,
    ) -> None:
        for number in (compat_capabilities, flags, size):
            if not 0 <= number < 1 << 64:
                raise ValueError(f"{number:#x} is not an unsigned 64-bit number")
        modes = modes_of(compat_capabilities)
        fill(
            self,
            compat_capabilities=compat_capabilities,
            flags=flags,
            size=size,
            revision=revision,
            modes=modes,
            newest=modes[-1] if modes else None,
            unknown_bits=unknown_bits_of(compat_capabilities),
        )

    def __contains__(self, mode: object) -> bool:
        return isinstance(mode, str) and mode.lower() in self.modes

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.modes)) or "no known mode"
        return f"<kvmppc.CompatCaps {self.compat_capabilities:#018x} {names} ({self.revision})>"
