"""The forms of kvmppc probe, and the file it can write them to."""

import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import PROGRAM

import kvmppc
from kvmppc import GRANTABLE, HostReport
from kvmppc.cli import main
from kvmppc.commands import UsageError
from kvmppc.commands.outputfile import write_file
from kvmppc.output import printable, report_metrics, report_shell, report_text
from kvmppc.testing import simulated_host, simulated_hosts

HOSTS = [host.name for host in simulated_hosts()]


def probed(name, **changes):
    with simulated_host(name):
        return HostReport.from_dict({**kvmppc.probe().to_dict(), **changes})


def probe(*words, host="power11-as-power10"):
    return main(["probe", "--simulate", host, *words])


# As long as they like, but for what a process can be given as an argument.
HOSTILE = st.text(max_size=40) | st.sampled_from(
    ["$(touch pwned)", "`touch pwned`", "'; touch pwned; '", "a\nb", "\\", '"', "\ud800", "\0"]
)


def evaluated(text, folder):
    """The variables after a real shell has evaluated the text, and what it said itself."""
    names = ["KVMPPC_" + name.upper() for name in probed("power10").to_dict()]
    script = 'set -eu; eval "$1"; printf "%s\\0" ' + " ".join(f'"${name}"' for name in names)
    run = subprocess.run(
        ["sh", "-c", script, "sh", text], cwd=folder, capture_output=True, check=True
    )
    assert run.stderr == b""
    return dict(zip(names, run.stdout.decode().split("\0")))


@pytest.mark.parametrize("host", HOSTS)
def test_a_shell_evaluates_to_the_record(host, tmp_path):
    report = probed(host)
    variables = evaluated(report_shell(report), tmp_path)
    record = report.to_dict()
    assert variables["KVMPPC_STATUS"] == record["status"]
    assert variables["KVMPPC_NEWEST"] == (record["newest"] or "")
    assert variables["KVMPPC_MODES"].split() == record["modes"]
    assert variables["KVMPPC_COMPAT_CAPABILITIES"] == (record["compat_capabilities"] or "")
    assert variables["KVMPPC_REASON"] == record["reason"]
    assert len(variables) == len(record)


@settings(max_examples=40)
@given(HOSTILE, HOSTILE)
def test_no_text_of_a_host_is_more_than_text_to_a_shell(tmp_path_factory, hostname, kernel):
    folder = tmp_path_factory.mktemp("shell")
    report = probed("power10", hostname=hostname, kernel=kernel)
    text = report_shell(report)
    variables = evaluated(text, folder)
    assert variables["KVMPPC_HOSTNAME"] == printable(hostname)
    assert variables["KVMPPC_KERNEL"] == printable(kernel)
    assert list(folder.iterdir()) == []
    assert all(re.match(r"KVMPPC_[A-Z_]+=", line) for line in text.splitlines())


SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\d+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\\n]|\\[\\"n])*)"')


def samples(text):
    """The samples of a text in Prometheus' format: name, labels and value."""
    found = []
    for line in text.split("\n")[:-1]:
        if not line.startswith("#"):
            name, labels, value = SAMPLE.fullmatch(line).groups()
            pairs = {
                label: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), raw)
                for label, raw in LABEL.findall(labels or "")
            }
            found.append((name, pairs, int(value)))
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_metrics_say_of_each_mode_whether_it_is_granted(host):
    report = probed(host)
    modes = {
        labels["mode"]: value
        for name, labels, value in samples(report_metrics(report))
        if name == "kvmppc_mode_granted"
    }
    known = {mode: int(mode in report.modes) for mode in (*GRANTABLE, *report.modes)}
    # Where the kernel did not answer, 0 would be as much of a guess as 1.
    assert modes == (known if report.status == "known" else {})


@pytest.mark.parametrize("host", HOSTS)
def test_metrics_have_one_status_of_all(host):
    report = probed(host)
    statuses = {
        labels["status"]: value
        for name, labels, value in samples(report_metrics(report))
        if name == "kvmppc_status"
    }
    assert sum(statuses.values()) == statuses[report.status] == 1
    assert len(statuses) == 6


@given(HOSTILE, HOSTILE)
def test_no_text_of_a_host_breaks_the_metrics(hostname, kernel):
    report = probed("power10", hostname=hostname, kernel=kernel)
    name, labels, value = samples(report_metrics(report))[0]
    assert (name, value) == ("kvmppc_info", 1)
    assert labels["hostname"] == printable(hostname)
    assert labels["kernel"] == printable(kernel)
    assert labels["simulated"] == "power10"
    assert report_metrics(report).encode().decode() == report_metrics(report)


def test_metrics_have_the_time_of_asking():
    report = probed("power10", time="2026-07-01T12:00:00Z")
    times = [sample for sample in samples(report_metrics(report)) if "timestamp" in sample[0]]
    assert times == [("kvmppc_probe_timestamp_seconds", {}, 1782907200)]


