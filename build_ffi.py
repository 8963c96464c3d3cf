"""The compiled modules, described to cffi from the headers that the C compiler reads.

kvmppc._native is the shim on the real kernel, and kvmppc._fast the two questions
that keep the GIL. kvmppc._simhost is the same shim on a simulated kernel, and is
loaded only by kvmppc.testing.
"""

import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).parent

# Read off csrc/kvm_uapi.h by the compiler: the interface's numbers, and what the installed
# header said of them.
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
    """The part of a header that is plain declarations, which is all that cffi understands."""
    text = (HERE / "csrc" / header).read_text(encoding="utf-8")
    return text.split("/* cdef begins */")[1].split("/* cdef ends */")[0]


def included(*headers: str) -> str:
    """The C that includes these."""
    return "\n".join(f'#include "{header}"' for header in headers)


def module(
    name: str, headers: str, sources: str, start: str = "", base: "FFI | None" = None
) -> FFI:
    """Describes one extension module.

    Its name; the headers it shows; the files that are compiled beside cffi's own code; what that
    code begins with, if not with these headers; and the module whose names it has too.
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
