"""Kvm and Vm: handles that own a file descriptor, with a method for each question.

This is the only module that loads the compiled one.
"""

from __future__ import annotations

import enum
import errno
import os

# The built-in half of warnings: needs no import at exit, when a forgotten handle may be found.
from _warnings import warn

from kvmppc._native import ffi as _native_ffi
from kvmppc._native import lib as _native_lib
from kvmppc.caps import CompatCaps, Revision
from kvmppc.errors import ApiVersionError, KvmError, ProtocolError, closed, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeVar

    from cffi import FFI

    from kvmppc._native import Lib

    _H = TypeVar("_H", bound="_Handle")

API_VERSION = 12
"""What KVM_GET_API_VERSION gives (Documentation/virt/kvm/api.rst, 4.1)."""


class Cap(enum.IntEnum):
    """Capabilities for ``check_extension``, by the kernel's names (linux/kvm.h)."""

    PPC_GET_PVINFO = 57
    PPC_NESTED_HV = 160
    PPC_COMPAT_CAPS_PATCH_V4 = 249
    PPC_COMPAT_CAPS = 250


class Kernel:
    """The kernel that is asked: a compiled shim, and what it wants before a device's path."""

    __slots__ = ("lib", "prefix")

    def __init__(self, lib: Lib, prefix: str) -> None:
        self.lib = lib
        self.prefix = prefix


def _text(pointer: FFI.CData) -> str | None:
    """A string of C's, None where there is none."""
    return os.fsdecode(_native_ffi.string(pointer)) if pointer else None


# The rows of the compiled module's table, by the number that it knows them by.
_REVISIONS = {
    number: Revision(_text(_native_lib.kvmppc_revision_name(number)) or "")
    for number in range(_native_lib.KVMPPC_REVISION_NONE + 1, _native_lib.KVMPPC_REVISIONS)
}
_NUMBERS = {revision: number for number, revision in _REVISIONS.items()}

# Answers seen before, by revision and the mask's upper bits, so that a loop looks a value up
# instead of making it. A host has one answer; the bound is for programs that see many (tests,
# simulations).
_answers: dict[Revision | None, dict[int, CompatCaps]] = {
    revision: {} for revision in (None, *_NUMBERS)
}
_ANSWERS_KEPT = 64
_PLAIN_SHIFT = _native_lib.KVMPPC_PLAIN_SHIFT

# Capabilities whose question a handle keeps, and how large the two numbers in it may be.
_ASKS_KEPT = 64
_PACKED_BITS = _native_lib.KVMPPC_PACKED_BITS
_PACKED_FD = 1 << (30 - _PACKED_BITS)

_kernel = Kernel(_native_lib, "")


def use_kernel(kernel: Kernel) -> Kernel:
    """Makes new Kvm handles ask another kernel, and gives back the one before; for kvmppc.testing.

    Process-wide, like os.chdir. Handles that are open go on asking the kernel they were opened on.
    """
    global _kernel
    before, _kernel = _kernel, kernel
    return before


