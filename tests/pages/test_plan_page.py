"""kvmppc plan --format html, as a browser shows it."""

import subprocess
import sys
from html import escape
from pathlib import Path

import pytest
from htmlpages import WIDTHS, cells, check_look, choose, shown, type_into

KVMPPC = Path(sys.executable).with_name("kvmppc")
HOSTS = {
    **{f"new{number:02}": "power11-v2" for number in range(20)},
    **{f"old{number:02}": "power11-as-power10" for number in range(70)},
    "silent": "no-permission",
    "<script>window.pwned = 1</script>": "power11-as-power9",
}
CPUS = {
    "plain": "",
    "fixed": "<cpu mode='host-model'><model>power9</model></cpu>",
    "newest": "<cpu mode='host-model'><model>power11</model></cpu>",
}
HOSTILE = "'\"><img src=x onerror='window.pwned = 1'>"
GUESTS = {f"{kind}{number}": cpu for number in range(4) for kind, cpu in CPUS.items()}
GUESTS[HOSTILE] = ""


@pytest.fixture(scope="module")
def path(records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    (folder / "fleet.jsonl").write_text(records(HOSTS))
    for number, (name, cpu) in enumerate(GUESTS.items()):
        (folder / f"{number}.xml").write_text(
            f"<domain type='kvm'><name>{escape(name)}</name><os><type arch='ppc64le' "
            f"machine='pseries'>hvm</type></os>{cpu}</domain>"
        )
    words = ["plan", folder, "--fleet", folder / "fleet.jsonl", "--page-size", "64k"]
    with (folder / "plan.html").open("wb") as file:
        subprocess.run([KVMPPC, *words, "--format", "html"], stdout=file, env={"LC_ALL": "C"})
    return folder / "plan.html"


@pytest.fixture
def opened(browser, path):
    browser.size(1280)
    browser.scheme("light")
    browser.open(path)
    return browser


def headings(browser):
    """The letters of the columns that are shown."""
    return browser.run(
        "return [...document.querySelectorAll('thead a')].filter((a) => a.offsetWidth)"
        ".map((a) => a.textContent).join('')"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_has_no_barriers_and_fits(browser, barriers, path, tmp_path, width, scheme):
    check_look(browser, barriers, path, tmp_path, width, scheme)


def test_it_tells_of_each_guest_and_host(opened):
    assert sorted(shown(opened)) == sorted(GUESTS)
    hosts = opened.run(
        "return [...document.querySelectorAll('[data-column] li')].map((item) => item.textContent)"
    )
    assert sorted(hosts) == sorted(HOSTS)
    assert cells(opened, "newest0") == ["yes", "no", "unknown", "no"]
    assert "<model>power9</model>" in opened.run("return document.querySelector('pre').textContent")


def test_names_are_text_whatever_is_in_them(opened):
    assert HOSTILE in shown(opened)
    assert opened.run("return window.pwned === undefined")
    assert opened.run("return document.querySelectorAll('img').length") == 0
    assert opened.log("browser") == []


def test_guests_and_hosts_are_filtered_by_name(opened):
    type_into(opened, "name", "newest")
    assert sorted(shown(opened)) == [f"newest{number}" for number in range(4)]
    assert headings(opened) == "ABCD"
    type_into(opened, "column", "OLD")
    assert headings(opened) == "B"


def test_guests_are_filtered_by_what_is_true_of_them(opened):
    choose(opened, "write")
    assert {name.rstrip("0123456789") for name in shown(opened)} == {"plain", "newest", HOSTILE}


@pytest.mark.parametrize("width", WIDTHS)
def test_headings_stay_on_both_sides(browser, path, width):
    browser.size(width)
    browser.open(path)
    moved = browser.run(
        "for (const details of document.querySelectorAll('details')) details.open = true;"
        "const box = document.querySelector('.wide'); box.scrollTo(50, 300);"
        "const edge = box.getBoundingClientRect();"
        "const top = document.querySelector('thead th').getBoundingClientRect().top - edge.top;"
        "const side = document.querySelector('tbody th').getBoundingClientRect().left - edge.left;"
        "return [box.scrollTop, top, side]"
    )
    # The border is 1 wide.
    assert moved == [300, 1, 1]


def test_the_keyboard_scrolls_the_table(opened):
    opened.run("document.querySelector('.wide').focus()")
    assert opened.run("return document.activeElement.className") == "wide"
