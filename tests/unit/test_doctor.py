"""kvmppc doctor: each step told by itself."""

import json
import os
import platform

import pytest

import kvmppc.doctor
from kvmppc.cli import main
from kvmppc.doctor import STEPS, check_module, diagnose
from kvmppc.guest.surroundings import UNADVISED
from kvmppc.guest.verdict import check_domain
from kvmppc.host import Host, Source
from kvmppc.testing import simulated_host, simulated_hosts

NO_VM = {"capability": "fail", "vm": "fail", "ioctl": "not asked"}
NO_DEVICE = {
    "device": "fail",
    **dict.fromkeys(("permission", "api_version", "capability", "vm", "ioctl"), "not asked"),
}
# What is not passed, by host; module and QEMU are never asked on a simulated one.
NAMES = [host.name for host in simulated_hosts()]
TROUBLE = {
    "power11-as-power10": {"processor": "warn"},
    "power11-as-power9": {"processor": "warn"},
    "powernv10": {"ioctl": "not asked"},
    "linux-6.12": {"capability": "fail", "ioctl": "not asked"},
    "linux-6.12-as-power10": {
        "capability": "fail",
        "ioctl": "not asked",
        "processor": "warn",
    },
    "no-nesting": {**NO_VM, "module": "fail"},
    "power8-mode": {**NO_VM, "module": "fail", "mmu": "fail", "processor": "warn"},
    "kvm-pr": {"module": "fail", "capability": "fail", "vm": "fail", "ioctl": "not asked"},
    "power12": {"processor": "warn"},
    "migrated": {"processor": "warn"},
    "no-device": {**NO_DEVICE, "module": "fail"},
    "container": NO_DEVICE,
    "no-permission": {
        "permission": "fail",
        **dict.fromkeys(("api_version", "capability", "vm", "ioctl"), "not asked"),
    },
    "patch-v4-short": {"ioctl": "fail"},
    "no-operation": {"ioctl": "fail"},
    "backend-refuses": {"ioctl": "fail"},
}


def steps_of(name, device="/dev/kvm"):
    with simulated_host(name):
        return {step.name: step for step in diagnose(device)}


