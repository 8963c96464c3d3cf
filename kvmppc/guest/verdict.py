"""Whether a guest starts on a host with the processor that its libvirt domain asks for.

How libvirt turns a domain for pseries under KVM into QEMU's command line:

- ``host-model`` with a model: ``-cpu host`` and ``max-cpu-compat=MODEL``, so this mode.
- ``host-model`` without a model, and ``host-passthrough``: ``-cpu host`` alone, which
  :mod:`kvmppc.guest.qemu` describes. Without ``<cpu>``, QEMU's default, which is the same.
- ``custom``: ``-cpu MODEL``. KVM presents only the physical processor, and refuses others.

A verdict depends on what the domain asks for, on the answer of the host, and on the place (QEMU,
libvirt, pages); not on the name of the host or the time.
"""

from __future__ import annotations

from kvmppc.guest import libvirt, qemu
from kvmppc.guest.advice import PAGE_LIMIT, libvirt_elements, modes_text, page_features
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

# Nested guests support radix only, which this processor was the first to have.
_OLDEST = GRANTABLE[0]


class Verdict(Value):
    """The answer for one domain on one host. Immutable.

    Attributes:
        answer: "yes", "no" or "unknown"; where only a hint is known, "likely yes" or
            "likely no".
        reason: what the domain asks for and what the host grants, in sentences.
        mode: the mode to write instead, if the answer is "no" or "likely no": the one that
            the domain names if the host grants it, else the newest; otherwise None.
        gets: the mode that the guest starts in, if the answer is "yes" or "likely yes"; None
            with another answer, and where the guest has no mode or its mode is not known.
        also: what else keeps the guest from starting here, besides the mode; a sentence each.
        place: the QEMU, libvirt and page size that the answer is valid for.
        instead: the elements to write for ``mode``; empty where there are none.
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
    """The part of a report that verdicts depend on, equal for hosts that are alike for guests.

    Immutable and hashable. The attributes are those of :class:`kvmppc.HostReport`.
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
        """The physical processor's own mode; None where the processor is not known."""
        return own_mode(self.cpu_physical)


def check_domain(
    domain: Domain, report: HostReport, place: Place | None = None, *, accept_hint: bool = False
) -> Verdict:
    """Returns whether a guest starts on the host of a report, with what its domain asks for.

    ``place`` has the versions of QEMU and libvirt, and the page size; see there for what is
    assumed where it has none. With ``accept_hint``, a hint counts as an answer, so "likely yes"
    becomes "yes" and "likely no" becomes "no".

    The answer is "unknown" for a domain of another architecture, machine or hypervisor, and on a
    host that gave no answer.
    """
    return judge(domain.asks, HostAnswer(report), place or Place(), accept_hint=accept_hint)


def is_about(domain: Domain, report: HostReport) -> bool:
    """Whether modes apply to a domain: it is for pseries under KVM on this host."""
    return domain.asks.type == "kvm" and _not_asked(domain.asks, HostAnswer(report)) is None


def judge(asks: Asks, host: HostAnswer, place: Place, *, accept_hint: bool = False) -> Verdict:
    """Does what :func:`check_domain` does, for callers with many domains and hosts."""
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
        # The mode is granted, or may be, but something else is wrong.
        reason += " But something else keeps the guest from starting."
        mode = mode or _named(asks, host) or _newest(host)
        limit = _limit_lacking(asks, place)
        if limit is not None and not instead:
            instead = (page_features(limit),)
        answer, gets = "no", None
    fields = {"answer": answer, "reason": reason, "mode": mode, "gets": gets, "also": also}
    return fill(Verdict.__new__(Verdict), **fields, place=place, instead=instead)


