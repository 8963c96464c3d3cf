"""Checks each step from the processor to the answer: what was found, and what to do.

probe() returns one answer and its reason. diagnose() reports every step on the way to it, and
what else decides whether a guest starts: module, host mode, page size, QEMU and libvirt.
"""

from __future__ import annotations

from kvmppc import remedies
from kvmppc.errors import DevicePermissionError, KvmError
from kvmppc.guest.advice import modes_text
from kvmppc.guest.surroundings import look
from kvmppc.host import read_host
from kvmppc.kvm import Cap, Kvm, capability_of
from kvmppc.processors import Processor
from kvmppc.report import probe
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from kvmppc.caps import CompatCaps, Revision
    from kvmppc.host import Host
    from kvmppc.kvm import Vm

    State = Literal["pass", "warn", "fail", "not asked"]

STEPS = (
    "architecture",
    "platform",
    "mmu",
    "module",
    "device",
    "permission",
    "api_version",
    "capability",
    "vm",
    "ioctl",
    "processor",
    "pages",
    "qemu",
    "libvirt",
)
"""The names of the steps, in order."""

_ON_HOST = "Run kvmppc doctor on the host itself."
_ADVISE = "Give guests a granted mode: run kvmppc advise."

# The step that makes each call.
_STEP_OF = {
    "open": "device",
    "KVM_GET_API_VERSION": "api_version",
    "KVM_CHECK_EXTENSION": "capability",
    "KVM_CREATE_VM": "vm",
    "KVM_PPC_GET_COMPAT_CAPS": "ioctl",
}


class Step(Value):
    """The result of one step. Immutable.

    Attributes:
        name: one of STEPS.
        state: "pass", "warn" (guests may need a setting, or a fact could not be read), "fail"
            (KVM gives no answer, and this is the reason) or "not asked".
        found: what was found, "" if nothing was.
        remedy: what to do, or None.
    """

    __slots__ = ("found", "name", "remedy", "state")

    name: str
    state: State
    found: str
    remedy: str | None

    def __init__(self, name: str, state: State, found: str, remedy: str | None = None) -> None:
        fill(self, name=name, state=state, found=found, remedy=remedy)

    def to_dict(self) -> dict[str, str | None]:
        """The step as a dictionary for JSON."""
        return {name: getattr(self, name) for name in ("name", "state", "found", "remedy")}

    def __repr__(self) -> str:
        return f"<kvmppc.doctor.Step {self.name} {self.state}>"


def diagnose(device: str | None = "/dev/kvm") -> tuple[Step, ...]:
    """Runs all STEPS on this host. Does not raise if a step fails.

    On a simulated host, no program is run.

    Args:
        device: the KVM device. None queries neither KVM nor programs, as for a copy of another
            machine's files: those steps are "not asked".

    Raises:
        ValueError: the path has a null character, or one that cannot be encoded.
    """
    host = read_host()
    steps = {"architecture": _architecture(host)}
    if host.is_power:
        questions = _Questions(host)
        if device is not None:
            questions.ask(device)
        steps.update(questions.steps)
        steps["platform"] = _platform(host)
        steps["mmu"] = _mmu(host)
        steps["processor"] = _processor(host, questions.caps)
        steps["module"] = check_module(host)
        if device is not None:
            for name, (state, found, remedy) in look(probe(device)).items():
                steps[name] = Step(name, state, found, remedy)
    return tuple(steps.get(name) or Step(name, "not asked", "") for name in STEPS)


def _architecture(host: Host) -> Step:
    if host.is_power:
        return Step("architecture", "pass", host.machine)
    return Step("architecture", "fail", f"{host.machine}, not ppc64", remedies.NOT_POWER)


def _platform(host: Host) -> Step:
    if host.platform is None:
        found = "the device tree names no known platform"
        if not host.has_tree:
            found = "the device tree cannot be read (containers mask it)"
        return Step("platform", "warn", found, _ON_HOST)
    names = {
        "powervm": "a partition of PowerVM",
        "kvm": "a guest of KVM or QEMU",
        "powernv": "bare metal (PowerNV): guests can use the modes of the processor",
    }
    return Step("platform", "pass", names[host.platform])


def _mmu(host: Host) -> Step:
    """Whether the host's own mode and MMU allow nested guests."""
    found = "not in /proc/cpuinfo" if host.mmu is None else host.mmu
    unfit = remedies.unfit(host)
    if unfit is None:
        return Step("mmu", "not asked" if host.mmu is None else "pass", found)
    return Step("mmu", "fail", *unfit)


def check_module(host: Host) -> Step:
    """Whether kvm_hv is loaded, and loaded with nesting, according to sysfs."""
    if not host.source.entries("/sys/module"):
        return Step("module", "not asked", "/sys/module cannot be read")
    if not host.has_module("kvm_hv"):
        found = "kvm_pr is loaded, not kvm_hv" if host.has_module("kvm_pr") else "not loaded"
        return Step(
            "module",
            "fail",
            f"kvm_hv: {found}",
            _LOAD[host.platform == "powernv"],
        )
    found = "kvm_hv is loaded"
    if host.platform != "powernv" and not host.is_nesting_on():
        found += " with nested=N: nested API v1 and v2 cannot be distinguished"
    return Step("module", "pass", found)


