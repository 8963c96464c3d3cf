"""What kind of host this is: read from /proc and the device tree, no KVM involved."""

from __future__ import annotations

import os

from kvmppc.processors import CpuMode, Processor

# /proc/cpuinfo names the processor in its first block; on a host with a thousand threads
# the rest is a long read for nothing.
_READ_LIMIT = 4096
_TREE = "/proc/device-tree"


class Source:
    """Where a host's facts are read: this machine, or a copy of its files.

    Args:
        root: the folder that stands for "/".
        uname: hostname, kernel release and machine, where they are not this machine's.
        simulated: the name of the simulated host, None for a real one.
    """

    def __init__(
        self,
        root: str = "/",
        uname: tuple[str, str, str] | None = None,
        simulated: str | None = None,
    ) -> None:
        self.root = root
        self._uname = uname
        self.simulated = simulated

    def uname(self) -> tuple[str, str, str]:
        """Hostname, kernel release and machine ("ppc64le")."""
        if self._uname is not None:
            return self._uname
        name = os.uname()
        return name.nodename, name.release, name.machine

    def read(self, path: str) -> bytes | None:
        """The file's first bytes; None where it is not there or may not be read."""
        # Not open(): the file object that it makes takes as long as all the system calls.
        try:
            fd = os.open(self.root.rstrip("/") + path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return os.read(fd, _READ_LIMIT)
        except OSError:
            return None
        finally:
            os.close(fd)

    def entries(self, path: str) -> list[str]:
        """The names in a folder, sorted; empty where it is not there."""
        try:
            return sorted(os.listdir(self.root.rstrip("/") + path))
        except OSError:
            return []


class Host:
    """What is known of a host without asking KVM.

    Attributes:
        hostname, kernel, machine: as uname(2) gives them.
        simulated: the name of the simulated host, None for a real one.
        platform: "powervm" (a partition), "kvm" (a guest of KVM or QEMU), "powernv"
            (bare metal), None where it is none of these.
        cpu_physical: the processor by its PVR.
        cpu_effective: the mode it runs in.
        pvr: the processor version register, 32 bits.
        cpu_version: the device tree's logical processor version, 32 bits.
    """

    __slots__ = (
        "cpu_effective",
        "cpu_physical",
        "cpu_version",
        "hostname",
        "kernel",
        "machine",
        "platform",
        "pvr",
        "simulated",
    )

    def __init__(self, source: Source) -> None:
        self.simulated = source.simulated
        self.hostname, self.kernel, self.machine = source.uname()
        self.platform: str | None = None
        self.cpu_physical: Processor | None = None
        self.cpu_effective: CpuMode | None = None
        self.pvr: int | None = None
        self.cpu_version: int | None = None
        if self.is_power:
            self._read(source)

    @property
    def is_power(self) -> bool:
        """Whether this is a machine that the question is about at all."""
        return self.machine.startswith("ppc64")

    def _read(self, source: Source) -> None:
        facts = _cpuinfo(source)
        self.platform = _platform(source)
        self.cpu_version = _cpu_version(source)
        self.pvr = _pvr(facts.get("revision", ""))
        if self.pvr is not None:
            self.cpu_physical = Processor.from_pvr(self.pvr)
        self.cpu_effective = _mode_named(facts.get("cpu", ""))


def _cpuinfo(source: Source) -> dict[str, str]:
    """The names and values of the first processor in /proc/cpuinfo; an empty line ends it."""
    facts: dict[str, str] = {}
    for line in (source.read("/proc/cpuinfo") or b"").decode("ascii", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            facts.setdefault(name.strip(), value.strip())
        elif facts:
            break
    return facts


def _platform(source: Source) -> str | None:
    """Tells partition, guest and bare metal apart, by the device tree's root."""
    compatible = (source.read(f"{_TREE}/compatible") or b"").split(b"\0")
    if b"ibm,powernv" in compatible:
        return "powernv"
    if b"qemu,pseries" in compatible or _has(source, "chosen/qemu,graphic-width"):
        return "kvm"
    if _has(source, "ibm,partition-name") and _has(source, "hmc-managed?"):
        return "powervm"
    return None


def _has(source: Source, name: str) -> bool:
    return source.read(f"{_TREE}/{name}") is not None


def _cpu_version(source: Source) -> int | None:
    """The first processor's cpu-version; all processors of a partition run in one mode."""
    for name in source.entries(f"{_TREE}/cpus"):
        value = source.read(f"{_TREE}/cpus/{name}/cpu-version")
        if value is not None and len(value) == 4:
            return int.from_bytes(value, "big")
    return None


def _pvr(revision: str) -> int | None:
    """The PVR in a line like "2.0 (pvr 0082 1200)"."""
    words = revision.rstrip(")").split("pvr ")[-1].split()
    try:
        upper, lower = (int(word, 16) for word in words)
    except ValueError:
        return None
    return upper << 16 | lower if 0 <= upper < 1 << 16 and 0 <= lower < 1 << 16 else None


def _mode_named(cpu: str) -> CpuMode | None:
    """The mode in a line like "POWER10 (architected), altivec supported"."""
    words = cpu.replace(",", " ").split()
    try:
        return CpuMode(words[0].lower()) if words else None
    except ValueError:
        return None


_source = Source()


def use_source(source: Source) -> Source:
    """Makes read_host() read elsewhere, and gives back the source before; for kvmppc.testing."""
    global _source
    before, _source = _source, source
    return before


def read_host() -> Host:
    """Reads what kind of host this is. Facts that are not there are None, and never an error."""
    return Host(_source)
