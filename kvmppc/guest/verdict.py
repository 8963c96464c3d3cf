"""Whether a guest starts on a host as its libvirt domain asks for it.

What libvirt and QEMU make of a domain for pseries under KVM, as far as it matters here:

``host-model`` with a model: ``-cpu host`` and ``max-cpu-compat=MODEL``, so that mode.
``host-model`` without, ``host-passthrough``: ``-cpu host`` alone. No ``<cpu>``: QEMU's default,
which under KVM is the same. What ``-cpu host`` alone is, :mod:`kvmppc.guest.qemu` tells.
``custom``: ``-cpu MODEL``. KVM presents the physical processor and no other, so this is refused
where the model does not name it.

A verdict depends on what the domain asks for, on what the host answered, and on the place
(QEMU, libvirt, pages), and on nothing else: not on the host's name or the time.
"""

from __future__ import annotations

from kvmppc.guest import libvirt, qemu
from kvmppc.guest.advice import PAGE_LIMIT, libvirt_elements, modes_text
from kvmppc.guest.place import Place, page_needed, size_text
from kvmppc.processors import GRANTABLE, CpuMode, find_mode, find_processor, own_mode
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from kvmppc.guest.domain import Asks, Domain
    from kvmppc.report import HostReport

    Answer = Literal["yes", "likely yes", "unknown", "likely no", "no"]

_ANSWERED = ("known", "hint")

# Nested guests are radix only, and that began with this one.
_OLDEST = GRANTABLE[0]


class Verdict(Value):
    """The answer for one domain on one host, immutable.

    Attributes:
        answer: "yes", "no", "unknown" where it cannot be told; by a hint, "likely yes" or
            "likely no" where it is not certain.
        reason: what the domain asks for and what the host grants, in sentences.
        mode: the mode to write instead, where the answer is "no" or "likely no": the one that
            the domain names if the host grants it, else the newest. None else.
        gets: the mode that the guest starts in, where the answer is "yes" or "likely yes"; None
            with another answer, and where no mode is known or asked for.
        also: what is no mode but keeps the guest from starting here, a sentence each.
        place: the QEMU, libvirt and pages that it holds for.
        instead: the elements to write for ``mode``; empty where there is none.
    """

    __slots__ = ("also", "answer", "gets", "instead", "mode", "place", "reason")

    answer: Answer
    reason: str
    mode: CpuMode | None
    gets: CpuMode | None
    also: tuple[str, ...]
    place: Place
    instead: tuple[str, ...]

    def __repr__(self) -> str:
        instead = "" if self.mode is None else f" mode={self.mode}"
        return f"<kvmppc.guest.verdict.Verdict {self.answer}{instead}>"


class HostAnswer(Value):
    """What a verdict needs of a report: equal for hosts that have the same answer for guests.

    Attributes: those of :class:`kvmppc.HostReport`, without the host's name and the time.
    """

    __slots__ = (
        "cpu_effective",
        "cpu_physical",
        "hint",
        "machine",
        "modes",
        "nested_api",
        "newest",
        "page_size",
        "platform",
        "reason",
        "revision",
        "status",
        "unknown_bits",
    )

    cpu_effective: str | None
    cpu_physical: str | None
    hint: str | None
    machine: str
    modes: tuple[str, ...]
    nested_api: int | None
    newest: str | None
    page_size: int | None
    platform: str | None
    reason: str
    revision: str | None
    status: str
    unknown_bits: int | None

    def __init__(self, report: HostReport) -> None:
        fill(self, **{name: getattr(report, name) for name in self.__slots__})

    @property
    def own_mode(self) -> CpuMode | None:
        """The physical processor's own mode, None where the processor is not known here."""
        return own_mode(self.cpu_physical)


