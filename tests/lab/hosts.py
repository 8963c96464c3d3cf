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


# The first QEMU that asks the kernel: the release candidates of 11.2 call themselves so.
ASKING = (11, 1, 90)
# Mitigations that the emulation of a host does not have: on bare metal all QEMUs want them, on a
# nested host QEMU 7.2 does. Firmware has them, unless it is old.
LACKING = "-machine cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken"


@dataclass(frozen=True)
class Guest:
    """A nested guest that is started in a host.

    Attributes:
        name: of its step.
        command: starts it; one of the functions in guest/checks.
        says: what must be in its console, or in what QEMU, libvirt or kvmppc says.
        boots: whether it comes up and switches itself off; else it must fail.
        suite: whose QEMU and libvirt start it; sid's are the host's own.
        elements: of a libvirt domain, where it is one.
        asking: what it says and whether it boots where QEMU asks the kernel, if that is otherwise.
    """

    name: str
    command: str
    says: str
    boots: bool = True
    suite: str = "sid"
    elements: str = ""
    asking: tuple[str, bool] | None = None

    def with_qemu(self, version: tuple[int, ...]) -> Guest:
        """Return what is expected of it with this version of QEMU."""
        if self.asking is None or version < ASKING:
            return self
        says, boots = self.asking
        return replace(self, says=says, boots=boots)


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
        setup: a shell script that changes the host before it is asked.
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
    setup: str = ""
    guests: tuple[Guest, ...] = ()
    fleet: bool = False
    default: bool = True

    @property
    def suites(self) -> list[str]:
        """The suites whose programs are brought for the guests, beside the host's own."""
        return sorted({guest.suite for guest in self.guests} - {"sid"})

    def also(self, suite: str) -> str:
        """Return what a suite's QEMU is told beside the advice: what the emulated host lacks."""
        if self.machine.startswith("powernv"):
            return f"{LACKING},cap-ccf-assist=off"
        return LACKING if suite == "bookworm" else ""

    @property
    def memory(self) -> str:
        """How much memory QEMU gives it; with 8G a host of nested API v2 does not come up."""
        return "2G" if not self.guests else "3G" if self.machine.startswith("pseries") else "8G"


PVRS = {"power9": "0x004e1202", "power10": "0x00801200", "power11": "0x00821200"}
CPU_VERSIONS = {
    "power8": "0x0f000004",
    "power9": "0x0f000005",
    "power10": "0x0f000006",
    "power11": "0x0f000007",
}
BITS = {"power9": 1 << 62, "power10": 1 << 61, "power11": 1 << 60}


def record(physical: str, effective: str, answer: Record, **facts: Value) -> Record:
    """Return the record of a host with this processor, in this mode, and with this answer."""
    blank: Record = dict.fromkeys(
        "revision source compat_capabilities newest hint unknown_bits errno remedy".split()
    )
    return {
        **blank,
        "schema": 1,
        "simulated": None,
        "machine": "ppc64le",
        "platform": "kvm",
        "cpu_physical": physical,
        "cpu_effective": effective,
        "pvr": PVRS[physical],
        "cpu_version": CPU_VERSIONS[effective],
        "mmu": "radix",
        "page_size": 4096,
        "nested_api": None,
        "device": "/dev/kvm",
        "api_version": 12,
        "capability": 0,
        "modes": [],
        **answer,
        **facts,
    }


def bare_metal(physical: str, *modes: str) -> Record:
    """Return the record of a host that is no guest, where the processor itself is the answer."""
    answer: Record = {
        "status": "known",
        "source": "processor",
        "modes": list(modes),
        "newest": modes[-1],
        "reason": "Bare metal: KVM gives guests the mode of the processor and earlier ones, "
        "from POWER9 on.",
    }
    # There the device tree has the processor's own number.
    return record(physical, physical, answer, platform="powernv", cpu_version=PVRS[physical])


def patched(answer: Record) -> Record:
    """Return an answer as a kernel of patch-v4 gives it."""
    return {**answer, "revision": "patch-v4"}


