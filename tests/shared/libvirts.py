"""What libvirt makes of a domain, on a Power host that is not there.

That is libvirt's own QEMU driver for ppc64le, of several versions: Debian's packages, unpacked and
not installed, under user emulation with the processor of the host. The driver lives inside virsh
(qemu:///embed), so no daemon is needed. It is asked for the command line of a domain with
type='kvm'; between it and its QEMU stands tests/libvirt/relay.py.

    python3 tests/shared/libvirts.py > tests/libvirt/matrix.json

makes the file with what each of them made of the elements in tests/libvirt/elements.txt.
"""

import contextlib
import json
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ELEMENTS = (ROOT / "tests/libvirt/elements.txt").read_text().splitlines()
MATRIX = ROOT / "tests/libvirt/matrix.json"
SUITES = ("bookworm", "trixie", "sid")
HOSTS = ("power9", "power10", "power11")
DOMAIN = """\
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>guest</name>
  <memory unit='MiB'>512</memory>
  <vcpu>1</vcpu>
  <os><type arch='ppc64le' machine='pseries'>hvm</type></os>
  ELEMENT
  <devices><emulator>/usr/bin/qemu-system-ppc64</emulator></devices>
</domain>
"""
SETTINGS = """\
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
"""
# Of the machine's properties these are told; libvirt always gives others.
TOLD = ("max-cpu-compat=", "cap-")
LIMIT = 300


@dataclass(frozen=True)
class Libvirt:
    """A libvirt and its QEMU on a host with some processor, with their state in `folder`."""

    tree: Path
    emulator: Path
    host: str
    folder: Path

    def _program(self, name: str) -> list[str]:
        """The command that runs a program of the tree, through its own loader."""
        libraries = self.tree / "usr/lib/powerpc64le-linux-gnu"
        words = [self.emulator, "-cpu", self.host, "-L", self.tree, libraries / "ld64.so.2"]
        return [*map(str, words), "--library-path", str(libraries), f"{self.tree}/usr/bin/{name}"]

    @property
    def version(self) -> str:
        """The version of libvirt."""
        return subprocess.check_output([*self._program("virsh"), "--version"], text=True).strip()

    @property
    def qemu_version(self) -> str:
        """The version of its QEMU."""
        said = subprocess.check_output([*self._program("qemu-system-ppc64"), "--version"])
        return re.search(rb"version ([0-9.]+)", said)[1].decode().rstrip(".")

    @property
    def machines(self) -> set[str]:
        """The machines of its QEMU."""
        qemu = [*self._program("qemu-system-ppc64"), "-L", f"{self.tree}/usr/share/qemu"]
        listed = subprocess.check_output([*qemu, "-machine", "help"], text=True)
        return {line.split()[0] for line in listed.splitlines()[1:]}

    def outcomes(self, domains: list[str]) -> list[str]:
        """What libvirt makes of each domain: options of QEMU, or "error: " and its complaint."""
        commands = ["domcapabilities --virttype kvm"]  # QEMU is looked at once, at the start
        for number, domain in enumerate(domains):
            path = self.folder / f"{number}.xml"
            path.write_text(domain.replace("/usr/bin/qemu-system-ppc64", str(self._relay())))
            mark = f"@@{number}@@"
            commands.append(f"echo {mark}; echo --err {mark}; domxml-to-native qemu-argv {path}")
        done = self._virsh("; ".join(commands))
        lines, complaints = _parts(done.stdout), _parts(done.stderr)
        return [
            _options(shlex.split(lines[number])) or _complaint(complaints[number])
            for number in range(len(domains))
        ]

    def _relay(self) -> Path:
        """The emulator for libvirt: the relay with all that it has to know."""
        path = self.folder / "qemu"
        if not path.exists():
            qemu = [*self._program("qemu-system-ppc64"), "-L", f"{self.tree}/usr/share/qemu"]
            relay = [sys.executable, ROOT / "tests/libvirt/relay.py", self.host, *qemu, "--"]
            path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, relay))} "$@"\n')
            path.chmod(0o755)
        return path

    def _virsh(self, commands: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "etc").mkdir(exist_ok=True)
        (self.folder / "etc/qemu.conf").write_text(SETTINGS)
        state = str(self.folder)
        return subprocess.run(
            [*self._program("virsh"), "--quiet", "-c", f"qemu:///embed?root={state}", commands],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": state, "XDG_RUNTIME_DIR": state},
            timeout=LIMIT,
        )


def _parts(text: str) -> dict[int, str]:
    """What was printed after each mark."""
    found = re.findall(r"@@(\d+)@@\n?(.*?)(?=(?:error: )?@@\d+@@|\Z)", text, re.DOTALL)
    return {int(number): part for number, part in found}


def _options(words: list[str]) -> str:
    """The options of QEMU that a guest's mode hangs on, in their order."""
    told = []
    for word, value in zip(words, words[1:]):
        kind = word.lstrip("-")
        if kind == "cpu":
            told += [word, value]
        if kind in ("machine", "M"):
            first, *properties = value.split(",")
            kept = [text for text in properties if text.startswith(TOLD)]
            told += [word, ",".join([re.sub(r"^(pseries)-[0-9.]+$", r"\1", first), *kept])]
    return " ".join(told)


def _complaint(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    return lines[-1] if lines else f"error: no word: {text!r}"


@contextlib.contextmanager
def every_libvirt():
    """All libvirts on all hosts, by suite and host."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.programs", *SUITES],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise RuntimeError("the programs cannot be had; see above")
    emulator, *trees = map(Path, done.stdout.split())
    with tempfile.TemporaryDirectory(prefix="kvmppc-libvirt-") as name:
        found = {}
        for suite, tree in zip(SUITES, trees):
            for host in HOSTS:
                folder = Path(name, f"{suite}-{host}")
                folder.mkdir()
                found[suite, host] = Libvirt(tree, emulator, host, folder)
        yield found


def matrix(libvirts):
    """What each libvirt makes of each element, as tests/libvirt/matrix.json has it."""
    versions: dict[str, str] = {}
    seen: dict[str, dict[str, list[str]]] = {element: {} for element in ELEMENTS}
    for libvirt in libvirts:
        version = libvirt.version
        versions[version] = libvirt.qemu_version
        domains = [DOMAIN.replace("ELEMENT", element) for element in ELEMENTS]
        for element, outcome in zip(ELEMENTS, libvirt.outcomes(domains)):
            seen[element].setdefault(outcome, []).append(f"{version} {libvirt.host}")
    elements = {
        element: {outcome: ", ".join(where) for outcome, where in outcomes.items()}
        for element, outcomes in seen.items()
    }
    return {"libvirt": versions, "elements": elements}


if __name__ == "__main__":
    with every_libvirt() as all_of_them:
        print(json.dumps(matrix(all_of_them.values()), indent=1))
