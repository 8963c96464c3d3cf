# SPDX-License-Identifier: GPL-2.0-only
"""Builds kvm.ko for one of Debian's kernels from Debian's source of it, with patches applied.

Nothing else of the kernel is built: it and its kvm-hv.ko stay Debian's own, and that module loads
on top of the one from here. The compiler is Debian's cross compiler, which works in a folder of
its own that it takes for the whole file system.

A module is kept in the cache under a hash of the packages and the patches that it was made from,
so none is built twice.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

from tests.lab.parts import Deb, LabError, fresh, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.lab.images import Images

# What each variant is made of: patches in this folder, in the order in which they are applied.
VARIANTS = {
    "patch-v4": ("patch-v4",),
    "patch-v4-strict": ("patch-v4", "patch-v4-strict"),
    "struct-32": ("struct-32",),
    "unknown-bit": ("unknown-bit",),
    "future": ("struct-32", "unknown-bit"),
    "no-operation": ("no-operation",),
    "backend-refuses": ("backend-refuses",),
}

FOLDER = Path(__file__).parent
COMPILER = [
    "coreutils",
    "dash",
    "findutils",
    "gcc-powerpc64le-linux-gnu",
    "grep",
    "kmod",
    "libelf1t64",
    "make",
    "mawk",
    "patch",
    "perl-base",
    "sed",
]
# Where the sources of kvm.ko lie in Linux.
SOURCES = ("arch/powerpc/kvm/", "arch/powerpc/mm/mmu_decl.h", "virt/kvm/")
MODULE = "arch/powerpc/kvm"
# Where in the build tree the sources are worked on, and where they wait for the next variant.
WORK, BUILT = "work", "built"
# The compiler is sid's, whatever the kernel was built with, and debugging data is not needed.
SETTINGS = (
    "CROSS_COMPILE=powerpc64le-linux-gnu-",
    "CC=powerpc64le-linux-gnu-gcc",
    "KCFLAGS=-g0",
    "CONFIG_DEBUG_INFO_BTF_MODULES=",
)
LAST_LINES = 25
LIMIT = 600


def build(images: Images, release: str, suites: tuple[str, ...], variant: str) -> Path:
    """Return a variant of kvm.ko for the kernel that calls itself `release`.

    The kernel's packages are those of the first of `suites` that has them. LabError where they are
    not there or do not belong together, where a patch does not apply, or where make fails.
    """
    if variant not in VARIANTS:
        raise LabError(f"kvm.ko has no variant {variant}; there are {', '.join(VARIANTS)}")
    patches = {name: (FOLDER / f"{name}.patch").read_text() for name in VARIANTS[variant]}
    kbuild = FOLDER / "Kbuild"
    debs = _kernel_packages(images, release, suites)
    key = key_of(*(deb.sha256 for deb in debs), kbuild.read_text(), *SETTINGS, *patches.values())
    final, draft = fresh(images.cache / "modules", f"kvm-{variant}-{_parts(release)[1]}", key)
    if final.exists():
        return final
    *headers, source = debs
    tree = _build_tree(images, release, headers)
    work = _work_folder(tree)
    _lay_out(_source_tree(images, source), work)
    shutil.copyfile(kbuild, work / MODULE / "Kbuild")
    for name, patch in patches.items():
        _apply(tree, name, patch, source)
    _make(tree, release, variant)
    shutil.copyfile(work / MODULE / "kvm.ko", draft)
    work.rename(tree / BUILT)
    draft.rename(final)
    return final


def _parts(release: str) -> tuple[str, str]:
    """Take a release apart, 7.3-powerpc64le-64k say: its version, and its flavour."""
    match = re.fullmatch(r"(\d+\.\d+.*?)-(powerpc64le.*)", release)
    if not match:
        raise LabError(f"{release} is no release of a ppc64le kernel of Debian's")
    return match[1], match[2]


def _kernel_packages(images: Images, release: str, suites: tuple[str, ...]) -> list[Deb]:
    """Return the headers of a kernel (two packages) and its source, in this order."""
    version, _ = _parts(release)
    image, *names = (
        f"linux-image-{release}",
        f"linux-headers-{release}",
        f"linux-headers-{version}-common",
        f"linux-source-{'.'.join(version.split('.')[:2])}",
    )
    for suite in images.served(suites):
        if {image, *names} <= set(suite.names("linux-")):
            found = {deb.name.partition("_")[0]: deb for deb in suite.only(image, *names)}
            if len({deb.version for deb in found.values()}) > 1:
                raise LabError(
                    f"{suite.name} has {' and '.join(deb.name for deb in found.values())}, which "
                    "do not belong together; Debian is still building one of them: try again later"
                )
            return [found[name] for name in names]
    raise LabError(f"none of {', '.join(suites)} has {', '.join([image, *names])}")


def _build_tree(images: Images, release: str, headers: list[Deb]) -> Path:
    """Return a folder that can be the whole file system for building modules of a kernel.

    The programs are of this machine's architecture, among them those that come with the headers.
    """
    arch = images.own_arch()
    version, flavour = _parts(release)
    programs = images.suite(headers[0].suite.name, arch).only(f"linux-kbuild-{version}")
    compiler = images.suite("sid", arch).closure(*COMPILER)
    tree = images.unpack(f"build-{flavour}", [*compiler, *programs, *headers])
    _furnish(tree)
    done = _inside(tree, "true")
    if done.returncode != 0:
        raise LabError(
            "kvm.ko is compiled where a folder of the cache is the root folder, and here it cannot "
            "be: start the lab as root, or allow users their own name spaces (unshare "
            f"--map-root-user --mount)\n{_last_lines(done)}"
        )
    return tree


def _furnish(tree: Path) -> None:
    """Add what the scripts of Debian's packages and a running system would have added."""
    for folder in ("dev", "tmp"):
        (tree / folder).mkdir(exist_ok=True)
    for link, target in (("awk", "mawk"), ("sh", "dash")):
        if not (tree / "usr/bin" / link).exists():
            (tree / "usr/bin" / link).symlink_to(target)
    null = tree / "dev/null"
    if os.geteuid() != 0:
        null.touch()
    elif not null.is_char_device():
        null.unlink(missing_ok=True)
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        null.chmod(0o666)


