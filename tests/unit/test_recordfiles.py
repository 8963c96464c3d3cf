"""Records from files: every form they come in, and what is said of what is none."""

import io
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc.fleet import documents
from kvmppc.fleet.reading import RecordReader
from kvmppc.testing import simulated_host


def probed(name):
    with simulated_host(name):
        return kvmppc.probe().to_dict()


RECORD = probed("power10")
OTHER = probed("linux-6.12")


def named(hostname, **changes):
    return {**RECORD, "hostname": hostname, **changes}


def line(hostname, **changes):
    return json.dumps(named(hostname, **changes)).encode() + b"\n"


class Reading:
    """What came of reading paths: the hosts in order, and the complaints."""

    def __init__(self, *paths):
        self.complaints = []
        self.reader = RecordReader(self.complaints.append)
        self.hosts = [found for path in paths for found in self.reader.read(str(path))]
        self.names = [name for name, _, _ in self.hosts]


@pytest.fixture
def read(tmp_path):
    """Reads a file with these contents; complaints have "FILE" for its path."""

    def read(data):
        path = tmp_path / "records"
        path.write_bytes(data)
        reading = Reading(path)
        reading.complaints = [text.replace(str(path), "FILE") for text in reading.complaints]
        return reading

    return read


FORMS = {
    "a record a line": line("a") + line("b"),
    "without a newline at the end": (line("a") + line("b")).rstrip(b"\n"),
    "lines of Windows": (line("a") + line("b")).replace(b"\n", b"\r\n"),
    "empty lines between": b"\n\n" + line("a") + b"  \n" + line("b") + b"\n",
    "without blanks": b"".join(
        json.dumps(named(name), separators=(",", ":")).encode() + b"\n" for name in "ab"
    ),
    "sorted keys": b"".join(
        json.dumps(named(name), sort_keys=True).encode() + b"\n" for name in "ab"
    ),
    "more keys": line("a", rack=7) + line("b", rack={"hostname": "no", "time": "no"}),
    "indented, one after the other": b"\n".join(
        json.dumps(named(name), indent=2).encode() for name in "ab"
    ),
    "indented by nothing": b"\n".join(json.dumps(named(name), indent=0).encode() for name in "ab"),
    "an array": json.dumps([named("a"), named("b")]).encode(),
    "an indented array": json.dumps([named("a"), named("b")], indent=1).encode(),
    "an array with a line for each": b"[\n" + line("a")[:-1] + b",\n" + line("b") + b"]\n",
    "an array that ends in its last line": b"[" + line("a")[:-1] + b",\n" + line("b")[:-1] + b"]",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_has_its_records_in_any_of_the_usual_forms(read, form):
    reading = read(FORMS[form])
    assert reading.complaints == []
    assert reading.names == ["a", "b"]
    assert [answer.status for _, answer, _ in reading.hosts] == ["known", "known"]


def test_any_hostname_comes_out_as_it_went_in(read):
    names = ["", "plain", "\N{SNOWMAN}", 'a "quote"', "back\\slash", "\x1b[1m", "\ud800", "a\nb"]
    data = b"".join(map(line, names))
    raw = json.dumps(named("\N{SNOWMAN}"), ensure_ascii=False).encode() + b"\n"
    assert read(data + raw + raw).names == [*names, "\N{SNOWMAN}", "\N{SNOWMAN}"]


BAD = {
    "cut off": (line("x")[:40] + b"\n", "FILE:2: truncated, or not JSON (line 2, column"),
    "another schema": (line("x", schema=2), "FILE:2: schema is 2, expected 1"),
    "no record": (
        b"{}\n",
        "FILE:2: schema is missing: this is not a record of kvmppc probe --json",
    ),
    "a wrong value": (
        line("x", newest="Power 13"),
        "FILE:2: newest is 'Power 13', expected the name of a mode",
    ),
    "a contradiction": (line("x", newest="power9"), "FILE:2: newest is not the last mode in modes"),
    "one of an array": (
        b"[" + line("c")[:-1] + b", {}]\n",
        "FILE:2: schema is missing: this is not a record of kvmppc probe --json",
    ),
    "a number without end": (
        b'{"a": ' + b"1" * 9999 + b"}\n",
        "FILE:2: JSON that Python cannot read",
    ),
    "brackets without end": (b'{"a":' * 99999 + b"\n", "FILE:2: truncated"),
    "brackets in brackets": (
        b'{"a":' * 199999 + b"1" + b"}" * 199999 + b"\n",
        "FILE:2: JSON that Python cannot read",
    ),
    "indented, with an error": (
        b'{\n "schema": 1,\n oops\n}\n',
        "FILE:2: truncated, or not JSON (line 4, column 2)",
    ),
    "no such day": (
        line("x", time="2026-02-30T12:00:00Z"),
        "FILE:2: time is '2026-02-30T12:00:00Z', expected a time in UTC",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_record_is_told_with_its_line_and_the_rest_is_read(read, kind):
    data, complaint = BAD[kind]
    reading = read(line("a") + data + line("b") + line("d"))
    assert len(reading.complaints) == reading.reader.complaints == 1
    assert reading.complaints[0].startswith(complaint)
    assert [name for name in reading.names if name in ("a", "b", "d")] == ["a", "b", "d"]


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_record_counts_as_a_host_that_cannot_tell(read, kind):
    data, complaint = BAD[kind]
    reading = read(line("a") + data)
    name, answer, place = reading.hosts[-1]
    assert name == ("x" if b'"x"' in data else place)
    assert (answer.status, answer.modes) == ("unreadable", None)
    assert complaint.partition(": ")[2] in answer.reason
    assert place.endswith("records:2")


TEXT = {
    "one line": (b"hello\n", "FILE: line 2 is not a record (hello); expected the output"),
    "more": (
        b"hello\n7\n[8]\n",
        "FILE: line 2 is not a record (hello); neither are 2 others; expected the output",
    ),
    "a long one": (
        b"x" * 999,
        f"FILE: line 2 is not a record ({'x' * 60}...); expected the output",
    ),
}


@pytest.mark.parametrize("kind", TEXT)
def test_lines_of_text_are_told_once(read, kind):
    data, complaint = TEXT[kind]
    reading = read(line("a") + data)
    assert reading.names == ["a"]
    (told,) = reading.complaints
    assert told.startswith(complaint)


def test_the_line_after_many_is_numbered_right(read):
    reading = read(b"".join(line(f"h{number}") for number in range(999)) + b"{}\n")
    assert len(reading.names) == 1000
    assert reading.complaints[0].startswith("FILE:1000: ")


PIECES = [b"{", b"[", b"]", b"}", b"},", b"null", b'"', b"\xff\xfe", line("x")[:99], b"[" * 5000]


@given(
    st.lists(st.one_of(st.sampled_from("abcdef"), st.sampled_from(PIECES), st.binary(max_size=20)))
)
def test_no_garbage_hides_a_record(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("garbage") / "records"
    path.write_bytes(
        b"".join(line(piece) if isinstance(piece, str) else piece + b"\n" for piece in pieces)
    )
    known = [name for name, answer, _ in Reading(path).hosts if answer.modes is not None]
    assert sorted(known) == sorted(piece for piece in pieces if isinstance(piece, str))


VALUES = {
    "hostname": st.text(max_size=5),
    "time": st.sampled_from(
        [RECORD["time"], "2026-02-28T23:59:59Z", "2026-02-30T00:00:00Z", "2026-07-01T24:00:00Z", ""]
    ),
    "status": st.sampled_from(["known", "hint", "nonsense"]),
    "reason": st.sampled_from(["fine", "hostname", '"hostname"', '"time": "', "\\"]),
    "rack": st.sampled_from([None, {"hostname": "inner"}, {"time": "inner"}]),
    "inventory_hostname": st.sampled_from(["a", "b"]),
}
CHANGES = st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=6)


@given(CHANGES, st.booleans())
def test_a_record_is_read_the_same_whatever_came_before(tmp_path_factory, changes, escape):
    folder = tmp_path_factory.mktemp("same")
    # Each change twice, so that every kind of line has been seen before.
    lines = [
        json.dumps({**RECORD, **change}, ensure_ascii=escape).encode("utf-8", "surrogatepass")
        for change in changes * 2
    ]
    (folder / "all").write_bytes(b"\n".join(lines))
    together = Reading(folder / "all")
    alone = []
    for number, text in enumerate(lines):
        (folder / str(number)).write_bytes(text)
        alone.append(Reading(folder / str(number)))
    assert [(name, answer.reason, answer.modes) for name, answer, _ in together.hosts] == [
        (name, answer.reason, answer.modes)
        for reading in alone
        for name, answer, _ in reading.hosts
    ]
    assert [text.partition(": ")[2] for text in together.complaints] == [
        text.partition(": ")[2] for reading in alone for text in reading.complaints
    ]


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
@pytest.mark.parametrize("sort_keys", [False, True])
def test_a_line_that_differs_in_name_and_time_alone_is_not_parsed_again(
    read, separators, sort_keys
):
    records = [
        named("a", time="2026-07-01T12:00:00Z"),
        named("b", time="2026-07-01T23:59:59Z"),
        named("c", kernel="6.12"),
    ]
    lines = [json.dumps(r, separators=separators, sort_keys=sort_keys) for r in records]
    first, second, third = (
        answer for _, answer, _ in read("\n".join(lines).encode() + b"\n").hosts
    )
    assert second is first
    assert third is not first


BODY = json.dumps(named("a"))[1:-1]
DISGUISES = {
    "a name inside of something": f'{{"rack": {{"hostname": "NAME"}}, {BODY}}}',
    "a name said twice": f'{{"hostname": "NAME", {BODY}}}',
    "a name said twice, and spelled otherwise": f'{{"hostname": "NAME", {BODY}}}'.replace(
        '1, "version"', '1, "host\\u006eame": "a", "version"'
    ).replace(', "hostname": "a"', ""),
    "an inventory's name": json.dumps(
        {"inventory_hostname": "a", "ansible_local": {"kvmppc": named("NAME")}}
    ),
}


@pytest.mark.parametrize("kind", DISGUISES)
def test_a_line_that_only_looks_the_same_is_parsed(read, kind):
    # What differs between the two lines is not what the host is called.
    lines = [DISGUISES[kind].replace("NAME", name) + "\n" for name in "ab"]
    reading = read("".join(lines).encode())
    assert reading.complaints == []
    assert reading.names == ["a", "a"]


def test_a_line_that_is_too_long_is_told_and_passed_over(read, monkeypatch):
    monkeypatch.setattr(documents, "LIMIT", 1 << 20)
    long = json.dumps(named("long", rack="x" * (2 << 20))).encode()
    reading = read(line("a") + long + b"\n" + line("b") + b"{}\n")
    assert reading.names[:3] == ["a", "long", "b"]
    assert reading.complaints[0].startswith("FILE:2: truncated, or not JSON")
    assert reading.complaints[1].startswith("FILE:4: schema is missing")


def test_an_object_that_does_not_end_is_told_and_its_lines_are_read(read, monkeypatch):
    monkeypatch.setattr(documents, "LIMIT", 1 << 20)
    data = b'{"x": [\n' + line("a")[:-1] + b",\n" + (b" " * 999 + b"\n") * 2000 + line("b")
    reading = read(data)
    assert [name for name, answer, _ in reading.hosts if answer.modes] == ["a", "b"]
    assert reading.complaints[0].startswith("FILE:1: JSON object longer than 1 MiB")


@pytest.mark.parametrize("data", [b"", b"\n \n", b"[]", b"\xef\xbb\xbf"])
def test_an_empty_file_counts_as_a_host_of_its_name(read, data):
    reading = read(data)
    assert reading.complaints == [
        "FILE: no records in it; expected the output of kvmppc probe --json"
    ]
    assert reading.names == ["records"]
    assert reading.hosts[0][1].status == "unreadable"


def test_a_folder_is_read_with_all_that_is_in_it(tmp_path):
    (tmp_path / "rack1").mkdir()
    (tmp_path / "rack1" / "lpar1.example.com").write_bytes(line("b"))
    (tmp_path / "a.json").write_text(json.dumps(named("a"), indent=2))
    (tmp_path / "z.jsonl").write_bytes(line("c") + line("d"))
    (tmp_path / ".half-written").write_bytes(b"{")
    (tmp_path / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    reading = Reading(tmp_path)
    assert reading.complaints == []
    assert reading.names == ["a", "b", "c", "d"]
    assert reading.reader.bytes_read == sum(
        (tmp_path / name).stat().st_size
        for name in ("a.json", "z.jsonl", "rack1/lpar1.example.com")
    )


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "lost").symlink_to("nowhere")
    reading = Reading(tmp_path / "missing", tmp_path / "empty", tmp_path)
    assert reading.complaints == [
        f"{tmp_path}/missing: cannot be read: No such file or directory",
        f"{tmp_path}/empty: no files in this directory; expected files with records",
        f"{tmp_path}/lost: cannot be read: No such file or directory",
    ]
    assert reading.hosts == []


def test_standard_input_is_read_for_a_dash(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line("a") + b"oops\n")))
    reading = Reading("-")
    assert reading.names == ["a"]
    assert reading.complaints[0].startswith("<stdin>: line 2 is not a record (oops)")


def test_there_may_be_no_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    assert Reading("-").complaints == ["<stdin>: cannot be read: Bad file descriptor"]
