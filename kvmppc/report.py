"""probe(): everything known about a host, in one record."""

from __future__ import annotations

import os
import time

from kvmppc import remedies
from kvmppc._version import __version__
from kvmppc.caps import API_VERSION
from kvmppc.errors import (
    ApiVersionError,
    DeviceNotFoundError,
    DevicePermissionError,
    KvmError,
    NoModuleError,
    ProtocolError,
    UnsupportedError,
    VmCreationError,
)
from kvmppc.host import Host, read_host
from kvmppc.processors import GRANTABLE, MODES, CpuMode
from kvmppc.record import FIELDS, SCHEMA, RecordError, dump, load
from kvmppc.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

    from kvmppc.caps import CompatCaps, Revision
    from kvmppc.kvm import Kvm

    Status = Literal["known", "hint", "unsupported", "unavailable", "error", "denied"]


class HostReport(Value):
    """The record of one host, immutable. The attributes are the record's keys.

    Names from a later version of kvmppc that this one does not know are plain str.

    Attributes:
        version: the version of kvmppc that made the record.
        hostname, machine, kernel: as in uname(2).
        time: when it was made, in UTC: "2026-07-01T12:00:00Z".
        simulated: the name of the simulated host, None for a real one.
        platform: "powervm", "kvm", "powernv", or None.
        cpu_physical, cpu_effective: the processor, and the mode the host itself runs in.
        pvr: the processor version register, 32 bits.
        cpu_version: the logical processor version in the device tree, 32 bits.
        mmu: "radix" or "hash", None if the host does not report it.
        page_size: the page size of the host's kernel, in bytes.
        nested_api: the nested API that the host uses, 1 or 2; None if it is not known.
        device: the path of the KVM device.
        api_version: the version of KVM's API, 12; None if the device did not report it.
        capability: the answer of KVM_CHECK_EXTENSION for the interface; None if not queried.
        revision: the kernel's revision of the interface, None if it has none.
        status: "known" (the granted modes are known), "hint" (only the host's own mode is
            known), "unsupported" (this host does not have the interface), "unavailable" (there
            is no KVM, or it cannot create VMs), "error" (the kernel refused) or "denied" (no
            permission).
        source: where the answer is from: "kvm" (the kernel), "processor" (bare metal, where
            guests can have all modes of the processor), for a hint "auxv", "cpuinfo" or
            "device-tree"; or None.
        compat_capabilities: the mask, 64 bits unsigned; None if the kernel did not answer.
        modes: the modes granted to guests, oldest first, and nothing else.
        newest: the last of them, or None.
        hint: the host's own mode if the kernel cannot be asked; not a grant.
        unknown_bits: the bits of the mask that are not a known mode.
        errno: the symbol of the kernel's error ("ENOTTY"), or None.
        reason: the finding, as a sentence.
        remedy: what to do, or None.
    """

    # Without __slots__, unlike other values: probe() creates one in each call, and to take over a
    # complete dict takes a tenth of the time of setting the slots.

    version: str
    hostname: str
    time: str
    simulated: str | None
    machine: str
    kernel: str
    platform: str | None
    cpu_physical: str | None
    cpu_effective: str | None
    pvr: int | None
    cpu_version: int | None
    mmu: str | None
    page_size: int | None
    nested_api: int | None
    device: str
    api_version: int | None
    capability: int | None
    revision: str | None
    status: Status
    source: str | None
    compat_capabilities: int | None
    modes: tuple[CpuMode, ...]
    newest: CpuMode | None
    hint: str | None
    unknown_bits: int | None
    errno: str | None
    reason: str
    remedy: str | None
    _later: str

    def __init__(
        self, fields: Mapping[str, object], later: Mapping[str, object] | None = None
    ) -> None:
        own = {name: fields[name] for name in FIELDS}
        # As text, so that it cannot be changed and has a hash.
        own["_later"] = _written(later) if later else ""
        _adopt(self, own)

    def _fields(self) -> dict[str, object]:
        return self.__dict__

    @property
    def schema(self) -> int:
        """The record's version; 1."""
        return SCHEMA

    @property
    def later(self) -> dict[str, object]:
        """The keys and values of a later version of kvmppc that this one does not know."""
        if not self._later:
            return {}
        import json

        found: dict[str, object] = json.loads(self._later)
        return found

    def grants(self, mode: str) -> bool | None:
        """Whether a mode is granted: True, False, or None if that is not known.

        It is not known if the status is not "known", if one of the unknown bits may be this
        mode, or on bare metal for a mode before Power9, which requires a hash page table.

        Raises:
            ValueError: there is no mode with this name.
        """
        wanted = CpuMode(mode)
        if (
            self.status != "known"
            or (self.unknown_bits and not wanted.bit and wanted > GRANTABLE[0])
            or (self.source == "processor" and wanted < GRANTABLE[0])
        ):
            return None
        return wanted in self.modes

    def same_answer(self, other: HostReport) -> bool:
        """Whether two reports differ at most in time and hostname."""
        return _answer(self) == _answer(other)

    def to_dict(self) -> dict[str, object]:
        """The record in JSON's types: numbers of 32 and 64 bits as "0x..." text, modes by name."""
        return dump({name: getattr(self, name) for name in FIELDS}, self.later)

    def to_json(self) -> str:
        """The record as one line of JSON."""
        return _written(self.to_dict())

    @classmethod
    def from_dict(cls, record: Mapping[str, object]) -> HostReport:
        """Reads a record.

        Raises:
            RecordError: it is not a record; the message says what was expected.
        """
        return cls(*load(record))

    @classmethod
    def from_json(cls, text: str | bytes) -> HostReport:
        """Reads a record from JSON.

        Raises:
            RecordError: it is not JSON, or not a record.
        """
        import json

        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"not JSON: {error}") from None
        if not isinstance(record, dict):
            raise RecordError("a record is a JSON object")
        return cls.from_dict(record)

    def __repr__(self) -> str:
        newest = "" if self.newest is None else f" newest={self.newest}"
        return f"<kvmppc.HostReport {self.hostname} {self.status}{newest}>"


