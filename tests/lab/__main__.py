"""The lab's command: boots real ppc64le kernels under emulation and asks them.

python3 -m tests.lab                      all hosts
python3 -m tests.lab power10 linux-6.12   these
python3 -m tests.lab power10 --run 'kvmppc probe'

Run it in the root of the repository, on a Debian machine. It installs nothing there and does not
need root; downloads and built files stay in the cache.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import signal
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from tests.lab import fleet, migration
from tests.lab.hosts import HOSTS, Host
from tests.lab.images import Images
from tests.lab.lab import FAILURES, Lab, say
from tests.lab.parts import CACHE, LabError, carry_out, need_tools
from tests.lab.vm import Payload, last_lines

SOURCE = Path(__file__).resolve().parents[2]
AT_ONCE = 2


# Checks of more than one machine, by name.
OTHERS = {module.NAME: module for module in (fleet, migration)}


def check_all(lab: Lab, hosts: list[Host], others: list[str]) -> int:
    """Check the hosts, some at once, and then the others; return the exit code."""
    # Those that build come first, since the others use it: the headers that are not the usual ones
    # are those of an older kernel, where it takes less time. Then come those with most to do.
    hosts = sorted(hosts, key=lambda host: (not host.build, host.headers == "own", not host.guests))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results: list[Future[bool]] = [pool.submit(lab.check_host, host) for host in hosts]
        try:
            wait(results)
        except BaseException:
            lab.stop.set()
            raise
    passed = {host.name: result.result() for host, result in zip(hosts, results)}
    for name in others:
        module = OTHERS[name]
        passed[name] = lab.check(name, functools.partial(module.problems, lab), module.MACHINES)
    failed = [name for name, right in passed.items() if not right]
    names = f": {', '.join(failed)}" if failed else ""
    print(f"{len(passed) - len(failed)} passed, {len(failed)} failed{names}", flush=True)
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
    carry_out(
        [sys.executable, "-m", "venv", str(folder / "venv")],
        [python, "-m", "pip", "install", "--quiet", "build"],
        [python, "-m", "build", "--sdist", "--outdir", str(folder / "dist"), str(SOURCE)],
    )
    return next((folder / "dist").glob("*.tar.gz"))


def arguments() -> argparse.Namespace:
    """Return the command line, taken apart."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab",
        description="Boot real ppc64le kernels under emulation and check kvmppc's answers on them.",
    )
    parser.add_argument("host", nargs="*", help="hosts to check (default: all; see --list)")
    parser.add_argument("--run", metavar="COMMAND", help="run a command in one host instead")
    parser.add_argument("--list", action="store_true", help="list the hosts and exit")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument("--sdist", type=Path, metavar="FILE", help="the sdist (default: built)")
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="for hosts that build none")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="per host")
    parser.add_argument("--refresh", action="store_true", help="check for newer packages now")
    options = parser.parse_args()
    known = {host.name: host for host in HOSTS}
    names = [*known, *OTHERS]
    unknown = [name for name in options.host if name not in names]
    if unknown:
        parser.error(f"no such host: {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = options.host or [host.name for host in HOSTS if host.default] + [*OTHERS]
    options.hosts = [known[name] for name in wanted if name in known]
    options.others = [name for name in wanted if name in OTHERS]
    if options.run is not None and (len(options.host) != 1 or options.others):
        parser.error("--run needs one host")
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
            print(f"{host.name:26}{host.kernel:16}{host.machine} -cpu {host.cpu}")
        print(f"{fleet.NAME:26}{' and '.join(host.name for host in fleet.MEMBERS)}, over ssh")
        print(f"{migration.NAME:26}power10, moved to a Power11 in Power10 mode")
        return 0
    need_tools()
    cache = options.cache.resolve()
    with tempfile.TemporaryDirectory(prefix="kvmppc-lab-") as folder:
        sdist = options.sdist or make_sdist(Path(folder))
        shutil.unpack_archive(sdist, f"{folder}/source")
        source = next(Path(folder, "source").iterdir())
        payload = Payload(sdist, source, options.run or "")
        checks = len(options.hosts) + len(options.others)
        images = Images(cache, options.refresh)
        lab = Lab(images, payload, options.limit, Path(folder), checks, options.wheel)
        if options.run is not None:
            return run_command(lab, options.hosts[0])
        return check_all(lab, options.hosts, options.others)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        sys.exit(main())
    except FAILURES as error:
        sys.exit(f"lab: {error}")
    except KeyboardInterrupt:
        sys.exit("lab: interrupted")
