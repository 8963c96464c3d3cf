"""What a virtual machine of the lab boots from: a kernel, an initrd, a root disk, a result disk.

The root disk is a Debian sid for ppc64le with Python, pip, gcc, QEMU, libvirt and an ssh server;
every machine gets it with throw-away writes. The initrd holds what differs from host to host:
busybox and the init script, the kernel's modules, the Linux headers to build against, the package
and the tests. What a machine has to say comes back as a tar archive on the result disk, so that
nothing is read off its console.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import lzma
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.hosts import KernelSource
from tests.lab.parts import Deb, LabError, MissingError, Suite, extract, fresh, key_of

USER_LAND = [
    "base-files",
    "usr-is-merged",
    "bash",
    "coreutils",
    "libc-bin",
    "procps",
    "busybox-static",
    "gcc",
    "libc6-dev",
    "python3",
    "python3-dev",
    "python3-pip",
    "python3-setuptools",
    "python3-cffi",
    "python3-venv",
    "python3-pytest",
    "python3-hypothesis",
    "qemu-system-ppc",
    "dropbear-bin",
    "libvirt-daemon-driver-qemu",
    "libvirt-clients",
]
# What starts guests, of a suite that is not the user land's.
PROGRAMS = ("libvirt-clients", "libvirt-daemon-driver-qemu", "qemu-system-ppc")
# As the scripts of the packages would have made them.
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nlibvirt-qemu:x:102:102::/:/bin/false\n",
    "group": "root:x:0:\nkvm:x:101:\nlibvirt-qemu:x:102:\n",
    "shells": "/bin/bash\n",
}
ROOT_DISK_SIZE, PROGRAM_DISK_SIZE = "1600M", "600M"
RESULT_DISK_SIZE = 64 << 20
# What linux-libc-dev has for powerpc, and where it lies in every Debian since trixie.
HEADER_FOLDERS = (
    "usr/include/asm-generic",
    "usr/include/linux",
    "usr/include/powerpc64le-linux-gnu/asm",
    "usr/lib/linux/uapi/powerpc",
)
GUEST = Path(__file__).parent / "guest"
# Where a package is taken from that another suite lists and its mirror does not have.
INSTEAD = ("sid", "forky")


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel: its vmlinuz, and its modules by name."""

    vmlinuz: Path
    modules: dict[str, Path]


