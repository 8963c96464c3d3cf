"""What kind of host this is: read from copies of real hosts' files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvmppc.host import Host, Source, read_host, use_source
from kvmppc.processors import CpuMode

TREE = "proc/device-tree"
CPUINFO = """processor\t: 0
cpu\t\t: {cpu}
clock\t\t: 2750.000000MHz
revision\t: {revision}

timebase\t: 512000000
platform\t: pSeries
"""


def host_in(folder, files, machine="ppc64le"):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Host(Source(str(folder), ("node", "7.3", machine)))


def cpuinfo(cpu="POWER10 (architected), altivec supported", revision="2.0 (pvr 0080 0200)"):
    return {"proc/cpuinfo": CPUINFO.format(cpu=cpu, revision=revision)}


@pytest.mark.parametrize(
    ("files", "platform"),
    [
        ({f"{TREE}/compatible": b"ibm,powernv\0"}, "powernv"),
        ({f"{TREE}/compatible": b"qemu,powernv10\0ibm,powernv\0"}, "powernv"),
        ({f"{TREE}/compatible": b"qemu,pseries\0"}, "kvm"),
        (
            {
                f"{TREE}/compatible": b"IBM,9080-HEX\0",
                f"{TREE}/ibm,partition-name": b"lpar\0",
                f"{TREE}/hmc-managed?": b"\0",
            },
            "powervm",
        ),
        # QEMU sets the partition's name too.
        (
            {
                f"{TREE}/compatible": b"qemu,pseries\0",
                f"{TREE}/ibm,partition-name": b"guest\0",
                f"{TREE}/hmc-managed?": b"\0",
            },
            "kvm",
        ),
        (
            {
                f"{TREE}/ibm,partition-name": b"guest\0",
                f"{TREE}/hmc-managed?": b"\0",
                f"{TREE}/chosen/qemu,graphic-width": b"\0\0\3 ",
            },
            "kvm",
        ),
        ({f"{TREE}/ibm,partition-name": b"lpar\0"}, None),
        ({}, None),
    ],
)
def test_platforms_are_told_apart(tmp_path, files, platform):
    assert host_in(tmp_path, files).platform == platform


@pytest.mark.parametrize(
    ("cpu", "mode"),
    [
        ("POWER9 (architected), altivec supported", CpuMode("power9")),
        ("POWER10 (architected), altivec supported", CpuMode("power10")),
        ("Power11 (architected), altivec supported", CpuMode("power11")),
        ("POWER10, altivec supported", CpuMode("power10")),
        ("POWER8 (architected), altivec supported", CpuMode("power8")),
        ("", None),
    ],
)
def test_the_effective_mode_is_what_cpuinfo_calls_the_processor(tmp_path, cpu, mode):
    assert host_in(tmp_path, cpuinfo(cpu=cpu)).cpu_effective == mode


@pytest.mark.parametrize(
    ("revision", "pvr", "processor"),
    [
        ("2.2 (pvr 004e 1202)", 0x004E1202, CpuMode("power9")),
        ("2.0 (pvr 0080 0200)", 0x00800200, CpuMode("power10")),
        ("1.0 (pvr 0082 0100)", 0x00820100, CpuMode("power11")),
        ("2.1 (pvr 004d 0201)", 0x004D0201, "power8"),
        ("2.1", None, None),
        ("2.1 (pvr 12345 0201)", None, None),
        ("2.1 (pvr x y)", None, None),
    ],
)
def test_the_physical_processor_is_told_by_its_pvr(tmp_path, revision, pvr, processor):
    host = host_in(tmp_path, cpuinfo(revision=revision))
    assert (host.pvr, host.cpu_physical) == (pvr, processor)


def test_cpu_version_is_four_bytes_of_the_device_tree(tmp_path):
    name = f"{TREE}/cpus/PowerPC,POWER10@8/cpu-version"
    assert host_in(tmp_path, {name: b"\x0f\0\0\6"}).cpu_version == 0x0F000006
    assert host_in(tmp_path, {name: b"\x0f\0\0"}).cpu_version is None


def test_other_entries_among_the_processors_are_passed_over(tmp_path):
    files = {
        f"{TREE}/cpus/#address-cells": b"\0\0\0\1",
        f"{TREE}/cpus/l2-cache@1/name": b"l2-cache\0",
        f"{TREE}/cpus/PowerPC,POWER9@0/cpu-version": b"\x0f\0\0\5",
    }
    assert host_in(tmp_path, files).cpu_version == 0x0F000005


def test_a_machine_that_is_not_power_is_not_read(tmp_path):
    host = host_in(tmp_path, cpuinfo(), machine="x86_64")
    assert (host.is_power, host.pvr, host.platform) == (False, None, None)


@given(st.binary(max_size=5000))
def test_any_contents_of_the_files_are_survived(content):
    class Everywhere(Source):
        def read(self, path):
            return content

        def entries(self, path):
            return ["cpu@0"]

    host = Host(Everywhere(uname=("node", "7.3", "ppc64le")))
    assert host.pvr is None or 0 <= host.pvr < 1 << 32
    assert host.cpu_version is None or 0 <= host.cpu_version < 1 << 32


def test_a_source_can_be_put_in_place_of_this_machine(tmp_path):
    before = use_source(Source(str(tmp_path), ("elsewhere", "1", "ppc64")))
    try:
        assert read_host().hostname == "elsewhere"
        assert read_host().is_power
    finally:
        use_source(before)
    assert read_host().hostname != "elsewhere"
