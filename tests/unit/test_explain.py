"""What QEMU, libvirt and the kernel say, explained."""

import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import HostReport
from kvmppc.cli import main
from kvmppc.guest.explain import _TABLE, explain
from kvmppc.testing import simulated_host

MATRIX = Path(__file__).parents[1] / "libvirt" / "matrix.json"
# As they were seen, or as they stand in released source; a part of the remedy that is right.
SEEN = {
    "error: kvm run failed Invalid argument": "kvmppc advise --for qemu",
    "qemu-system-ppc64: Unable to set CPU compatibility mode in KVM: Invalid argument": "advise",
    "[  12.3] KVM-NESTEDv2: couldn't set guest wide elements": "advise",
    "qemu-system-ppc64: Compatibility PVR 0x0f000007 not valid for CPU": "advise",
    "qemu-system-ppc64: unable to find CPU model 'host'": "Install a later QEMU",
    "qemu-system-ppc64: unable to find CPU model 'power12'": "-cpu host",
    "KVM: failed to get host CPU compat capabilities: Invalid argument": "kvmppc probe",
    "Couldn't negotiate a suitable PVR during CAS": "--mode MODE",
    "Can't support 64 kiB guest pages with 4 kiB host pages with this KVM implementation": "64 KiB",
    "Requested safe cache capability level not supported by KVM": "cap-cfpc=broken",
    "Requested safe bounds check capability level not supported by KVM": "cap-sbbc=broken",
    "Requested safe indirect branch capability level not supported by KVM": "cap-ibs=broken",
    "Requested count cache flush assist capability level not supported by KVM": "ccf-assist=off",
    "HPT not supported in nested guests": "advise",
    'Register sync failed... If you\'re using kvm-hv.ko, only "-cpu host" is possible': "-cpu host",
    'Invalid compatibility mode "POWER10"': "advise",
    "can't apply global host-powerpc64-cpu.compat=power9: "
    "Property 'host-powerpc64-cpu.compat' not found": "advise",
    "Property 'host-powerpc64-cpu.htm' not found": "<feature>",
    "KVM implementation does not support Transactional Memory": "cap-htm=off",
    "KVM implementation does not support Nested-HV": "cap-nested-hv=off",
    "Unable to create 512MiB RMA (VRMA only allows 128MiB": "advise",
    "error: unsupported configuration: CPU mode 'host-model' for ppc64le kvm domain on ppc64le "
    "host is not supported by hypervisor": "<qemu:commandline>",
    "error: internal error: Unknown compatibility mode POWER10": "--for libvirt",
    "error: internal error: Unknown CPU model power10": "virt-install",
    "the CPU is incompatible with host CPU: host CPU model does not match required CPU model "
    "POWER8": "kvmppc check",
    "error: the CPU is incompatible with host CPU: unknown host CPU": "--for libvirt",
    "error: the CPU is incompatible with host CPU": "kvmppc check",
    "the CPU is incompatible with host CPU: host CPU vendor does not match required CPU vendor "
    "Intel": "kvmppc check",
    "maximum CPU is not supported by QEMU binary": "kvmppc check",
    "Migratable attribute for host-passthrough CPU is not supported by this QEMU binary": "check",
    "error: unsupported configuration: Attribute migratable is only allowed for "
    "'host-passthrough' / 'maximum' CPU mode": "kvmppc check",
    "error: unsupported configuration: CPU cache specification is not supported for 'ppc64le' "
    "architecture": "<cache>",
    "error: Hook script execution failed: kvmppc: guest is not started. The domain": "check",
    "kvm-hv: Parent hypervisor does not support nesting (rc=-2)": "cap-nested-papr=on",
    "ioctl(KVM_CREATE_VM) failed: 22 Invalid argument": "kvmppc doctor",
    "Could not access KVM kernel module: Permission denied": "kvmppc doctor",
    "qemu-system-ppc64: -accel kvm: failed to initialize kvm: Invalid argument": "kvmppc doctor",
}


def report_of(name):
    with simulated_host(name):
        return kvmppc.probe()


@pytest.mark.parametrize("line", SEEN)
def test_every_message_is_explained_with_what_mends_it(line):
    (found,) = explain([f"2026-07-01 12:00:00: {line}\n"])
    assert line in found.line
    assert SEEN[line] in found.remedy
    assert found.means.endswith(".")
    assert found.why.endswith(".")


