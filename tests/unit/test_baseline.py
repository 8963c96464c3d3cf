"""kvmppc baseline: what the hosts of a fleet have in common, for people and for scripts."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from program import PROGRAM

import kvmppc
from kvmppc import GRANTABLE
from kvmppc.cli import main
from kvmppc.commands import progress
from kvmppc.commands.progress import Progress
from kvmppc.testing import simulated_host


def record(host, **changes):
    """The record of a simulated host, as a real one would have it."""
    with simulated_host(host):
        return {**kvmppc.probe().to_dict(), "simulated": None, "hostname": host, **changes}


@pytest.fixture
def fleet(tmp_path):
    """Writes the records of simulated hosts to a file, a line each."""

    def fleet(*hosts, more=""):
        path = tmp_path / "fleet.jsonl"
        path.write_text("".join(json.dumps(record(host)) + "\n" for host in hosts) + more)
        return str(path)

    return fleet


EXITS = {
    "a common mode": (["power10", "power11"], 0, 0),
    "no common mode": (["power9", "powervm-power11"], 1, 1),
    "one host that cannot tell": (["power10", "linux-6.12"], 3, 0),
    "none in common, and one that cannot tell": (["power9", "powervm-power11", "no-device"], 3, 1),
    "no host that can tell": (["no-permission"], 3, 3),
}


@pytest.mark.parametrize("case", EXITS)
def test_the_exit_code_tells_what_is_common(fleet, case):
    hosts, code, code_without_unknown = EXITS[case]
    assert main(["baseline", fleet(*hosts)]) == code
    assert main(["baseline", "--ignore-unknown", fleet(*hosts)]) == code_without_unknown


def test_bad_input_is_told_and_the_rest_is_counted(fleet, capsys):
    path = fleet("power10", "linux-6.12", more="oops\n")
    assert main(["baseline", "--json", "--ignore-unknown", path]) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        f"kvmppc: {path}: line 3 is not a record (oops); "
        "expected the output of kvmppc probe --json\n"
    )
    assert json.loads(captured.out)["newest"] == "power10"


def test_a_file_with_nothing_right_in_it_does_not_fill_the_screen(fleet, capsys):
    assert main(["baseline", fleet(more="{}\n" * 500)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 21
    assert captured.err.endswith("kvmppc: and 480 more of these\n")
    assert "no answer from 500 of 500 hosts" in captured.out


def test_a_value_of_megabytes_does_not_fill_the_screen(fleet, capsys):
    more = json.dumps(record("power10", status="x" * 9_000_000, hostname="y" * 9_000_000)) + "\n"
    assert main(["baseline", fleet("power11", more=more)]) == 2
    captured = capsys.readouterr()
    assert len(captured.err) < 1000
    assert len(captured.out) < 1000


def test_programs_get_one_line_of_json(fleet, capsys):
    path = fleet("power10", "power11", "no-permission")
    assert main(["baseline", "--json", path]) == 3
    reason = f"denied: {record('no-permission')['reason']}"
    both, all_modes = ["power10", "power11"], ["power9", "power10", "power11"]
    granting = {"power9": both, "power10": both, "power11": ["power11"]}
    lacking = {"power11": ["power10"]}
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "hosts": 3,
        "known": 2,
        "modes": ["power9", "power10"],
        "newest": "power10",
        "blockers": [{"mode": m, "hostnames": lacking.get(m, both)} for m in GRANTABLE[2:]],
        "unknown": [{"hostname": "no-permission", "reason": reason}],
        "groups": [
            {"status": "known", "modes": all_modes[:2], "hostnames": ["power10"]},
            {"status": "known", "modes": all_modes, "hostnames": ["power11"]},
            {"status": "denied", "modes": None, "hostnames": ["no-permission"]},
        ],
        "missing": None,
        "unexpected": None,
        "by_mode": [{"mode": m, "hostnames": granting.get(m, [])} for m in GRANTABLE],
        "by_host": [
            {"hostname": name, "status": status, "modes": modes, "reason": why, "place": place}
            for name, status, modes, why, place in (
                ("power10", "known", all_modes[:2], None, f"{path}:1"),
                ("power11", "known", all_modes, None, f"{path}:2"),
                ("no-permission", "denied", None, reason, f"{path}:3"),
            )
        ],
    }


EXPECTED = {
    "a name a line": "power10\npower11  # the newest\n\n# all\n",
    "an array": '["power10", "power11"]',
    "an inventory": json.dumps(
        {
            "_meta": {"hostvars": {"power10": {}}},
            "all": {"children": ["ungrouped"]},
            "ungrouped": {"hosts": ["power10", "power11"]},
        }
    ),
    "UTF-16": "power10\npower11\n".encode("utf-16"),
    "UTF-16 without a mark": "power10\npower11\n".encode("utf-16-le"),
    "UTF-32": "power10\npower11\n".encode("utf-32"),
}


@pytest.fixture
def expected(tmp_path):
    """Writes a file of expected hosts."""

    def expected(content):
        path = tmp_path / "expected"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return expected


@pytest.mark.parametrize("form", EXPECTED)
def test_all_that_are_expected_are_there(fleet, expected, form, capsys):
    path = fleet("power10", "power11")
    assert main(["baseline", "--expect", expected(EXPECTED[form]), path]) == 0
    assert capsys.readouterr().out.endswith("expected   all hosts are there, and no others\n")


@pytest.mark.parametrize("options", [[], ["--ignore-unknown"]])
def test_who_is_missing_and_who_is_not_expected_is_told(fleet, expected, options, capsys):
    path = fleet("power10", "power11")
    words = ["baseline", *options, "--expect", expected("power10\nlpar5\n"), path]
    assert main(words) == 3
    text = capsys.readouterr().out
    cells = rf"( +\?){{{len(GRANTABLE)}}}"
    assert re.search(rf"\nlpar5{cells} +the host is expected, but there is no record of it\n", text)
    assert text.endswith("expected   missing: lpar5; not expected: power11\n")
    assert main([*words, "--format", "html"]) == 3
    assert "missing: lpar5; not expected: power11" in capsys.readouterr().out
    assert main([*words, "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert (answer["hosts"], answer["known"]) == (3, 2)
    assert (answer["missing"], answer["unexpected"]) == (["lpar5"], ["power11"])
    reason = "the host is expected, but there is no record of it"
    assert answer["unknown"] == [{"hostname": "lpar5", "reason": reason}]
    assert answer["by_host"][-1]["status"] == "missing"


NO_NAMES = {
    "nothing": ("", "no host names found; expected one name per line"),
    "an INI inventory": ("[lpars]\nlpar1\n", "not JSON; expected one name per line"),
    "YAML": ("all:\n  hosts: x\n", "'hosts: x' is not a host name; expected one name per line"),
    "numbers": ("[1]", "the array has values that are not names; expected"),
    "an object": ("{}", "no host names found; expected"),
    "brackets without end": ("[" * 99999, "not JSON; expected"),
    "a zip file": (b"PK\x03\x04", "this is a zip file, not records"),
}


@pytest.mark.parametrize("kind", NO_NAMES)
def test_what_has_no_names_is_told(fleet, expected, kind, capsys):
    content, reason = NO_NAMES[kind]
    path = expected(content)
    assert main(["baseline", "--expect", path, fleet("power10")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"kvmppc: {path}: {reason}")
    assert captured.err.count("\n") == 1


def test_a_file_of_too_many_names_is_told(fleet, expected, monkeypatch, capsys):
    names = "power10\npower11\n"
    words = ["baseline", "--expect", expected(names), fleet("power10", "power11")]
    monkeypatch.setattr("kvmppc.fleet.expected._LIMIT", len(names))
    assert main(words) == 0
    monkeypatch.setattr("kvmppc.fleet.expected._LIMIT", len(names) - 1)
    assert main(words) == 2
    assert "longer than 15 characters; give one name per line\n" in capsys.readouterr().err


def test_a_file_of_names_that_is_not_there_is_told(fleet, capsys):
    assert main(["baseline", "--expect", "/nowhere", fleet("power10")]) == 2
    assert capsys.readouterr().err == (
        "kvmppc: /nowhere: cannot be read: No such file or directory\n"
    )


@pytest.mark.parametrize("form", ["text", "json", "html", "markdown"])
def test_a_file_gets_what_standard_output_would_get(fleet, tmp_path, form, capsys):
    path, out = fleet("power10", "power11"), tmp_path / "out"
    assert main(["baseline", "--format", form, path]) == 0
    shown = capsys.readouterr().out
    assert main(["baseline", "--format", form, "--output", str(out), path]) == 0
    assert capsys.readouterr().out == ""
    assert out.read_text() == shown


def test_a_dash_is_standard_output(fleet, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = fleet("power10")
    assert main(["baseline", "--json", path]) == 0
    printed = capsys.readouterr().out
    assert main(["baseline", "--json", "--output", "-", path]) == 0
    assert capsys.readouterr().out == printed
    assert not Path("-").exists()


def test_an_interrupted_command_leaves_the_file_as_it_was(tmp_path):
    out = tmp_path / "out"
    out.write_text("before")
    with subprocess.Popen(
        [PROGRAM, "baseline", "--json", "--output", out, "-"], stdin=subprocess.PIPE
    ) as process:
        process.stdin.write((json.dumps(record("power10")) + "\n").encode() * 1000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        process.wait()
    assert process.returncode in (130, -signal.SIGINT)
    assert out.read_text() == "before"
    assert os.listdir(tmp_path) == ["out"]


FLEETS = Path(__file__).parents[2] / "docs" / "fleets.md"


@pytest.mark.skipif(not FLEETS.exists(), reason="needs the documentation beside the tests")
def test_the_loop_over_ssh_of_the_documentation_loses_nobody(tmp_path, capsys):
    loop = re.search(r"```sh\n(for host in .*?)```", FLEETS.read_text(), re.DOTALL)[1]
    (tmp_path / "lpar1").write_text(json.dumps(record("power10", hostname="lpar1")) + "\n")
    (tmp_path / "lpar2").write_text(json.dumps(record("power11", hostname="lpar2"))[:300])
    ssh = tmp_path / "ssh"
    ssh.write_text(
        '#!/bin/sh\nfor word in "$@"; do case $word in lpar*) host=$word;; esac; done\n'
        'case $host in lpar3) exit 255;; lpar4) exit 127;; esac\ncat "$host"\n'
        'test "$host" = lpar1\n'
    )
    ssh.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", "-c", loop], cwd=tmp_path, env={"PATH": path}, check=True)
    assert main(["baseline", "--json", str(tmp_path / "fleet.jsonl")]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["known"] == 1
    assert [(host["hostname"], host["reason"]) for host in answer["unknown"]][1:] == [
        ("lpar2", "the query failed: ssh ended with exit code 1"),
        ("lpar3", "the query failed: ssh ended with exit code 255"),
        ("lpar4", "the query failed: ssh ended with exit code 127"),
    ]


def test_people_get_a_table(fleet, capsys):
    assert main(["baseline", fleet("power10", "powervm-power11")]) == 0
    out, err = capsys.readouterr()
    heading, *rows = [line.split() for line in out.partition("\n\n")[0].splitlines()]
    assert heading == ["host", *GRANTABLE]
    assert rows[0] == ["power10", "yes", "yes", *("-" for _ in GRANTABLE[2:])]
    assert rows[1] == ["powervm-power11", "-", "yes", "yes", *("-" for _ in GRANTABLE[3:])]
    assert "\n\ncommon     power10 (newest)\npower11    not granted by power10\n" in out
    assert err == ""


def test_a_plan_warns_of_records_as_a_baseline_does(fleet, tmp_path, capsys):
    with simulated_host("power10"):
        simulated = kvmppc.probe().to_json() + "\n"
    path = fleet("power10", "power10", more=simulated)
    (tmp_path / "guest.xml").write_text("<domain type='kvm'><os><type>hvm</type></os></domain>")
    main(["baseline", path])
    warnings = capsys.readouterr().err
    assert warnings.count("\n") == 2
    main(["plan", str(tmp_path / "guest.xml"), "--fleet", path])
    assert capsys.readouterr().err == warnings


def test_records_of_simulated_hosts_are_told(fleet, capsys):
    more = json.dumps(record("power10", simulated="power10")) + "\n"
    assert main(["baseline", fleet("power11", more=more)]) == 0
    assert capsys.readouterr().err == "kvmppc: 1 of 2 records come from simulated hosts\n"


def test_a_hostname_of_two_records_is_told(fleet, capsys):
    path = fleet("power10", "power11")
    assert main(["baseline", "--json", path, path]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["hosts"] == 4
    assert captured.err == (
        "kvmppc: 2 names are in several records; each counts: "
        f"power10 in {path}:1 and {path}:1; power11 in {path}:2 and {path}:2\n"
    )


@pytest.mark.parametrize("words", [[], [""], ["a\0b"]])
def test_without_records_the_command_is_not_understood(words, capsys):
    assert main(["baseline", *words]) == 2
    assert "RECORD" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["baseline"], ["plan", "guest.xml", "--fleet"]])
def test_a_python_without_sqlite_is_told(words, fleet, tmp_path, monkeypatch, capsys):
    (tmp_path / "guest.xml").write_text("<domain><os><type>hvm</type></os></domain>")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    assert main([*words, fleet("power10")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "kvmppc: this Python has no SQLite (" in captured.err
    assert "; install its module sqlite3" in captured.err


def test_standard_input_is_read_while_it_comes():
    lines = [json.dumps(record(name)) + "\n" for name in ("power10", "power11")]
    run = subprocess.run(
        [PROGRAM, "baseline", "-", "--json"], input="".join(lines).encode(), capture_output=True
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert json.loads(run.stdout)["hosts"] == 2


def test_a_closed_standard_error_is_no_obstacle(fleet):
    path = fleet("power10", "power11")
    run = subprocess.run(
        f'"{PROGRAM}" baseline "{path}" --json 2>&-', shell=True, stdout=subprocess.PIPE
    )
    assert run.returncode == 0
    assert json.loads(run.stdout)["newest"] == "power10"


class Terminal(io.StringIO):
    """A terminal, as far as Progress can tell."""

    def isatty(self):
        return True


def test_a_short_work_shows_no_progress():
    terminal = Terminal()
    line = Progress(terminal)
    line.show(0.5, "5 records")
    line.clear()
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_without_a_terminal_there_is_no_progress(stream, monkeypatch):
    monkeypatch.setattr(progress, "_WAIT", 0)
    line = Progress(stream)
    line.show(0.5, "5 records")
    line.clear()
    assert stream is None or stream.getvalue() == ""


@pytest.mark.parametrize(
    ("done", "shown"),
    [
        (0.5, "[###############               ]  50%  5 records"),
        (7.0, "[##############################] 100%  5 records"),
        (None, "5 records"),
    ],
)
def test_a_long_work_shows_how_far_it_is_and_clears_it_away(done, shown, monkeypatch):
    monkeypatch.setattr(progress, "_WAIT", 0)
    terminal = Terminal()
    line = Progress(terminal)
    line.show(done, "5 records")
    line.show(done, "too soon after")
    line.clear()
    line.clear()
    assert terminal.getvalue() == f"\r\x1b[K{shown}\r\x1b[K"


def test_a_slow_fleet_shows_its_progress_on_a_terminal():
    ours, theirs = os.openpty()
    lines = (json.dumps(record("power10")) + "\n").encode() * 256
    with subprocess.Popen(
        [PROGRAM, "baseline", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        # However long the command takes to start: records come until it shows something.
        while not select.select([ours], [], [], 0.1)[0]:
            process.stdin.write(lines)
            process.stdin.flush()
        process.stdin.close()
        process.wait()
        shown = os.read(ours, 4096).decode()
    os.close(ours)
    os.close(theirs)
    assert re.match(r"\r\x1b\[K[\d,]+ records\r\x1b\[K", shown)
