"""Whether a guest without a mode starts here, by pages, QEMU and libvirt.

These are the last steps of kvmppc doctor. Each gives its part of what ``kvmppc check`` answers
for a domain with host-passthrough and nothing else.
"""

from __future__ import annotations

from kvmppc.guest import qemu
from kvmppc.guest.domain import Domain
from kvmppc.guest.place import Place, page_needed, place_here, size_text
from kvmppc.guest.verdict import check_domain, unknown_processor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from kvmppc.report import HostReport

    # The state of a step, what was found, and what to do (None: nothing).
    Finding = tuple[Literal["pass", "warn", "not asked"], str, str | None]

UNADVISED = Domain(
    b"<domain type='kvm'><os><type arch='ppc64le' machine='pseries'>hvm</type></os>"
    b"<cpu mode='host-passthrough'/></domain>"
)
"""A guest that is given no mode."""

_ADVISE = "Run kvmppc advise: it prints what to give QEMU or libvirt here."
_SAYS = {
    "yes": "a guest without a mode starts",
    "likely yes": "a guest without a mode is likely to start",
    "likely no": "a guest without a mode is likely not to start",
    "no": "a guest without a mode does not start",
}


def look(report: HostReport, place: Place | None = None) -> dict[str, Finding]:
    """The steps "pages", "qemu" and "libvirt" for a host that was asked.

    Without a ``place``, this machine's QEMU and libvirt are asked for their versions. For a
    simulated host they are not; the assumptions of :class:`Place` apply.
    """
    found = ""
    if place is None and report.simulated is None:
        path = qemu.find()
        place = place_here()
        found = "not found; " if path is None else f"{path}: "
    place = (place or Place()).on(report.page_size)
    version = qemu.ASSUMED + ", assumed"
    found += version if place.qemu is None else qemu.version_text(place.qemu)
    return {
        "pages": _pages(place.page_size),
        "qemu": _qemu(report, place, found),
        "libvirt": _libvirt(report, place),
    }


def _pages(size: int | None) -> Finding:
    if size is None:
        return "not asked", "", None
    limit = page_needed(size)
    if limit is None:
        return "pass", size_text(size), None
    found = f"{size_text(size)}: guests do not start unless they are limited to such pages"
    return "warn", found, _ADVISE


def _qemu(report: HostReport, place: Place, found: str) -> Finding:
    """By the mode alone; pages have a step of their own."""
    unknown = unknown_processor(report, place)
    if unknown is not None:
        return "warn", f"{found}. {unknown} No guest starts.", "Install a QEMU that supports it."
    large = Place(place.qemu, place.libvirt, place.host_model, qemu.GUEST_PAGE, place.wrapped)
    verdict = check_domain(UNADVISED, report, large)
    if verdict.answer == "unknown":
        return "not asked", found, None
    found = f"{found}: {_SAYS[verdict.answer]}. {verdict.reason}"
    return ("pass", found, None) if verdict.answer == "yes" else ("warn", found, _ADVISE)


def _libvirt(report: HostReport, place: Place) -> Finding:
    if place.libvirt is None and report.simulated is None:
        return "not asked", "virsh was not found, or reports no version", None
    found = "11.4 or later, assumed"
    if place.libvirt is not None:
        found = qemu.version_text(place.libvirt)
    if place.has_host_model(report.cpu_physical):
        return "pass", f"{found}: supports a mode as the model of host-model", None
    found = f"{found}: has no host model for this processor, so it refuses host-model"
    return "warn", found, "Run kvmppc advise --for libvirt: it prints the form that works."
