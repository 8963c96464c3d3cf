"""Runs the unit tests on musl, Alpine's C library: python3 -m tests.build.musl

Those of what is compiled or read from the machine, and the tests of the kernel, on any Debian
machine with musl-tools. No Debian has a Python for musl: CPython and the two libraries that it
needs here are compiled from Debian's sources, which apt checks. cffi and what the tests need come
as PyPI's wheels for musl.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab.parts import KEYRING, LabError, carry_out, mirror
from tests.lab.vm import UNIT_TESTS

ROOT = Path(__file__).parents[2]
MACHINE = os.uname().machine
SOURCES = ("zlib", "libffi", "python3.11")
WHEELS = ("pip", "setuptools>=77", "cffi", "pytest", "hypothesis", "jsonschema")
# Says which system it compiles for, and finds the kernel's headers, which musl does not bring.
COMPILER = f"""\
#!/bin/sh
[ "$1" = -print-multiarch ] || [ "$1" = --print-multiarch ] && echo {MACHINE}-linux-musl && exit
exec musl-gcc "$@" -idirafter {{folder}}/kernel
"""


def sources(folder: Path) -> list[Path]:
    """Return the unpacked sources, as they were before Debian changed them."""
    (folder / "lists/partial").mkdir(parents=True)
    line = f"deb-src [signed-by={KEYRING}] {mirror()} bookworm main\n"
    (folder / "sources.list").write_text(line)
    settings = {
        "APT::Sandbox::User": "root",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
    }
    options = [f"--option={key}={value}" for key, value in settings.items()]
    os.chdir(folder)
    carry_out(
        ["apt-get", *options, "update", "-q"],
        ["apt-get", *options, "source", "-q", "--download-only", *SOURCES],
    )
    unpacked = []
    for name in SOURCES:
        (archive,) = folder.glob(f"{name}_*.orig.tar.*[a-z2]")
        tree = folder / name
        tree.mkdir()
        carry_out(["tar", "-xf", str(archive), "-C", str(tree), "--strip-components=1"])
        unpacked.append(tree)
    return unpacked


def compile_python(folder: Path) -> Path:
    """Compile a Python for musl; return its program."""
    compiler, prefix = folder / "cc", folder / "prefix"
    compiler.write_text(COMPILER.format(folder=folder))
    compiler.chmod(0o755)
    (folder / "kernel").mkdir()
    include = Path("/usr/include")
    for name, place in (("linux", ""), ("asm-generic", ""), ("asm", f"{MACHINE}-linux-gnu")):
        (folder / "kernel" / name).symlink_to(include / place / name)
    os.environ.update(CC=str(compiler), CFLAGS="-O1 -fPIC", LDSHARED=f"{compiler} -shared")
    # This machine's own libraries are for another C library.
    os.environ["PKG_CONFIG_LIBDIR"] = f"{prefix}/lib/pkgconfig"
    zlib, libffi, python = sources(folder)
    make = ["make", "-s", f"-j{os.cpu_count()}", "install"]
    os.chdir(zlib)
    carry_out(["./configure", "--static", f"--prefix={prefix}"], make)
    os.chdir(libffi)
    carry_out(["./configure", "--disable-shared", "--disable-docs", f"--prefix={prefix}"], make)
    os.environ.update(CPPFLAGS=f"-I{prefix}/include", LDFLAGS=f"-L{prefix}/lib -L{prefix}/lib64")
    os.chdir(python)
    options = ["--without-ensurepip", "--disable-test-modules", f"--prefix={prefix}"]
    carry_out(["./configure", *options], make)
    return prefix / "bin/python3"


def main() -> int:
    """Compile, install and test; return pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="kvmppc-musl-") as name:
        folder = Path(name)
        python = str(compile_python(folder))
        tools, root = folder / "tools", folder / "root"
        pip = [
            sys.executable,
            *"-m pip install -q --only-binary :all: --target".split(),
            str(tools),
        ]
        platforms = [f"--platform=musllinux_1_{minor}_{MACHINE}" for minor in (1, 2)]
        carry_out([*pip, *platforms, "--python-version=3.11", "--implementation=cp", *WHEELS])
        os.environ["PYTHONPATH"] = str(tools)
        words = "-m pip install -q --no-deps --no-build-isolation --target".split()
        carry_out([python, *words, str(root), str(ROOT)])
        os.environ["PYTHONPATH"] = f"{root}:{tools}"
        os.chdir(ROOT)
        words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *UNIT_TESTS, "tests/kernel"]
        return subprocess.run([python, *words]).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"musl: {error}")
