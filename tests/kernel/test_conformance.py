"""One table of calls at the ioctl itself, with what each kind of kernel must answer.

Run against every simulated host, and against this machine's kernel as its twin must answer.
The source of each line is the code of KVM_PPC_GET_COMPAT_CAPS in arch/powerpc/kvm/powerpc.c,
and copy_struct_from_user in include/linux/uaccess.h; for patch-v4, the posted series.
"""

from __future__ import annotations

import errno
from typing import NamedTuple

import confined
import pytest
import rawcalls
from rawcalls import LINUX_7_3, NOTHING, PAGE, PATCH_V4, READ_ONLY, Call, Outcome, words


class Kind(NamedTuple):
    """What a kernel is, as far as the table depends on it."""

    rule: str
    granted: int = 0
    struct_size: int = 24
    backend: int = 0


P9, P10, P11 = 1 << 62, 1 << 61, 1 << 60
KINDS = {
    "power9": Kind("linux-7.3", P9),
    "power10": Kind("linux-7.3", P9 | P10),
    "power11": Kind("linux-7.3", P9 | P10 | P11),
    "power11-v2": Kind("linux-7.3", P9 | P10 | P11),
    "power11-as-power10": Kind("linux-7.3", P9 | P10),
    "power11-as-power9": Kind("linux-7.3", P9),
    "powervm-power11": Kind("linux-7.3", P10 | P11),
    "powernv10": Kind("linux-7.3", backend=-errno.EINVAL),
    "linux-6.12": Kind("none"),
    "linux-6.12-as-power10": Kind("none"),
    "nested-off": Kind("linux-7.3", P9 | P10),
    "kvm-pr": Kind("linux-7.3", backend=-errno.ENOTTY),
    "power12": Kind("linux-7.3", P9 | P10),
    "no-operation": Kind("linux-7.3", backend=-errno.ENOTTY),
    "backend-refuses": Kind("linux-7.3", backend=-errno.EINVAL),
    "patch-v4": Kind("posted", P9 | P10),
    "patch-v4-strict": Kind("strict", P9 | P10),
    "struct-32": Kind("linux-7.3", P9 | P10 | P11, struct_size=32),
    "unknown-bit": Kind("linux-7.3", P9 | P10 | P11 | 1 << 56),
    "future": Kind("linux-7.3", P9 | P10 | P11 | 1 << 56, struct_size=32),
}

JUNK = 0xA5A5A5A5A5A5A5A5
SIZES = (0, 1, 8, 16, 23, 24, 25, 31, 32, 33, 40, 4095, 4096, 4097, PAGE, PAGE + 1, 65536, 65537)
LARGE = (1 << 31, 1 << 32, (1 << 64) - 1)


def linux_7_3(size, flags=0, tail=(), **place):
    """A call of linux-7.3, with a zero tail up to a page unless one is given."""
    rest = words(*tail) + bytes(max(0, min(size, PAGE) - 24 - 8 * len(tail)))
    return Call("vm", LINUX_7_3, words(size, flags, JUNK) + rest, **place)


def patch_v4(size, flags=0, **place):
    return Call("vm", PATCH_V4, words(flags, size, JUNK, JUNK), **place)


def number(data, at):
    return int.from_bytes(data[at : at + 8], rawcalls.ORDER)


def expected(kind: Kind, call: Call) -> Outcome:
    """What a kernel of this kind must answer to a call whose memory is all there."""
    assert call.data is not None
    if call.descriptor == "kvm":
        return Outcome(-errno.EINVAL, call.data)
    if call.request == LINUX_7_3 and kind.rule == "linux-7.3":
        return expected_7_3(kind, call.data)
    if call.request == PATCH_V4 and kind.rule in ("posted", "strict"):
        return expected_v4(kind, call.data)
    return Outcome(-errno.ENOTTY, call.data)