def test_what_is_wrong_in_an_emulated_host_is_not_taken_for_kvms():
    assert explain(["TCG does not support nested-HV with SMT"]) == []


def test_no_row_of_the_table_is_untried():
    untried = [row[0] for row in _TABLE if not any(re.search(row[0], line) for line in SEEN)]
    assert untried == []


def test_all_that_three_libvirts_were_seen_to_refuse_is_explained():
    elements = json.loads(MATRIX.read_text())["elements"]
    errors = {said for outcomes in elements.values() for said in outcomes if said[:5] == "error"}
    assert len(errors) > 10
    assert [error for error in errors if not explain([error])] == []


def test_on_a_host_that_answered_it_says_why_and_with_which_words():
    (found,) = explain(["error: kvm run failed Invalid argument"], report_of("power11-as-power10"))
    assert "This host is a Power11." in found.why
    assert "The host runs in POWER10 mode, and grants power9, power10." in found.why
    assert "-machine pseries,max-cpu-compat=power10" in found.remedy
    (found,) = explain(
        ["Can't support 64 kiB guest pages with 4 kiB host pages"], report_of("power10")
    )
    assert "max-cpu-compat=power10,cap-hpt-max-page-size=4k" in found.remedy


def test_of_a_processor_that_is_not_known_only_the_grants_are_told():
    facts = {"cpu_physical": None, "cpu_effective": None}
    report = HostReport.from_dict({**report_of("power10").to_dict(), **facts})
    (found,) = explain(["error: kvm run failed Invalid argument"], report)
    assert found.why.endswith("themselves. The host grants power9, power10.")


def test_a_number_in_a_message_is_named():
    lines = [
        "Compatibility PVR 0x0f000007 not valid for CPU",
        "Compatibility PVR 0x0f000006 not valid for CPU",
    ]
    assert [one.means for one in explain(lines)] == [
        "QEMU refused the mode power11.",
        "QEMU refused the mode power10.",
    ]


def test_a_message_that_comes_again_is_explained_once():
    assert len(explain(["error: kvm run failed Invalid argument\n"] * 3)) == 1


@given(st.lists(st.text()))
def test_whatever_a_log_says_it_is_explained_or_not(lines):
    assert explain(lines) == []


# The command.


def say(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_message_can_be_given_in_words(capsys):
    words = ["kvm", "run", "failed", "Invalid", "argument"]
    assert main(["explain", *words, "--simulate", "power11-as-power10"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("found  kvm run failed Invalid argument\nmeans  ")
    assert out.count("\n") == 4


def test_the_option_that_is_named_fits_the_pages_that_are_given(capsys):
    words = ["explain", "kvm run failed Invalid argument", "--simulate", "power11"]
    assert main([*words, "--page-size", "4k"]) == 0
    assert "max-cpu-compat=power11,cap-hpt-max-page-size=4k" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--qemu", "--libvirt"])
def test_versions_on_which_no_explanation_depends_are_not_taken(capsys, option):
    assert main(["explain", "--simulate", "power11", option, "11.2", "kvm run failed"]) == 2
    assert f"unknown option {option}" in capsys.readouterr().err


def test_a_log_is_read_from_standard_input(monkeypatch, capsys):
    log = b"started\n\xff\x1b[31m\nerror: kvm run failed Invalid argument\n" + b"x" * 100_000
    say(monkeypatch, log + b"\nUnable to set CPU compatibility mode in KVM: Invalid argument")
    assert main(["explain", "--json", "--simulate", "power9"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [one["line"][:12] for one in record["explained"]] == ["error: kvm r", "Unable to se"]


def test_what_is_not_known_is_said(monkeypatch, capsys):
    say(monkeypatch, b"all is well\n")
    assert main(["explain", "--simulate", "power9"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "no known message found; run kvmppc doctor" in err


def test_log_and_record_cannot_both_come_from_standard_input(capsys):
    assert main(["explain", "--report", "-"]) == 2
    assert "give one of them as a file" in capsys.readouterr().err


def test_a_host_that_gave_no_answer_is_told_with_its_reason():
    with simulated_host("no-permission"):
        [found] = explain(["error: kvm run failed Invalid argument"], kvmppc.probe())
    assert "open /dev/kvm: " in found.why
    assert "max-cpu-compat=MODE" in found.remedy
