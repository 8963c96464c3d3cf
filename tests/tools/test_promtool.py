"""Prometheus' own promtool takes what kvmppc probe --format metrics prints."""

import shutil
import subprocess

import pytest

import kvmppc
from kvmppc.output import report_metrics
from kvmppc.report import HostReport
from kvmppc.testing import simulated_host, simulated_hosts


@pytest.fixture(scope="module")
def promtool():
    path = shutil.which("promtool")
    if path is None:
        pytest.fail("promtool is not installed; it is in Debian's package prometheus")
    return path


def check(promtool, text):
    """What promtool objects to, "" for nothing."""
    run = subprocess.run(
        [promtool, "check", "metrics"],
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return run.stdout.decode() or f"exit {run.returncode}" * bool(run.returncode)


@pytest.mark.parametrize("host", [host.name for host in simulated_hosts()])
def test_promtool_has_nothing_to_object_to(promtool, host):
    with simulated_host(host):
        assert check(promtool, report_metrics(kvmppc.probe())) == ""


@pytest.mark.parametrize(
    "name", ['"', "\\", "\n", "a\\nb", "}", "{x=1}", "\N{SNOWMAN}", "\ud800", ""]
)
def test_promtool_takes_any_hostname(promtool, name):
    with simulated_host("power10"):
        record = {**kvmppc.probe().to_dict(), "hostname": name}
    assert check(promtool, report_metrics(HostReport.from_dict(record))) == ""


def test_promtool_would_object(promtool):
    assert "error while linting" in check(promtool, 'kvmppc_info{hostname="a"b"} 1\n')
