"""What to do with a report: which mode to give a guest, in the words of QEMU and of libvirt."""

from __future__ import annotations

from kvmppc.processors import CpuMode

TYPE_CHECKING = False
if TYPE_CHECKING:
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


def modes_text(modes: tuple[CpuMode, ...], unknown_bits: int) -> str:
    """Modes in a sentence: "power9, power10", with the bits of unknown ones as they are."""
    names = ", ".join(map(str, modes)) or "none that is known here"
    if unknown_bits:
        names += f", and {unknown_bits:#x}, bits of no mode known here"
    return names


def qemu_option(mode: CpuMode) -> str:
    """The option for QEMU's command line that gives a guest this mode.

    Source: the property ``max-cpu-compat`` of QEMU's pseries machines.
    """
    return f"-machine pseries,max-cpu-compat={mode}"


def libvirt_cpu(mode: CpuMode) -> str:
    """The element for a libvirt domain that gives a guest this mode.

    libvirt turns the model into ``max-cpu-compat``. ``check='none'``, because libvirt's own
    check compares with the physical processor, which need not be one that it knows.
    """
    return f"<cpu mode='host-model' check='none'><model>{mode}</model></cpu>"