def expected_7_3(kind: Kind, data: bytes) -> Outcome:
    size = number(data, 0)
    if size > PAGE:
        return Outcome(-errno.E2BIG, data)
    if size < 24:
        return Outcome(-errno.EINVAL, data)
    if any(data[kind.struct_size : size]):
        return Outcome(-errno.E2BIG, words(kind.struct_size) + data[8:])
    if number(data, 8) != 0:
        return Outcome(-errno.EINVAL, data)
    if kind.backend:
        return Outcome(kind.backend, data)
    returned = min(size, kind.struct_size)
    own_fields = bytes(returned - 24)
    return Outcome(0, words(returned, 0, kind.granted) + own_fields + data[returned:])


def expected_v4(kind: Kind, data: bytes) -> Outcome:
    size, ours = number(data, 8), kind.struct_size
    if size < ours or (kind.rule == "strict" and size != ours):
        return Outcome(-errno.EINVAL, data)
    return Outcome(0, words(0, ours, kind.granted)[:ours] + data[ours:])


WHOLE = {
    **{f"linux-7.3, size {size}": linux_7_3(size) for size in SIZES + LARGE},
    **{f"linux-7.3, size {size}, flags 1": linux_7_3(size, 1) for size in SIZES},
    "linux-7.3, every flag": linux_7_3(24, (1 << 64) - 1),
    "linux-7.3, a tail that begins with 1": linux_7_3(32, tail=[1]),
    "linux-7.3, a tail that ends with 1": linux_7_3(48, tail=[0, 0, 1 << 56]),
    "linux-7.3, a tail at the end of a page": linux_7_3(PAGE, tail=[0] * (PAGE // 8 - 4) + [1]),
    "linux-7.3, a tail and flags": linux_7_3(32, 1, tail=[1]),
    "linux-7.3, a fourth field": linux_7_3(32, tail=[JUNK]),
    "linux-7.3, what lies behind the size is not looked at": linux_7_3(24, tail=[JUNK]),
    "linux-7.3, misaligned by 1": linux_7_3(24, offset=-63),
    "linux-7.3, misaligned by 7": linux_7_3(32, offset=-57),
    "linux-7.3, over the border of two pages": linux_7_3(40, offset=-12),
    "linux-7.3, on /dev/kvm": linux_7_3(24)._replace(descriptor="kvm"),
    **{f"patch-v4, size {size}": patch_v4(size) for size in SIZES + LARGE},
    "patch-v4, flags": patch_v4(24, (1 << 64) - 1),
    "patch-v4, misaligned by 1": patch_v4(24, offset=-63),
    "patch-v4, over the border of two pages": patch_v4(24, offset=-12),
    "patch-v4, on /dev/kvm": patch_v4(24)._replace(descriptor="kvm"),
}

# Where memory is not all there: the call, and what the two rules answer; nothing is to change.
# The third form on the mailing list had the request _IO(KVMIO, 0xe4), which no kernel ships.
EFAULT, E2BIG, EINVAL = -errno.EFAULT, -errno.E2BIG, -errno.EINVAL
PARTIAL = {
    "at 0": (Call("vm", LINUX_7_3, None, argument=0), EFAULT),
    "at 8": (Call("vm", LINUX_7_3, None, argument=8), EFAULT),
    "above user space": (Call("vm", LINUX_7_3, None, argument=1 << 62), EFAULT),
    "at the top": (Call("vm", LINUX_7_3, None, argument=(1 << 64) - 8), EFAULT),
    "not there": (linux_7_3(24, offset=0, second=NOTHING), EFAULT),
    "half a size": (linux_7_3(24, offset=-4, second=NOTHING), EFAULT),
    "only a size": (linux_7_3(24, offset=-8, second=NOTHING), EFAULT),
    "only a size, too small": (linux_7_3(23, offset=-8, second=NOTHING), EINVAL),
    "only a size, too large": (linux_7_3(PAGE + 1, offset=-8, second=NOTHING), E2BIG),
    "no tail": (linux_7_3(32, offset=-24, second=NOTHING), EFAULT),
    "half a tail": (linux_7_3(64, offset=-40, second=NOTHING), EFAULT),
    "read-only": (linux_7_3(24, offset=0, second=READ_ONLY), EFAULT),
    "read-only, with flags": (linux_7_3(24, 1, offset=0, second=READ_ONLY), EINVAL),
    "read-only, with a tail": (linux_7_3(48, tail=[0, 1], offset=0, second=READ_ONLY), EFAULT),
    "a zero tail read-only": (linux_7_3(48, offset=-24, second=READ_ONLY), EFAULT),
    "answer read-only": (linux_7_3(24, offset=-16, second=READ_ONLY), EFAULT),
    "patch-v4, at 0": (Call("vm", PATCH_V4, None, argument=0), EFAULT),
    "patch-v4, at the top": (Call("vm", PATCH_V4, None, argument=(1 << 64) - 8), EFAULT),
    "patch-v4, not there": (patch_v4(24, offset=0, second=NOTHING), EFAULT),
    "patch-v4, only flags": (patch_v4(24, offset=-8, second=NOTHING), EFAULT),
    "patch-v4, only flags and size": (patch_v4(24, offset=-16, second=NOTHING), EFAULT),
    "patch-v4, the same, too small": (patch_v4(8, offset=-16, second=NOTHING), EINVAL),
    "patch-v4, read-only": (patch_v4(24, offset=0, second=READ_ONLY), EFAULT),
}


def answered_partially(kind: Kind, call: Call, result: int) -> int:
    """The result where a kernel of this kind has the request at all and its backend answers."""
    has = {"linux-7.3": LINUX_7_3, "posted": PATCH_V4, "strict": PATCH_V4}.get(kind.rule)
    if call.request != has:
        return -errno.ENOTTY
    # The backend is asked before anything is written: its refusal comes before a fault of writing.
    writes = call.second == READ_ONLY and result == EFAULT and not any((call.data or b"")[24:])
    return kind.backend if writes and kind.backend else result


def check(target, kind, name, call, outcome):
    made = target.make(call)
    assert made == outcome, (
        f"{name}: {rawcalls.described(call)}\n"
        f"  expected {rawcalls.result_name(outcome.result)}, {rawcalls.shortened(outcome.after)}\n"
        f"  got      {rawcalls.result_name(made.result)}, {rawcalls.shortened(made.after)}"
    )


def check_whole(target, kind):
    for name, call in WHOLE.items():
        if call.descriptor == "kvm" or target.has_vm:
            check(target, kind, name, call, expected(kind, call))


def check_partial(target, kind):
    for name, (call, result) in PARTIAL.items():
        if target.has_vm:
            readable = call.data
            if call.data is not None and call.second == NOTHING:
                readable = call.data[: max(0, -call.offset)]
            outcome = Outcome(answered_partially(kind, call, result), readable)
            check(target, kind, name, call, outcome)


@pytest.fixture(params=KINDS)
def simulated(request):
    target = rawcalls.simulated(request.param)
    yield target, KINDS[request.param]
    target.close()


def test_simulated_hosts_answer_by_the_table(simulated):
    check_whole(*simulated)


def test_simulated_hosts_answer_by_the_table_where_memory_ends(simulated):
    check_partial(*simulated)


def check_simulated():
    """Every simulated host by the whole table, in one go: for a child process."""
    for name, kind in KINDS.items():
        target = rawcalls.simulated(name)
        check_whole(target, kind)
        check_partial(target, kind)
        target.close()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_simulated_hosts_do_without_process_vm_readv(number):
    def work():
        confined.forbid_copying(number)
        check_simulated()

    try:
        confined.in_child(work)
    except confined.RefusedError:
        pytest.skip("this machine does not let system calls be forbidden")


@pytest.mark.parametrize("value", [1, 2])
def test_simulated_hosts_do_where_memory_files_cannot_be_executed(value):
    try:
        confined.in_child(lambda: confined.with_noexec(value, check_simulated))
    except confined.RefusedError:
        pytest.skip("vm.memfd_noexec cannot be set here: it takes root, and Linux 6.3 or newer")


def test_this_kernel_answers_by_the_table(kernel, twin):
    check_whole(kernel, KINDS.get(twin, Kind("none")))


def test_this_kernel_answers_by_the_table_where_memory_ends(kernel, twin):
    check_partial(kernel, KINDS.get(twin, Kind("none")))