def elements(mode: CpuMode, asks: Asks, host: HostAnswer, place: Place) -> tuple[str, ...]:
    """The elements to write for a mode.

    Where the domain's own arguments for QEMU override <cpu>, the mode is in <qemu:commandline>.
    """
    words = asks.words
    if words.cpu is not None or words.property("max-cpu-compat") is not None:
        place = Place(place.qemu, place.libvirt, False, place.page_size)
    found = libvirt_elements(mode, place, host.cpu_physical)
    limit = asks.limit_lacking(place.page_size)
    if limit is not None and page_needed(limit) is None:
        # The domain allows larger pages than a guest without a limit.
        found += (page_features(limit),)
    return found


def _answer(asks: Asks, host: HostAnswer, place: Place) -> tuple[str, str, CpuMode | None]:
    """By the mode alone: answer, reason, and the mode to write instead (with yes: to expect)."""
    other = _not_asked(asks, host)
    if other is not None:
        return "unknown", other, None
    if asks.type == "qemu":
        return _emulated(asks, place)
    words = asks.words
    if words.unsure is not None:
        return "unknown", f"{_short(words.unsure)} in <qemu:commandline> may set the mode.", None
    unknown = _unknown_to_qemu(host.cpu_physical, host.revision, place)
    if unknown is not None:
        # No mode helps.
        return "no", unknown, None
    refused = _refused(asks, host, place)
    if refused is not None:
        return _no(asks, host, refused)
    if host.status not in _ANSWERED:
        return "unknown", f"The host gave no answer ({host.status}): {host.reason}", None
    answer, reason, mode = _by_mode(asks, host, place)
    knows = host.own_mode is not None or qemu.asks_kernel(place.qemu, host.revision)
    if knows or answer not in ("yes", "likely yes"):
        return answer, reason, mode
    # It is a later one than the table's, or a record's without a name.
    return "unknown", f"{reason} QEMU may not know the host's processor, as kvmppc does not.", None


def _emulated(asks: Asks, place: Place) -> tuple[str, str, CpuMode | None]:
    guest = "The guest is emulated (type qemu)"
    if asks.cpu_mode not in (None, "custom"):
        return "no", f"{guest}, and cannot use <cpu mode={_short(asks.cpu_mode)}>.", None
    lacks = _lacks_machine(asks, place)
    if lacks is not None:
        return "no", f"{guest}, but {lacks}", None
    unknown = _unknown_to_libvirt(_custom(asks), place, compares=False)
    if unknown is not None:
        return "no", f"{guest}, with the processor {_short(asks.cpu_model)}{unknown}", None
    return "yes", f"{guest} and does not use KVM.", None


def _not_asked(asks: Asks, host: HostAnswer) -> str | None:
    """Why modes do not apply to this domain; None where they do."""
    arch = asks.arch or host.machine
    if asks.type not in ("kvm", "qemu"):
        return f"The domain has type {_short(asks.type)}, not kvm."
    if not arch.startswith("ppc64"):
        return f"The domain is for {_short(arch)}. Only ppc64 has processor modes."
    machine = asks.started_machine
    if asks.type == "kvm" and machine is not None and not machine.startswith("pseries"):
        return f"The machine is {_short(machine)}. Only pseries supports processor modes."
    return None


def _lacks_machine(asks: Asks, place: Place) -> str | None:
    """That QEMU does not have the machine, a clause; None where it has, or may have."""
    machine = asks.started_machine
    if machine is None or place.qemu is None or qemu.has_machine(place.qemu, machine) is not False:
        return None
    version = qemu.version_text(place.qemu)
    return f"QEMU {version} does not have the machine {_short(machine)}: write 'pseries' instead."


def _refused(asks: Asks, host: HostAnswer, place: Place) -> str | None:
    """Why libvirt or QEMU refuses the domain on any host; None where neither does."""
    words = asks.words
    if words.wrong is not None:
        return f"QEMU does not accept {_short(words.wrong)}. Give the value as a separate argument."
    if "compat=" in words.cpu_properties:
        return "QEMU 6.0 removed the property compat of -cpu. Use max-cpu-compat of -machine."
    return _refused_by_libvirt(asks, host, place)


