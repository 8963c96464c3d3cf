"""Parts of the lab: Debian packages of any suite and architecture, found, fetched and unpacked.

apt does the work, in a folder of its own for each suite and architecture, so that the machine's
own package lists stay as they are and no root is needed: it knows the mirror and the proxies,
checks signatures and hashes, and resolves dependencies. Nothing is installed: packages are
unpacked into folders, and none of their scripts runs.

A folder's name carries a hash over the hashes of the packages in it: a changed package makes a new
folder, an unchanged one is never fetched or unpacked again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kvmppc-lab"
INDEX_AGE = 24 * 3600
TRIES = 3


class LabError(Exception):
    """The lab cannot go on; the message is a sentence for the person who started it."""


class MissingError(LabError):
    """Packages cannot be had, although a suite lists them."""


def need_tools() -> None:
    """Raise LabError with the packages to install where a program is missing."""
    tools = {
        "apt-get": "apt",
        "dpkg-deb": "dpkg",
        "mke2fs": "e2fsprogs",
        "ssh": "openssh-client",
        "timeout": "coreutils",
    }
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    packages = sorted({tools[tool] for tool in tools if not shutil.which(tool, path=path)})
    if not KEYRING.exists():
        packages.append("debian-archive-keyring")
    if packages:
        raise LabError(f"the lab needs these Debian packages: apt-get install {' '.join(packages)}")


def carry_out(*commands: list[str]) -> None:
    """Run commands one after the other; LabError with what the first one that fails printed."""
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise LabError(f"{' '.join(command)} failed:\n{done.stdout.rstrip()}")


def mirror() -> str:
    """Return the Debian mirror that apt on this machine is configured to use."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    for line in listing.splitlines():
        label, _, uri = line.partition(" ")
        if label == "Debian":
            return uri
    raise LabError("apt on this machine knows no Debian mirror; run apt-get update and try again")


@dataclass(frozen=True)
class Deb:
    """One binary package file, as a suite's index describes it."""

    name: str
    sha256: str
    suite: Suite

    @property
    def package(self) -> str:
        """The package's name."""
        return self.name.partition("_")[0]

    @property
    def version(self) -> str:
        """The package's version; apt writes the ':' of an epoch as %3a in a file's name."""
        return self.name.split("_")[1].replace("%3a", ":")


class Suite:
    """A Debian suite as seen by one architecture, with its package lists in the cache."""

    def __init__(self, cache: Path, name: str, arch: str, refresh: bool = False) -> None:
        self.name = name
        self.arch = arch
        self.root = cache / "suites" / f"{name}-{arch}"
        self.debs = cache / "debs"
        self._options = self._settings(arch)
        stamp = self.root / "fetched"
        if refresh or not stamp.exists() or time.time() - stamp.stat().st_mtime > INDEX_AGE:
            self._start()
            self._apt("update", "-q")
            stamp.touch()

    def _settings(self, arch: str) -> list[str]:
        """Return apt's settings for this suite; on the command line they outrank all files."""
        settings = {
            "APT::Architecture": arch,
            "APT::Architectures": arch,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::Check-Valid-Until": "false",
            "Acquire::ForceHash": "SHA256",
            "Acquire::Languages": "none",
            "Dir::Cache": self.root,
            "Dir::Cache::pkgcache": "pkgcache.bin",
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": self.root / "parts",
            "Dir::Etc::sourcelist": self.root / "sources.list",
            "Dir::Etc::sourceparts": self.root / "parts",
            "Dir::State": self.root,
            "Dir::State::status": self.root / "status",
        }
        return [f"--option={key}={value}" for key, value in settings.items()]

    def _start(self) -> None:
        """Make the folders and files that apt expects to find."""
        for folder in ("lists/partial", "archives/partial", "parts"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        source = f"deb [signed-by={KEYRING}] {mirror()} {self.name} main\n"
        (self.root / "sources.list").write_text(source)

    def _apt(self, *args: str, tool: str = "apt-get", tries: int = TRIES) -> str:
        """Run an apt tool on this suite and return what it printed; LabError if it will not."""
        for attempt in range(1, tries + 1):
            done = subprocess.run(
                [tool, *self._options, *args],
                cwd=self.root,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if done.returncode == 0:
                return done.stdout
            if attempt < tries:
                time.sleep(2 * attempt)
        why = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["E: no word"]
        raise LabError(f"{tool} {args[0]} failed for suite {self.name}: {why[0][2:].strip()}")

    def names(self, prefix: str) -> list[str]:
        """Return the names of all packages that begin with `prefix`."""
        return self._apt("pkgnames", prefix, tool="apt-cache").split()

    def closure(self, *packages: str) -> list[Deb]:
        """Return the packages and all that they depend on."""
        return self._uris("install", "--yes", "--print-uris", *packages)

    def only(self, *packages: str) -> list[Deb]:
        """Return the packages without their dependencies."""
        return self._uris("download", "--print-uris", *packages)

    def _uris(self, *args: str) -> list[Deb]:
        pattern = r"^'[^']*' (\S+) \d+ SHA256:([0-9a-f]{64})$"
        found = re.findall(pattern, self._apt(*args, tries=1), re.MULTILINE)
        return [Deb(name, sha256, self) for name, sha256 in found]

    def fetch(self, debs: list[Deb]) -> list[Deb]:
        """Download those of `debs` that the cache has not yet; apt checks their hashes.

        Return those that cannot be had: a mirror that is behind lists what it does not have.
        """
        wanted = [deb for deb in debs if not (self.debs / deb.name).exists()]
        if not wanted:
            return []
        # What is there of an earlier try that was broken off may be half a file.
        for deb in wanted:
            (self.root / deb.name).unlink(missing_ok=True)
        with contextlib.suppress(LabError):  # what did arrive is looked at below
            self._apt("download", "-q", *(f"{deb.package}={deb.version}" for deb in wanted))
        self.debs.mkdir(exist_ok=True)
        for deb in wanted:
            if (self.root / deb.name).exists():
                (self.root / deb.name).replace(self.debs / deb.name)
        return [deb for deb in wanted if not (self.debs / deb.name).exists()]


def key_of(*things: str) -> str:
    """Return a short hash that names a thing made from `things`."""
    return hashlib.sha256("\n".join(things).encode()).hexdigest()[:12]


def fresh(cache: Path, name: str, key: str) -> tuple[Path, Path]:
    """Return where the thing `name` with `key` belongs, and a clean place to make it first.

    It is moved when it is complete, so that nothing half made is ever taken for whole. Things of
    the same name with other keys are older and go.
    """
    final = cache / f"{name}-{key}"
    draft = cache / f"{name}.new"
    if not final.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.iterdir():
            if re.fullmatch(rf"{re.escape(name)}(-[0-9a-f]{{12}}|\.new)", old.name):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
    return final, draft


def extract(debs: list[Deb], folder: Path) -> None:
    """Extract `debs`, which are in the cache, into `folder`."""
    # With merged /usr these are links; what a package still has in /lib must land behind them.
    for link in ("bin", "sbin", "lib", "lib64"):
        (folder / "usr" / link).mkdir(parents=True, exist_ok=True)
        (folder / link).symlink_to(f"usr/{link}")
    for deb in debs:
        path = deb.suite.debs / deb.name
        if hashlib.sha256(path.read_bytes()).hexdigest() != deb.sha256:
            path.unlink()
            raise LabError(
                f"{deb.name} in the cache was damaged and is removed; start the lab again"
            )
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as data:
            command = ["tar", "-x", "--keep-directory-symlink", "-C", str(folder)]
            subprocess.run(command, stdin=data.stdout, check=True)