def check_domain(
    domain: Domain, report: HostReport, place: Place | None = None, *, accept_hint: bool = False
) -> Verdict:
    """Tells whether a guest starts on the host of a report, as its domain asks for it.

    ``place`` tells of QEMU, libvirt and pages; what it leaves out is taken as it says, and the
    pages are the report's. With ``accept_hint``, a hint is taken for an answer, and what is
    likely for certain.

    "unknown" is the answer for a domain that the question is not about (for another
    architecture, machine or hypervisor), and for a host that gave no answer.
    """
    return judge(domain.asks, HostAnswer(report), place or Place(), accept_hint=accept_hint)


def is_about(domain: Domain, report: HostReport) -> bool:
    """Whether a domain is one that modes are about: for pseries under KVM, on this host."""
    return domain.asks.type == "kvm" and _not_asked(domain.asks, HostAnswer(report)) is None


def judge(asks: Asks, host: HostAnswer, place: Place, *, accept_hint: bool = False) -> Verdict:
    """The same of what :func:`check_domain` takes out of its arguments, for many of both."""
    place = place.on(host.page_size)
    answer, reason, mode = _answer(asks, host, place)
    certain = {"likely yes": "yes", "likely no": "no"}
    if accept_hint:
        answer = certain.get(answer, answer)
    gets = None
    if answer not in ("no", "likely no"):
        mode, gets = None, mode
    also: tuple[str, ...] = ()
    if asks.type == "kvm" and host.status in _ANSWERED and _not_asked(asks, host) is None:
        also = tuple(_also(asks, host, place))
    instead = () if mode is None else elements(mode, asks, host, place)
    if also and answer not in ("no", "unknown"):
        # The mode is well, or may be; something else is not.
        reason += " But something else keeps the guest from starting."
        mode = mode or _named(asks, host) or _newest(host)
        limit = [] if instead or mode is None else elements(mode, asks, host, place)
        answer, gets, instead = (
            "no",
            None,
            instead or tuple(one for one in limit if "<maxpagesize" in one),
        )
    fields = {"answer": answer, "reason": reason, "mode": mode, "gets": gets, "also": also}
    return fill(Verdict.__new__(Verdict), **fields, place=place, instead=instead)


def elements(mode: CpuMode, asks: Asks, host: HostAnswer, place: Place) -> tuple[str, ...]:
    """What to write for a mode; all of it in QEMU's words where the domain's own override <cpu>."""
    words = asks.words
    if words.cpu is not None or words.property("max-cpu-compat") is not None:
        place = Place(place.qemu, place.libvirt, False, place.page_size)
    return libvirt_elements(mode, place, host.cpu_physical)


def _answer(asks: Asks, host: HostAnswer, place: Place) -> tuple[str, str, CpuMode | None]:
    """By the mode alone: answer, reason, and the mode to write instead; with yes, the guest's."""
    other = _not_asked(asks, host)
    if other is not None:
        return "unknown", other, None
    if asks.type == "qemu":
        return "yes", "An emulated guest (type qemu) asks KVM for nothing.", None
    words = asks.words
    if words.unsure is not None:
        return "unknown", f"{_short(words.unsure)} in <qemu:commandline> may set the mode.", None
    unknown = _unknown_to_qemu(host.cpu_physical, host.revision, place)
    if unknown is not None:
        # No mode mends that.
        return "no", unknown, None
    refused = _refused(asks, host, place)
    if refused is not None:
        return _no(asks, host, refused)
    if host.status not in _ANSWERED:
        return "unknown", f"The host gave no answer ({host.status}): {host.reason}", None
    return _by_mode(asks, host, place)


def _not_asked(asks: Asks, host: HostAnswer) -> str | None:
    """Why the question is not one for this domain; None where it is."""
    arch = asks.arch or host.machine
    if asks.type not in ("kvm", "qemu"):
        return f"The domain is of type {_short(asks.type)}, not kvm."
    if not arch.startswith("ppc64"):
        return f"The domain is for {_short(arch)}: only ppc64 has modes to be granted."
    machine = asks.words.property("type") or asks.machine
    if asks.type == "kvm" and machine is not None and not machine.startswith("pseries"):
        return f"The machine is {_short(machine)}: only pseries can be given a mode."
    return None