def unknown_processor(report: HostReport, place: Place) -> str | None:
    """Why the QEMU of a place starts no guest at all on a report's host; None where it does."""
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
            f"QEMU before {asks} does not know the processor {physical}. Later versions use a mode "
            "that this kernel grants."
        )
    return _first("QEMU", first, physical)


def _refused_by_libvirt(asks: Asks, host: HostAnswer, place: Place) -> str | None:
    mode, model, physical = asks.cpu_mode, asks.cpu_model, host.cpu_physical
    if mode == "maximum":
        return "libvirt does not support the mode maximum of <cpu> on Power."
    if mode == "host-model":
        if host.machine.startswith("ppc64") and not place.has_host_model(physical):
            refused = "libvirt has no host model on this host, so it refuses host-model."
            if physical is None or libvirt.knows(place.libvirt, physical):
                return refused
            first = _first("libvirt", libvirt.first_that_knows(physical), physical)
            return f"{refused} {first}"
        named = find_mode(model or "")
        if named is not None and named != model:
            return f"libvirt does not accept the mode {_short(model)}. Write {str(named)!r}."
    if mode == "custom" and model is not None:
        return _refused_custom(model, asks, host, place)
    return None


def _refused_custom(model: str, asks: Asks, host: HostAnswer, place: Place) -> str | None:
    """Why libvirt or KVM refuses the processor of custom; None where neither does."""
    named, own = find_processor(model), host.own_mode
    asked = f"The domain asks for the processor {_short(model)} (custom, passed as -cpu)"
    compares = asks.cpu_check not in ("none", "full")
    # kvm_pr, which gives no answer, presents others too.
    certain = compares or host.status in _ANSWERED
    if named is not None and own is not None and named.mode != own and certain:
        return f"{asked}. KVM presents only the physical one, {host.cpu_physical}."
    if compares and not place.has_host_model(host.cpu_physical):
        return f"{asked}. libvirt cannot compare it, because it does not know that of the host."
    if compares and asks.cpu_vendor not in (None, libvirt.VENDOR):
        return f"{asked} of {_short(asks.cpu_vendor)}. The vendor is {libvirt.VENDOR}."
    unknown = _unknown_to_libvirt(model, place, compares)
    return None if unknown is None else f"{asked}{unknown}"


def _unknown_to_libvirt(model: str | None, place: Place, compares: bool) -> str | None:
    """The end of a sentence on a processor that libvirt does not know; None where it may."""
    named = find_processor(model or "")
    if named is None:
        return ", which libvirt does not know." if compares else None
    if model is None or ("_" in model and not compares):
        return None
    in_table = libvirt.knows(place.libvirt, named)
    if in_table and model != named.upper():
        return f". libvirt spells it {named.upper()!r}."
    if not in_table and (compares or model != named):
        return ", which this libvirt does not know."
    return None


def _by_mode(asks: Asks, host: HostAnswer, place: Place) -> tuple[str, str, CpuMode | None]:
    """The verdict by the mode of the guest, on a host that answered or gave a hint."""
    words = asks.words
    compat = words.property("max-cpu-compat")
    if compat is None and asks.cpu_mode == "host-model":
        compat = asks.cpu_model
    processor = words.cpu if words.cpu is not None else _custom(asks)
    if processor is not None and processor != "host":
        named = find_processor(processor)
        asked = f"The guest gets the processor {_short(processor)} (-cpu)"
        if named is None:
            return "unknown", f"{asked}, which kvmppc does not know.", None
        if host.own_mode is None:
            return "unknown", f"{asked}. The host's processor is not known.", None
        if named.mode != host.own_mode:
            physical = f"KVM presents only the physical one, {host.cpu_physical}."
            return _no(asks, host, f"{asked}. {physical}")
        if not compat:
            return _physical(asks, host, place, asked, by_name=True)
    if compat:
        return _mode(asks, host, place, compat)
    if asks.cpu_mode not in (None, "custom", "host-model", "host-passthrough"):
        return (
            "unknown",
            f"What the mode {_short(asks.cpu_mode)} of <cpu> does on Power is not known.",
            None,
        )
    cpu_mode = asks.cpu_mode if words.cpu is None else "custom"
    what = {
        None: "Without a processor in the domain",
        "custom": "With -cpu host in <qemu:commandline>",
        "host-model": "With host-model without a <model> (-cpu host)",
        "host-passthrough": "With host-passthrough (-cpu host)",
    }[cpu_mode]
    return _physical(asks, host, place, what)


