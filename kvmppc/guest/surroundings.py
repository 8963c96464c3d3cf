"""What will become of a guest that is given no advice here: by pages, QEMU and libvirt.

These are the last steps of kvmppc doctor. They say what ``kvmppc check`` would say to a domain
with host-passthrough and nothing else, each its own part of it.
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

    # The state of a step, what was found, and what to do or None.
    Finding = tuple[Literal["pass", "warn", "not asked"], str, str | None]

UNADVISED = Domain(
    b"<domain type='kvm'><os><type arch='ppc64le' machine='pseries'>hvm</type></os>"
    b"<cpu mode='host-passthrough'/></domain>"
)
"""A guest as people start it who know nothing of modes."""

_ADVISE = "kvmppc advise prints the words that a guest needs here."
_SAYS = {
    "yes": "a guest that is given no mode starts",
    "likely yes": "a guest that is given no mode is likely to start",
    "likely no": "a guest that is given no mode is likely not to start",
    "no": "a guest that is given no mode does not start",
}


def look(report: HostReport, place: Place | None = None) -> dict[str, Finding]:
    """The steps "pages", "qemu" and "libvirt" for a host that was asked.

    Without a place, this machine's programs are asked, but for a simulated host's guests none
    are: what is not known is taken as :class:`Place` says.
    """
    found = ""
    if place is None and report.simulated is None:
        path = qemu.find()
        place = place_here()
        found = f"{path or 'none is on the PATH'}: "
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
    found = f"{size_text(size)}: no guest starts that may use larger ones, as all may unless told"
    return "warn", found, _ADVISE


def _qemu(report: HostReport, place: Place, found: str) -> Finding:
    """What the mode alone does: pages have a step of their own."""
    unknown = unknown_processor(report, place)
    if unknown is not None:
        return "warn", f"{found}. {unknown} No guest starts.", "Install a QEMU that does."
    large = Place(place.qemu, place.libvirt, place.host_model, qemu.GUEST_PAGE, place.wrapped)
    verdict = check_domain(UNADVISED, report, large)
    if verdict.answer == "unknown":
        return "not asked", found, None
    found = f"{found}: {_SAYS[verdict.answer]}. {verdict.reason}"
    return ("pass", found, None) if verdict.answer == "yes" else ("warn", found, _ADVISE)


def _libvirt(report: HostReport, place: Place) -> Finding:
    if place.libvirt is None and report.simulated is None:
        return "not asked", "no virsh on the PATH, or it tells no version", None
    found = "from 11.4 on, assumed"
    if place.libvirt is not None:
        found = qemu.version_text(place.libvirt)
    if place.has_host_model(report.cpu_physical):
        return "pass", f"{found}: takes a mode as the model of host-model", None
    found = f"{found}: has no host model for this processor, and refuses host-model"
    return "warn", found, "kvmppc advise --for libvirt prints the form that it takes."
