"""What kind of host this is: its processor, mode and platform, with no KVM involved.

The processor tells the most by itself: the auxiliary vector has the mode and the processor's name,
and a register its version, in any container. /proc/cpuinfo has what the kernel noted when it
started, and the device tree what the firmware says, where it is not masked.
"""

from __future__ import annotations

import os

from kvmppc.processors import CpuMode, Processor, find_processor

_TREE = "/proc/device-tree"
# The first processor's block; on a host with a thousand threads the rest is long.
_HEAD = 4096
# The last lines of /proc/cpuinfo, which tell of the machine.
_TAIL = 1024
_CHUNK = 64 << 10
_LIMIT = 4 << 20
# How uname calls machines; all others are not Power either.
_MACHINES = ("ppc", "x86", "i686", "aarch64", "arm", "s390", "riscv")


class Source:
    """Where a host's facts are read: this machine, or a copy of its files.

    Args:
        root: the folder that stands for "/".
        uname: hostname, kernel release and machine, where they are not this machine's.
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
        """Mode and processor as the auxiliary vector names them, and the live PVR."""
        if self.root or self._uname is not None:
            return None, None, None
        # Not at the top: a copy of files is read where the compiled module cannot be had, too.
        from kvmppc.kvm import read_processor

        return read_processor()

    def page_size(self) -> int | None:
        """Bytes of a page; None where files do not tell."""
        return None if self.root else os.sysconf("SC_PAGE_SIZE")

    def permissions(self, path: str) -> tuple[int, str, str] | None:
        """A file's mode, and the names of its owner and group; None where it is not there."""
        try:
            status = os.stat(self.root + path)
        except OSError:
            return None
        try:
            import grp
            import pwd

            owner, group = pwd.getpwuid(status.st_uid)[0], grp.getgrgid(status.st_gid)[0]
        except (KeyError, ImportError):
            # As in a container: there is a number, and nobody who has it. Or this process may
            # no longer read what its Python is made of.
            owner, group = str(status.st_uid), str(status.st_gid)
        return status.st_mode, owner, group

    def is_root(self) -> bool:
        """Whether this process asks as the user root."""
        return os.geteuid() == 0

    def read(self, path: str, limit: int = _HEAD) -> bytes | None:
        """The file's first bytes; None where it is not there or may not be read."""
        # Not open(): the file object that it makes takes as long as all the system calls. Without
        # blocking, since a copy of files may have a pipe in it.
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
        """The names in a folder, sorted; empty where it is not there."""
        try:
            return sorted(os.listdir(self._inside(path)))
        except OSError:
            return []

    def _inside(self, path: str) -> str:
        """The path below the root. A copy's links may lead out of it: what is there is not its."""
        if not self.root:
            return path
        found = os.path.realpath(self.root + path)
        if not found.startswith(os.path.realpath(self.root) + "/"):
            raise FileNotFoundError
        return found


def _read_up_to(fd: int, limit: int) -> bytes:
    """Reads to the end, a part at a time: a file of /proc gives no more than a page."""
    data = os.read(fd, min(limit, _CHUNK))
    if limit <= _HEAD:
        return data
    parts = [data]
    while data and (limit := limit - len(data)) > 0:
        data = os.read(fd, min(limit, _CHUNK))
        parts.append(data)
    return b"".join(parts)


def _uname_of_files(source: Source) -> tuple[str, str, str]:
    """As /proc/sys/kernel has them, else as the output of uname -a that a sosreport has."""
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
    """What is known of a host without asking KVM.

    Attributes:
        source: where it was read.
        hostname, kernel, machine: as uname(2) gives them.
        simulated: the name of the simulated host, None for a real one.
        platform: "powervm" (a partition), "kvm" (a guest of KVM or QEMU), "powernv"
            (bare metal), None where it is none of these.
        cpu_physical: the processor by its PVR, else by its name in the auxiliary vector.
        cpu_effective: the mode it runs in.
        effective_from: where that was read: "auxv", "cpuinfo", "device-tree" or None.
        words: what /proc/cpuinfo calls the processor, "" where it does not say.
        pvr: the processor version register, 32 bits: the live one, else the stored one.
        stored_pvr: the one that the kernel noted when it started, in /proc/cpuinfo.
        cpu_version: the device tree's logical processor version, 32 bits.
        mmu: "radix" or "hash", None where /proc/cpuinfo does not say.
        page_size: bytes of a page.
        has_tree: whether the device tree can be read; containers mask it.
    """

    source: Source
    hostname: str
    kernel: str
    machine: str
    simulated: str | None
    platform: str | None
    cpu_physical: Processor | None
    cpu_effective: CpuMode | None
    effective_from: str | None
    words: str
    pvr: int | None
    stored_pvr: int | None
    cpu_version: int | None
    mmu: str | None
    page_size: int | None
    has_tree: bool

    def __init__(self, source: Source) -> None:
        self.source = source
        self.simulated = source.simulated
        self.hostname, self.kernel, self.machine = source.uname()
        self.page_size = source.page_size()
        self.platform = self.effective_from = self.mmu = None
        self.cpu_physical = self.cpu_effective = None
        self.pvr = self.stored_pvr = self.cpu_version = None
        self.words = ""
        self.has_tree = False
        if self.is_power:
            self._read(source)

    @property
    def is_power(self) -> bool:
        """Whether this is a machine that the question is about at all."""
        return self.machine.startswith("ppc64")

    @property
    def kernel_version(self) -> tuple[int, int]:
        """The first two numbers of the kernel's release, (0, 0) where it has none."""
        numbers = self.kernel.replace("-", ".").split(".")
        try:
            return int(numbers[0]), int(numbers[1])
        except (ValueError, IndexError):
            return 0, 0

    @property
    def is_compatible(self) -> bool:
        """Whether the host itself runs in the mode of an earlier processor than it has."""
        return bool(
            self.cpu_physical and self.cpu_effective and self.cpu_effective < self.cpu_physical.mode
        )

    def has_module(self, name: str) -> bool:
        """Whether a module is loaded, or is a part of this kernel that has a folder in sysfs."""
        return bool(self.source.entries(f"/sys/module/{name}"))

    def is_nesting_on(self) -> bool:
        """Whether kvm_hv was told to nest (its parameter ``nested``)."""
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
    """What /proc/cpuinfo says of the first processor, up to an empty line, and at its end."""
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
    """Tells partition, guest and bare metal apart, by the device tree's root."""
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
    """The same by the last lines of /proc/cpuinfo, which containers do not mask."""
    machine = facts.get("machine", "")
    if facts.get("platform") == "PowerNV":
        return "powernv"
    if "emulated by qemu" in machine:
        return "kvm"
    # A partition's machine has IBM's type and model: "CHRP IBM,9080-HEX".
    return "powervm" if machine.startswith("CHRP IBM,") else None


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
    """Makes read_host() read elsewhere, and gives back the source before; for kvmppc.testing."""
    global _source
    before, _source = _source, source
    return before


def read_host() -> Host:
    """Reads what kind of host this is. Facts that are not there are None, and never an error."""
    return Host(_source)
