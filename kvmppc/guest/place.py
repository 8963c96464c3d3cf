"""The place of a guest: which QEMU and libvirt it is started by, and the host's page size."""

from __future__ import annotations

import os

from kvmppc.guest import libvirt, qemu
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.guest.qemu import Version


class Place(Value):
    """What stands between a host's answer and its guests; what nobody has told is None.

    Immutable and hashable, so that verdicts can be kept by it.

    Attributes:
        qemu: the version, (11, 2); None is taken for one before 11.2.
        libvirt: the version; None is taken for one from 11.4 on.
        host_model: whether that libvirt has a host model here; None is told by its version.
        page_size: bytes of a page of the host; None leaves it to the report.
        wrapped: whether the QEMU is examples/qemu-wrapper, which gives guests what they lack.
    """

    __slots__ = ("host_model", "libvirt", "page_size", "qemu", "wrapped")

    qemu: Version | None
    libvirt: Version | None
    host_model: bool | None
    page_size: int | None
    wrapped: bool

    def __init__(
        self,
        qemu: Version | None = None,
        libvirt: Version | None = None,
        host_model: bool | None = None,
        page_size: int | None = None,
        wrapped: bool = False,
    ) -> None:
        fill(self, qemu=qemu, libvirt=libvirt, host_model=host_model, page_size=page_size)
        fill(self, wrapped=wrapped)

    def has_host_model(self, processor: str | None) -> bool:
        """Whether libvirt has a host model on a processor; None is one that it has."""
        if self.host_model is not None:
            return self.host_model
        return processor is None or libvirt.knows(self.libvirt, processor)

    def on(self, page_size: int | None) -> Place:
        """The same place with a host's page size, where it has none of its own."""
        if self.page_size is not None or page_size is None:
            return self
        return Place(self.qemu, self.libvirt, self.host_model, page_size, self.wrapped)

    def text(self) -> str:
        """What an answer holds for: "QEMU 11.1; assumed: libvirt from 11.4 on"."""
        programs = (("QEMU", self.qemu, qemu.ASSUMED), ("libvirt", self.libvirt, libvirt.ASSUMED))
        told = [f"{name} {qemu.version_text(one)}" for name, one, _ in programs if one is not None]
        assumed = [text for _, one, text in programs if one is None]
        parts = [", ".join(told)] if told else []
        parts += [f"assumed: {', '.join(assumed)}"] if assumed else []
        return "; ".join(parts)

    def __repr__(self) -> str:
        return f"<kvmppc.guest.place.Place {self.text()}>"


def page_needed(page_size: int | None) -> int | None:
    """The largest page in bytes that guests must be held to; None where nothing is needed."""
    return page_size if page_size is not None and page_size < qemu.GUEST_PAGE else None


def size_text(size: int) -> str:
    """A page size as people write it: "4 KiB"."""
    return f"{size >> 10} KiB"


def place_here(emulator: str | None = None, *, ask_libvirt: bool = True) -> Place:
    """Asks this machine's programs: the QEMU of a domain's emulator or the usual one, and libvirt.

    ``ask_libvirt`` False asks libvirt's daemon nothing, as is needed in a hook.
    """
    path = qemu.find(emulator)
    version = libvirt.ask_version()
    return Place(
        None if path is None else qemu.ask_version(path),
        version,
        libvirt.ask_host_model() if ask_libvirt and version is not None else None,
        # A link may lead to it, where a tool has QEMU's path fixed.
        wrapped=path is not None and qemu.is_wrapper(os.path.realpath(path)),
    )