def _adopt(report: HostReport, fields: dict[str, object]) -> HostReport:
    """Makes a complete dict, in the record's order, the attributes of a new report."""
    object.__setattr__(report, "__dict__", fields)
    return report


def _written(value: Mapping[str, object]) -> str:
    import json

    return json.dumps(value)


def _answer(report: HostReport) -> dict[str, object]:
    record = report.to_dict()
    del record["time"], record["hostname"]
    return record


def probe(device: str | os.PathLike[str] = "/dev/kvm") -> HostReport:
    """Queries the processor modes that this host can give to nested guests.

    Does not raise if there is no answer: see the report's status, errno, reason and
    remedy. The capability is queried on the device first. A VM is created only if it
    is not 0, or if the VM shows why it is 0.

    Raises:
        ValueError: the path has a null character, or one that cannot be encoded.
    """
    open_kvm, lacks_interface = _kvm or _load()
    path = os.fspath(device)
    finding = _Finding(read_host())
    if not finding.host.is_power and lacks_interface(path):
        finding.not_power(None, 0)
        return finding.report(path)
    try:
        with open_kvm(path) as kvm:
            finding.ask(kvm)
    except KvmError as error:
        finding.refused(error)
    return finding.report(path)


# What probe() takes from kvmppc.kvm, once it is loaded: an import statement takes longer than a
# call.
_kvm: tuple[type[Kvm], Callable[[str], bool]] | None = None


def _load() -> tuple[type[Kvm], Callable[[str], bool]]:
    """Loads the compiled module at the first probe(): records can be read without it."""
    global _kvm
    from kvmppc.kvm import Kvm, lacks_interface

    _kvm = (Kvm, lacks_interface)
    return _kvm


