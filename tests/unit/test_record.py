"""The record: what is written is read back, what is not a record is named."""

import copy
import json
import pickle

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import HostReport, RecordError
from kvmppc.output import report_text
from kvmppc.processors import GRANTABLE, MODES, Processor
from kvmppc.record import FIELDS, schema_text
from kvmppc.testing import simulated_host, simulated_hosts

KEYS = (
    "schema version hostname time simulated machine kernel platform cpu_physical cpu_effective "
    "pvr cpu_version mmu page_size nested_api device api_version capability revision status source "
    "compat_capabilities modes newest hint unknown_bits errno reason remedy"
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
        ("platform", "A W S", "a name in lower case"),
        ("platform", "x" * 41, "a name in lower case"),
        ("cpu_physical", "POWER10", "the name of a processor in lower case"),
        ("cpu_effective", "power\x1b[31m", "the name of a mode in lower case"),
        ("mmu", "", "a name in lower case"),
        ("page_size", 0, "a power of 2"),
        ("page_size", 4097, "a power of 2"),
        ("page_size", "4096", "a power of 2"),
        ("nested_api", "1", "a whole number"),
        ("pvr", "0x100000000", "a 32-bit number"),
        ("pvr", 8524288, "a 32-bit number"),
        ("api_version", True, "a whole number"),
        ("api_version", 12.0, "a whole number"),
        ("revision", "Linux 7.3", "a name in lower case"),
        ("status", None, "one of known"),
        ("source", 1, "a name in lower case"),
        ("time", "2026-W01-1T00:00:00Z", "a time in UTC"),
        ("time", "2026-02-30T00:00:00Z", "a time in UTC"),
        ("time", "2026-07-01T12:00:00+", "a time in UTC"),
        ("pvr", "0x ", "a 32-bit number"),
        ("pvr", "0x\u0661", "a 32-bit number"),
        ("compat_capabilities", "0x-1", "a 64-bit number"),
        ("compat_capabilities", "-0x1", "a 64-bit number"),
        ("compat_capabilities", "0x1_0", "a 64-bit number"),
        ("compat_capabilities", "0x10000000000000000", "a 64-bit number"),
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
    with pytest.raises(RecordError, match="expected 1"):
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
        {"status": "denied"},
        {"source": "processor"},
        {"source": None},
        {"hint": "power10"},
        {"modes": ["power9", "power10", "power10"]},
        {"modes": ["power9", "power10", "power99"], "newest": "power99"},
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change):
    with pytest.raises(RecordError):
        HostReport.from_dict({**record_of("power10"), **change})


@pytest.mark.parametrize("source", [None, "auxv", "cpuinfo", "device-tree"])
def test_a_hint_and_no_answer_at_all_are_never_a_grant(source):
    for modes in ([], ["power10"]):
        record = {**record_of("powernv10"), "modes": modes, "newest": modes[-1] if modes else None}
        assert HostReport.from_dict(record).modes == tuple(modes)
        with pytest.raises(RecordError, match="status is known, but source is"):
            HostReport.from_dict({**record, "source": source})


@pytest.mark.parametrize(
    "time", ["2026-07-01T12:00+01Z", "2026-07-01T120000.1Z", "2026-07-01 12:00:00Z"]
)
def test_a_time_has_one_form(time):
    with pytest.raises(RecordError, match="expected a time in UTC"):
        HostReport.from_dict({**record_of("power10"), "time": time})


def later(**changes):
    """A record of a Power11 as a later version may write it, which knows bit 7 as power99."""
    return {
        **record_of("power11"),
        "version": "9.0",
        "compat_capabilities": "0x7100000000000000",
        "modes": ["power9", "power10", "power11", "power99"],
        "newest": "power99",
        **changes,
    }


def test_modes_are_derived_from_the_mask_by_what_this_version_knows():
    report = HostReport.from_dict(later())
    assert report.modes == ("power9", "power10", "power11")
    assert (report.newest, report.unknown_bits) == ("power11", 1 << 56)
    older = record_of("power11")
    older.update(modes=["power9"], newest="power9", unknown_bits="0x3000000000000000")
    assert HostReport.from_dict(older).modes == ("power9", "power10", "power11")
    assert HostReport.from_dict(older).unknown_bits == 0


