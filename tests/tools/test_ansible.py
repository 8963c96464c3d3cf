"""The playbook of examples/ansible, carried out by ansible-core on this machine.

The hosts of its inventory are this machine with a simulated host each, so that
they answer differently. The lab has it on emulated Power hosts, over ssh.
"""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAYBOOK = ROOT / "examples" / "ansible" / "baseline.yml"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def ansible_playbook():
    path = shutil.which("ansible-playbook", path=f"{BIN}:{os.environ['PATH']}")
    if path is None:
        pytest.fail("ansible-playbook is not installed; it is in the package ansible-core")
    return path


def packed(name, folder):
    """An installed package as a wheel again: nothing is compiled or fetched."""
    package = distribution(name)
    tag = email.message_from_string(package.read_text("WHEEL"))["Tag"]
    path = folder / f"{name}-{package.version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in package.files:
            if "__pycache__" not in file.parts and ".." not in file.parts:
                archive.write(file.locate(), str(file))
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return packed("kvmppc", tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def play(ansible_playbook, wheel, tmp_path):
    """Runs the playbook on hosts, a simulated one by each name, and keeps Ansible's cache."""

    def play(*words, source=wheel, **hosts):
        inventory = {
            name: {
                # Nobody listens on the first port of this machine.
                "ansible_connection": "ssh" if name == "off" else "local",
                "ansible_host": "127.0.0.1",
                "ansible_port": 1,
                "kvmppc_facts": str(tmp_path / "facts" / name),
                "kvmppc_probe_args": ["--simulate", simulated],
                # Where there is no such host, there is no way to install anything.
                "kvmppc_venv": sys.prefix if simulated else "/proc/nowhere",
            }
            for name, simulated in hosts.items()
        }
        variables = {
            "ansible_python_interpreter": sys.executable,
            "kvmppc_command": str(BIN / "kvmppc"),
            "kvmppc_records": str(tmp_path / "records.jsonl"),
            **({} if source is None else {"kvmppc_source": str(source)}),
        }
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": inventory}}))
        (tmp_path / "variables.json").write_text(json.dumps(variables))
        files = ["-i", tmp_path / "hosts.json", "-e", f"@{tmp_path}/variables.json", PLAYBOOK]
        return subprocess.run(
            [ansible_playbook, *files, *words],
            env={
                **os.environ,
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_HOME": str(tmp_path / "home"),
                "ANSIBLE_CACHE_PLUGIN": "jsonfile",
                "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "cache"),
                "ANSIBLE_NOCOLOR": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            cwd=tmp_path,
            text=True,
            capture_output=True,
        )

    return play


def baseline(path):
    """What kvmppc baseline makes of a path."""
    run = subprocess.run([BIN / "kvmppc", "baseline", "--json", path], stdout=subprocess.PIPE)
    return run.returncode, json.loads(run.stdout)


def test_the_playbook_ends_with_the_baseline(play, tmp_path):
    run = play(p10="power10", p11="power11-as-power9")
    assert run.returncode == 0, run.stdout + run.stderr
    shown = run.stdout[run.stdout.index("TASK [Show the baseline]") :]
    assert '"common     power9 (newest)"' in shown
    assert '"power10    not granted by p11"' in shown

    # The inventory's names, from the records that stay.
    code, result = baseline(tmp_path / "records.jsonl")
    assert (code, result["newest"]) == (0, "power9")
    assert result["blockers"][0] == {"mode": "power10", "hostnames": ["p11"]}

    # From Ansible's cache of facts, whose files have the inventory's names.
    code, result = baseline(tmp_path / "cache")
    assert (code, result["newest"]) == (0, "power9")
    assert result["blockers"][0] == {"mode": "power10", "hostnames": ["p11"]}

    # What is installed already is not changed by a second time.
    again = play(p10="power10", p11="power11-as-power9")
    assert re.findall(r"^changed: \[p1[01]\]", again.stdout, re.MULTILINE) == []


def test_the_playbook_ends_as_the_page_shows(play):
    run = play(alpha="power11-as-power10", beta="power11")
    pages = (ROOT / "docs/fleets.md").read_text()
    (shown,) = re.findall(r"^```console\n(TASK \[.*?)^```", pages, re.DOTALL | re.MULTILINE)
    assert shown in run.stdout


def test_a_host_that_fails_is_told_and_not_left_out(play, tmp_path):
    run = play(p10="power10", gone="", off="power10")
    assert run.returncode != 0
    shown = run.stdout[run.stdout.index("TASK [Show the baseline]") :]
    assert '"common     power9  power10 (newest)"' in shown
    assert "gone" in shown
    assert "off" in shown
    lines = map(json.loads, (tmp_path / "records.jsonl").read_text().splitlines())
    _, gone, off = lines
    assert "No such file or directory: '/proc/nowhere'" in gone["msg"]
    assert "Connection refused" in off["msg"]
    assert off["unreachable"]


def test_where_all_hosts_fail_there_still_are_records(play, tmp_path):
    run = play("--limit", "off", p10="power10", off="power10")
    assert run.returncode != 0
    (line,) = (tmp_path / "records.jsonl").read_text().splitlines()
    assert json.loads(line)["inventory_hostname"] == "off"


@pytest.mark.parametrize("source", [None, "kvmppc", "/nowhere/kvmppc-1.0.tar.gz", "/etc/passwd"])
def test_without_a_package_no_host_is_touched(play, tmp_path, source):
    run = play(source=source, p10="power10", p11="power11-as-power9")
    assert run.returncode != 0
    found = (
        "is not set for p10, p11" if source is None else f"is {source}, which is not exactly one"
    )
    assert f"kvmppc_source {found}" in run.stderr + run.stdout
    assert run.stdout.count("fatal: ") == 1
    assert "Create a virtual environment" not in run.stdout
    assert not (tmp_path / "facts").exists()


def test_without_kvmppc_on_this_machine_no_host_is_touched(play, tmp_path):
    run = play("-e", "kvmppc_command=/nowhere/kvmppc", p10="power10")
    assert run.returncode != 0
    assert "/nowhere/kvmppc cannot be run on this machine" in run.stderr + run.stdout
    assert not (tmp_path / "facts").exists()


def test_a_host_without_a_network_needs_wheels_alone(play, tmp_path):
    for name in ("kvmppc", "cffi", "pycparser"):
        packed(name, tmp_path)
    venv = {"kvmppc_venv": str(tmp_path / "venv"), "kvmppc_pip_args": ["--no-index"]}
    run = play("-e", json.dumps(venv), source=tmp_path / "*.whl", p10="power10")
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"common     power9  power10 (newest)"' in run.stdout
    assert (tmp_path / "venv/bin/kvmppc").exists()


def test_the_local_fact_is_a_program_of_two_lines():
    fact = PLAYBOOK.with_name("kvmppc.fact")
    assert os.access(fact, os.X_OK)
    assert len(fact.read_text().splitlines()) == 2