def _refused(asks: Asks, host: HostAnswer, place: Place) -> str | None:
    """Why libvirt or QEMU refuses, whatever the host grants; None where neither does."""
    words = asks.words
    if words.wrong is not None:
        return f"QEMU takes no value within a word, as in {_short(words.wrong)}."
    if "compat=" in words.cpu_properties:
        return "QEMU has no compat property of -cpu since 6.0: the mode is max-cpu-compat."
    return _refused_by_libvirt(asks, host, place)


def unknown_processor(report: HostReport, place: Place) -> str | None:
    """Why the QEMU of a place starts no guest on a report's host at all; None where it does."""
    return _unknown_to_qemu(report.cpu_physical, report.revision, place)


def _unknown_to_qemu(physical: str | None, revision: str | None, place: Place) -> str | None:
    if physical is None or qemu.asks_kernel(place.qemu, revision):
        return None
    if qemu.knows(place.qemu, physical) is not False:
        return None
    first = qemu.first_that_knows(physical)
    if first is None and qemu.asks_kernel(qemu.ASKS, revision):
        asks = qemu.version_text(qemu.ASKS)
        return (
            f"QEMU before {asks} does not know the processor {physical}; from {asks} on it goes "
            "by what this kernel grants."
        )
    return _first("QEMU", first, physical)


def _refused_by_libvirt(asks: Asks, host: HostAnswer, place: Place) -> str | None:
    mode, model, physical = asks.cpu_mode, asks.cpu_model, host.cpu_physical
    if mode == "maximum":
        return "libvirt refuses maximum on Power."
    if mode == "host-model":
        if host.machine.startswith("ppc64") and not place.has_host_model(physical):
            refused = "libvirt has no host model here, and refuses host-model."
            if physical is None or libvirt.knows(place.libvirt, physical):
                return refused
            first = _first("libvirt", libvirt.first_that_knows(physical), physical)
            return f"{refused} {first}"
        named = find_mode(model or "")
        if named is not None and named != model:
            return f"libvirt refuses the mode {_short(model)}: it is spelt {str(named)!r}."
    if mode == "custom" and model is not None:
        return _refused_custom(model, asks, host, place)
    return None


def _refused_custom(model: str, asks: Asks, host: HostAnswer, place: Place) -> str | None:
    """Why libvirt refuses a processor by its name."""
    named, own = find_processor(model), host.own_mode
    asked = f"The domain asks for the processor {_short(model)} (custom, which is -cpu)"
    if named is not None and own is not None and named.mode != own:
        return f"{asked}. KVM presents none but the physical one, {host.cpu_physical}."
    compares = asks.cpu_check not in ("none", "full")
    if compares and not place.has_host_model(host.cpu_physical):
        return f"{asked}, which libvirt cannot compare: it does not know the host's."
    if compares and asks.cpu_vendor not in (None, libvirt.VENDOR):
        return f"{asked} of the vendor {_short(asks.cpu_vendor)}: here it is {libvirt.VENDOR}."
    if named is None:
        return f"{asked}, which libvirt does not know." if compares else None
    if "_" in model and not compares:
        return None
    in_table = libvirt.knows(place.libvirt, named)
    if in_table and model != named.upper():
        return f"{asked}: the {named.label}, which libvirt spells {named.upper()!r}."
    if not in_table and (compares or model != named):
        return f"{asked}, which this libvirt does not know."
    return None


