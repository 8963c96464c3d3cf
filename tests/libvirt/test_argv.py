"""What libvirt makes of kvmppc's words on QEMU's command line: max-cpu-compat.

This is libvirt's own QEMU driver for ppc64le, on any machine: Debian's packages for ppc64el,
unpacked and not installed, run under user emulation, with this machine's QEMU to be asked for
its abilities. The driver lives inside virsh (qemu:///embed), so no daemon is needed.

There is no KVM in this, so the domains are emulated ones. libvirt puts the mode on the command
line by the same words for both.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

MODES = ("power9", "power10", "power11")
KVMPPC = Path(sys.executable).with_name("kvmppc")
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-ppc64le-static": "qemu-user-static",
    "qemu-system-ppc64": "qemu-system-ppc",
}
GUEST = """\
<domain type='kvm'>
  <name>guest</name>
  <memory unit='MiB'>512</memory>
  <vcpu>1</vcpu>
  <os><type arch='ppc64le' machine='pseries'>hvm</type></os>
  CPU
  <devices><emulator>QEMU</emulator></devices>
</domain>
"""
NOBODY = 65534


@pytest.fixture(scope="session")
def folder():
    """A folder that others can read: libvirt is not run as root."""
    with tempfile.TemporaryDirectory(prefix="kvmppc-libvirt-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def tree(folder):
    """The unpacked packages. Fails, and does not skip, where a program is missing."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        pytest.fail(f"install these Debian packages: apt-get install {' '.join(missing)}")
    suite = subprocess.run(
        [". /etc/os-release; echo $VERSION_CODENAME"], shell=True, capture_output=True, text=True
    ).stdout.strip()
    words = ("Created-By: Packages", "Label: Debian", f"Codename: {suite}")
    mirrors = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", *words],
        capture_output=True,
        text=True,
    ).stdout.split()
    assert mirrors, f"apt knows no mirror for {suite}: run apt-get update"
    options = ["--quiet", "--variant=extract", "--architectures=ppc64el"]
    options += ["--include=libvirt-clients,libvirt-daemon-driver-qemu"]
    done = subprocess.run(
        ["mmdebstrap", *options, suite, folder / "tree", mirrors[0]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (folder / "tree").chmod(0o755)
    return folder / "tree"


@pytest.fixture(scope="session")
def virsh(tree, folder):
    """Runs virsh for ppc64le on its embedded QEMU driver, in a state folder of its own."""
    state = folder / "state"
    state.mkdir()
    command = ["qemu-ppc64le-static", "-cpu", "power10", "-L", tree]
    command += [tree / "lib/powerpc64le-linux-gnu/ld64.so.2", tree / "usr/bin/virsh"]
    if os.geteuid() == 0:
        # As root the driver wants a user of libvirt's own, which is not here.
        os.chown(state, NOBODY, NOBODY)
        who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        command = ["setpriv", *who, *command]

    def run(*words):
        return subprocess.run(
            [*command, "--quiet", "--connect", f"qemu:///embed?root={state}", *words],
            capture_output=True,
            text=True,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(state), "XDG_RUNTIME_DIR": str(state)},
            timeout=300,
        )

    return run


@pytest.fixture
def command_line(virsh, folder):
    """The options of QEMU that libvirt makes of a domain, and its complaint where it does not."""

    def convert(data):
        path = folder / "guest.xml"
        path.write_bytes(data.replace(b"<domain type='kvm'>", b"<domain type='qemu'>"))
        path.chmod(0o644)
        done = virsh("domxml-to-native", "qemu-argv", "guest.xml")
        words = shlex.split(done.stdout)
        options = {
            word: after for word, after in zip(words, words[1:]) if word in ("-machine", "-cpu")
        }
        return options, done.stderr

    return convert


def guest(cpu):
    emulator = shutil.which("qemu-system-ppc64")
    return GUEST.replace("CPU", cpu).replace("QEMU", emulator).encode()


def kvmppc(*words, data=None):
    """What the installed command prints."""
    done = subprocess.run([KVMPPC, *words], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def machine_properties(options):
    return options["-machine"].split(",")


@pytest.mark.parametrize("mode", MODES)
def test_the_advised_element_becomes_max_cpu_compat(mode, command_line):
    words = ("advise", "--for", "libvirt", "--simulate", "power11", "--mode", mode)
    options, complaint = command_line(guest(kvmppc(*words).decode().strip()))
    assert complaint == ""
    assert f"max-cpu-compat={mode}" in machine_properties(options)
    assert options["-cpu"] == "host"


@pytest.mark.parametrize(
    "cpu",
    [
        "",
        "<cpu mode='host-passthrough' migratable='on'/>",
        "<cpu mode='host-model'/>",
        "<cpu mode='host-model'><model>power11</model></cpu>",
        "<cpu mode='custom' match='exact'><model>POWER10</model></cpu>",
        "<cpu><topology sockets='1' cores='1' threads='1'/></cpu>",
    ],
)
def test_a_fixed_domain_becomes_max_cpu_compat(cpu, command_line):
    words = ("check", "-", "--fix", "--simulate", "power11-as-power10")
    options, complaint = command_line(kvmppc(*words, data=guest(cpu)))
    assert complaint == ""
    assert "max-cpu-compat=power10" in machine_properties(options)
    assert options["-cpu"] == "host"


def test_without_a_model_libvirt_names_no_mode(command_line):
    """Which is why kvmppc check says no to it on a host in an earlier mode."""
    options, complaint = command_line(guest("<cpu mode='host-model'/>"))
    assert complaint == ""
    assert not any("max-cpu-compat" in word for word in machine_properties(options))
    assert options["-cpu"] == "host"


def test_libvirt_refuses_the_spelling_that_kvmppc_says_no_to(command_line):
    options, complaint = command_line(
        guest("<cpu mode='host-model' check='partial'><model>POWER10</model></cpu>")
    )
    assert options == {}
    assert "Unknown compatibility mode POWER10" in complaint
