"""What to do with a report: which mode to give a guest, in the words of QEMU and of libvirt."""

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
    """The host did not tell what it grants, or only a hint is known and hints are not wanted."""


class NotGrantedError(AdviceError):
    """The host told what it grants, and it is not this.

    Attributes:
        wanted: the mode that was asked for, None for any.
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
    """Chooses the mode for a guest: the newest that the host grants, or the one that is wanted.

    A hint (the mode that the host itself runs in, where its kernel cannot be asked) is
    taken for a grant only with ``accept_hint``.

        >>> choose_mode(kvmppc.probe())
        <CpuMode("power10"): 'power10'>

    Raises:
        NoAnswerError: the host did not tell, or gave a hint only.
        NotGrantedError: it told, and does not grant the mode, or grants none that is known.
        ValueError: ``wanted`` is no mode's name.
    """
    mode = None if wanted is None else CpuMode(wanted)
    _require_answer(report, accept_hint)
    granted = report.modes
    if isinstance(report.hint, CpuMode):
        granted = (report.hint,)
    if mode is None and granted:
        mode = granted[-1]
    if mode is None or mode not in granted:
        what = "any mode known here" if mode is None else str(mode)
        raise NotGrantedError(
            f"{report.hostname} does not grant {what}; it grants {granted_text(report)}.",
            mode,
            granted,
        )
    return mode


def _require_answer(report: HostReport, accept_hint: bool) -> None:
    """Raises NoAnswerError where the report has no modes to choose from."""
    if report.status == "known" or (report.status == "hint" and accept_hint):
        return
    remedy = f" {report.remedy}" if report.remedy else ""
    if report.status == "hint":
        remedy = " Accept the hint to be advised all the same."
    raise NoAnswerError(f"{report.status}: {report.reason}{remedy}")


def granted_text(report: HostReport) -> str:
    """The modes of a report in a sentence, a hint marked."""
    if report.hint is not None:
        return f"{report.hint} (a hint)"
    return modes_text(report.modes, report.unknown_bits or 0)


def modes_text(modes: tuple[str, ...], unknown_bits: int) -> str:
    """Modes in a sentence: "power9, power10", with the bits of unknown ones as they are."""
    names = ", ".join(map(str, modes)) or "none that is known here"
    if unknown_bits:
        names += f", and {unknown_bits:#x}, bits of no mode known here"
    return names


QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
"""The namespace of libvirt's <qemu:commandline>."""

PAGE_LIMIT = "cap-hpt-max-page-size"
"""The property of QEMU's pseries machines for the largest page that a guest may use."""


def machine_property(mode: CpuMode, place: Place | None = None) -> str:
    """The properties of QEMU's pseries machine for this mode, for tools that take them alone.

    With a place whose pages are smaller than 64 KiB, also the limit that makes guests start
    there. Source: the properties ``max-cpu-compat`` and ``cap-hpt-max-page-size`` of QEMU's
    pseries machines.
    """
    limit = _limit(place)
    pages = "" if limit is None else f",{PAGE_LIMIT}={limit >> 10}k"
    return f"max-cpu-compat={mode}{pages}"


def qemu_option(mode: CpuMode, place: Place | None = None) -> str:
    """The option for QEMU's command line that gives a guest this mode, at a place."""
    return f"-machine pseries,{machine_property(mode, place)}"


def libvirt_cpu(mode: CpuMode, host_model: bool = True) -> str:
    """The ``<cpu>`` for a libvirt domain in this mode; see :func:`libvirt_elements` for all.

    libvirt turns the model into ``max-cpu-compat``. ``check='none'``, because libvirt's own
    check compares with the physical processor, which need not be one that it knows.
    """
    if host_model:
        return f"<cpu mode='host-model' check='none'><model>{mode}</model></cpu>"
    return "<cpu mode='host-passthrough' check='none'/>"


def libvirt_elements(
    mode: CpuMode, place: Place | None = None, processor: str | None = None
) -> tuple[str, ...]:
    """The elements for a libvirt domain in this mode, at a place and on a host's processor.

    ``host-model`` with a model, or where libvirt has no host model for the processor,
    ``host-passthrough`` and the mode in ``<qemu:commandline>``; and with small pages the limit.
    """
    host_model = place is None or place.has_host_model(processor)
    limit = _limit(place)
    elements = [libvirt_cpu(mode, host_model)]
    if limit is not None:
        elements.append(f"<features><hpt>{page_element(limit)}</hpt></features>")
    if not host_model:
        elements.append(qemu_commandline(["-machine", machine_property(mode)]))
    return tuple(elements)


def virt_install_options(
    mode: CpuMode, place: Place | None = None, processor: str | None = None
) -> str:
    """The options for virt-install that give the guest it makes this mode."""
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


def page_element(size: int) -> str:
    """libvirt's element in ``<features><hpt>`` for the largest page of a guest, in bytes."""
    return f"<maxpagesize unit='KiB'>{size >> 10}</maxpagesize>"


def qemu_commandline(words: Sequence[str]) -> str:
    """libvirt's element for words of QEMU's own."""
    arguments = "".join(f"<qemu:arg value='{word}'/>" for word in words)
    return f"<qemu:commandline xmlns:qemu='{QEMU_NAMESPACE}'>{arguments}</qemu:commandline>"


def _limit(place: Place | None) -> int | None:
    # Not at the top: only what is asked of a place needs the module.
    from kvmppc.guest.place import page_needed

    return None if place is None else page_needed(place.page_size)
