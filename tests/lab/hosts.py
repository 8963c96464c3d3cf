"""The hosts of the lab, and what each of them must answer.

To add one is an entry in HOSTS: its name, QEMU's machine and processor, what is known of the
processor, and what KVM must say there. A kernel or headers other than the usual ones are named too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Union

Value = Union[None, int, str, list[str]]
Record = dict[str, Value]


@dataclass(frozen=True)
class KernelSource:
    """Where a kernel comes from: the newest of a flavour in these suites, not older than that."""

    suites: tuple[str, ...]
    oldest: str
    flavour: str = "powerpc64le"


# Suites that have Linux 7.3 or newer, or will.
NEW = ("trixie-backports", "experimental", "sid")

KERNELS = {
    "linux-7.3": KernelSource(NEW, "7.3"),
    "linux-7.3-64k": KernelSource(NEW, "7.3", "powerpc64le-64k"),
    "linux-6.12": KernelSource(("trixie", "bookworm-backports"), "6.12"),
    "linux-6.1": KernelSource(("bookworm",), "6.1"),
}

# Suites whose linux-libc-dev has the interface's names, from that version on, and those where it
# never will.
HEADERS = {"own": (NEW, "7.3"), "fallback": (("trixie", "bookworm-backports"), "6")}


@dataclass(frozen=True)
class Guest:
    """A nested guest that is started in a host, with the host's own QEMU.

    Attributes:
        name: of its step.
        command: starts it; one of the functions in guest/checks.
        says: what must be in its console, or in what QEMU says.
        boots: whether it comes up and switches itself off; else it must fail.
        before: QEMU's version from which on this is no longer so.
    """

    name: str
    command: str
    says: str
    boots: bool = True
    before: tuple[int, ...] = ()


@dataclass(frozen=True)
class Host:
    """A host of the lab.

    Attributes:
        name: on the command line, and its hostname.
        machine, cpu: QEMU's -M and -cpu.
        record: what `kvmppc probe --json` must print, but for what varies.
        kernel: in KERNELS.
        headers: in HEADERS, for building the package there.
        kvm: the variant of kvm.ko that is built for it (tests/lab/kernels); Debian's own where
            it is not said.
        twin: the simulated host whose kernel must answer every call as this one does; the
            same name where it is not said.
        build: whether the package is built there from its sdist; the others are given what was
            built, where they come after it.
        guests: nested guests that are started there, instead of the tests of the kernel.
        fleet: whether it is one of the fleet's hosts too (tests/lab/fleet.py).
        default: whether it runs where no host is named.
    """

    name: str
    machine: str
    cpu: str
    record: Record
    kernel: str = "linux-7.3"
    headers: str = "own"
    kvm: str = ""
    twin: str = ""
    build: bool = False
    guests: tuple[Guest, ...] = ()
    fleet: bool = False
    default: bool = True


PVRS = {"power9": "0x004e1202", "power10": "0x00801200", "power11": "0x00821200"}
BITS = {"power9": 1 << 62, "power10": 1 << 61, "power11": 1 << 60}


def record(physical: str, effective: str, answer: Record, platform: str = "kvm") -> Record:
    """Return the record of a host with this processor, in this mode, and with this answer."""
    blank: Record = dict.fromkeys(
        ("revision", "source", "compat_capabilities", "newest", "unknown_bits", "errno", "remedy")
    )
    return {
        **blank,
        "schema": 1,
        "simulated": None,
        "machine": "ppc64le",
        "platform": platform,
        "cpu_physical": physical,
        "cpu_effective": effective,
        "pvr": PVRS[physical],
        "device": "/dev/kvm",
        "api_version": 12,
        "capability": 0,
        "modes": [],
        **answer,
    }


def patched(answer: Record) -> Record:
    """Return an answer as a kernel of patch-v4 gives it."""
    return {**answer, "revision": "patch-v4"}


def granted(reason: str, *modes: str) -> Record:
    """Return the answer of a kernel that grants `modes`."""
    return {
        "capability": 1,
        "revision": "linux-7.3",
        "status": "known",
        "source": "kvm",
        "compat_capabilities": f"0x{sum(BITS[mode] for mode in modes):016x}",
        "modes": list(modes),
        "newest": modes[-1],
        "unknown_bits": "0x0",
        "reason": reason,
    }


def hinted(mode: str) -> Record:
    """Return the answer on a kernel without the ioctl in a partition that runs in `mode`."""
    return {
        "status": "hint",
        "source": "device-tree",
        "modes": [mode],
        "newest": mode,
        "reason": f"This kernel cannot be asked; the host itself runs in {mode} mode, "
        "says its device tree: a hint, not a grant.",
        "remedy": "Linux 7.3 and later can answer.",
    }


DERIVED = (
    "The kernel answered: derived from the device tree (nested API v1), "
    "not validated by the hypervisor."
)
NEGOTIATED = "The kernel answered: negotiated with the hypervisor (nested API v2)."
BARE_METAL: Record = {
    "status": "unsupported",
    "reason": "This is bare metal (PowerNV): guests are not nested, the question does not arise.",
    "remedy": "Nothing: guests here can be given what the processor itself can do.",
}
NO_OPERATION: Record = {
    "capability": 1,
    "revision": "linux-7.3",
    "status": "unsupported",
    "errno": "ENOTTY",
    "reason": "KVM_PPC_GET_COMPAT_CAPS: This VM's backend cannot tell: "
    "it does not have the operation.",
    "remedy": "Use the HV backend (module kvm_hv) on a kernel from Linux 7.3 on.",
}
REFUSED: Record = {
    "capability": 1,
    "revision": "linux-7.3",
    "status": "error",
    "errno": "EINVAL",
    "reason": "KVM_PPC_GET_COMPAT_CAPS: The kernel could not get the capabilities from its "
    "hypervisor, or could not map them.",
    "remedy": "dmesg may say why; a newer kernel or firmware may know this processor.",
}
NO_NESTING: Record = {
    "status": "unavailable",
    "errno": "EINVAL",
    "reason": "KVM_CREATE_VM: No VM can be made: KVM has no backend here, "
    "as where the hypervisor gives no nesting.",
    "remedy": "Ask for a KVM-capable partition (PowerVM: a setting of the partition on the HMC; "
    "QEMU: cap-nested-papr=on or cap-nested-hv=on), then load kvm_hv; dmesg says why it refused.",
}

UNKNOWN_BIT: Record = {
    "compat_capabilities": "0x7100000000000000",
    "unknown_bits": "0x100000000000000",
}

V1 = "pseries,cap-nested-hv=on"
V2 = "pseries,cap-nested-papr=on"
P9 = ("power9",)
P10 = ("power9", "power10")
P11 = ("power9", "power10", "power11")


def booting(name: str, command: str, mode: str) -> Guest:
    """Return a guest that `command` starts and that must boot in a mode."""
    return Guest(name, command, f"cpu\t\t: {mode} (architected)")


def refused(mode: str, says: str) -> Guest:
    """Return a guest for which more is asked than the host grants."""
    command = f"nested echo -machine pseries,max-cpu-compat={mode}"
    return Guest(f"max-{mode}", command, says, boots=False)


# Without a mode QEMU goes by the physical processor, until 11.2, which asks the kernel.
UNADVISED = Guest(
    "unadvised",
    "nested echo -machine pseries",
    "error: kvm run failed Invalid argument",
    boots=False,
    before=(11, 2),
)
ADVISED = "nested kvmppc advise --for qemu"
DOMAIN = replace(UNADVISED, name="libvirt", command="domain /lab/nested/domain.xml")

HOSTS = [
    Host("power9", V1, "power9", record("power9", "power9", granted(DERIVED, *P9))),
    Host(
        "power10",
        V1,
        "power10",
        record("power10", "power10", granted(DERIVED, *P10)),
        build=True,
        fleet=True,
    ),
    Host(
        "power11",
        V1,
        "power11",
        record("power11", "power11", granted(DERIVED, *P11)),
    ),
    Host(
        "power10-v2",
        V2,
        "power10",
        record("power10", "power10", granted(NEGOTIATED, *P10)),
        twin="power11-as-power10",
    ),
    Host(
        "power11-v2",
        V2,
        "power11",
        record("power11", "power11", granted(NEGOTIATED, *P11)),
    ),
    Host(
        "power10-as-power9",
        f"{V2},max-cpu-compat=power9",
        "power10",
        record("power10", "power9", granted(NEGOTIATED, *P9)),
        twin="power11-as-power9",
    ),
    Host(
        "power11-as-power10",
        f"{V2},max-cpu-compat=power10",
        "power11",
        record("power11", "power10", granted(NEGOTIATED, *P10)),
        headers="fallback",
    ),
    Host(
        "power11-as-power10-guests",
        f"{V2},max-cpu-compat=power10",
        "power11",
        record("power11", "power10", granted(NEGOTIATED, *P10)),
        guests=(
            refused("power11", "Unable to set CPU compatibility mode in KVM: Invalid argument"),
            booting("advised", ADVISED, "POWER10"),
            booting("advised-power9", f"{ADVISED} --mode power9", "POWER9"),
            Guest("libvirt-argv", "argv", ",max-cpu-compat=power10 -accel kvm -cpu host "),
            booting("libvirt-fixed", "domain /tmp/fixed.xml", "POWER10"),
            DOMAIN,
            UNADVISED,
        ),
    ),
    Host(
        "power10-guests",
        V2,
        "power10",
        record("power10", "power10", granted(NEGOTIATED, *P10)),
        guests=(
            refused("power11", "Compatibility PVR 0x0f000007 not valid for CPU"),
            booting("advised", ADVISED, "POWER10"),
            booting("advised-power9", f"{ADVISED} --mode power9", "POWER9"),
        ),
    ),
    Host(
        "power11-as-power9",
        f"{V2},max-cpu-compat=power9",
        "power11",
        record("power11", "power9", granted(NEGOTIATED, *P9)),
        fleet=True,
    ),
    Host(
        "power10-as-power9-v1",
        f"{V1},max-cpu-compat=power9",
        "power10",
        record("power10", "power9", granted(DERIVED, *P9)),
        twin="power9",
    ),
    Host(
        "power11-as-power10-v1",
        f"{V1},max-cpu-compat=power10",
        "power11",
        record("power11", "power10", granted(DERIVED, *P10)),
        twin="power10",
    ),
    Host(
        "power11-as-power9-v1",
        f"{V1},max-cpu-compat=power9",
        "power11",
        record("power11", "power9", granted(DERIVED, *P9)),
        twin="power9",
    ),
    Host(
        "power10-64k",
        V1,
        "power10",
        record("power10", "power10", granted(DERIVED, *P10)),
        kernel="linux-7.3-64k",
        twin="power10",
    ),
    Host(
        "powernv9",
        "powernv9",
        "power9",
        record("power9", "power9", BARE_METAL, "powernv"),
        twin="powernv10",
    ),
    Host("powernv10", "powernv10", "power10", record("power10", "power10", BARE_METAL, "powernv")),
    Host(
        "linux-6.12",
        V1,
        "power10",
        record("power10", "power10", hinted("power10")),
        kernel="linux-6.12",
        headers="fallback",
        build=True,
    ),
    Host(
        "linux-6.1",
        V1,
        "power10",
        record("power10", "power10", hinted("power10")),
        kernel="linux-6.1",
        twin="linux-6.12",
    ),
    Host("no-nesting", "pseries", "power10", record("power10", "power10", NO_NESTING)),
    Host(
        "patch-v4",
        V2,
        "power10",
        record("power10", "power10", patched(granted(NEGOTIATED, *P10))),
        kvm="patch-v4",
    ),
    Host(
        "patch-v4-strict",
        V2,
        "power10",
        record("power10", "power10", patched(granted(NEGOTIATED, *P10))),
        kvm="patch-v4-strict",
    ),
    Host(
        "struct-32",
        V2,
        "power11",
        record("power11", "power11", granted(NEGOTIATED, *P11)),
        kvm="struct-32",
    ),
    Host(
        "unknown-bit",
        V2,
        "power11",
        record("power11", "power11", {**granted(NEGOTIATED, *P11), **UNKNOWN_BIT}),
        kvm="unknown-bit",
    ),
    Host(
        "future",
        V2,
        "power11",
        record("power11", "power11", {**granted(NEGOTIATED, *P11), **UNKNOWN_BIT}),
        kvm="future",
    ),
    Host(
        "no-operation",
        V2,
        "power10",
        record("power10", "power10", NO_OPERATION),
        kvm="no-operation",
    ),
    Host(
        "backend-refuses",
        V2,
        "power10",
        record("power10", "power10", REFUSED),
        kvm="backend-refuses",
    ),
]
