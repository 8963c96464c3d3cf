"""Compiles the benchmark's C, for the Python that runs it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent


def compile_shared(source: str, folder: str) -> str:
    """Compiles a file of this folder to a shared object, and gives its path."""
    target = os.path.join(folder, source.replace(".c", ".so"))
    compiler = os.environ.get("CC", "gcc")
    flags = ["-O2", "-Wall", "-Wextra", "-shared", "-fPIC"]
    include = f"-I{sysconfig.get_paths()['include']}"
    subprocess.run([compiler, *flags, include, str(HERE / source), "-o", target], check=True)
    return target


def load_rivals(folder: str) -> ModuleType:
    """The hand-written extension and the floors."""
    path = compile_shared("rivals.c", folder)
    spec = importlib.util.spec_from_file_location("rivals", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
