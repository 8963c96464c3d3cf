"""What the README and the pages show, carried out and compared; times and versions aside.

Where a page shows what is no longer true, tests/shared/pages.py writes it anew.
"""

import contextlib
import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PAGES, ROOT, Desk, blocks, is_run, is_shown

import kvmppc
from kvmppc.commands import SUMMARIES
from kvmppc.commands.parsing import parser_of
from kvmppc.testing import simulated_host

CONSOLE = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "console"))
    if is_run(block)
]
SHELL = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(blocks(page, "sh"))
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


def named(code):
    """The kvmppc commands in a piece of code, as words."""
    found = re.findall(r"(?:^|[\s/'])kvmppc((?: +[^\s|&;<>'#]+)*)", code, re.MULTILINE)
    return [words.split() for words in found if words]


def assert_understood(words, *, whole):
    """Fails where a command, an option or a value is none that there is, or one is missing."""
    if words[0].startswith("-"):
        words = ["probe", *words]
    assert words[0] in SUMMARIES
    parser = parser_of(words[0], importlib.import_module(f"kvmppc.commands.{words[0]}"))
    for action in parser.actions():
        action.required = action.required and whole
    parser.read(words[1:])


@pytest.mark.parametrize("block", SHELL)
def test_a_shell_takes_the_block_and_kvmppc_its_words(block):
    done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    for words in named(block):
        assert_understood(words, whole=True)


@pytest.mark.parametrize("block", [one for one in SHELL if " fleet.jsonl" in one.values[0]])
def test_what_the_page_does_with_its_fleet_can_be_done(desk, block):
    if "jq" in block.split() and not shutil.which("jq") and not os.environ.get("CI"):
        pytest.skip("jq is not installed")
    script = f"set -o pipefail; {block}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=desk.folder, env=desk.environment, capture_output=True
    )
    # The exit code is that of the fleet's answer.
    assert (done.stderr, done.returncode in (0, 1, 3)) == (b"", True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_that_the_text_names_are_understood(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for code in re.findall(r"`([^`]+)`", text):
        for words in named(code):
            if words != ["--version"]:
                assert_understood(words, whole=False)


def test_the_places_of_the_page_are_read(desk):
    (places,) = blocks(ROOT / "docs/fleets.md", "text")
    (desk.folder / "places.txt").write_text(places)
    command = "kvmppc plan guests --fleet fleet.jsonl --places places.txt"
    done = subprocess.run(
        command.split(), cwd=desk.folder, env=desk.environment, capture_output=True
    )
    assert (done.stderr, done.returncode in (0, 1, 3)) == (b"", True)


def test_the_fact_of_the_page_is_that_of_the_example():
    fact = ROOT / "examples/ansible/kvmppc.fact"
    assert fact.read_text() in blocks(ROOT / "docs/fleets.md", "sh")


def test_every_block_is_of_a_kind_that_is_tested_here():
    kinds = {"", "console", "ini", "pycon", "python", "sh", "text"}  # ini: test_seccomp.py
    for page in PAGES:
        found = re.findall(r"^```(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(found) <= kinds, page.name


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
