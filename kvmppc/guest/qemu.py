"""QEMU: which one runs, how its version behaves, and what its command line asks for.

How the versions behave:

- Before 11.2, ``-cpu host`` is the physical processor, by its version register (PVR), whatever
  mode the host itself runs in. QEMU 11.2 and later ask the kernel, if it supports the interface
  of Linux 7.3, and take the newest mode that is granted. On other kernels they use the PVR too.
- QEMU cannot present a processor that it does not know: ``unable to find CPU model 'host'``.
- It refuses a mode of ``max-cpu-compat`` that it does not know.
- A guest may use pages of up to 64 KiB, or up to ``cap-hpt-max-page-size``. It does not start
  where the pages of the host are smaller than that.
"""

from __future__ import annotations

import os
import re
import shutil

from kvmppc.caps import LINUX_7_3
from kvmppc.guest.programs import is_safe_to_start, output_of
from kvmppc.processors import find_processor, own_mode
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Version = tuple[int, int]

PROGRAM = "qemu-system-ppc64"
WRAPPER = "qemu-kvmppc"
"""The installed name of examples/qemu-wrapper, which adds mode and page limit itself."""

# Its path on the RHEL family.
_ELSEWHERE = "/usr/libexec/qemu-kvm"

ASKS: Version = (11, 2)
"""The first QEMU that asks the kernel which modes it grants."""

ASSUMED = "QEMU before 11.2"
"""The assumption where the version is not known."""

GUEST_PAGE = 64 << 10
"""Bytes: the default of cap-hpt-max-page-size. Source: spapr_machine_class_init() in QEMU's
hw/ppc/spapr.c."""

# The first version that knows a processor and the mode of its name. Every QEMU in use knows those
# up to POWER9; no released version knows a later one that is not listed. Source: the history of
# QEMU's target/ppc/cpu-models.c (POWERPC_DEF) and target/ppc/compat.c (compat_table). Of running
# versions, only 7.2, without Power11, and 10.0 and 11.1, with it, were tried: the numbers
# themselves are read, not measured.
_KNOWS: dict[str, Version] = {"power10": (5, 0), "power11": (9, 2)}


def asks_kernel(version: Version | None, revision: str | None) -> bool:
    """Whether QEMU itself takes the newest granted mode for a guest that is given none."""
    return version is not None and version >= ASKS and revision == LINUX_7_3


def first_that_knows(name: str) -> Version | None:
    """The first version that knows a processor or mode; None where no version is known to."""
    mode = own_mode(find_processor(name))
    return _KNOWS.get(name, None if mode is not None and mode > "power9" else (0, 0))


def knows(version: Version | None, name: str) -> bool | None:
    """Whether a version knows a processor or mode; None where it may.

    The version None stands for one that knows what 11.1 does.
    """
    first = first_that_knows(name)
    if first is None:
        return False if version is None or version < ASKS else None
    return version is None or version >= first


def turns_htm_on(machine: str | None) -> bool:
    """Whether transactional memory is on by default in a machine.

    Source: spapr_machine_2_11_class_options() in QEMU's hw/ppc/spapr.c, before 9.2.
    """
    return _is_until(machine, 11)


def fits_pages(machine: str | None) -> bool:
    """Whether a machine limits the guest's pages by itself to those of the host.

    Source: default_caps_with_cpu() in QEMU's hw/ppc/spapr_caps.c, before 10.0.
    """
    return _is_until(machine, 12)


def _is_until(machine: str | None, minor: int) -> bool:
    """Whether this is the machine of QEMU 2.MINOR, or an earlier one."""
    found = re.match(r"pseries-2\.(\d+)", machine or "")
    return found is not None and int(found[1]) <= minor


def has_machine(version: Version | None, machine: str) -> bool | None:
    """Whether a version has a machine, such as "pseries-9.2"; None where that is not known.

    Each version brings the machine of its own number. 10.0 has none of 2.x any more, and later
    ones drop those of 18 versions (six years) before. Machines of distributions
    ("pseries-rhel9.4.0") are not known. Source: docs/about/deprecated.rst and
    include/hw/boards.h (MACHINE_VER_SHOULD_DELETE) of QEMU.
    """
    found = re.fullmatch(r"pseries-(\d{1,3})\.(\d{1,3})(?:-sxxm)?", machine)
    if version is None or found is None:
        return None
    its = int(found[1]), int(found[2])
    if its > version:
        return False
    if its < (3, 0):
        return False if version >= (10, 0) else None
    # There are three versions a year, .0 to .2 of one number.
    age = 3 * (version[0] - its[0]) + version[1] - its[1]
    return version < (10, 1) or age < 18