class _Questions:
    """The steps that query KVM, and its answer."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.steps: dict[str, Step] = {}
        self.caps: CompatCaps | None = None

    def ask(self, device: str) -> None:
        """Makes the calls in order, until one fails."""
        try:
            with Kvm(device) as kvm:
                self.passed("device", device)
                self.passed("permission", "opened for reading and writing")
                self.passed("api_version", str(kvm.get_api_version()))
                revision = kvm.get_revision()
                self.capability(kvm, revision)
                with kvm.create_vm() as vm:
                    self.made(vm)
                    if revision is not None:
                        self.answered(vm.get_compat_caps())
        except KvmError as error:
            self.refused(error)

    def passed(self, name: str, found: str) -> None:
        self.steps[name] = Step(name, "pass", found)

    def capability(self, kvm: Kvm, revision: Revision | None) -> None:
        """Reports the capability. If it is 0, the step "vm" may show why."""
        cap = capability_of(revision)
        found = f"{cap} is {kvm.check_extension(cap)}"
        if revision is not None:
            self.passed("capability", f"{found}: {revision}")
        elif self.host.platform == "powernv":
            self.passed("capability", f"{found}, as always on bare metal")
        else:
            reason, remedy = remedies.cannot_ask(self.host)
            found = f"{found}. {reason}"
            self.steps["capability"] = Step("capability", "fail", found, remedy)

    def made(self, vm: Vm) -> None:
        """Reports the VM. It fails if its backend cannot set a mode."""
        if not vm.check_extension(Cap.PPC_GET_PVINFO):
            self.passed("vm", "a VM can be created")
            return
        self.steps["vm"] = Step("vm", "fail", *remedies.PR)

    def answered(self, caps: CompatCaps) -> None:
        self.caps = caps
        found = f"{caps.compat_capabilities:#018x}: {modes_text(caps.modes, caps.unknown_bits)}"
        remedy = None if caps.modes else "Update kvmppc: a newer version may know these modes."
        self.steps["ioctl"] = Step("ioctl", "pass" if caps.modes else "fail", found, remedy)

    def refused(self, error: KvmError) -> None:
        """Reports the failed step. The earlier steps of the device have passed."""
        name = _STEP_OF[error.operation]
        if isinstance(error, DevicePermissionError):
            name = "permission"
        for earlier in STEPS[STEPS.index("device") : STEPS.index(name)]:
            self.steps.setdefault(earlier, Step(earlier, "pass", error.filename or ""))
        reason, remedy = remedies.explain(error, self.host)
        found = f"{error.call}: {error.strerror} ({error.name}). {reason}"
        self.steps[name] = Step(name, "fail", found, remedy)
        if name == "vm" and self.steps["capability"].state == "fail":
            found = "0, because no VM can be created; see vm"
            self.steps["capability"] = Step("capability", "fail", found)


def _processor(host: Host, caps: CompatCaps | None) -> Step:
    """Whether guests can use the physical processor's mode, which QEMU and libvirt assume."""
    physical, effective = host.cpu_physical, host.cpu_effective
    if physical is None or effective is None:
        if not host.words:
            return Step("processor", "warn", "not in /proc/cpuinfo", _ON_HOST)
        found = f"unknown: {host.words!a} in /proc/cpuinfo"
        return Step("processor", "warn", found, "Update kvmppc: a newer version may know it.")
    found = f"{physical.label}, running in {effective.label} mode"
    ways = []
    noted = None if host.stored_pvr is None else Processor.from_pvr(host.stored_pvr)
    if noted is not None and noted != physical:
        found += f"; /proc/cpuinfo still names {noted.label}: the host has been migrated since boot"
        ways.append("Probe again after each migration: the answer depends on the machine.")
    if remedies.unfit(host) is not None:
        return Step("processor", "warn", found, " ".join(ways) or None)
    if host.is_compatible if caps is None else physical.mode not in caps.modes:
        found += "; a guest without a mode may request the physical processor, and fail to start"
        ways.append(_ADVISE)
        if host.is_compatible and host.platform in _OWN_MODE:
            ways.append(_OWN_MODE[host.platform])
    return Step("processor", "warn" if ways else "pass", found, " ".join(ways) or None)


# How a host returns to the mode of its own processor, by its platform. Bare metal is missing: it
# has no compatibility mode, only a kernel that is older than its processor.
_OWN_MODE = {
    "powervm": "Or, on the HMC, set the partition's processor compatibility mode to default, and "
    "restart it.",
    "kvm": "Or start the host's own QEMU without max-cpu-compat.",
    None: "Or set the host's processor compatibility mode to that of its processor.",
}

# What to do if kvm_hv is not loaded: on a partition or guest, and on bare metal.
_LOAD = (
    "Load it: modprobe kvm_hv. If that fails, the hypervisor may not support nesting; see dmesg.",
    "Load it: modprobe kvm_hv.",
)
