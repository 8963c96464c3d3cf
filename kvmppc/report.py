"""probe(): what a host can tell, in one record."""

from __future__ import annotations

import os
import time

from kvmppc._version import __version__
from kvmppc.caps import CompatCaps, Revision
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
from kvmppc.kvm import API_VERSION, Cap, Kvm, capability_of
from kvmppc.processors import CpuMode, Processor
from kvmppc.record import FIELDS, SCHEMA, RecordError, dump, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal, NoReturn

    Status = Literal["known", "hint", "unsupported", "unavailable", "error", "denied"]
    SourceName = Literal["kvm", "device-tree"]

_NOT_POWER = "Ask on an IBM Power host, or try a simulated one: kvmppc hosts lists them."
_NEWER_KERNEL = "Linux 7.3 and later can answer."


class HostReport:
    """What one host said when it was asked, immutable. The attributes are the record's keys.

    Attributes:
        version: the kvmppc that asked.
        hostname, machine, kernel: as uname(2) gives them.
        time: when, in UTC: "2026-07-01T12:00:00Z".
        simulated: the simulated host's name, None for a real one.
        platform: "powervm", "kvm", "powernv", or None.
        cpu_physical, cpu_effective: the processor, and the mode the host itself runs in.
        pvr: the processor version register, 32 bits.
        device: the path that was asked.
        api_version: of KVM, 12; None where the device did not tell.
        capability: what KVM_CHECK_EXTENSION gave for the interface; None where not asked.
        revision: of the interface, None where the kernel speaks none.
        status: "known" (the kernel answered), "hint" (the device tree did), "unsupported"
            (the kernel has no such question), "unavailable" (KVM or its VMs are not there),
            "error" (the kernel refused) or "denied" (no permission).
        source: "kvm" or "device-tree", None where there is no answer.
        compat_capabilities: the mask, 64 bits unsigned; None where the kernel did not answer.
        modes: what can be given to nested guests, oldest first; under a hint the host's own mode.
        newest: the last of them, or None.
        unknown_bits: the bits of the mask that stand for no known mode.
        errno: the symbol of the kernel's refusal ("ENOTTY"), or None.
        reason: what was found, a sentence.
        remedy: what to try, or None.
    """

    __slots__ = FIELDS

    version: str
    hostname: str
    time: str
    simulated: str | None
    machine: str
    kernel: str
    platform: str | None
    cpu_physical: Processor | None
    cpu_effective: CpuMode | None
    pvr: int | None
    device: str
    api_version: int | None
    capability: int | None
    revision: Revision | None
    status: Status
    source: SourceName | None
    compat_capabilities: int | None
    modes: tuple[CpuMode, ...]
    newest: CpuMode | None
    unknown_bits: int | None
    errno: str | None
    reason: str
    remedy: str | None

    def __init__(self, fields: Mapping[str, object]) -> None:
        for name in FIELDS:
            object.__setattr__(self, name, fields[name])

    @property
    def schema(self) -> int:
        """The record's version; 1."""
        return SCHEMA

    def to_dict(self) -> dict[str, object]:
        """The record as JSON knows it: numbers of 32 and 64 bits as "0x..." text, modes by name."""
        return dump({name: getattr(self, name) for name in FIELDS})

    def to_json(self) -> str:
        """The record as one line of JSON."""
        import json

        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, record: Mapping[str, object]) -> HostReport:
        """Reads a record. Raises RecordError where it is not one, and says what was expected."""
        return cls(load(record))

    @classmethod
    def from_json(cls, text: str | bytes) -> HostReport:
        """Reads a record from JSON. Raises RecordError, for what is not JSON too."""
        import json

        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"not JSON: {error}") from None
        if not isinstance(record, dict):
            raise RecordError("a record is a JSON object")
        return cls.from_dict(record)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HostReport):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in FIELDS)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in FIELDS))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"HostReport is immutable: {name} cannot be set")

    def __reduce__(self) -> tuple[object, ...]:
        return HostReport, ({name: getattr(self, name) for name in FIELDS},)

    def __repr__(self) -> str:
        newest = "" if self.newest is None else f" newest={self.newest}"
        return f"<kvmppc.HostReport {self.hostname} {self.status}{newest}>"