def granted(how: Record, *modes: str) -> Record:
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
        **how,
    }


def hinted(mode: str, label: str) -> Record:
    """Return the answer on a kernel without the ioctl in a partition that runs in `mode`."""
    return {
        "status": "hint",
        "source": "auxv",
        "hint": mode,
        "nested_api": 1,
        "reason": "This kernel does not support KVM_PPC_GET_COMPAT_CAPS; the host itself runs in "
        f"{label} mode, which is not a grant.",
        "remedy": "Update to Linux 7.3 or later.",
    }


def refusing(errno: str, reason: str, remedy: str) -> Record:
    """Return the answer of a kernel that has the question, and refuses it."""
    return {
        "capability": 1,
        "revision": "linux-7.3",
        "nested_api": 2,
        "errno": errno,
        "status": "error" if errno == "EINVAL" else "unsupported",
        "reason": f"KVM_PPC_GET_COMPAT_CAPS: {reason}",
        "remedy": remedy,
    }


def unavailable(errno: str, reason: str, remedy: str) -> Record:
    """Return the answer where there is no KVM, or none that can make a VM."""
    return {"status": "unavailable", "errno": errno, "reason": reason, "remedy": remedy}


DERIVED: Record = {
    "nested_api": 1,
    "reason": "The kernel answered: derived from the device tree (nested API v1), "
    "not validated by the hypervisor.",
}
NEGOTIATED: Record = {
    "nested_api": 2,
    "reason": "The kernel answered: negotiated with the hypervisor (nested API v2).",
}
EITHER: Record = {
    "reason": "The kernel answered: by nested API v1 or v2; which one is not known "
    "(kvm_hv's parameter nested is not Y).",
}
NO_OPERATION = refusing(
    "ENOTTY",
    "The VM's backend does not support this ioctl.",
    "Use kvm_hv, not kvm_pr: modprobe -r kvm_pr; modprobe kvm_hv.",
)
REFUSED = refusing(
    "EINVAL",
    "The kernel could not retrieve or map the capabilities. "
    "The device tree's cpu-version is 0x0f000006 (POWER10).",
    "Update the kernel and the firmware: newer ones may know this processor.",
)
NO_NESTING = unavailable(
    "EINVAL",
    "KVM_CREATE_VM: No VM can be created: KVM has no backend, "
    "probably because nesting is not enabled.",
    "Enable KVM for the host itself (PowerVM: the partition's KVM Capable setting on the HMC; "
    "QEMU: cap-nested-papr=on or cap-nested-hv=on), then load kvm_hv. If that fails, see dmesg.",
)
TOO_OLD_A_MODE = unavailable(
    "EINVAL",
    "KVM_CREATE_VM: The host runs in POWER8 mode; nested KVM requires POWER9 or later.",
    "Set the host's processor compatibility mode to POWER9 or later (PowerVM: on the HMC; "
    "QEMU: max-cpu-compat), and restart the host.",
)
NOT_PASSED = unavailable(
    "ENOENT",
    "open /dev/kvm: The device does not exist, although kvm_hv is loaded: "
    "this is probably a container without the device.",
    "Pass the device: podman or docker run --device /dev/kvm; in Kubernetes request "
    "devices.kubevirt.io/kvm.",
)

UNKNOWN_BIT: Record = {
    "compat_capabilities": "0x7100000000000000",
    "unknown_bits": "0x100000000000000",
}

V1 = "pseries,cap-nested-hv=on"
V2 = "pseries,cap-nested-papr=on"
P9 = ("power9",)
P10 = ("power9", "power10")
P11 = ("power9", "power10", "power11")


GUEST_MODE = "cpu\t\t: {} (architected)"
NOT_VALID = "Compatibility PVR 0x0f000007 not valid for CPU"


def booting(mode: str, suite: str = "sid", words: str = "") -> Guest:
    """Return a guest that boots in a mode, with the very words of `kvmppc advise`."""
    command = f"nested advise {words}".rstrip()
    return Guest(f"advised-{mode}-{suite}", command, GUEST_MODE.format(mode), suite=suite)