@pytest.mark.parametrize("name", NAMES)
def test_the_step_that_is_wrong_is_the_one_that_is_told(name):
    states = {step.name: step.state for step in steps_of(name).values()}
    assert tuple(states) == STEPS
    for of_guests in ("pages", "qemu", "libvirt"):
        del states[of_guests]
    assert {step: state for step, state in states.items() if state != "pass"} == (
        TROUBLE.get(name, {})
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_failed_or_warns_says_what_was_read(name):
    for step in steps_of(name).values():
        if step.state in ("fail", "warn"):
            assert step.found


def test_a_step_says_what_to_do():
    assert "usermod -aG kvm" in steps_of("no-permission")["permission"].remedy
    assert "modprobe kvm_hv" in steps_of("no-device")["device"].remedy
    assert "7.3" in steps_of("linux-6.12")["capability"].remedy
    assert "kvmppc advise" in steps_of("power11-as-power10")["processor"].remedy


def test_the_answer_is_shown_with_bits_that_are_not_known():
    found = steps_of("future")["ioctl"].found
    assert found.startswith(
        "0x7100000000000000: power9, power10, power11, and the unknown bits 0x100000000000000"
    )


def test_a_device_that_is_not_there_fails_the_device():
    assert steps_of("power10", "/dev/none")["device"].state == "fail"


def test_a_capability_of_0_where_no_vm_can_be_made_points_to_the_vm():
    assert steps_of("no-nesting")["capability"].found.endswith("see vm")


def test_a_processor_that_is_not_granted_is_told_whatever_mode_the_host_runs_in(monkeypatch):
    with simulated_host("power11"):
        host = kvmppc.host.read_host()
    monkeypatch.setattr(kvmppc.doctor, "read_host", lambda: host)
    step = steps_of("power9")["processor"]
    assert step.state == "warn"
    assert step.found.startswith("Power11, running in Power11 mode; ")


def test_a_step_is_immutable():
    with pytest.raises(AttributeError, match="immutable"):
        steps_of("power9")["vm"].state = "fail"


def on_power(monkeypatch):
    """Makes this machine's own kernel be asked as if the machine were a Power host."""
    monkeypatch.setattr(
        kvmppc.doctor, "read_host", lambda: kvmppc.host.Host(Source(uname=("h", "6", "ppc64le")))
    )
    return lambda device: {step.name: step for step in diagnose(device)}


def test_a_file_that_is_no_kvm_device_is_told_at_the_step_that_finds_out(monkeypatch):
    steps = on_power(monkeypatch)("/dev/null")
    assert steps["permission"].state == "pass"
    assert steps["api_version"].state == "fail"
    assert steps["capability"].state == "not asked"


def test_a_folder_is_no_device(monkeypatch):
    assert on_power(monkeypatch)("/")["device"].state == "fail"


# The module.


def module_step(folder):
    return check_module(Host(Source(str(folder), ("node", "7.3", "ppc64le"))))


def test_the_module_is_found_in_sysfs(tmp_path):
    assert module_step(tmp_path).state == "not asked"  # a copy of files may have no sysfs
    (tmp_path / "sys/module/kernel").mkdir(parents=True)
    assert module_step(tmp_path).state == "fail"
    (tmp_path / "sys/module/kvm_pr/parameters").mkdir(parents=True)
    assert module_step(tmp_path).found == "kvm_hv: kvm_pr is loaded, not kvm_hv"
    (tmp_path / "sys/module/kvm_hv/parameters").mkdir(parents=True)
    assert module_step(tmp_path).state == "pass"
    assert "nested=N" in module_step(tmp_path).found
    (tmp_path / "sys/module/kvm_hv/parameters/nested").write_text("Y\n")
    assert module_step(tmp_path).found == "kvm_hv is loaded"


# The host's own mode.


def test_a_host_in_an_older_mode_is_told_both_ways_out():
    remedy = steps_of("power11-as-power10")["processor"].remedy
    assert "kvmppc advise" in remedy
    assert "max-cpu-compat" in remedy


def test_a_host_in_power8_mode_is_told_so_and_not_given_advice_for_guests():
    steps = steps_of("power8-mode")
    assert "POWER8 mode" in steps["mmu"].found
    assert "processor compatibility mode" in steps["mmu"].remedy
    assert steps["processor"].remedy is None


def test_a_host_that_was_migrated_is_told_so():
    step = steps_of("migrated")["processor"]
    assert step.found.startswith("Power11, running in POWER10 mode; /proc/cpuinfo still names")
    assert step.remedy.startswith("Probe again after each migration")


def test_a_device_tree_that_cannot_be_read_and_one_of_no_known_platform_are_two_things(tmp_path):
    def platform_step(folder):
        return kvmppc.doctor._platform(Host(Source(str(folder), ("node", "7.3", "ppc64le"))))

    assert "containers mask it" in platform_step(tmp_path).found
    (tmp_path / "proc/device-tree/compatible").mkdir(parents=True)
    assert "no known platform" in platform_step(tmp_path).found


# Guests that are given no advice.


@pytest.mark.parametrize("name", TROUBLE)
def test_what_is_said_of_guests_without_advice_is_what_check_says(name):
    steps = steps_of(name)
    with simulated_host(name):
        verdict = check_domain(UNADVISED, kvmppc.probe())
    qemu, pages = steps["qemu"], steps["pages"]
    if verdict.answer == "unknown":
        assert qemu.state == "not asked"
        return
    assert (qemu.state == pages.state == "pass") == (verdict.answer == "yes")
    assert (pages.state == "warn") == any("pages of 4 KiB" in also for also in verdict.also)
    assert (qemu.remedy is None) == (qemu.state == "pass")


def test_a_simulated_host_does_not_ask_this_machines_programs(tmp_path, monkeypatch):
    for name in ("qemu-system-ppc64", "virsh"):
        (tmp_path / name).write_text(f"#!/bin/sh\n: > {tmp_path}/asked\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    steps_of("power10")
    assert not os.path.exists(tmp_path / "asked")


# The command.


def test_the_exit_code_is_1_if_a_step_failed_and_0_if_it_only_warns(capsys):
    assert main(["doctor", "--simulate", "power11-as-power10"]) == 0
    assert main(["doctor", "--simulate", "no-permission"]) == 1
    capsys.readouterr()


def test_people_get_a_line_for_each_step_and_below_it_what_to_do(capsys):
    main(["doctor", "--simulate", "no-permission"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Simulated host no-permission."
    assert lines[1] == "pass       architecture  ppc64le"
    failed = next(at for at, line in enumerate(lines) if line.startswith("fail "))
    assert lines[failed].startswith("fail       permission    open /dev/kvm: Permission denied")
    assert lines[failed + 1].startswith(" " * 25 + "Add the user to the group")
    assert lines[-2] == "not asked  qemu          QEMU before 11.2, assumed"
    assert lines[-1].startswith("pass       libvirt       11.4 or later, assumed")


def test_programs_get_json(capsys):
    assert main(["doctor", "--json", "--simulate", "power11-as-power10"]) == 0
    out = capsys.readouterr().out
    record = json.loads(out)
    assert out.count("\n") == 1
    assert list(record) == ["schema", "hostname", "simulated", "steps"]
    assert record["schema"] == 1
    assert [step["name"] for step in record["steps"]] == list(STEPS)
    assert record["steps"][0] == {
        "name": "architecture",
        "state": "pass",
        "found": "ppc64le",
        "remedy": None,
    }


@pytest.mark.skipif(platform.machine().startswith("ppc64"), reason="this is an IBM Power machine")
def test_another_architecture_is_the_step_that_fails_and_the_rest_is_not_asked(capsys):
    assert main(["doctor", "--json"]) == 1
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["state"] for step in steps] == ["fail"] + ["not asked"] * (len(STEPS) - 1)


def test_a_device_with_control_characters_is_shown_without_them(capsys):
    main(["doctor", "--simulate", "power9", "--device", "/dev/\x1b[31m"])
    assert "\x1b" not in capsys.readouterr().out
