"""kvmppc doctor: goes from the processor to the answer step by step."""

from __future__ import annotations

from kvmppc.commands import asking
from kvmppc.doctor import diagnose
from kvmppc.host import read_host
from kvmppc.output import printable
from kvmppc.streams import answer, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kvmppc.doctor import Step

DESCRIPTION = """\
Goes from the processor to the answer step by step, and tells of each step what was read
and what to do.
"""
EPILOG = """\
Each step is one of
  pass       as it should be
  warn       the answer is there all the same, but guests may need advice
  fail       this is why there is no answer
  not asked  a step before it failed, or it is not for this host

exit codes:
  0  no step failed
  1  a step failed
  2  the command was not understood, or its output could not be written
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Says which words the command takes."""
    parser.add_argument("--json", action="store_true", help="print the steps as one line of JSON")
    asking.add_sysroot(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Goes through the steps and prints them."""
    with asking.on_host(arguments):
        host = read_host()
        steps = diagnose(None if arguments.sysroot is not None else arguments.device)
    if arguments.json:
        import json

        record = {
            "schema": 1,
            "hostname": host.hostname,
            "simulated": host.simulated,
            "steps": [step.to_dict() for step in steps],
        }
        answer(json.dumps(record) + "\n")
    else:
        lines = [] if host.simulated is None else [f"Simulated host {host.simulated}."]
        lines += map(_text, steps)
        say("\n".join(lines) + "\n")
    return 1 if any(step.state == "fail" for step in steps) else 0


def _text(step: Step) -> str:
    """A step as a line for people, with another for what to do."""
    first = f"{step.state:<9}  {step.name.replace('_', ' '):<12}  {printable(step.found)}"
    if step.remedy is None:
        return first.rstrip()
    return f"{first}\n{'':<9}  {'':<12}  {printable(step.remedy)}"
