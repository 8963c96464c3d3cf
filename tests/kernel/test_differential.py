"""This machine's kernel and its simulated twin, on the same random calls, byte for byte.

KVMPPC_CALLS is how many calls are made, KVMPPC_SEED the seed they are made from; the lab runs
20,000 on each of its kernels.
"""

from __future__ import annotations

import os
import random

import pytest
import rawcalls
from rawcalls import (
    CHECK_EXTENSION,
    CREATE_VM,
    GET_API_VERSION,
    LINUX_7_3,
    NOTHING,
    PAGE,
    PATCH_V4,
    READ_ONLY,
    READ_WRITE,
    Call,
    words,
)

CALLS = int(os.environ.get("KVMPPC_CALLS", "2000"))
SEED = int(os.environ.get("KVMPPC_SEED", "20260701"))

SIZES = (0, 1, 8, 16, 23, 24, 24, 24, 25, 31, 32, 32, 33, 40, 64, 4096, 4097, PAGE, PAGE + 1)
# Both revisions', one that is neither, and numbers whose upper half the kernel does not look at.
REQUESTS = (
    *(LINUX_7_3, LINUX_7_3, LINUX_7_3, PATCH_V4, PATCH_V4),
    *(LINUX_7_3 ^ 0x80, LINUX_7_3 | 1 << 32, PATCH_V4 | 1 << 63),
)
WORDS = (0, 0, 0, 1, 24, 32, 1 << 63, (1 << 64) - 1)
ADDRESSES = (0, 1, 8, 4096, 1 << 47, 1 << 62, 1 << 63, (1 << 64) - 24, (1 << 64) - 1)
# Capabilities that a simulated host answers; a real one has hundreds more.
CAPABILITIES = (249, 250, 1 << 20, (1 << 31) - 1)
VM_TYPES = (0,)
if os.uname().machine.startswith("ppc"):
    # Elsewhere the twin is one that does not have the ioctl, but still a Power host.
    CAPABILITIES += (160,)
    VM_TYPES += (1, 2, 3, 1 << 32)


def random_call(source: random.Random, has_vm: bool) -> Call:
    """A call; most ask the question, some on the wrong descriptor or with a wrong request."""
    descriptor = "vm" if has_vm and source.random() < 0.9 else "kvm"
    kind = source.random()
    if kind < 0.04:
        return Call("kvm", GET_API_VERSION, None, argument=source.choice((0, 0, 1, 12)))
    if kind < 0.06:
        return Call("kvm", CREATE_VM, None, argument=source.choice(VM_TYPES))
    if kind < 0.16:
        return Call(descriptor, CHECK_EXTENSION, None, argument=source.choice(CAPABILITIES))
    request = source.choice(REQUESTS)
    if kind < 0.20:
        return Call(descriptor, request, None, argument=source.choice(ADDRESSES))
    return Call(descriptor, request, *random_memory(source))


def random_memory(source: random.Random) -> tuple[bytes, int, int]:
    """Bytes, where they start, and what may be done with the second page."""
    size = source.choice(SIZES) if source.random() < 0.9 else source.randrange(1 << 16)
    head = [source.choice(WORDS) for _ in range(3)]
    head[source.choice((0, 0, 0, 1, 1))] = size
    if source.random() < 0.7:
        head[1 if head[0] == size else 0] = 0
    data = words(*head) + bytes(min(max(size - 24, 0), PAGE))
    if source.random() < 0.3 and len(data) > 24:
        at = source.randrange(24, len(data))
        data = data[:at] + b"\x01" + data[at + 1 :]
    data += words(source.choice(WORDS))
    second = source.choice((READ_WRITE, READ_WRITE, READ_ONLY, NOTHING))
    offset = source.choice((-64, -63, -48, -40, -32, -24, -20, -16, -12, -8, -4, -1, 0, 1, 8))
    return data[: PAGE - max(0, offset)], offset, second


def smaller(call: Call) -> list[Call]:
    """Calls that are a little simpler, for finding the smallest one that shows a difference."""
    if call.data is None:
        return []
    shorter = [call.data[:length] for length in (24, 32, 40, len(call.data) // 2) if length >= 24]
    zeroed = [call.data[:at] + bytes(8) + call.data[at + 8 :] for at in range(0, 64, 8)]
    return [
        call._replace(second=READ_WRITE),
        call._replace(offset=-64),
        *(call._replace(data=data) for data in shorter if len(data) < len(call.data)),
        *(call._replace(data=data[: len(call.data)]) for data in zeroed if data != call.data),
    ]


def differ(call: Call, real: rawcalls.Target, simulated: rawcalls.Target) -> bool:
    return real.make(call) != simulated.make(call)


def smallest(call: Call, real: rawcalls.Target, simulated: rawcalls.Target) -> Call:
    """Makes a call simpler as long as the two still differ on it."""
    for candidate in smaller(call):
        if candidate != call and differ(candidate, real, simulated):
            return smallest(candidate, real, simulated)
    return call


def report(call: Call, real: rawcalls.Target, simulated: rawcalls.Target) -> str:
    lines = [rawcalls.described(call)]
    for name, target in (("kernel", real), ("simulated", simulated)):
        result, after = target.make(call)
        lines.append(f"  {name}: {rawcalls.result_name(result)}, {rawcalls.shortened(after)}")
    return "\n".join(lines)


@pytest.fixture
def pair(kernel, twin):
    """This kernel and its twin."""
    simulated = rawcalls.simulated(twin)
    yield kernel, simulated
    simulated.close()


def test_the_twin_makes_a_vm_where_the_kernel_does(pair):
    real, simulated = pair
    assert real.has_vm == simulated.has_vm


def test_kernel_and_twin_answer_every_call_alike(pair):
    real, simulated = pair
    source = random.Random(SEED)
    for number in range(CALLS):
        call = random_call(source, real.has_vm and simulated.has_vm)
        if differ(call, real, simulated):
            least = smallest(call, real, simulated)
            pytest.fail(f"call {number} of seed {SEED}, made small:\n{report(least, *pair)}")


def test_a_difference_is_found_and_made_small():
    # Two hosts that differ in their answer alone: the search must come down to the bare question.
    one, other = rawcalls.simulated("power10"), rawcalls.simulated("power9")
    try:
        source = random.Random(SEED)
        calls = (random_call(source, True) for _ in range(1000))
        call = next(call for call in calls if differ(call, one, other))
        least = smallest(call, one, other)
        assert least.data is not None
        assert (least.descriptor, least.request) == ("vm", LINUX_7_3)
        assert len(least.data) <= 32
    finally:
        one.close()
        other.close()
