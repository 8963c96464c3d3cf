"""The host's processor, mode and platform, without KVM.

The auxiliary vector has the mode and the processor's name, and the PVR its version; both can be
read in any container. /proc/cpuinfo has what the kernel recorded at boot. The device tree has what
the firmware reports; containers mask it.
"""

from __future__ import annotations

import os

from kvmppc.processors import CpuMode, Processor, find_processor

_TREE = "/proc/device-tree"
# Bytes of the first processor's block. The whole file is long: it has a block for each thread.
_HEAD = 4096
# Bytes of the last lines of /proc/cpuinfo, which describe the machine.
_TAIL = 1024
_CHUNK = 64 << 10
_LIMIT = 4 << 20
# The starts of machine names in uname, for those that uname -a may contain.
_MACHINES = ("ppc", "x86", "i686", "aarch64", "arm", "s390", "riscv")


class Source:
    """Where a host's facts are read: this machine, or a copy of another one's files.

    Args:
        root: the directory that replaces "/".
        uname: hostname, kernel release and machine, if they are not this machine's.
        simulated: the name of the simulated host, None for a real one.
    """

    root: str
    simulated: str | None

    def __init__(
        self,
        root: str = "/",
        uname: tuple[str, str, str] | None = None,
        simulated: str | None = None,
    ) -> None:
        self.root = root.rstrip("/")
        self._uname = uname
        self.simulated = simulated

    def uname(self) -> tuple[str, str, str]:
        """Hostname, kernel release and machine ("ppc64le")."""
        if self._uname is not None:
            return self._uname
        if self.root:
            return _uname_of_files(self)
        name = os.uname()
        return name.nodename, name.release, name.machine

    def processor(self) -> tuple[str | None, str | None, int | None]:
        """Mode and processor from the auxiliary vector, and the live PVR (32 bits); or None."""
        if self.root or self._uname is not None:
            return None, None, None
        # Not at the top: copies of files can be read without the compiled module.
        from kvmppc.kvm import read_processor

        return read_processor()

    def page_size(self) -> int | None:
        """The page size in bytes; None for a copy of files, which does not have it."""
        return None if self.root else os.sysconf("SC_PAGE_SIZE")

    def permissions(self, path: str) -> tuple[int, str, str] | None:
        """A file's mode, and the names of its owner and group; None if it does not exist."""
        try:
            status = os.stat(self.root + path)
        except OSError:
            return None
        try:
            import grp
            import pwd

            owner, group = pwd.getpwuid(status.st_uid)[0], grp.getgrgid(status.st_gid)[0]
        except (KeyError, ImportError):
            # The number has no name, as in a container; or the process is confined, and can no
            # longer load Python's modules.
            owner, group = str(status.st_uid), str(status.st_gid)
        return status.st_mode, owner, group

    def is_root(self) -> bool:
        """Whether this process runs as root."""
        return os.geteuid() == 0

    def read(self, path: str, limit: int = _HEAD) -> bytes | None:
        """The first ``limit`` bytes of a file; None if it does not exist or cannot be read."""
        # Not open(): its file object takes as long as all the system calls. O_NONBLOCK, since a
        # copy of files may contain a FIFO.
        try:
            fd = os.open(self._inside(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return _read_up_to(fd, limit)
        except OSError:
            return None
        finally:
            os.close(fd)

    def entries(self, path: str) -> list[str]:
        """The names in a directory, sorted; empty if it does not exist."""
        try:
            return sorted(os.listdir(self._inside(path)))
        except OSError:
            return []

    def _inside(self, path: str) -> str:
        """The path below the root. Raises FileNotFoundError if a link leads out of the root."""
        if not self.root:
            return path
        found = os.path.realpath(self.root + path)
        if not found.startswith(os.path.realpath(self.root) + "/"):
            raise FileNotFoundError
        return found


def _read_up_to(fd: int, limit: int) -> bytes:
    """Reads up to the limit, in parts: a read from /proc may return only one page."""
    data = os.read(fd, min(limit, _CHUNK))
    if limit <= _HEAD:
        return data
    parts = [data]
    while data and (limit := limit - len(data)) > 0:
        data = os.read(fd, min(limit, _CHUNK))
        parts.append(data)
    return b"".join(parts)


def _uname_of_files(source: Source) -> tuple[str, str, str]:
    """The uname in /proc/sys/kernel, else that in the output of uname -a in a sosreport."""
    uname = ("/sos_commands/kernel/uname_-a", "/sos_commands/host/uname_-a", "/uname")
    words = next(filter(None, (_text(source, path).split() for path in uname)), [])
    hostname = _text(source, "/proc/sys/kernel/hostname") or _text(source, "/etc/hostname")
    kernel = _text(source, "/proc/sys/kernel/osrelease") or " ".join(
        _text(source, "/proc/version").split()[2:3]
    )
    machines = [word for word in words[3:] if word.startswith(_MACHINES)]
    machine = (
        machines[0]
        if machines
        else "ppc64le"
        if "pvr" in _cpuinfo(source).get("revision", "")
        else "unknown"
    )
    return (
        hostname or " ".join(words[1:2]) or "unknown",
        kernel or " ".join(words[2:3]) or "unknown",
        machine,
    )


def _text(source: Source, path: str) -> str:
    return (source.read(path) or b"").decode("utf-8", "replace").strip()


class Host:
    """What is known about a host without a query of KVM. None stands for what is not known.

    Attributes:
        source: where the facts were read.
        hostname, kernel, machine: as in uname(2).
        simulated: the name of the simulated host, None for a real one.
        platform: "powervm" (a partition), "kvm" (a guest of KVM or QEMU) or "powernv"
            (bare metal).
        cpu_physical: the processor by its PVR, else by its name in the auxiliary vector.
        cpu_effective: the mode the host runs in.
        effective_from: where the mode was read: "auxv", "cpuinfo" or "device-tree".
        words: the ``cpu`` line of /proc/cpuinfo, "" if there is none.
        pvr: the processor version register, 32 bits: the live one, else the stored one.
        stored_pvr: the PVR in /proc/cpuinfo, 32 bits, which the kernel recorded at boot.
        cpu_version: the logical processor version in the device tree, 32 bits.
        mmu: "radix" or "hash", from /proc/cpuinfo.
        page_size: the page size in bytes.
        has_tree: whether the device tree can be read; containers mask it.
        is_power: whether this is a ppc64 or ppc64le machine.
    """

    source: Source
    hostname: str
    kernel: str
    machine: str
    simulated: str | None
    platform: str | None = None
    cpu_physical: Processor | None = None
    cpu_effective: CpuMode | None = None
    effective_from: str | None = None
    words: str = ""
    pvr: int | None = None
    stored_pvr: int | None = None
    cpu_version: int | None = None
    mmu: str | None = None
    page_size: int | None
    has_tree: bool = False
    is_power: bool

    def __init__(self, source: Source) -> None:
        self.source = source
        self.simulated = source.simulated
        self.hostname, self.kernel, self.machine = source.uname()
        self.page_size = source.page_size()
        self.is_power = self.machine.startswith("ppc64")
        if self.is_power:
            self._read(source)

    @property
    def kernel_version(self) -> tuple[int, int]:
        """Major and minor number of the kernel release, (0, 0) if it has none."""
        major, _, rest = self.kernel.partition(".")
        minor = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        try:
            return int(major), int(minor)
        except ValueError:
            return 0, 0

    @property
    def is_compatible(self) -> bool:
        """Whether the host runs in the mode of an earlier processor than its own."""
        return bool(
            self.cpu_physical and self.cpu_effective and self.cpu_effective < self.cpu_physical.mode
        )

    def has_module(self, name: str) -> bool:
        """Whether a module is in /sys/module: loaded, or built in with parameters."""
        return bool(self.source.entries(f"/sys/module/{name}"))

    def is_nesting_on(self) -> bool:
        """Whether kvm_hv allows nesting (its parameter ``nested``)."""
        return self.source.read("/sys/module/kvm_hv/parameters/nested") == b"Y\n"

    def _read(self, source: Source) -> None:
        facts = _cpuinfo(source)
        mode, processor, live = source.processor()
        self.has_tree = bool(source.entries(_TREE))
        self.platform = _platform_of_tree(source) or _platform_of_cpuinfo(facts)
        self.cpu_version = _cpu_version(source)
        self.words = facts.get("cpu", "")
        self.mmu = {"radix": "radix", "hash": "hash"}.get(facts.get("mmu", "").lower())
        self.stored_pvr = _pvr(facts.get("revision", ""))
        self.pvr = self.stored_pvr if live is None else live
        named = _processor_named(processor or "")
        self.cpu_physical = named if self.pvr is None else Processor.from_pvr(self.pvr)
        version = None if self.cpu_version is None else CpuMode.from_cpu_version(self.cpu_version)
        for place, found in (
            ("auxv", _mode_named(mode or "")),
            ("cpuinfo", _mode_named(self.words)),
            ("device-tree", version),
        ):
            if found is not None:
                self.cpu_effective, self.effective_from = found, place
                break


def _cpuinfo(source: Source) -> dict[str, str]:
    """The lines of /proc/cpuinfo on the first processor and on the machine, by name."""
    text = (source.read("/proc/cpuinfo", _LIMIT) or b"").decode("ascii", "replace")
    facts: dict[str, str] = {}
    for line in text[:_HEAD].lstrip().splitlines():
        if not line.strip():
            break
        _note(facts, line)
    for line in text[-_TAIL:].splitlines():
        _note(facts, line)
    return facts


def _note(facts: dict[str, str], line: str) -> None:
    name, colon, value = line.partition(":")
    if colon:
        facts.setdefault(name.strip().lower(), value.strip())


def _platform_of_tree(source: Source) -> str | None:
    """The platform, by the root of the device tree."""
    compatible = (source.read(f"{_TREE}/compatible") or b"").split(b"\0")
    if b"ibm,powernv" in compatible:
        return "powernv"
    if b"qemu,pseries" in compatible or _has(source, "chosen/qemu,graphic-width"):
        return "kvm"
    if _has(source, "ibm,powervm-partition"):
        return "powervm"
    if _has(source, "ibm,partition-name") and _has(source, "hmc-managed?"):
        return "powervm"
    return None


def _platform_of_cpuinfo(facts: dict[str, str]) -> str | None:
    """The platform, by the last lines of /proc/cpuinfo, which containers do not mask."""
    machine = facts.get("machine", "")
    if facts.get("platform") == "PowerNV":
        return "powernv"
    if "emulated by qemu" in machine:
        return "kvm"
    # The machine of a partition is IBM's type and model: "CHRP IBM,9080-HEX".
    return "powervm" if machine.startswith("CHRP IBM,") else None


def _has(source: Source, name: str) -> bool:
    return source.read(f"{_TREE}/{name}") is not None


def _cpu_version(source: Source) -> int | None:
    """The cpu-version of the first processor. All processors of a partition run in one mode."""
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


def _processor_named(text: str) -> Processor | None:
    """The processor in a line like "POWER8E (raw), altivec supported"."""
    words = text.replace(",", " ").split()
    return find_processor(words[0]) if words else None


def _mode_named(text: str) -> CpuMode | None:
    """The mode in a line like "POWER10 (architected), altivec supported"."""
    processor = _processor_named(text)
    return None if processor is None else processor.mode


_source = Source()


def use_source(source: Source) -> Source:
    """Sets the source of read_host(), and returns the previous one."""
    global _source
    before, _source = _source, source
    return before


def read_host() -> Host:
    """Reads the facts of this host. A fact that cannot be read is None, not an error."""
    return Host(_source)
