"""Kvm and Vm: handles that own a file descriptor, with a method for each ioctl.

Only this module loads the compiled modules, and kvmppc.testing the simulated kernel.
"""

from __future__ import annotations

import errno
import os

# The built-in half of warnings: it needs no import at exit, when an unclosed handle may be found.
from _warnings import warn

# The built-in half of weakref.
from _weakref import ref

from kvmppc._fast import ffi as _ffi
from kvmppc._fast import lib as _lib
from kvmppc.caps import API_VERSION, CompatCaps, Revision
from kvmppc.errors import ApiVersionError, KvmError, ProtocolError, closed, not_a_vm, refusal

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
    _K = TypeVar("_K", bound="Kvm")
    _V = TypeVar("_V", bound="Vm")
    _T = TypeVar("_T")


class Cap:
    """Capabilities for ``check_extension``, by the kernel's names (linux/kvm.h)."""

    PPC_GET_PVINFO = 57
    PPC_NESTED_HV = 160
    PPC_COMPAT_CAPS_PATCH_V4 = 249
    PPC_COMPAT_CAPS = 250


class Kernel:
    """The kernel that is asked: a compiled shim, and the prefix of its devices' paths."""

    # The initial values of each handle are looked up once, here.
    __slots__ = ("data", "ffi", "kept", "lib", "prefix")

    def __init__(self, ffi: Ffi, lib: Lib, prefix: str) -> None:
        self.ffi: Ffi = ffi
        self.lib: Lib = lib
        self.prefix: str = prefix
        self.data: HandleType = ffi.typeof("struct kvmppc_handle *")
        self.kept: Kept = (_NO_CAPABILITY, lib.kvmppc_fast_check_extension, _NO_QUESTION)


def _text(pointer: Text) -> str | None:
    """A C string as str; None for NULL."""
    return os.fsdecode(_ffi.string(pointer)) if pointer else None


# The revisions in the compiled module's table, by their number there.
_REVISIONS = {
    number: Revision(_text(_lib.kvmppc_revision_name(number)) or "")
    for number in range(_lib.KVMPPC_REVISION_NONE + 1, _lib.KVMPPC_REVISIONS)
}
_NO_REVISION = _lib.KVMPPC_REVISION_NONE
_NUMBERS = {revision: number for number, revision in _REVISIONS.items()}

# Earlier answers, by revision and the upper bits of the mask: a loop looks a value up instead of
# creating it. A host has one answer; the limit is for programs that see many (tests, simulations).
_answers: dict[Revision | None, dict[int, CompatCaps]] = {
    revision: {} for revision in (None, *_NUMBERS)
}
_ANSWERS_KEPT = 64
_PLAIN_SHIFT = _lib.KVMPPC_PLAIN_SHIFT

# How often an interrupted call is repeated: more often than any signal handler needs.
_TRIES = 1000

# For a handle that was not asked yet: an object that no caller has, and an empty question.
_NO_CAPABILITY = object()
_NO_QUESTION = _ffi.new("struct kvmppc_question *")

_kernel = Kernel(_ffi, _lib, "")

# All handles, for the child after fork().
_handles: set[ref[_Handle]] = set()


def _forget_other_threads() -> None:
    """Ends, in a child, the calls of its parent's other threads, which do not exist in it."""
    # copy() and not tuple(): that can collect a handle, and so change the set, as it reads the set.
    for reference in _handles.copy():
        handle = reference()
        if handle is not None:
            handle._kernel.lib.kvmppc_handle_forked(handle._data)


os.register_at_fork(after_in_child=_forget_other_threads)


def use_kernel(kernel: Kernel) -> Kernel:
    """Sets the kernel that new Kvm handles ask, and returns the previous one; for kvmppc.testing.

    This is process-wide, like os.chdir. Open handles keep the kernel on which they were opened.
    """
    global _kernel
    before, _kernel = _kernel, kernel
    return before


