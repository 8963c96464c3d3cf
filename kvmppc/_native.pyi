# What build_ffi.py compiles, for type checkers.

from collections.abc import Callable, Sequence
from typing import Literal, overload

class Text:
    """A pointer to characters."""

    def __bool__(self) -> bool: ...

class Answer:
    error: int
    valid: int
    size: int
    flags: int
    compat_capabilities: int

class HandleData:
    fd: int
    owned: int
    users: int
    revision: int

class HandleType:
    """The type of a handle's data, found by its name."""

class Question:
    handle: HandleData
    capability: int

class Ffi:
    NULL: Text

    @overload
    def new(self, kind: HandleType, init: tuple[int, int]) -> HandleData: ...
    @overload
    def new(
        self, kind: Literal["struct kvmppc_question *"], init: tuple[HandleData, int] | None = None
    ) -> Question: ...
    def typeof(self, kind: Literal["struct kvmppc_handle *"]) -> HandleType: ...
    def gc(self, data: HandleData, close: Callable[[HandleData], None]) -> HandleData: ...
    def string(self, text: Text) -> bytes: ...

class Bench:
    error: int
    calls: int
    nanoseconds: int
    longest: int
    counts: Sequence[int]

class Lib:
    KVMPPC_REVISION_NONE: int
    KVMPPC_REVISION_LINUX_7_3: int
    KVMPPC_REVISION_PATCH_V4: int
    KVMPPC_REVISIONS: int
    KVMPPC_PLAIN_SHIFT: int
    KVMPPC_BENCH_BUCKETS: int
    KVMPPC_CAP_LINUX_7_3: int
    KVMPPC_CAP_PATCH_V4: int
    KVMPPC_GET_LINUX_7_3: int
    KVMPPC_GET_PATCH_V4: int
    KVMPPC_WIRE_SIZE: int
    KVMPPC_FALLBACK: int
    KVMPPC_HEADER: int
    KVMPPC_OTHER: int
    KVMPPC_FROM_CAP: int
    KVMPPC_FROM_REQUEST: int
    KVMPPC_FROM_STRUCT: int
    KVMPPC_FROM_BITS: int

    def kvmppc_open(self, path: bytes) -> int: ...
    def kvmppc_get_api_version(self, kvm_fd: int) -> int: ...
    def kvmppc_check_extension(self, fd: int, capability: int) -> int: ...
    def kvmppc_create_vm(self, kvm_fd: int) -> int: ...
    def kvmppc_revision_name(self, revision: int) -> Text: ...
    def kvmppc_revision_capability(self, revision: int) -> int: ...
    def kvmppc_get_revision(self, fd: int) -> int: ...
    def kvmppc_get_compat_caps(self, vm_fd: int, revision: int) -> Answer: ...
    def kvmppc_get_plain(self, vm_fd: int, revision: int) -> int: ...
    def kvmppc_platform(self) -> Text: ...
    def kvmppc_base_platform(self) -> Text: ...
    def kvmppc_pvr(self) -> int: ...
    def kvmppc_handle_open(self, kvm: HandleData, path: bytes) -> int: ...
    def kvmppc_handle_get_api_version(self, kvm: HandleData) -> int: ...
    def kvmppc_handle_check_extension(self, handle: HandleData, capability: int) -> int: ...
    def kvmppc_handle_create_vm(self, kvm: HandleData, vm: HandleData) -> int: ...
    def kvmppc_handle_get_revision(self, handle: HandleData) -> int: ...
    def kvmppc_handle_get_compat_caps(self, vm: HandleData) -> Answer: ...
    def kvmppc_handle_close(self, handle: HandleData) -> None: ...
    def kvmppc_bench_timed(self, fd: int, revision: int, calls: int, nanoseconds: int) -> Bench: ...
    def kvmppc_bench_floor(self, fd: int, revision: int, calls: int) -> Bench: ...
    def kvmppc_bench_start(self, bucket: int) -> int: ...

ffi: Ffi
lib: Lib
