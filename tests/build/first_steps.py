"""Does what the README says, word for word, on a machine that has nothing yet.

    python3 -m tests.build.first_steps bookworm trixie

As root, on Debian with mmdebstrap: makes a root of each suite, puts the sources into it, and
carries out the README's commands and its Python there, in all suites at the same time. Prints the
last lines that they print. A suite ends at the first command that fails or prints something else
than the README has.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.parts import mirror

ROOT = Path(__file__).parents[2]
PLACE = "/root/kvmppc"
# What ssh, hooks and timers have for a PATH.
SHORT_PATH = "/usr/local/bin:/usr/bin:/bin"


def blocks(language: str) -> list[str]:
    """Return the README's blocks of code in a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def commands() -> list[tuple[str, str]]:
    """Return the commands to be given as root, and the last line that each must print."""
    found = [block.removeprefix("# ") for block in blocks("console") if block.startswith("# ")]
    return [
        (command, output.splitlines()[-1])
        for command, output in (block.split("\n...\n") for block in found)
    ]


def fresh_root(suite: str, folder: Path) -> None:
    """Make a Debian with nothing but apt, and the sources as a clone has them."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", suite, str(folder), mirror()]
    subprocess.run(command, check=True)
    place = folder / PLACE.lstrip("/")
    place.mkdir()
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    pack = ["tar", "-c", "--null", "--files-from=-"]
    packed = subprocess.run(pack, cwd=ROOT, input=files.stdout, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(place)], input=packed.stdout, check=True)


def carry_out(folder: Path, command: str, source: str = "") -> str:
    """Run a command in the root, as a shell in the folder of the sources; return what it printed.

    Ends the program, with the output, where the command fails.
    """
    mounts = f"mount -t proc proc {folder}/proc && mount --rbind /dev {folder}/dev"
    environment = "env -i HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8"
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    inside = f'{mounts} && exec chroot {folder} {environment} {path} sh -c "cd {PLACE} && $0"'
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", inside, command],
        input=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\n{command}\nended with {done.returncode}")
    return done.stdout


def expect(line: str, output: str) -> None:
    """Stop where a line of the README is not in what was printed; numbers may differ."""
    pattern = re.sub(r"\d+(\\\.\d+)?", r"[0-9.]+", re.escape(line))
    if not re.search(f"^{pattern}", output, re.MULTILINE):
        sys.exit(f"{output}\nThe README has another line:\n{line}")


def walk(suite: str) -> None:
    """Follow the README from its first command to its first Python."""
    with tempfile.TemporaryDirectory(prefix="kvmppc-") as name:
        folder = Path(name, suite)
        fresh_root(suite, folder)
        for command, last in commands():
            output = carry_out(folder, command)
            expect(last, output)
            command, printed = command.splitlines()[-1].strip(), output.splitlines()[-1]
            print(f"--- {suite}: {command}\n{printed}", flush=True)
        python = carry_out(folder, "/opt/kvmppc/bin/python3 -I -", blocks("python")[0])
        expected = blocks("")[0]
        if python != expected:
            sys.exit(f"{python}\nThe README has:\n{expected}")
        short = "cd / && PATH={} kvmppc -q --simulate power11-as-power10"
        expect("power10", carry_out(folder, short.format(SHORT_PATH)))


if __name__ == "__main__":
    with ThreadPoolExecutor() as pool:
        list(pool.map(walk, sys.argv[1:]))
