"""Work in a child process that is confined first: some system calls, or executable memory files."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import traceback
from typing import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_CLONE_NEWPID = 0x20000000
_NOEXEC = "/proc/sys/vm/memfd_noexec"

# Numbers of process_vm_readv and process_vm_writev (asm/unistd.h).
_COPYING = {
    "x86_64": (310, 311),
    "aarch64": (270, 271),
    "ppc64le": (351, 352),
    "ppc64": (351, 352),
}


class RefusedError(Exception):
    """This machine does not let a child be confined so."""


def in_child(work: Callable[[], None]) -> None:
    """Does the work in a child; what fails there fails here.

    Raises RefusedError if the child did.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except RefusedError:
            code = 2
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 2:
        raise RefusedError
    assert code == 0


def forbid_copying(number: int) -> None:
    """Lets process_vm_readv and process_vm_writev fail with this errno, for this process."""
    calls = _COPYING.get(platform.machine())
    if calls is None:
        raise RefusedError
    load, equal, answer = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    allow, refuse = 0x7FFF0000, 0x00050000 | number
    steps = (
        (load, 0, 0, 0),
        (equal, 1, 0, calls[0]),
        (equal, 0, 1, calls[1]),
        (answer, 0, 0, refuse),
        (answer, 0, 0, allow),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    if (
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        or _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, program, 0, 0) != 0
    ):
        raise RefusedError
    assert _libc.process_vm_readv(os.getpid(), None, 0, None, 0, 0) == -1
    assert ctypes.get_errno() == number


def with_noexec(value: int, work: Callable[[], None]) -> None:
    """Does the work in a PID namespace whose sysctl vm.memfd_noexec has this value."""
    if _libc.unshare(_CLONE_NEWPID) != 0:
        raise RefusedError

    def inside() -> None:
        try:
            with open(_NOEXEC, "w") as file:
                file.write(str(value))
        except OSError as error:
            raise RefusedError from error
        work()

    in_child(inside)
