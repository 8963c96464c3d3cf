"""The commands, one module each. A module is loaded only when its command is used.

A module has ``DESCRIPTION``, ``EPILOG``, ``configure(parser)`` and ``run(arguments)``,
which returns the exit code. ``run`` raises UsageError for arguments that make no sense.
It may have ``PLAIN``: common arguments and their meaning, for which no parser is loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# In the order of --help. The first is the default command.
SUMMARIES = {
    "probe": "report which processor modes this host grants to nested guests",
    "advise": "print the QEMU options or libvirt elements for a granted mode",
    "check": "check whether libvirt domains start on this host, and fix them",
    "explain": "explain an error message of QEMU, libvirt or the kernel",
    "decode": "explain a compat_capabilities mask, a cpu-version or a PVR",
    "doctor": "check this host step by step, and report what is wrong",
    "baseline": "report which modes all hosts of a fleet grant",
    "plan": "report which guests can run on which hosts of a fleet",
    "bench": "measure how long a query takes, in C and in Python",
    "hosts": "list the simulated hosts",
}


# Of difflib's ratio: one letter in four may be wrong. At its own 0.6, "frob" is near "probe".
_NEAR = 0.75


class UsageError(Exception):
    """The command line or an input file is wrong; the message is for the user."""


def nearest(word: str, names: Iterable[str]) -> str:
    """Returns the end of a message about an unknown name: the nearest one, else all of them."""
    # Not at the top: only a mistyped name needs it.
    from difflib import get_close_matches

    names = list(names)
    word = word.lower()
    digits = [c for c in word if c.isdigit()]
    # A number is not mistyped but meant: power8 is not a misspelling of power9.
    alike = {name.lstrip("-"): name for name in names if [c for c in name if c.isdigit()] == digits}
    # The dashes that all options begin with do not make two of them alike.
    plain = word.lstrip("-")
    found = [name for name in alike if len(plain) > 1 and name.startswith(plain)]
    found = found or get_close_matches(plain, alike, 1, _NEAR)
    return f"; did you mean {alike[found[0]]}?" if found else f"; choose from {', '.join(names)}"
