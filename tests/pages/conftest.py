"""The browser that looks at the pages, and the checker that looks for barriers."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from browser import Browser

import kvmppc
from kvmppc.testing import simulated_host

AXE = Path(sys.prefix, "node_modules/axe-core/axe.min.js")

COVERED = {"bgOverlap", "elmPartiallyObscured", "elmPartiallyObscuring"}


@pytest.fixture(scope="session")
def browser():
    path = shutil.which("chromedriver")
    if path is None or shutil.which("chromium") is None:
        pytest.fail("chromedriver is not installed; it is in Debian's package chromium-driver")
    with Browser(path) as browser:
        yield browser


@pytest.fixture(scope="session")
def barriers(browser):
    """Tells what axe-core objects to in the page that is open."""
    if not AXE.exists():
        pytest.fail(f"axe-core is missing; npm install --prefix {sys.prefix} axe-core@4 brings it")
    source = AXE.read_text()

    def barriers():
        browser.run(source)
        found = browser.run(
            "return axe.run().then((found) => [...found.violations, ...found.incomplete]"
            ".flatMap((rule) => rule.nodes.map((node) => [rule.help, node.html,"
            " ...node.any.map((check) => check.data?.messageKey ?? '')])))"
        )
        # What headings that stay lie over, its colors cannot be told; elsewhere they are the same.
        return [one for one in found if not COVERED & set(one)]

    return barriers


@pytest.fixture(scope="session")
def records():
    """Makes the lines of a file of records, of hosts by their names."""

    def records(hosts):
        known = {}
        for simulated in set(hosts.values()):
            with simulated_host(simulated):
                known[simulated] = kvmppc.probe().to_dict()
        return "".join(
            json.dumps({**known[simulated], "hostname": name, "simulated": None}) + "\n"
            for name, simulated in hosts.items()
        )

    return records
