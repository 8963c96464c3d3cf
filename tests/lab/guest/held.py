"""Holds a VM while the host is migrated, and prints what it and a new probe() say, as JSON lines.

First before; then after as many questions to the held VM as take longer than the migration. There
is no pause: QEMU's emulation does not bring the timer along that would end it.
"""

import json
import sys

import kvmppc

QUESTIONS = 400_000


def tell(when: str, answers: set[tuple[str, ...]]) -> None:
    """Print what can be known now, and what the held VM has answered so far."""
    facts = {
        "when": when,
        "held": sorted(answers),
        "probe": kvmppc.probe().to_dict(),
    }
    print(json.dumps(facts), flush=True)


with kvmppc.Kvm() as kvm, kvm.create_vm() as vm:
    tell("before", {vm.get_compat_caps().modes})
    print("lab: migrate me", file=sys.stderr, flush=True)
    tell("after", {vm.get_compat_caps().modes for _ in range(QUESTIONS)})
