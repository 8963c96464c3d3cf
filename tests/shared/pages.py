"""The README and the pages as programs: their blocks of code, and the console that they show.

`.venv/bin/python tests/shared/pages.py` writes what the commands now print into the pages.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from program import PROGRAM

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# By a word of their first line: console blocks that other tests carry out, or nobody can at once.
ELSEWHERE = {
    "apt-get": "tests/build/first_steps.py, in fresh roots",
    "ansible-playbook": "tests/tools and the lab",
    "TASK [": "tests/tools and the lab",
    "million.jsonl": "a million records; tests/bench measures with as many",
}
# What the hosts of the pages' fleet answer as.
FLEET = {
    "lpar1": "power11",
    "lpar2": "power11-as-power10",
    "lpar3": "powervm-power11",
    "lpar4": "linux-6.12",
}
GUEST = """\
<domain type='kvm'>
  <name>guest</name>
  <memory unit='KiB'>1048576</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='ppc64le' machine='pseries-10.0'>hvm</type>
  </os>
  <cpu mode='host-passthrough' check='none'>
    <topology sockets='1' dies='1' cores='1' threads='1'/>
  </cpu>
</domain>
"""
# The guests of `kvmppc plan`, by what their domains say of the processor.
GUESTS = {
    "web1": "mode='host-passthrough'/>",
    "web2": "mode='host-passthrough'/>",
    "db1": "mode='host-model'><model>power10</model></cpu>",
}
# Other programs of the pages, as far as the pages use them.
PROGRAMS = {
    "virsh": f'#!/bin/sh\n[ "$1" = define ] || cat <<"EOF"\n{GUEST}EOF\n',
    "ssh": f"""#!{sys.executable}
import json, subprocess, sys
host, *command = sys.argv[1:]
simulated = {FLEET!r}[host]
record = json.loads(subprocess.check_output([*command, "--simulate", simulated]))
print(json.dumps({{**record, "hostname": host, "simulated": None}}))
""",
}
VARIABLE = r"\d{4}-\d\d-\d\dT[\d:]+Z|\b\d{10}\b|\b\d+\.\d+\.\d+\b"


def blocks(page, language):
    """The blocks of code in a language, in the order of the page."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def same(shown, printed):
    """Whether a page shows what was printed; "..." stands for anything."""
    pattern = re.escape(re.sub(VARIABLE, "*", shown.rstrip())).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, re.sub(VARIABLE, "*", printed.rstrip()), re.DOTALL) is not None


def same_json(shown, printed):
    """The same for JSON, which a page may indent in another way."""
    return same(*(re.sub(r"\s+", "", text) for text in (shown, printed)))


def steps(block):
    """The commands of a block, with what the page shows for each."""
    parts = re.split(r"^\$ (.*(?:\\\n.*)*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2]))


def is_run(block):
    """Whether a console block is carried out here."""
    first = block.partition("\n...")[0].splitlines()[0]
    return not any(word in first for word in ELSEWHERE)


class Desk:
    """A folder to work in, with kvmppc, the pages' other programs, and their fleet."""

    def __init__(self, folder):
        self.folder = folder
        tools = folder / "tools"
        tools.mkdir()
        for name, text in PROGRAMS.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        path = os.pathsep.join([str(tools), os.path.dirname(PROGRAM), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}
        (loop,) = [block for block in blocks(ROOT / "docs/fleets.md", "sh") if "done >" in block]
        subprocess.run(["sh", "-ec", loop], cwd=folder, env=self.environment, check=True)
        (folder / "guest.xml").write_text(GUEST)
        (folder / "guests").mkdir()
        for name, cpu in GUESTS.items():
            text = re.sub("<cpu .*</cpu>", f"<cpu {cpu}", GUEST, flags=re.DOTALL)
            (folder / f"guests/{name}.xml").write_text(text.replace(">guest<", f">{name}<"))

    def carry_out(self, block):
        """Runs a block's commands; returns each with what the page shows and what it printed."""
        commands = steps(block)
        # One shell for all, which marks where a command ends and keeps what it ended with.
        code = 'code=$?; echo "@@"; (exit $code)\n'
        script = "".join(f"{command}\n{code}" for command, _ in commands)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = done.stdout.split("@@\n")
        return [(*step, text) for step, text in zip(commands, printed)]


def is_shown(shown, printed):
    """Whether a page shows what a command printed."""
    return (same_json if shown.startswith("{") else same)(shown, printed)


def rewrite(page, desk):
    """Writes what the commands print into a page, where it shows something else."""

    def anew(found):
        if not is_run(found[1]):
            return found[0]
        text = "".join(
            f"$ {command}\n{shown if is_shown(shown, printed) else printed}"
            for command, shown, printed in desk.carry_out(found[1])
        )
        return f"```console\n{text}```"

    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r"^```console\n(.*?)^```", anew, text, flags=re.DOTALL | re.MULTILINE))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        for page in PAGES:
            rewrite(page, desk)
