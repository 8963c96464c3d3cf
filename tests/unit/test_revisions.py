"""The revisions of the interface: one table in C, a name in Python."""

import os
from pathlib import Path

import pytest

import kvmppc
from kvmppc import Cap, Kvm, Revision
from kvmppc._native import ffi, lib
from kvmppc.caps import LINUX_7_3, PATCH_V4, REVISIONS
from kvmppc.kvm import capability_of, read_processor, revision_number
from kvmppc.testing import simulated_host, simulated_hosts

ROWS = range(lib.KVMPPC_REVISION_NONE + 1, lib.KVMPPC_REVISIONS)
NAMED = set(REVISIONS)


def name_of(row):
    return ffi.string(lib.kvmppc_revision_name(row)).decode()


def test_each_row_has_a_name_in_python_and_each_name_a_row():
    assert {Revision(name_of(row)) for row in ROWS} == NAMED
    assert [revision_number(Revision(name_of(row))) for row in ROWS] == list(ROWS)


def test_each_row_has_a_capability_of_its_own():
    capabilities = [lib.kvmppc_revision_capability(row) for row in ROWS]
    assert [capability_of(Revision(name_of(row))) for row in ROWS] == capabilities
    assert len(set(capabilities)) == len(ROWS)
    assert all(0 < capability < 1 << 32 for capability in capabilities)


def test_the_capabilities_are_those_of_the_interface():
    assert capability_of(LINUX_7_3) == capability_of(None) == Cap.PPC_COMPAT_CAPS == 250
    assert capability_of(PATCH_V4) == Cap.PPC_COMPAT_CAPS_PATCH_V4 == 249


@pytest.mark.parametrize("number", [-1, lib.KVMPPC_REVISION_NONE, lib.KVMPPC_REVISIONS, 1 << 20])
def test_a_number_that_is_no_row_is_none(number):
    assert lib.kvmppc_revision_name(number) == ffi.NULL
    assert lib.kvmppc_revision_capability(number) == 0
    assert lib.kvmppc_get_compat_caps(-1, number).error < 0


@pytest.mark.parametrize("row", ROWS)
def test_a_simulated_host_speaks_each_row(row):
    revision = Revision(name_of(row))
    spoken = {}
    for host in simulated_hosts():
        with simulated_host(host.name):
            report = kvmppc.probe()
        spoken.setdefault(report.revision, []).append((host.name, report))
    name, report = spoken[revision][0]
    assert (report.status, report.capability) == ("known", 1)
    with simulated_host(name), Kvm() as kvm, kvm.create_vm() as vm:
        assert (kvm.get_revision(), vm.revision) == (revision, revision)
        assert vm.check_extension(capability_of(revision)) == 1
        assert vm.get_compat_caps().revision == revision


@pytest.mark.skipif(os.uname().machine.startswith("ppc"), reason="powerpc tells")
def test_another_architecture_tells_nothing_of_a_power_processor():
    assert read_processor() == (None, None, None)


@pytest.mark.skipif(not os.uname().machine.startswith("ppc"), reason="only powerpc tells")
def test_the_processor_is_told_without_a_file():
    platform, base, pvr = read_processor()
    assert platform.startswith("power")
    assert base.startswith("power")
    assert f"pvr {pvr >> 16:04x} {pvr & 0xFFFF:04x}" in Path("/proc/cpuinfo").read_text()
