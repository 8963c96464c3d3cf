"""Calls at the ioctl itself, made on a real kernel or on a simulated one, byte for byte.

A call is a value: what is asked, of which descriptor, and how the memory looks that it points
to. Making it gives an outcome that can be compared: the result, and every byte afterwards.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
import sys
from typing import Callable, NamedTuple

from kvmppc import Kvm, KvmError
from kvmppc._simhost import lib
from kvmppc.testing import simulated_host

PAGE = mmap.PAGESIZE
ORDER = sys.byteorder
LINUX_7_3 = lib.KVMPPC_GET_LINUX_7_3
PATCH_V4 = lib.KVMPPC_GET_PATCH_V4
# _IO's "no direction" is a bit of its own on powerpc, and nothing elsewhere (asm/ioctl.h).
_NO_DIRECTION = 0x20000000 if os.uname().machine.startswith("ppc") else 0
GET_API_VERSION = _NO_DIRECTION | 0xAE00
CREATE_VM = _NO_DIRECTION | 0xAE01
CHECK_EXTENSION = _NO_DIRECTION | 0xAE03

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

READ_WRITE, READ_ONLY, NOTHING = mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ, 0


class Call(NamedTuple):
    """One call.

    Attributes:
        descriptor: "vm" or "kvm".
        request: the ioctl's number.
        data: the bytes that the argument points to; None where argument is a plain number.
        offset: where they start, in bytes before (negative) or after the border of two pages.
        second: what may be done with the second page; the first may be read and written.
        argument: the argument itself where data is None.
    """

    descriptor: str
    request: int
    data: bytes | None
    offset: int = -64
    second: int = READ_WRITE
    argument: int = 0


class Outcome(NamedTuple):
    """What a call did: its result or negative errno, and the bytes that can be read afterwards."""

    result: int
    after: bytes | None


class Memory:
    """Three pages: two that calls are made on, and one that is never there."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 3 * PAGE)
        self._view = (ctypes.c_char * (3 * PAGE)).from_buffer(self._map)
        self.border = ctypes.addressof(self._view) + PAGE
        self._protect(self.border + PAGE, NOTHING)
        self._second = READ_WRITE

    def _protect(self, address: int, what: int) -> None:
        if _libc.mprotect(address, PAGE, what) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def prepare(self, call: Call) -> int:
        """Lays the call's bytes out, and gives the address they start at."""
        assert call.data is not None
        if self._second != READ_WRITE:
            self._protect(self.border, READ_WRITE)
        start = PAGE + call.offset
        self._map[start : start + len(call.data)] = call.data
        self._second = call.second
        if call.second != READ_WRITE:
            self._protect(self.border, call.second)
        return self.border + call.offset

    def after(self, call: Call) -> bytes:
        """The call's bytes as they are now, as far as they can be read."""
        assert call.data is not None
        start = PAGE + call.offset
        end = start + len(call.data)
        return self._map[start : min(end, PAGE) if call.second == NOTHING else end]


class Target:
    """A kernel to make calls on, with a /dev/kvm and, where one can be made, a VM."""

    def __init__(self, ioctl: Callable[[int, int, int], int], device: str = "/dev/kvm") -> None:
        self._ioctl = ioctl
        self._kvm = Kvm(device)
        self._memory = Memory()
        try:
            self._vm = self._kvm.create_vm()
        except KvmError:
            self._vm = None
        self.has_vm = self._vm is not None

    def close(self) -> None:
        if self._vm is not None:
            self._vm.close()
        self._kvm.close()

    def make(self, call: Call) -> Outcome:
        """Makes the call."""
        handle = self._vm if call.descriptor == "vm" else self._kvm
        assert handle is not None
        address = call.argument if call.data is None else self._memory.prepare(call)
        result = self._ioctl(handle.fileno(), call.request, address)
        if call.request == CREATE_VM and call.descriptor == "kvm" and result >= 0:
            os.close(result)
            result = 1  # a descriptor; its number says nothing
        return Outcome(result, None if call.data is None else self._memory.after(call))


def real_ioctl(fd: int, request: int, argument: int) -> int:
    """The system call, with errno as the shim gives it."""
    result: int = _libc.ioctl(fd, request, argument)
    return -ctypes.get_errno() if result < 0 else result


def real() -> Target:
    """This machine's own kernel."""
    return Target(real_ioctl)


def simulated(name: str) -> Target:
    """A simulated host's kernel."""
    with simulated_host(name):
        return Target(lib.kvmppc_simhost_ioctl)


def words(*numbers: int) -> bytes:
    """Numbers of 64 bits, one after the other."""
    return struct.pack(f"={len(numbers)}Q", *numbers)


def described(call: Call) -> str:
    """A call as people read it."""
    names = {
        LINUX_7_3: "KVM_PPC_GET_COMPAT_CAPS (linux-7.3)",
        PATCH_V4: "KVM_PPC_GET_COMPAT_CAPS (patch-v4)",
        CHECK_EXTENSION: "KVM_CHECK_EXTENSION",
        CREATE_VM: "KVM_CREATE_VM",
        GET_API_VERSION: "KVM_GET_API_VERSION",
    }
    request = names.get(call.request, f"request {call.request:#x}")
    if call.data is None:
        return f"{request} on {call.descriptor}, argument {call.argument:#x}"
    second = {READ_WRITE: "there", READ_ONLY: "read-only", NOTHING: "not there"}[call.second]
    return (
        f"{request} on {call.descriptor}, {len(call.data)} bytes from {call.offset:+d} of the "
        f"border of two pages, the second {second}: {shortened(call.data)}"
    )


def shortened(data: bytes | None) -> str:
    """Bytes in hexadecimal, a long run of zeros at the end counted."""
    if data is None:
        return "nothing"
    head = data.rstrip(b"\0")
    head = data[: (len(head) + 7) // 8 * 8]
    return f"{head.hex(' ', 8)} and {len(data) - len(head)} zero bytes"


def result_name(result: int) -> str:
    """A result with its errno's symbol."""
    return errno.errorcode.get(-result, str(result)) if result < 0 else str(result)