def _by_mode(asks: Asks, host: HostAnswer, place: Place) -> tuple[str, str, CpuMode | None]:
    """The verdict by the mode that the guest gets, on a host that answered or has a hint."""
    words = asks.words
    compat = words.property("max-cpu-compat")
    if compat is None and asks.cpu_mode == "host-model":
        compat = asks.cpu_model
    processor = words.cpu if words.cpu is not None else _custom(asks)
    if processor is not None and processor != "host":
        named = find_processor(processor)
        asked = f"The guest is given the processor {_short(processor)} (-cpu)"
        if named is None:
            return "unknown", f"{asked}, which is not known here.", None
        if host.own_mode is None:
            return "unknown", f"{asked}. The host's processor is not known.", None
        if named.mode != host.own_mode:
            physical = f"KVM presents none but the physical one, {host.cpu_physical}."
            return _no(asks, host, f"{asked}. {physical}")
        if not compat:
            return _physical(asks, host, place, asked, by_name=True)
    if compat:
        return _mode(asks, host, place, compat)
    if asks.cpu_mode not in (None, "custom", "host-model", "host-passthrough"):
        return "unknown", f"What {_short(asks.cpu_mode)} gives on Power is not known.", None
    what = {
        None: "names no processor, which is QEMU's default",
        "custom": "has its own -cpu",
        "host-model": "has host-model without a <model>, which is -cpu host",
        "host-passthrough": "has host-passthrough, which is -cpu host",
    }[asks.cpu_mode]
    return _physical(asks, host, place, f"The domain {what}")


def _custom(asks: Asks) -> str | None:
    return asks.cpu_model if asks.cpu_mode == "custom" else None


def _mode(asks: Asks, host: HostAnswer, place: Place, name: str) -> tuple[str, str, CpuMode | None]:
    """A mode by its name: max-cpu-compat."""
    asked = f"The domain asks for the mode {_short(name)}"
    mode = find_mode(name)
    if mode is None and host.unknown_bits:
        return "unknown", f"{asked}, which is not known here. {_grants(host)}", None
    if mode is None or mode != name or qemu.knows(place.qemu, mode) is False:
        return _no(asks, host, f"{asked}, which QEMU does not know. {_grants(host)}")
    if host.own_mode is not None and mode > host.own_mode:
        physical = f"The processor is an earlier one, {host.cpu_physical}."
        return _no(asks, host, f"{asked}. {physical} {_grants(host)}")
    if mode < _OLDEST:
        if host.platform == "powernv":
            return "unknown", f"{asked}, which wants a hash page table.", None
        return _no(asks, host, f"{asked}. Nested guests are radix only: {_OLDEST} and later.")
    if host.status == "known":
        if mode in host.modes:
            return "yes", f"{asked}. {_grants(host)}", mode
        return _no(asks, host, f"{asked}. {_grants(host)}")
    return _by_hint(asks, host, asked, mode)


def _physical(
    asks: Asks, host: HostAnswer, place: Place, asked: str, by_name: bool = False
) -> tuple[str, str, CpuMode | None]:
    """-cpu host without a mode, or the physical processor by its name."""
    own = host.own_mode
    if place.wrapped and host.modes:
        asked = f"{asked}. {qemu.WRAPPER} adds the newest mode granted, {host.newest}."
        return "yes", f"{asked} {_grants(host)}", None
    asks_kernel = qemu.asks_kernel(place.qemu, host.revision)
    if asks_kernel and not by_name and host.modes:
        version = qemu.version_text(qemu.ASKS)
        asked = f"{asked}. From {version} on QEMU takes the newest mode granted, {host.newest}."
        return "yes", f"{asked} {_grants(host)}", _newest(host)
    if own is None:
        return "unknown", f"{asked}. The host's processor is not known.", None
    if not by_name:
        asked = f"{asked}: to QEMU the physical processor, {host.cpu_physical}"
    if host.status == "hint":
        return _by_hint(asks, host, asked, own)
    if own in host.modes:
        return "yes", f"{asked}. {_grants(host)}", own
    if asks_kernel and by_name:
        return "unknown", f"{asked}. What QEMU from 11.2 on makes of it is not known.", None
    return _no(asks, host, f"{asked}. {_grants(host)}")


