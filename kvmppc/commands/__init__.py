"""The commands, a module each, loaded when its name is given and not before.

A module has ``DESCRIPTION``, ``EPILOG``, ``configure(parser)`` and ``run(arguments)``,
which returns the exit code. ``run`` raises UsageError for words that make no sense.
"""

# In the order that --help lists them; the first is what kvmppc without a command does.
SUMMARIES = {
    "probe": "ask this host which processor modes nested guests can be given",
    "hosts": "list the simulated hosts",
}


class UsageError(Exception):
    """The command cannot be carried out as it was given; the message is for the user."""
