"""kvmppc baseline: what the hosts of a fleet have in common, for people and for scripts."""

import io
import json
import os
import re
import select
import subprocess

import pytest
from program import PROGRAM

import kvmppc
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
        f"kvmppc: {path}: line 3 is no record (oops); expected a record of kvmppc probe --json\n"
    )
    assert json.loads(captured.out)["newest"] == "power10"


def test_a_file_with_nothing_right_in_it_does_not_fill_the_screen(fleet, capsys):
    assert main(["baseline", fleet(more="{}\n" * 500)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 21
    assert captured.err.endswith("kvmppc: and 480 more of these\n")
    assert "500 of 500 cannot tell" in captured.out


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
    all_modes = ["power9", "power10", "power11"]
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "hosts": 3,
        "known": 2,
        "modes": ["power9", "power10"],
        "newest": "power10",
        "blockers": [{"mode": "power11", "hostnames": ["power10"]}],
        "unknown": [{"hostname": "no-permission", "reason": reason}],
        "groups": [
            {"status": "known", "modes": all_modes[:2], "hostnames": ["power10"]},
            {"status": "known", "modes": all_modes, "hostnames": ["power11"]},
            {"status": "denied", "modes": None, "hostnames": ["no-permission"]},
        ],
        "by_mode": [
            {"mode": "power9", "hostnames": ["power10", "power11"]},
            {"mode": "power10", "hostnames": ["power10", "power11"]},
            {"mode": "power11", "hostnames": ["power11"]},
        ],
        "by_host": [
            {"hostname": name, "status": status, "modes": modes, "reason": why, "place": place}
            for name, status, modes, why, place in (
                ("power10", "known", all_modes[:2], None, f"{path}:1"),
                ("power11", "known", all_modes, None, f"{path}:2"),
                ("no-permission", "denied", None, reason, f"{path}:3"),
            )
        ],
    }


def test_people_get_a_table(fleet, capsys):
    assert main(["baseline", fleet("power10", "powervm-power11")]) == 0
    assert capsys.readouterr() == (
        "host             power9  power10  power11\n"
        "power10          yes     yes      -\n"
        "powervm-power11  -       yes      yes\n"
        "\n"
        "common     power10 (newest)\n"
        "power11    held back by power10\n",
        "",
    )


def test_records_of_simulated_hosts_are_told(fleet, capsys):
    more = json.dumps(record("power10", simulated="power10")) + "\n"
    assert main(["baseline", fleet("power11", more=more)]) == 0
    assert capsys.readouterr().err == "kvmppc: 1 of 2 records are of simulated hosts\n"


def test_a_hostname_of_two_records_is_told(fleet, capsys):
    path = fleet("power10", "power11")
    assert main(["baseline", "--json", path, path]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["hosts"] == 4
    assert captured.err == (
        "kvmppc: 2 names are in more than one record, and each is counted: "
        f"power10 in {path}:1 and {path}:1; power11 in {path}:2 and {path}:2\n"
    )


@pytest.mark.parametrize("words", [[], [""], ["a\0b"]])
def test_without_records_the_command_is_not_understood(words, capsys):
    assert main(["baseline", *words]) == 2
    assert "RECORD" in capsys.readouterr().err


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
