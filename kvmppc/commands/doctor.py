"""kvmppc doctor: checks a host step by step."""

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
Checks this host step by step, from the processor to the answer of KVM. Prints for each step
what was found and what to do.
"""
EPILOG = """\
The result of a step is one of:
  pass       nothing to do
  warn       guests may need a setting, or a fact about the host could not be read
  fail       this is why KVM gives no answer
  not asked  an earlier step failed, or the step does not apply to this host

exit codes:
  0  no step failed
  1  a step failed
  2  usage error, or the output cannot be written
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print the steps as one line of JSON")
    asking.add_sysroot(parser)
    asking.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the steps and prints them."""
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
    """A step as one line for people, and a second one with what to do."""
    first = f"{step.state:<9}  {step.name.replace('_', ' '):<12}  {printable(step.found)}"
    if step.remedy is None:
        return first.rstrip()
    return f"{first}\n{'':<9}  {'':<12}  {printable(step.remedy)}"
