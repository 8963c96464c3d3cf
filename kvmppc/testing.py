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

from kvmppc import kvm
from kvmppc._simhost import lib
from kvmppc.host import Source, use_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Processors by their name in /proc/cpuinfo: the revision there, and the device tree's cpu-version.
# All as real kernels show them under QEMU.
_REVISION = {
    "POWER9": "2.2 (pvr 004e 1202)",
    "POWER10": "2.0 (pvr 0080 1200)",
    "Power11": "18.0 (pvr 0082 1200)",
    "Power12": "2.0 (pvr 0083 1200)",
}
_CPU_VERSION = {
    "POWER8": 0x0F000004,
    "POWER9": 0x0F000005,
    "POWER10": 0x0F000006,
    "Power11": 0x0F000007,
    "Power12": 0x0F000008,
}


class SimulatedHost:
    """One simulated host: its name, what it is, and the files that say so.

    Attributes:
        name: for :func:`simulated_host` and ``kvmppc --simulate``.
        summary: what is particular about it, a line.
    """

    __slots__ = ("_files", "_kernel", "name", "summary")

    def __init__(
        self,
        name: str,
        summary: str,
        physical: str,
        effective: str | None = None,
        platform: str = "kvm",
        kernel: str = "7.3.0",
    ) -> None:
        self.name = name
        self.summary = summary
        self._kernel = kernel
        self._files = _files(physical, effective or physical, platform)

    def source(self) -> Source:
        """Where the host's facts are read."""
        return _SimulatedSource(self._files, (self.name, self._kernel, "ppc64le"), self.name)

    def __repr__(self) -> str:
        return f"<kvmppc.testing.SimulatedHost {self.name}>"


class _SimulatedSource(Source):
    """Files in memory, by path."""

    def __init__(self, files: dict[str, bytes], uname: tuple[str, str, str], name: str) -> None:
        super().__init__(uname=uname, simulated=name)
        self._files = files

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def entries(self, path: str) -> list[str]:
        inside = (name[len(path) + 1 :] for name in self._files if name.startswith(path + "/"))
        return sorted({name.split("/")[0] for name in inside})


def _files(physical: str, effective: str, platform: str) -> dict[str, bytes]:
    """The files that tell what a host is, with the contents that real hosts have there."""
    bare = platform == "powernv"
    tree = "/proc/device-tree"
    files = {
        "/proc/cpuinfo": (
            "processor\t: 0\n"
            f"cpu\t\t: {effective}{'' if bare else ' (architected)'}, altivec supported\n"
            "clock\t\t: 1000.000000MHz\n"
            f"revision\t: {_REVISION[physical]}\n\n"
            "timebase\t: 512000000\n"
            f"platform\t: {'PowerNV' if bare else 'pSeries'}\n"
        ).encode()
    }
    if bare:
        files[f"{tree}/compatible"] = b"qemu,powernv10\0ibm,powernv\0"
    elif platform == "powervm":
        files[f"{tree}/compatible"] = b"IBM,9080-HEU\0"
        files[f"{tree}/ibm,partition-name"] = b"lpar1\0"
        files[f"{tree}/hmc-managed?"] = b""
    else:
        files[f"{tree}/compatible"] = b"qemu,pseries\0"
    # Bare metal has the raw PVR there, which names no mode.
    version = 0x00801200 if bare else _CPU_VERSION[effective]
    files[f"{tree}/cpus/PowerPC,{physical.upper()}@0/cpu-version"] = version.to_bytes(4, "big")
    return files


_HOSTS = (
    SimulatedHost("power9", "Power9, nested API v1", "POWER9"),
    SimulatedHost("power10", "Power10, nested API v1", "POWER10"),
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
        "Power10 with a kernel that has no such ioctl; the device tree gives a hint",
        "POWER10",
        kernel="6.12.0",
    ),
    SimulatedHost(
        "no-nesting",
        "Power10 whose hypervisor gives no nesting: /dev/kvm opens, no VM can be made",
        "POWER10",
    ),
    SimulatedHost(
        "power8-mode",
        "Power10 in POWER8 mode, where nothing can be nested: no VM can be made",
        "POWER10",
        "POWER8",
    ),
    SimulatedHost("nested-off", "Power10, nested API v1, kvm_hv loaded with nested=N", "POWER10"),
    SimulatedHost("kvm-pr", "Power10 with kvm_pr, which makes VMs but grants no modes", "POWER10"),
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
        "no-operation",
        "Power10, a kernel that has the capability but a backend that has no answer: ENOTTY",
        "POWER10",
    ),
    SimulatedHost(
        "backend-refuses",
        "Power10, a kernel whose backend cannot get the answer: EINVAL",
        "POWER10",
    ),
    SimulatedHost("no-device", "Power10 without /dev/kvm", "POWER10"),
    SimulatedHost("container", "Power10, a container that /dev/kvm is not passed to", "POWER10"),
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


@contextlib.contextmanager
def simulated_host(name: str) -> Iterator[SimulatedHost]:
    """Makes this process be on a simulated host, for the length of a ``with`` block.

    Process-wide, for all threads, like os.chdir; blocks can be nested. Handles that
    were opened inside go on working after it, on the simulated host.

    Raises:
        ValueError: there is no host of this name; the message lists those there are.
    """
    host = next((host for host in _HOSTS if host.name == name), None)
    if host is None:
        names = ", ".join(host.name for host in _HOSTS)
        raise ValueError(f"no simulated host is called {name!r}; there are {names}")
    kernel = kvm.use_kernel(kvm.Kernel(lib, f"{host.name}:"))
    source = use_source(host.source())
    try:
        yield host
    finally:
        use_source(source)
        kvm.use_kernel(kernel)