def mended(mode: str, suite: str, elements: str, words: str = "") -> Guest:
    """Return a libvirt domain that boots in a mode once `kvmppc check --fix` has mended it."""
    name = f"fixed-{mode}-{suite}"
    command = f"fixed /lab/nested/{name}.xml {words}".rstrip()
    return Guest(name, command, GUEST_MODE.format(mode), suite=suite, elements=elements)


def domain(
    name: str,
    says: str,
    elements: str,
    suite: str = "sid",
    boots: bool = False,
    asking: tuple[str, bool] | None = None,
) -> Guest:
    """Return a libvirt domain that starts or not, as `kvmppc check` says."""
    name = f"{name}-{suite}"
    command = f"domain /lab/nested/{name}.xml"
    return Guest(name, command, says, boots, suite, elements, asking)


def wrapped(mode: str, elements: str) -> Guest:
    """Return a libvirt domain that boots in a mode with examples/qemu-wrapper as its emulator."""
    name = f"wrapped-{mode}"
    command = f"wrapped /lab/nested/{name}.xml"
    return Guest(name, command, GUEST_MODE.format(mode), elements=elements)


# Without a mode QEMU goes by the physical processor, until 11.2, which asks the kernel.
NO_RUN = "error: kvm run failed Invalid argument"
AS_POWER10 = (GUEST_MODE.format("POWER10"), True)
WITHOUT_MODE = "nested without_mode"
UNADVISED = Guest("unadvised", WITHOUT_MODE, NO_RUN, boots=False, asking=AS_POWER10)
NEWER = Guest(
    "newer",
    "nested changed power11",
    "Unable to set CPU compatibility mode in KVM: Invalid argument",
    boots=False,
    asking=(NOT_VALID, False),
)
PASSTHROUGH = "<cpu mode='host-passthrough'/>"
HOST_MODEL = "<cpu mode='host-model'/>"
SMALL_PAGES = "<features><hpt><maxpagesize unit='KiB'>4</maxpagesize></hpt></features>"
# What LACKING has, for a libvirt domain.
UNMITIGATED = (
    "<features><cfpc value='broken'/><sbbc value='broken'/><ibs value='broken'/></features>"
)
# A machine that fits the guest's pages to the host's by itself.
OLD_MACHINE = (
    "<cpu mode='host-model' check='none'><model>power10</model></cpu>"
    "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>"
    "<qemu:arg value='-machine'/><qemu:arg value='type=pseries-2.12'/></qemu:commandline>"
    + UNMITIGATED
)
NO_SMALL_PAGES = "Can't support 64 kiB guest pages with 4 kiB host pages"