class _Handle:
    """What Kvm and Vm have in common: a descriptor, and KVM_CHECK_EXTENSION."""

    # The descriptor is in _data, a C struct (csrc/handle.h), which closes it when it is freed at
    # the latest: so a signal handler may raise anywhere. _kept is for loops: the last capability,
    # the function that asks for it, and its question. It is one tuple, so that threads cannot mix
    # two of them. The capability is compared by identity, so no float or Decimal matches.
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
        """Returns the descriptor's number. The handle still owns it.

        Raises:
            ClosedError: the handle is closed.
        """
        fd = self._data.fd
        if fd < 0:
            raise closed("fileno", type(self).__name__)
        return fd

    @property
    def closed(self) -> bool:
        """Whether close() has been called."""
        return self._data.fd < 0

    def close(self) -> None:
        """Closes the descriptor, unless it is borrowed. May be called again.

        If another thread is in a call on this handle, the end of that call closes it.
        """
        # This thread holds the GIL: no call of kvmppc._fast is in progress, and none begins.
        self._data.fd = -1
        self._kernel.lib.kvmppc_handle_close(self._data)

    def check_extension(self, capability: int) -> int:
        """Queries a capability (KVM_CHECK_EXTENSION; api.rst, 4.4).

        The capability is one of :class:`Cap` or another number from ``linux/kvm.h``, 0 to
        2**32 - 1. Returns the kernel's answer, 0 if it does not have the capability. The
        answers of /dev/kvm and of a VM can differ.

        Raises:
            KvmError: the kernel refused: EBADF, or EIO on a VM of another process.
            ClosedError: the handle is closed.
            ValueError: the number is out of range.
            TypeError: the capability is not an int.
        """
        kept, ask, question = self._kept
        if kept is capability:
            result = ask(question)
            if result >= 0:
                return result
        return self._check_in_full(capability)

    def _check_in_full(self, capability: int) -> int:
        """Queries a capability with all checks, raises its errors, and keeps the question.

        For another capability than the last one, after a refusal, and on a closed handle.
        """
        if not isinstance(capability, int):
            raise TypeError(f"a capability must be an int, not {type(capability).__name__}")
        if not 0 <= capability < 1 << 32:
            raise ValueError(f"a capability must be from 0 to 2**32 - 1, not {capability}")
        result = self._kernel.lib.kvmppc_handle_check_extension(self._data, capability)
        if result < 0:
            raise self._refusal(-result, "KVM_CHECK_EXTENSION")
        question = self._kernel.ffi.new("struct kvmppc_question *", (self._data, capability))
        self._kept = (capability, self._kept[1], question)
        return result

    def get_revision(self) -> Revision | None:
        """Returns the kernel's revision of KVM_PPC_GET_COMPAT_CAPS; None if it has none.

        The capabilities decide (250, then 249 on powerpc); the ioctl itself is not tried.

        Raises:
            KvmError: as for :meth:`check_extension`.
        """
        number = self._kernel.lib.kvmppc_handle_get_revision(self._data)
        if number < 0:
            raise self._refusal(-number, "KVM_CHECK_EXTENSION")
        return _REVISIONS.get(number)

    def _make(self, call: Callable[[HandleData, _T], int], argument: _T) -> int:
        """Repeats a call while it is interrupted. Returns 0 or a negative errno."""
        error = -errno.EINTR
        for _ in range(_TRIES):
            error = call(self._data, argument)
            if error != -errno.EINTR:
                break
        return error

    def _refusal(self, number: int, operation: str) -> KvmError:
        # The kernel itself refuses the descriptor of a closed handle, -1. So the check takes no
        # time while the handle is open.
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

    Synchronization: several threads may use and close a handle at the same time; no call
    waits for another. A call uses this handle's own descriptor or fails with ClosedError,
    even if another file has got the descriptor's number since. After fork() the child may
    use the handle too.

    Raises:
        DeviceNotFoundError: the device does not exist (ENOENT).
        NoModuleError: the device file has no module behind it (ENODEV, ENXIO).
        DevicePermissionError: this user or container may not open it (EACCES, EPERM).
        NotKvmDeviceError: the file does not support KVM_GET_API_VERSION (ENOTTY, EINVAL).
        ApiVersionError: the version of KVM's API is not 12.
        KvmError: any other error of open or KVM_GET_API_VERSION, with its errno.
        ValueError: the path has a null character, or one that cannot be encoded.
    """

    __slots__ = ()

    def __init__(self, device: str | os.PathLike[str] = "/dev/kvm") -> None:
        if hasattr(self, "_data"):
            raise TypeError("this Kvm is open already; create another one")
        kernel = _kernel
        path = os.fspath(device)
        name = _encoded(kernel, path)
        _Handle.__init__(self, kernel)
        try:
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
    def from_fd(cls: type[_K], fd: int, *, own: bool) -> _K:
        """Creates a handle from an open descriptor of /dev/kvm.

        With ``own=True`` the handle closes the descriptor. With ``own=False`` it borrows
        it; the descriptor must stay open while the handle is used.

        Raises:
            NotKvmDeviceError, ApiVersionError, KvmError: as for :class:`Kvm`; the
                descriptor stays open.
        """
        kvm = cls.__new__(cls)
        _Handle.__init__(kvm, _kernel, fd)
        kvm._check_api_version()
        kvm._data.owned = fd if own else -1
        return kvm

    def get_api_version(self) -> int:
        """Returns the version of KVM's API (KVM_GET_API_VERSION; api.rst, 4.1): always 12.

        Raises:
            KvmError: the kernel refused, or the handle is closed.
        """
        version = self._kernel.lib.kvmppc_handle_get_api_version(self._data)
        if version < 0:
            raise self._refusal(-version, "KVM_GET_API_VERSION")
        return version

    def _check_api_version(self) -> None:
        version = self.get_api_version()
        if version != API_VERSION:
            raise ApiVersionError(version)

    def create_vm(self) -> Vm:
        """Creates an empty VM (KVM_CREATE_VM; api.rst, 4.2), close-on-exec.

        Under nested API v2 this calls the hypervisor: use one VM for many calls. If a
        signal interrupts the call, it is repeated after the signal handler has run.

        Raises:
            VmCreationError: EINVAL, ENOMEM, EPERM, EBUSY or another errno of the kernel.
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
    """A VM, created by :meth:`Kvm.create_vm`. It can still be used after its Kvm is closed.

    Synchronization: as for :class:`Kvm`, but after fork() a child cannot use its
    parent's VM (EIO): a VM belongs to the process that created it.
    """

    __slots__ = ("_loop", "_revision")

    def __init__(self) -> None:
        raise TypeError("use Kvm.create_vm() or Vm.from_fd() to create a Vm")

    @classmethod
    def from_fd(cls: type[_V], fd: int, *, own: bool) -> _V:
        """Creates a handle from an open descriptor of a VM.

        With ``own=True`` the handle closes the descriptor. With ``own=False`` it borrows
        it; the descriptor must stay open while the handle is used.

        Raises:
            KvmError: ENOTTY, not the descriptor of a VM; EIO, a VM of another process.
                The descriptor stays open.
        """
        vm = cls.__new__(cls)
        _Handle.__init__(vm, _kernel, fd)
        # The device has capabilities too: taken for a VM, it would pass for one without the ioctl.
        if _kernel.lib.kvmppc_handle_get_api_version(vm._data) >= 0:
            raise not_a_vm(fd)
        vm._decide_revision()
        vm._data.owned = fd if own else -1
        return vm

    def _decide_revision(self) -> None:
        # The VM is asked, not /dev/kvm: if both backends are loaded, their answers can differ.
        self._revision = self.get_revision()
        if self._revision is not None:
            self._data.revision = _NUMBERS[self._revision]
        # What get_compat_caps needs, in one place, as _kept is for check_extension.
        ask = self._kernel.lib.kvmppc_fast_get_compat_caps
        self._loop = (ask, self._data, _answers[self._revision])

    @property
    def revision(self) -> Revision | None:
        """The kernel's revision of KVM_PPC_GET_COMPAT_CAPS; None if it has none."""
        return self._revision

    def get_compat_caps(self) -> CompatCaps:
        """Queries the processor modes that nested guests can have (KVM_PPC_GET_COMPAT_CAPS).

        Passes a struct of 24 bytes without flags (KVM_PPC_COMPAT_CAPS_SIZE_VER0).

        Raises:
            UnsupportedError: ENOTTY; the VM's backend or the kernel does not have the ioctl.
            InvalidError: EINVAL; the backend could not get or convert the capabilities.
            TooBigError: E2BIG; the kernel needs a larger struct than kvmppc can pass.
            ProtocolError: the call succeeded, but the returned size does not cover the mask.
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
        """Makes the complete call, for an answer that is not only a mask of known modes."""
        operation = "KVM_PPC_GET_COMPAT_CAPS"
        answer = self._kernel.lib.kvmppc_handle_get_compat_caps(self._data)
        if answer.error or self._revision is None:
            raise self._refusal(-answer.error, operation)
        if not answer.valid:
            raise ProtocolError(
                errno.EPROTO,
                operation,
                f"The kernel returned {answer.size} bytes, which do not include the mask.",
                "Report this to the vendor of the kernel.",
            )
        return CompatCaps(
            answer.compat_capabilities,
            flags=answer.flags,
            size=answer.size,
            revision=self._revision,
        )


def _encoded(kernel: Kernel, path: str) -> bytes:
    """The device's path for the compiled module. Raises ValueError for a null character."""
    name = os.fsencode(kernel.prefix + path)
    if b"\0" in name:
        raise ValueError(f"a path must not have a null character: {path!r}")
    return name


