"""Files of the corpus, damaged: any answer but an exception, a hang or a lost neighbour."""

import json
import os
import random
from pathlib import Path

from kvmppc.fleet.reading import RecordReader

CORPUS = Path(__file__).parents[1] / "corpus" / "records"
PIECES = (b"{", b"}", b"[", b"]", b'"', b"\\", b"\n", b":", b",", b"\0", b"\xff", b" | FAILED! => ")
# As often each file is damaged; set it higher for a longer look.
TIMES = int(os.environ.get("KVMPPC_DAMAGES", "50"))


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Data with a few places cut out, written over, doubled or put elsewhere."""
    for _ in range(chance.randrange(1, 6)):
        start, end = sorted(chance.choices(range(len(data) + 1), k=2))
        end = min(end, start + chance.choice((1, 8, 400)))
        part = chance.choice((b"", chance.choice(PIECES), data[start:end] * 2, data[:20]))
        data = data[:start] + part + data[end:]
    return data


def test_no_damaged_file_ends_reading_or_costs_the_files_beside_it(tmp_path):
    chance = random.Random(1)
    good = json.loads((CORPUS / "array.json").read_text())[0]
    (tmp_path / "a.json").write_text(json.dumps({**good, "hostname": "before"}))
    (tmp_path / "c.json").write_text(json.dumps({**good, "hostname": "after"}))
    files = sorted(path for path in CORPUS.rglob("*") if path.is_file())
    tried = 0
    for path in files:
        for _ in range(TIMES):
            data = damaged(path.read_bytes(), chance)
            (tmp_path / "b").write_bytes(data)
            complaints: list[str] = []
            hosts = list(RecordReader(complaints.append).read(str(tmp_path)))
            assert (hosts[0][0], hosts[-1][0]) == ("before", "after"), data
            # Nobody is lost: a file has a host, or is one.
            assert len(hosts) > 2, data
            tried += 1
    print(f"{tried} damaged files tried")
    assert tried == len(files) * TIMES
