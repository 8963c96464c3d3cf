"""Which QEMU, libvirt and page size an answer is for: those of this host, or of the options."""

from __future__ import annotations

import os

from kvmppc.guest import libvirt, qemu
from kvmppc.guest.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kvmppc.guest.qemu import Version
    from kvmppc.report import HostReport

PAGE_SIZES = {"4k": 4 << 10, "64k": 64 << 10}
"""The names of the page sizes, and their bytes."""


def add_arguments(parser: argparse.ArgumentParser, here: str = "the installed one, else ") -> None:
    """Adds --qemu, --libvirt and --page-size; ``here`` is the default before what is assumed."""
    parser.add_argument(
        "--qemu",
        type=_qemu_version,
        metavar="VERSION",
        help=f"for this version of QEMU; default: {here}one before 11.2",
    )
    parser.add_argument(
        "--libvirt",
        type=_libvirt_version,
        metavar="VERSION",
        help=f"for this version of libvirt; default: {here}11.4 or later",
    )
    add_page_size(parser)


def add_page_size(parser: argparse.ArgumentParser) -> None:
    """Adds --page-size, for a command whose answer depends on no version."""
    parser.add_argument(
        "--page-size",
        choices=PAGE_SIZES,
        help="for this page size of the host's kernel; default: as the host reports",
    )


def _qemu_version(text: str) -> Version:
    return _version("QEMU", qemu.read_version(text), text)


def _libvirt_version(text: str) -> Version:
    return _version("libvirt", libvirt.read_version(text), text)


def _version(program: str, version: Version | None, text: str) -> Version:
    from argparse import ArgumentTypeError

    if version is None:
        raise ArgumentTypeError(f"{text!a} is not a version of {program}; give one such as 11.1")
    return version


class Placing:
    """The places of guests on one host. Runs each of its programs at most once, when needed.

    For a record or a simulated host, no program is run: its programs are not on this machine.
    """

    def __init__(self, arguments: argparse.Namespace, report: HostReport) -> None:
        self._arguments = arguments
        self._report = report
        elsewhere = arguments.report is not None or arguments.simulate is not None
        self._asks = not elsewhere and report.machine.startswith("ppc64")
        self._qemus: dict[str | None, Version | None] = {}
        self._libvirt: tuple[Version | None, bool | None] | None = None

    def place(self, emulator: str | None = None, *, programs: bool = True) -> Place:
        """The place of a guest with this emulator; without ``programs``, none is run."""
        given = self._arguments
        version, host_model = given.libvirt, None
        asks = self._asks and programs
        if asks and version is None:
            if self._libvirt is None:
                self._libvirt = libvirt.ask_version(), libvirt.ask_host_model()
            version, host_model = self._libvirt
        return Place(
            self._qemu(emulator) if asks and given.qemu is None else given.qemu,
            version,
            host_model,
            PAGE_SIZES.get(given.page_size) or self._report.page_size,
            wrapped=qemu.is_wrapper(self._path(emulator) if self._asks else emulator),
        )

    def _path(self, emulator: str | None) -> str | None:
        """The path of a guest's QEMU on this host, with links resolved; None if there is none."""
        path = qemu.find(emulator)
        return None if path is None else os.path.realpath(path)

    def _qemu(self, emulator: str | None) -> Version | None:
        if emulator not in self._qemus:
            path = qemu.find(emulator)
            self._qemus[emulator] = None if path is None else qemu.ask_version(path)
        return self._qemus[emulator]
