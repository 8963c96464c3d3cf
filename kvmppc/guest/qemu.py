"""QEMU: which one will run, what its version does, and what the words on its command line say.

What each version does, in one place:

- Before 11.2, ``-cpu host`` is the physical processor by its version register (PVR), whatever
  mode the host itself runs in. From 11.2 on QEMU asks the kernel, where that speaks the revision
  of Linux 7.3, and takes the newest mode that is granted; elsewhere it goes by the PVR as before.
- A processor that it does not know it cannot present at all: ``unable to find CPU model 'host'``.
- A mode of ``max-cpu-compat`` that it does not know it refuses.
- Where host pages are smaller than the largest page that guests may use, 64 KiB unless
  ``cap-hpt-max-page-size`` says less, the guest does not start.
"""

from __future__ import annotations

import os
import re
import shutil

from kvmppc.caps import LINUX_7_3
from kvmppc.guest.programs import is_safe_to_start, output_of
from kvmppc.values import Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Version = tuple[int, int]

PROGRAM = "qemu-system-ppc64"
WRAPPER = "qemu-kvmppc"
"""The name of examples/qemu-wrapper where it is installed: it adds mode and page limit itself."""

# Where the RHEL family has it.
_ELSEWHERE = "/usr/libexec/qemu-kvm"

ASKS: Version = (11, 2)
"""The first QEMU that asks the kernel which modes it grants."""

ASSUMED = "QEMU before 11.2"
"""What is taken where nobody has told which QEMU will run."""

GUEST_PAGE = 64 << 10
"""Bytes: the largest page that a pseries guest may use, unless its command line says less."""

# The first version that knows a processor, and the mode of the same name. None: none that is
# known here does. What is not here every QEMU knows that is in use. Source: POWERPC_DEF in QEMU's
# target/ppc/cpu-models.c and compat_table in target/ppc/compat.c, by release.
_KNOWS: dict[str, Version | None] = {
    "power10": (5, 0),
    "power11": (9, 2),
    "power12": None,
}


def asks_kernel(version: Version | None, revision: str | None) -> bool:
    """Whether a QEMU takes the newest mode that is granted, where it is given none."""
    return version is not None and version >= ASKS and revision == LINUX_7_3


def first_that_knows(name: str) -> Version | None:
    """The first version that knows a processor or mode; None where none is known to."""
    return _KNOWS.get(name, (0, 0))


def knows(version: Version | None, name: str) -> bool | None:
    """Whether a version knows a processor or mode; None where that cannot be told.

    A version that is not known is taken for one that knows all that 11.1 does.
    """
    first = first_that_knows(name)
    if first is None:
        return False if version is None or version < ASKS else None
    return version is None or version >= first


def read_version(text: str) -> Version | None:
    """The version in what a QEMU says of itself, or a number alone; None where there is none.

    Release candidates count as what they become: 11.1.90 is 11.2, and 10.2.90 is 11.0, since
    QEMU has three releases a year.
    """
    found = re.search(r"(?:^|version )(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?![\d.])", text)
    if found is None:
        return None
    major, minor, micro = int(found[1]), int(found[2]), int(found[3] or 0)
    if micro < 90:
        return major, minor
    return (major, minor + 1) if minor < 2 else (major + 1, 0)


def version_text(version: Version) -> str:
    """A version as people write it: "11.2"."""
    return ".".join(map(str, version))


def find(emulator: str | None = None) -> str | None:
    """The path of the QEMU that will run: the domain's, the PATH's, or RHEL's; None for none."""
    if emulator is not None:
        return emulator
    return shutil.which(PROGRAM) or (_ELSEWHERE if os.access(_ELSEWHERE, os.X_OK) else None)


def is_wrapper(emulator: str | None) -> bool:
    """Whether a path is that of the wrapper, which gives guests what they lack."""
    return emulator is not None and os.path.basename(emulator) == WRAPPER


def ask_version(path: str) -> Version | None:
    """The version of a QEMU by its --version; None where it does not tell.

    A path comes from a domain: only a program is started that has QEMU in its name and that
    nobody but root and this user can have put there.
    """
    name = os.path.basename(path)
    if not os.path.isabs(path) or "qemu" not in name or not is_safe_to_start(path):
        return None
    return read_version(output_of([path, "--version"]) or "")


class Words(Value):
    """What a guest's own words for QEMU say of its processor and machine.

    Attributes:
        cpu: of the last ``-cpu``, without its properties; None where there is none.
        cpu_properties: what followed that name, "" for nothing.
        machine: the merged properties of all ``-machine``, as pairs.
        unsure: the first word that may say more elsewhere (``-readconfig``), or None.
        wrong: the first word that QEMU does not take, or None.
    """

    __slots__ = ("cpu", "cpu_properties", "machine", "unsure", "wrong")

    cpu: str | None
    cpu_properties: str
    machine: tuple[tuple[str, str], ...]
    unsure: str | None
    wrong: str | None

    def property(self, name: str) -> str | None:
        """A property of the machine, None where it is not set."""
        return dict(self.machine).get(name)

    def is_on(self, name: str) -> bool:
        """Whether a property of the machine is switched on."""
        return self.property(name) in ("on", "yes", "true", "y")


# What takes a word after it, of the options that are looked at.
_MACHINE = ("M", "machine")
_LOOKED_AT = ("cpu", *_MACHINE, "readconfig", "set", "global", "accel")


def read_words(words: Sequence[str]) -> Words:
    """Reads words of QEMU's command line, as libvirt's ``<qemu:commandline>`` has them."""
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
            # QEMU takes no value within the word.
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
    """The properties of an option; the first may have its name left out. ",," is a comma."""
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
    """Bytes, as QEMU's size properties take them: "4k", "65536"; None for what is no size."""
    found = re.fullmatch(r"(\d{1,15})([bkmgBKMG]?)", text)
    if found is None:
        return None
    return int(found[1]) << 10 * "bkmg".index(found[2].lower() or "b")
