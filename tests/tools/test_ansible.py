"""The playbook of examples/ansible, carried out by ansible-core on this machine.

The hosts of its inventory are this machine with a simulated host each, so that
they answer differently. The lab has it on emulated Power hosts, over ssh.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLAYBOOK = Path(__file__).parents[2] / "examples" / "ansible" / "baseline.yml"
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def ansible_playbook():
    path = shutil.which("ansible-playbook", path=f"{BIN}:{os.environ['PATH']}")
    if path is None:
        pytest.fail("ansible-playbook is not installed; it is in the package ansible-core")
    return path


@pytest.fixture
def play(ansible_playbook, tmp_path):
    """Runs the playbook on hosts, a simulated one by each name, and keeps Ansible's cache."""

    def play(**hosts):
        inventory = {
            name: {
                "kvmppc_facts": str(tmp_path / "facts" / name),
                "kvmppc_probe_args": ["--simulate", simulated],
                # Where there is no such host, there is no way to install anything.
                "kvmppc_venv": sys.prefix if simulated else "/proc/nowhere",
            }
            for name, simulated in hosts.items()
        }
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "kvmppc_command": str(BIN / "kvmppc"),
            "kvmppc_records": str(tmp_path / "records.jsonl"),
        }
        (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": inventory}}))
        (tmp_path / "variables.json").write_text(json.dumps(variables))
        words = ["-i", tmp_path / "hosts.json", "-e", f"@{tmp_path}/variables.json", PLAYBOOK]
        return subprocess.run(
            [ansible_playbook, *words],
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
    assert '"power10    held back by p11"' in shown

    # The inventory's names, from the records that stay.
    code, result = baseline(tmp_path / "records.jsonl")
    assert (code, result["newest"]) == (0, "power9")
    assert result["blockers"][0] == {"mode": "power10", "hostnames": ["p11"]}

    # The hosts' own names, from Ansible's cache of facts.
    code, result = baseline(tmp_path / "cache")
    assert (code, result["newest"]) == (0, "power9")
    assert result["blockers"][0] == {"mode": "power10", "hostnames": ["power11-as-power9"]}

    # What is installed already is not changed by a second time.
    again = play(p10="power10", p11="power11-as-power9")
    assert [line for line in again.stdout.splitlines() if line.startswith("changed: [p1")] == []


def test_a_host_that_fails_is_told_and_not_left_out(play):
    run = play(p10="power10", gone="")
    assert run.returncode != 0
    shown = run.stdout[run.stdout.index("TASK [Show the baseline]") :]
    assert '"common     power9  power10 (newest)"' in shown
    assert "Ansible's facts of gone have no ansible_local.kvmppc" in shown


def test_the_local_fact_is_a_program_of_two_lines():
    fact = PLAYBOOK.with_name("kvmppc.fact")
    assert os.access(fact, os.X_OK)
    assert len(fact.read_text().splitlines()) == 2
