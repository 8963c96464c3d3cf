"""kvmppc baseline --format html, as a browser shows it."""

import subprocess
import sys
from pathlib import Path

import pytest
from htmlpages import WIDTHS, cells, check_look, choose, shown, type_into

KVMPPC = Path(sys.executable).with_name("kvmppc")
KINDS = ("power11-v2", "power11-as-power10", "power10", "power11-as-power9", "no-permission")
HOSTS = {f"lpar{number:03}.example.com": KINDS[number % 5] for number in range(500)}
HOSTILE = [
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 1">',
    "' onmouseover='window.pwned = 1' '",
    "<style>body { display: none }</style>",
    "</li></ul></td></tr></tbody></table><h1>all is well</h1>",
    "&lt;b&gt; &amp; &#60;",
    "javascript:window.pwned=1",
    "snow\N{SNOWMAN}man \N{RIGHT-TO-LEFT OVERRIDE}\0\x1b[31m",
]


def page(path, lines):
    """The page that the command makes of a file of records."""
    path.with_suffix(".jsonl").write_text(lines)
    words = [KVMPPC, "baseline", "--format", "html", path.with_suffix(".jsonl")]
    with path.open("wb") as file:
        # What standard output is encoded in must not matter.
        subprocess.run(words, stdout=file, stderr=subprocess.PIPE, env={"LC_ALL": "C"})
    return path


@pytest.fixture(scope="module")
def many(records, tmp_path_factory):
    return page(tmp_path_factory.mktemp("pages") / "many.html", records(HOSTS))


@pytest.fixture
def opened(browser, many):
    """The browser with the page of 500 hosts open."""
    browser.size(1280)
    browser.scheme("light")
    browser.open(many)
    return browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_has_no_barriers_and_fits(browser, barriers, many, tmp_path, width, scheme):
    check_look(browser, barriers, many, tmp_path, width, scheme)


def test_the_checker_would_find_a_barrier(opened, barriers):
    opened.run("document.querySelector('label').replaceWith(document.createElement('input'))")
    assert len(barriers()) >= 1


def test_light_and_dark_differ(browser, many, tmp_path):
    browser.size(360)
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        browser.open(many)
        color = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert color == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]


def test_it_has_all_hosts_with_what_they_grant(opened):
    assert sorted(shown(opened)) == sorted(HOSTS)
    assert cells(opened, "lpar001.example.com") == ["yes", "yes", "no"]


def test_it_asks_for_nothing_but_itself(opened, many):
    opened.log("performance")
    opened.open(many)
    messages = [line["message"] for line in opened.log("performance")]
    requests = [message for message in messages if "Network.requestWillBeSent" in message]
    assert len(requests) == 1
    assert many.as_uri() in requests[0]
    assert opened.log("browser") == []


def test_a_name_filters(opened):
    type_into(opened, "name", "PAR01")
    assert sorted(shown(opened)) == [f"lpar01{digit}.example.com" for digit in range(10)]
    assert opened.run("return document.querySelector('output').textContent") == "10 of 500 hosts"
    assert "2 of 200 hosts" not in opened.run("return document.body.innerText")
    opened.keys("nobody")
    assert shown(opened) == []


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("yes:power11", {"power11-v2"}),
        ("no:power10", {"power11-as-power9"}),
        ("unknown", {"no-permission"}),
        ("", set(KINDS)),
    ],
)
def test_a_mode_filters(opened, word, kinds):
    choose(opened, word)
    assert {HOSTS[name] for name in shown(opened)} == kinds
    assert len(shown(opened)) == 100 * len(kinds)


def test_the_headings_stay(opened):
    opened.run("for (const details of document.querySelectorAll('details')) details.open = true")
    opened.run("scrollTo(0, document.body.scrollHeight / 2)")
    top = opened.run("return document.querySelector('thead th').getBoundingClientRect().top")
    assert top == 0


def test_the_keyboard_reaches_all_that_can_be_done(opened):
    reached = []
    for _ in range(8):
        opened.keys("\ue004")  # Tab
        reached.append(opened.run("return document.activeElement.localName"))
    assert reached[:3] == ["input", "select", "summary"]
    opened.run("document.querySelector('details:not([open]) summary').focus()")
    opened.keys("\ue007")  # Enter
    assert opened.run("return document.activeElement.parentElement.open")


def test_all_names_are_printed(opened, tmp_path):
    assert opened.run("return document.querySelectorAll('details:not([open])').length") > 0
    opened.pdf(tmp_path / "page.pdf")
    assert opened.run("return document.querySelectorAll('details:not([open])').length") == 0


def test_without_its_script_it_shows_all(browser, many, tmp_path):
    plain = tmp_path / "plain.html"
    plain.write_text(many.read_text().replace('"use strict"', "syntax error"))
    browser.open(plain)
    assert sorted(shown(browser)) == sorted(HOSTS)
    assert browser.run("return document.querySelector('form').offsetHeight") == 0
    browser.log("browser")


@pytest.fixture
def hostile(browser, records, tmp_path):
    lines = records(dict.fromkeys(HOSTILE, "power10"))
    browser.size(1280)
    browser.open(page(tmp_path / "hostile.html", lines))
    return browser


def test_names_are_text_whatever_is_in_them(hostile, barriers):
    assert hostile.run("return window.pwned === undefined")
    assert hostile.run("return document.querySelectorAll('img, h1 ~ h1').length") == 0
    assert hostile.run("return document.querySelectorAll('script, style').length") == 2
    seen = shown(hostile)
    assert seen[: len(HOSTILE) - 1] == HOSTILE[:-1]
    assert seen[-1] == "snow\N{SNOWMAN}man \\u202e\\x00\\x1b[31m"
    assert hostile.log("browser") == []
    assert barriers() == []


def test_what_gets_in_all_the_same_does_not_run(hostile):
    hostile.run(
        "const script = document.createElement('script');"
        "script.textContent = 'window.pwned = 1';"
        "document.body.append(script);"
        "document.body.insertAdjacentHTML('beforeend',"
        ' \'<img src=x onerror="window.pwned = 1"><b style="color: red">b</b>\')'
    )
    assert hostile.run("return window.pwned === undefined")
    refused = [line["message"] for line in hostile.log("browser")]
    assert len([line for line in refused if "Content Security Policy" in line]) >= 3
