"""kvmppc hosts: lists the simulated hosts."""

from __future__ import annotations

from kvmppc.streams import answer, say
from kvmppc.testing import simulated_hosts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

DESCRIPTION = "Lists the simulated hosts that --simulate takes."
EPILOG = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each."""
    hosts = simulated_hosts()
    if arguments.json:
        import json

        listed = [{"name": host.name, "summary": host.summary} for host in hosts]
        answer(json.dumps({"schema": 1, "hosts": listed}) + "\n")
    else:
        width = max(len(host.name) for host in hosts)
        say("".join(f"{host.name:<{width}}  {host.summary}\n" for host in hosts))
    return 0
