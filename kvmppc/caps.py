"""What a kernel grants: the value of its answer, and the revisions of the interface."""

from __future__ import annotations

from kvmppc.processors import CpuMode, modes_of, unknown_bits_of
from kvmppc.values import Value, fill


class Revision(str):
    """A revision of the interface, a ``str``: equal to its name in the record.

    Raises:
        ValueError: there is no revision of this name.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> Revision:
        for revision in REVISIONS:
            if revision == name:
                return revision
        raise ValueError(f"{name!r} is not a revision of the interface")


REVISIONS: tuple[Revision, ...] = tuple(
    str.__new__(Revision, name) for name in ("linux-7.3", "patch-v4")
)
"""All revisions that are known: mainline's from Linux 7.3 on, and the fourth posting's."""

LINUX_7_3, PATCH_V4 = REVISIONS[:2]


class CompatCaps(Value):
    """What a kernel grants: the answer of KVM_PPC_GET_COMPAT_CAPS, immutable.

    Attributes:
        compat_capabilities: the mask, 64 bits, unsigned, exactly as the kernel gave it.
        flags: the struct's flags as returned; 0 today.
        size: the struct's size in bytes as returned; 24 today.
        revision: which revision of the interface answered.
        modes: the modes granted, oldest first. They need not be all up to the newest.
        newest: the newest of them, None where no known mode is granted.
        unknown_bits: the bits of the mask that no mode here stands for.

    ``"power10" in caps`` tells whether one is granted.

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
        revision: Revision = LINUX_7_3,
    ) -> None:
        for number in (compat_capabilities, flags, size):
            if not 0 <= number < 1 << 64:
                raise ValueError(f"{number:#x} is not an unsigned number of 64 bits")
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
