"""What the README and the pages show, carried out and compared; times and versions aside.

Where a page shows what is no longer true, tests/shared/pages.py writes it anew.
"""

import contextlib
import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT, Desk, blocks, is_run, is_shown

import kvmppc
from kvmppc.testing import simulated_host

CONSOLE = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "console"))
    if is_run(block)
]
PYTHON = [
    pytest.param(page, number, id=f"{page.name}-{number}")
    for page in PAGES
    for number, _ in enumerate(blocks(page, "python"))
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A place to try what the pages show."""
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.mark.parametrize("block", CONSOLE)
def test_the_commands_print_what_the_page_shows(desk, block):
    if "| jq" in block and not shutil.which("jq") and not os.environ.get("CI"):
        pytest.skip("jq is not installed")
    done = desk.carry_out(block)
    assert done, "a block in which no line begins with $"
    for command, shown, printed in done:
        assert is_shown(shown, printed), f"$ {command}\n{printed}"


@pytest.mark.parametrize(("page", "number"), PYTHON)
def test_the_python_of_a_page_runs(desk, capsys, monkeypatch, page, number):
    found = blocks(page, "python")
    code = found[number]
    monkeypatch.chdir(desk.folder)
    if "def test_" in code:
        # A test is run as one, after the page's imports.
        Path("test_page.py").write_text("import kvmppc\n" + code)
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
        assert subprocess.run(words, env=desk.environment, capture_output=True).returncode == 0
    elif code.startswith("Host("):
        monkeypatch.syspath_prepend(str(ROOT))
        lab = pytest.importorskip("tests.lab.hosts")
        assert eval(code, dict(vars(lab))).name == "power11-v2"
    else:
        with simulated_host("power11-as-power10"):
            exec(compile(code, str(page), "exec"), {"__name__": "page"})
        shown = blocks(page, "")[0] if page.name == "README.md" else None
        assert shown in (None, capsys.readouterr().out)


def test_the_errors_of_the_readme_are_raised():
    (session,) = blocks(ROOT / "README.md", "pycon")
    names = {"kvmppc": kvmppc}
    test = doctest.DocTestParser().get_doctest(session, names, "README", None, 0)
    with contextlib.redirect_stdout(sys.stderr):
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
