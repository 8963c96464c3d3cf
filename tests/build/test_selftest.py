"""The C by itself, without Python: memory, undefined behaviour, threads, coverage, analysers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = ROOT / "tests/build/selftest.c"
SOURCES = sorted((ROOT / "csrc").glob("*.c"))
STRICT = "-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror -pthread -g".split()
# What stands in place of the kernel: the simulated one, or libc's calls.
PROGRAMS = {
    "simulated": ("simhost.c", []),
    "native": ("kvmppc.c", ["-DNATIVE"]),
}
# A copy through a pipe is told of bad memory by write itself, which is what it is for.
SUPPRESSION = """{
   bad-memory-is-told
   Memcheck:Param
   write(buf)
   ...
   fun:copy_by_pipe
}
"""


def needs(program):
    """Skips on a developer's machine where a program is missing, and fails in CI."""
    return pytest.mark.skipif(
        shutil.which(program) is None and not os.environ.get("CI"),
        reason=f"{program} is not installed",
    )


def run(words, folder):
    """Runs a program; what it printed."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{words[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def build(folder, program, *options, compiler="gcc"):
    """Compiles one of the two programs."""
    kernel, defines = PROGRAMS[program]
    sources = [ROOT / "csrc" / name for name in (kernel, "handle.c", "fast.c", "bench.c")]
    words = [compiler, *STRICT, *options, *defines, f"-I{ROOT}/csrc", TEST, *sources]
    run([*words, "-o", "selftest"], folder)
    return folder / "selftest"


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_memory_or_behaviour_is_undefined(tmp_path, program):
    sanitizers = "-fsanitize=address,undefined"
    run([build(tmp_path, program, "-O1", sanitizers, "-fno-sanitize-recover=all")], tmp_path)


@needs("powerpc64le-linux-gnu-gcc")
@needs("qemu-ppc64le-static")
@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_the_same_on_powerpc(tmp_path, program):
    compiler = "powerpc64le-linux-gnu-gcc"
    built = build(tmp_path, program, "-O2", "-static", compiler=compiler)
    run(["qemu-ppc64le-static", "-cpu", "power10", built], tmp_path)


def test_threads_race_for_nothing(tmp_path):
    run([build(tmp_path, "simulated", "-O1", "-fsanitize=thread"), "threads"], tmp_path)


@needs("valgrind")
@pytest.mark.parametrize("program", PROGRAMS)
def test_valgrind_finds_nothing(tmp_path, program):
    (tmp_path / "suppressions").write_text(SUPPRESSION)
    words = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--track-fds=no"]
    run([*words, "--suppressions=suppressions", build(tmp_path, program, "-O1")], tmp_path)


def test_every_line_is_run(tmp_path):
    for program in PROGRAMS:
        folder = tmp_path / program
        folder.mkdir()
        run([build(folder, program, "-O0", "--coverage")], folder)
    words = [
        sys.executable,
        "-m",
        "gcovr",
        "-r",
        ROOT,
        "-f",
        f"{ROOT}/csrc/",
        "--fail-under-line=100",
    ]
    # Of the branches, those that no program took are named.
    print(run([*words, "--txt-metric=branch", "--txt", "--txt-summary", tmp_path], tmp_path))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_gcc_s_analyser_finds_nothing(tmp_path, source):
    run(["gcc", *STRICT, "-O2", "-fanalyzer", f"-I{ROOT}/csrc", "-c", source], tmp_path)


@needs("clang-tidy")
def test_clang_tidy_finds_nothing(tmp_path):
    # memcpy has no other form in glibc; the rest of clang's analyser and its bug patterns.
    checks = "bugprone-*,clang-analyzer-*,-clang-analyzer-security.insecureAPI.*"
    off = "-bugprone-*parameters,-bugprone-suspicious-include,-bugprone-reserved-identifier"
    words = ["clang-tidy", "--quiet", "--warnings-as-errors=*", f"--checks=-*,{checks},{off}"]
    run([*words, *SOURCES, "--", "-std=c11", f"-I{ROOT}/csrc"], tmp_path)


@needs("cppcheck")
def test_cppcheck_finds_nothing(tmp_path):
    words = ["cppcheck", "-q", "--enable=warning,style,performance,portability"]
    options = ["--error-exitcode=3", "--inline-suppr", "--suppress=missingIncludeSystem"]
    defines = ["-D__linux__", "-D__has_include(x)=1", f"-I{ROOT}/csrc"]
    run([*words, *options, *defines, *SOURCES], tmp_path)
