"""The lab's command: boots real ppc64le kernels under emulation and asks them.

python3 -m tests.lab                      all hosts
python3 -m tests.lab power10 linux-6.12   these
python3 -m tests.lab power10 --run 'kvmppc probe'

It is started in the repository's root, on a Debian machine. Nothing is installed there and no root
is needed; what is fetched and made stays in the cache.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from tests.lab.hosts import HEADERS, HOSTS, KERNELS, Host
from tests.lab.images import Images, Kernel
from tests.lab.kernels.build import build
from tests.lab.parts import LabError, need_tools
from tests.lab.verdict import problems
from tests.lab.vm import Parts, Payload, Step, StoppedError, last_lines, run

SOURCE = Path(__file__).resolve().parents[2]
AT_ONCE = 2
# What is told in a sentence: the lab's own word, a full disk, a program that fails.
FAILURES = (LabError, OSError, subprocess.SubprocessError)


class Lab:
    """The run of some hosts: prepares parts, boots, keeps consoles of what failed."""

    def __init__(self, images: Images, payload: Payload, limit: float, folder: Path) -> None:
        self.images = images
        self.payload = payload
        self.limit = limit
        self.folder = folder
        self.wheels: dict[str, Path] = {}
        self.stop = threading.Event()
        self.logs = images.cache / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)

    def boot(self, host: Host) -> dict[str, Step]:
        """Boot one host and return its steps; its parts are made first where they are missing.

        Compiling is what takes longest under emulation: hosts without unit tests are given the
        wheel that another one has built against the same headers, where there is one by then.
        """
        # What one host makes the next one needs: one at a time, in this lab and in any other that
        # has the same cache, while others run.
        with (self.images.cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.stop.is_set():
                raise StoppedError
            say(f"{host.name}: preparing")
            parts = Parts(
                qemu=self.images.qemu(),
                kernel=self.kernel(host),
                headers=self.images.headers(host.headers, HEADERS[host.headers]),
                user_land=self.images.user_land(),
                root_disk=self.images.root_disk(),
            )
        payload = self.payload
        if not host.unit and host.headers in self.wheels:
            payload = replace(payload, package=self.wheels[host.headers])
        say(f"{host.name}: booting, to install {payload.package.name}")
        result = run(host, parts, payload, self.console(host), self.limit, self.stop)
        for name, data in result.wheels.items():
            wheel = self.folder / host.name / name
            wheel.parent.mkdir()
            wheel.write_bytes(data)
            self.wheels[host.headers] = wheel
        return result.steps

    def kernel(self, host: Host) -> Kernel:
        """Return the kernel of `host`, with the kvm.ko that is built for it in its place."""
        source = KERNELS[host.kernel]
        kernel = self.images.kernel(host.kernel, source.suites, source.flavour, source.oldest)
        if not host.kvm:
            return kernel
        release = kernel.vmlinuz.parent.name
        module = build(self.images, release, source.suites, host.kvm)
        return replace(kernel, modules={**kernel.modules, "kvm": module})

    def console(self, host: Host) -> Path:
        """Return where the console of `host` is written."""
        return self.logs / f"{host.name}.log"

    def check(self, host: Host) -> bool:
        """Boot one host, judge what it said, and tell how it went."""
        start = time.monotonic()
        try:
            wrong = problems(host, self.boot(host))
        except StoppedError:
            return False
        except FAILURES as error:
            wrong = [str(error)]
        seconds = time.monotonic() - start
        if not wrong:
            say(f"{host.name}: passed in {seconds:.0f} s")
            self.console(host).unlink(missing_ok=True)
            return True
        say("\n".join([f"{host.name}: FAILED after {seconds:.0f} s", *wrong]))
        if self.console(host).exists():
            say(f"{host.name}: console in {self.console(host)}")
        return False


def say(text: str) -> None:
    """Print progress, which is no part of a command's output."""
    sys.stderr.write(f"{text}\n")  # at once, since several threads say something


def check_all(lab: Lab, hosts: list[Host]) -> int:
    """Check the hosts, some at once; return the exit code."""
    # Those with most to do come first: the others can use what they build.
    hosts = sorted(hosts, key=lambda host: not host.unit)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results: list[Future[bool]] = [pool.submit(lab.check, host) for host in hosts]
        try:
            wait(results)
        except BaseException:
            lab.stop.set()
            raise
    passed = sum(result.result() for result in results)
    failed = len(hosts) - passed
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def run_command(lab: Lab, host: Host) -> int:
    """Run the payload's command in `host`, print what it printed and return its exit code."""
    try:
        steps = lab.boot(host)
    finally:
        lab.stop.set()
    step = steps.get("command")
    if steps["install"].code or step is None:
        raise LabError(f"kvmppc could not be installed\n{last_lines(lab.console(host))}")
    lab.console(host).unlink(missing_ok=True)
    print(step.out, end="", flush=True)
    print(step.err, end="", file=sys.stderr, flush=True)
    return step.code


def make_sdist(folder: Path) -> Path:
    """Build the repository's sdist in a throw-away environment."""
    say("making the sdist")
    python = str(folder / "venv/bin/python")
    for command in (
        [sys.executable, "-m", "venv", str(folder / "venv")],
        [python, "-m", "pip", "install", "--quiet", "build"],
        [python, "-m", "build", "--sdist", "--outdir", str(folder / "dist"), str(SOURCE)],
    ):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise LabError(f"the sdist could not be made:\n{done.stdout.rstrip()}")
    return next((folder / "dist").glob("*.tar.gz"))


def arguments() -> argparse.Namespace:
    """Return the command line, taken apart."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab",
        description="Boot real ppc64le kernels under emulation and check kvmppc's answers on them.",
    )
    parser.add_argument("host", nargs="*", help="hosts to check (default: all; see --list)")
    parser.add_argument("--run", metavar="COMMAND", help="run a command in one host instead")
    parser.add_argument("--list", action="store_true", help="list the hosts and exit")
    parser.add_argument("--cache", type=Path, default=home / "kvmppc-lab", metavar="DIR")
    parser.add_argument("--sdist", type=Path, metavar="FILE", help="install this (default: made)")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="for each host")
    parser.add_argument("--refresh", action="store_true", help="look for newer packages now")
    options = parser.parse_args()
    known = {host.name: host for host in HOSTS}
    unknown = [name for name in options.host if name not in known]
    if unknown:
        parser.error(f"no such host: {', '.join(unknown)}; there are {', '.join(known)}")
    if options.run is not None and len(options.host) != 1:
        parser.error("--run needs one host")
    options.hosts = [known[name] for name in options.host] or [h for h in HOSTS if h.default]
    return options


def interrupt(*_: object) -> None:
    """End the lab; another signal while it ends its machines would leave them running."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the lab and return the exit code."""
    options = arguments()
    if options.list:
        for host in HOSTS:
            print(f"{host.name:24}{host.kernel:16}{host.machine} -cpu {host.cpu}")
        return 0
    need_tools()
    cache = options.cache.resolve()
    with tempfile.TemporaryDirectory(prefix="kvmppc-lab-") as folder:
        sdist = options.sdist or make_sdist(Path(folder))
        payload = Payload(sdist, SOURCE, options.run or "")
        lab = Lab(Images(cache, options.refresh), payload, options.limit, Path(folder))
        if options.run is not None:
            return run_command(lab, options.hosts[0])
        return check_all(lab, options.hosts)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        sys.exit(main())
    except FAILURES as error:
        sys.exit(f"lab: {error}")
    except KeyboardInterrupt:
        sys.exit("lab: interrupted")
