"""The parts of the build that setup.cfg cannot express: cffi modules, wheel tag, build checks.

If the package cannot be built, the last line of the output says in one sentence what to install.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# pip builds before it reads python_requires. Python 3.6 must be able to parse this file.
if sys.version_info < (3, 9):  # noqa: UP036
    sys.exit("kvmppc needs Python 3.9 or later; this is Python {}.{}.".format(*sys.version_info))

import setuptools
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# A pure package reads records and cannot ask KVM. On Linux it is built only on request; other
# systems have no KVM to ask.
pure = not sys.platform.startswith("linux") or os.environ.get("KVMPPC_PURE") == "1"

# cffi compiles for the limited API, except on a debug or free-threaded CPython, which does not
# have it. The wheel's tag must match.
limited = not (hasattr(sys, "gettotalrefcount") or sysconfig.get_config_var("Py_GIL_DISABLED"))

PYTHON_TOOLS = (
    "python3-setuptools python3-wheel python3-cffi (Debian, RHEL with CRB, SUSE) "
    "or py3-setuptools py3-wheel py3-cffi (Alpine)"
)
C_TOOLS = (
    "gcc libc6-dev linux-libc-dev python3-dev (Debian), "
    "gcc glibc-devel kernel-headers python3-devel (RHEL), "
    "gcc glibc-devel linux-glibc-devel python3-devel (SUSE) "
    "or gcc musl-dev linux-headers python3-dev (Alpine)"
)


def check_python_tools() -> None:
    """Stops the build if setuptools would build a wrong package and report success."""
    needs_wheel = {"bdist_wheel", "dist_info"} & set(sys.argv)
    old = tuple(map(int, re.findall(r"\d+", setuptools.__version__)[:2]))
    if old < (50, 3):
        lack = f"with setuptools 50.3 or later, and this is {setuptools.__version__}"
    elif not pure and not (find_spec("cffi") and find_spec("_cffi_backend")):
        lack = "with cffi, which this Python does not have"
    elif old < (70, 1) and needs_wheel and not find_spec("wheel"):
        lack = f"with wheel, which setuptools {old[0]} needs and this Python does not have"
    else:
        return
    sys.exit(f"kvmppc is built {lack}: install {PYTHON_TOOLS}.")


class BuildFiles(build_py):
    """Copies the files after removing those of an earlier build, which may have had others."""

    def run(self) -> None:
        shutil.rmtree(Path(self.build_lib, "kvmppc"), ignore_errors=True)
        super().run()


class BuildModules(build_ext):
    """Compiles the modules after checking for the compiler and its headers."""

    def build_extensions(self) -> None:
        for header in ("stdlib.h", "linux/kvm.h", "Python.h"):
            self._check(header)
        for module in self.extensions:
            # The modules must not depend on the folder in which they are built.
            module.extra_compile_args.append(f"-fdebug-prefix-map={Path.cwd()}=.")
        super().build_extensions()

    def _check(self, header: str) -> None:
        """Stops the build if the compiler or a header that the modules include is missing."""
        compiler = self.compiler.compiler
        words = [*compiler, *(f"-I{path}" for path in self.compiler.include_dirs), "-E", "-"]
        question = f"#if !__has_include(<{header}>)\n#error\n#endif\n"
        try:
            done = subprocess.run(words, input=question, text=True, capture_output=True)
            lack = f"{compiler[0]} does not find {header}" if done.returncode else ""
        except OSError:
            lack = f"there is no {compiler[0]}"
        if lack:
            sys.exit(f"kvmppc cannot be compiled, {lack}: install {C_TOOLS}.")


def index_page() -> str:
    """Returns the README without its links into this folder, which an index page cannot follow."""
    text = Path("README.md").read_text(encoding="utf-8")
    return re.sub(r"\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", text)


check_python_tools()
modules: dict[str, Any] = {
    "cffi_modules": [f"build_ffi.py:{name}" for name in ("native", "fast", "simhost")]
}
tag = {"py_limited_api": "cp39"} if limited else {}
if pure:
    modules = {}
    # The tag names the platform: an index would offer a wheel for any platform to Linux too.
    tag = {"plat_name": sysconfig.get_platform()}
made = setuptools.setup(
    cmdclass={"build_py": BuildFiles, "build_ext": BuildModules},
    options={"bdist_wheel": tag},
    long_description=index_page(),
    long_description_content_type="text/markdown",
    **modules,
)
if not pure and not made.ext_modules:
    sys.exit(f"kvmppc was built without its compiled modules: install {PYTHON_TOOLS}.")
