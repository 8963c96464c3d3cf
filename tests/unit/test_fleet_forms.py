"""kvmppc baseline --format markdown and html: what does not need a browser to be seen."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import GRANTABLE
from kvmppc.cli import main
from kvmppc.fleet import markdown
from kvmppc.fleet.fleetpage import fleet_html, fleet_markdown
from kvmppc.fleet.hosts import Answer, Fleet
from kvmppc.testing import simulated_host


def answer(name):
    with simulated_host(name):
        return Answer.of(kvmppc.probe())


POWER11, OLDER, SILENT = map(answer, ("power11-v2", "power11-as-power10", "no-permission"))


def lines(text):
    """Of Markdown, what is no table and what is: cells by row."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def test_a_few_hosts_have_a_row_each():
    with Fleet() as fleet:
        fleet.add("a", POWER11)
        fleet.add("b", OLDER)
        fleet.add("c", SILENT)
        text = "".join(fleet_markdown(fleet))
    assert text.startswith("- common: `power9  power10 (newest)`\n")
    heading, dashes, *rows = lines(text)
    assert heading == ["hosts", *GRANTABLE, "reason"]
    assert set(dashes) == {"---"}
    assert rows[0] == ["`b`", "yes", "yes", *("no" for _ in GRANTABLE[2:]), ""]
    assert rows[1] == ["`a`", "yes", "yes", "yes", *("no" for _ in GRANTABLE[3:]), ""]
    assert rows[2][:-1] == ["`c`", *("?" for _ in GRANTABLE)]
    assert rows[2][-1].startswith("`denied: open /dev/kvm: ")


def test_many_hosts_have_a_row_for_each_answer():
    with Fleet() as fleet:
        for number in range(60):
            fleet.add(f"a{number}", POWER11)
        fleet.add("b", OLDER)
        text = "".join(fleet_markdown(fleet))
    rows = lines(text)[2:]
    assert [row[0] for row in rows] == ["1 host: `b`", "60 hosts: `a0, a1, a2, a3, a4 and 55 more`"]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("lpar1", "`lpar1`"),
        ("@everybody <b> [x](y)", "`@everybody <b> [x](y)`"),
        ("a|b", r"`a\x7cb`"),
        ("a`b", "`` a`b ``"),
        ("```", "```` ``` ````"),
        ("", "`  `"),
        ("a\nb", r"`a\nb`"),
    ],
)
def test_text_is_code_in_markdown(text, span):
    assert markdown.code(text) == span


@given(st.text())
def test_no_text_ends_its_code_or_its_cell(text):
    span = markdown.code(text)
    fence = re.match("`+", span)[0]
    assert span.endswith(fence)
    inside = span[len(fence) : -len(fence)]
    assert fence not in re.findall("`+", inside)
    assert "|" not in span
    assert "\n" not in span


@given(st.text(max_size=60))
def test_the_page_is_ascii_and_has_no_tag_of_a_name(name):
    with Fleet() as fleet:
        fleet.add(name, POWER11)
        text = "".join(fleet_html(fleet))
    assert text.isascii()
    assert text.count("<li>") == 1
    item = text.partition("<li>")[2].partition("</li>")[0]
    assert not set("<>\"'") & set(item)
    assert text.count("<script>") == 1


def test_html_of_a_reason_is_text():
    record = {**SILENT.report.to_dict(), "reason": "<script>alert(1)</script>"}
    with Fleet() as fleet:
        fleet.add("a", Answer.of(kvmppc.HostReport.from_dict(record)))
        text = "".join(fleet_html(fleet))
    assert "<p>denied: &lt;script&gt;alert(1)&lt;/script&gt;</p>" in text


@pytest.mark.parametrize("form", ["html", "markdown", "json", "text"])
def test_the_command_has_the_exit_code_of_the_fleet(form, tmp_path, capsys):
    path = tmp_path / "fleet.jsonl"
    path.write_text(json.dumps({**OLDER.report.to_dict(), "hostname": "a"}))
    assert main(["baseline", "--format", form, str(path)]) == 0
    assert capsys.readouterr().out
