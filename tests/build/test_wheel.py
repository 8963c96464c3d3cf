"""The wheel itself: the same twice, with the right tag, and what it needs of the system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Without -Wconversion: musl's ioctl() takes its request as an int, glibc's as an unsigned long.
STRICT = "-std=c11 -Wall -Wextra -Wpedantic -Werror".split()

MACHINES = ("x86_64", "ppc64le")


def needs(program):
    """Skips where a program is not installed; in CI all are."""
    missing = shutil.which(program) is None and not os.environ.get("CI")
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")


def wheel(sources, out, python=sys.executable, **environment):
    """Builds a wheel with the tools that this Python has."""
    words = "-m pip wheel -q --no-index --no-deps --no-build-isolation --wheel-dir".split()
    words = [python, *words, str(out), str(sources)]
    subprocess.run(words, check=True, env={**os.environ, **environment})
    (made,) = out.iterdir()
    return made


def test_two_builds_in_two_folders_make_the_same_wheel_bit_for_bit(sources, tmp_path):
    made = []
    for folder in ("a", "another/folder/with/a/longer/name"):
        copy = shutil.copytree(sources, tmp_path / folder)
        made.append(wheel(copy, copy / "out", SOURCE_DATE_EPOCH="1700000000", CFLAGS="-g"))
    first, second = made
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_the_wheel_uses_the_stable_abi_alone(sources, tmp_path):
    made = wheel(shutil.copytree(sources, tmp_path / "sources"), tmp_path / "out")
    subprocess.run([sys.executable, "-m", "abi3audit", "--strict", str(made)], check=True)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="cibuildwheel needs Python 3.11")
def test_cibuildwheel_builds_a_wheel_for_each_machine_and_c_library():
    words = "-m cibuildwheel --platform linux --print-build-identifiers".split()
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kinds = [
        f"cp39-{libc}_{machine}" for libc in ("manylinux", "musllinux") for machine in MACHINES
    ]
    assert done.stdout.split() == kinds


@needs("python3-dbg")
def test_a_debug_python_gets_a_wheel_of_its_own(sources, tmp_path):
    tools = tmp_path / "tools"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tools)]
    subprocess.run([*pip, "pip", "setuptools>=77"], check=True)
    subprocess.run(
        ["python3-dbg", "-m", "pip", "install", "-q", "cffi", "--target", str(tools)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(tools)},
    )
    made = wheel(
        shutil.copytree(sources, tmp_path / "sources"),
        tmp_path / "out",
        "python3-dbg",
        PYTHONPATH=str(tools),
    )
    assert "abi3" not in made.name


@needs("musl-gcc")
@pytest.mark.parametrize("source", [path.name for path in sorted((ROOT / "csrc").glob("*.c"))])
def test_the_sources_compile_without_a_warning_on_musl(tmp_path, source):
    # The kernel's headers are where this machine's C library has them, and come after musl's.
    multiarch = f"/usr/include/{os.uname().machine}-linux-gnu"
    words = ["musl-gcc", *STRICT, "-idirafter", "/usr/include", "-idirafter", multiarch, "-O2"]
    words += ["-c", str(ROOT / "csrc" / source), "-o", f"{tmp_path}/o.o"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
