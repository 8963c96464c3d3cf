"""Reads the QEMU, libvirt and page size of each host of a fleet: one line per host."""

from __future__ import annotations

from kvmppc.commands import UsageError
from kvmppc.commands.placing import PAGE_SIZES
from kvmppc.guest import libvirt, qemu
from kvmppc.guest.place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.guest.qemu import Version

LIMIT = 16 << 20
"""The size limit of the file in bytes, enough for about 500,000 hosts."""

_PROGRAMS = {"QEMU": qemu.read_version, "libvirt": libvirt.read_version}


def read_places(text: str, name: str, others: Place) -> dict[str, Place]:
    """Returns the places by host. A line has host, QEMU, libvirt and page size; # is a comment.

    Args:
        text: the lines.
        name: the file's name, for messages.
        others: supplies what a line leaves out or gives as "-".

    Raises:
        UsageError: a line has another form, or a host is listed twice.
    """
    places: dict[str, Place] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        host, told = words[0], [*words[1:], "-", "-", "-"]
        where = f"{name}:{number}"
        if len(words) > 4 or told[2] not in ("-", *PAGE_SIZES):
            raise UsageError(f"{where}: expected HOST QEMU LIBVIRT PAGES, such as lpar1 11.1 - 64k")
        if host in places:
            raise UsageError(f"{where}: {host} is listed twice; remove one line")
        places[host] = Place(
            _version(where, "QEMU", told[0]) or others.qemu,
            _version(where, "libvirt", told[1]) or others.libvirt,
            None,
            PAGE_SIZES.get(told[2]) or others.page_size,
        )
    return places


def _version(where: str, program: str, word: str) -> Version | None:
    if word == "-":
        return None
    version = _PROGRAMS[program](word)
    if version is None:
        raise UsageError(f"{where}: {word!a} is not a version of {program}; give one such as 11.1")
    return version
