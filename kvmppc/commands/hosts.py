"""kvmppc hosts: lists the simulated hosts."""

from __future__ import annotations

from kvmppc.streams import answer
from kvmppc.testing import simulated_hosts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

DESCRIPTION = "Lists the simulated hosts that --simulate takes."
EPILOG = ""


def configure(_: argparse.ArgumentParser) -> None:
    """Says which words the command takes: none."""


def run(_: argparse.Namespace) -> int:
    """Prints a line for each."""
    answer("".join(f"{host.name:<18}  {host.summary}\n" for host in simulated_hosts()))
    return 0
