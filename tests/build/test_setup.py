"""setup.py: the wheel's tag, and systems that have no KVM."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Runs setup.py up to what it asks of setuptools, which is printed.
ASKED = """
import json, os, runpy, setuptools.command.build_ext, sys, sysconfig, types
{before}
def setup(**asked):
    print(json.dumps(asked, default=str))
    return types.SimpleNamespace(ext_modules=["one"])
setuptools.setup = setup
runpy.run_path("setup.py")
"""
FREE_THREADED = """
real = sysconfig.get_config_var
sysconfig.get_config_var = lambda name: 1 if name == "Py_GIL_DISABLED" else real(name)
"""
DEBUG = "sys.gettotalrefcount = int"
DARWIN = "sys.platform = 'darwin'; sysconfig.get_platform = lambda: 'macosx-14.0-arm64'"


def asked(before):
    """What setup.py asks of setuptools, on a Python that is what `before` makes of this one."""
    words = [sys.executable, "-c", ASKED.format(before=before)]
    return json.loads(subprocess.check_output(words, cwd=ROOT))


@pytest.mark.parametrize(
    ("before", "tag"),
    [("", {"py_limited_api": "cp39"}), (FREE_THREADED, {}), (DEBUG, {})],
    ids=["common", "free-threaded", "debug"],
)
def test_the_tag_is_for_the_limited_api_where_there_is_one(before, tag):
    assert asked(before)["options"] == {"bdist_wheel": tag}


@pytest.mark.parametrize("before", [DARWIN, "os.environ['KVMPPC_PURE'] = '1'"])
def test_no_modules_where_there_is_no_kvm_or_none_is_wanted(before):
    pure = asked(before)
    assert "cffi_modules" not in pure
    assert pure["options"]["bdist_wheel"]["plat_name"].startswith(("macosx", "linux"))


@pytest.mark.parametrize("value", ["", "0", "yes"])
def test_linux_has_the_modules_unless_they_are_clearly_not_wanted(value):
    assert asked(f"os.environ['KVMPPC_PURE'] = {value!r}")["cffi_modules"]


def test_an_index_page_has_no_link_that_leads_nowhere():
    page = asked("")["long_description"]
    assert "docs/record.md" in (ROOT / "README.md").read_text()
    assert "](" not in page
