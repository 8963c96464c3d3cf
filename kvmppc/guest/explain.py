"""What QEMU, libvirt and the kernel say when a guest does not start, and what to do about it.

One table: a message as it stands in a log, what failed, why, and what mends it.
"""

from __future__ import annotations

import re

from kvmppc.guest.advice import AdviceError, choose_mode, granted_text, qemu_option
from kvmppc.guest.place import Place
from kvmppc.processors import CpuMode, label_of
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from kvmppc.report import HostReport

_MODE = (
    "Give it a mode that is granted: kvmppc advise --for qemu prints {words}; for a libvirt domain "
    "kvmppc check --fix DOMAIN.xml."
)
_CHECK = "kvmppc check DOMAIN.xml says what to write instead, and --fix writes it."
_ADVISE_LIBVIRT = "kvmppc advise --for libvirt prints the element that is right here."
_DOCTOR = "kvmppc doctor goes through the steps, and says what to do."
_MITIGATION = (
    "KVM does not offer the protection from speculative execution that QEMU's machine type asks "
    "for: the firmware is old, or the host is emulated."
)
_FIRMWARE = "Update the firmware; where that cannot be, start with -machine {property} added."

# The message, a regular expression; what failed; why; what to do. The first that fits counts.
# Sources: QEMU's hw/ppc/spapr*.c, target/ppc/kvm.c and compat.c, libvirt's src/cpu/cpu_ppc64.c and
# src/qemu, Linux's arch/powerpc/kvm; seen on running software where docs/testing.md says so.
_TABLE: tuple[tuple[str, str, str, str], ...] = (
    (
        r"kvm run failed Invalid argument",
        "QEMU started the guest, and KVM refused to run it in the mode that it has.",
        "Without a mode, QEMU before 11.2 gives a guest the physical processor; a host that itself "
        "runs in the mode of an earlier one cannot grant that.",
        _MODE,
    ),
    (
        r"Unable to set CPU compatibility mode in KVM",
        "KVM refused the mode that the guest was given (max-cpu-compat; libvirt: <model>).",
        "The hypervisor does not grant this mode.",
        _MODE,
    ),
    (
        r"KVM-NESTEDv2: couldn't set guest wide elements",
        "The hypervisor refused the guest's mode: the kernel's side of QEMU's message.",
        "The guest has no mode, or one that is not granted.",
        _MODE,
    ),
    (
        r"Compatibility PVR 0x(?P<number>[0-9a-fA-F]{8}) not valid for CPU",
        "QEMU refused the mode {mode}.",
        "It is newer than the processor, or from QEMU 11.2 on newer than what the kernel grants.",
        _MODE,
    ),
    (
        r"unable to find CPU model 'host'",
        "QEMU does not know this host's processor.",
        "It is older than the processor: QEMU before 9.2 knows no Power11.",
        "Install a later QEMU. No mode helps.",
    ),
    (
        r"unable to find CPU model '",
        "QEMU knows no processor of this name.",
        "-cpu names it; under KVM only host is right.",
        "Use -cpu host. " + _MODE,
    ),
    (
        r"KVM: failed to get host CPU compat capabilities",
        "QEMU asked the kernel which modes it grants, and got no answer.",
        "QEMU from 11.2 on asks; where it gets no answer it goes by the physical processor.",
        "kvmppc probe asks the same, and says why it is refused.",
    ),
    (
        r"Couldn't negotiate a suitable PVR during CAS",
        "The guest's own system accepts none of the modes that it was given.",
        "The system in the guest is too old for the mode, or needs a later one (RHEL 9 and "
        "Ubuntu 22.04 need POWER9).",
        "Give it another mode that is granted: kvmppc advise --for qemu --mode MODE.",
    ),
    (
        r"Can't support \d+ kiB guest pages with \d+ kiB host pages",
        "QEMU refused the guest: it could use larger pages than the host has.",
        "The host's kernel has small pages, usually 4 KiB; guests have up to 64 KiB unless told.",
        "kvmppc advise prints the words with cap-hpt-max-page-size (here: {words}). Or boot the "
        "host's kernel with pages of 64 KiB.",
    ),
    (
        r"Requested safe cache capability level not supported",
        "QEMU refused the guest: cap-cfpc.",
        _MITIGATION,
        _FIRMWARE.format(property="cap-cfpc=broken"),
    ),
    (
        r"Requested safe bounds check capability level not supported",
        "QEMU refused the guest: cap-sbbc.",
        _MITIGATION,
        _FIRMWARE.format(property="cap-sbbc=broken"),
    ),
    (
        r"Requested safe indirect branch capability level not supported",
        "QEMU refused the guest: cap-ibs.",
        _MITIGATION,
        _FIRMWARE.format(property="cap-ibs=broken"),
    ),
    (
        r"Requested count cache flush assist capability level not supported",
        "QEMU refused the guest: cap-ccf-assist.",
        _MITIGATION,
        _FIRMWARE.format(property="cap-ccf-assist=off"),
    ),
    (
        r"HPT not supported in nested guests",
        "The guest wants a hash page table.",
        "Modes before POWER9 have no other, and nested guests are radix only.",
        _MODE,
    ),
    (
        r"Register sync failed|only \"-cpu host\" is possible",
        "KVM refused the processor that -cpu names (libvirt: custom).",
        "KVM presents none but the physical processor.",
        "Use -cpu host. " + _MODE,
    ),
    (
        r"Invalid max-cpu-compat (mode|value)|Invalid compatibility mode",
        "QEMU does not know the mode that max-cpu-compat names.",
        "It is misspelt (power10, in small letters), or this QEMU is older than the mode.",
        _MODE,
    ),
    (
        r"Property '[\w.-]*cpu\.compat' not found",
        "QEMU has no property compat of -cpu.",
        "It was removed in QEMU 6.0; the mode is a property of the machine now.",
        _MODE,
    ),
    (
        r"Property '[\w.-]*cpu\.[\w-]+' not found",
        "QEMU has no such feature of a processor.",
        "On Power a processor has no features to switch; libvirt passes <feature> on all the same.",
        "Leave the <feature> out of <cpu>.",
    ),
    (
        r"does not support Transactional Memory",
        "QEMU refused the guest: cap-htm is on (libvirt: <htm state='on'/>).",
        "POWER10 and later have no transactional memory, and nested guests none on POWER9.",
        "Switch it off: -machine cap-htm=off. " + _CHECK,
    ),
    (
        r"[Nn]ested-HV",
        "QEMU refused the guest: cap-nested-hv is on (libvirt: <nested-hv state='on'/>).",
        "The guest of a guest can nest in its turn under nested API v1 only.",
        "Switch it off: -machine cap-nested-hv=off. " + _CHECK,
    ),
    (
        r"Unable to create \d+MiB RMA",
        "QEMU could not give the guest its first memory.",
        "A guest with a hash page table gets little; modes before POWER9 have no other.",
        _MODE,
    ),
    (
        r"CPU mode 'host-model' for ppc64(le)? kvm domain on ppc64(le)? host is not supported",
        "libvirt refused host-model.",
        "It does not know this host's processor: libvirt before 11.4 knows no Power11.",
        "Write host-passthrough and the mode in <qemu:commandline>. " + _ADVISE_LIBVIRT,
    ),
    (
        r"Unknown compatibility mode",
        "libvirt knows no mode of the name in <model>.",
        "In host-model it is spelt in small letters (power10), and libvirt before 11.4 knows no "
        "power11.",
        _ADVISE_LIBVIRT,
    ),
    (
        r"Unknown CPU model|cannot translate CPU model",
        "libvirt knows no processor of the name in <model>.",
        "In custom it is spelt as libvirt's own table does (POWER10); virt-install --cpu power10 "
        "writes it in small letters.",
        _ADVISE_LIBVIRT + " For virt-install: kvmppc advise --for virt-install.",
    ),
    (
        r"host CPU model does not match required CPU model",
        "libvirt refused a custom processor that is not the physical one.",
        "KVM presents none but the physical processor; earlier ones are modes.",
        _CHECK,
    ),
    (
        r"host CPU vendor does not match required CPU vendor",
        "libvirt refused a custom processor of another vendor.",
        "All of them are IBM's here.",
        _CHECK,
    ),
    (
        r"unknown host CPU",
        "libvirt cannot compare a custom processor with the host's.",
        "It does not know this host's processor: libvirt before 11.4 knows no Power11.",
        _ADVISE_LIBVIRT,
    ),
    (
        r"the CPU is incompatible with host CPU(?!: )",
        "libvirt refused the mode in <model>.",
        "It is newer than the physical processor.",
        _CHECK,
    ),
    (
        r"maximum CPU is not supported by QEMU binary",
        "libvirt refused the mode maximum of <cpu>.",
        "QEMU has no such processor on Power.",
        _CHECK,
    ),
    (
        r"Migratable attribute for host-passthrough CPU is not supported",
        "libvirt refused migratable='on' of <cpu>.",
        "QEMU has no such property on Power.",
        _CHECK,
    ),
    (
        r"kvmppc: [^:]{1,80} is not (started|restored|migrated)",
        "The hook for libvirt stopped the guest: it would have failed a moment later.",
        "The line itself goes on with the reason.",
        "Do what it says after 'Write instead'. " + _CHECK,
    ),
    (
        r"Parent hypervisor does not support nesting",
        "kvm_hv was not loaded: this host cannot have nested guests.",
        "The hypervisor gives it no nesting.",
        "Ask for a KVM-capable partition (PowerVM: on the HMC; QEMU: cap-nested-papr=on or "
        "cap-nested-hv=on). " + _DOCTOR,
    ),
    (
        r"KVM_CREATE_VM\) failed|PPC KVM module is not loaded",
        "KVM can make no VM here.",
        "kvm_hv is not loaded, the hypervisor gives no nesting, or the host runs in a mode before "
        "POWER9.",
        _DOCTOR,
    ),
    (
        r"Could not access KVM kernel module|failed to initialize kvm",
        "QEMU could not open /dev/kvm.",
        "It is not there, was not passed to the container, or this user may not open it.",
        _DOCTOR,
    ),
)
# Each message has one of these, which most lines of a log have not: to look for them first makes
# long logs ten times as fast to read.
_MARKS = ("not ", "n't ", "nvalid", "failed", "nable to", "nknown ", "possible", "incompatible")
_ANY = re.compile("|".join(f"(?P<m{at}>{row[0]})" for at, row in enumerate(_TABLE)))


