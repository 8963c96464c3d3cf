"""The two compiled modules, described to cffi from the headers that the C compiler reads.

kvmppc._native is the shim on the real kernel. kvmppc._simhost is the same shim
on a simulated one, and is loaded only by kvmppc.testing.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent

# Read off csrc/kvm_uapi.h by the compiler: the interface's numbers, and what the installed
# header said of them.
CONSTANTS = """
    #define KVMPPC_CAP_LINUX_7_3 ...
    #define KVMPPC_CAP_PATCH_V4 ...
    #define KVMPPC_GET_LINUX_7_3 ...
    #define KVMPPC_GET_PATCH_V4 ...
    #define KVMPPC_WIRE_SIZE ...
    #define KVMPPC_BIT_POWER9 ...
    #define KVMPPC_BIT_POWER10 ...
    #define KVMPPC_BIT_POWER11 ...
    #define KVMPPC_FALLBACK ...
    #define KVMPPC_HEADER ...
    #define KVMPPC_OTHER ...
    #define KVMPPC_FROM_CAP ...
    #define KVMPPC_FROM_REQUEST ...
    #define KVMPPC_FROM_STRUCT ...
    #define KVMPPC_FROM_BITS ...
"""


def declarations(header: str) -> str:
    """The part of a header that is plain declarations, which is all that cffi understands."""
    text = (HERE / "csrc" / header).read_text(encoding="utf-8")
    return text.split("/* cdef begins */")[1].split("/* cdef ends */")[0]


def module(name: str, source: str, *headers: str) -> FFI:
    """Describes one extension module: its name, its kernel's C file, and the headers it shows."""
    ffi = FFI()
    for header in headers:
        ffi.cdef(declarations(header))
    ffi.cdef(CONSTANTS)
    ffi.set_source(
        name,
        "\n".join(f'#include "{header}"' for header in ("kvm_uapi.h", *headers)),
        sources=[f"csrc/{source}", "csrc/bench.c"],
        include_dirs=["csrc"],
        depends=sorted(f"csrc/{path.name}" for path in (HERE / "csrc").iterdir()),
        # The same files make the same modules in every folder.
        extra_compile_args=["-fvisibility=hidden", f"-fdebug-prefix-map={HERE.resolve()}=."],
    )
    return ffi


native = module("kvmppc._native", "kvmppc.c", "kvmppc.h", "bench.h")
simhost = module("kvmppc._simhost", "simhost.c", "kvmppc.h", "bench.h", "simhost.h")
