"""The fleet: hosts of the lab that Ansible reaches over ssh, with the playbook of examples/ansible.

ssh goes through a port of 127.0.0.1 that QEMU forwards; the machines themselves reach nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab.hosts import HOSTS
from tests.lab.lab import Lab
from tests.lab.parts import LabError, carry_out
from tests.lab.verdict import differences
from tests.lab.vm import LAST_LINES, Door, Step

NAME = "fleet"
MEMBERS = [replace(host, build=False) for host in HOSTS if host.fleet]
# The same as they are booted: their consoles have names of their own.
MACHINES = [replace(host, name=f"{NAME}-{host.name}") for host in MEMBERS]
# What `kvmppc baseline --json` must say of their records.
BASELINE = {
    "schema": 1,
    "hosts": 2,
    "known": 2,
    "modes": ["power9"],
    "newest": "power9",
    "blockers": [
        {"mode": "power10", "hostnames": ["power11-as-power9"]},
        {"mode": "power11", "hostnames": ["power10", "power11-as-power9"]},
    ],
    "unknown": [],
}
SSH_LIMIT, PLAY_LIMIT = 120, 400


@dataclass(frozen=True)
class Control:
    """The machine that Ansible runs on: a folder with a virtual environment and a key."""

    folder: Path

    @property
    def key(self) -> Path:
        """Where the private key is; the public one is beside it."""
        return self.folder / "key"

    @property
    def ssh_options(self) -> list[str]:
        """ssh's words for hosts that nobody has met before, and will not meet again."""
        known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        return [*known, "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5"]

    def program(self, name: str) -> str:
        """Return the path of a program in the virtual environment."""
        return str(self.folder / "venv/bin" / name)

    def ssh(self, port: int, command: str) -> bool:
        """Run a command on a host; return whether that worked."""
        words = ["ssh", "-i", str(self.key), *self.ssh_options, "-p", str(port), "root@127.0.0.1"]
        return subprocess.run([*words, command], capture_output=True).returncode == 0


def prepare(folder: Path, package: Path) -> Control:
    """Return a Control in `folder`, with Ansible and kvmppc."""
    control = Control(folder)
    folder.mkdir()
    carry_out(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(control.key)],
        [sys.executable, "-m", "venv", str(folder / "venv")],
        [control.program("pip"), "install", "--quiet", "ansible-core", str(package)],
    )
    return control


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody has, no two the same."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def problems(lab: Lab) -> list[str]:
    """Boot the fleet, play the playbook, and return what is wrong; nothing where all is right."""
    control = prepare(lab.folder / NAME, lab.payload.package)
    key = control.key.with_suffix(".pub").read_text()
    ports = dict(zip([host.name for host in MEMBERS], free_ports(len(MEMBERS))))
    stop = threading.Event()  # not the lab's, which goes on after the fleet
    with ThreadPoolExecutor(len(MEMBERS)) as pool:
        machines = [
            pool.submit(lab.boot, machine, Door(key, port), stop)
            for machine, port in zip(MACHINES, ports.values())
        ]
        try:
            for machine, port in zip(machines, ports.values()):
                wait_for(control, machine, port)
            play = run_playbook(lab, control, ports)
            for port in ports.values():
                control.ssh(port, "touch /run/done")
            for machine in machines:
                machine.result()
        finally:
            stop.set()  # where they are still running, nobody needs them any more
    if play.returncode:
        shown = [f"    {line}" for line in play.stdout.splitlines()[-LAST_LINES:]]
        return [f"  the playbook ended with {play.returncode}", *shown]
    return wrong_records(control)


def wait_for(control: Control, machine: Future[dict[str, Step]], port: int) -> None:
    """Wait until a machine can be reached; LabError if it cannot in time, or has ended before."""
    deadline = time.monotonic() + SSH_LIMIT
    while not control.ssh(port, "true"):
        if machine.done():
            raise LabError(f"a machine ended before anybody came in: {machine.result()}")
        if time.monotonic() > deadline:
            raise LabError(f"a machine cannot be reached by ssh after {SSH_LIMIT} s")
        time.sleep(1)


def run_playbook(
    lab: Lab, control: Control, ports: dict[str, int]
) -> subprocess.CompletedProcess[str]:
    """Play the playbook on the hosts that are reached at `ports`."""
    inventory = {"all": {"hosts": {name: {"ansible_port": port} for name, port in ports.items()}}}
    variables = {
        "ansible_host": "127.0.0.1",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(control.key),
        "kvmppc_source": str(lab.package(MEMBERS[0])),
        "kvmppc_pip_args": ["--no-index", "--no-build-isolation"],
        "kvmppc_venv_args": ["--system-site-packages"],
        "kvmppc_command": control.program("kvmppc"),
        "kvmppc_records": str(control.folder / "records.jsonl"),
    }
    (control.folder / "hosts.json").write_text(json.dumps(inventory))
    (control.folder / "variables.json").write_text(json.dumps(variables))
    words = ["-i", "hosts.json", "-e", "@variables.json"]
    playbook = lab.payload.source / "examples/ansible/baseline.yml"
    return subprocess.run(
        [control.program("ansible-playbook"), *words, str(playbook)],
        cwd=control.folder,
        env={
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_HOME": str(control.folder),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_COMMON_ARGS": " ".join(control.ssh_options),
            # A small server that knows no sftp; files go through the shell.
            "ANSIBLE_SSH_TRANSFER_METHOD": "piped",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PLAY_LIMIT,
    )


def wrong_records(control: Control) -> list[str]:
    """Compare the records that the playbook brought, and their baseline, with what they must be."""
    path = control.folder / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    records = {line["inventory_hostname"]: line["ansible_local"]["kvmppc"] for line in lines}
    wrong = []
    for host in MEMBERS:
        expected = {**host.record, "kernel": records[host.name]["kernel"]}
        wrong += [f"  {host.name}:{line}" for line in differences(expected, records[host.name])]
    done = subprocess.run(
        [control.program("kvmppc"), "baseline", "--json", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    said = json.loads(done.stdout)
    if {key: said[key] for key in BASELINE} != BASELINE:
        wrong.append(f"  baseline: {done.stdout.strip()} instead of {json.dumps(BASELINE)}")
    return wrong
