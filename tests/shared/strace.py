"""Runs a command in which one system call fails, or a signal comes, as strace(1) injects it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# strace counts calls from the start of the process on. These two tell where the command itself
# begins and ends; between them, what it opens it gives back.
PROGRAM = """
import os, sys
from kvmppc.cli import main
def descriptors(): return set(os.listdir("/proc/self/fd"))
def mark(name):
    try: os.stat(name)
    except OSError: pass
before = descriptors()
mark("/kvmppc-begins")
try: code = main()
finally: mark("/kvmppc-ends")
if descriptors() != before: os.mkdir("descriptors-are-left-open")
sys.stdout.flush()
os._exit(code)
"""


class Call:
    """A system call of a command: its name, which of that name it is, and strace's line of it."""

    def __init__(self, name: str, number: int, line: str) -> None:
        self.name = name
        self.number = number
        self.line = line

    @property
    def of_python(self) -> bool:
        """Whether it looks for code or reads it: the command's own words do not matter to it."""
        return re.search(r"site-packages|lib/python|\.so\b|/share/locale/", self.line) is not None

    @property
    def kind(self) -> str:
        """The same for calls that do the same again."""
        text = re.sub(r'"[^"]*\\[^"]*"', "", self.line)  # what is written, which has numbers in it
        return re.sub(r"0x[0-9a-f]+|\d{3,}|=.*|\.kvmppc-\w+|/tmp/[^>\"]*/run\d+", "", text)

    def __repr__(self) -> str:
        return f"{self.line[:120]} (number {self.number})"


def run(words, folder, inject=None):
    """Runs the command in a folder, with records on standard input."""
    options = ["-y", "-o", "/dev/null"]
    if inject is not None:
        name = inject.split(":")[0]
        options += ["--seccomp-bpf", "-f", "-e", f"trace={name}", "-e", f"inject={inject}"]
    return _start([*options], words, folder)


def _start(options, words, folder):
    with open(Path(folder, "records"), "rb") as records:
        return subprocess.run(
            ["strace", *options, sys.executable, "-c", PROGRAM, *words],
            stdin=records,
            capture_output=True,
            text=True,
            cwd=folder,
            # Where the code is looked for must not depend on the folder or the environment.
            env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"},
            timeout=60,
            check=False,
        )


def calls(words, folder, log) -> list[Call]:
    """The system calls that a command makes when nothing fails."""
    try:
        done = _start(["-y", "-o", str(log)], words, folder)
    except FileNotFoundError:
        pytest.fail("strace is not installed; it is in Debian's package of that name")
    assert "Traceback" not in done.stderr, done.stderr
    counts: dict[str, int] = {}
    found: list[Call] = []
    inside = False
    for line in log.read_text(errors="replace").splitlines():
        name = line.partition("(")[0]
        counts[name] = counts.get(name, 0) + 1
        if "/kvmppc-" in line:
            inside = "/kvmppc-begins" in line
        elif inside:
            found.append(Call(name, counts[name], line))
    return found
