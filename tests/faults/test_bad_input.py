"""Bad input of every kind gets the documented answer and one line, and how much of it was tried.

The inputs are the same every time: they are made from a good one, one change each, and from the
values in corpus.json, which keeps what has once done harm.
"""

import io
import json
import random
from pathlib import Path

import pytest

import kvmppc
from kvmppc import HostReport, RecordError
from kvmppc.cli import main
from kvmppc.commands import SUMMARIES
from kvmppc.fleet.reading import RecordReader
from kvmppc.guest.domain import Domain, DomainError
from kvmppc.testing import simulated_host

CORPUS = json.loads(Path(__file__).with_name("corpus.json").read_text())
NESTED = {f"nested {depth}": "[" * depth + "]" * depth for depth in (900, 5_000, 100_000)}


@pytest.fixture(scope="module")
def record():
    with simulated_host("power11-as-power10"):
        return kvmppc.probe().to_dict()


def spoiled(good: bytes):
    """Bytes with one thing wrong: cut off, a byte missing, another byte, a part twice."""
    for place in range(len(good)):
        yield good[:place]
        yield good[:place] + good[place + 1 :]
        for byte in (0, 10, 34, 60, 123, 128, 255):
            yield good[:place] + bytes([byte]) + good[place + 1 :]
        yield good[: place + 20] + good[place:]


def records_with_one_wrong_value(record):
    """Records in which one key is missing, or has a value that it cannot have."""
    for key in record:
        yield json.dumps({name: value for name, value in record.items() if name != key})
        for value in CORPUS["values"]:
            yield json.dumps({**record, key: value})
        for text in NESTED.values():
            yield json.dumps({**record, key: "HERE"}).replace('"HERE"', text)
        yield json.dumps(record)[:-1] + f', "{key}": null}}'


def read(reader, data):
    """What is read, or what is said of it in its place; any other error ends the test."""
    try:
        return reader(data)
    except (RecordError, DomainError) as error:
        return str(error)


def test_every_bad_record_is_an_error_that_names_what_is_wrong(record):
    good = json.dumps(record).encode()
    inputs = [*spoiled(good), *map(str.encode, records_with_one_wrong_value(record))]
    inputs += [text.encode("utf-8", "surrogatepass") for text in CORPUS["files"]]
    reports = [read(HostReport.from_json, data) for data in inputs]
    good = [report for report in reports if isinstance(report, HostReport)]
    assert all(HostReport.from_json(report.to_json()) == report for report in good)
    assert all(reports)
    refused = len(reports) - len(good)
    print(f"{len(inputs)} records tried, {refused} refused")
    assert len(inputs) > 7_000
    assert refused > len(inputs) // 2


def test_no_bad_record_costs_the_good_ones_beside_it(record, tmp_path):
    good = json.dumps(record).encode()
    path = tmp_path / "records"
    inputs = [data for data in spoiled(good) if b"\n" not in data]
    inputs += [text.encode() for text in records_with_one_wrong_value(record)]
    for start in range(0, len(inputs), 500):
        path.write_bytes(
            b"".join(good + b"\n" + bad + b"\n" for bad in inputs[start : start + 500])
        )
        told: list[str] = []
        found = [hostname for hostname, *_ in RecordReader(told.append).read(str(path))]
        tried = len(inputs[start : start + 500])
        assert found.count(record["hostname"]) >= tried
        assert len(found) + len(told) >= 2 * tried - 1
    print(f"{len(inputs)} records tried beside good ones")


DOMAIN = (
    b"<domain type='kvm'><os><type arch='ppc64le' machine='pseries'>hvm</type></os>"
    b"<cpu mode='custom' match='exact'><model fallback='forbid'>power10</model></cpu></domain>"
)


def test_every_bad_domain_is_an_error_that_says_why():
    inputs = [
        *spoiled(DOMAIN),
        *(text.encode("utf-8", "surrogatepass") for text in CORPUS["files"]),
    ]
    domains = [read(Domain, data) for data in inputs]
    assert all(domains)
    refused = sum(isinstance(domain, str) for domain in domains)
    print(f"{len(inputs)} domains tried, {refused} refused")
    assert refused > len(inputs) // 4


def command_lines(count):
    """Words that are used, in orders that are not, with what nobody would type among them."""
    chance = random.Random(0)
    words = [*SUMMARIES, *CORPUS["words"]]
    for _ in range(count):
        line = chance.choices(words, k=chance.randrange(1, 7))
        if "bench" not in line:  # which takes as long as it is told to
            yield line
    yield from CORPUS["command lines"]


def test_every_command_line_has_a_documented_end(record, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    ends = dict.fromkeys((0, 1, 2, 3, 4), 0)
    for line in command_lines(3_000):
        (tmp_path / "record.json").write_text(json.dumps(record))
        (tmp_path / "guest.xml").write_bytes(DOMAIN)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
        code = main(line)
        out, err = capfd.readouterr()
        assert code in ends, (line, code, err)
        ends[code] += 1
        assert all(text.startswith("kvmppc: ") for text in err.splitlines()), (line, err)
        assert all(text.isprintable() for text in (out + err).split("\n")), (line, out, err)
        assert code != 2 or err, line
    print(f"{sum(ends.values())} command lines tried; by exit code: {ends}")
    assert min(ends.values()) > 0