def probe(device: str | os.PathLike[str] = "/dev/kvm") -> HostReport:
    """Asks this host which processor modes its nested guests can be given.

    Does not raise where the host cannot say: the report's status, errno, reason and
    remedy tell why. The capability is asked on the device first, and a VM is made
    only where it is not 0, or where that tells why it is 0.

    Raises:
        ValueError: the path has a null character.
    """
    host = read_host()
    path = os.fspath(device)
    finding = _Finding(host)
    try:
        with Kvm(path) as kvm:
            finding.ask(kvm)
    except KvmError as error:
        finding.refused(error)
    return HostReport(
        {
            "version": __version__,
            "hostname": host.hostname,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "simulated": host.simulated,
            "machine": host.machine,
            "kernel": host.kernel,
            "platform": host.platform,
            "cpu_physical": host.cpu_physical,
            "cpu_effective": host.cpu_effective,
            "pvr": host.pvr,
            "device": path,
            **finding.fields,
        }
    )


class _Finding:
    """The part of a record that comes from asking, filled in as far as the host lets us."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.fields: dict[str, object] = dict.fromkeys(
            (
                "api_version",
                "capability",
                "revision",
                "source",
                "compat_capabilities",
                "newest",
                "unknown_bits",
                "errno",
                "remedy",
            )
        )
        self.fields["modes"] = ()

    def ask(self, kvm: Kvm) -> None:
        """Asks KVM, one question after the other. Raises the KvmError that ends it."""
        self.fields["api_version"] = API_VERSION  # else there would be no handle
        revision = kvm.get_revision()
        cap = capability_of(revision)
        self.fields["revision"] = revision
        self.fields["capability"] = kvm.check_extension(cap)
        if revision is not None:
            with kvm.create_vm() as vm:
                self.answered(vm.get_compat_caps(), kvm.check_extension(Cap.PPC_NESTED_HV) != 0)
        elif not self.host.is_power:
            self.unsupported(
                f"This is {self.host.machine}: only KVM on IBM Power has processor modes to grant.",
                _NOT_POWER,
            )
        elif self.host.platform == "powernv":
            self.unsupported(
                "This is bare metal (PowerNV): guests are not nested, the question does not arise.",
                "Nothing: guests here can be given what the processor itself can do.",
            )
        else:
            # An old kernel makes VMs; one without nesting does not, and create_vm tells so.
            kvm.create_vm().close()
            self.hint()

    def answered(self, caps: CompatCaps, nested_v1: bool) -> None:
        """The kernel answered."""
        if not caps.modes:
            reason = "The kernel answered, and grants no mode that is known here."
        elif nested_v1:
            reason = (
                "The kernel answered: derived from the device tree (nested API v1), "
                "not validated by the hypervisor."
            )
        else:
            reason = "The kernel answered: negotiated with the hypervisor (nested API v2)."
        self.fields.update(
            status="known",
            source="kvm",
            compat_capabilities=caps.compat_capabilities,
            modes=caps.modes,
            newest=caps.newest,
            unknown_bits=caps.unknown_bits,
            reason=reason,
        )

    def hint(self) -> None:
        """The kernel cannot be asked; the device tree knows the mode the host itself runs in."""
        version = self.host.cpu_version
        mode = None if version is None else CpuMode.from_cpu_version(version)
        if mode is None:
            self.unsupported(
                "This kernel cannot be asked, and the device tree names no mode known here.",
                _NEWER_KERNEL,
            )
            return
        self.fields.update(
            status="hint",
            source="device-tree",
            modes=(mode,),
            newest=mode,
            reason=f"This kernel cannot be asked; the host itself runs in {mode} mode, "
            "says its device tree: a hint, not a grant.",
            remedy=_NEWER_KERNEL,
        )

    def unsupported(self, reason: str, remedy: str) -> None:
        """The question is not one for this host, without an error."""
        self.fields.update(status="unsupported", reason=reason, remedy=remedy)

    def refused(self, error: KvmError) -> None:
        """A call was refused: the status by its kind, the errno only where the kernel gave it."""
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        if isinstance(error, ApiVersionError):
            self.fields["api_version"] = error.api_version
        remedy = error.remedy
        if status == "unavailable" and not self.host.is_power:
            remedy = f"This is {self.host.machine}. {_NOT_POWER}"
        self.fields.update(
            status=status,
            errno=None if isinstance(error, ProtocolError) else error.name,
            reason=f"{error.call}: {error.reason}",
            remedy=remedy or None,
        )


# The first kind that fits; KvmError fits all that is left.
_STATUS: tuple[tuple[type[KvmError], Status], ...] = (
    (DevicePermissionError, "denied"),
    (DeviceNotFoundError, "unavailable"),
    (NoModuleError, "unavailable"),
    (VmCreationError, "unavailable"),
    (UnsupportedError, "unsupported"),
    (KvmError, "error"),
)