def test_each_metric_says_what_it_means_and_of_what_type_it_is():
    lines = report_metrics(probed("power10")).splitlines()
    names = {line.split("{")[0].split()[0] for line in lines if not line.startswith("#")}
    assert len(names) == 5
    for name in names:
        assert any(line.startswith(f"# HELP {name} ") for line in lines)
        assert f"# TYPE {name} gauge" in lines


@pytest.mark.parametrize(
    ("words", "begin"),
    [
        ([], "Simulated host power11-as-power10.\nhost "),
        (["--format", "text"], "Simulated host power11-as-power10.\nhost "),
        (["--format", "json"], '{"schema": 1, '),
        (["--json"], '{"schema": 1, '),
        (["--format", "shell"], "KVMPPC_SCHEMA=1\nKVMPPC_VERSION="),
        (["--format", "metrics"], "# HELP kvmppc_info "),
        (["--quiet"], "power10\n"),
    ],
)
def test_each_form_goes_to_standard_output_or_to_a_file(words, begin, tmp_path, capsys):
    path = tmp_path / "out"
    assert probe(*words) == 0
    assert capsys.readouterr().out.startswith(begin)
    assert probe(*words, "--output", str(path)) == 0
    assert capsys.readouterr() == ("", "")
    assert path.read_text().startswith(begin)
    assert probe(*words, "--output", "-") == 0
    assert capsys.readouterr().out.startswith(begin)


@pytest.mark.parametrize("words", [["--json", "--quiet"], ["--json", "--format", "shell"]])
def test_there_is_one_form_at_a_time(words, capsys):
    assert probe(*words) == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("host", HOSTS)
def test_with_exit_zero_the_status_is_in_the_record_alone(host, capsys):
    assert probe("--json", "--exit-zero", host=host) == 0
    assert json.loads(capsys.readouterr().out)["simulated"] == host


def test_a_file_that_cannot_be_written_is_an_error_in_spite_of_exit_zero(tmp_path, capsys):
    assert probe("--exit-zero", "--output", str(tmp_path)) == 2
    assert capsys.readouterr().err == f"kvmppc: cannot write {tmp_path}: Is a directory\n"


@pytest.mark.parametrize("path", ["missing/out", "file/out", "a\0b"])
def test_what_cannot_be_written_is_told_and_leaves_nothing(path, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert probe("--output", str(tmp_path / path)) == 2
    assert "kvmppc: cannot write " in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    run = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$0" --simulate power10 --output "$1"', PROGRAM, path],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.returncode == 2
    assert run.stderr == f"kvmppc: cannot write {path}: File too large\n"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_can_be_read_by_all_and_an_old_one_keeps_its_permissions(tmp_path):
    path = tmp_path / "out"
    before = os.umask(0o077)
    try:
        write_file(str(path), "new")
        assert mode_of(path) == 0o644
        path.chmod(0o640)
        write_file(str(path), "newer")
    finally:
        os.umask(before)
    assert mode_of(path) == 0o640
    assert path.read_text() == "newer"


def test_a_link_stays_and_leads_to_the_new_file(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("target")
    write_file(str(link), "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_file(str(pipe), "through")
    reader.join()
    assert got == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_reader_sees_the_whole_file_or_the_one_before(tmp_path):
    path = tmp_path / "out"
    texts = {letter * 100_000 for letter in "ab"}
    write_file(str(path), min(texts))
    done = threading.Event()

    def write():
        for text in sorted(texts) * 50:
            write_file(str(path), text)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_text())
    writer.join()
    assert seen <= texts
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_the_schema_that_is_printed_is_the_one_in_the_package(capsys):
    assert main(["probe", "--schema"]) == 0
    schema = Path(kvmppc.__file__).with_name("record.schema.json").read_text()
    assert capsys.readouterr().out == schema


def test_the_schema_is_written_where_output_says(capsys, tmp_path):
    assert main(["probe", "--schema", "--output", str(tmp_path / "schema")]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "schema").read_text())["type"] == "object"


def test_a_host_that_grants_no_mode_says_so():
    nothing = {"compat_capabilities": "0x0", "modes": [], "newest": None}
    assert "modes      none" in report_text(probed("power9", **nothing))


@pytest.mark.parametrize("name", ["loop", "folder/", "folder/.", "folder/.."])
def test_what_leads_to_no_file_is_refused(name, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="give the path of"):
        write_file(f"{tmp_path}/{name}", "text")
    assert sorted(os.listdir(tmp_path)) == ["folder", "loop"]


def test_a_system_without_o_path_writes_files_too(tmp_path):
    code = "import os, sys; del os.O_PATH; from kvmppc.commands.outputfile import write_file; "
    code += "write_file(sys.argv[1], 'text')"
    subprocess.run([sys.executable, "-c", code, "file"], check=True, cwd=tmp_path)
    assert (tmp_path / "file").read_text() == "text"
