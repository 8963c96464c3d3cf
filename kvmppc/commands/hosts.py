"""kvmppc hosts: lists the simulated hosts."""

from __future__ import annotations

from kvmppc.streams import answer, say
from kvmppc.testing import simulated_hosts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

DESCRIPTION = "Lists the simulated hosts for --simulate."
EPILOG = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints one line per host."""
    hosts = simulated_hosts()
    if arguments.json:
        import json

        listed = [{"name": host.name, "summary": host.summary} for host in hosts]
        answer(json.dumps({"schema": 1, "hosts": listed}) + "\n")
    else:
        width = max(len(host.name) for host in hosts)
        say("".join(f"{host.name:<{width}}  {host.summary}\n" for host in hosts))
    return 0
