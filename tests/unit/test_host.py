"""What kind of host this is: read from copies of real hosts' files."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvmppc.host import Host, Source, read_host, use_source
from kvmppc.processors import Processor

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
        ({f"{TREE}/ibm,powervm-partition": b"\0"}, "powervm"),
        ({f"{TREE}/ibm,partition-name": b"lpar\0"}, None),
        ({}, None),
    ],
)
def test_platforms_are_told_apart(tmp_path, files, platform):
    assert host_in(tmp_path, files).platform == platform


def test_an_empty_device_tree_leaves_the_platform_to_cpuinfo(tmp_path):
    tail = "platform\t: {}\nmachine\t\t: {}\nMMU\t\t: Radix\n"
    for number, (name, machine, platform) in enumerate(
        (
            ("pSeries", "CHRP IBM pSeries (emulated by qemu)", "kvm"),
            ("pSeries", "CHRP IBM,9080-HEX", "powervm"),
            ("PowerNV", "PowerNV 9006-22P", "powernv"),
            ("pSeries", "", None),
        )
    ):
        text = cpuinfo()["proc/cpuinfo"].rpartition("platform")[0] + tail.format(name, machine)
        host = host_in(tmp_path / str(number), {"proc/cpuinfo": text})
        assert (host.platform, host.mmu, host.has_tree) == (platform, "radix", False)


def test_the_end_of_cpuinfo_is_read_after_a_thousand_processors(tmp_path):
    block = cpuinfo()["proc/cpuinfo"].partition("\n\n")[0] + "\n\n"
    text = block * 2000 + "timebase\t: 512000000\nplatform\t: pSeries\nMMU\t\t: Hash\n"
    assert host_in(tmp_path, {"proc/cpuinfo": text}).mmu == "hash"


def test_the_first_processor_counts_where_others_differ(tmp_path):
    first, other = (
        cpuinfo(*words)["proc/cpuinfo"].partition("\n\n")[0] + "\n\n"
        for words in (("POWER9", "2.2 (pvr 004e 1202)"), ("POWER10", "2.0 (pvr 0080 0200)"))
    )
    host = host_in(tmp_path, {"proc/cpuinfo": first + other * 100})
    assert (host.cpu_physical, host.cpu_effective) == ("power9", "power9")


@pytest.mark.parametrize(("user", "root"), [(0, True), (1, False), (1000, False)])
def test_root_is_the_user_of_number_0(monkeypatch, user, root):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert Source().is_root() is root


# cpu, revision, platform and MMU of real machines' /proc/cpuinfo; PVR, processor and mode.
MACHINES = [
    ("POWER7 (architected)", "2.1 (pvr 003f 0201)", "power7", "power7"),
    ("POWER7 (raw)", "2.3 (pvr 003f 0203)", "power7", "power7"),
    ("POWER8E (raw)", "2.0 (pvr 004b 0200)", "power8e", "power8"),
    ("POWER8 (architected)", "2.1 (pvr 004b 0201)", "power8e", "power8"),
    ("POWER8NVL", "1.0 (pvr 004c 0100)", "power8nvl", "power8"),
    ("POWER8 (raw)", "2.0 (pvr 004d 0200)", "power8", "power8"),
    ("POWER9", "2.2 (pvr 004e 1202)", "power9", "power9"),
    ("POWER9 (architected)", "2.2 (pvr 004e 1202)", "power9", "power9"),
    ("POWER9 (architected)", "2.0 (pvr 0080 0200)", "power10", "power9"),
    ("POWER10 (architected)", "2.0 (pvr 0080 0200)", "power10", "power10"),
    ("POWER10 (architected)", "18.0 (pvr 0082 1200)", "power11", "power10"),
    ("Power11", "18.0 (pvr 0082 1200)", "power11", "power11"),
    ("Power11 (raw)", "2.0 (pvr 0082 0200)", "power11", "power11"),
    ("Power12 (architected)", "2.0 (pvr 0083 0200)", "power12", "power12"),
    ("PPC970MP", "1.0 (pvr 0044 0100)", None, None),
    ("e6500", "2.0 (pvr 8040 0120)", None, None),
    ("", "2.1", None, None),
    ("", "2.1 (pvr 12345 0201)", None, None),
    ("", "2.1 (pvr x y)", None, None),
]


@pytest.mark.parametrize(("cpu", "revision", "processor", "mode"), MACHINES)
def test_processor_and_mode_are_those_of_cpuinfo(tmp_path, cpu, revision, processor, mode):
    host = host_in(tmp_path, cpuinfo(cpu=f"{cpu}, altivec supported", revision=revision))
    assert (host.cpu_physical, host.cpu_effective) == (processor, mode)
    assert host.is_compatible == (mode is not None and Processor(processor).mode > mode)


class Live(Source):
    """A host that tells its processor without a file, and has these files too."""

    def __init__(self, auxv, files):
        super().__init__(uname=("node", "7.3", "ppc64le"))
        self.auxv = auxv
        self.files = files

    def processor(self):
        return self.auxv

    def read(self, path, limit=4096):
        return self.files.get(path)

    def entries(self, path):
        return ["cpu@0"] if path.endswith("/cpus") else []


def test_the_processor_itself_tells_where_no_file_can_be_read():
    host = Host(Live(("power10", "power11", 0x00821200), {}))
    assert (host.cpu_physical, host.cpu_effective) == ("power11", "power10")
    assert (host.effective_from, host.pvr, host.stored_pvr) == ("auxv", 0x00821200, None)


def test_the_live_register_counts_where_the_stored_one_is_from_before_a_migration():
    text = CPUINFO.format(cpu="POWER10 (architected)", revision="2.0 (pvr 0080 0200)").encode()
    host = Host(Live(("power10", "power10", 0x00821200), {"/proc/cpuinfo": text}))
    assert (host.cpu_physical, host.pvr, host.stored_pvr) == ("power11", 0x00821200, 0x00800200)


def test_the_name_in_the_auxiliary_vector_tells_the_processor_where_there_is_no_pvr():
    assert Host(Live(("power9", "power10", None), {})).cpu_physical == "power10"


def test_the_device_tree_tells_the_mode_where_nothing_else_does():
    files = {"/proc/device-tree/cpus/cpu@0/cpu-version": b"\x0f\0\0\5"}
    host = Host(Live((None, None, None), files))
    assert (host.cpu_effective, host.effective_from) == ("power9", "device-tree")
    # A nested guest can have a raw PVR there, which names no mode.
    files = {"/proc/device-tree/cpus/cpu@0/cpu-version": b"\0\x82\2\0"}
    assert Host(Live((None, None, None), files)).cpu_effective is None


# Copies of another machine's files.


def test_a_copy_tells_of_the_machine_it_is_from(tmp_path):
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/hostname").write_text("lpar7\n")
    (tmp_path / "proc/sys/kernel/osrelease").write_text("5.14.0-503.el9.ppc64le\n")
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo()["proc/cpuinfo"])
    host = Host(Source(str(tmp_path)))
    assert (host.hostname, host.kernel, host.machine) == (
        "lpar7",
        "5.14.0-503.el9.ppc64le",
        "ppc64le",
    )
    assert (host.cpu_physical, host.page_size) == ("power10", None)
    assert host.kernel_version == (5, 14)


@pytest.mark.parametrize(
    ("kernel", "version"),
    [
        ("7.3.0", (7, 3)),
        ("7.3.0-rc1+", (7, 3)),
        ("7.3-rc5-powerpc64le", (7, 3)),
        ("7.3+deb14-powerpc64le", (7, 3)),
        ("10.12", (10, 12)),
        ("7", (0, 0)),
        ("7.x", (0, 0)),
        ("unknown", (0, 0)),
    ],
)
def test_the_version_of_a_kernel_ends_where_its_digits_end(kernel, version):
    assert Host(Source("/nonexistent", ("node", kernel, "ppc64le"))).kernel_version == version


def test_a_sosreport_tells_by_its_output_of_uname(tmp_path):
    (tmp_path / "sos_commands/kernel").mkdir(parents=True)
    uname = "Linux lpar7 6.12.0-1-powerpc64le #1 SMP Debian 6.12.1-1 (2026-01-01) ppc64le GNU/Linux"
    (tmp_path / "sos_commands/kernel/uname_-a").write_text(uname)
    host = Host(Source(str(tmp_path)))
    assert (host.hostname, host.kernel, host.machine) == (
        "lpar7",
        "6.12.0-1-powerpc64le",
        "ppc64le",
    )


def test_an_empty_copy_is_of_an_unknown_machine(tmp_path):
    host = Host(Source(str(tmp_path)))
    assert (host.hostname, host.kernel, host.machine) == ("unknown", "unknown", "unknown")


def test_a_link_out_of_a_copy_is_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(b"ibm,powernv")
    copy = tmp_path / "copy"
    (copy / "proc").mkdir(parents=True)
    (copy / "proc/cpuinfo").symlink_to(tmp_path / "secret")
    (copy / "proc/device-tree").symlink_to("/proc")
    source = Source(str(copy))
    assert source.read("/proc/cpuinfo") is None
    assert source.entries("/proc/device-tree") == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "endless"])
def test_a_file_that_is_none_is_survived(tmp_path, kind):
    path = tmp_path / "proc/cpuinfo"
    path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to("cpuinfo")
    else:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5)) if os.geteuid() == 0 else None
    host = Host(Source(str(tmp_path), ("node", "7.3", "ppc64le")))
    assert host.cpu_physical is None


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
        def read(self, path, limit=4096):
            return content[:limit]

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