class Images:
    """Makes what machines boot from, out of the parts in the cache, and each thing only once."""

    def __init__(self, cache: Path, refresh: bool = False) -> None:
        self.cache = cache
        self._refresh = refresh
        self._suites: dict[tuple[str, str], Suite | LabError] = {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else who has the same cache from making things in it meanwhile."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @staticmethod
    def own_arch() -> str:
        """Return Debian's name of this machine's architecture."""
        return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()

    def suite(self, name: str, arch: str = "ppc64el") -> Suite:
        """Return a Debian suite; LabError if its package lists cannot be had."""
        found = self._try(name, arch)
        if isinstance(found, LabError):
            raise found
        return found

    def _try(self, name: str, arch: str = "ppc64el") -> Suite | LabError:
        """Look at a suite, once in a run; return it, or why it cannot be had, which is told too."""
        if (name, arch) not in self._suites:
            try:
                self._suites[name, arch] = Suite(self.cache, name, arch, self._refresh)
            except LabError as error:
                print(error, file=sys.stderr, flush=True)
                self._suites[name, arch] = error
        return self._suites[name, arch]

    def served(self, names: tuple[str, ...]) -> list[Suite]:
        """Return those of some ppc64el suites whose package lists can be had.

        A mirror that is behind for one architecture is so for days. What other suites have too
        comes from them; LabError where no suite is left.
        """
        suites = {name: self._try(name) for name in names}
        found = [suite for suite in suites.values() if isinstance(suite, Suite)]
        if not found:
            raise LabError("; ".join(map(str, suites.values())))
        return found

    def unpack(self, name: str, debs: list[Deb]) -> Path:
        """Return a folder with the contents of `debs`, fetched and unpacked if it is not there yet.

        What the mirror does not have, although it lists it, comes from another suite; LabError
        where none has it.
        """
        key = key_of(*sorted(deb.sha256 for deb in debs))
        final, draft = fresh(self.cache / "trees", name, key)
        if not final.exists():
            draft.mkdir()
            extract(self._fetched(debs), draft)
            draft.rename(final)
        return final

    def _fetched(self, debs: list[Deb]) -> list[Deb]:
        """Fetch `debs`, and return them, or what was fetched in their place."""
        lost = [
            deb
            for suite in {deb.suite for deb in debs}
            for deb in suite.fetch([deb for deb in debs if deb.suite is suite])
        ]
        if not lost:
            return debs
        names = [deb.package for deb in lost]
        behind = f"the mirror does not have {', '.join(sorted(deb.name for deb in lost))}"
        for other in INSTEAD:
            suite = None if other == lost[0].suite.name else self._try(other, lost[0].suite.arch)
            if isinstance(suite, Suite) and set(names) <= set(suite.names("")):
                print(f"{behind}: taken from {other}", file=sys.stderr, flush=True)
                # With all that they need, in the other suite's version: newer libraries serve
                # older programs, and not the other way round.
                found = suite.closure(*names)
                newer = {deb.package for deb in found}
                return self._fetched([deb for deb in debs if deb.package not in newer] + found)
        raise MissingError(f"{behind}; --refresh looks for what is served now")

    def _native(self, suite: str, package: str, program: str) -> tuple[Path, list[str]]:
        """Unpack a program for this machine; return its folder and how to start it from there.

        It runs through its own loader, with its own libraries: no chroot, no root.
        """
        debs = self.suite(suite, self.own_arch()).closure(package)
        tree = self.unpack(package, debs)
        found = [
            next(tree.glob(pattern), None)
            for pattern in ("usr/lib*/ld-linux*.so.*", "usr/lib/*-linux-gnu*", program)
        ]
        loader, libraries, path = (str(part or "") for part in found)
        if not (loader and libraries and path):
            raise LabError(f"Debian's {package} has no {program} for this machine")
        return tree, [loader, "--library-path", f"{libraries}:{libraries}/pulseaudio", path]

    def qemu(self) -> list[str]:
        """Return the start of a command line that runs trixie's QEMU."""
        tree, command = self._native("trixie", "qemu-system-ppc", "usr/bin/qemu-system-ppc64")
        return [*command, "-L", str(tree / "usr/share/qemu")]

    def kernels(self, name: str, source: KernelSource) -> Iterator[Kernel]:
        """Yield the kernels of `source`, the best one first: the newest final one.

        The others are for where something is missing that belongs to it.
        """
        found = [
            (suite.only(package)[0].version, match[1], match[2], suite)
            for suite in self.served(source.suites)
            for package in suite.names("linux-")
            if (match := re.fullmatch(rf"linux-(binary|image)-(\d.*)-{source.flavour}", package))
            and _numbers(match[2]) >= _numbers(source.oldest)
        ]
        # Since 7.x the kernel is in linux-binary and linux-image only depends on it: where both
        # have the version, the first by the alphabet is the one with the files.
        found.sort(key=lambda entry: entry[1])
        found.sort(key=lambda entry: _age(entry[0]), reverse=True)
        for _, kind, version, suite in found:
            kinds = ["binary", "modules"] if kind == "binary" else ["image"]
            debs = suite.only(*(f"linux-{kind}-{version}-{source.flavour}" for kind in kinds))
            tree = self._unpack_or_tell(f"{name}-{suite.name}", debs)
            if tree is not None:
                vmlinuz = [*tree.glob("usr/lib/modules/*/vmlinuz"), *tree.glob("boot/vmlinux-*")]
                modules = tree.glob("usr/lib/modules/*/kernel/**/*.ko*")
                yield Kernel(vmlinuz[0], {_module_name(path): path for path in modules})

    def headers(self, name: str, suites: tuple[str, ...], oldest: str) -> Path:
        """Return a folder with the best Linux headers in `suites` from `oldest` on."""
        found = [
            suite.only("linux-libc-dev")
            for suite in self.served(suites)
            if "linux-libc-dev" in suite.names("linux-libc-dev")
        ]
        for debs in sorted(found, key=lambda debs: _age(debs[0].version), reverse=True):
            if _numbers(debs[0].version) >= _numbers(oldest):
                tree = self._unpack_or_tell(f"headers-{name}", debs)
                if tree is not None:
                    return tree
        raise LabError(f"no linux-libc-dev {oldest} or newer in Debian's {' or '.join(suites)}")

    def _unpack_or_tell(self, name: str, debs: list[Deb]) -> Path | None:
        """Unpack `debs`; where they cannot be had, tell it and return None."""
        try:
            return self.unpack(name, debs)
        except MissingError as error:
            print(error, file=sys.stderr, flush=True)
            return None

    def user_land(self) -> Path:
        """Return the folder that the root disk is made from."""
        return self.unpack("user-land", self.suite("sid").closure(*USER_LAND))

    def root_disk(self) -> Path:
        """Return the root disk: an ext4 file system with the user land, nothing is mounted."""
        return self._disk("root", self.user_land(), ROOT_DISK_SIZE)

    def program_disk(self, suite: str) -> Path:
        """Return a disk with the QEMU and libvirt of a suite, to be mounted beside the root."""
        return self._disk(f"programs-{suite}", self.programs(suite), PROGRAM_DISK_SIZE)

    def programs(self, suite: str) -> Path:
        """Return the folder with the ppc64el QEMU and libvirt of a suite, which can be a root."""
        tree = self.unpack(f"programs-{suite}", self.suite(suite).closure(*PROGRAMS))
        furnish(tree)
        return tree

    def user_emulator(self) -> Path:
        """Return a user emulator for ppc64le that runs on this machine and knows Power11."""
        debs = self.suite("trixie", self.own_arch()).only("qemu-user")
        return self.unpack("qemu-user", debs) / "usr/bin/qemu-ppc64le"

    def _disk(self, name: str, tree: Path, size: str) -> Path:
        """Return an ext4 file system with the contents of `tree`."""
        key = key_of(tree.name, size, *ETC.values())
        final, draft = fresh(self.cache / "disks", name, key)
        if not final.exists():
            furnish(tree)
            if name == "root":
                complete(tree)
                self._compile(tree)
            env = {**os.environ, "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"}
            command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(tree)]
            draft.touch()
            subprocess.run([*command, draft, size], check=True, env=env)
            draft.rename(final)
        return final

    def _compile(self, tree: Path) -> None:
        """Compile the user land's Python files, which under emulation takes pip a minute.

        Bytecode is the same on every architecture: sid's Python for this machine does it.
        """
        _, python = self._native("sid", "python3-minimal", "usr/bin/python3.*")
        command = [*python, "-S", "-m", "compileall", "-q", "-s", str(tree), "-p", "/"]
        folders = map(str, tree.glob("usr/lib/python3*"))
        env = {**os.environ, "PYTHONHOME": str(tree / "usr")}
        subprocess.run([*command, *folders], check=True, env=env, stdout=subprocess.DEVNULL)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _age(version: str) -> tuple[bool, tuple[int, ...]]:
    """Return what sorts Debian's versions of Linux: release candidates come before all others."""
    return "~rc" not in version, _numbers(version)


