"""libvirt: its version here, and which form of ``<cpu>`` it supports on a processor.

libvirt identifies the host's processor by its PVR. If its table of processors (src/cpu_map)
does not have that one, it has no host model and refuses ``host-model``. The form that works
there is ``host-passthrough`` with the mode in ``<qemu:commandline>``.
"""

from __future__ import annotations

import re

from kvmppc.guest.programs import output_of
from kvmppc.processors import find_processor, own_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kvmppc.guest.qemu import Version

ASSUMED = "libvirt 11.4 or later"
"""The assumption where the version is not known."""

# The first version that knows a processor. Every libvirt in use knows those up to POWER10; no
# released version is known to know a later one that is not listed. Source: the history of libvirt's
# src/cpu_map. Of running versions, 9.0 and 11.3 were seen to have no host model on a Power11, and
# 12.8 to have one.
_KNOWS: dict[str, Version] = {"power11": (11, 4)}

VENDOR = "IBM"
"""The vendor of all processors in libvirt's table for ppc64."""


def first_that_knows(processor: str) -> Version | None:
    """The first version that knows a processor; None where no version is known to."""
    mode = own_mode(find_processor(processor))
    return _KNOWS.get(processor, None if mode is not None and mode > "power10" else (0, 0))


def knows(version: Version | None, processor: str) -> bool:
    """Whether a version has a host model for a processor; None stands for 11.4 or later."""
    first = first_that_knows(processor)
    return first is not None and (version is None or version >= first)


def read_version(text: str) -> Version | None:
    """The version in the output of ``virsh --version``; None where there is none."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?\s*$", text)
    return (int(found[1]), int(found[2])) if found else None


def ask_version() -> Version | None:
    """The version that ``virsh --version`` reports on this machine; None where it reports none.

    It does not call libvirt's daemon, so a hook can use it.
    """
    return read_version(output_of(["virsh", "--version"]) or "")


def ask_host_model() -> bool | None:
    """Whether this host's libvirt has a host model under KVM; None where it does not say.

    It calls libvirt's daemon. Do not use it in a hook: libvirt would wait for itself.
    """
    command = ["virsh", "--connect", "qemu:///system", "--readonly"]
    text = output_of([*command, "domcapabilities", "--virttype", "kvm"]) or ""
    found = re.search(r"<mode name=['\"]host-model['\"] supported=['\"](yes|no)['\"]", text)
    return found[1] == "yes" if found else None
