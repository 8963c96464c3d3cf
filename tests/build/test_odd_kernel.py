"""Answers no kernel should give: an error or the right answer, never a hang or a wrong mode."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import ctypes, json, os, sys
import kvmppc
from kvmppc.host import use_source
from kvmppc.testing import simulated_hosts

# A Power host's files, so that probe() asks; the kernel is the odd one.
use_source(next(host for host in simulated_hosts() if host.name == "power10").source())

class Answer(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("result", "error", "times", "calls")]
CALLS = ("open", "version", "capability_250", "capability_of_vm", "create_vm", "get")
WORDS = ("size", "flags", "capabilities")
class Odd(ctypes.Structure):
    _fields_ = [(name, Answer) for name in CALLS] + [(name, ctypes.c_uint64) for name in WORDS]
odd = Odd.in_dll(ctypes.CDLL(None), "odd_kernel")

def prepare(answers):
    ctypes.memset(ctypes.addressof(odd), 0, ctypes.sizeof(odd))
    for name in CALLS:
        getattr(odd, name).times = -1
    odd.size, odd.flags, odd.capabilities = 24, 0, 0x6000000000000000
    for name, value in answers.items():
        if name in WORDS:
            setattr(odd, name, value)
        else:
            setattr(odd, name, Answer(*value))

def ask():
    with kvmppc.Kvm() as kvm, kvm.create_vm() as vm:
        answers = [vm.get_compat_caps() for _ in range(3)]
        caps = answers[0]
        assert {each.compat_capabilities for each in answers} == {caps.compat_capabilities}
        return {
            "capability": [vm.check_extension(250), vm.check_extension(250)],
            "mask": caps.compat_capabilities, "flags": caps.flags, "size": caps.size,
            "modes": list(caps.modes),
        }

def outcome(answers):
    prepare(answers)
    try:
        found = ask()
    except kvmppc.KvmError as error:
        found = {"error": type(error).__name__, "errno": error.errno, "told": str(error)}
    found["calls"] = {name: getattr(odd, name).calls for name in CALLS}
    prepare(answers)
    report = kvmppc.probe()
    found["status"], found["granted"] = report.status, list(report.modes)
    return found

descriptors = lambda: sorted(os.listdir("/proc/self/fd"))
before = descriptors()
print(json.dumps([outcome(answers) for answers in json.load(sys.stdin)]))
assert descriptors() == before
"""

ALWAYS, ONCE = 0, 1
HUGE, MANY = 2**31 - 1, 2**63


def refused(number, times=ALWAYS):
    return (-1, number, times)


def answered(result, times=ALWAYS):
    return (result, 0, times)


