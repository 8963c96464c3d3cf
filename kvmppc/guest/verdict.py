"""Whether a host grants what a libvirt domain asks for.

What QEMU and libvirt make of a domain for pseries under KVM, as far as it matters here:

``host-model`` with a model: ``-cpu host`` and ``max-cpu-compat=MODEL``, so that mode.
``host-model`` without, ``host-passthrough``: ``-cpu host`` alone. No ``<cpu>``: QEMU's default,
which under KVM is the physical processor (later libvirts write it out: ``-cpu POWER11``).
QEMU before 11.2 then starts the guest as the physical processor, also on a host that itself
runs in the mode of an earlier one and cannot grant that.
``custom``: ``-cpu MODEL``. KVM presents the physical processor and no other, so this is the same
again where the model names it, and refused where it does not.
"""

from __future__ import annotations

from kvmppc.guest.advice import granted_text
from kvmppc.processors import CpuMode, own_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, NoReturn

    from kvmppc.guest.domain import Domain
    from kvmppc.report import HostReport

    Answer = Literal["yes", "no", "unknown"]

# Modes that QEMU knows and the interface has no bit for (compat_table in QEMU's target/ppc).
_OLDER = ("power6", "power6+", "power7", "power7+", "power8")


class Verdict:
    """The answer for one domain on one host, immutable.

    Attributes:
        answer: "yes", "no", or "unknown" where it cannot be told.
        reason: what the domain asks for and what the host grants, in sentences.
        mode: with "no", the mode to write instead: the one that the domain names if the host
            grants it, else the newest. None with another answer, and where none is granted.
    """

    __slots__ = ("answer", "mode", "reason")

    answer: Answer
    reason: str
    mode: CpuMode | None

    def __init__(self, answer: Answer, reason: str, mode: CpuMode | None = None) -> None:
        for name, value in (("answer", answer), ("reason", reason), ("mode", mode)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Verdict is immutable: {name} cannot be set")

    def __repr__(self) -> str:
        instead = "" if self.mode is None else f" mode={self.mode}"
        return f"<kvmppc.guest.verdict.Verdict {self.answer}{instead}>"


def check_domain(domain: Domain, report: HostReport) -> Verdict:
    """Tells whether the host of a report grants what a domain asks for.

    "unknown" is the answer for a domain that the question is not about (for another
    architecture, machine or hypervisor), and for every host that is not "known": a hint is
    no grant.
    """
    obstacle = _obstacle(domain, domain.arch or report.machine)
    if obstacle is not None:
        return Verdict("unknown", obstacle)
    if domain.type == "qemu":
        return Verdict("yes", "The domain is emulated (type 'qemu'): KVM is not asked for a mode.")
    if report.status != "known":
        remedy = f" {report.remedy}" if report.remedy else ""
        return Verdict(
            "unknown",
            f"Host {report.hostname} gave no answer ({report.status}). {report.reason}{remedy}",
        )
    return _by_cpu(domain, report)


def _obstacle(domain: Domain, arch: str) -> str | None:
    """Why the question cannot be asked of a domain, a sentence; None where it can."""
    if domain.type not in ("kvm", "qemu"):
        return f"The domain is of type {_short(domain.type)}, not kvm."
    if not arch.startswith("ppc64"):
        return f"The domain is for {_short(arch)}: only ppc64 has modes to be granted."
    if domain.type == "qemu":
        return None
    if domain.machine is not None and not domain.machine.startswith("pseries"):
        return f"The machine is {_short(domain.machine)}: only pseries can be given a mode."
    if domain.sets_cpu_itself:
        return (
            "The domain has its own words for QEMU on the processor (<qemu:commandline>), "
            "which override <cpu>."
        )
    return None


def _by_cpu(domain: Domain, report: HostReport) -> Verdict:
    """The verdict by the domain's <cpu>, for a pseries domain on a host that answered."""
    mode, model = domain.cpu_mode, domain.cpu_model
    if mode == "host-model" and model is not None:
        return _mode_named(model, report)
    if mode == "custom" and model is not None:
        return _processor_named(model, report)
    if mode is None:
        asked = "The domain names no processor, which leaves it to QEMU's default under KVM"
    elif mode == "host-model":
        asked = "The domain has host-model without a <model>, which is -cpu host"
    elif mode == "host-passthrough":
        asked = "The domain has host-passthrough, which is -cpu host"
    else:
        return Verdict("unknown", f"What {_short(mode)} gives under KVM on Power is not known.")
    return _physical(asked, None, report)


def _mode_named(model: str, report: HostReport) -> Verdict:
    """host-model with a model: a mode, by its name in QEMU's own spelling."""
    asked = f"The domain asks for the mode {_short(model)}"
    mode = _mode_or_none(model)
    if mode is not None and str(mode) != model:
        return _no(f"{asked}, which QEMU knows only as {str(mode)!r}.", mode, report)
    if mode is not None and mode in report.modes:
        return Verdict("yes", f"{asked}. {_grants(report)}")
    if model in _OLDER:
        return Verdict("unknown", f"{asked}, of which the kernel's answer does not speak.")
    if (mode is None or not mode.bit) and report.unknown_bits:
        return Verdict("unknown", f"{asked}, which is not known here. {_grants(report)}")
    return _no(f"{asked}.", mode, report)


def _processor_named(model: str, report: HostReport) -> Verdict:
    """custom: a processor by its name, which has to be the physical one."""
    asked = f"The domain asks for the processor {_short(model)} (custom, which is -cpu)"
    mode = _mode_or_none(model)
    if mode is None:
        return Verdict("unknown", f"{asked}, which is not known here.")
    if own_mode(report.cpu_physical) in (mode, None):
        return _physical(asked, mode, report)
    physical = f"KVM presents none but the physical one, {report.cpu_physical}."
    return _no(f"{asked}. {physical}", mode, report)


def _physical(asked: str, mode: CpuMode | None, report: HostReport) -> Verdict:
    """The physical processor, which the host may not be able to grant."""
    physical = report.cpu_physical
    if physical is None:
        return Verdict("unknown", f"{asked}. The host's processor is not known.")
    asked = f"{asked}. Before QEMU 11.2 that is the physical processor, {physical}."
    if own_mode(physical) in report.modes:
        return Verdict("yes", f"{asked} {_grants(report)}")
    return _no(asked, mode, report)


def _no(reason: str, mode: CpuMode | None, report: HostReport) -> Verdict:
    instead = mode if mode in report.modes else report.newest
    return Verdict("no", f"{reason} {_grants(report)}", instead)


def _grants(report: HostReport) -> str:
    own = report.cpu_effective
    itself = (
        f", itself in {own} mode,"
        if own and report.cpu_physical and own != own_mode(report.cpu_physical)
        else ""
    )
    return f"Host {report.hostname}{itself} grants {granted_text(report)}."


def _mode_or_none(name: str) -> CpuMode | None:
    try:
        return CpuMode(name)
    except ValueError:
        return None


def _short(text: str) -> str:
    """Text from a file, in quotes, cut off where it is long, with nothing but ASCII."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
