"""Messages of QEMU, libvirt and the kernel about a guest that does not start, explained.

One table: a message as a log has it, what failed, the cause, and the remedy.
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
    "Give the guest a granted mode, for example {words}. kvmppc advise --for qemu prints the "
    "option; kvmppc check --fix DOMAIN.xml changes a libvirt domain."
)
_CHECK = "Run kvmppc check DOMAIN.xml to see what to write instead, or with --fix to write it."
_ADVISE_LIBVIRT = "kvmppc advise --for libvirt prints the elements for this host."
_DOCTOR = "Run kvmppc doctor: it goes through all steps and says what to do."
_MITIGATION = (
    "KVM does not offer a mitigation of speculative execution that the machine type requires. The "
    "firmware is old, or the host is emulated."
)
_FIRMWARE = "Update the firmware. If you cannot, start QEMU with -machine {property} added."
_UNPROTECTED = _FIRMWARE + " The guest then runs without this mitigation."

# The message, a regular expression; what failed; the cause; the remedy. The first match counts.
# Sources: QEMU's hw/ppc/spapr*.c, target/ppc/kvm.c and compat.c, libvirt's src/cpu/cpu_ppc64.c and
# src/qemu, Linux's arch/powerpc/kvm; docs/testing.md says which were seen on running software.
_TABLE: tuple[tuple[str, str, str, str], ...] = (
    (
        r"kvm run failed Invalid argument",
        "QEMU started the guest, and KVM refused to run it.",
        "Usually the guest was given no mode: QEMU then uses the physical processor's own, which a "
        "host in an earlier mode cannot grant. Only QEMU 11.2 and later, on Linux 7.3 and later, "
        "choose a granted mode themselves.",
        _MODE,
    ),
    (
        r"Unable to set CPU compatibility mode in KVM",
        "KVM refused the mode of the guest (max-cpu-compat, or <model> of a libvirt domain).",
        "The hypervisor does not grant this mode, or KVM is kvm_pr, which supports no modes.",
        _MODE,
    ),
    (
        r"KVM-NESTEDv2: couldn't set guest wide elements",
        "The hypervisor refused the mode of the guest. This is the kernel's message; QEMU prints "
        "one of its own.",
        "The guest has no mode, or one that is not granted.",
        _MODE,
    ),
    (
        r"Compatibility PVR 0x(?P<number>[0-9a-fA-F]{8}) not valid for CPU",
        "QEMU refused the mode {mode}.",
        "The mode is newer than the processor. With QEMU 11.2 and later, it may also be newer than "
        "the modes that the kernel grants.",
        _MODE,
    ),
    (
        r"unable to find CPU model 'host'",
        "QEMU has no CPU model for this host.",
        "This QEMU is older than the processor (Power11 needs QEMU 9.2), or it does not use KVM "
        "(-accel tcg).",
        "Install a later QEMU; another mode does not help. Without KVM, name a CPU model.",
    ),
    (
        r"unable to find CPU model '",
        "QEMU knows no processor of this name.",
        "The name comes from -cpu (custom in a libvirt domain).",
        "Under KVM, use -cpu host. " + _MODE,
    ),
    (
        r"KVM: failed to get host CPU compat capabilities",
        "QEMU asked the kernel which modes it grants, and the kernel refused.",
        "QEMU asks from 11.2 on. Without an answer it uses the physical processor.",
        "Run kvmppc probe: it asks the same, and reports the cause.",
    ),
    (
        r"Couldn't negotiate a suitable PVR during CAS",
        "The operating system in the guest supports none of the modes that it was offered.",
        "It is too old for the mode, or requires a later one (RHEL 9 and Ubuntu 22.04 require "
        "POWER9).",
        "Choose another granted mode: kvmppc advise --for qemu --mode MODE.",
    ),
    (
        r"Can't support \d+ kiB guest pages with \d+ kiB host pages",
        "QEMU refused the guest, because it could use larger pages than the host has.",
        "The kernel of the host has small pages, usually 4 KiB. Guests may use 64 KiB unless "
        "cap-hpt-max-page-size limits them.",
        "Add the limit: kvmppc advise prints it with the mode (here: {words}). Or boot a kernel "
        "with 64 KiB pages on the host.",
    ),
    (
        r"Requested safe cache capability level not supported",
        "QEMU refused the guest because of cap-cfpc.",
        _MITIGATION,
        _UNPROTECTED.format(property="cap-cfpc=broken"),
    ),
    (
        r"Requested safe bounds check capability level not supported",
        "QEMU refused the guest because of cap-sbbc.",
        _MITIGATION,
        _UNPROTECTED.format(property="cap-sbbc=broken"),
    ),
    (
        r"Requested safe indirect branch capability level not supported",
        "QEMU refused the guest because of cap-ibs.",
        _MITIGATION,
        _UNPROTECTED.format(property="cap-ibs=broken"),
    ),
    (
        r"Requested count cache flush assist capability level not supported",
        "QEMU refused the guest because of cap-ccf-assist.",
        _MITIGATION,
        _FIRMWARE.format(property="cap-ccf-assist=off"),
    ),
    (
        r"HPT not supported in nested guests",
        "The guest uses a hash page table, and nested guests support radix only.",
        "Its mode is before POWER9, or its kernel was booted with disable_radix.",
        _MODE,
    ),
    (
        r"Register sync failed|only \"-cpu host\" is possible",
        "KVM refused the processor of -cpu (custom in a libvirt domain).",
        "KVM presents only the physical processor.",
        "Use -cpu host. " + _MODE,
    ),
    (
        r"Invalid max-cpu-compat (mode|value)|Invalid compatibility mode",
        "QEMU does not know the mode of max-cpu-compat.",
        "It is misspelt (it must be lower case: power10), or this QEMU is older than the mode.",
        _MODE,
    ),
    (
        r"Property '[\w.-]*cpu\.compat' not found",
        "QEMU has no property compat of -cpu.",
        "It was removed in QEMU 6.0. The mode is now a property of the machine.",
        _MODE,
    ),
    (
        r"Property '[\w.-]*cpu\.[\w-]+' not found",
        "QEMU has no such property of the processor.",
        "Processors have no optional features on Power, but libvirt passes <feature> and vendor_id "
        "on.",
        "Remove <feature>, or vendor_id, from <cpu>.",
    ),
    (
        r"does not support Transactional Memory",
        "QEMU refused the guest because cap-htm is on (libvirt: <htm state='on'/>; in machines "
        "before pseries-2.12 by default).",
        "POWER10 and later have no transactional memory. On POWER9, nested guests have none.",
        "Turn it off: -machine cap-htm=off. " + _CHECK,
    ),
    (
        r"does not support Nested-HV",
        "QEMU refused the guest because cap-nested-hv is on (libvirt: <nested-hv state='on'/>).",
        "A guest can have nested guests of its own only under nested API v1, and only where "
        "the parameter nested of kvm_hv is Y.",
        "Turn it off: -machine cap-nested-hv=off. " + _CHECK,
    ),
    (
        r"Unable to create \d+MiB RMA",
        "QEMU could not allocate the first memory area (RMA) of the guest.",
        "This area is small with a hash page table, which all modes before POWER9 use.",
        _MODE,
    ),
    (
        r"CPU mode 'host-model' for ppc64(le)? kvm domain on ppc64(le)? host is not supported",
        "libvirt does not support host-model on this host.",
        "It does not know the processor. Power11 needs libvirt 11.4.",
        "Write host-passthrough, and the mode in <qemu:commandline>. " + _ADVISE_LIBVIRT,
    ),
    (
        r"Unknown compatibility mode",
        "libvirt does not know the mode in <model>.",
        "With host-model it must be lower case (power10), and power11 needs libvirt 11.4.",
        _ADVISE_LIBVIRT,
    ),
    (
        r"Unknown CPU model|cannot translate CPU model",
        "libvirt does not know the processor in <model>.",
        "With custom, the name must be spelt as in libvirt's table (POWER10). virt-install --cpu "
        "power10 writes it in lower case.",
        _ADVISE_LIBVIRT + " For virt-install: kvmppc advise --for virt-install.",
    ),
    (
        r"host CPU model does not match required CPU model",
        "libvirt refused a custom processor that is not the physical one.",
        "KVM presents only the physical processor. Earlier ones are modes of it.",
        _CHECK,
    ),
    (
        r"host CPU vendor does not match required CPU vendor",
        "libvirt refused the <vendor> of a custom processor.",
        "On Power the vendor is always IBM.",
        _CHECK,
    ),
    (
        r"unknown host CPU",
        "libvirt cannot compare a custom processor with that of the host.",
        "It does not know the processor of the host. Power11 needs libvirt 11.4.",
        _ADVISE_LIBVIRT,
    ),
    (
        r"the CPU is incompatible with host CPU(?!: )",
        "libvirt refused the mode in <model>.",
        "The mode is newer than the physical processor.",
        _CHECK,
    ),
    (
        r"maximum CPU is not supported by QEMU binary",
        "libvirt refused <cpu mode='maximum'>.",
        "QEMU does not support it on Power.",
        _CHECK,
    ),
    (
        r"Migratable attribute for host-passthrough CPU is not supported|"
        r"Attribute migratable is only allowed",
        "libvirt refused migratable= of <cpu>.",
        "QEMU does not support it on Power.",
        _CHECK,
    ),
    (
        r"CPU (cache|maximum physical address bits) specification is not supported",
        "libvirt refused <cache> or <maxphysaddr> of <cpu>.",
        "They are not for Power.",
        "Remove <cache> and <maxphysaddr> from <cpu>.",
    ),
    (
        r"kvmppc: [^:]{1,80} is not (started|restored|migrated)",
        "The libvirt hook of kvmppc stopped the guest, because it would not have started.",
        "The rest of the line gives the reason.",
        "Write what follows 'Write instead'. " + _CHECK,
    ),
    (
        r"Parent hypervisor does not support nesting",
        "kvm_hv was not loaded. This host cannot have nested guests.",
        "The hypervisor does not offer nesting to this host.",
        "Enable it. PowerVM: make the partition KVM-capable on the HMC. QEMU: add "
        "cap-nested-papr=on or cap-nested-hv=on. " + _DOCTOR,
    ),
    (
        r"KVM_CREATE_VM\) failed|PPC KVM module is not loaded",
        "KVM cannot create a VM on this host.",
        "kvm_hv is not loaded, the hypervisor does not offer nesting, or the host itself runs in a "
        "mode before POWER9.",
        _DOCTOR,
    ),
    (
        r"Could not access KVM kernel module",
        "QEMU could not open /dev/kvm.",
        "/dev/kvm is missing, has no kernel module behind it, was not passed to the container, or "
        "this user may not open it.",
        _DOCTOR,
    ),
    (
        r"failed to initialize kvm",
        "QEMU could not use KVM.",
        "Either /dev/kvm could not be opened, or KVM cannot create a VM. The line before says "
        "which.",
        _DOCTOR,
    ),
)
# Each message contains one of these, and most lines of a log do not. Looking for them first makes
# reading a long log ten times as fast.
_MARKS = (
    "not ",
    "n't ",
    "nvalid",
    "failed",
    "nable to",
    "nknown ",
    "possible",
    "incompatible",
    "only ",
)
_ANY = re.compile("|".join(f"(?P<m{at}>{row[0]})" for at, row in enumerate(_TABLE)))


class Explanation(Value):
    """What one message means. Immutable.

    Attributes:
        line: the line with the message, as it was read; at most 400 characters.
        means: what failed, in sentences.
        why: the cause, in sentences; where the host was asked, with the modes that it grants.
        remedy: what to do, in sentences.
    """

    __slots__ = ("line", "means", "remedy", "why")

    line: str
    means: str
    why: str
    remedy: str

    def to_dict(self) -> dict[str, str]:
        """The fields by name, for JSON."""
        return {name: getattr(self, name) for name in ("line", "means", "why", "remedy")}


def explain(
    lines: Iterable[str], report: HostReport | None = None, place: Place | None = None
) -> list[Explanation]:
    """Explains the known messages in the lines of a log, each kind once, in order.

    With the ``report`` of the host that wrote the log, the explanations say what that host
    grants, and name the option for a guest there, with what ``place`` adds to it.
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
    """A sentence on what the host is and grants; "" where it is not a Power host."""
    if report is None or not report.machine.startswith("ppc64"):
        return ""
    physical, own = report.cpu_physical, report.cpu_effective
    host = "" if physical is None else f" This host is a {label_of(physical)}."
    if report.status != "known":
        return f"{host} {report.reason}"
    mode = "" if own is None else f" runs in {label_of(own)} mode, and"
    return f"{host} The host{mode} grants {granted_text(report)}."


def _words(report: HostReport | None, place: Place | None) -> str:
    """The option for QEMU on a host, or its form where the host gave no answer."""
    if report is not None:
        try:
            mode = choose_mode(report, accept_hint=True)
        except AdviceError:
            pass
        else:
            return qemu_option(mode, (place or Place()).on(report.page_size))
    return "-machine pseries,max-cpu-compat=MODE"
