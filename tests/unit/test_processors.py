"""Processors and modes: the one table, held against the kernel's headers and real machines."""

import contextlib
import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvmppc._native import lib
from kvmppc.processors import GRANTABLE, MODES, PROCESSORS, CpuMode, Processor

NAMES = "power7 power7+ power8 power9 power10 power11 power12".split()


def test_the_bits_are_those_of_the_header():
    for mode in GRANTABLE:
        assert mode.bit == getattr(lib, f"KVMPPC_BIT_{mode.upper()}")
    assert CpuMode("power9").bit == 0x4000000000000000


def test_every_bit_of_the_header_has_a_mode():
    bits = {name for name in dir(lib) if name.startswith("KVMPPC_BIT_")}
    assert bits == {f"KVMPPC_BIT_{mode.upper()}" for mode in GRANTABLE}


def test_a_mode_without_a_bit_is_known_by_name():
    assert list(MODES[: len(NAMES)]) == NAMES
    assert [mode for mode in NAMES[:4] if not CpuMode(mode).bit] == ["power7", "power7+", "power8"]


def test_modes_are_ordered_by_age_not_by_spelling():
    assert sorted(set(MODES)) == list(MODES)
    assert CpuMode("power9") < CpuMode("power10") <= "power11"
    assert CpuMode("power10") > "power9"
    assert max(MODES) == MODES[-1]


def test_a_mode_does_not_compare_with_what_is_no_mode():
    for other in ("banana", "", 9, None):
        with pytest.raises(TypeError, match="cannot compare"):
            _ = CpuMode("power9") < other


@pytest.mark.parametrize("spelling", ["power10", "POWER10", "Power10"])
def test_a_mode_is_found_by_any_spelling_in_use(spelling):
    assert CpuMode(spelling) is CpuMode("power10")


@pytest.mark.parametrize(
    "wrong", ["", "power", "power8e", "power 10", "10", 10, None, b"power10", "\ud800"]
)
def test_what_is_no_mode_is_refused(wrong):
    with pytest.raises(ValueError, match="unknown processor mode"):
        CpuMode(wrong)


def test_a_mode_is_a_str():
    mode = CpuMode("POWER10")
    assert mode == "power10"
    assert {mode: 1}["power10"] == 1
    assert "power10" in (mode,)
    assert f"{mode}" == str(mode) == "power10"
    assert json.dumps([mode]) == '["power10"]'
    assert mode.label == "POWER10"


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_upper_half_of_the_pvr_names_the_processor(processor):
    assert Processor.from_pvr(processor.pvr << 16 | 0x1202) is processor
    assert Processor.from_pvr(1 << 32 | processor.pvr << 16) is None


def test_the_cpu_versions_are_those_of_the_kernel():
    # PVR_ARCH_206 to PVR_ARCH_31_P12 in powerpc's <asm/reg.h>.
    numbers = "0F000003 0F100003 0F000004 0F000005 0F000006 0F000007 0F000008"
    assert [f"{CpuMode(name).cpu_version:08X}" for name in NAMES] == numbers.split()


@pytest.mark.parametrize("mode", MODES)
def test_cpu_version_names_the_mode(mode):
    assert CpuMode.from_cpu_version(mode.cpu_version) is mode
    assert CpuMode.from_cpu_version(mode.cpu_version | 0x80) is None


def test_processors_of_one_generation_share_a_mode_and_keep_their_names():
    assert [p for p in PROCESSORS if p.mode == "power8"] == ["power8e", "power8nvl", "power8"]


@pytest.mark.parametrize("spelling", ["POWER10_v2.0", "power10", "POWER10"])
def test_a_processor_is_found_by_qemus_name_with_a_version_too(spelling):
    assert Processor(spelling) is Processor("power10")


@pytest.mark.parametrize("wrong", ["", "_v2.0", "970", "host", 10, None])
def test_what_is_no_processor_is_refused(wrong):
    with pytest.raises(ValueError, match="unknown processor"):
        Processor(wrong)


@pytest.mark.parametrize("name", [*MODES, *PROCESSORS])
def test_a_name_survives_pickle_and_copy_as_itself(name):
    assert pickle.loads(pickle.dumps(name)) is name
    assert copy.deepcopy(name) is name


@pytest.mark.parametrize("name", [CpuMode("power9"), Processor("power9")])
def test_a_name_cannot_be_changed(name):
    with pytest.raises(AttributeError, match="immutable"):
        name.label = "x"
    with pytest.raises(AttributeError, match="immutable"):
        del name.label


@given(st.text())
def test_any_text_is_a_name_or_refused(text):
    for kind in (CpuMode, Processor):
        with contextlib.suppress(ValueError):
            assert kind(text) in (*MODES, *PROCESSORS)
