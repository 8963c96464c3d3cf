"""JSON objects in text: however they are put together, and whatever is between them."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvmppc.fleet.documents import documents

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)
JOINTS = ["", " ", "\n", "\r\n", ",\n", ", ", "][", "]\n[\n", "\ufeff", "\n\n\n"]


def found(text):
    return list(documents(io.StringIO(text, newline="\n")))


def values(text):
    return [document.value for document in found(text)]


@given(
    st.lists(
        st.tuples(OBJECTS, st.sampled_from(JOINTS), st.sampled_from([None, 0, 1, 4, "\t"])),
        max_size=5,
    ),
    st.booleans(),
)
def test_objects_are_found_however_they_are_put_together(parts, ascii_only):
    text = "".join(
        joint + json.dumps(value, indent=indent, ensure_ascii=ascii_only)
        for value, joint, indent in parts
    )
    assert values(text) == [value for value, _, _ in parts]


@given(
    st.lists(st.tuples(OBJECTS, st.sampled_from(["lpar1: ", "a | SUCCESS => ", "- "])), max_size=5)
)
def test_what_stands_before_an_object_is_given_with_it(parts):
    text = "".join(f"{before}{json.dumps(value, indent=1)}\n" for value, before in parts)
    assert [(d.before, d.value) for d in found(text)] == [
        (before.strip(), value) for value, before in parts
    ]


PIECES = st.sampled_from(
    [*'{}[]",:\\\n', "\\u", '{"', '"}', '": ', "null", "1e999", "[" * 50, '{"a":' * 50, "\ud800"]
)


@settings(max_examples=500)
@given(st.lists(PIECES | st.text(max_size=4), max_size=40), OBJECTS)
def test_no_text_hides_an_object_in_a_line_of_its_own(pieces, value):
    value = {"kept": value}
    lines = [json.dumps(value)] * 3
    documents = found("".join(pieces) + "\n" + "\n".join(lines) + "\n")
    assert sum(d.value == value for d in documents) == 3


@given(OBJECTS.filter(bool), st.data())
def test_an_object_that_is_cut_off_is_told_once(value, data):
    text = json.dumps(value, indent=1)
    cut = data.draw(st.integers(1, len(text) - 1))
    first, *others = found(text[:cut] + "\n" + json.dumps({"kept": 1}) + "\n")
    assert (first.value, first.line) == (None, 1)
    assert [other.value for other in others if other.value] == [{"kept": 1}]


LINES = {
    "strings that do not end": '{"aaa{"',
    "objects in objects": '{"a":{"a":"b',
    "brackets": '{"a":[',
    "lines": '{"a":\n',
    "escapes": '{"a":\\n"',
}


@pytest.mark.parametrize("kind", LINES)
def test_no_object_is_begun_over_and_over(kind):
    # Twice as much text has about twice as many.
    few, many = (len(found(LINES[kind] * count)) for count in (1000, 2000))
    assert many <= 2 * few + 2