BOTH = {"power9", "power10"}
# What the kernel does, and what a program then sees: an error and its errno, or the modes.
ODD = {
    "nothing odd": ({}, BOTH),
    "open, EINTR for ever": ({"open": refused(errno.EINTR)}, ("KvmError", errno.EINTR)),
    "open, EINTR 100 times": ({"open": refused(errno.EINTR, 100)}, BOTH),
    "open, no descriptor left": ({"open": refused(errno.EMFILE)}, ("KvmError", errno.EMFILE)),
    "open, an errno nobody knows": ({"open": refused(4000)}, ("KvmError", 4000)),
    "open, EPERM": ({"open": refused(errno.EPERM)}, ("DevicePermissionError", errno.EPERM)),
    "open, ENODEV": ({"open": refused(errno.ENODEV)}, ("NoModuleError", errno.ENODEV)),
    "open, ENXIO": ({"open": refused(errno.ENXIO)}, ("NoModuleError", errno.ENXIO)),
    **{
        f"API version {number}": (
            {"version": answered(number)},
            ("ApiVersionError", errno.EPROTO),
        )
        for number in (0, 1, 11, 13, HUGE)
    },
    "API version of -5000": ({"version": answered(-5000)}, ("KvmError", 5000)),
    "a failure without an errno": ({"version": (-1, 0, ALWAYS)}, ("KvmError", errno.EPERM)),
    "a huge capability": (
        {"capability_250": answered(HUGE), "capability_of_vm": answered(HUGE)},
        BOTH,
    ),
    "a negative capability": ({"capability_of_vm": answered(-5000)}, ("KvmError", 5000)),
    "a VM without the capability": (
        {"capability_of_vm": answered(0)},
        ("UnsupportedError", errno.ENOTTY),
    ),
    "a VM that refuses the capability": (
        {"capability_of_vm": refused(errno.EIO)},
        ("KvmError", errno.EIO),
    ),
    "a VM of the highest number": ({"create_vm": answered(HUGE)}, BOTH),
    "a VM of number 2**20": ({"create_vm": answered(2**20)}, BOTH),
    "a VM of number -5000": ({"create_vm": answered(-5000)}, ("VmCreationError", 5000)),
    "create_vm, EINTR for ever": (
        {"create_vm": refused(errno.EINTR)},
        ("VmCreationError", errno.EINTR),
    ),
    "create_vm, EINTR 100 times": ({"create_vm": refused(errno.EINTR, 100)}, BOTH),
    **{
        f"create_vm, {errno.errorcode[number]}": (
            {"create_vm": refused(number)},
            ("VmCreationError", number),
        )
        for number in map(errno.__dict__.get, "EMFILE ENFILE EIO ENOMEM EBUSY EPERM".split())
    },
    **{
        f"success, {size} bytes": (
            {"get": answered(0), "size": size},
            BOTH if size >= 24 else ("ProtocolError", errno.EPROTO),
        )
        for size in (0, 8, 16, 23, 24, 25, 4096, MANY, 2 * MANY - 1)
    },
    "success, by a positive number": ({"get": answered(7), "size": 24}, BOTH),
    "success, by a huge number": ({"get": answered(HUGE), "size": 24}, BOTH),
    "a negative result": ({"get": answered(-5000)}, ("KvmError", 5000)),
    "flags": ({"get": answered(0), "flags": 5}, BOTH),
    "a bit below those of modes": (
        {"get": answered(0), "capabilities": 0x6000000000000001},
        BOTH,
    ),
    "the lowest of the upper bits": (
        {"get": answered(0), "capabilities": 0x6100000000000000},
        BOTH,
    ),
    "every bit": (
        {"get": answered(0), "capabilities": 2 * MANY - 1},
        {"power9", "power10", "power11"},
    ),
    "no bit": ({"get": answered(0), "capabilities": 0}, set()),
    **{
        f"E2BIG for ever, {size} bytes wanted": (
            {"get": refused(errno.E2BIG), "size": size},
            ("TooBigError", errno.E2BIG),
        )
        for size in (0, 23, 24, 25, 32, 4096, 4097, 65536, MANY, 2 * MANY - 1)
    },
    # Two: the first question is the fast one, and what it cannot say is asked in full.
    "E2BIG until 32 bytes are sent": ({"get": refused(errno.E2BIG, 2), "size": 32}, BOTH),
    "E2BIG until 4096 bytes are sent": ({"get": refused(errno.E2BIG, 2), "size": 4096}, BOTH),
    "get, EINTR for ever": ({"get": refused(errno.EINTR)}, ("KvmError", errno.EINTR)),
    "get, EFAULT": ({"get": refused(errno.EFAULT)}, ("KvmError", errno.EFAULT)),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came of each, by its name."""
    folder = tmp_path_factory.mktemp("odd")
    source = Path(__file__).with_name("odd.c")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, source, "-o", folder / "odd.so"], check=True)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        cwd=folder,
        env={**os.environ, "LD_PRELOAD": str(folder / "odd.so")},
        input=json.dumps([answers for answers, _ in ODD.values()]),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(ODD, json.loads(done.stdout)))


@pytest.mark.parametrize("name", ODD)
def test_an_odd_kernel_gets_an_error_or_the_right_answer(outcomes, name):
    expected = ODD[name][1]
    found = outcomes[name]
    if isinstance(expected, tuple):
        assert (found["error"], found["errno"]) == expected
        assert found["granted"] == []
        assert found["status"] not in ("known", "hint")
    else:
        assert set(found["modes"]) == set(found["granted"]) == expected


def test_each_kind_of_refusal_has_its_status(outcomes):
    statuses = {
        "DevicePermissionError": "denied",
        "NoModuleError": "unavailable",
        "VmCreationError": "unavailable",
        "UnsupportedError": "unsupported",
    }
    for found in outcomes.values():
        if "error" in found:
            assert found["status"] == statuses.get(found["error"], "error")


def test_what_the_kernel_gave_is_kept(outcomes):
    assert outcomes["flags"]["flags"] == 5
    assert outcomes["a bit below those of modes"]["mask"] == 0x6000000000000001
    assert outcomes["every bit"]["mask"] == 2**64 - 1
    assert outcomes["success, 25 bytes"]["size"] == 25
    assert outcomes["E2BIG until 32 bytes are sent"]["size"] == 32
    assert outcomes["a huge capability"]["capability"] == [HUGE, HUGE]


def test_a_question_is_not_asked_for_ever(outcomes):
    for name, found in outcomes.items():
        assert max(found["calls"].values()) <= 1000, name
    # The fast question, the one in full, and that once more with the kernel's size.
    assert outcomes["E2BIG for ever, 32 bytes wanted"]["calls"]["get"] == 3
    assert outcomes["E2BIG for ever, 4097 bytes wanted"]["calls"]["get"] == 2


def test_a_refusal_tells_what_to_do(outcomes):
    assert "open files" in outcomes["create_vm, EMFILE"]["told"]
    assert "open files" in outcomes["open, no descriptor left"]["told"]
    assert "fork" not in outcomes["create_vm, EIO"]["told"]
    assert "fork" in outcomes["a VM that refuses the capability"]["told"]
    assert "signal" in outcomes["create_vm, EINTR for ever"]["told"]
