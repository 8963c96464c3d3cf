"""Closing fails: nothing is closed twice or left open, nothing leaks, and no answer is wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import kvmppc
from kvmppc.testing import simulated_host

HOST = ["--simulate", "power11-as-power10"]
COMMANDS = [
    ["probe", "--json", *HOST],
    ["probe", "--json", *HOST, "--output", "new"],
    ["probe", "--json", *HOST, "--output", "link"],
    ["check", "--fix", "--in-place", "guest.xml", *HOST],
    ["advise", "--json", "--report", "record"],
    ["doctor", "--json", *HOST],
    ["baseline", "--json", "folder"],
    ["plan", "guest.xml", "--fleet", "record", "--json"],
    ["explain", "--json", "--report", "record", "kvm run failed Invalid argument"],
]
GUEST = (
    "<domain type='kvm'><os><type arch='ppc64le'>hvm</type></os>"
    "<cpu mode='host-passthrough'/></domain>"
)
SCRIPT = """
import ctypes, errno, gc, json, os, sys
from kvmppc.cli import main

class Closing(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("calls", "fails_at", "error", "strangers")]
closing = Closing.in_dll(ctypes.CDLL(None), "closing")
commands, guest = json.load(sys.stdin)

def files():
    names = [os.path.join(folder, name) for folder, _, names in os.walk(".") for name in names]
    return {name: open(name).read() for name in names if name != "./link"}

def run(words, fails_at, error):
    for name, text in (("old", "old"), ("guest.xml", guest)):
        with open(name, "w") as file: file.write(text)
    if os.path.exists("new"): os.unlink("new")
    before = os.listdir("/proc/self/fd")
    closing.calls, closing.fails_at, closing.error, closing.strangers = 0, fails_at, error, 0
    code = main(list(words))
    calls, closing.fails_at = closing.calls, 0
    left = sorted(set(os.listdir("/proc/self/fd")) ^ set(before))
    return {"words": words, "call": fails_at, "errno": error, "code": code, "left": left,
            "calls": calls, "strangers": closing.strangers, "files": files()}

def round():
    found = []
    for words in commands:
        found.append(run(words, 0, 0))
        for call in range(1, found[-1]["calls"] + 1):
            found += [run(words, call, error) for error in (errno.EIO, errno.EINTR)]
    return found

def resident():
    gc.collect()
    with open("/proc/self/statm") as file: return int(file.read().split()[1])

round()
before = resident()
for _ in range(5): found = round()
with open(sys.argv[1], "w") as file:
    json.dump({"found": found, "pages": resident() - before}, file)
"""


def untimed(text):
    """A record without the time, and any other text."""
    return re.sub(r'"time": "[^"]*"', "", text)


def test_a_close_that_fails_costs_no_more_than_the_answer(tmp_path):
    library, folder = tmp_path / "closing.so", tmp_path / "work"
    source = Path(__file__).with_name("closing.c")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, source, "-o", library], check=True)
    (folder / "folder").mkdir(parents=True)
    with simulated_host("power10"):
        record = kvmppc.probe().to_json() + "\n"
    for name in ("record", "folder/one", "folder/two"):
        (folder / name).write_text(record)
    (folder / "link").symlink_to("old")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "found"],
        cwd=folder,
        env={**os.environ, "LD_PRELOAD": str(library)},
        input=json.dumps([COMMANDS, GUEST]),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(line.startswith("kvmppc: ") for line in done.stderr.splitlines()), done.stderr
    results = json.loads((tmp_path / "found").read_text())
    plain = {}
    for each in results["found"]:
        files, case = each.pop("files"), str(each)
        if each["call"] == 0:
            plain = {"code": each["code"], "files": files}
        assert (each["left"], each["strangers"]) == ([], 0), case
        assert not any(".kvmppc-" in name for name in files), case
        assert each["code"] in (plain["code"], 2, 3, 70), case
        # A file is the old one or the new one; after an answer, the new one.
        for name, text in files.items():
            old = {"./old": "old", "./guest.xml": GUEST}.get(name) == text
            assert old or untimed(text) == untimed(plain["files"][name]), case
            assert not old or each["code"] != plain["code"] or plain["files"][name] == text, case
            # Exit code 2 says that the file was not written.
            assert old or name not in ("./old", "./new", "./guest.xml") or each["code"] != 2, case
    failed = len(results["found"]) - len(COMMANDS)
    print(f"{failed} closes failed; {results['pages']} pages more in use after 5 rounds of them")
    assert failed > 40
    assert results["pages"] < 256