def describe() -> HostReport:
    """A report from this host's files alone, without a query of KVM.

    For a copy of another machine's files (kvmppc probe --sysroot).
    """
    finding = _Finding(read_host())
    finding.not_asked()
    return finding.report("/dev/kvm")


class _Finding:
    """The part of a record that comes from KVM, filled in as far as possible."""

    __slots__ = ("fields", "host")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.fields: dict[str, object] = {}

    def report(self, device: str) -> HostReport:
        """The report, with the facts of the host.

        It is made only of what is compared here, and of the time. So if nothing differs from the
        previous report, only the time is new.
        """
        global _last
        known = (vars(self.host), device, self.fields)
        before, fields = _last
        if known != before:
            fields = self._together(device)
            _last = (known, fields)
        fields = fields.copy()
        fields["time"] = _time()
        return _adopt(HostReport.__new__(HostReport), fields)

    def _together(self, device: str) -> dict[str, object]:
        """All attributes of a report except the time."""
        host = self.host
        return {
            **_EMPTY,
            "hostname": host.hostname,
            "simulated": host.simulated,
            "machine": host.machine,
            "kernel": host.kernel,
            "platform": host.platform,
            "cpu_physical": host.cpu_physical,
            "cpu_effective": host.cpu_effective,
            "pvr": host.pvr,
            "cpu_version": host.cpu_version,
            "mmu": host.mmu,
            "page_size": host.page_size,
            "device": device,
            **self.fields,
        }

    def ask(self, kvm: Kvm) -> None:
        """Queries KVM. Raises the KvmError of the first call that fails."""
        fields = self.fields
        fields["api_version"] = API_VERSION  # else there would be no handle
        fields["revision"] = revision = kvm.get_revision()
        # No revision: the kernel answered 0 for the capability of each.
        fields["capability"] = capability = 0
        if revision is not None:
            from kvmppc.kvm import capability_of

            fields["capability"] = capability = kvm.check_extension(capability_of(revision))
        if not self.host.is_power:
            self.not_power(revision, capability)
            return
        from kvmppc.kvm import Cap

        with kvm.create_vm() as vm:
            if revision is not None:
                self.nested(kvm)
                self.answered(vm.get_compat_caps())
            elif vm.check_extension(Cap.PPC_GET_PVINFO):
                self.unsupported(*remedies.PR)
            elif self.host.platform == "powernv":
                self.bare_metal()
            else:
                self.nested(kvm)
                self.hint()

    def not_power(self, revision: Revision | None, capability: int) -> None:
        """Other processors than Power do not have these modes, whatever the device answered."""
        self.fields = {
            "api_version": API_VERSION,
            "revision": revision,
            "capability": capability,
            "status": "unsupported",
            "reason": f"This is {self.host.machine}: only KVM on IBM Power grants processor modes.",
            "remedy": remedies.NOT_POWER,
        }

    def nested(self, kvm: Kvm) -> None:
        """Finds the nested API, if that is possible.

        The capability is 1 under v1, unless kvm_hv does not allow nesting, and 0 under v2.
        """
        from kvmppc.kvm import Cap

        if kvm.check_extension(Cap.PPC_NESTED_HV):
            self.fields["nested_api"] = 1
        elif self.host.is_nesting_on():
            self.fields["nested_api"] = 2

    def answered(self, caps: CompatCaps) -> None:
        """The kernel answered."""
        how = _SOURCES[self.fields.get("nested_api")]
        reason = f"The kernel answered: {how}."
        if not caps.modes:
            reason = "The kernel answered, but grants no mode that this version knows."
        mode = self.host.cpu_effective
        if mode is not None and not mode.bit:
            reason += f" The interface has no bit for the host's own mode, {mode.label}."
        self.fields.update(
            status="known",
            source="kvm",
            compat_capabilities=caps.compat_capabilities,
            modes=caps.modes,
            newest=caps.newest,
            unknown_bits=caps.unknown_bits,
            reason=reason,
        )

    def bare_metal(self) -> None:
        """There are no grants on bare metal: guests can have the modes of the processor."""
        processor = self.host.cpu_physical
        modes = tuple(
            mode
            for mode in MODES
            if processor is not None and GRANTABLE[0] <= mode <= processor.mode
        )
        if not modes:
            self.unsupported(
                f"Bare metal with a processor before {GRANTABLE[0].label}, or one that this "
                f"version does not know ({self.host.words!a}).",
                None,
            )
            return
        self.fields.update(
            status="known",
            source="processor",
            modes=modes,
            newest=modes[-1],
            reason="Bare metal: KVM gives guests the mode of the processor and earlier ones, "
            f"from {modes[0].label} on.",
        )

    def hint(self) -> None:
        """The kernel cannot be asked; only the host's own mode is known."""
        reason, remedy = remedies.cannot_ask(self.host)
        mode = self.host.cpu_effective
        if mode is None:
            self.unsupported(f"{reason}, and {self.no_mode()}.", remedy)
            return
        self.fields.update(
            status="hint",
            source=self.host.effective_from,
            hint=mode,
            reason=f"{reason}; the host itself runs in {mode.label} mode, which is not a grant.",
            remedy=remedy,
        )

    def no_mode(self) -> str:
        """Why the host's own mode is not known."""
        if self.host.words:
            return f"the host's processor, {self.host.words!a}, has no mode that this version knows"
        if not self.host.has_tree:
            return "the device tree cannot be read (containers mask it)"
        return "the device tree names no mode that this version knows"

    def not_asked(self) -> None:
        """KVM was not queried: these are only files."""
        self.unsupported("KVM was not asked: these are the files of another machine.", None)

    def unsupported(self, reason: str, remedy: str | None) -> None:
        """The host does not have the interface; that is not an error."""
        self.fields.update(status="unsupported", reason=reason, remedy=remedy)

    def refused(self, error: KvmError) -> None:
        """A call failed: its kind decides the status; the errno is the kernel's, if it gave one."""
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        if isinstance(error, ApiVersionError):
            self.fields["api_version"] = error.api_version
        reason, remedy = remedies.explain(error, self.host)
        if status == "unavailable" and not self.host.is_power:
            remedy = f"This is {self.host.machine}. {remedies.NOT_POWER}"
        self.fields.update(
            status=status,
            errno=None if isinstance(error, ProtocolError) else error.name,
            reason=f"{error.call}: {reason}",
            remedy=remedy,
        )