class _Handle:
    """What Kvm and Vm have in common: a descriptor, and the capability question."""

    # _owned holds the descriptor if it is ours to close. A list, because pop() lets exactly one
    # of several threads have it, with and without a GIL. _asks has the questions asked before,
    # by capability, as the numbers that they are asked by: descriptor and capability in one.
    __slots__ = ("__weakref__", "_asks", "_check", "_fd", "_lib", "_owned")

    def __init__(self, lib: Lib, fd: int, own: bool) -> None:
        self._owned = [fd] if own else []
        self._fd = fd
        self._lib = lib
        self._check = lib.kvmppc_check_packed
        self._asks: dict[int, int] = {}

    def fileno(self) -> int:
        """The descriptor's number, still owned by the handle. Raises ClosedError if closed."""
        if self._fd < 0:
            raise closed("fileno", type(self).__name__)
        return self._fd

    @property
    def closed(self) -> bool:
        """Whether close() has been called."""
        return self._fd < 0

    def close(self) -> None:
        """Gives the descriptor back; a borrowed one is only forgotten. May be called again."""
        # In this order: see _check_in_full.
        self._fd = -1
        self._asks = {}
        try:
            fd = self._owned.pop()
        except IndexError:
            return
        os.close(fd)

    def check_extension(self, capability: int) -> int:
        """Asks for one capability (KVM_CHECK_EXTENSION; api.rst, 4.4).

        Takes a :class:`Cap` or a number from ``linux/kvm.h``, 0 to 2**32 - 1. Returns
        the kernel's number: 0 where it does not have the capability. /dev/kvm and a
        VM may answer differently.

        Raises:
            KvmError: the kernel refused: EBADF, or EIO on a VM of another process.
            ClosedError: the handle is closed.
            ValueError: the number does not fit.
        """
        # A variable, because CPython 3.11 calls one faster than an attribute with slots.
        check = self._check
        try:
            result = check(self._asks[capability])
            if result >= 0:
                return result
        except KeyError:
            pass
        return self._check_in_full(capability)

    def _check_in_full(self, capability: int) -> int:
        """The first question for each capability, one that was refused, and one when closed.

        Asks, raises what there is to raise, and keeps the question. Takes the dict before the
        descriptor, since close() replaces them the other way round: a question with a
        descriptor that is about to be closed goes into a dict that nobody looks at any more.
        """
        asks = self._asks
        fd = self._fd
        try:
            result = self._lib.kvmppc_check_extension(fd, capability)
        except OverflowError:
            raise ValueError(
                f"not a capability, a number from 0 to 2**32 - 1: {capability}"
            ) from None
        if result < 0:
            raise self._refusal(-result, "KVM_CHECK_EXTENSION")
        fits = isinstance(capability, int) and capability >> _PACKED_BITS == 0 and fd < _PACKED_FD
        if fits and len(asks) < _ASKS_KEPT:
            asks[capability] = fd << _PACKED_BITS | capability
        return result

    def get_revision(self) -> Revision | None:
        """Tells which revision of KVM_PPC_GET_COMPAT_CAPS is spoken here, None for none of them.

        Decided by the capabilities (250, then on powerpc 249), never by a trial.
        Raises as :meth:`check_extension` does.
        """
        number = self._lib.kvmppc_get_revision(self._fd)
        if number < 0:
            raise self._refusal(-number, "KVM_CHECK_EXTENSION")
        return _REVISIONS.get(number)

    def _refusal(self, number: int, operation: str) -> KvmError:
        # A closed handle's descriptor is -1, which the kernel refuses by itself: the
        # question costs nothing while the handle is open.
        if self._fd < 0:
            return closed(operation, type(self).__name__)
        return refusal(number, operation)

    def __enter__(self: _H) -> _H:
        if self._fd < 0:
            raise closed("enter", type(self).__name__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_owned", None):
            warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            self.close()

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"a {type(self).__name__} owns a descriptor and cannot be pickled")

    def __repr__(self) -> str:
        state = "closed" if self._fd < 0 else f"fd={self._fd}"
        return f"<kvmppc.{type(self).__name__} {state}>"


