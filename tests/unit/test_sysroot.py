"""--sysroot: what the files of another machine tell, and nothing of this one."""

import json
import os
import subprocess

import pytest
from program import PROGRAM

from kvmppc.cli import main

CPUINFO = """processor\t: 0
cpu\t\t: POWER10 (architected), altivec supported
clock\t\t: 2750.000000MHz
revision\t: 18.0 (pvr 0082 1200)

timebase\t: 512000000
platform\t: pSeries
model\t\t: IBM,9080-HEU
machine\t\t: CHRP IBM,9080-HEU
MMU\t\t: Radix
"""


@pytest.fixture
def sosreport(tmp_path):
    """What a sosreport of a partition has in it: no device tree, no page size."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(CPUINFO)
    (tmp_path / "sys/module/kvm_hv").mkdir(parents=True)
    (tmp_path / "sys/module/kvm_hv/refcnt").write_text("0\n")
    (tmp_path / "sos_commands/kernel").mkdir(parents=True)
    (tmp_path / "sos_commands/kernel/uname_-a").write_text(
        "Linux lpar7 5.14.0-503.el9.ppc64le #1 SMP Mon Jan 5 10:00:00 UTC 2026 ppc64le GNU/Linux\n"
    )
    return str(tmp_path)


def test_probe_tells_the_facts_and_that_kvm_was_not_asked(sosreport, capsys):
    assert main(["probe", "--json", "--sysroot", sosreport]) == 3
    record = json.loads(capsys.readouterr().out)
    assert (record["hostname"], record["kernel"]) == ("lpar7", "5.14.0-503.el9.ppc64le")
    assert (record["cpu_physical"], record["cpu_effective"]) == ("power11", "power10")
    assert (record["platform"], record["mmu"], record["page_size"]) == ("powervm", "radix", None)
    assert (record["status"], record["modes"], record["hint"]) == ("unsupported", [], None)
    assert "KVM was not asked" in record["reason"]


def test_doctor_goes_through_what_files_can_tell(sosreport, capsys):
    assert main(["doctor", "--json", "--sysroot", sosreport]) == 0
    steps = {step["name"]: step for step in json.loads(capsys.readouterr().out)["steps"]}
    states = {name: step["state"] for name, step in steps.items()}
    asked = {name for name, state in states.items() if state != "not asked"}
    assert {"architecture", "platform", "mmu", "module", "processor"} <= asked
    kvm = {"device", "permission", "api_version", "capability", "vm", "ioctl", "qemu", "libvirt"}
    assert not asked & kvm
    assert states["processor"] == "warn"
    assert "HMC" in steps["processor"]["remedy"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--sysroot", "/nowhere"], "--sysroot '/nowhere': No such file or directory"),
        (["--sysroot", ""], "--sysroot '': No such file or directory"),
        (["--sysroot", __file__], f"--sysroot {__file__!r}: Not a directory"),
        (["--sysroot", "\0"], "--sysroot '\\x00': "),
        (["--sysroot", "/", "--simulate", "power10"], "remove --simulate and --device"),
        (["--sysroot", "/", "--device", "/dev/null"], "remove --simulate and --device"),
    ],
)
@pytest.mark.parametrize("command", ["probe", "doctor"])
def test_what_makes_no_sense_beside_it_is_refused(command, words, says, capsys):
    assert main([command, *words]) == 2
    out, err = capsys.readouterr()
    assert (out, says in err) == ("", True)


def test_a_directory_that_was_removed_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    assert main(["probe", "--sysroot", "."]) == 2
    assert capsys.readouterr().err == "kvmppc: --sysroot '.': No such file or directory\n"


def test_metrics_are_utf_8_in_every_environment(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_text("größe\n", encoding="utf-8")
    words = [PROGRAM, "probe", "--format", "metrics", "--sysroot", str(tmp_path)]
    for encoding in ("utf-8", "latin-1", "ascii"):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE)
        assert 'hostname="größe"' in done.stdout.decode()
