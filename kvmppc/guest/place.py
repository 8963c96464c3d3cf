"""The place of a guest: the QEMU and libvirt that start it, and the host's page size."""

from __future__ import annotations

import os

from kvmppc.guest import libvirt, qemu
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.guest.qemu import Version


class Place(Value):
    """What matters to a guest besides the host's answer. Immutable and hashable.

    None stands for what is not known, with these assumptions:

    Attributes:
        qemu: the version, as (11, 2); None: before 11.2.
        libvirt: the version, as (11, 4); None: 11.4 or later.
        host_model: whether this libvirt has a host model on the host; None: by its version.
        page_size: the host's page size in bytes; None: that of the report.
        wrapped: whether the QEMU is examples/qemu-wrapper, which adds mode and page limit itself.
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
        """Whether libvirt has a host model for a processor; True where the processor is None."""
        if self.host_model is not None:
            return self.host_model
        return processor is None or libvirt.knows(self.libvirt, processor)

    def on(self, page_size: int | None) -> Place:
        """This place with the page size of a host, in bytes, where it has none of its own."""
        if self.page_size is not None or page_size is None:
            return self
        return Place(self.qemu, self.libvirt, self.host_model, page_size, self.wrapped)

    def text(self) -> str:
        """What an answer is valid for: "QEMU 11.1; assumed: libvirt 11.4 or later"."""
        programs = (("QEMU", self.qemu, qemu.ASSUMED), ("libvirt", self.libvirt, libvirt.ASSUMED))
        told = [f"{name} {qemu.version_text(one)}" for name, one, _ in programs if one is not None]
        assumed = [text for _, one, text in programs if one is None]
        parts = [", ".join(told)] if told else []
        parts += [f"assumed: {', '.join(assumed)}"] if assumed else []
        return "; ".join(parts)

    def __repr__(self) -> str:
        return f"<kvmppc.guest.place.Place {self.text()}>"


def page_needed(page_size: int | None) -> int | None:
    """The page limit in bytes that guests need on a host; None where they need none."""
    return page_size if page_size is not None and page_size < qemu.GUEST_PAGE else None


def size_text(size: int) -> str:
    """A page size in bytes, for people: "4 KiB"."""
    return f"{size >> 10} KiB"


def place_here(emulator: str | None = None, *, ask_libvirt: bool = True) -> Place:
    """Asks this machine's programs for their versions: libvirt, and QEMU.

    QEMU is the ``emulator`` of a domain, or else the one on the PATH. With ``ask_libvirt``
    False libvirt's daemon is not called, as a hook requires.
    """
    path = qemu.find(emulator)
    version = libvirt.ask_version()
    return Place(
        None if path is None else qemu.ask_version(path),
        version,
        libvirt.ask_host_model() if ask_libvirt and version is not None else None,
        # It may be reached through a link, for tools that do not let the path be set.
        wrapped=path is not None and qemu.is_wrapper(os.path.realpath(path)),
    )
