"""Describes the compiled modules to cffi, from the headers that the C compiler reads.

kvmppc._native is the shim for the real kernel. kvmppc._fast has the two calls
that hold the GIL. kvmppc._simhost is the same shim with a simulated kernel; only
kvmppc.testing loads it.
"""

import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent

# The numbers of the interface, and how the installed header defines them. The compiler takes the
# values from csrc/kvm_uapi.h.
CONSTANTS = "".join(
    f"#define {name} ...\n"
    for name in dict.fromkeys(
        re.findall(
            r"^#define (KVMPPC_(?!KVM_UAPI_H|SAME_PLACE|COMPARE)\w+)",
            (HERE / "csrc/kvm_uapi.h").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
)


def declarations(header: str) -> str:
    """Returns the part of a header that has only plain declarations, as cffi requires."""
    text = (HERE / "csrc" / header).read_text(encoding="utf-8")
    return text.split("/* cdef begins */")[1].split("/* cdef ends */")[0]


def included(*headers: str) -> str:
    """Returns the C code that includes these headers."""
    return "\n".join(f'#include "{header}"' for header in headers)


def module(
    name: str, headers: str, sources: str, start: str = "", base: "FFI | None" = None
) -> FFI:
    """Describes one extension module.

    Args:
        name: of the module.
        headers: the headers whose declarations it exports.
        sources: the files that are compiled with cffi's own code.
        start: the files that this code includes first, if not these headers.
        base: the module whose names it includes.
    """
    ffi = FFI()
    if base is None:
        ffi.cdef(CONSTANTS)
    else:
        ffi.include(base)
    for header in headers.split():
        ffi.cdef(declarations(header))
    ffi.set_source(
        name,
        included(*(start or f"kvm_uapi.h {headers}").split()),
        sources=[f"csrc/{source}" for source in sources.split()],
        include_dirs=["csrc"],
        depends=sorted(f"csrc/{path.name}" for path in (HERE / "csrc").iterdir()),
        extra_compile_args=["-fvisibility=hidden"],
    )
    return ffi


native = module("kvmppc._native", "kvmppc.h handle.h bench.h", "kvmppc.c handle.c bench.c")
fast = module("kvmppc._fast", "fast.h", "", start="fast.c bench.h", base=native)
simhost = module(
    "kvmppc._simhost",
    "kvmppc.h handle.h fast.h bench.h simhost.h",
    "simhost.c handle.c fast.c bench.c",
)
