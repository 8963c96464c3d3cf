"""The build with what distributions have: the right wheel, or one sentence on what to install.

Needs pyenv's Pythons. What each builder is made of comes from PyPI; the build itself is offline.
"""

import os
import shutil
import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

PYTHONS = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")

# Python, setuptools, wheel (which setuptools has in itself from 70.1 on) and cffi of each.
BUILDERS = {
    "RHEL 8": ("3.9", "50.3.2", "0.35.1", "1.14.3"),
    "RHEL 9": ("3.9", "53.0.0", "0.36.2", "1.14.5"),
    "RHEL 9, Python 3.11": ("3.11", "65.5.1", "0.38.4", "1.15.1"),
    "Debian 12": ("3.11", "66.1.1", "0.38.4", "1.15.1"),
    "Ubuntu 22.04": ("3.10", "59.6.0", "0.37.1", "1.15.0"),
    "Ubuntu 24.04": ("3.12", "68.1.2", "0.42.0", "1.16.0"),
    "RHEL 10": ("3.12", "69.0.3", "0.41.2", "1.16.0"),
    "Fedora": ("3.13", "74.1.3", None, "1.17.1"),
    "Debian 13": ("3.13", "78.1.0", None, "1.17.1"),
}
DEBIAN_12 = BUILDERS["Debian 12"]

PYTHON_TOOLS = (
    "install python3-setuptools python3-wheel python3-cffi (Debian, RHEL with CRB, SUSE)"
    " or py3-setuptools py3-wheel py3-cffi (Alpine)."
)
C_TOOLS = (
    "install gcc libc6-dev linux-libc-dev python3-dev (Debian),"
    " gcc glibc-devel kernel-headers python3-devel (RHEL),"
    " gcc glibc-devel linux-glibc-devel python3-devel (SUSE)"
    " or gcc musl-dev linux-headers python3-dev (Alpine)."
)


class Builder:
    """A Python with nothing but the given versions of what builds packages."""

    def __init__(self, folder, python, setuptools, wheel=None, cffi=None):
        found = sorted(PYTHONS.glob(f"{python}.*/bin/python"))
        if not found and not os.environ.get("CI"):
            pytest.skip(f"pyenv has no Python {python}")
        self.python = str(found[-1])
        self.folder = folder
        wanted = {"setuptools": setuptools, "wheel": wheel, "cffi": cffi}
        names = [f"{name}=={version}" for name, version in wanted.items() if version]
        if cffi:
            names.append("pycparser")
        pip = [self.python, "-m", "pip", "install", "-q", "--no-deps", "--target", folder / "tools"]
        subprocess.run([*pip, *names], check=True, stderr=subprocess.DEVNULL)
        self.environment = {**os.environ, "PYTHONPATH": str(folder / "tools")}

    def run(self, *words, prefix=(), **environment):
        """Runs this Python. -S: of what is installed, it sees what the builder is made of."""
        return subprocess.run(
            [*prefix, self.python, "-S", *words],
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
        )

    def wheel(self, sources):
        """Builds as distributions do, with what there is and no network."""
        out = self.folder / "out"
        words = "pip wheel -q --no-index --no-deps --no-build-isolation --wheel-dir".split()
        subprocess.run([self.python, "-m", *words, out, sources], env=self.environment, check=True)
        (wheel,) = out.iterdir()
        return wheel

    def sentence(self, sources, **options):
        """The last line of a build that must fail, as every tool that builds a wheel starts it."""
        code = f"import os; os.chdir({str(sources)!r}); import setuptools.build_meta as backend; "
        code += f"backend.build_wheel({str(self.folder / 'out')!r})"
        done = self.run("-c", code, **options)
        assert done.returncode == 1
        assert not list((self.folder / "out").glob("*"))
        return done.stderr.splitlines()[-1]


@pytest.fixture
def own_sources(sources, tmp_path):
    """The sources, for a build that leaves something behind in them."""
    return shutil.copytree(sources, tmp_path / "sources")


