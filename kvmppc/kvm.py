"""Kvm and Vm: handles that own a file descriptor, with a method for each question.

This is the only module that loads the compiled one.
"""

from __future__ import annotations

import errno
import os

# The built-in half of warnings: needs no import at exit, when a forgotten handle may be found.
from _warnings import warn

# The built-in half of weakref.
from _weakref import ref

from kvmppc._fast import ffi as _ffi
from kvmppc._fast import lib as _lib
from kvmppc.caps import API_VERSION, CompatCaps, Revision
from kvmppc.errors import ApiVersionError, KvmError, ProtocolError, closed, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import TypeVar

    from kvmppc._fast import Lib
    from kvmppc._native import Ffi, HandleData, HandleType, Question, Text

    # A capability, the function that asks for it, and the question.
    Kept = tuple[object, Callable[[Question], int], Question]

    _H = TypeVar("_H", bound="_Handle")
    _T = TypeVar("_T")


class Cap:
    """Capabilities for ``check_extension``, by the kernel's names (linux/kvm.h)."""

    PPC_GET_PVINFO = 57
    PPC_NESTED_HV = 160
    PPC_COMPAT_CAPS_PATCH_V4 = 249
    PPC_COMPAT_CAPS = 250


class Kernel:
    """The kernel that is asked: a compiled shim, and what it wants before a device's path."""

    # What each handle begins with is found once, here.
    __slots__ = ("data", "ffi", "kept", "lib", "prefix")

    def __init__(self, ffi: Ffi, lib: Lib, prefix: str) -> None:
        self.ffi: Ffi = ffi
        self.lib: Lib = lib
        self.prefix: str = prefix
        self.data: HandleType = ffi.typeof("struct kvmppc_handle *")
        self.kept: Kept = (_NO_CAPABILITY, lib.kvmppc_fast_check_extension, _NO_QUESTION)


def _text(pointer: Text) -> str | None:
    """A string of C's, None where there is none."""
    return os.fsdecode(_ffi.string(pointer)) if pointer else None


# The rows of the compiled module's table, by the number that it knows them by.
_REVISIONS = {
    number: Revision(_text(_lib.kvmppc_revision_name(number)) or "")
    for number in range(_lib.KVMPPC_REVISION_NONE + 1, _lib.KVMPPC_REVISIONS)
}
_NUMBERS = {revision: number for number, revision in _REVISIONS.items()}

# Answers seen before, by revision and the mask's upper bits, so that a loop looks a value up
# instead of making it. A host has one answer; the bound is for programs that see many (tests,
# simulations).
_answers: dict[Revision | None, dict[int, CompatCaps]] = {
    revision: {} for revision in (None, *_NUMBERS)
}
_ANSWERS_KEPT = 64
_PLAIN_SHIFT = _lib.KVMPPC_PLAIN_SHIFT

# How often an interrupted call is tried: more than any handler of signals needs, and not for ever.
_TRIES = 1000

# What no caller has, and what is asked of it: nothing.
_NO_CAPABILITY = object()
_NO_QUESTION = _ffi.new("struct kvmppc_question *")

_kernel = Kernel(_ffi, _lib, "")

# All handles that there are, for a child after fork().
_handles: set[ref[_Handle]] = set()


def _forget_other_threads() -> None:
    """In a child, ends the calls that other threads of its parent were in: they are not in it."""
    for reference in tuple(_handles):
        handle = reference()
        if handle is not None:
            handle._kernel.lib.kvmppc_handle_forked(handle._data)


os.register_at_fork(after_in_child=_forget_other_threads)


def use_kernel(kernel: Kernel) -> Kernel:
    """Makes new Kvm handles ask another kernel, and gives back the one before; for kvmppc.testing.

    Process-wide, like os.chdir. Handles that are open go on asking the kernel they were opened on.
    """
    global _kernel
    before, _kernel = _kernel, kernel
    return before