def _custom(asks: Asks) -> str | None:
    return asks.cpu_model if asks.cpu_mode == "custom" else None


def _mode(asks: Asks, host: HostAnswer, place: Place, name: str) -> tuple[str, str, CpuMode | None]:
    """A mode by its name: max-cpu-compat."""
    asked = f"The domain asks for the mode {_short(name)}"
    mode = find_mode(name)
    if mode is None and host.unknown_bits:
        return "unknown", f"{asked}, which kvmppc does not know. {_grants(host)}", None
    if mode is None or mode != name or qemu.knows(place.qemu, mode) is False:
        return _no(asks, host, f"{asked}, which QEMU does not know. {_grants(host)}")
    if host.own_mode is not None and mode > host.own_mode:
        physical = f"The processor, {host.cpu_physical}, is older."
        return _no(asks, host, f"{asked}. {physical} {_grants(host)}")
    if mode < _OLDEST:
        if host.platform == "powernv":
            return "unknown", f"{asked}, which requires a hash page table.", None
        return _no(asks, host, f"{asked}. Nested guests support radix only, so {_OLDEST} or later.")
    if host.status == "known":
        if mode in host.modes:
            return "yes", f"{asked}. {_grants(host)}", mode
        if host.unknown_bits and not mode.bit:
            return "unknown", f"{asked}. {_grants(host)}", None
        return _no(asks, host, f"{asked}. {_grants(host)}")
    return _by_hint(asks, host, asked, mode)


def _physical(
    asks: Asks, host: HostAnswer, place: Place, asked: str, by_name: bool = False
) -> tuple[str, str, CpuMode | None]:
    """-cpu host without a mode, or the physical processor by its name."""
    own = host.own_mode
    if place.wrapped and host.modes:
        adds = f"{qemu.WRAPPER} adds the newest granted mode, {host.newest}."
        return "yes", f"{asked}{'.' if by_name else ','} {adds} {_grants(host)}", _newest(host)
    asks_kernel = qemu.asks_kernel(place.qemu, host.revision)
    if asks_kernel and not by_name and host.modes:
        version = qemu.version_text(qemu.ASKS)
        takes = f"QEMU {version} and later use the newest granted mode, {host.newest}."
        return "yes", f"{asked}, {takes} {_grants(host)}", _newest(host)
    if not by_name:
        asked = f"{asked}, QEMU presents the physical processor"
    if own is None:
        return "unknown", f"{asked}, which is not known.", None
    if not by_name:
        asked = f"{asked}, {host.cpu_physical}"
    if host.status == "hint":
        return _by_hint(asks, host, asked, own)
    if own in host.modes:
        return "yes", f"{asked}. {_grants(host)}", own
    if asks_kernel and by_name:
        return "unknown", f"{asked}. How QEMU 11.2 and later treat it is not known.", None
    return _no(asks, host, f"{asked}. {_grants(host)}")


def _by_hint(
    asks: Asks, host: HostAnswer, asked: str, mode: CpuMode
) -> tuple[str, str, CpuMode | None]:
    """The verdict for a mode by a hint, which is the mode of the host itself."""
    hint = _newest(host)
    says = f"{asked}. {_grants(host)}"
    if hint is None or mode < hint:
        return "unknown", f"{says} It does not say whether {mode} is granted.", None
    if mode == hint:
        return "likely yes", says, mode
    why = (
        f"Where the hypervisor is QEMU, such a guest may start on this kernel, as {mode}. From "
        "Linux 7.3 on it does not start, because KVM enforces the granted modes."
    )
    return "likely no", f"{says} {why}", _named(asks, host) or hint


