"""Modes and masks: values."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvmppc import CompatCaps, CpuMode, Revision
from kvmppc._native import lib
from kvmppc.modes import modes_of, unknown_bits_of

MASKS = st.integers(0, (1 << 64) - 1)


def test_the_bits_are_those_of_the_header():
    assert CpuMode.POWER9.bit == lib.KVMPPC_BIT_POWER9 == 0x4000000000000000
    assert CpuMode.POWER10.bit == lib.KVMPPC_BIT_POWER10 == 0x2000000000000000
    assert CpuMode.POWER11.bit == lib.KVMPPC_BIT_POWER11 == 0x1000000000000000


def test_modes_are_ordered_by_age_not_by_spelling():
    assert list(CpuMode) == sorted(CpuMode) == [CpuMode.POWER9, CpuMode.POWER10, CpuMode.POWER11]
    assert CpuMode.POWER9 < CpuMode.POWER10 <= CpuMode.POWER11


def test_a_mode_does_not_compare_with_text():
    with pytest.raises(TypeError):
        _ = CpuMode.POWER9 < "power10"  # type: ignore[operator]


@pytest.mark.parametrize("spelling", ["power10", "POWER10", "Power10"])
def test_a_mode_is_found_by_any_spelling_in_use(spelling):
    assert CpuMode(spelling) is CpuMode.POWER10


@pytest.mark.parametrize("wrong", ["", "power", "power8", "power 10", "10", 10, None, b"power10"])
def test_what_is_no_mode_is_refused(wrong):
    with pytest.raises(ValueError, match="is not a valid CpuMode"):
        CpuMode(wrong)


def test_a_mode_is_written_as_qemu_and_libvirt_spell_it():
    assert [str(mode) for mode in CpuMode] == ["power9", "power10", "power11"]
    assert f"{CpuMode.POWER10}" == "power10"
    assert CpuMode.POWER10.title == "Power10"


@pytest.mark.parametrize(
    ("number", "mode"),
    [
        (0x0F000005, CpuMode.POWER9),
        (0x0F000006, CpuMode.POWER10),
        (0x0F000007, CpuMode.POWER11),
        (0x0F000004, None),
        (0, None),
    ],
)
def test_cpu_version_names_the_mode(number, mode):
    assert CpuMode.from_cpu_version(number) is mode


@pytest.mark.parametrize(
    ("pvr", "mode"),
    [
        (0x004E1202, CpuMode.POWER9),
        (0x00801200, CpuMode.POWER10),
        (0x00821200, CpuMode.POWER11),
        (0x004D0200, None),
        (0x1_0082_1200, None),
    ],
)
def test_the_upper_half_of_the_pvr_names_the_processor(pvr, mode):
    assert CpuMode.from_pvr(pvr) is mode


@given(MASKS)
def test_no_bit_of_a_mask_is_lost(mask):
    caps = CompatCaps(mask)
    assert sum(mode.bit for mode in caps.modes) | caps.unknown_bits == mask
    assert sum(mode.bit for mode in caps.modes) & caps.unknown_bits == 0
    assert caps.compat_capabilities == mask >= 0
    assert caps.modes == modes_of(mask)
    assert caps.unknown_bits == unknown_bits_of(mask)


@given(MASKS)
def test_the_newest_is_the_last_of_the_modes(mask):
    caps = CompatCaps(mask)
    assert list(caps.modes) == sorted(caps.modes)
    assert caps.newest is (max(caps.modes) if caps.modes else None)


@given(MASKS)
def test_membership_is_what_the_bits_say(mask):
    caps = CompatCaps(mask)
    for mode in CpuMode:
        assert (mode in caps) == (str(mode) in caps) == bool(mask & mode.bit)
    assert "power8" not in caps
    assert 9 not in caps


@given(MASKS, MASKS)
def test_equal_answers_are_equal_values(one, other):
    assert (CompatCaps(one) == CompatCaps(other)) == (one == other)
    assert hash(CompatCaps(one)) == hash(CompatCaps(one))
    assert CompatCaps(one) != CompatCaps(one, revision=Revision.PATCH_V4)
    assert CompatCaps(one) != one


@given(MASKS, st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 20), st.sampled_from(Revision))
def test_a_value_survives_pickle_and_copy(mask, flags, size, revision):
    caps = CompatCaps(mask, flags=flags, size=size, revision=revision)
    assert pickle.loads(pickle.dumps(caps)) == caps
    assert copy.deepcopy(caps) == caps


@pytest.mark.parametrize("number", [-1, 1 << 64])
@pytest.mark.parametrize("field", ["flags", "size", "compat_capabilities"])
def test_a_number_that_the_kernel_cannot_have_given_is_refused(field, number):
    with pytest.raises(ValueError, match="is not an unsigned number of 64 bits"):
        CompatCaps(**{"compat_capabilities": 0, field: number})


def test_a_value_cannot_be_changed():
    caps = CompatCaps(0x6000000000000000)
    with pytest.raises(AttributeError, match="immutable"):
        caps.flags = 1  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del caps.flags
    with pytest.raises(AttributeError):
        caps.other = 1  # type: ignore[attr-defined]


def test_a_value_shows_mask_modes_and_revision():
    assert repr(CompatCaps(0x6000000000000000)) == (
        "<kvmppc.CompatCaps 0x6000000000000000 power9, power10 (linux-7.3)>"
    )
    assert "no known mode" in repr(CompatCaps(0))
