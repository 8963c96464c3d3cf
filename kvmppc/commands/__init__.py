"""The commands, a module each, loaded when its name is given and not before.

A module has ``DESCRIPTION``, ``EPILOG``, ``configure(parser)`` and ``run(arguments)``,
which returns the exit code. ``run`` raises UsageError for words that make no sense.
It may have ``PLAIN``: what common words mean, so that no parser is loaded for them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# In the order that --help lists them; the first is what kvmppc without a command does.
SUMMARIES = {
    "probe": "ask this host which processor modes nested guests can be given",
    "advise": "print what to tell QEMU or libvirt, so that a guest is given a granted mode",
    "check": "tell whether a host grants what a libvirt domain asks for",
    "explain": "say what a message of QEMU, libvirt or the kernel means, and what to do",
    "decode": "explain a compat_capabilities mask, a cpu-version or a PVR",
    "doctor": "go from the processor to the answer step by step, and say what is wrong",
    "baseline": "tell which modes all hosts of a fleet grant, from their records",
    "plan": "tell which guests can run on which hosts of a fleet, and what lets all run everywhere",
    "bench": "measure how long asking takes, in C and through Python",
    "hosts": "list the simulated hosts",
}


class UsageError(Exception):
    """The command cannot be carried out as it was given; the message is for the user."""


def nearest(word: str, names: Iterable[str]) -> str:
    """The end of a message about a wrong word: which was meant, or else which there are."""
    # Not at the top: whoever types right needs none of it.
    from difflib import get_close_matches

    names = list(names)
    digits = [c for c in word if c.isdigit()]
    # Who writes power8 means no power9: a number is not mistyped but meant.
    alike = [name for name in names if [c for c in name if c.isdigit()] == digits]
    found = get_close_matches(word.lower(), alike, 1)
    return f"; did you mean {found[0]}?" if found else f"; there are {', '.join(names)}"
