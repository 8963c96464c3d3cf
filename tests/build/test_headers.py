"""The C sources against kernel headers that have none, some or all of the names.

Needs gcc, and where they are there uses clang and the cross compiler for ppc64le too.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STRICT = "-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror".split()
COMPILERS = [
    pytest.param(
        compiler,
        marks=pytest.mark.skipif(
            shutil.which(compiler) is None and not os.environ.get("CI"),
            reason=f"{compiler} is not installed",
        ),
    )
    for compiler in ("gcc", "clang", "powerpc64le-linux-gnu-gcc")
]

NONE = """
#undef KVM_CAP_PPC_COMPAT_CAPS
#undef KVM_PPC_GET_COMPAT_CAPS
#undef KVM_PPC_COMPAT_CAPS_SIZE_VER0
#undef KVM_PPC_COMPAT_CAP_POWER9
#undef KVM_PPC_COMPAT_CAP_POWER10
#undef KVM_PPC_COMPAT_CAP_POWER11
"""
SOME = f"""{NONE}
#define KVM_CAP_PPC_COMPAT_CAPS 250
#define KVM_PPC_GET_COMPAT_CAPS _IO(KVMIO, 0xb8)
"""
BITS = """
#define KVM_PPC_COMPAT_CAP_POWER9 (1ULL << 62)
#define KVM_PPC_COMPAT_CAP_POWER10 (1ULL << 61)
#define KVM_PPC_COMPAT_CAP_POWER11 (1ULL << 60)
"""
# Under a name of its own: the installed header may have the struct already.
STRUCT = """
#define KVM_PPC_COMPAT_CAPS_SIZE_VER0 24
#define kvm_ppc_compat_caps kvm_ppc_compat_caps_of_this_test
struct kvm_ppc_compat_caps { __u64 %s; __u64 %s; __u64 compat_capabilities; };
"""
ALL = SOME + BITS + STRUCT % ("size", "flags")
REVERSED = SOME + BITS + STRUCT % ("flags", "size")
PATCH_V4 = f"""{NONE}{BITS}
#define KVM_CAP_PPC_COMPAT_CAPS 249
#define kvm_ppc_compat_caps kvm_ppc_compat_caps_of_this_test
struct kvm_ppc_compat_caps {{ __u64 flags; __u64 size; __u64 compat_capabilities; }};
#define KVM_PPC_GET_COMPAT_CAPS _IOR(KVMIO, 0xe4, struct kvm_ppc_compat_caps)
"""
ONE_BIT = f"{NONE}\n#define KVM_PPC_COMPAT_CAP_POWER9 (1ULL << 62)\n"

FALLBACK, HEADER, OTHER = range(3)
# What each header says of the capability, the request, the struct and the bits.
HEADERS = {
    "none": (NONE, (FALLBACK, FALLBACK, FALLBACK, FALLBACK)),
    "some, as on x86": (SOME, (HEADER, HEADER, FALLBACK, FALLBACK)),
    "one bit": (ONE_BIT, (FALLBACK, FALLBACK, FALLBACK, FALLBACK)),
    "all": (ALL, (HEADER, HEADER, HEADER, HEADER)),
    "struct in another order": (REVERSED, (HEADER, HEADER, OTHER, HEADER)),
    "patch-v4": (PATCH_V4, (OTHER, OTHER, FALLBACK, HEADER)),
}

PROGRAM = """
#include <stdio.h>
#include "kvm_uapi.h"
#include "kvmppc.h"
int main(void)
{
    printf("{\\"from\\": [%d, %d, %d, %d], ", KVMPPC_FROM_CAP, KVMPPC_FROM_REQUEST,
           KVMPPC_FROM_STRUCT, KVMPPC_FROM_BITS);
    printf("\\"capabilities\\": [%d, %d], ", KVMPPC_CAP_LINUX_7_3, KVMPPC_CAP_PATCH_V4);
    printf("\\"requests\\": [%lu, %lu]}", (unsigned long)KVMPPC_GET_LINUX_7_3,
           (unsigned long)KVMPPC_GET_PATCH_V4);
    return 0;
}
"""
# What the numbers must be on powerpc, where this machine's compiler can only translate.
ON_POWERPC = """
#include "kvm_uapi.h"
_Static_assert(KVMPPC_GET_LINUX_7_3 == 0x2000AEB8, "linux-7.3");
_Static_assert(KVMPPC_GET_PATCH_V4 == 0x4018AEE4, "patch-v4");
"""


def compiled(folder, compiler, source, header, *options):
    """Compiles with a linux/kvm.h that adds to, or takes from, the installed one."""
    (folder / "linux").mkdir(exist_ok=True)
    (folder / "linux/kvm.h").write_text(f"#include_next <linux/kvm.h>\n{header}")
    words = [compiler, *STRICT, f"-isystem{folder}", f"-I{ROOT}/csrc", *options, str(source)]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.parametrize(("header", "said"), HEADERS.values(), ids=HEADERS)
def test_every_header_gives_the_same_wire_and_is_told(tmp_path, header, said):
    source = tmp_path / "numbers.c"
    source.write_text(PROGRAM)
    done = compiled(tmp_path, "gcc", source, header, "-o", f"{tmp_path}/numbers")
    assert (done.returncode, done.stderr) == (0, "")
    numbers = json.loads(subprocess.check_output([f"{tmp_path}/numbers"]))
    assert tuple(numbers["from"]) == said
    assert numbers["capabilities"] == [250, 249]
    if os.uname().machine == "x86_64":
        assert numbers["requests"] == [0xAEB8, 0x8018AEE4]


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("source", sorted(path.name for path in (ROOT / "csrc").glob("*.c")))
@pytest.mark.parametrize("header", [text for text, _ in HEADERS.values()], ids=HEADERS)
def test_the_sources_compile_without_a_warning(tmp_path, header, source, compiler):
    done = compiled(
        tmp_path, compiler, ROOT / "csrc" / source, header, "-O2", "-c", "-o", f"{tmp_path}/o.o"
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("header", [text for text, _ in HEADERS.values()], ids=HEADERS)
@pytest.mark.skipif(
    shutil.which("powerpc64le-linux-gnu-gcc") is None and not os.environ.get("CI"),
    reason="powerpc64le-linux-gnu-gcc is not installed",
)
def test_the_request_numbers_are_powerpcs_on_powerpc(tmp_path, header):
    source = tmp_path / "numbers.c"
    source.write_text(ON_POWERPC)
    done = compiled(tmp_path, "powerpc64le-linux-gnu-gcc", source, header, "-fsyntax-only")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "headers", "sentence"),
    [
        (["-U__linux__"], [], "kvmppc needs Linux"),
        (["-nostdinc"], [], "kvmppc needs the kernel's headers: install linux-libc-dev"),
        (["-nostdinc"], ["linux/kvm.h"], "kvmppc cannot work on this architecture"),
    ],
)
def test_what_cannot_work_stops_with_one_sentence(tmp_path, options, headers, sentence):
    for header in headers:
        (tmp_path / header).parent.mkdir()
        (tmp_path / header).touch()
    words = ["gcc", *options, f"-I{tmp_path}", "-fsyntax-only", "-x", "c"]
    done = subprocess.run([*words, str(ROOT / "csrc/kvm_uapi.h")], capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    assert done.returncode != 0
    assert len(errors) == 1
    assert sentence in errors[0]
