"""A run of the lab: what is booted, with what, and how it went."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Callable

from tests.lab.hosts import HEADERS, KERNELS, Host
from tests.lab.images import Images, Kernel
from tests.lab.kernels.build import build
from tests.lab.parts import LabError, MissingError
from tests.lab.verdict import problems
from tests.lab.vm import Door, HungError, Parts, Payload, Step, StoppedError, run

# What is told in a sentence: the lab's own word, a full disk, a program that fails.
FAILURES = (LabError, OSError, subprocess.SubprocessError)


class Lab:
    """The run of some hosts: prepares parts, boots, keeps consoles of what failed."""

    def __init__(
        self,
        images: Images,
        payload: Payload,
        limit: float,
        folder: Path,
        checks: int,
        wheel: Path | None = None,
    ) -> None:
        self.images = images
        self.payload = payload
        self.wheel = wheel
        self.limit = limit
        self.folder = folder
        self.checks = checks
        self.wheels: dict[str, Path] = {}
        self.stop = threading.Event()
        self.ended = itertools.count(1)  # how many checks have come to their end
        self.logs = images.cache / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)

    def package(self, host: Host) -> Path:
        """Return what is installed in `host`.

        Some hosts build it. Compiling is what takes longest under emulation: the others are given
        the wheel that the lab was given, or the one that a host has built against the same
        headers, where there is one by then.
        """
        wheel = self.wheel or self.wheels.get(host.headers)
        return self.payload.package if host.build or wheel is None else wheel

    def prepared(self, host: Host) -> Parts:
        """Return what a host is made of; what is missing is made first.

        What one host makes the next one needs: one at a time, in this lab and in any other that
        has the same cache, while others run.
        """
        with self.images.locked():
            if self.stop.is_set():
                raise StoppedError
            say(f"{host.name}: preparing")
            return Parts(
                qemu=self.images.qemu(),
                kernel=self.kernel(host),
                headers=self.images.headers(host.headers, *HEADERS[host.headers]),
                user_land=self.images.user_land(),
                root_disk=self.images.root_disk(),
                programs={suite: self.images.program_disk(suite) for suite in host.suites},
            )

    def boot(
        self, host: Host, door: Door | None = None, stop: threading.Event | None = None
    ) -> dict[str, Step]:
        """Boot one host and return its steps; `stop` ends it, by default the lab's own."""
        parts = self.prepared(host)
        payload = replace(self.payload, package=self.package(host), door=door)
        say(f"{host.name}: booting, to install {payload.package.name}")
        result = run(host, parts, payload, self.console(host), self.limit, stop or self.stop)
        for name, data in result.wheels.items():
            wheel = self.folder / host.name / name
            wheel.parent.mkdir()
            wheel.write_bytes(data)
            self.wheels[host.headers] = wheel
        return result.steps

    def kernel(self, host: Host) -> Kernel:
        """Return the kernel of `host`, with the kvm.ko that is built for it in its place."""
        source = KERNELS[host.kernel]
        for kernel in self.images.kernels(host.kernel, source):
            if not host.kvm:
                return kernel
            release = kernel.vmlinuz.parent.name
            try:
                module = build(self.images, release, source.suites, host.kvm)
                return replace(kernel, modules={**kernel.modules, "kvm": module})
            except MissingError as error:
                say(str(error))
        raise LabError(
            f"Debian's {' or '.join(source.suites)} has no kernel {source.oldest} or newer "
            f"({source.flavour}) with all that is needed"
        )

    def headers(self, host: Host) -> str:
        """Return whose definitions the package there has; "" of a wheel that was brought here."""
        return "" if self.wheel and not host.build else host.headers

    def console(self, host: Host) -> Path:
        """Return where the console of `host` is written."""
        return self.logs / f"{host.name}.log"

    def check(self, name: str, judge: Callable[[], list[str]], machines: Sequence[Host]) -> bool:
        """Tell how a check of some machines goes; `judge` makes it and returns what is wrong."""
        start = time.monotonic()
        try:
            wrong = judge()
        except StoppedError:
            say(f"{name}: stopped")
            return False
        except FAILURES as error:
            wrong = [str(error)]
        seconds = time.monotonic() - start
        number = next(self.ended)
        if not wrong:
            say(f"{name}: passed in {seconds:.0f} s ({number} of {self.checks})")
            for host in machines:
                self.console(host).unlink(missing_ok=True)
            return True
        told = f"{name}: FAILED after {seconds:.0f} s ({number} of {self.checks})"
        say("\n".join([told, *wrong]))
        for host in machines:
            if self.console(host).exists():
                say(f"{name}: console in {self.console(host)}")
        return False

    def check_host(self, host: Host) -> bool:
        """Boot one host, judge what it said, and tell how it went."""

        def judge() -> list[str]:
            try:
                steps = self.boot(host)
            except HungError as error:
                # QEMU's emulation now and then hangs a host in the midst of its guest's run.
                if not host.guests:
                    raise
                say(f"{host.name}: {error}\n{host.name}: once more")
                steps = self.boot(host)
            return problems(host, steps, self.headers(host))

        return self.check(host.name, judge, [host])


def say(text: str) -> None:
    """Print progress, which is no part of a command's output."""
    sys.stderr.write(f"{text}\n")  # at once, since several threads say something
