"""kvmppc decode: numbers of the interface, explained anywhere."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvmppc import GRANTABLE, MODES, PROCESSORS, CpuMode
from kvmppc.cli import main
from kvmppc.commands import decode as command
from kvmppc.commands.findings import findings


def decode(capsys, *words):
    """The exit code and the lines."""
    code = main(["decode", *words])
    return code, capsys.readouterr().out.splitlines()


def test_a_mask_is_explained_bit_by_bit_in_the_documentations_numbering(capsys):
    assert decode(capsys, "0x6000000000000000") == (
        0,
        [
            "0x6000000000000000: a compat_capabilities mask",
            "  bit 1  0x4000000000000000  power9",
            "  bit 2  0x2000000000000000  power10",
        ],
    )


def test_bits_of_no_known_mode_are_shown_raw(capsys):
    code, lines = decode(capsys, "0x9100000000000001")
    assert code == 0
    assert lines[1:] == [
        "  bit 3  0x1000000000000000  power11",
        "  other  0x8100000000000001  of unknown modes",
    ]


def test_a_cpu_version_is_explained(capsys):
    code, lines = decode(capsys, "0x0f000006")
    assert code == 0
    assert lines == [
        "0x0f000006: a cpu-version (logical PVR)",
        "  POWER10 mode, 'power10' in QEMU and libvirt",
    ]


def test_a_pvr_is_explained(capsys):
    code, lines = decode(capsys, "0x00821200")
    assert code == 0
    assert lines == [
        "0x00821200: a PVR",
        "  the processor is a Power11, revision 2.0",
        "  0x0082 is the processor, 0x1200 its version",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["0082 1200"],
        ["0082", "1200"],
        ["2.0 (pvr 0082 1200)"],
        ["00821200"],
        ["0X00821200"],
        ["8524288"],
    ],
)
def test_a_number_is_taken_as_it_is_found_in_files(words, capsys):
    assert decode(capsys, *words) == decode(capsys, "0x00821200")


@pytest.mark.parametrize("word", ["6917529027641081856", "6000000000000000", "0x6000000000000000"])
def test_digits_alone_are_decimal_or_hexadecimal_whichever_is_known(word, capsys):
    code, lines = decode(capsys, word)
    assert code == 0
    assert lines[0] == "0x6000000000000000: a compat_capabilities mask"


def test_a_number_that_is_not_known_is_said_to_be_so_with_what_it_could_be(capsys):
    code, lines = decode(capsys, "0x12345678")
    assert code == 1
    assert lines == [
        "0x12345678: unknown",
        "  as a PVR: an unknown processor",
        "  as a compat_capabilities mask: unknown modes, 0x0000000012345678",
    ]


def test_a_later_cpu_version_is_not_mistaken_for_a_processor(capsys):
    code, lines = decode(capsys, "0x0f0000ff")
    assert code == 1
    assert lines[1] == "  a cpu-version (logical PVR): an unknown mode"


def test_digits_that_are_not_known_are_shown_as_both_numbers_they_can_be(capsys):
    code, lines = decode(capsys, "1000")
    assert code == 1
    assert lines[0] == "0x3e8: unknown"
    assert "0x1000: unknown" in lines


@pytest.mark.parametrize(
    ("word", "code", "meaning"),
    [
        ("0x6000000000000000", 0, {"kind": "compat_capabilities", "modes": ["power9", "power10"]}),
        ("0x0f000006", 0, {"kind": "cpu-version", "mode": "power10"}),
        ("0x00821200", 0, {"kind": "pvr", "processor": "power11", "revision": "2.0"}),
        ("0x12345678", 1, None),
    ],
)
def test_programs_get_one_line_of_json(word, code, meaning, capsys):
    found, (line,) = decode(capsys, "--json", word)
    assert found == code
    meanings = json.loads(line)["meanings"]
    assert len(meanings) == (meaning is not None)
    assert all(meaning.items() <= {**each, "value": word}.items() for each in meanings)


def test_zero_is_a_mask_that_grants_nothing(capsys):
    assert decode(capsys, "0") == (
        0,
        ["0x0000000000000000: a compat_capabilities mask", "  grants nothing"],
    )


@pytest.mark.parametrize(
    "word",
    [
        "",
        "x",
        "0x",
        "-1",
        "1.5",
        "1_0",
        "٣",
        "0x1ffffffffffffffff",
        "9" * 5000,
        "pvr 0082 12000",
        "\x1b[31m",
        "banana",
    ],
)
def test_what_has_no_number_and_no_name_exits_2(word, capsys):
    assert main(["decode", "--", word]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "no number of up to 64 bits and no known name; see kvmppc decode --help" in err
    assert err.rstrip("\n").isprintable()


# Lines as people have them before them.
@pytest.mark.parametrize(
    ("line", "values"),
    [
        (
            "Hardware name: IBM,9080-HEX POWER10 (raw) 0x800200 0xf000006 of:IBM,FW1060.00 "
            "(NH1060_012) hv:phyp pSeries",
            ["POWER10", "0x00800200", "0x0f000006"],
        ),
        ("revision\t: 2.0 (pvr 0082 0200)", ["0x00820200"]),
        ("cpu\t\t: POWER8E (raw), altivec supported", ["POWER8E"]),
        ("cpu-version      0f000006 (251658246)", ["0x0f000006"]),
        ("\t\t 0f000006 (251658246)", ["0x0f000006"]),
        ("00000000: 0f00 0006                                ....", ["0x0f000006"]),
        ("00000000: 0f000006  ....", ["0x0f000006"]),
        ("0000000 0600000f", ["0x0f000006"]),
        ("0000000 0f000006\n0000004", ["0x0f000006"]),
        ("0000000 000f 0600\n0000004", ["0x0f000006"]),
        ("0000000 0f 00 00 06", ["0x0f000006"]),
        ("0600000f", ["0x0f000006"]),
        ("0x6000000000000000 0x0f000006 0082 1200", [
            "0x6000000000000000", "0x0f000006", "0x00821200",
        ]),
        ("-machine pseries,max-cpu-compat=power10 -cpu POWER10_v2.0", ["power10", "POWER10_v2.0"]),
    ],
)  # fmt: skip
def test_a_line_is_taken_as_people_have_it(line, values, capsys):
    code, (found,) = decode(capsys, "--json", line)
    assert code == 0
    assert [meaning["value"] for meaning in json.loads(found)["meanings"]] == values


@pytest.mark.parametrize("name", [*PROCESSORS, *MODES])
def test_every_name_of_the_table_is_explained(name, capsys):
    code, lines = decode(capsys, name.upper())
    assert code == 0
    mode = name if isinstance(name, CpuMode) else name.mode
    assert f"  cpu-version {mode.cpu_version:#010x}" in lines
    assert ("  no bit in compat_capabilities" in lines) == (not mode.bit)


def test_a_mode_without_a_bit_is_said_to_have_none_by_its_number_too(capsys):
    _, lines = decode(capsys, "0x0f000004")
    assert lines[1] == "  POWER8 mode, 'power8' in QEMU and libvirt; no bit in compat_capabilities"


@given(st.integers(0, 2**64 - 1))
def test_every_number_of_64_bits_gets_an_answer_that_loses_no_bit(number):
    meaning = command._meaning((number,))
    lines = command._lines(meaning) if meaning else command._unknown(number)
    first = int(lines[0].partition(":")[0], 16)
    assert first == number
    if "mask" in lines[0] and number:
        assert sum(int(line.split()[2 if "bit" in line else 1], 16) for line in lines[1:]) == number


@pytest.mark.parametrize("mode", GRANTABLE)
def test_every_known_mode_has_all_three_numbers(mode, capsys):
    for number in (mode.bit, mode.cpu_version):
        code, lines = decode(capsys, hex(number))
        assert code == 0
        assert str(mode) in lines[1]


@given(st.text() | st.text("0123456789abcdefx :\n") | st.text("power9_v+. ,()"))
def test_any_text_is_read_without_a_traceback(text):
    for finding in findings(text):
        if isinstance(finding, str):
            assert command._meaning(finding)
        else:
            assert all(0 <= number < 1 << 64 for number in finding)


@pytest.mark.parametrize("groups", ["0f00 00", "0f0 000 06", "0f 0000 06", "00 00 00 00 00 00"])
def test_a_dump_of_no_number_is_none(groups):
    assert findings(f"00000000: {groups}") == []