def furnish(tree: Path) -> None:
    """Make a folder of unpacked packages into one that can be a root: users and mount points."""
    for name, text in ETC.items():
        (tree / "etc" / name).write_text(text)
    for folder in ("dev", "proc", "sys", "run", "tmp", "root", "lab", "out"):
        (tree / folder).mkdir(exist_ok=True)


def complete(tree: Path) -> None:
    """Add a shell, and the file that pip reads even where it is to ask no server."""
    if not (tree / "usr/bin/sh").exists():
        (tree / "usr/bin/sh").symlink_to("bash")
    certificates = sorted((tree / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = tree / "etc/ssl/certs/ca-certificates.crt"
    bundle.write_bytes(b"".join(path.read_bytes() for path in certificates))


def _module_name(path: Path) -> str:
    return path.name.partition(".ko")[0].replace("-", "_")


def _module(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def load_order(kernel: Kernel, wanted: list[str]) -> dict[str, bytes]:
    """Return the modules `wanted` and those they need, by name, in the order to load them.

    What a module needs stands in its own .modinfo section. Names without a module are built in.
    """
    loaded: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in loaded or name not in kernel.modules:
            return
        data = _module(kernel.modules[name])
        for field in re.findall(rb"\0(?:depends|softdep)=(?:pre: )?([^\0]*)\0", data):
            for needed in re.split(r"[ ,]+", field.decode()):
                add(needed.replace("-", "_"))
        loaded[name] = data

    for name in wanted:
        add(name)
    return loaded


class Cpio:
    """An initrd in the making: the "newc" archive that the kernel unpacks, uncompressed."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._folders: set[str] = set()

    def add(self, name: str, data: bytes, mode: int = stat.S_IFREG | 0o644) -> None:
        """Add a file, and the folders above it."""
        for parent in reversed(Path(name).parents):
            if str(parent) not in self._folders | {"."}:
                self._folders.add(str(parent))
                self._entry(str(parent), b"", stat.S_IFDIR | 0o755)
        self._entry(name, data, mode)

    def add_tree(self, tree: Path, under: str) -> None:
        """Add the files and links in a folder, but no caches of Python."""
        for path in sorted(tree.rglob("*")):
            name = f"{under}/{path.relative_to(tree)}"
            if path.is_symlink():
                self.add(name, os.readlink(path).encode(), stat.S_IFLNK | 0o777)
            elif path.is_file() and "__pycache__" not in path.parts:
                self.add(name, path.read_bytes(), path.stat().st_mode)

    def _entry(self, name: str, data: bytes, mode: int) -> None:
        # Inode, mode, uid, gid, links, time, size, two device numbers twice, length of name, sum.
        fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        header = "070701" + "".join(f"{field:08x}" for field in fields)
        for part in (header.encode() + name.encode() + b"\0", data):
            self._out.write(part + bytes(-len(part) % 4))

    def close(self) -> bytes:
        """Return the whole archive."""
        self._entry("TRAILER!!!", b"", 0)
        return self._out.getvalue()
