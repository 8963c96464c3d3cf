"""The service and the timer of examples/systemd, read by systemd's own systemd-analyze."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "examples" / "systemd"
NAMES = sorted(path.name for path in UNITS.iterdir())
KVMPPC = Path(sys.executable).with_name("kvmppc")


@pytest.fixture(scope="module")
def analyze():
    path = shutil.which("systemd-analyze")
    if path is None:
        pytest.fail("systemd-analyze is not installed; it is in Debian's package systemd")
    return path


@pytest.fixture
def units(tmp_path):
    """The units, with the kvmppc of this environment and a folder of this test."""
    for name in NAMES:
        text = (UNITS / name).read_text().replace("/opt/kvmppc/bin/kvmppc", str(KVMPPC))
        text = text.replace("/var/lib/prometheus/node-exporter", str(tmp_path))
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in NAMES]


def verify(analyze, paths):
    run = subprocess.run([analyze, "verify", "--man=no", *paths], capture_output=True, text=True)
    return run.stdout + run.stderr or f"exit {run.returncode}" * bool(run.returncode)


def test_systemd_has_nothing_to_object_to(analyze, units):
    assert verify(analyze, units) == ""


def test_systemd_would_object(analyze, units):
    units[0].write_text(units[0].read_text().replace("Type=oneshot", "Type=oneshoot"))
    assert "oneshoot" in verify(analyze, units)


def test_the_timer_starts_the_service():
    assert [Path(name).stem for name in NAMES] == ["kvmppc-textfile"] * 2


def test_the_service_may_do_little(analyze, units):
    (service,) = [path for path in units if path.suffix == ".service"]
    run = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=40", service], capture_output=True
    )
    assert run.returncode == 0, run.stdout.decode()


def test_what_the_service_starts_writes_the_metrics(units, tmp_path):
    service = configparser.ConfigParser(strict=False, interpolation=None)
    service.optionxform = str
    service.read(tmp_path / "kvmppc-textfile.service")
    command = service["Service"]["ExecStart"].split()
    subprocess.run([*command, "--simulate", "power10"], check=True)
    assert re.search(
        r'^kvmppc_mode_granted{mode="power10"} 1$', (tmp_path / "kvmppc.prom").read_text(), re.M
    )