def _no(asks: Asks, host: HostAnswer, reason: str) -> tuple[str, str, CpuMode | None]:
    return "no", reason, _named(asks, host) or _newest(host)


def _named(asks: Asks, host: HostAnswer) -> CpuMode | None:
    """The mode that a domain names, if the host grants it."""
    name = asks.words.property("max-cpu-compat") or asks.cpu_model or ""
    named = find_processor(name)
    return named.mode if named is not None and named.mode in host.modes else None


def _newest(host: HostAnswer) -> CpuMode | None:
    """The newest mode granted, or the hint."""
    mode = host.hint if host.status == "hint" else host.newest
    return mode if isinstance(mode, CpuMode) else None


def _also(asks: Asks, host: HostAnswer, place: Place) -> Iterator[str]:
    """What keeps the guest from starting here, besides its mode."""
    words = asks.words
    lacks = _lacks_machine(asks, place)
    if lacks is not None:
        yield lacks
    if asks.migratable == "on" or (asks.migratable and asks.cpu_mode != "host-passthrough"):
        yield "libvirt does not support migratable= on Power: remove it."
    if asks.cpu_features:
        names = ", ".join(map(_short, asks.cpu_features[:3]))
        yield (
            "on Power, <cpu> has no <feature>, <cache>, <maxphysaddr> or vendor_id: "
            f"remove {names}."
        )
    htm = asks.htm or ("on" if qemu.turns_htm_on(asks.started_machine) else None)
    if _is_on(htm, words.property("cap-htm")) and (host.own_mode or _OLDEST) > _OLDEST:
        yield f"{host.cpu_physical} has no transactional memory: turn <htm> off."
    nested = _is_on(asks.nested_hv, words.property("cap-nested-hv"))
    if nested and host.nested_api == 2:
        yield "under nested API v2, guests cannot have nested guests: turn <nested-hv> off."
    limit = _limit_lacking(asks, place)
    if limit is not None:
        yield (
            f"the host has pages of {size_text(limit)}: set "
            f"{PAGE_LIMIT}={limit >> 10}k (<maxpagesize>), or the guest does not start."
        )


def _limit_lacking(asks: Asks, place: Place) -> int | None:
    """The page limit that the guest lacks here, in bytes; None if none."""
    # The wrapper adds a limit to a guest without one.
    if place.wrapped and not (asks.page_limit or asks.words.property(PAGE_LIMIT)):
        return None
    return asks.limit_lacking(place.page_size)


def _is_on(state: str | None, word: str | None) -> bool:
    """Whether a feature is on; an argument for QEMU takes precedence over the domain."""
    return state == "on" if word is None else word in qemu.ON


def _grants(host: HostAnswer) -> str:
    """What the host grants, a sentence; with its own mode where that is a compatibility mode."""
    if host.status == "hint":
        return f"The kernel reports no modes. The host runs in {host.hint} mode, which is a hint."
    own, physical = host.cpu_effective, host.own_mode
    itself = f" runs in {own} mode, and" if own and physical and own != physical else ""
    return f"The host{itself} grants {modes_text(host.modes, host.unknown_bits or 0)}."


def _first(program: str, version: tuple[int, int] | None, processor: str) -> str:
    """A sentence with the first version of a program that knows a processor."""
    if version is None:
        return f"No version of {program} is known to support the processor {processor}."
    return f"The processor {processor} needs {program} {qemu.version_text(version)} or later."


def _short(text: str | None) -> str:
    """Text from a file, in quotes, in ASCII, and at most 60 characters of it."""
    text = text or ""
    return ascii(text if len(text) <= 60 else text[:57] + "...")