class _Handle:
    """What Kvm and Vm have in common: a descriptor, and the capability question."""

    # The descriptor is in _data, a struct of C's (csrc/handle.h), which closes it at the latest
    # when it goes itself: so a signal's handler may raise anywhere. _kept is for loops: the
    # capability asked last, the function for it and its question. One tuple, so that threads
    # cannot mix two of them up, and known by identity, which no float or Decimal passes.
    __slots__ = ("__weakref__", "_data", "_kept", "_kernel")

    _data: HandleData
    _kept: Kept

    def __init__(self, kernel: Kernel, fd: int = -1) -> None:
        ffi = kernel.ffi
        self._data = ffi.gc(ffi.new(kernel.data, (fd, -1)), kernel.lib.kvmppc_handle_close)
        self._kernel = kernel
        self._kept = kernel.kept
        _handles.add(ref(self, _handles.discard))

    def fileno(self) -> int:
        """The descriptor's number, still owned by the handle. Raises ClosedError if closed."""
        fd = self._data.fd
        if fd < 0:
            raise closed("fileno", type(self).__name__)
        return fd

    @property
    def closed(self) -> bool:
        """Whether close() has been called."""
        return self._data.fd < 0

    def close(self) -> None:
        """Gives the descriptor back; a borrowed one is only forgotten. May be called again.

        A question that another thread is asking at this moment is answered; the descriptor is
        closed after it.
        """
        # Here, with the GIL held: no question of kvmppc._fast is under way, and none begins.
        self._data.fd = -1
        self._kernel.lib.kvmppc_handle_close(self._data)

    def check_extension(self, capability: int) -> int:
        """Asks for one capability (KVM_CHECK_EXTENSION; api.rst, 4.4).

        Takes one of :class:`Cap` or another number from ``linux/kvm.h``, 0 to 2**32 - 1.
        Returns the kernel's number: 0 where it does not have the capability. /dev/kvm
        and a VM may answer differently.

        Raises:
            KvmError: the kernel refused: EBADF, or EIO on a VM of another process.
            ClosedError: the handle is closed.
            ValueError: the number does not fit.
            TypeError: it is not an int.
        """
        kept, ask, question = self._kept
        if kept is capability:
            result = ask(question)
            if result >= 0:
                return result
        return self._check_in_full(capability)

    def _check_in_full(self, capability: int) -> int:
        """Another capability than the last one, a question that was refused, and one when closed.

        Asks, raises what there is to raise, and keeps the question.
        """
        if not isinstance(capability, int):
            raise TypeError(f"a capability is an int, not {type(capability).__name__}")
        if not 0 <= capability < 1 << 32:
            raise ValueError(f"not a capability, a number from 0 to 2**32 - 1: {capability}")
        result = self._kernel.lib.kvmppc_handle_check_extension(self._data, capability)
        if result < 0:
            raise self._refusal(-result, "KVM_CHECK_EXTENSION")
        question = self._kernel.ffi.new("struct kvmppc_question *", (self._data, capability))
        self._kept = (capability, self._kept[1], question)
        return result

    def get_revision(self) -> Revision | None:
        """Tells which revision of KVM_PPC_GET_COMPAT_CAPS is spoken here, None for none of them.

        Decided by the capabilities (250, then on powerpc 249), never by a trial.
        Raises as :meth:`check_extension` does.
        """
        number = self._kernel.lib.kvmppc_handle_get_revision(self._data)
        if number < 0:
            raise self._refusal(-number, "KVM_CHECK_EXTENSION")
        return _REVISIONS.get(number)

    def _make(self, call: Callable[[HandleData, _T], int], argument: _T) -> int:
        """Calls what an interrupt ends early until it does not; 0, or a negative errno."""
        error = -errno.EINTR
        for _ in range(_TRIES):
            error = call(self._data, argument)
            if error != -errno.EINTR:
                break
        return error

    def _refusal(self, number: int, operation: str) -> KvmError:
        # A closed handle's descriptor is -1, which the kernel refuses by itself: the
        # question costs nothing while the handle is open.
        if self._data.fd < 0:
            return closed(operation, type(self).__name__)
        return refusal(number, operation)

    def __enter__(self: _H) -> _H:
        if self._data.fd < 0:
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
        data = getattr(self, "_data", None)
        if data is not None and data.fd >= 0 and data.owned >= 0:
            try:
                warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            finally:
                self.close()

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"a {type(self).__name__} owns a descriptor and cannot be pickled")

    def __repr__(self) -> str:
        fd = self._data.fd
        state = "closed" if fd < 0 else f"fd={fd}"
        return f"<kvmppc.{type(self).__name__} {state}>"


class Kvm(_Handle):
    """KVM itself: /dev/kvm, opened for reading and writing, close-on-exec.

    Synchronization: may be used and closed from many threads at once; no call waits for
    another. A question is asked of this handle's own descriptor or fails with ClosedError,
    also when its number has been given to another file since. After fork() the child may go
    on using it.

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
        if hasattr(self, "_data"):
            raise TypeError("this Kvm has been opened already; open another one")
        kernel = _kernel
        path = os.fspath(device)
        name = os.fsencode(kernel.prefix + path)
        if b"\0" in name:
            raise ValueError(f"a path cannot have a null character: {path!r}")
        _Handle.__init__(self, kernel)
        try:
            error = kernel.lib.kvmppc_handle_open(self._data, name)
            if error == -errno.EINTR:
                error = self._make(kernel.lib.kvmppc_handle_open, name)
            if error:
                raise refusal(-error, "open", path)
            self._check_api_version()
        except BaseException as error:
            if isinstance(error, KvmError):
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
        _Handle.__init__(kvm, _kernel, fd)
        kvm._check_api_version()
        kvm._data.owned = fd if own else -1
        return kvm

    def get_api_version(self) -> int:
        """Asks for the version of KVM's API (KVM_GET_API_VERSION; api.rst, 4.1): always 12."""
        version = self._kernel.lib.kvmppc_handle_get_api_version(self._data)
        if version < 0:
            raise self._refusal(-version, "KVM_GET_API_VERSION")
        return version

    def _check_api_version(self) -> None:
        version = self._kernel.lib.kvmppc_handle_get_api_version(self._data)
        if version < 0:
            raise self._refusal(-version, "KVM_GET_API_VERSION")
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
        vm = Vm.__new__(Vm)
        _Handle.__init__(vm, self._kernel)
        try:
            error = self._make(self._kernel.lib.kvmppc_handle_create_vm, vm._data)
            if error:
                raise self._refusal(-error, "KVM_CREATE_VM")
            vm._decide_revision()
        except BaseException:
            vm.close()
            raise
        return vm


