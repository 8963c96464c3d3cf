"""One virtual machine of the lab, from QEMU's start to its end, and what it had to say."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.hosts import Host
from tests.lab.images import GUEST, HEADER_FOLDERS, RESULT_DISK_SIZE, Cpio, Kernel, load_order
from tests.lab.parts import LabError

LAST_LINES = 25
EXECUTABLE = stat.S_IFREG | 0o755
# What the init script loads, in two steps; what a kernel has built in is no module of it.
MODULES = {
    "disk": ["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"],
    "kvm": ["kvm", "kvm_hv"],
    "net": ["virtio_net"],
}
# The unit tests of what is compiled or read from the machine. The others, of text that becomes
# other text, are the same on every architecture, and slow under emulation.
UNIT_TESTS = tuple(
    f"tests/unit/test_{name}.py"
    for name in ("host", "kvm", "probe", "repeated_questions", "simhost", "testing")
)


@dataclass(frozen=True)
class Payload:
    """What is brought into a machine.

    Attributes:
        package: the file that is installed there, an sdist or a wheel.
        source: the unpacked sdist, for the tests; they run where there is no command.
        command: for bash.
        door: if somebody comes in by ssh; then the machine waits, and does nothing by itself.
    """

    package: Path
    source: Path
    command: str = ""
    door: Door | None = None


@dataclass(frozen=True)
class Door:
    """How a machine is reached by ssh, from this machine only.

    Attributes:
        key: the public key of who may come in.
        port: of 127.0.0.1, where the machine's port 22 is.
    """

    key: str
    port: int


@dataclass(frozen=True)
class Parts:
    """What a machine is made of, ready in the cache; `programs` are disks by their suites."""

    qemu: list[str]
    kernel: Kernel
    headers: Path
    user_land: Path
    root_disk: Path
    programs: dict[str, Path]


@dataclass(frozen=True)
class Step:
    """A program that ran in the machine: what it printed and how it ended."""

    out: str
    err: str
    code: int


@dataclass(frozen=True)
class Result:
    """What a machine had to say: its steps by name, and the wheels that it built, by file name."""

    steps: dict[str, Step]
    wheels: dict[str, bytes]


class HungError(LabError):
    """A machine did not come to its end in time."""


class StoppedError(Exception):
    """The machine was ended because the lab is to end."""


def initrd(host: Host, parts: Parts, payload: Payload) -> bytes:
    """Return the initrd that makes the machine into `host` and brings the payload."""
    cpio = Cpio()
    cpio.add("init", (GUEST / "init").read_bytes(), EXECUTABLE)
    cpio.add("busybox", (parts.user_land / "usr/bin/busybox").read_bytes(), EXECUTABLE)
    for group, wanted in MODULES.items():
        modules = load_order(parts.kernel, wanted)
        cpio.add(f"modules/{group}/order", "\n".join(modules).encode())
        for name, data in modules.items():
            cpio.add(f"modules/{group}/{name}.ko", data)
    if payload.door:
        cpio.add("lab/authorized_keys", payload.door.key.encode())
    cpio.add("lab/name", host.name.encode())
    hint = "--accept-hint" if host.record["status"] == "hint" else ""
    cpio.add("lab/suites", " ".join(host.suites).encode())
    cpio.add("lab/hint", hint.encode())
    cpio.add("lab/setup", host.setup.encode())
    cpio.add("lab/checks", (GUEST / "checks").read_bytes())
    cpio.add("lab/command", payload.command.encode())
    kind = "wheel" if payload.package.suffix == ".whl" else "sdist"
    folders = HEADER_FOLDERS if kind == "sdist" else ()  # a wheel needs no compiler
    cpio.add("headers/folders", "\n".join(folders).encode())
    for folder in folders:
        cpio.add_tree(parts.headers / folder, f"headers/{folder}")
    cpio.add(f"lab/{kind}/{payload.package.name}", payload.package.read_bytes())
    cpio.add("lab/twin", (host.twin or host.name).encode())
    if host.guests:
        add_guests(cpio, host, parts)
        wrapper = payload.source / "examples/qemu-wrapper"
        cpio.add("lab/qemu-wrapper", wrapper.read_bytes())
    else:
        for folder in ("tests/shared", "tests/kernel", "tests/bench"):
            cpio.add_tree(payload.source / folder, f"lab/source/{folder}")
        for file in ("pyproject.toml", "tests/conftest.py", *UNIT_TESTS):
            cpio.add(f"lab/source/{file}", (payload.source / file).read_bytes())
    return cpio.close()


def add_guests(cpio: Cpio, host: Host, parts: Parts) -> None:
    """Bring what the host's nested guests boot from, and the list of them."""
    nested = Cpio()
    nested.add("init", (GUEST / "nested-init").read_bytes(), EXECUTABLE)
    nested.add("busybox", (parts.user_land / "usr/bin/busybox").read_bytes(), EXECUTABLE)
    cpio.add("lab/nested/initrd", nested.close())
    cpio.add("lab/nested/vmlinuz", parts.kernel.vmlinuz.read_bytes())
    domain = (GUEST / "domain.xml").read_text()
    guests = ""
    for guest in host.guests:
        guests += f"{guest.name} {guest.suite} {guest.command}\n"
        if guest.elements:
            xml = domain.replace("<!-- elements -->", guest.elements)
            cpio.add(f"lab/nested/{guest.name}.xml", xml.encode())
    cpio.add("lab/guests", guests.encode())
    for suite in ("sid", *host.suites):
        cpio.add(f"lab/also/{suite}", host.also(suite).encode())


