"""Each step from the processor to the answer, by itself: what was read, and what to do.

probe() gives one answer and the reason for it. This goes the same way, but tells of every
step, and looks at what is around it: the module, the host's own mode, pages, QEMU, libvirt.
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
"""The steps' names, in their order."""

_ADVISE = "Give guests a mode that is granted: kvmppc advise tells the words."

# The step at which each call is made.
_STEP_OF = {
    "open": "device",
    "KVM_GET_API_VERSION": "api_version",
    "KVM_CHECK_EXTENSION": "capability",
    "KVM_CREATE_VM": "vm",
    "KVM_PPC_GET_COMPAT_CAPS": "ioctl",
}


class Step(Value):
    """One step, immutable.

    Attributes:
        name: one of STEPS.
        state: "pass", "warn" (guests may need a word of advice), "fail" (there is no answer,
            and here is why) or "not asked".
        found: what was read, "" where nothing was.
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
        """The step as JSON has it."""
        return {name: getattr(self, name) for name in ("name", "state", "found", "remedy")}

    def __repr__(self) -> str:
        return f"<kvmppc.doctor.Step {self.name} {self.state}>"


def diagnose(device: str | None = "/dev/kvm") -> tuple[Step, ...]:
    """Goes through all STEPS on this host. Does not raise where a step fails.

    Without a device nothing is asked: the steps that need KVM or programs are "not asked", as
    for a copy of another machine's files. On a simulated host, no program is asked.

    Raises:
        ValueError: the path has a null character.
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
    remedy = "Ask on an IBM Power host, or try a simulated one: kvmppc hosts lists them."
    return Step("architecture", "fail", f"{host.machine}, not ppc64le", remedy)


def _platform(host: Host) -> Step:
    if host.platform is None:
        found = "the device tree is of no platform known here"
        if not host.has_tree:
            found = "the device tree cannot be read (containers mask it)"
        return Step("platform", "warn", found, "Run kvmppc doctor on the host itself.")
    names = {
        "powervm": "a partition of PowerVM",
        "kvm": "a guest of KVM or QEMU",
        "powernv": "bare metal (PowerNV): KVM gives guests what the processor can do",
    }
    return Step("platform", "pass", names[host.platform])


def _mmu(host: Host) -> Step:
    """Whether the host's own mode and MMU are such that KVM can nest."""
    found = "not told by /proc/cpuinfo" if host.mmu is None else host.mmu
    unfit = remedies.unfit(host)
    if unfit is None:
        return Step("mmu", "not asked" if host.mmu is None else "pass", found)
    return Step("mmu", "fail", *unfit)


def check_module(host: Host) -> Step:
    """Whether KVM's module for nested guests is there and told to nest, by sysfs."""
    if not host.has_module("kvm_hv"):
        found = "kvm_pr is loaded, not kvm_hv" if host.has_module("kvm_pr") else "not loaded"
        return Step(
            "module",
            "fail",
            f"kvm_hv: {found}",
            "Load it: modprobe kvm_hv. Where that is refused, the hypervisor gives no nesting.",
        )
    found = "kvm_hv is loaded"
    if host.platform != "powernv" and not host.is_nesting_on():
        found += " with nested=N: nested API v1 and v2 cannot be told apart"
    return Step("module", "pass", found)


class _Questions:
    """The steps in which KVM is asked, and its answer."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.steps: dict[str, Step] = {}
        self.caps: CompatCaps | None = None

    def ask(self, device: str) -> None:
        """Asks one question after the other, until one is refused."""
        try:
            with Kvm(device) as kvm:
                self.passed("device", device)
                self.passed("permission", "open for reading and writing")
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
        """Tells of the capability; where it is 0, the step of the VM may tell more."""
        cap = capability_of(revision)
        found = f"{cap} gives {kvm.check_extension(cap)}"
        if revision is not None:
            self.passed("capability", f"{found}: {revision}")
        elif self.host.platform == "powernv":
            self.passed("capability", f"{found}, as on all bare metal")
        else:
            reason, remedy = remedies.cannot_ask(self.host)
            found = f"{found}. {reason}"
            self.steps["capability"] = Step("capability", "fail", found, remedy)

    def made(self, vm: Vm) -> None:
        """Tells of the VM, whose backend may be the one that can set no mode."""
        if not vm.check_extension(Cap.PPC_GET_PVINFO):
            self.passed("vm", "a VM can be made")
            return
        self.steps["vm"] = Step("vm", "fail", *remedies.PR)

    def answered(self, caps: CompatCaps) -> None:
        self.caps = caps
        found = f"{caps.compat_capabilities:#018x}: {modes_text(caps.modes, caps.unknown_bits)}"
        remedy = None if caps.modes else "A newer kvmppc may know these modes."
        self.steps["ioctl"] = Step("ioctl", "pass" if caps.modes else "fail", found, remedy)

    def refused(self, error: KvmError) -> None:
        """The step that failed; those before it, which opening the device had passed, passed."""
        name = _STEP_OF[error.operation]
        if isinstance(error, DevicePermissionError):
            name = "permission"
        for earlier in STEPS[STEPS.index("device") : STEPS.index(name)]:
            self.steps.setdefault(earlier, Step(earlier, "pass", error.filename or ""))
        reason, remedy = remedies.explain(error, self.host)
        found = f"{error.call}: {error.strerror} ({error.name}). {reason}"
        self.steps[name] = Step(name, "fail", found, remedy)
        if name == "vm" and self.steps["capability"].state == "fail":
            found = "0: KVM as it is here has nothing that could answer; see vm"
            self.steps["capability"] = Step("capability", "fail", found)


def _processor(host: Host, caps: CompatCaps | None) -> Step:
    """Whether the physical processor, which QEMU and libvirt go by, is what guests can be given."""
    physical, effective = host.cpu_physical, host.cpu_effective
    if physical is None or effective is None:
        found = f"{host.words!a} in /proc/cpuinfo" if host.words else "not told by /proc/cpuinfo"
        return Step("processor", "warn", found, "A newer kvmppc may know it.")
    found = f"{physical.label}, running in {effective.label} mode"
    ways = []
    noted = None if host.stored_pvr is None else Processor.from_pvr(host.stored_pvr)
    if noted is not None and noted != physical:
        found += (
            f"; /proc/cpuinfo still names a {noted.label}: the host was migrated since it started"
        )
        ways.append("Probe again after each migration: the answer is that of the new machine.")
    if remedies.unfit(host) is not None:
        return Step("processor", "warn", found, " ".join(ways) or None)
    if host.is_compatible if caps is None else physical.mode not in caps.modes:
        found += "; a guest that is given no mode may ask for the physical processor, and fail"
        ways.append(_ADVISE)
        if host.is_compatible:
            ways.append(_OWN_MODE[host.platform] + " also ends this; restart it afterwards.")
    return Step("processor", "warn" if ways else "pass", found, " ".join(ways) or None)


# How a host gets back to the mode of its own processor, by its platform.
_OWN_MODE = {
    "powervm": "The partition's processor compatibility mode on the HMC, set to default,",
    "kvm": "Leaving max-cpu-compat out of the host's own QEMU",
    None: "The host's processor compatibility mode, set to that of its processor,",
}
