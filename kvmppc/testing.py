"""Simulated hosts, for tests and for trying things where there is no Power.

    >>> from kvmppc.testing import simulated_host
    >>> with simulated_host("power11-as-power10"):
    ...     print(kvmppc.probe().newest)
    power10

Inside the block, Kvm() and probe() ask a kernel written for the purpose
(csrc/simhost.c), and read the files of that host. Only this module switches a
simulation on: nothing in the environment can.
"""

from __future__ import annotations

import contextlib
import threading

from kvmppc import kvm
from kvmppc._simhost import ffi, lib
from kvmppc.host import Source, use_source
from kvmppc.processors import CpuMode, Processor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# The lower half of the PVR, as the processors have it under QEMU; 0x1200 where it is not here.
_REVISIONS = {"power9": 0x1202}

_PLATFORMS = {
    # What /proc/cpuinfo has at its end, and the files of the device tree's root.
    "kvm": ("pSeries", "CHRP IBM pSeries (emulated by qemu)", {"compatible": b"qemu,pseries\0"}),
    "powervm": (
        "pSeries",
        "CHRP IBM,9080-HEU",
        {
            "compatible": b"IBM,9080-HEU\0",
            "ibm,partition-name": b"lpar1\0",
            "ibm,powervm-partition": b"\0\0\0\1",
            "hmc-managed?": b"",
        },
    ),
    "powernv": (
        "PowerNV",
        "PowerNV IBM PowerNV (emulated by qemu)",
        {"compatible": b"qemu,powernv10\0ibm,powernv\0"},
    ),
}


class SimulatedHost:
    """One simulated host: its name, what it is, and the files that say so.

    Attributes:
        name: for :func:`simulated_host` and ``kvmppc --simulate``.
        summary: what is particular about it, a line.
    """

    __slots__ = ("_source", "name", "summary")

    name: str
    summary: str

    def __init__(
        self,
        name: str,
        summary: str,
        physical: str,
        effective: str | None = None,
        *,
        platform: str = "kvm",
        kernel: str = "7.3.0",
        stored: str | None = None,
        pages: int = 65536,
        mmu: str = "Radix",
        module: str = "kvm_hv",
        nested: bool = True,
        masked: bool = False,
    ) -> None:
        self.name = name
        self.summary = summary
        processor = Processor(physical)
        mode = processor.mode if effective is None else CpuMode(effective)
        noted = processor if stored is None else Processor(stored)
        files = {"/proc/cpuinfo": _cpuinfo(noted, mode, platform, mmu)}
        if not masked:
            files.update(_tree(processor, mode, platform))
        if module:
            files[f"/sys/module/{module}/refcnt"] = b"0\n"
        if module == "kvm_hv":
            files["/sys/module/kvm_hv/parameters/nested"] = b"Y\n" if nested else b"N\n"
        auxv = (str(mode), str(processor.mode), _pvr(processor))
        self._source = _SimulatedSource(files, (name, kernel, "ppc64le"), auxv, pages)

    def source(self) -> Source:
        """Where the host's facts are read."""
        return self._source

    def __repr__(self) -> str:
        return f"<kvmppc.testing.SimulatedHost {self.name}>"


class _SimulatedSource(Source):
    """Files in memory, by path, and what the processor tells without one."""

    def __init__(
        self,
        files: dict[str, bytes],
        uname: tuple[str, str, str],
        auxv: tuple[str, str, int],
        pages: int,
    ) -> None:
        super().__init__(uname=uname, simulated=uname[0])
        self._files = files
        self._auxv = auxv
        self._pages = pages

    def read(self, path: str, limit: int = 4096) -> bytes | None:
        data = self._files.get(path)
        return None if data is None else data[:limit]

    def entries(self, path: str) -> list[str]:
        inside = (name[len(path) + 1 :] for name in self._files if name.startswith(path + "/"))
        return sorted({name.split("/")[0] for name in inside})

    def processor(self) -> tuple[str | None, str | None, int | None]:
        return self._auxv

    def page_size(self) -> int | None:
        return self._pages

    def permissions(self, path: str) -> tuple[int, str, str] | None:
        return (0o020660, "root", "kvm") if path == "/dev/kvm" else None

    def is_root(self) -> bool:
        return False


