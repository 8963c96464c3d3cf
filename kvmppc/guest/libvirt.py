"""libvirt: which one is there, and which words it takes for a processor on this host.

libvirt goes by the PVR too. Where its own table does not have the host's processor, it has no
host model: ``host-model`` is refused altogether, and the way is ``host-passthrough`` with the
mode in ``<qemu:commandline>``.
"""

from __future__ import annotations

import re

from kvmppc.guest.programs import output_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.guest.qemu import Version

ASSUMED = "libvirt from 11.4 on"
"""What is taken where nobody has told which libvirt is there."""

# The first version whose table of processors (src/cpu_map) has one, None where none is known to
# have. What is not here every libvirt has that is in use.
_KNOWS: dict[str, Version | None] = {"power11": (11, 4), "power12": None}


VENDOR = "IBM"
"""The vendor of all processors in its table."""


def first_that_knows(processor: str) -> Version | None:
    """The first version that knows a processor; None where none is known to."""
    return _KNOWS.get(processor, (0, 0))


def knows(version: Version | None, processor: str) -> bool:
    """Whether a version has a host model on this processor; None is one from 11.4 on."""
    first = first_that_knows(processor)
    return first is not None and (version is None or version >= first)


def read_version(text: str) -> Version | None:
    """The version in what ``virsh --version`` prints; None where there is none."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?\s*$", text)
    return (int(found[1]), int(found[2])) if found else None


def ask_version() -> Version | None:
    """The version of the libvirt that is here, by virsh; None where there is none.

    No call to libvirt's daemon: a hook may ask this.
    """
    return read_version(output_of(["virsh", "--version"]) or "")


def ask_host_model() -> bool | None:
    """Whether this host's libvirt has a host model under KVM; None where it does not tell.

    A call to libvirt's daemon. Not from inside a hook: libvirt would wait for itself.
    """
    command = ["virsh", "--connect", "qemu:///system", "--readonly"]
    text = output_of([*command, "domcapabilities", "--virttype", "kvm"]) or ""
    found = re.search(r"<mode name=['\"]host-model['\"] supported=['\"](yes|no)['\"]", text)
    return found[1] == "yes" if found else None
