"""The unit tests in a ppc64le user land on this machine, under user emulation.

python3 -m tests.lab.userland WHEEL [WORDS FOR PYTEST...]

Without words, those of what is compiled or read from the machine, and the tests of the kernel.
There Python, the C library and the package are those of Power, while the kernel is this machine's
and knows no KVM of Power: the tests of the kernel are skipped, and the simulation has to do without
process_vm_readv. The user land becomes the root folder, which only root can do.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab.images import Images, complete, furnish
from tests.lab.parts import CACHE, LabError
from tests.lab.vm import UNIT_TESTS

SOURCE = Path(__file__).resolve().parents[2]
PACKAGES = (
    "base-files",
    "bash",
    "ca-certificates",
    "coreutils",
    "libc-bin",
    "procps",
    "python3",
    "python3-cffi",
    "python3-hypothesis",
    "python3-jsonschema",
    "python3-pip",
    "python3-pytest",
    "python3-pytest-xdist",
    "python3-venv",
)
WORDS = ["-q", "-n", "2", *UNIT_TESTS, "tests/kernel"]
BINFMT = "/proc/sys/fs/binfmt_misc"
# A 64-bit little-endian ELF file for PowerPC64, a program or a shared object.
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00"
# In a mount name space of its own, so that all of this goes with it.
ENTER = """
set -e
mount -t overlay overlay -o lowerdir=$1,upperdir=$2/upper,workdir=$2/work $2/root
mount --rbind /proc $2/root/proc
mount --rbind /dev $2/root/dev
mount -t tmpfs tmpfs $2/root/tmp
exec chroot $2/root bash /root/tests.sh
"""
INSIDE = """
set -e
export PATH=/root/venv/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 HYPOTHESIS_PROFILE=lab
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
python3 -m venv --system-site-packages --without-pip /root/venv
/root/venv/bin/python3 -m pip install -q --no-index --no-deps /root/*.whl
cd /root/source
exec /root/venv/bin/python3 -m pytest -p no:cacheprovider """


def register(emulator: Path) -> None:
    """Have the kernel start programs for ppc64le by `emulator`, where nobody else has."""
    if not Path(BINFMT, "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    if not Path(BINFMT, "qemu-ppc64le").exists():
        # Flag F: the emulator is opened now, and need not be there in another root.
        line = f":qemu-ppc64le:M::{MAGIC}:{MASK}:{emulator}:F"
        Path(BINFMT, "register").write_text(line)


def main() -> int:
    """Run the tests and return pytest's exit code."""
    if len(sys.argv) < 2:
        sys.exit("usage: python3 -m tests.lab.userland WHEEL [WORDS FOR PYTEST...]")
    if os.geteuid() != 0:
        raise LabError("a folder is to be the root folder, and only root can do that: use sudo")
    images = Images(CACHE)
    with images.locked():
        tree = images.unpack("user-land-tests", images.suite("sid").closure(*PACKAGES))
        furnish(tree)
        complete(tree)
        register(images.user_emulator())
    with tempfile.TemporaryDirectory(prefix="kvmppc-userland-") as name:
        folder = Path(name)
        for part in ("upper/root", "work", "root"):
            (folder / part).mkdir(parents=True)
        home = folder / "upper/root"
        shutil.copy(sys.argv[1], home)
        listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=SOURCE, text=True)
        for path in filter(None, listed.split("\0")):
            target = home / "source" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SOURCE / path, target)
        shutil.rmtree(home / "source/kvmppc")  # the package that is tested is the installed one
        (home / "tests.sh").write_text(INSIDE + shlex.join(sys.argv[2:] or WORDS) + "\n")
        command = ["unshare", "--mount", "bash", "-c", ENTER, "bash", str(tree), name]
        return subprocess.run(command).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LabError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"lab: {error}")
