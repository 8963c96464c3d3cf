"""Makes the wheel for Power that people download: python3 -m tests.build.cross FOLDER

Cross-compiled on any Debian machine (gcc-powerpc64le-linux-gnu, libc6-dev-ppc64el-cross),
checked by auditwheel and abi3audit, and named by the oldest glibc that it runs with. Prints where
the wheel is. The lab tests it: python3 -m tests.lab --wheel FILE.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab.parts import LabError, Suite, extract

ROOT = Path(__file__).parents[2]
# Which glibc a wheel needs must not change unseen: 2.27 has memfd_create(), and RHEL 8 has 2.28.
PLATFORM = "manylinux_2_27_ppc64le"


def headers(cache: Path, folder: Path) -> list[Path]:
    """Return the folders with a ppc64le Python's headers, to stand before this machine's own."""
    suite = Suite(cache, "bookworm", "ppc64el")
    debs = suite.only("libpython3.11-dev")
    if suite.fetch(debs):
        raise LabError("the mirror does not have the ppc64el libpython3.11-dev that it lists")
    extract(debs, folder)
    include = folder / "usr/include"
    return [include / "powerpc64le-linux-gnu/python3.11", include / "python3.11", include]


def make(out: Path, cache: Path) -> Path:
    """Build, check and name the wheel; return its path in `out`."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "_PYTHON_HOST_PLATFORM": "linux-ppc64le",
            "CC": "powerpc64le-linux-gnu-gcc",
            # Without this Python's own folders in it.
            "LDSHARED": "powerpc64le-linux-gnu-gcc -shared",
            "CFLAGS": " ".join(f"-I{path}" for path in headers(cache, Path(folder, "python"))),
        }
        draft = Path(folder, "draft")
        pip = "-m pip wheel -q --no-deps --no-build-isolation --wheel-dir".split()
        words = [sys.executable, *pip, str(draft), str(ROOT)]
        subprocess.run(words, check=True, env=environment, stdout=sys.stderr)
        (built,) = draft.iterdir()
        tags = "-m wheel tags --platform-tag".split()
        subprocess.run([sys.executable, *tags, PLATFORM, str(built)], check=True, stdout=sys.stderr)
        out.mkdir(parents=True, exist_ok=True)
        wheel = out / built.name.replace("linux_ppc64le", PLATFORM)
        shutil.copy(built.with_name(wheel.name), wheel)
    audit(wheel)
    return wheel


def audit(wheel: Path) -> None:
    """Stop where the wheel needs more than its name says of it."""
    show = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    needs = subprocess.run(show, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(needs, file=sys.stderr)
    if f'platform tag: "{PLATFORM}"' not in " ".join(needs.split()):
        sys.exit(f"auditwheel gives the wheel another tag than {PLATFORM}")
    abi3audit = [sys.executable, "-m", "abi3audit", "--strict", str(wheel)]
    subprocess.run(abi3audit, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 -m tests.build.cross FOLDER")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    print(make(Path(sys.argv[1]), home / "kvmppc-lab"))