class Vm(_Handle):
    """A VM, made by :meth:`Kvm.create_vm`; goes on working when its Kvm is closed.

    Synchronization: as for :class:`Kvm`, but after fork() a child cannot use its
    parent's VM (EIO): a VM belongs to the memory it was made in.
    """

    __slots__ = ("_loop", "_revision")

    def __init__(self) -> None:
        raise TypeError("a Vm is made by Kvm.create_vm() or Vm.from_fd()")

    @classmethod
    def from_fd(cls, fd: int, *, own: bool) -> Vm:
        """Takes a VM's descriptor that is open already, as one passed by another program.

        ``own`` says whose it is: True and the handle will close it, False and it is
        borrowed. Raises KvmError (ENOTTY: no KVM descriptor; EIO: a VM of another
        process); then the descriptor is left open.
        """
        vm = cls.__new__(cls)
        _Handle.__init__(vm, _kernel, fd)
        vm._decide_revision()
        vm._data.owned = fd if own else -1
        return vm

    def _decide_revision(self) -> None:
        # Asked of the VM, not of /dev/kvm: where both backends are loaded they may differ.
        self._revision = self.get_revision()
        if self._revision is not None:
            self._data.revision = _NUMBERS[self._revision]
        # What get_compat_caps needs, in one place, as _kept is for check_extension.
        ask = self._kernel.lib.kvmppc_fast_get_compat_caps
        self._loop = (ask, self._data, _answers[self._revision])

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
        ask, data, answers = self._loop
        number = ask(data)
        try:
            return answers[number]
        except KeyError:
            pass
        if number < 0 or self._revision is None:
            return self._get_in_full()
        caps = CompatCaps(number << _PLAIN_SHIFT, revision=self._revision)
        if len(answers) < _ANSWERS_KEPT:
            answers[number] = caps
        return caps

    def _get_in_full(self) -> CompatCaps:
        """Asks for an answer that is more than a plain mask."""
        operation = "KVM_PPC_GET_COMPAT_CAPS"
        answer = self._kernel.lib.kvmppc_handle_get_compat_caps(self._data)
        if answer.error or self._revision is None:
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
    lib = _lib
    number = lib.KVMPPC_REVISION_LINUX_7_3 if revision is None else _NUMBERS[revision]
    return lib.kvmppc_revision_capability(number)


def read_processor() -> tuple[str | None, str | None, int | None]:
    """What the kernel tells this program of the processor, without a file.

    The mode it runs in and the processor itself, by the kernel's names ("power10",
    "power11": AT_PLATFORM and AT_BASE_PLATFORM, getauxval(3)), and the processor
    version register (PVR) as it is at this moment, 32 bits, also after a live
    migration of the partition. None for each on other architectures.
    """
    lib = _lib
    platform, base = _text(lib.kvmppc_platform()), _text(lib.kvmppc_base_platform())
    return platform, base, lib.kvmppc_pvr() or None


def compiled(handle: Kvm | Vm) -> Lib:
    """The compiled module that a handle asks through, for kvmppc.measure."""
    return handle._kernel.lib


def header_definitions() -> tuple[tuple[str, str], ...]:
    """What the linux/kvm.h of the build said of the interface's names.

    Each is "own" (the header has it), "fallback" (it has not) or "differs" (it has another
    value); what goes over the wire is the same in all three cases.
    """
    lib = _lib
    said = {lib.KVMPPC_FALLBACK: "fallback", lib.KVMPPC_HEADER: "own", lib.KVMPPC_OTHER: "differs"}
    return (
        ("capability", said[lib.KVMPPC_FROM_CAP]),
        ("request", said[lib.KVMPPC_FROM_REQUEST]),
        ("struct", said[lib.KVMPPC_FROM_STRUCT]),
        ("bits", said[lib.KVMPPC_FROM_BITS]),
    )