def model(name: str) -> str:
    """Return the element that asks for a mode, where pages are small."""
    return f"<cpu mode='host-model' check='none'><model>{name}</model></cpu>{SMALL_PAGES}"


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
            Guest(
                "advised-bookworm",
                "nested advise",
                "The processor power11 needs QEMU 9.2 or later.",
                boots=False,
                suite="bookworm",
            ),
            booting("POWER10", "trixie"),
            domain("host-model", "CPU mode 'host-model' for ppc64le", HOST_MODEL, "trixie"),
            mended("POWER10", "trixie", PASSTHROUGH),
            booting("POWER10"),
            booting("POWER9", words="--mode power9"),
            mended("POWER10", "sid", HOST_MODEL),
            wrapped("POWER10", HOST_MODEL),
            NEWER,
            UNADVISED,
            domain("passthrough", NO_RUN, PASSTHROUGH + SMALL_PAGES, asking=AS_POWER10),
        ),
    ),
    Host(
        "power10-guests",
        V2,
        "power10",
        record("power10", "power10", granted(NEGOTIATED, *P10)),
        guests=(
            booting("POWER10", "bookworm"),
            mended("POWER10", "bookworm", PASSTHROUGH + UNMITIGATED),
            domain(
                "old-machine", GUEST_MODE.format("POWER10"), OLD_MACHINE, "bookworm", boots=True
            ),
            booting("POWER9", "trixie", words="--mode power9"),
            replace(NEWER, says=NOT_VALID),
            domain("power11", NOT_VALID, model("power11")),
            domain("power8", "HPT not supported in nested guests", model("power8")),
            domain("pages", NO_SMALL_PAGES, PASSTHROUGH),
            domain("maximum", "maximum CPU is not supported", "<cpu mode='maximum'/>"),
            domain(
                "lower-case",
                "Unknown CPU model power10",
                "<cpu mode='custom' match='exact'><model>power10</model></cpu>" + SMALL_PAGES,
            ),
            mended("POWER10", "sid", model("power11")),
        ),
    ),
    Host(
        "power11-guests",
        V2,
        "power11",
        record("power11", "power11", granted(NEGOTIATED, *P11)),
        guests=(
            booting("Power11"),
            domain("no-cpu", GUEST_MODE.format("Power11"), SMALL_PAGES, boots=True),
            booting("Power11", "trixie"),
        ),
    ),
    Host(
        "power10-64k-guests",
        V1,
        "power10",
        record("power10", "power10", granted(DERIVED, *P10), page_size=65536),
        kernel="linux-7.3-64k",
        guests=(
            booting("POWER10", "bookworm"),
            mended("POWER9", "bookworm", PASSTHROUGH + UNMITIGATED, "--mode power9"),
            booting("POWER10"),
            domain("no-cpu", GUEST_MODE.format("POWER10"), "<!-- no cpu -->", boots=True),
        ),
    ),
    Host(
        "linux-6.12-guests",
        f"{V2},max-cpu-compat=power10",
        "power11",
        record("power11", "power10", {**hinted("power10", "POWER10"), "nested_api": 2}),
        kernel="linux-6.12",
        guests=(
            booting("POWER10"),
            mended("POWER10", "trixie", PASSTHROUGH),
            # What is not granted by a kernel that can be asked. It starts no more on 7.3.
            Guest("unadvised", WITHOUT_MODE, GUEST_MODE.format("Power11")),
        ),
    ),
    Host(
        "powernv10-guests",
        "powernv10",
        "power10",
        bare_metal("power10", *P10),
        guests=(
            booting("POWER10"),
            booting("POWER9", words="--mode power9"),
            Guest("newer", "nested changed power11", NOT_VALID, boots=False),
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
        record("power10", "power10", granted(DERIVED, *P10), page_size=65536),
        kernel="linux-7.3-64k",
        twin="power10",
    ),
    Host(
        "powernv9",
        "powernv9",
        "power9",
        bare_metal("power9", "power9"),
        twin="powernv10",
    ),
    Host("powernv10", "powernv10", "power10", bare_metal("power10", *P10)),
    Host(
        "linux-6.12",
        V1,
        "power10",
        record("power10", "power10", hinted("power10", "POWER10")),
        kernel="linux-6.12",
        headers="fallback",
        build=True,
    ),
    Host(
        "linux-6.1",
        V1,
        "power10",
        # Debian 12's kernel, whose pages are those of later -64k kernels.
        record("power10", "power10", hinted("power10", "POWER10"), page_size=65536),
        kernel="linux-6.1",
        twin="linux-6.12",
    ),
    Host(
        "power8-mode",
        "pseries,max-cpu-compat=power8",
        "power10",
        record("power10", "power8", TOO_OLD_A_MODE, mmu="hash"),
    ),
    Host(
        "nested-off",
        V1,
        "power10",
        record("power10", "power10", granted(EITHER, *P10)),
        setup="echo N > /sys/module/kvm_hv/parameters/nested",
    ),
    Host(
        "container",
        V1,
        "power10",
        record(
            "power10", "power10", NOT_PASSED, cpu_version=None, api_version=None, capability=None
        ),
        setup="busybox mount -t tmpfs -o ro,size=0 tmpfs /sys/firmware; rm /dev/kvm",
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
