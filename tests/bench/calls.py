"""One call, by all who can make it: the floor in C, an extension written by hand, and so on."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from itertools import repeat
from types import ModuleType
from typing import Any

import cffi

from kvmppc import Vm

from .rounds import Loop, timed

# _IO's "no direction" is a bit of its own on powerpc, and nothing elsewhere (asm/ioctl.h).
_NO_DIRECTION = 0x20000000 if os.uname().machine.startswith("ppc") else 0
GET_API_VERSION = _NO_DIRECTION | 0xAE00
CHECK_EXTENSION = _NO_DIRECTION | 0xAE03
GET_COMPAT_CAPS = _NO_DIRECTION | 0xAEB8
CAPABILITY = 250

FLOOR, BY_HAND, OURS = "C loop", "extension by hand", "kvmppc"
HELD = "the same, GIL kept"
FCNTL, CTYPES, ABI = "fcntl.ioctl", "ctypes", "cffi ABI mode"


def _ctypes_ioctl(argument: type) -> Any:
    ioctl: Any = ctypes.CDLL(None, use_errno=True).ioctl
    ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, argument)
    ioctl.restype = ctypes.c_int
    return ioctl


def _function(ffi: cffi.FFI) -> Any:
    """libc's ioctl, as it was declared."""
    libc: Any = ffi.dlopen(None)
    return libc.ioctl


def check_extension(vm: Vm, rivals: ModuleType) -> dict[str, Loop]:
    """KVM_CHECK_EXTENSION, which gives a number for a number."""
    fd = vm.fileno()
    by_hand = rivals.check_extension
    by_ctypes = _ctypes_ioctl(ctypes.c_ulong)
    ffi = cffi.FFI()
    ffi.cdef("int ioctl(int fd, unsigned long request, unsigned long argument);")
    by_cffi = _function(ffi)

    def hand(calls: int) -> None:
        for _ in repeat(None, calls):
            by_hand(fd, CAPABILITY)

    def ours(calls: int) -> None:
        for _ in repeat(None, calls):
            vm.check_extension(CAPABILITY)

    def idiom(calls: int) -> None:
        for _ in repeat(None, calls):
            fcntl.ioctl(fd, CHECK_EXTENSION, CAPABILITY)

    def with_ctypes(calls: int) -> None:
        for _ in repeat(None, calls):
            if by_ctypes(fd, CHECK_EXTENSION, CAPABILITY) < 0:
                raise OSError(ctypes.get_errno(), "KVM_CHECK_EXTENSION")

    def with_cffi(calls: int) -> None:
        for _ in repeat(None, calls):
            if by_cffi(fd, CHECK_EXTENSION, CAPABILITY) < 0:
                raise OSError(ffi.errno, "KVM_CHECK_EXTENSION")

    return {
        FLOOR: lambda calls: rivals.floor_check_extension(fd, CAPABILITY, calls),
        BY_HAND: timed(hand),
        OURS: timed(ours),
        ABI: timed(with_cffi),
        CTYPES: timed(with_ctypes),
        FCNTL: timed(idiom),
    }


def from_threads(vm: Vm, rivals: ModuleType) -> dict[str, Loop]:
    """KVM_CHECK_EXTENSION, by those whose threads are compared."""
    fd = vm.fileno()
    by_hand = rivals.check_extension_held

    def held(calls: int) -> None:
        for _ in repeat(None, calls):
            by_hand(fd, CAPABILITY)

    loops = check_extension(vm, rivals)
    return {**{name: loops[name] for name in (FLOOR, OURS, BY_HAND)}, HELD: timed(held)}


class _Caps(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("size", "flags", "capabilities")]


def get_compat_caps(vm: Vm, rivals: ModuleType) -> dict[str, Loop]:
    """KVM_PPC_GET_COMPAT_CAPS (linux-7.3): a struct there and back, of which a mask is wanted."""
    fd = vm.fileno()
    by_hand = rivals.get_compat_caps
    by_ctypes = _ctypes_ioctl(ctypes.c_void_p)
    ffi = cffi.FFI()
    ffi.cdef(
        "struct caps { uint64_t size, flags, capabilities; };"
        "int ioctl(int fd, unsigned long request, struct caps *argument);"
    )
    by_cffi = _function(ffi)

    def hand(calls: int) -> None:
        for _ in repeat(None, calls):
            by_hand(fd)

    def ours(calls: int) -> None:
        for _ in repeat(None, calls):
            vm.get_compat_caps()

    def idiom(calls: int) -> None:
        for _ in repeat(None, calls):
            data = fcntl.ioctl(fd, GET_COMPAT_CAPS, struct.pack("=QQQ", 24, 0, 0))
            struct.unpack("=QQQ", data)[2]

    def with_ctypes(calls: int) -> None:
        for _ in repeat(None, calls):
            caps = _Caps(24, 0, 0)
            if by_ctypes(fd, GET_COMPAT_CAPS, ctypes.byref(caps)) < 0:
                raise OSError(ctypes.get_errno(), "KVM_PPC_GET_COMPAT_CAPS")
            caps.capabilities  # noqa: B018

    def with_cffi(calls: int) -> None:
        for _ in repeat(None, calls):
            caps: Any = ffi.new("struct caps *", (24, 0, 0))
            if by_cffi(fd, GET_COMPAT_CAPS, caps) < 0:
                raise OSError(ffi.errno, "KVM_PPC_GET_COMPAT_CAPS")
            caps.capabilities  # noqa: B018

    return {
        FLOOR: lambda calls: rivals.floor_get_compat_caps(fd, calls),
        BY_HAND: timed(hand),
        OURS: timed(ours),
        ABI: timed(with_cffi),
        CTYPES: timed(with_ctypes),
        FCNTL: timed(idiom),
    }
