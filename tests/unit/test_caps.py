"""Modes and masks: values."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvmppc import CompatCaps
from kvmppc.caps import PATCH_V4, REVISIONS, Revision
from kvmppc.processors import GRANTABLE, modes_of, unknown_bits_of

MASKS = st.integers(0, (1 << 64) - 1)


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
    for mode in GRANTABLE:
        assert (mode in caps) == (str(mode) in caps) == bool(mask & mode.bit)
    assert "power8" not in caps
    assert 9 not in caps


@given(MASKS, MASKS)
def test_equal_answers_are_equal_values(one, other):
    assert (CompatCaps(one) == CompatCaps(other)) == (one == other)
    assert hash(CompatCaps(one)) == hash(CompatCaps(one))
    assert CompatCaps(one) != CompatCaps(one, revision=PATCH_V4)
    assert CompatCaps(one) != one


@given(MASKS, st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 20), st.sampled_from(REVISIONS))
def test_a_value_survives_pickle_and_copy(mask, flags, size, revision):
    caps = CompatCaps(mask, flags=flags, size=size, revision=revision)
    assert pickle.loads(pickle.dumps(caps)) == caps
    assert copy.deepcopy(caps) == caps


@pytest.mark.parametrize("number", [-1, 1 << 64, 1 << 65])
@pytest.mark.parametrize("field", ["flags", "size", "compat_capabilities"])
def test_a_number_that_the_kernel_cannot_have_given_is_refused(field, number):
    with pytest.raises(ValueError, match="is not an unsigned 64-bit number"):
        CompatCaps(**{"compat_capabilities": 0, field: number})


def test_a_value_cannot_be_changed():
    caps = CompatCaps(0x6000000000000000)
    with pytest.raises(AttributeError, match="immutable"):
        caps.flags = 1  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del caps.flags
    with pytest.raises(AttributeError):
        caps.other = 1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        REVISIONS[0].other = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["", "banana", "linux-7", "linux-7.3 ", "patch-v5"])
def test_what_is_no_revision_is_refused(name):
    with pytest.raises(ValueError, match="revision"):
        Revision(name)


def test_a_value_shows_mask_modes_and_revision():
    assert repr(CompatCaps(0x6000000000000000)) == (
        "<kvmppc.CompatCaps 0x6000000000000000 power9, power10 (linux-7.3)>"
    )
    assert "no known mode" in repr(CompatCaps(0))


def test_there_are_no_other_revisions_than_those_known():
    with pytest.raises(ValueError, match="revision"):
        Revision("linux-9.9")