@pytest.mark.parametrize("versions", BUILDERS.values(), ids=BUILDERS)
def test_each_builder_makes_the_right_wheel(own_sources, tmp_path, versions):
    builder = Builder(tmp_path, *versions)
    wheel = builder.wheel(own_sources)
    machine = os.uname().machine
    assert wheel.name == f"kvmppc-0.1.0-cp39-abi3-linux_{machine}.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    package = {
        str(path.relative_to(own_sources))
        for path in (own_sources / "kvmppc").rglob("*")
        if path.is_file() and path.suffix != ".c"
    }
    modules = {f"kvmppc/{name}.abi3.so" for name in ("_native", "_fast", "_simhost")}
    files = {name for name in archive.namelist() if name.startswith("kvmppc/")}
    assert files == package | modules
    (metadata,) = (tmp_path / "installed").glob("*.dist-info/METADATA")
    metadata = Parser().parsestr(metadata.read_text())
    assert (metadata["Name"], metadata["Version"]) == ("kvmppc", "0.1.0")
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata.get_all("Requires-Dist")[0].replace("'", '"').startswith("cffi")
    found = f"{tmp_path}/tools:{tmp_path}/installed"
    done = builder.run("-m", "kvmppc", "-q", "--simulate", "power11-as-power10", PYTHONPATH=found)
    assert (done.stdout, done.stderr) == ("power10\n", "")


def test_nothing_of_an_earlier_build_gets_into_the_wheel(own_sources, tmp_path):
    builder = Builder(tmp_path, *DEBIAN_12)
    (own_sources / "kvmppc/gone.py").touch()
    builder.wheel(own_sources).unlink()
    (own_sources / "kvmppc/gone.py").unlink()
    with zipfile.ZipFile(builder.wheel(own_sources)) as archive:
        assert "kvmppc/__init__.py" in archive.namelist()
        assert "kvmppc/gone.py" not in archive.namelist()


def test_no_cffi_stops_the_build(own_sources, tmp_path):
    python, setuptools, wheel, _ = DEBIAN_12
    assert Builder(tmp_path, python, setuptools, wheel).sentence(own_sources) == (
        f"kvmppc is built with cffi, which this Python does not have: {PYTHON_TOOLS}"
    )


def test_no_wheel_stops_a_build_that_needs_it(own_sources, tmp_path):
    python, setuptools, _, cffi = DEBIAN_12
    assert Builder(tmp_path, python, setuptools, None, cffi).sentence(own_sources) == (
        "kvmppc is built with wheel, which setuptools 66 needs and this Python does not have:"
        f" {PYTHON_TOOLS}"
    )


def test_a_setuptools_that_is_too_old_stops_the_build(own_sources, tmp_path):
    assert Builder(tmp_path, "3.9", "47.3.2", "0.35.1", "1.14.3").sentence(own_sources) == (
        f"kvmppc is built with setuptools 50.3 or later, and this is 47.3.2: {PYTHON_TOOLS}"
    )


# 3.6 is the python3 of RHEL 8 and SUSE 15.
@pytest.mark.parametrize("python", ["3.6", "3.8"])
def test_an_older_python_is_refused_by_name(own_sources, tmp_path, python):
    assert Builder(tmp_path, python, "50.3.2").sentence(own_sources) == (
        f"kvmppc needs Python 3.9 or later; this is Python {python}."
    )


def test_no_compiler_stops_the_build(own_sources, tmp_path):
    assert Builder(tmp_path, *DEBIAN_12).sentence(own_sources, CC="gcc-of-nobody") == (
        f"kvmppc cannot be compiled, there is no gcc-of-nobody: {C_TOOLS}"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a folder")
@pytest.mark.parametrize("header", ["Python.h", "linux/kvm.h", "stdlib.h"])
def test_missing_headers_stop_the_build(own_sources, tmp_path, header):
    builder = Builder(tmp_path, *DEBIAN_12)
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    python = builder.run("-c", code).stdout.strip()
    hidden = {"Python.h": python, "linux/kvm.h": "/usr/include/linux", "stdlib.h": "/usr/include"}
    script = f'mount -t tmpfs none {hidden[header]} && exec "$@"'
    prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    assert builder.sentence(own_sources, prefix=prefix) == (
        f"kvmppc cannot be compiled, gcc does not find {header}: {C_TOOLS}"
    )