class Explanation(Value):
    """What one message means, immutable.

    Attributes:
        line: the message, as it was read; at most 400 characters.
        means: what failed, a sentence.
        why: the cause, in sentences; on a host that was asked, with what it grants.
        remedy: what to do, in sentences.
    """

    __slots__ = ("line", "means", "remedy", "why")

    line: str
    means: str
    why: str
    remedy: str

    def to_dict(self) -> dict[str, str]:
        """As JSON has it."""
        return {name: getattr(self, name) for name in ("line", "means", "why", "remedy")}


def explain(
    lines: Iterable[str], report: HostReport | None = None, place: Place | None = None
) -> list[Explanation]:
    """Explains the messages that are known in lines of a log, each kind once, in their order.

    With the report of the host that they come from, and what else is known of the place, it says
    what that host grants, and the words that a guest needs there.
    """
    found: dict[tuple[int, str], Explanation] = {}
    for line in lines:
        match = _ANY.search(line) if any(mark in line for mark in _MARKS) else None
        if match is None:
            continue
        number = match["number"] or ""
        key = next(row for row in range(len(_TABLE)) if match[f"m{row}"]), number
        if key not in found:
            found[key] = _explanation(key[0], line, number, report, place)
    return list(found.values())


def _explanation(
    row: int, line: str, number: str, report: HostReport | None, place: Place | None
) -> Explanation:
    _, means, why, remedy = _TABLE[row]
    mode = CpuMode.from_cpu_version(int(number, 16)) if number else None
    return fill(
        Explanation.__new__(Explanation),
        line=line.strip()[:400],
        means=means.format(mode=mode or number),
        why=f"{why}{_here(report)}",
        remedy=remedy.format(words=_words(report, place)),
    )


def _here(report: HostReport | None) -> str:
    """What the host is and grants, a sentence; nothing where it is no Power host."""
    if report is None or not report.machine.startswith("ppc64"):
        return ""
    physical, effective = label_of(report.cpu_physical), label_of(report.cpu_effective)
    host = f" This host is a {physical} running in {effective} mode"
    if report.status in ("known", "hint"):
        return f"{host}, and grants {granted_text(report)}."
    return f"{host}, and gave no answer: {report.reason}"


def _words(report: HostReport | None, place: Place | None) -> str:
    """The words for QEMU on a host; as an example where it does not tell."""
    if report is not None:
        try:
            mode = choose_mode(report, accept_hint=True)
        except AdviceError:
            pass
        else:
            return qemu_option(mode, (place or Place()).on(report.page_size))
    return "-machine pseries,max-cpu-compat=MODE"