class Kvm(_Handle):
    """KVM itself: /dev/kvm, opened for reading and writing, close-on-exec.

    Synchronization: may be used from many threads at once; no call takes a lock or
    shares memory with another. Do not close it while another thread is asking.
    After fork() the child may go on using it.

    Raises:
        DeviceNotFoundError: no such device (ENOENT).
        NoModuleError: a device file with no module behind it (ENODEV, ENXIO).
        DevicePermissionError: not for this user or container (EACCES, EPERM).
        NotKvmDeviceError: something else than KVM's device.
        ApiVersionError: not version 12 of KVM's API.
        KvmError: any other error of open, with its errno.
        ValueError: the path has a null character.
    """

    __slots__ = ()

    def __init__(self, device: str | os.PathLike[str] = "/dev/kvm") -> None:
        kernel = _kernel
        path = os.fspath(device)
        fd = _open(kernel, path)
        super().__init__(kernel.lib, fd, own=True)
        try:
            self._check_api_version()
        except KvmError as error:
            error.filename = path
            self.close()
            raise

    @classmethod
    def from_fd(cls, fd: int, *, own: bool) -> Kvm:
        """Takes a descriptor of /dev/kvm that is open already.

        ``own`` says whose it is: True and the handle will close it, False and it is
        borrowed, and must stay open as long as the handle is used. Raises
        NotKvmDeviceError, ApiVersionError or KvmError; then the descriptor is left open.
        """
        kvm = cls.__new__(cls)
        _Handle.__init__(kvm, _kernel.lib, fd, own=False)
        kvm._check_api_version()
        kvm._owned = [fd] if own else []
        return kvm

    def get_api_version(self) -> int:
        """Asks for the version of KVM's API (KVM_GET_API_VERSION; api.rst, 4.1): always 12."""
        version = self._lib.kvmppc_get_api_version(self._fd)
        if version < 0:
            raise self._refusal(-version, "KVM_GET_API_VERSION")
        return version

    def _check_api_version(self) -> None:
        version = self.get_api_version()
        if version != API_VERSION:
            raise ApiVersionError(version)

    def create_vm(self) -> Vm:
        """Makes an empty VM to ask (KVM_CREATE_VM; api.rst, 4.2), close-on-exec.

        Under nested API v2 this calls the hypervisor: keep one VM for many questions.
        An interrupted call is tried again after the signal's handler has run.

        Raises:
            VmCreationError: EINVAL, ENOMEM, EPERM, EBUSY or whatever else the kernel gives.
            ClosedError: the handle is closed.
        """
        while True:
            fd = self._lib.kvmppc_create_vm(self._fd)
            if fd >= 0:
                return Vm._made(self._lib, fd)
            if fd != -errno.EINTR:
                raise self._refusal(-fd, "KVM_CREATE_VM")


class Vm(_Handle):
    """A VM, made by :meth:`Kvm.create_vm`; goes on working when its Kvm is closed.

    Synchronization: as for :class:`Kvm`, but after fork() a child cannot use its
    parent's VM (EIO): a VM belongs to the memory it was made in.
    """

    __slots__ = ("_answers", "_ask", "_question", "_revision")

    def __init__(self) -> None:
        raise TypeError("a Vm is made by Kvm.create_vm() or Vm.from_fd()")

    @classmethod
    def _made(cls, lib: Lib, fd: int) -> Vm:
        vm = cls.__new__(cls)
        _Handle.__init__(vm, lib, fd, own=True)
        try:
            vm._decide_revision()
        except BaseException:
            vm.close()
            raise
        return vm

    @classmethod
    def from_fd(cls, fd: int, *, own: bool) -> Vm:
        """Takes a VM's descriptor that is open already, as one passed by another program.

        ``own`` says whose it is: True and the handle will close it, False and it is
        borrowed. Raises KvmError (ENOTTY: no KVM descriptor; EIO: a VM of another
        process); then the descriptor is left open.
        """
        vm = cls.__new__(cls)
        _Handle.__init__(vm, _kernel.lib, fd, own=False)
        vm._decide_revision()
        vm._owned = [fd] if own else []
        return vm

    def _decide_revision(self) -> None:
        # Asked of the VM, not of /dev/kvm: where both backends are loaded they may differ.
        self._revision = self.get_revision()
        self._answers = _answers[self._revision]
        self._ask = self._lib.kvmppc_get_packed
        # Where there is nobody to ask, or no room, the number of none: -1, which is refused.
        packed = self._revision is not None and self._fd < _PACKED_FD
        number = _NUMBERS[self._revision] if self._revision is not None else 0
        self._question = self._fd << _PACKED_BITS | number if packed else -1

    def close(self) -> None:
        self._question = -1
        super().close()

    @property
    def revision(self) -> Revision | None:
        """The revision of the interface that this VM's kernel speaks, None for none of them."""
        return self._revision

    def get_compat_caps(self) -> CompatCaps:
        """Asks which processor modes nested guests can be given (KVM_PPC_GET_COMPAT_CAPS).

        Sends a struct of 24 bytes with no flags (KVM_PPC_COMPAT_CAPS_SIZE_VER0).

        Raises:
            UnsupportedError: ENOTTY; the VM's backend, or the kernel, cannot tell.
            InvalidError: EINVAL; the backend could not get or map the capabilities.
            TooBigError: E2BIG; the kernel wants a struct that cannot be offered.
            ProtocolError: success, with a size that does not cover the answer.
            KvmError: EFAULT, EIO (a VM of another process), EBADF.
            ClosedError: the handle is closed.
        """
        number = self._ask(self._question)
        try:
            return self._answers[number]
        except KeyError:
            pass
        if number < 0 or self._revision is None:
            return self._get_in_full()
        caps = CompatCaps(number << _PLAIN_SHIFT, revision=self._revision)
        if len(self._answers) < _ANSWERS_KEPT:
            self._answers[number] = caps
        return caps

    def _get_in_full(self) -> CompatCaps:
        """Asks for an answer that is more than a plain mask."""
        operation = "KVM_PPC_GET_COMPAT_CAPS"
        if self._revision is None or self._fd < 0:
            raise self._refusal(errno.ENOTTY, operation)
        answer = self._lib.kvmppc_get_compat_caps(self._fd, _NUMBERS[self._revision])
        if answer.error:
            raise self._refusal(-answer.error, operation)
        if not answer.valid:
            raise ProtocolError(
                errno.EPROTO,
                operation,
                f"The kernel filled in {answer.size} bytes, which do not reach the capabilities.",
                "Report this kernel to its maker: its answer is cut off.",
            )
        return CompatCaps(
            answer.compat_capabilities,
            flags=answer.flags,
            size=answer.size,
            revision=self._revision,
        )


