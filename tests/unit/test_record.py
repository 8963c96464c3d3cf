"""The record: what is written is read back, what is not a record is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import HostReport, RecordError
from kvmppc.record import FIELDS
from kvmppc.testing import simulated_host, simulated_hosts

KEYS = (
    "schema version hostname time simulated machine kernel platform cpu_physical cpu_effective "
    "pvr device api_version capability revision status source compat_capabilities modes newest "
    "unknown_bits errno reason remedy"
).split()
NAMES = [host.name for host in simulated_hosts()]


def record_of(name):
    with simulated_host(name):
        return kvmppc.probe().to_dict()


@pytest.mark.parametrize("name", NAMES)
def test_a_record_has_exactly_the_promised_keys_in_their_order(name):
    assert list(record_of(name)) == KEYS
    assert ("schema", *FIELDS) == tuple(KEYS)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back(name):
    with simulated_host(name):
        report = kvmppc.probe()
    assert HostReport.from_json(report.to_json()) == report
    assert hash(HostReport.from_json(report.to_json())) == hash(report)
    assert HostReport.from_dict(report.to_dict()).to_dict() == report.to_dict()


def test_a_record_is_one_line_of_ascii():
    with simulated_host("power10"):
        text = kvmppc.probe().to_json()
    assert text.isascii()
    assert "\n" not in text


@pytest.mark.parametrize("name", KEYS)
def test_a_missing_key_is_named(name):
    record = record_of("power10")
    del record[name]
    with pytest.raises(RecordError, match=f"^{name} is missing"):
        HostReport.from_dict(record)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("time", "yesterday", "a time in UTC"),
        ("time", "2026-13-01T00:00:00Z", "a time in UTC"),
        ("platform", "aws", "one of powervm, kvm, powernv, or null"),
        ("cpu_physical", "POWER10", "one of power7, power7+, power8e"),
        ("pvr", "0x100000000", "a number of 32 bits"),
        ("pvr", 8524288, "a number of 32 bits"),
        ("api_version", True, "a whole number"),
        ("api_version", 12.0, "a whole number"),
        ("revision", "linux-7.4", "linux-7.3 or patch-v4"),
        ("status", None, "one of known"),
        ("source", "guess", "one of kvm, device-tree, or null"),
        ("compat_capabilities", "0x-1", "a number of 64 bits"),
        ("compat_capabilities", "-0x1", "a number of 64 bits"),
        ("compat_capabilities", "0x1_0", "a number of 64 bits"),
        ("compat_capabilities", "0x10000000000000000", "a number of 64 bits"),
        ("modes", ["power10", "power9"], "a list of modes, oldest first"),
        ("modes", ["power10", "power10"], "a list of modes, oldest first"),
        ("modes", "power10", "a list of modes, oldest first"),
        ("modes", None, "a list of modes, oldest first"),
        ("hostname", 5, "text"),
        ("reason", ["x" * 1000], "text"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name, value, expected):
    record = {**record_of("power10"), name: value}
    with pytest.raises(RecordError) as caught:
        HostReport.from_dict(record)
    assert str(caught.value).startswith(f"{name} is ")
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("schema", [0, 2, "1", True, 1.5])
def test_another_schema_is_told_not_guessed(schema):
    with pytest.raises(RecordError, match="this version reads 1"):
        HostReport.from_dict({**record_of("power10"), "schema": schema})


@pytest.mark.parametrize(
    "change",
    [
        {"newest": "power9"},
        {"newest": None},
        {"compat_capabilities": None},
        {"unknown_bits": None},
        {"unknown_bits": "0x2000000000000000"},
        {"compat_capabilities": "0x4000000000000000"},
        {"compat_capabilities": "0x6000000000000001"},
        {"status": "hint"},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change):
    with pytest.raises(RecordError):
        HostReport.from_dict({**record_of("power10"), **change})


def test_a_record_of_a_version_that_knew_fewer_modes_is_right():
    record = record_of("power11")
    record.update(modes=["power9", "power10"], newest="power10", unknown_bits="0x1000000000000000")
    assert HostReport.from_dict(record).newest == "power10"


def test_keys_that_are_not_known_are_passed_over():
    report = HostReport.from_dict({**record_of("power10"), "rack": "7"})
    assert "rack" not in report.to_dict()


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", "[" * 100_000, b"\xff", "NaN"])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(RecordError):
        HostReport.from_json(text)


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.none() | st.integers() | st.text() | st.lists(st.text()),
        max_size=3,
    )
)
def test_any_change_to_a_record_is_read_or_refused_never_a_crash(change):
    record = json.loads(json.dumps({**BASE, **change}))
    try:
        report = HostReport.from_dict(record)
    except RecordError:
        return
    assert HostReport.from_json(report.to_json()) == report


BASE = record_of("power11-as-power10")


def test_a_report_cannot_be_changed():
    report = HostReport.from_dict(BASE)
    with pytest.raises(AttributeError, match="immutable"):
        report.status = "known"  # type: ignore[misc]


def test_a_report_shows_host_status_and_newest_mode():
    assert repr(HostReport.from_dict(BASE)) == (
        "<kvmppc.HostReport power11-as-power10 known newest=power10>"
    )