def test_what_a_later_version_says_is_kept_by_name():
    record = later(rack="7", cpu_physical="power99", cpu_effective="power99", platform="powerx")
    report = HostReport.from_dict(record)
    assert report.later["rack"] == "7"
    assert report.later["newest"] == "power99"
    assert (report.cpu_physical, report.cpu_effective) == ("power99", "power99")
    assert report.to_dict() == record
    assert HostReport.from_json(report.to_json()) == report
    assert hash(HostReport.from_json(report.to_json())) == hash(report)
    assert "power99" not in report_text(report).partition("modes")[2].partition("later")[0]
    assert "keys of kvmppc 9.0 unknown to this version: rack, modes, newest" in report_text(report)


def test_a_name_of_a_later_version_has_up_to_forty_characters():
    name = "x" * 40
    assert HostReport.from_dict(later(cpu_physical=name)).cpu_physical == name
    with pytest.raises(RecordError, match="cpu_physical is"):
        HostReport.from_dict(later(cpu_physical=name + "x"))


def test_a_name_in_the_spelling_of_another_program_is_not_a_known_processor():
    record = {**record_of("power10"), "cpu_physical": "power10_v2.0"}
    report = HostReport.from_dict(record)
    assert not isinstance(report.cpu_physical, Processor)
    assert report.to_dict() == record


def test_what_a_later_version_says_costs_no_host_its_place_under_a_hint_or_on_bare_metal():
    hint = {**record_of("linux-6.12"), "hint": "power99", "cpu_effective": "power99"}
    assert HostReport.from_dict(hint).hint == "power99"
    bare = {**record_of("powernv10"), "modes": ["power9", "power99"], "newest": "power99"}
    assert HostReport.from_dict(bare).modes == ("power9",)
    assert HostReport.from_dict(bare).to_dict() == bare


def test_a_grant_is_told_apart_from_a_hint_and_from_what_nobody_knows():
    def grants(record, mode):
        return HostReport.from_dict(record).grants(mode)

    assert grants(record_of("power10"), "POWER10") is True
    assert grants(record_of("power10"), "power11") is False
    assert grants(record_of("power10"), "power8") is False
    assert grants(record_of("powernv10"), "power9") is True
    assert grants(record_of("powernv10"), "power11") is False
    assert grants(record_of("powernv10"), "power8") is None
    assert grants(record_of("linux-6.12"), "power10") is None
    assert grants(record_of("no-permission"), "power10") is None
    for mode in MODES:
        if mode > GRANTABLE[0] and not mode.bit:
            assert grants(record_of("future"), mode) is None
            assert grants(record_of("power11"), mode) is False
    with pytest.raises(ValueError, match="banana"):
        grants(record_of("power10"), "banana")


def test_the_same_answer_leaves_time_and_hostname_out():
    record = record_of("power10")
    report = HostReport.from_dict(record)
    other = HostReport.from_dict({**record, "hostname": "x", "time": "2026-01-01T00:00:00Z"})
    assert report.same_answer(other)
    assert not report.same_answer(HostReport.from_dict({**record, "kernel": "7.4"}))


VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema_text()))


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_accepts_every_simulated_host(name):
    VALIDATOR.validate(record_of(name))


def test_the_schema_has_the_keys_in_their_order_and_accepts_later_ones():
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    assert list(VALIDATOR.schema["properties"]) == VALIDATOR.schema["required"] == KEYS
    VALIDATOR.validate(later(rack="7"))


@pytest.mark.parametrize(
    "change",
    [{"modes": None}, {"status": "maybe"}, {"hint": "power10"}, {"source": None}, {"pvr": 1}],
)
def test_the_schema_refuses_what_is_no_record(change):
    assert not VALIDATOR.is_valid({**record_of("power10"), **change})


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


def test_a_report_can_be_copied_and_pickled():
    report = HostReport.from_dict(later(rack="7"))
    assert pickle.loads(pickle.dumps(report)) == copy.deepcopy(report) == report


def test_a_report_cannot_be_changed():
    report = HostReport.from_dict(BASE)
    with pytest.raises(AttributeError, match="immutable"):
        report.status = "known"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del report.status


def test_a_report_shows_host_status_and_newest_mode():
    assert repr(HostReport.from_dict(BASE)) == (
        "<kvmppc.HostReport power11-as-power10 known newest=power10>"
    )