def read_version(text: str) -> Version | None:
    """The version in the output of ``--version``, or in a number; None where there is none.

    A release candidate counts as its release: 11.1.90 is 11.2. QEMU has three releases a year,
    so 10.2.90 is 11.0.
    """
    found = re.search(r"(?:^|version )(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?![\d.])", text)
    if found is None:
        return None
    major, minor, micro = int(found[1]), int(found[2]), int(found[3] or 0)
    if micro < 90:
        return major, minor
    return (major, minor + 1) if minor < 2 else (major + 1, 0)


def version_text(version: Version) -> str:
    """A version for people: "11.2"."""
    return ".".join(map(str, version))


def find(emulator: str | None = None) -> str | None:
    """The path of QEMU: the domain's emulator, or on the PATH, or RHEL's; None if there is none."""
    if emulator is not None:
        return emulator
    return shutil.which(PROGRAM) or (_ELSEWHERE if os.access(_ELSEWHERE, os.X_OK) else None)


def is_wrapper(emulator: str | None) -> bool:
    """Whether a path is that of the wrapper (:data:`WRAPPER`)."""
    return emulator is not None and os.path.basename(emulator) == WRAPPER


def ask_version(path: str) -> Version | None:
    """The version that a QEMU reports with --version; None where it reports none.

    The path may come from a domain, so the program is started only if its name contains "qemu"
    and only root or this user can have installed it.
    """
    name = os.path.basename(path)
    if not os.path.isabs(path) or "qemu" not in name or not is_safe_to_start(path):
        return None
    return read_version(output_of([path, "--version"]) or "")


# The spellings of an option that is on (QEMU, qapi_bool_parse).
ON = ("on", "yes", "true", "y")


class Words(Value):
    """What the arguments of a command line set for the guest's processor and machine.

    Attributes:
        cpu: the model of the last ``-cpu``, without properties; None where there is no ``-cpu``.
        cpu_properties: the text after that model; "" where there is none.
        machine: the merged properties of all ``-machine`` options, as pairs.
        unsure: the first argument that may set more from elsewhere (``-readconfig``), or None.
        wrong: the first argument that QEMU does not accept, or None.
    """

    __slots__ = ("cpu", "cpu_properties", "machine", "unsure", "wrong")

    cpu: str | None
    cpu_properties: str
    machine: tuple[tuple[str, str], ...]
    unsure: str | None
    wrong: str | None

    def property(self, name: str) -> str | None:
        """The value of a property of the machine; None where it is not set."""
        return dict(self.machine).get(name)

    def is_on(self, name: str) -> bool:
        """Whether a property of the machine is on."""
        return self.property(name) in ON


# The options that matter. Each of them takes an argument.
_MACHINE = ("M", "machine")
_LOOKED_AT = ("cpu", *_MACHINE, "readconfig", "set", "global", "accel")


def read_words(words: Sequence[str]) -> Words:
    """Reads arguments of QEMU's command line, as in libvirt's ``<qemu:commandline>``."""
    cpu: str | None = None
    machine: dict[str, str] = {}
    unsure: str | None = None
    wrong: str | None = None
    rest = iter(words)
    for word in rest:
        name = word[2:] if word.startswith("--") else word[1:] if word.startswith("-") else ""
        option, equals, _ = name.partition("=")
        if option not in _LOOKED_AT:
            continue
        if equals:
            # QEMU accepts no "-option=value".
            wrong = wrong or word
            continue
        value = next(rest, "")
        if option == "cpu":
            cpu = value
        elif option in _MACHINE:
            machine.update(_properties(value, "type"))
        elif _may_say_more(option, value):
            unsure = unsure or f"{word} {value}"
    if "accel" in machine:
        unsure = unsure or "accel"
    model, _, properties = (cpu or "").partition(",")
    return fill(
        Words.__new__(Words),
        cpu=None if cpu is None else model,
        cpu_properties=properties,
        machine=tuple(machine.items()),
        unsure=unsure,
        wrong=wrong,
    )


def _properties(text: str, first: str) -> Iterator[tuple[str, str]]:
    """The properties of an option. The first may be without its name; ",," is a comma."""
    for place, part in enumerate(re.split(r"(?<!,),(?!,)", text)):
        name, equals, value = part.replace(",,", ",").partition("=")
        if equals:
            yield name, value
        elif place == 0:
            yield first, name
        else:
            yield name, "on"


def _may_say_more(option: str, value: str) -> bool:
    """Whether an option can set the processor, its mode or the accelerator from elsewhere."""
    if option == "global":
        return any(word in value for word in ("compat", "cpu", "machine", "cap-"))
    if option == "set":
        return value.startswith("machine")
    return True


def read_size(text: str) -> int | None:
    """The bytes of a size in QEMU's form ("4k", "65536"); None where it is not a size."""
    found = re.fullmatch(r"(\d{1,15})([bkmgBKMG]?)", text)
    if found is None:
        return None
    return int(found[1]) << 10 * "bkmg".index(found[2].lower() or "b")
