"""Stands between libvirt and a QEMU, and makes it look like one that runs on a KVM host.

python3 relay.py PROCESSOR QEMU... -- OPTIONS...

libvirt asks an emulator by starting it without a machine and by talking to it over QMP. There is no
KVM where the tests run: this starts the real QEMU with TCG, hands everything on, and changes what
a KVM host with this PROCESSOR (a name of QEMU's, power10 say) would say otherwise: that there is
KVM, and that the processor of the host, under its own name and as the machines' default, is the
type `host`. A QEMU that does not know the processor has no such type, on a KVM host as here.
"""

import ctypes
import json
import os
import socket
import subprocess
import sys

HOST_TYPE = "host-powerpc64-cpu"
PR_SET_PDEATHSIG = 1


def taken_apart(options):
    """Return what QEMU is to be started with, the monitor's socket, the pid file and if KVM."""
    kept, monitor, pid_file, kvm = [], "", "", False
    words = iter(options)
    for word in words:
        if word == "-daemonize":
            continue
        value = next(words) if word in ("-qmp", "-pidfile", "-accel", "-machine") else ""
        if word == "-qmp":
            monitor = value.partition(",")[0].partition(":")[2]
        elif word == "-pidfile":
            pid_file = value
        elif word in ("-accel", "-machine"):
            kvm = kvm or "kvm" in value
        else:
            kept.append(word)
    return [*kept, "-machine", "none", "-accel", "tcg", "-qmp", "stdio"], monitor, pid_file, kvm


def as_on_a_kvm_host(question, answer, processor):
    """Return the answer to a question of QMP as a KVM host gives it; no processor, no type."""
    if question == "query-kvm":
        return {"enabled": True, "present": True}
    if question == "query-accelerators":
        return {"enabled": "kvm", "present": ["kvm", "tcg"]}
    if question == "query-machines" and processor:
        for machine in answer:
            if machine["name"].startswith("pseries"):
                machine["default-cpu-type"] = HOST_TYPE
    if question == "query-cpu-definitions" and processor:
        for model in answer:
            if model["name"].lower() == processor:
                model["typename"] = HOST_TYPE
        return [*answer, {"name": "host", "typename": HOST_TYPE, "static": False}]
    return answer


def relay(connection, qemu, change):
    """Hand on what either side says until one of them has no more to say."""
    with connection.makefile("rwb", buffering=0) as libvirt:
        libvirt.write(qemu.stdout.readline())
        for line in libvirt:
            qemu.stdin.write(line)
            qemu.stdin.flush()
            for answer in map(json.loads, qemu.stdout):
                if "return" in answer:
                    answer["return"] = change(json.loads(line)["execute"], answer["return"])
                libvirt.write(json.dumps(answer).encode() + b"\r\n")
                if "event" not in answer:
                    break
            else:
                return


def main():
    """Do as a QEMU does that is told to go into the background."""
    split = sys.argv.index("--")
    processor, *command = sys.argv[1:split]
    options, monitor, pid_file, kvm = taken_apart(sys.argv[split + 1 :])
    models = subprocess.run([*command, "-cpu", "help"], stdout=subprocess.PIPE, text=True).stdout
    known = processor if processor in models.lower().split() else ""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(monitor)
    listener.listen(1)
    if os.fork():
        return
    os.setsid()
    with open(pid_file, "w") as file:
        file.write(f"{os.getpid()}\n")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    libc = ctypes.CDLL(None)
    with subprocess.Popen(
        [*command, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, 9),  # libvirt ends this, not QEMU
    ) as qemu:
        connection, _ = listener.accept()
        relay(connection, qemu, lambda *words: as_on_a_kvm_host(*words, known) if kvm else words[1])
        qemu.kill()


main()
