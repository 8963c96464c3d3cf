"""All benchmarks in one run: prints tables, and writes the figures to a file of JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from types import ModuleType

import kvmppc
from kvmppc import Kvm

from . import calls, growth, starts
from .build import compile_shared, load_rivals
from .rounds import Summary, compared, in_turns

PRELOADED = "preloaded kernel"
_TO = (calls.FLOOR, calls.BY_HAND, calls.FCNTL)


class Sizes:
    """How much is measured."""

    def __init__(self, quick: bool, many: int) -> None:
        self.rounds = 20 if quick else 800
        self.calls = 500
        self.starts = 2 if quick else 25
        self.probes = 50 if quick else 200
        self.many_calls = 20_000 if quick else many
        self.cycles = 100 if quick else many // 100
        self.vms = 20 if quick else 1000
        self.threads = 2 if quick else 20


def measure_calls(rivals: ModuleType, sizes: Sizes) -> Summary:
    """Both calls on this machine's kernel; get_compat_caps only where it has it."""
    with Kvm() as kvm, kvm.create_vm() as vm:
        loops = {"check_extension": calls.check_extension(vm, rivals)}
        if vm.revision == "linux-7.3":
            loops["get_compat_caps"] = calls.get_compat_caps(vm, rivals)
        return {
            name: compared(in_turns(loop, sizes.rounds, sizes.calls), _TO)
            for name, loop in loops.items()
        }


def measure_asking(rivals: ModuleType, sizes: Sizes) -> Summary:
    """The calls, and probe() as a whole."""
    return {
        "calls": measure_calls(rivals, sizes),
        "probe": {"probe()": starts.measure_probe(rivals, sizes.probes, sizes.probes // 10)},
    }


def measure_growth(rivals: ModuleType, sizes: Sizes) -> Summary:
    """Threads, and long use."""
    with Kvm() as kvm, kvm.create_vm() as vm:
        loops = calls.from_threads(vm, rivals)
        figures: Summary = {
            "threads": growth.threads(loops, sizes.threads),
            "beside": growth.beside(loops, sizes.threads),
            "calls": growth.many_calls(vm, sizes.many_calls),
        }
    figures["cycles"] = growth.many_cycles(sizes.cycles)
    figures["vms"] = growth.many_vms(sizes.vms)
    return figures


def on_preloaded_kernel(folder: str, words: list[str]) -> Summary:
    """Calls and probe() once more, in a process for whom preload.c stands before the kernel."""
    environment = {**os.environ, "LD_PRELOAD": compile_shared("preload.c", folder)}
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    command = [sys.executable, "-m", "tests.bench", "--asked", *words]
    done = subprocess.run(
        command, env=environment, cwd=root, stdout=subprocess.PIPE, check=True, text=True
    )
    figures: Summary = json.loads(done.stdout)
    return figures


def about() -> Summary:
    """What was measured on."""
    return {
        "python": platform.python_version(),
        "compiler": platform.python_compiler(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "kvmppc": kvmppc.__version__,
        "load": os.getloadavg()[0],
    }


def _table(title: str, figures: dict[str, Summary]) -> None:
    print(f"\n{title}")
    for name, row in figures.items():
        ratios = row["ratio"]
        if isinstance(ratios, dict):
            told = "  ".join(
                f"{middle:6.2f} x {to} ({lower:.2f} to {upper:.2f})"
                for to, (lower, middle, upper) in ratios.items()
            )
            print(f"  {name:<24} {row['ns']:>9.0f} ns  {told}")
        else:
            lower, middle, upper = row["ratio"]
            used = row["processor_ratio"][1]
            print(
                f"  {name:<24} {row['ms']:>9.1f} ms  {middle:6.2f} x bare ({lower:.2f} to "
                f"{upper:.2f}), processor time {used:.2f} x"
            )


def _rows(title: str, rows: list[dict[str, float]]) -> None:
    print(f"\n{title}")
    for row in rows:
        cells = (f"{name} {value:>14,.{0 if value > 100 else 2}f}" for name, value in row.items())
        print("  " + "  ".join(cells))


def _tell(figures: Summary) -> None:
    """Prints all that was measured."""
    for name, rows in figures["calls"].items():
        _table(name, rows)
    _table("starts", figures["starts"])
    for name, rows in figures["probe"].items():
        _table(name, rows)
    for name, rows in figures["growth"].items():
        for rival, own in rows.items() if isinstance(rows, dict) else [("", rows)]:
            _rows(f"{name} {rival}", own)


def main() -> int:
    """Measures; where this machine has no KVM that can be used, only the rest."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, as a check")
    parser.add_argument(
        "--calls", type=int, default=10_000_000, metavar="N", help="for long use (%(default)s)"
    )
    parser.add_argument("--output", metavar="FILE", help="write the figures to a file, as JSON")
    parser.add_argument(
        "--asked", action="store_true", help="print only the figures of calls, as JSON"
    )
    arguments = parser.parse_args()
    sizes = Sizes(arguments.quick, arguments.calls)
    with tempfile.TemporaryDirectory() as folder:
        rivals = load_rivals(folder)
        if arguments.asked:
            print(json.dumps(measure_asking(rivals, sizes)))
            return 0
        figures: Summary = {"about": about(), "calls": {}, "probe": {}, "growth": {}}
        preloaded = on_preloaded_kernel(folder, ["--quick"] if arguments.quick else [])
        try:
            figures.update(measure_asking(rivals, sizes))
            figures["growth"] = measure_growth(rivals, sizes)
        except kvmppc.KvmError as error:
            print(f"this machine's own kernel is not measured: {error}", file=sys.stderr)
        if "get_compat_caps" not in figures["calls"]:
            figures["calls"][f"get_compat_caps, {PRELOADED}"] = preloaded["calls"][
                "get_compat_caps"
            ]
        figures["starts"] = starts.measure_starts(sizes.starts, folder)
    _tell(figures)
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