def _by_hint(
    asks: Asks, host: HostAnswer, asked: str, mode: CpuMode
) -> tuple[str, str, CpuMode | None]:
    """What a hint, the host's own mode, says to a mode up to the processor's own."""
    hint = _newest(host)
    says = f"{asked}. {_grants(host)}"
    if hint is None or mode < hint:
        return "unknown", f"{says} Of {mode} it does not speak.", None
    if mode == hint:
        return "likely yes", says, mode
    why = (
        f"On this kernel such a guest may start all the same, as {mode}, where the hypervisor is "
        "QEMU; from Linux 7.3 on it does not: KVM then holds guests to what is granted."
    )
    return "likely no", f"{says} {why}", _named(asks, host) or hint


def _no(asks: Asks, host: HostAnswer, reason: str) -> tuple[str, str, CpuMode | None]:
    return "no", reason, _named(asks, host) or _newest(host)


def _named(asks: Asks, host: HostAnswer) -> CpuMode | None:
    """The mode that a domain means, if the host grants it."""
    name = asks.words.property("max-cpu-compat") or asks.cpu_model or ""
    named = find_processor(name)
    return named.mode if named is not None and named.mode in host.modes else None


def _newest(host: HostAnswer) -> CpuMode | None:
    """The newest mode granted, or the hint."""
    mode = host.hint if host.status == "hint" else host.newest
    return mode if isinstance(mode, CpuMode) else None


def _also(asks: Asks, host: HostAnswer, place: Place) -> Iterator[str]:
    """What is no mode, but keeps the guest from starting here."""
    words = asks.words
    if asks.migratable == "on" or (asks.migratable and asks.cpu_mode != "host-passthrough"):
        yield "libvirt refuses migratable= here: leave it out."
    if asks.cpu_features:
        names = ", ".join(map(_short, asks.cpu_features[:3]))
        yield f"QEMU has no <feature> of a processor on Power: leave out {names}."
    if _is_on(asks.htm, words.property("cap-htm")) and (host.own_mode or _OLDEST) > _OLDEST:
        yield f"{host.cpu_physical} has no transactional memory: <htm> has to be off."
    nested = _is_on(asks.nested_hv, words.property("cap-nested-hv"))
    if nested and host.nested_api == 2:
        yield "under nested API v2 a guest cannot nest in its turn: <nested-hv> has to be off."
    limit = page_needed(place.page_size)
    if limit is None or asks.huge_pages or place.wrapped:
        return
    said = words.property(PAGE_LIMIT)
    allowed = asks.page_limit if said is None else qemu.read_size(said)
    if (allowed or qemu.GUEST_PAGE) > limit:
        yield (
            f"this kernel has pages of {size_text(limit)}: without "
            f"{PAGE_LIMIT}={limit >> 10}k (<maxpagesize>) no guest starts."
        )


def _is_on(state: str | None, word: str | None) -> bool:
    """Whether a feature is on; QEMU's own word counts before libvirt's."""
    return state == "on" if word is None else word in ("on", "yes", "true", "y")


def _grants(host: HostAnswer) -> str:
    own = host.cpu_effective
    physical = host.own_mode
    itself = f", itself in {own} mode," if own and physical and own != physical else ""
    if host.status == "hint":
        return f"The host{itself} cannot be asked; its own mode, {host.hint}, is a hint."
    modes = modes_text(host.modes, host.unknown_bits or 0)
    return f"The host{itself} grants {modes}."


def _first(program: str, version: tuple[int, int] | None, processor: str) -> str:
    """Which version of a program is the first to know a processor, a sentence."""
    if version is None:
        return f"{program} does not know the processor {processor}, as far as is known here."
    return f"Only {program} from {qemu.version_text(version)} on knows the processor {processor}."


def _short(text: str | None) -> str:
    """Text from a file, in quotes, cut off where it is long, with nothing but ASCII."""
    text = text or ""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