def _pvr(processor: Processor) -> int:
    return processor.pvr << 16 | _REVISIONS.get(processor, 0x1200)


def _cpuinfo(processor: Processor, mode: CpuMode, platform: str, mmu: str) -> bytes:
    """/proc/cpuinfo as powerpc's show_cpuinfo() writes it."""
    name, machine, _ = _PLATFORMS[platform]
    # The kernel masks the revision of these processors, and not that of Power11.
    lower = _pvr(processor) & 0xFFFF
    major = lower >> 8 if processor == "power11" else lower >> 8 & 0xF
    return (
        "processor\t: 0\n"
        f"cpu\t\t: {mode.label}{'' if platform == 'powernv' else ' (architected)'}, "
        "altivec supported\n"
        "clock\t\t: 1000.000000MHz\n"
        f"revision\t: {major}.{lower & 0xFF} (pvr {processor.pvr:04x} {lower:04x})\n\n"
        "timebase\t: 512000000\n"
        f"platform\t: {name}\n"
        f"model\t\t: {machine.partition(' ')[2]}\n"
        f"machine\t\t: {machine}\n"
        f"MMU\t\t: {mmu}\n"
    ).encode()


def _tree(processor: Processor, mode: CpuMode, platform: str) -> dict[str, bytes]:
    """The files of the device tree that tell what a host is."""
    tree = "/proc/device-tree"
    files = {f"{tree}/{name}": data for name, data in _PLATFORMS[platform][2].items()}
    # Bare metal has the raw PVR there, which names no mode.
    version = _pvr(processor) if platform == "powernv" else mode.cpu_version
    files[f"{tree}/cpus/PowerPC,{processor.label}@0/cpu-version"] = version.to_bytes(4, "big")
    return files


