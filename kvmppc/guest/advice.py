"""From a report to a configuration: the mode for a guest, as options for QEMU and libvirt."""

from __future__ import annotations

from kvmppc.processors import CpuMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kvmppc.guest.place import Place
    from kvmppc.report import HostReport


class AdviceError(Exception):
    """No mode can be advised; the message says why, and what to try."""


class NoAnswerError(AdviceError):
    """The host gave no answer, or only a hint, and hints are not accepted."""


class NotGrantedError(AdviceError):
    """The host answered, and does not grant this mode, or is not known to.

    Attributes:
        wanted: the mode that was requested, None for any.
        granted: the modes that the host grants, oldest first.
    """

    wanted: CpuMode | None
    granted: tuple[CpuMode, ...]

    def __init__(self, message: str, wanted: CpuMode | None, granted: tuple[CpuMode, ...]) -> None:
        super().__init__(message)
        self.wanted = wanted
        self.granted = granted

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.wanted, self.granted)


def choose_mode(
    report: HostReport, wanted: CpuMode | str | None = None, *, accept_hint: bool = False
) -> CpuMode:
    """Returns the mode for a guest: the newest that the host grants, or the ``wanted`` one.

    A hint (the mode that the host itself runs in, where its kernel cannot be asked) counts
    as a grant only with ``accept_hint``.

        >>> choose_mode(kvmppc.probe())
        <CpuMode("power10"): 'power10'>

    Raises:
        NoAnswerError: the host gave no answer, or only a hint.
        NotGrantedError: it answered, and does not grant the mode, or is not known to; or it
            grants no known mode.
        ValueError: ``wanted`` is not the name of a mode.
    """
    mode = None if wanted is None else CpuMode(wanted)
    _require_answer(report, accept_hint)
    granted = report.modes
    if isinstance(report.hint, CpuMode):
        granted = (report.hint,)
    if mode is None and granted:
        mode = granted[-1]
    if mode is None or mode not in granted:
        refused = ""
        if mode is not None:
            denies = "does not grant" if report.grants(mode) is False else "is not known to grant"
            refused = f" {denies} {mode}; it"
        said = f"{report.hostname}{refused} grants {granted_text(report)}."
        raise NotGrantedError(said, mode, granted)
    return mode


def _require_answer(report: HostReport, accept_hint: bool) -> None:
    """Raises NoAnswerError where the report has no modes to choose from."""
    if report.status == "known" or (report.status == "hint" and accept_hint):
        return
    remedy = f" {report.remedy}" if report.remedy else ""
    if report.status == "hint":
        remedy = " To use the hint, accept it (accept_hint; on the command line --accept-hint)."
    raise NoAnswerError(f"{report.status}: {report.reason}{remedy}")


def granted_text(report: HostReport) -> str:
    """The modes of a report, for a sentence; a hint is marked as one."""
    if report.hint is not None:
        return f"{report.hint} (a hint)"
    return modes_text(report.modes, report.unknown_bits or 0)


def modes_text(modes: tuple[str, ...], unknown_bits: int) -> str:
    """Modes for a sentence, such as "power9, power10"; bits without a known mode come last."""
    names = ", ".join(map(str, modes)) or "no known mode"
    if unknown_bits:
        names += f", and the unknown bits {unknown_bits:#x}"
    return names


QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
"""The XML namespace of libvirt's <qemu:commandline>."""

PAGE_LIMIT = "cap-hpt-max-page-size"
"""QEMU's property of pseries machines that limits the page size of a guest."""


def machine_property(mode: CpuMode, place: Place | None = None) -> str:
    """The properties of QEMU's pseries machine for this mode, for tools that add ``-machine``.

    Where the place has pages smaller than 64 KiB, they include the limit without which guests
    do not start there. Source: ``max-cpu-compat`` and ``cap-hpt-max-page-size`` in QEMU's
    hw/ppc/spapr.c and spapr_caps.c.
    """
    limit = _limit(place)
    pages = "" if limit is None else f",{PAGE_LIMIT}={limit >> 10}k"
    return f"max-cpu-compat={mode}{pages}"


def qemu_option(mode: CpuMode, place: Place | None = None) -> str:
    """The option for QEMU's command line that gives a guest this mode on a host."""
    return f"-machine pseries,{machine_property(mode, place)}"


def libvirt_cpu(mode: CpuMode, host_model: bool = True) -> str:
    """The ``<cpu>`` of a libvirt domain in this mode; :func:`libvirt_elements` has the rest.

    libvirt passes the model on as ``max-cpu-compat``. ``check='none'``, because libvirt's own
    check compares with the physical processor, which it may not know.
    """
    if host_model:
        return f"<cpu mode='host-model' check='none'><model>{mode}</model></cpu>"
    return "<cpu mode='host-passthrough' check='none'/>"


def libvirt_elements(
    mode: CpuMode, place: Place | None = None, processor: str | None = None
) -> tuple[str, ...]:
    """The elements of a libvirt domain in this mode, for a host's processor, pages and libvirt.

    The mode is the model of ``host-model``. Where libvirt has no host model for the processor,
    it is in ``<qemu:commandline>``, with ``host-passthrough``. Where the host's pages are smaller
    than 64 KiB, the page limit is included.
    """
    host_model = place is None or place.has_host_model(processor)
    limit = _limit(place)
    elements = [libvirt_cpu(mode, host_model)]
    if limit is not None:
        elements.append(page_features(limit))
    if not host_model:
        elements.append(qemu_commandline(["-machine", machine_property(mode)]))
    return tuple(elements)


def virt_install_options(
    mode: CpuMode, place: Place | None = None, processor: str | None = None
) -> str:
    """The options for virt-install that give the new guest this mode."""
    limit = _limit(place)
    if place is None or place.has_host_model(processor):
        cpu = f"--cpu mode=host-model,model={mode},check=none"
    else:
        words = f"-machine {machine_property(mode)}"
        cpu = f"--cpu mode=host-passthrough,check=none --qemu-commandline='{words}'"
    if limit is None:
        return cpu
    pages = "./features/hpt/maxpagesize"
    return f"{cpu} --xml {pages}={limit >> 10} --xml {pages}/@unit=KiB"


def page_features(size: int) -> str:
    """libvirt's elements for the page limit of a guest, in bytes."""
    return f"<features><hpt>{page_element(size)}</hpt></features>"


def page_element(size: int) -> str:
    """libvirt's element in ``<features><hpt>`` for the page limit of a guest, in bytes."""
    return f"<maxpagesize unit='KiB'>{size >> 10}</maxpagesize>"


def qemu_commandline(words: Sequence[str]) -> str:
    """libvirt's element for arguments of QEMU's command line."""
    arguments = "".join(f"<qemu:arg value='{word}'/>" for word in words)
    return f"<qemu:commandline xmlns:qemu='{QEMU_NAMESPACE}'>{arguments}</qemu:commandline>"


def _limit(place: Place | None) -> int | None:
    # Not at the top: advice without a place does not need the module.
    from kvmppc.guest.place import page_needed

    return None if place is None else page_needed(place.page_size)
