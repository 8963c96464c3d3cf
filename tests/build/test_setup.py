"""setup.py: the wheel's tag, and systems that cannot work."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Runs setup.py up to what it asks of setuptools, which is printed.
ASKED = """
import json, runpy, sys, sysconfig, types
real = sysconfig.get_config_var
sysconfig.get_config_var = lambda name: {gil_disabled} if name == "Py_GIL_DISABLED" else real(name)
setuptools = types.ModuleType("setuptools")
setuptools.setup = lambda **asked: print(json.dumps(asked))
sys.modules["setuptools"] = setuptools
runpy.run_path("setup.py")
"""


@pytest.mark.parametrize(
    ("gil_disabled", "options"),
    [
        (0, {"bdist_wheel": {"py_limited_api": "cp39"}}),
        (None, {"bdist_wheel": {"py_limited_api": "cp39"}}),
        (1, {}),
    ],
)
def test_the_tag_is_for_the_limited_api_where_there_is_one(gil_disabled, options):
    code = ASKED.format(gil_disabled=gil_disabled)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["options"] == options


def test_another_system_stops_the_build_with_one_sentence():
    code = "import runpy, sys; sys.platform = 'darwin'; runpy.run_path('setup.py')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "kvmppc needs Linux: it asks KVM through /dev/kvm, and this is darwin.\n"
