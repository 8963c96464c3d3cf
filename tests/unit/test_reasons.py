"""Why a host cannot answer: simulated kernels, on hosts with other files than their own."""

import pytest

import kvmppc
from kvmppc.host import Source, use_source
from kvmppc.testing import simulated_host

TREE = "proc/device-tree"
CPUINFO = """processor\t: 0
cpu\t\t: {cpu}
revision\t: 2.0 (pvr {pvr} 0200)

platform\t: {platform}
MMU\t\t: {mmu}
"""
PVRS = {"POWER8": "004d", "POWER9": "004e", "POWER10": "0080"}
POWERNV = {f"{TREE}/compatible": b"ibm,powernv\0"}


class Unprivileged(Source):
    """A host's files, as a user sees them who is not root."""

    def is_root(self):
        return False


@pytest.fixture
def reason(tmp_path):
    """Asks a simulated kernel on a host with these files; the report."""

    def ask(kernel, files=(), kind=Source, cpu="POWER10 (raw)", mmu="Radix", nv=False):
        platform = "PowerNV" if nv else "pSeries"
        pvr = PVRS.get(cpu.partition(" ")[0], "ffff")
        cpuinfo = CPUINFO.format(cpu=cpu, pvr=pvr, platform=platform, mmu=mmu).encode()
        for name, data in {"proc/cpuinfo": cpuinfo, **dict(files)}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        with simulated_host(kernel):
            before = use_source(kind(str(tmp_path), ("node", "7.3.0", "ppc64le")))
            try:
                return kvmppc.probe()
            finally:
                use_source(before)

    return ask


@pytest.mark.parametrize(
    ("cpu", "mmu", "says", "remedy"),
    [
        ("POWER8 (architected)", "Hash", "POWER8 mode", "POWER9 or later"),
        ("PPC970MP", "Hash", "'PPC970MP'", "POWER9 or later"),
        ("POWER99 (raw)", "Radix", "nesting is not enabled", "load kvm_hv"),
        ("POWER10 (architected)", "Hash", "MMU", "disable_radix"),
    ],
)
def test_a_vm_that_cannot_be_made_is_told_by_what_the_host_is(reason, cpu, mmu, says, remedy):
    report = reason("no-nesting", cpu=cpu, mmu=mmu)
    assert report.status == "unavailable"
    assert says in report.reason
    assert remedy in report.remedy


def test_on_bare_metal_no_vm_has_no_other_reason_than_the_kernels(reason):
    report = reason("no-nesting", POWERNV, cpu="POWER8 (raw)", nv=True)
    assert report.status == "unavailable"
    assert "mode" not in report.reason


def test_root_that_may_not_open_the_device_is_told_of_what_is_around_it(reason):
    class Root(Source):
        def is_root(self):
            return True

    report = reason("no-permission", kind=Root)
    assert report.status == "denied"
    assert "user namespace" in report.reason


@pytest.mark.parametrize(("mode", "remedy"), [(0o660, "usermod -aG"), (0o600, "chmod g+rw")])
def test_a_device_that_a_user_may_not_open_is_told_with_its_group_and_mode(
    reason, tmp_path, mode, remedy
):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kvm").touch()
    (tmp_path / "dev/kvm").chmod(mode)
    report = reason("no-permission", kind=Unprivileged)
    assert f"mode {mode:04o}" in report.reason
    assert remedy in report.remedy


def test_of_a_device_that_cannot_be_looked_at_only_the_refusal_is_told(reason):
    report = reason("no-permission", kind=Unprivileged)
    assert report.status == "denied"
    assert "belongs" not in report.reason


def test_a_container_without_the_device_is_told_by_the_module_outside(reason):
    report = reason("no-device", {"sys/module/kvm_hv/refcnt": b"0\n"})
    assert "container" in report.reason


def test_what_the_kernel_could_not_map_is_shown(reason):
    version = {f"{TREE}/cpus/PowerPC,POWER10@0/cpu-version": b"\x0f\0\0\x63"}
    told = reason("backend-refuses", version).reason
    assert "cpu-version is 0x0f000063 (POWER10)." in told
    told = reason("backend-refuses", version, cpu="POWER99 (raw)").reason
    assert "cpu-version is 0x0f000063." in told


@pytest.mark.parametrize(("cpu", "modes"), [("POWER9 (raw)", ("power9",)), ("POWER8 (raw)", ())])
def test_bare_metal_gives_the_modes_from_power9_on_that_its_processor_has(reason, cpu, modes):
    report = reason("powernv10", POWERNV, cpu=cpu, nv=True)
    assert report.modes == modes
    assert (report.status == "known") == bool(modes)
    assert modes or "a processor before POWER9" in report.reason


def test_a_mode_without_a_bit_in_the_interface_is_told(reason):
    report = reason("power9", cpu="POWER8 (architected)")
    assert report.modes == ("power9",)
    assert "no bit for the host's own mode, POWER8" in report.reason


@pytest.mark.parametrize(
    ("files", "cpu", "says"),
    [
        ({}, "POWER99 (raw)", "'POWER99 (raw)', has no mode that this version knows"),
        ({}, "", "the device tree cannot be read"),
        ({f"{TREE}/compatible": b"qemu,pseries\0"}, "", "the device tree names no mode that"),
    ],
)
def test_without_the_hosts_own_mode_there_is_no_hint(reason, files, cpu, says):
    report = reason("linux-6.12", files, cpu=cpu)
    assert (report.status, report.hint) == ("unsupported", None)
    assert says in report.reason
