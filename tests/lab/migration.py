"""The migration: a host of the lab that is moved from one QEMU to another while it is asked.

As in live partition migration the processor becomes another one under the running kernel, which
keeps the mode that it had. A VM is held meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from tests.lab.hosts import HOSTS, V1
from tests.lab.images import GUEST, RESULT_DISK_SIZE
from tests.lab.lab import Lab
from tests.lab.parts import LabError
from tests.lab.verdict import differences
from tests.lab.vm import execute, initrd, last_lines, qemu_options, result_of

NAME = "migration"
# A Power10 in its own mode, and a Power11 that can take it over in Power10 mode.
POWER10 = next(host for host in HOSTS if host.name == "power10")
FROM = replace(POWER10, name=f"{NAME}-from", build=False)
TO = replace(FROM, name=f"{NAME}-to", machine=f"{V1},max-cpu-compat=power10", cpu="power11")
MACHINES = [FROM, TO]
READY = "lab: migrate me"
MONITOR_LIMIT = 300


def problems(lab: Lab) -> list[str]:
    """Boot the host, migrate it, and return what is wrong with what it said."""
    parts = lab.prepared(FROM)
    command = f"python3 - <<'END'\n{(GUEST / 'held.py').read_text()}END\n"
    payload = replace(lab.payload, package=lab.package(FROM), command=command)
    with tempfile.TemporaryDirectory(prefix="kvmppc-lab-") as name:
        folder = Path(name)
        (folder / "initrd").write_bytes(initrd(FROM, parts, payload))
        with (folder / "result").open("wb") as file:
            file.truncate(RESULT_DISK_SIZE)
        # Both QEMUs write to the same disk, one after the other.
        copy = ["cp", "--reflink=auto", "--sparse=always"]
        subprocess.run([*copy, parts.root_disk, folder / "root"], check=True)
        moved = replace(parts, root_disk=folder / "root")
        commands = {
            host.name: [*parts.qemu, *qemu_options(host, moved, folder, None, shared=True)]
            for host in MACHINES
        }
        commands[FROM.name] += ["-qmp", f"unix:{folder}/monitor,server=on,wait=off"]
        commands[TO.name] += ["-incoming", f"unix:{folder}/door"]
        stop = threading.Event()
        with ThreadPoolExecutor(len(MACHINES)) as pool:
            runs = {
                host.name: pool.submit(
                    execute, commands[host.name], lab.console(host), lab.limit, stop
                )
                for host in MACHINES
            }
            try:
                _migrate(lab, runs, folder)
                if not runs[TO.name].result():
                    raise LabError(f"time limit reached\n{last_lines(lab.console(TO))}")
            finally:
                stop.set()
        steps = result_of(folder / "result").steps
    if "command" not in steps:
        return [f"  nothing was said\n{last_lines(lab.console(TO))}"]
    lines = [json.loads(line) for line in steps["command"].out.splitlines()]
    if [line["when"] for line in lines] != ["before", "after"]:
        return [f"  not all was said: {steps['command'].err}"]
    return [wrong for line in lines for wrong in _wrong(line)]


def _migrate(lab: Lab, runs: dict[str, Future[bool]], folder: Path) -> None:
    """Wait until the host is ready, and move it."""
    deadline = time.monotonic() + lab.limit
    console = lab.console(FROM)
    while not console.exists() or READY not in console.read_text(errors="replace"):
        for host in MACHINES:
            if runs[host.name].done():
                raise LabError(f"{host.name} ended too early\n{last_lines(lab.console(host))}")
        if time.monotonic() > deadline:
            raise LabError(f"the host is not ready\n{last_lines(console)}")
        time.sleep(0.5)
    with _monitor(folder / "monitor") as source:
        _ask(source, "migrate", uri=f"unix:{folder}/door")
        status = ""
        while status != "completed":
            status = str(_ask(source, "query-migrate").get("status"))
            if status in ("failed", "cancelled") or time.monotonic() > deadline:
                raise LabError(f"the migration {status}\n{last_lines(lab.console(TO))}")
            time.sleep(0.2)
        _ask(source, "quit")


@contextlib.contextmanager
def _monitor(path: Path) -> Iterator[TextIO]:
    """A connection to a QEMU's monitor, ready for questions."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(MONITOR_LIMIT)
        connection.connect(str(path))
        with connection.makefile("rw") as monitor:
            monitor.readline()  # its greeting
            _ask(monitor, "qmp_capabilities")
            yield monitor


def _ask(monitor: TextIO, question: str, **arguments: str) -> dict[str, object]:
    """Ask, and return the answer; LabError where QEMU refuses."""
    monitor.write(json.dumps({"execute": question, "arguments": arguments}) + "\n")
    monitor.flush()
    for line in monitor:
        answer = json.loads(line)
        if "error" in answer:
            raise LabError(f"{question}: {answer['error']['desc']}")
        if "return" in answer:
            return dict(answer["return"])
    raise LabError(f"{question}: no answer")


def _wrong(said: dict[str, Any]) -> list[str]:
    """Compare what was said with what it must be, before the migration and after it: the same.

    The mode stays, and so does the answer to it. The register stays too, which is QEMU's: its
    emulation brings the Power10's along.
    """
    record = said["probe"]
    wrong = differences({**FROM.record, "kernel": record.get("kernel")}, record)
    if said["held"] != [FROM.record["modes"]]:
        wrong.append(f"  the VM that is held says {said['held']}")
    return [f"  {said['when']}:{line}" for line in wrong]
