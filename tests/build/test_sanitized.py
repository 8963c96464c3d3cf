"""The compiled modules in Python, under AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The tests that call the compiled modules.
NAMES = ["kvm", "handles", "simhost", "repeated_questions", "probe", "testing"]
FLAGS = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined"


def run(words, **environment):
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr[-3000:]


def test_no_call_from_python_touches_memory_that_is_not_its_own(sources, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    code, told = run([*install, "--target", tmp_path / "package", sources], CFLAGS=FLAGS)
    assert code == 0, told
    modules = list(tmp_path.glob("package/kvmppc/*.so"))
    assert [b"__asan_init" in module.read_bytes() for module in modules] == [True] * 3
    # Files, of the tests' own children too: pytest keeps what is printed, and may not live to
    # show it.
    reports = f"log_path={tmp_path}/report"
    code, told = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + [f"tests/unit/test_{name}.py" for name in NAMES],
        PYTHONPATH=str(tmp_path / "package"),
        LD_PRELOAD=run(["gcc", "-print-file-name=libasan.so"])[1].strip(),
        PYTHONMALLOC="malloc",  # else Python hands out parts of what it has
        # Not leaks: the C allocates nothing, and Python does not free all at its end.
        ASAN_OPTIONS=f"detect_leaks=0:{reports}",
        UBSAN_OPTIONS=f"print_stacktrace=1:{reports}",
    )
    assert "\n".join(path.read_text()[:3000] for path in tmp_path.glob("report.*")) == ""
    assert code == 0, told