def revision_number(revision: Revision) -> int:
    """The number by which the compiled module knows a revision."""
    return _NUMBERS[revision]


def capability_of(revision: Revision | None) -> int:
    """The capability that tells a revision; for None, the one that every kernel from 7.3 on has."""
    lib = _native_lib
    number = lib.KVMPPC_REVISION_LINUX_7_3 if revision is None else _NUMBERS[revision]
    return lib.kvmppc_revision_capability(number)


def read_processor() -> tuple[str | None, str | None, int | None]:
    """What the kernel tells this program of the processor, without a file.

    The mode it runs in and the processor itself, by the kernel's names ("power10",
    "power11": AT_PLATFORM and AT_BASE_PLATFORM, getauxval(3)), and the processor
    version register (PVR) as it is at this moment, 32 bits, also after a live
    migration of the partition. None for each on other architectures.
    """
    lib = _native_lib
    platform, base = _text(lib.kvmppc_platform()), _text(lib.kvmppc_base_platform())
    return platform, base, lib.kvmppc_pvr() or None


def compiled(handle: Kvm | Vm) -> Lib:
    """The compiled module that a handle asks through, for kvmppc.measure."""
    return handle._lib


def header_definitions() -> tuple[tuple[str, str], ...]:
    """What the linux/kvm.h of the build said of the interface's names.

    Each is "own" (the header has it), "fallback" (it has not) or "differs" (it has another
    value); what goes over the wire is the same in all three cases.
    """
    lib = _native_lib
    said = {lib.KVMPPC_FALLBACK: "fallback", lib.KVMPPC_HEADER: "own", lib.KVMPPC_OTHER: "differs"}
    return (
        ("capability", said[lib.KVMPPC_FROM_CAP]),
        ("request", said[lib.KVMPPC_FROM_REQUEST]),
        ("struct", said[lib.KVMPPC_FROM_STRUCT]),
        ("bits", said[lib.KVMPPC_FROM_BITS]),
    )


def _open(kernel: Kernel, path: str) -> int:
    """Opens a device, as often as a signal interrupts it."""
    name = os.fsencode(kernel.prefix + path)
    if b"\0" in name:
        raise ValueError(f"a path cannot have a null character: {path!r}")
    while True:
        fd = kernel.lib.kvmppc_open(name)
        if fd >= 0:
            return fd
        if fd != -errno.EINTR:
            raise refusal(-fd, "open", path)
