"""Simulated hosts, for tests and for use on machines other than IBM Power.

    >>> from kvmppc.testing import simulated_host
    >>> with simulated_host("power11-as-power10"):
    ...     print(kvmppc.probe().newest)
    power10

Inside the block, Kvm() and probe() query a simulated kernel (csrc/simhost.c) and
read the files of the simulated host. Only this module can start a simulation:
no environment variable can.
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

# The lower half of the PVR of the processors in QEMU (cpu-models.h); else 0x1200.
_REVISIONS = {"power9": 0x1202}

_PLATFORMS = {
    # The lines at the end of /proc/cpuinfo, and the files in the root of the device tree.
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
    """One simulated host: its name, a summary, and the files that describe it.

    Attributes:
        name: for :func:`simulated_host` and ``kvmppc --simulate``.
        summary: what is special about it, in one line.
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
        files = {
            "/proc/cpuinfo": _cpuinfo(noted, mode, platform, mmu),
            "/sys/module/kernel/parameters/panic": b"0\n",  # built in, so that it is never missing
        }
        if not masked:
            files.update(_tree(processor, mode, platform))
        if module:
            files[f"/sys/module/{module}/refcnt"] = b"0\n"
        if module == "kvm_hv":
            files["/sys/module/kvm_hv/parameters/nested"] = b"Y\n" if nested else b"N\n"
        auxv = (str(mode), str(processor.mode), _pvr(processor))
        self._source = _SimulatedSource(files, (name, kernel, "ppc64le"), auxv, pages)

    def source(self) -> Source:
        """The source of the host's facts."""
        return self._source

    def __repr__(self) -> str:
        return f"<kvmppc.testing.SimulatedHost {self.name}>"


class _SimulatedSource(Source):
    """Files in memory by path, and the values of the auxiliary vector and the PVR."""

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
    """/proc/cpuinfo as powerpc's show_cpuinfo() prints it."""
    name, machine, _ = _PLATFORMS[platform]
    # The kernel masks the major revision of all these processors except Power11.
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
    """The files of the device tree that identify a host."""
    tree = "/proc/device-tree"
    files = {f"{tree}/{name}": data for name, data in _PLATFORMS[platform][2].items()}
    # On bare metal this is the raw PVR, which names no mode.
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
        "Power10, 4 KiB pages, a kernel without the ioctl: only a hint",
        "POWER10",
        kernel="6.12.0",
        pages=4096,
    ),
    SimulatedHost(
        "linux-6.12-as-power10",
        "Power11 running in Power10 mode, a kernel without the ioctl: only a hint",
        "Power11",
        "POWER10",
        kernel="6.12.0",
    ),
    SimulatedHost(
        "no-nesting",
        "Power10, the hypervisor does not support nesting: no VM can be created",
        "POWER10",
        module="kvm",
    ),
    SimulatedHost(
        "power8-mode",
        "Power10 running in Power8 mode, which has no nesting: no VM can be created",
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
        "Power10 with kvm_pr, which creates VMs but cannot set a mode",
        "POWER10",
        module="kvm_pr",
    ),
    SimulatedHost(
        "power12",
        "Power12, for which the interface has no bit: grants Power9 and Power10",
        "Power12",
    ),
    SimulatedHost(
        "migrating",
        "Power11, migrated to a Power10 after the first query of a VM",
        "Power11",
    ),
    SimulatedHost(
        "migrated",
        "Power11 running in Power10 mode, migrated from a Power10",
        "Power11",
        "POWER10",
        stored="POWER10",
    ),
    SimulatedHost(
        "no-operation",
        "Power10, the capability is 1 but the backend lacks the ioctl: ENOTTY",
        "POWER10",
    ),
    SimulatedHost(
        "backend-refuses",
        "Power10, the backend cannot retrieve the capabilities: EINVAL",
        "POWER10",
    ),
    SimulatedHost("no-device", "Power10 without /dev/kvm", "POWER10", module=""),
    SimulatedHost(
        "container",
        "Power10, a container without /dev/kvm and with the device tree masked",
        "POWER10",
        masked=True,
    ),
    SimulatedHost("no-permission", "Power10, this user has no permission for /dev/kvm", "POWER10"),
    SimulatedHost("patch-v4", "Power10, the patch-v4 interface as posted", "POWER10"),
    SimulatedHost(
        "patch-v4-strict",
        "Power10, the patch-v4 interface as reviewed: strict struct size",
        "POWER10",
    ),
    SimulatedHost(
        "patch-v4-short",
        "Power10, the patch-v4 interface with a truncated answer",
        "POWER10",
    ),
    SimulatedHost(
        "struct-32",
        "Power11, a future kernel: a struct of 32 bytes",
        "Power11",
        kernel="8.0.0",
    ),
    SimulatedHost(
        "unknown-bit",
        "Power11, a future kernel: an unknown bit",
        "Power11",
        kernel="8.0.0",
    ),
    SimulatedHost(
        "future",
        "Power11, a future kernel: a struct of 32 bytes and an unknown bit",
        "Power11",
        kernel="8.0.0",
    ),
)


def simulated_hosts() -> tuple[SimulatedHost, ...]:
    """All simulated hosts."""
    return _HOSTS


# The open blocks, in the order in which they began, after the host before the first of them.
_blocks: list[tuple[kvm.Kernel, Source]] = []
_lock = threading.Lock()


@contextlib.contextmanager
def simulated_host(name: str) -> Iterator[SimulatedHost]:
    """Runs the body of a ``with`` block on a simulated host.

    This affects all threads of the process, like os.chdir. Blocks can be nested, and can
    overlap in threads or tasks: the current host is that of the open block that began last,
    and the real one after the last block. Handles that were opened in a block stay on its
    host, and can be used after it.

    Raises:
        ValueError: there is no simulated host with this name; the message lists all.
    """
    host = next((host for host in _HOSTS if host.name == name), None)
    if host is None:
        names = ", ".join(host.name for host in _HOSTS)
        raise ValueError(f"unknown simulated host {name!r}; choose from {names}")
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
    """Switches the process to another host, and returns the previous one."""
    kernel, source = to
    return kvm.use_kernel(kernel), use_source(source)