_HOSTS = (
    SimulatedHost("power9", "Power9, nested API v1", "POWER9"),
    SimulatedHost("power10", "Power10, nested API v1, 4 KiB pages", "POWER10", pages=4096),
    SimulatedHost("power11", "Power11, nested API v1", "Power11"),
    SimulatedHost("power11-v2", "Power11, nested API v2", "Power11"),
    SimulatedHost(
        "power11-as-power10",
        "Power11 running in Power10 mode, nested API v2",
        "Power11",
        "POWER10",
    ),
    SimulatedHost(
        "power11-as-power9",
        "Power11 running in Power9 mode, nested API v2",
        "Power11",
        "POWER9",
    ),
    SimulatedHost(
        "powervm-power11",
        "Power11 under PowerVM, which grants Power10 and Power11 but not Power9",
        "Power11",
        platform="powervm",
    ),
    SimulatedHost("powernv10", "Power10, bare metal", "POWER10", platform="powernv"),
    SimulatedHost(
        "linux-6.12",
        "Power10 with 4 KiB pages and a kernel that has no such ioctl: a hint only",
        "POWER10",
        kernel="6.12.0",
        pages=4096,
    ),
    SimulatedHost(
        "linux-6.12-as-power10",
        "Power11 running in Power10 mode, with a kernel that has no such ioctl: a hint only",
        "Power11",
        "POWER10",
        kernel="6.12.0",
    ),
    SimulatedHost(
        "no-nesting",
        "Power10 whose hypervisor gives no nesting: /dev/kvm opens, no VM can be made",
        "POWER10",
        module="kvm",
    ),
    SimulatedHost(
        "power8-mode",
        "Power10 in POWER8 mode, where nothing can be nested: no VM can be made",
        "POWER10",
        "POWER8",
        mmu="Hash",
        module="kvm",
    ),
    SimulatedHost(
        "nested-off", "Power10, nested API v1, kvm_hv loaded with nested=N", "POWER10", nested=False
    ),
    SimulatedHost(
        "kvm-pr",
        "Power10 with kvm_pr, which makes VMs but grants no modes",
        "POWER10",
        module="kvm_pr",
    ),
    SimulatedHost(
        "power12",
        "Power12, which has no bit of its own: it grants Power9 and Power10",
        "Power12",
    ),
    SimulatedHost(
        "migrating",
        "Power11, migrated to a Power10 after the first question of a VM",
        "Power11",
    ),
    SimulatedHost(
        "migrated",
        "Power11 in POWER10 mode, to which the host was migrated from a Power10",
        "Power11",
        "POWER10",
        stored="POWER10",
    ),
    SimulatedHost(
        "no-operation",
        "Power10, a kernel that has the capability but a backend that has no answer: ENOTTY",
        "POWER10",
    ),
    SimulatedHost(
        "backend-refuses",
        "Power10, a kernel whose backend cannot get the answer: EINVAL",
        "POWER10",
    ),
    SimulatedHost("no-device", "Power10 without /dev/kvm", "POWER10", module=""),
    SimulatedHost(
        "container",
        "Power10, a container: /dev/kvm is not passed to it, the device tree masked",
        "POWER10",
        masked=True,
    ),
    SimulatedHost("no-permission", "Power10, /dev/kvm closed to this user", "POWER10"),
    SimulatedHost("patch-v4", "Power10, the earlier interface as posted", "POWER10"),
    SimulatedHost("patch-v4-strict", "Power10, the earlier interface as reviewed", "POWER10"),
    SimulatedHost(
        "patch-v4-short",
        "Power10, the earlier interface with an answer that is cut off",
        "POWER10",
    ),
    SimulatedHost(
        "struct-32",
        "Power11, a later kernel: a struct of 32 bytes",
        "Power11",
        kernel="8.0.0",
    ),
    SimulatedHost(
        "unknown-bit",
        "Power11, a later kernel: a bit that is not known yet",
        "Power11",
        kernel="8.0.0",
    ),
    SimulatedHost(
        "future",
        "Power11, a later kernel: a struct of 32 bytes, and a bit that is not known yet",
        "Power11",
        kernel="8.0.0",
    ),
)


def simulated_hosts() -> tuple[SimulatedHost, ...]:
    """All simulated hosts."""
    return _HOSTS


# The blocks that are open, in the order in which they began; first the host before all of them.
_blocks: list[tuple[kvm.Kernel, Source]] = []
_lock = threading.Lock()


@contextlib.contextmanager
def simulated_host(name: str) -> Iterator[SimulatedHost]:
    """Makes this process be on a simulated host, for the length of a ``with`` block.

    Process-wide, for all threads, like os.chdir. Blocks can be nested, and overlap in
    threads or tasks: the host is that of the block begun last among those that have not
    ended, and the real one after all of them. Handles that were opened inside go on
    working after it, on the simulated host.

    Raises:
        ValueError: there is no host of this name; the message lists those there are.
    """
    host = next((host for host in _HOSTS if host.name == name), None)
    if host is None:
        names = ", ".join(host.name for host in _HOSTS)
        raise ValueError(f"no simulated host is called {name!r}; there are {names}")
    here = (kvm.Kernel(ffi, lib, f"{host.name}:"), host.source())
    with _lock:
        before = _move(here)
        if not _blocks:
            _blocks.append(before)
        _blocks.append(here)
    try:
        yield host
    finally:
        with _lock:
            _blocks.remove(here)
            _move(_blocks[-1])
            if len(_blocks) == 1:
                _blocks.clear()


def _move(to: tuple[kvm.Kernel, Source]) -> tuple[kvm.Kernel, Source]:
    """Makes this process be on another host, and gives back the one before."""
    kernel, source = to
    return kvm.use_kernel(kernel), use_source(source)
