"""Each step from the processor to the answer, by itself: what was read, and what to do.

probe() gives one answer and the reason for it. This goes the same way, but tells of every
step, and looks at what is around it: the module, the host's own mode, QEMU.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from kvmppc.errors import DevicePermissionError, KvmError
from kvmppc.guest.advice import modes_text
from kvmppc.host import Source, read_host
from kvmppc.kvm import Kvm, capability_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, NoReturn

    from kvmppc.caps import CompatCaps, Revision
    from kvmppc.host import Host
    from kvmppc.processors import CpuMode, Processor

    State = Literal["pass", "warn", "fail", "not asked"]

STEPS = (
    "architecture",
    "platform",
    "module",
    "device",
    "permission",
    "api_version",
    "capability",
    "vm",
    "ioctl",
    "processor",
    "qemu",
)
"""The steps' names, in their order."""

_QEMU = "qemu-system-ppc64"
_QEMU_ASKS = (11, 2)  # the first QEMU that asks the kernel which modes it grants
_QEMU_SECONDS = 10
_ADVISE = "Give guests a mode that is granted: kvmppc advise tells the words."
_KERNEL = "Linux 7.3 and later can answer."

# The step at which each call is made.
_STEP_OF = {
    "open": "device",
    "KVM_GET_API_VERSION": "api_version",
    "KVM_CHECK_EXTENSION": "capability",
    "KVM_CREATE_VM": "vm",
    "KVM_PPC_GET_COMPAT_CAPS": "ioctl",
}


class Step:
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
        fields = (("name", name), ("state", state), ("found", found), ("remedy", remedy))
        for field, value in fields:
            object.__setattr__(self, field, value)

    def to_dict(self) -> dict[str, str | None]:
        """The step as JSON has it."""
        return {name: getattr(self, name) for name in ("name", "state", "found", "remedy")}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Step is immutable: {name} cannot be set")

    def __repr__(self) -> str:
        return f"<kvmppc.doctor.Step {self.name} {self.state}>"


def diagnose(device: str = "/dev/kvm") -> tuple[Step, ...]:
    """Goes through all STEPS on this host. Does not raise where a step fails.

    On a simulated host, this machine's modules and its QEMU are not asked.

    Raises:
        ValueError: the path has a null character.
    """
    host = read_host()
    steps = {"architecture": _architecture(host)}
    if host.is_power:
        questions = _Questions(host)
        questions.ask(device)
        steps.update(questions.steps)
        steps["platform"] = _platform(host)
        steps["processor"] = _processor(host, questions.caps)
        steps["module"], steps["qemu"] = _surroundings(host)
    return tuple(steps.get(name) or Step(name, "not asked", "") for name in STEPS)


def _surroundings(host: Host) -> tuple[Step, Step]:
    """The module and QEMU, which a simulated host does not have and this machine's are not."""
    if host.simulated is None:
        return check_module(Source()), check_qemu()
    found = "a simulated host has none"
    return Step("module", "not asked", found), Step("qemu", "not asked", found)


def _architecture(host: Host) -> Step:
    if host.is_power:
        return Step("architecture", "pass", host.machine)
    remedy = "Ask on an IBM Power host, or try a simulated one: kvmppc hosts lists them."
    return Step("architecture", "fail", f"{host.machine}, not ppc64le", remedy)


def _platform(host: Host) -> Step:
    if host.platform == "powernv":
        return Step(
            "platform",
            "warn",
            "bare metal (PowerNV): guests are not nested, and the question does not arise",
            "Nothing: guests here can be given what the processor itself can do.",
        )
    if host.platform is None:
        return Step("platform", "warn", "the device tree is of no platform that is known here")
    names = {"powervm": "a partition of PowerVM", "kvm": "a guest of KVM or QEMU"}
    return Step("platform", "pass", names[host.platform])


def check_module(files: Source) -> Step:
    """Whether KVM's module for nested guests is there, by sysfs."""
    if files.entries("/sys/module/kvm_hv"):
        return Step("module", "pass", "kvm_hv is loaded")
    return Step(
        "module",
        "fail",
        "kvm_hv is not loaded",
        "Load it: modprobe kvm_hv. Where that is refused, dmesg says why.",
    )


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
                    self.passed("vm", "a VM can be made")
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
            self.steps["capability"] = Step("capability", "warn", f"{found}, as on all bare metal")
        else:
            found += ": this kernel cannot be asked"
            self.steps["capability"] = Step("capability", "fail", found, _KERNEL)

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
        found = f"{error.call}: {error.strerror} ({error.name}). {error.reason}"
        self.steps[name] = Step(name, "fail", found, error.remedy or None)
        if name == "vm" and self.steps["capability"].state == "fail":
            found = "0: KVM as it is here has nothing that could answer; see vm"
            self.steps["capability"] = Step("capability", "fail", found)


def _processor(host: Host, caps: CompatCaps | None) -> Step:
    """Whether the physical processor, which QEMU and libvirt go by, is what guests can be given."""
    physical, effective = host.cpu_physical, host.cpu_effective
    found = f"physical {_label(physical)}, running in {_label(effective)} mode"
    if physical is None or effective is None:
        return Step("processor", "warn", found, "See what /proc/cpuinfo says of cpu and revision.")
    own = physical.mode
    granted = own == effective if caps is None else own in caps.modes
    if granted:
        return Step("processor", "pass", found)
    found += ": a guest that is given no mode asks for the physical processor, and fails"
    return Step("processor", "warn", found, _ADVISE)


def _label(name: CpuMode | Processor | None) -> str:
    return "unknown" if name is None else name.label


def check_qemu() -> Step:
    """Whether the QEMU on the PATH is one that asks the kernel by itself, by its --version."""
    path = shutil.which(_QEMU)
    if path is None:
        return Step("qemu", "warn", f"no {_QEMU} on the PATH")
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_QEMU_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Step("qemu", "warn", f"{path} --version failed: {error}")
    version = re.search(rb"version (\d{1,9})\.(\d{1,9})(\.\d{1,9})?", done.stdout)
    if version is None:
        return Step("qemu", "warn", f"{path} --version tells no version")
    found = f"{path}: {version.group().decode()}"
    if (int(version[1]), int(version[2])) >= _QEMU_ASKS:
        return Step("qemu", "pass", found)
    return Step("qemu", "warn", f"{found}, which does not ask the kernel itself", _ADVISE)