def lacks_interface(path: str) -> bool:
    """Whether a path is a KVM device that reports no revision, asked in one call.

    False if it reports one, and if anything failed: then :class:`Kvm` gives the answer or
    raises the error.

    Raises:
        ValueError: the path has a null character, or one that cannot be encoded.
    """
    kernel = _kernel
    return kernel.lib.kvmppc_revision_of_device(_encoded(kernel, path)) == _NO_REVISION


def revision_number(revision: Revision) -> int:
    """The number of a revision in the compiled module."""
    return _NUMBERS[revision]


def capability_of(revision: Revision | None) -> int:
    """The capability of a revision; for None, that of Linux 7.3."""
    lib = _lib
    number = lib.KVMPPC_REVISION_LINUX_7_3 if revision is None else _NUMBERS[revision]
    return lib.kvmppc_revision_capability(number)


def read_processor() -> tuple[str | None, str | None, int | None]:
    """Returns the processor's mode, its name and its PVR, without reading a file.

    The mode and the name are the kernel's ("power10", "power11": AT_PLATFORM and
    AT_BASE_PLATFORM, getauxval(3)). The processor version register (PVR, 32 bits) is
    the current one, also after a live migration of the partition. On other
    architectures each is None.
    """
    lib = _lib
    platform, base = _text(lib.kvmppc_platform()), _text(lib.kvmppc_base_platform())
    return platform, base, lib.kvmppc_pvr() or None


def compiled(handle: Kvm | Vm) -> Lib:
    """The compiled module that a handle uses, for kvmppc.measure."""
    return handle._kernel.lib


def header_definitions() -> tuple[tuple[str, str], ...]:
    """Returns how the linux/kvm.h of the build defines the names of the interface.

    Each is "own" (the header has the definition), "fallback" (it does not) or "differs" (it
    has another value). What is passed to the kernel is the same in all three cases.
    """
    lib = _lib
    said = {lib.KVMPPC_FALLBACK: "fallback", lib.KVMPPC_HEADER: "own", lib.KVMPPC_OTHER: "differs"}
    return (
        ("capability", said[lib.KVMPPC_FROM_CAP]),
        ("request", said[lib.KVMPPC_FROM_REQUEST]),
        ("struct", said[lib.KVMPPC_FROM_STRUCT]),
        ("bits", said[lib.KVMPPC_FROM_BITS]),
    )