def _source_tree(images: Images, deb: Deb) -> Path:
    """Return a folder with the sources of kvm.ko, out of the package with all of Linux in it."""
    final, draft = fresh(images.cache / "trees", "kvm-source", key_of(deb.sha256, *SOURCES))
    if final.exists():
        return final
    package = images.unpack("linux-source", [deb])
    with tarfile.open(next(package.glob("usr/src/linux-source-*.tar.xz"))) as linux:
        for member in linux:
            name = member.name.partition("/")[2]
            data = linux.extractfile(member) if name.startswith(SOURCES) else None
            if data is not None:
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).write_bytes(data.read())
    shutil.rmtree(package)
    draft.rename(final)
    return final


def _work_folder(tree: Path) -> Path:
    """Return an empty folder to work in, or the one in which the last variant was built.

    Of a build that was broken off nothing is used.
    """
    work = tree / WORK
    if work.exists():
        shutil.rmtree(work)
    if (tree / BUILT).exists():
        (tree / BUILT).rename(work)
    return work


def _lay_out(source: Path, work: Path) -> None:
    """Make the sources in `work` those of `source`, whatever was done to them before.

    What is the same stays untouched, so that make does not compile it again.
    """
    for path in source.rglob("*"):
        target = work / path.relative_to(source)
        if path.is_file() and not (target.exists() and filecmp.cmp(path, target, shallow=False)):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _apply(tree: Path, name: str, patch: str, source: Deb) -> None:
    """Apply a patch to the sources in the tree's work folder; no line around it may differ."""
    options = [
        f"--directory=/{WORK}",
        "--strip=1",
        "--fuzz=0",
        "--batch",
        "--no-backup-if-mismatch",
    ]
    done = _inside(tree, "patch", *options, text=patch)
    if done.returncode != 0:
        raise LabError(
            f"{name}.patch does not apply to {source.name}: Linux has changed there, and the patch "
            f"in {FOLDER} has to follow it\n{_last_lines(done)}"
        )


def _make(tree: Path, release: str, variant: str) -> None:
    """Compile kvm.ko in the tree's work folder."""
    options = ["--silent", f"--jobs={os.cpu_count()}", "-C", f"/usr/src/linux-headers-{release}"]
    done = _inside(tree, "make", *options, f"M=/{WORK}/{MODULE}", *SETTINGS, "modules")
    if done.returncode != 0:
        raise LabError(
            f"the {variant} variant of kvm.ko cannot be built for {release}\n{_last_lines(done)}"
        )


def _inside(tree: Path, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program with `tree` as its root folder, and `text` as its input."""
    start = ["chroot", str(tree)]
    if os.geteuid() != 0:
        # A user's own name space: root there, and a /dev/null, which only root can make elsewhere.
        script = 'mount --bind /dev/null "$0/dev/null" && exec chroot "$0" "$@"'
        start = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(tree)]
    try:
        return subprocess.run(
            [*start, *command],
            env={"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "LC_ALL": "C.UTF-8"},
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{command[0]} for kvm.ko did not come to an end in {LIMIT} s") from None


def _last_lines(done: subprocess.CompletedProcess[str]) -> str:
    """Return the end of what a program printed, indented."""
    return "\n".join(f"    {line}" for line in done.stdout.splitlines()[-LAST_LINES:])