# A report without facts.
_EMPTY: dict[str, object] = {
    **dict.fromkeys(FIELDS),
    "version": __version__,
    "modes": (),
    "_later": "",
}

# The facts of the last report, and its attributes.
_last: tuple[tuple[object, ...], dict[str, object]] = ((), {})

# The last second as text: strftime takes longer than a call to the kernel.
_second = (0, "1970-01-01T00:00:00Z")


def _time() -> str:
    """The time now, in UTC."""
    global _second
    now = int(time.time())
    second, text = _second
    if now != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        _second = (now, text)
    return text


# Where the kernel has its answer from, by the API that the host nests by.
_SOURCES: dict[object, str] = {
    1: "derived from the device tree (nested API v1), not validated by the hypervisor",
    2: "negotiated with the hypervisor (nested API v2)",
    None: "by nested API v1 or v2; which one is not known (kvm_hv's parameter nested is not Y)",
}

# The first kind that fits; KvmError fits all that is left.
_STATUS: tuple[tuple[type[KvmError], Status], ...] = (
    (DevicePermissionError, "denied"),
    (DeviceNotFoundError, "unavailable"),
    (NoModuleError, "unavailable"),
    (VmCreationError, "unavailable"),
    (UnsupportedError, "unsupported"),
    (KvmError, "error"),
)