def qemu_options(
    host: Host, parts: Parts, folder: Path, door: Door | None, *, shared: bool = False
) -> list[str]:
    """Return QEMU's command line for `host`, with its initrd and result disk in `folder`.

    Where disks are `shared` with another QEMU, what is written to them stays.
    """
    powernv = host.machine.startswith("powernv")
    # QEMU's small open firmware starts the kernel at once; the other one takes 12 s for it.
    machine = host.machine if powernv else f"{host.machine},x-vof=on"
    options = ["-M", machine, "-cpu", host.cpu, "-smp", "1", "-no-reboot"]
    options += ["-m", host.memory]
    # PowerNV needs some of QEMU's default devices: its root port, and the service processor that
    # switches it off. Others are left out, for which QEMU would load this machine's own modules.
    options += "-nic none -vga none -audio none".split() if powernv else ["-nodefaults"]
    options += ["-nographic", "-serial", "mon:stdio"]
    options += ["-kernel", str(parts.kernel.vmlinuz), "-initrd", str(folder / "initrd")]
    # Every system call under emulation pays for mitigations; a kernel that stumbles is to stop.
    words = "console=hvc0 quiet mitigations=off oops=panic panic=-1"
    if host.guests:
        # QEMU's emulation has no H_RPT_INVALIDATE, by which a host of nested API v2 tells that it
        # has changed a guest's mappings; the kernel complains of each. With huge pages a guest now
        # and then faults on one address for ever; without them none was seen to.
        words += " loglevel=3 transparent_hugepage=never"
    options += ["-append", words]
    thrown, kept = (",file.locking=off",) * 2 if shared else (",snapshot=on", "")
    disks = [f"file={parts.root_disk}{thrown}", f"file={folder / 'result'}{kept}"]
    disks += [f"file={disk}{thrown}" for disk in parts.programs.values()]
    for number, disk in enumerate(disks):
        bus = f",bus=pcie.{number}" if powernv else ""
        options += ["-drive", f"{disk},if=none,format=raw,id=disk{number}"]
        options += ["-device", f"virtio-blk-pci,drive=disk{number}{bus}"]
    if door:
        forward = f"hostfwd=tcp:127.0.0.1:{door.port}-:22"
        options += ["-netdev", f"user,id=net,restrict=on,{forward}"]
        options += ["-device", "virtio-net-pci,netdev=net,romfile="]
    return options


def run(
    host: Host, parts: Parts, payload: Payload, console: Path, limit: float, stop: threading.Event
) -> Result:
    """Boot `host` with the payload and return its result.

    HungError where the machine did not come to its end within `limit` seconds, LabError where it
    left no result; the message ends with the console's last lines. StoppedError where `stop` was
    set meanwhile.
    """
    with tempfile.TemporaryDirectory(prefix="kvmppc-lab-") as name:
        folder = Path(name)
        (folder / "initrd").write_bytes(initrd(host, parts, payload))
        disk = folder / "result"
        with disk.open("wb") as file:
            file.truncate(RESULT_DISK_SIZE)
        ended = execute(
            [*parts.qemu, *qemu_options(host, parts, folder, payload.door)], console, limit, stop
        )
        if not ended:
            raise HungError(f"time limit of {limit:g} s reached\n{last_lines(console)}")
        result = result_of(disk)
    if not result.steps:
        raise LabError(f"the machine ended without a result\n{last_lines(console)}")
    return result


def execute(command: list[str], console: Path, limit: float, stop: threading.Event) -> bool:
    """Run `command` with its output in `console`; return whether it ended by itself in time."""
    deadline = time.monotonic() + limit
    # `timeout` ends QEMU even if the lab itself is killed and can no longer do so.
    guarded = ["timeout", "--signal=KILL", str(limit + 5), *command]
    with (
        console.open("wb") as out,
        subprocess.Popen(
            guarded, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            while process.poll() is None and time.monotonic() < deadline:
                if stop.wait(0.1):
                    raise StoppedError
            return process.returncode is not None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)


def result_of(disk: Path) -> Result:
    """Read the archive on the result disk; a disk that was not written to has no steps."""
    try:
        with tarfile.open(disk) as archive:
            files = {
                member.name.rpartition("/")[2]: file.read()
                for member in archive
                if (file := archive.extractfile(member)) is not None
            }
    except tarfile.TarError:
        files = {}
    wheels = {name: data for name, data in files.items() if name.endswith(".whl")}
    texts = {name: data.decode(errors="replace") for name, data in files.items()}
    names = [name[:-3] for name in files if name.endswith(".rc")]
    steps = {
        name: Step(texts[f"{name}.out"], texts[f"{name}.err"], int(texts[f"{name}.rc"]))
        for name in names
    }
    return Result(steps, wheels)


def last_lines(console: Path) -> str:
    """Return the end of a console, indented."""
    lines = console.read_text(errors="replace").replace("\r", "").splitlines()
    return "\n".join(f"    {line}" for line in lines[-LAST_LINES:])
