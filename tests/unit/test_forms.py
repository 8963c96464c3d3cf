"""The forms in which hosts come: what Ansible, pdsh and scripts write, packed and encoded."""

import bz2
import gzip
import importlib
import json
import lzma
from pathlib import Path

import pytest

import kvmppc
from kvmppc.fleet.reading import RecordReader
from kvmppc.testing import simulated_host

with simulated_host("power10"):
    RECORD = kvmppc.probe().to_dict()

FACTS = {"ansible_local": {"kvmppc": RECORD}}
ME = RECORD["hostname"]


def named(hostname):
    return {**RECORD, "hostname": hostname}


def text(*hostnames):
    return "".join(json.dumps(named(name)) + "\n" for name in hostnames)


@pytest.fixture
def read(tmp_path):
    """Reads a file: its hosts as name and "known" or the reason, and the complaints."""

    def read(content, name="file"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        complaints = []
        hosts = list(RecordReader(complaints.append).read(str(path)))
        return (
            [(name, a.reason if a.modes is None else a.status) for name, a, _ in hosts],
            [complaint.replace(str(path), "FILE") for complaint in complaints],
        )

    return read


def known(*names):
    return [(name, "known") for name in names], []


FORMS = {
    "joined without a newline": json.dumps(named("a")) + json.dumps(named("b")),
    "joined, and indented": json.dumps(named("a"), indent=1) + json.dumps(named("b"), indent=4),
    "two arrays": f"[{json.dumps(named('a'))}][{json.dumps(named('b'))}]",
    "pdsh": f"a: {json.dumps(RECORD)}\nb: {json.dumps(RECORD)}\n",
    "clush": f"a:{json.dumps(RECORD)}\nb:{json.dumps(RECORD)}\n",
    "pdsh, and indented": f"a: {json.dumps(RECORD, indent=2)}\nb: {json.dumps(RECORD)}\n",
    "ansible -m setup": "".join(
        f"{name} | SUCCESS => {json.dumps({'ansible_facts': FACTS, 'changed': False}, indent=4)}\n"
        for name in "ab"
    ),
    "ansible --one-line": "".join(
        f"{name} | SUCCESS => {json.dumps({'ansible_facts': FACTS, 'changed': False})}\n"
        for name in "ab"
    ),
    "ansible -m command": "".join(
        f"{name} | CHANGED | rc=0 >>\n{json.dumps(RECORD)}\n" for name in "ab"
    ),
    "ansible -m command --one-line": "".join(
        f"{name} | CHANGED | rc=0 | (stdout) {json.dumps(RECORD)}\n" for name in "ab"
    ),
    "what the task returned": "".join(
        json.dumps({"inventory_hostname": name, "changed": True, "stdout": json.dumps(RECORD)})
        for name in "ab"
    ),
    "facts with the inventory's names": "".join(
        json.dumps({**FACTS, "inventory_hostname": name}) + "\n" for name in "ab"
    ),
    "a log around them": f"07:00 asked\n07:01 {json.dumps(named('a'))}\n{text('b')}",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_host_has_the_name_that_stands_before_it(read, form):
    hosts, _ = read(FORMS[form])
    assert hosts == [("a", "known"), ("b", "known")]


def colored(printed):
    """A text as Ansible and jq color it: line by line, and each value on its own."""
    lines = [f"\x1b[0;33m{line}\x1b[0m\x1b[K" for line in printed.split("\n")]
    return "\n".join(lines).replace('"schema"', '\x1b[34;1m"schema"\x1b[m')


@pytest.mark.parametrize("form", FORMS)
def test_colors_are_no_part_of_a_record_or_a_name(read, form):
    assert read(colored(FORMS[form]))[0] == [("a", "known"), ("b", "known")]
    assert read(colored(headed("a", json.dumps(RECORD)))) == known("a")


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_of_unicode_is_read(read, encoding):
    raw = json.dumps(named("\N{SNOWMAN}"), ensure_ascii=False) + "\n" + text("b")
    assert read(raw.encode(encoding)) == known("\N{SNOWMAN}", "b")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_text_may_come_before_a_record_in_any_encoding(read, encoding):
    welcome = "Welcome to lpar1.\n" * 40
    hosts, (complaint,) = read((welcome + text("a")).encode(encoding))
    assert hosts == [("a", "known")]
    assert complaint.startswith("FILE: line 1 is not a record (Welcome to lpar1.)")


def test_files_put_together_can_each_have_a_byte_order_mark(read):
    assert read(text("a").encode("utf-8-sig") * 2) == known("a", "a")


def test_a_letter_that_is_no_utf_8_costs_no_host(read):
    assert read(text("a").replace('"ppc64le"', '"\xff"').encode("latin-1")) == known("a")


PACKED = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_file_is_unpacked(read, kind):
    pack = PACKED[kind]
    assert read(pack(text("a", "b").encode())) == known("a", "b")
    assert read(pack(text("a").encode("utf-16")) + pack(text("b").encode("utf-16-le"))) == known(
        "a", "b"
    )


@pytest.mark.parametrize("kind", PACKED)
def test_what_is_before_the_damage_of_a_packed_file_is_read(read, kind):
    data = PACKED[kind](text(*(f"h{n}" for n in range(3000))).encode())
    hosts, (complaint,) = read(data[: len(data) // 2])
    assert complaint.startswith(f"FILE: cannot be read: the {kind} data is damaged")
    assert all(name.startswith("h") or name == "file" for name, _ in hosts)
    assert hosts


def test_zstd_is_read_where_python_has_it(read):
    try:
        zstd = importlib.import_module("compression.zstd")
    except ImportError:
        hosts, complaints = read(b"\x28\xb5\x2f\xfd rest", "lpar1.json.zst")
        reason = "compressed with zstd, which this Python cannot decompress; decompress it first"
        assert complaints == [f"FILE: {reason}"]
        assert hosts == [("lpar1", f"no valid record: {reason}")]
    else:
        assert read(zstd.compress(text("a", "b").encode())) == known("a", "b")


FOREIGN = {
    "a tar file": (b"lpar1".ljust(257, b"\0") + b"ustar\0" + bytes(300), "this is a tar file"),
    "a zip file": (b"PK\x03\x04" + bytes(300), "this is a zip file"),
    "a tar file, packed": (
        gzip.compress(b"lpar1".ljust(257, b"\0") + b"ustar\0" + bytes(300)),
        "this is a tar file",
    ),
    "a program": (b"\x7fELF" + bytes(300), "this is a program, not records"),
    "random bytes": (b"hello\0\0\0\0\x01\xfe", "this is binary data"),
    "YAML": (b"---\nschema: 1\nhostname: a\n", "this is YAML, not JSON"),
    "YAML without a mark": (b"schema: 1\nhostname: a\n", "this is YAML, not JSON"),
    "XML": (b"<domain/>\n", "this is XML or HTML, not JSON"),
    "an error of ssh": (
        b"ssh: connect to host lpar1 port 22: Connection refused\n",
        "this is text (a log?), not JSON",
    ),
    "a log": (b"2026-11-25 07:00 asked\n" * 99, "this is text (a log?), not JSON"),
    "an inventory": (b"[lpars]\nlpar1\nlpar2\n", "this is text (a log?), not JSON"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_a_file_is_instead_is_said_once(read, kind):
    data, reason = FOREIGN[kind]
    hosts, (complaint,) = read(data, "lpar1.json")
    assert complaint.startswith(f"FILE: {reason}")
    ((name, said),) = hosts
    assert name == "lpar1"
    assert reason in said


TREE = {
    "what setup returns": {"ansible_facts": FACTS, "changed": False},
    "the cache up to ansible-core 2.18": FACTS,
    "the cache from 2.19 on": {"__payload__": json.dumps(FACTS)},
    "what a task returns": {"changed": True, "rc": 0, "stdout": json.dumps(RECORD)},
    "a task that failed, with a record": {
        "changed": True,
        "failed": True,
        "rc": 3,
        "msg": "non-zero return code",
        "stdout": json.dumps(RECORD),
    },
}


@pytest.mark.parametrize("form", TREE)
@pytest.mark.parametrize("indent", [None, 4])
def test_a_file_of_ansible_is_called_after_its_host(read, form, indent):
    assert read(json.dumps(TREE[form], indent=indent), "lpar-a") == known("lpar-a")


def test_the_version_before_a_cached_host_is_no_part_of_its_name(read):
    payload = json.dumps({"__payload__": json.dumps(FACTS)})
    assert read(payload, "s1_lpar-a") == known("lpar-a")
    assert read(json.dumps(FACTS), "s1_lpar-a") == known("s1_lpar-a")


def test_a_file_of_more_hosts_is_not_called_after_one(read):
    assert read((json.dumps(FACTS) + "\n") * 2) == known(ME, ME)


BOOM = "Failure executing fact script (/etc/ansible/facts.d/kvmppc.fact), rc: 3, err: boom\n"
LOST = {
    "unreachable": (
        {"changed": False, "msg": "Connection refused", "unreachable": True},
        "Ansible could not reach the host: Connection refused",
    ),
    "a fact that failed": (
        {"ansible_facts": {"ansible_local": {"kvmppc": BOOM}}},
        f"the Ansible fact failed: {BOOM.strip()}",
    ),
    "no fact": (
        {"ansible_facts": {"ansible_local": {}}, "changed": False},
        "Ansible has no fact ansible_local.kvmppc for the host; "
        "install /etc/ansible/facts.d/kvmppc.fact and gather facts again",
    ),
    "a task that failed": (
        {"changed": False, "failed": True, "msg": "no\nsuch file"},
        "the query failed: no such file",
    ),
    "a task that failed without a word": ({"failed": True}, "the query failed"),
    "a payload that is no JSON": ({"__payload__": "{"}, "Ansible has no fact ansible_local.kvmppc"),
}


@pytest.mark.parametrize("kind", LOST)
def test_a_host_without_a_record_is_one_that_cannot_tell(read, kind):
    item, reason = LOST[kind]
    ((name, said),), complaints = read(json.dumps(item), "lpar-b")
    assert (name, complaints) == ("lpar-b", [])
    assert said.startswith(reason)


def test_the_line_that_a_script_leaves_for_a_host_counts(read):
    line = '{"hostname": "lpar3", "failed": true, "msg": "ssh ended with exit code 255"}\n'
    expected = [("lpar3", "the query failed: ssh ended with exit code 255")]
    assert read(line) == (expected, [])
    assert read(text("a") + line) == ([("a", "known"), *expected], [])


@pytest.mark.parametrize("cut", range(1, len(text("a")), 37))
def test_a_record_that_is_cut_off_hides_no_line_after_it(read, cut):
    line = '{"hostname": "lpar3", "failed": true, "msg": "ssh ended with exit code 255"}\n'
    hosts, complaints = read(text("a") + text("x")[:cut] + "\n" + line + text("b"))
    names = [name for name, _ in hosts]
    assert (names[0], names[-2:], len(names)) == ("a", ["lpar3", "b"], 4)
    assert len(complaints) == 1


def test_hosts_that_ansible_prints_without_a_record_count(read):
    printed = (
        "lpar-a | CHANGED | rc=0 >>\n"
        f"{json.dumps(RECORD)}\n"
        "lpar-b | FAILED | rc=2 >>\n"
        "[Errno 2] No such file or directory: b'kvmppc'\n"
        "[ERROR]: Task failed: Failed to connect\n"
        "Origin: <adhoc 'command' task>\n\n"
        "{'action': 'command', 'args': {'_raw_params': 'kvmppc'}, [...]\n\n"
        "lpar-c | UNREACHABLE! => {\n"
        '    "msg": "Connection refused",\n'
        '    "unreachable": true\n'
        "}\n"
        "lpar-d | UNREACHABLE!: Connection refused\n"
        "lpar-e | FAILED | rc=127 >>\n"
    )
    assert read(printed) == (
        [
            ("lpar-a", "known"),
            (
                "lpar-b",
                "the query failed: exit code 2: [Errno 2] No such file or directory: b'kvmppc'",
            ),
            ("lpar-c", "Ansible could not reach the host: Connection refused"),
            ("lpar-d", "Ansible could not reach the host: Connection refused"),
            ("lpar-e", "the query failed: exit code 127"),
        ],
        [],
    )


def test_a_command_that_failed_counts_once_although_ansible_prints_it_twice(read):
    """As ansible-core 2.19 does with --one-line."""
    result = {"changed": True, "failed": True, "msg": "non-zero return code", "stderr": "boom"}
    with_record = json.dumps({**result, "rc": 3, "stdout": json.dumps(RECORD)})
    without = json.dumps({**result, "rc": 127, "stdout": ""})
    printed = (
        f"lpar-a | FAILED | rc=3 | (stdout) {json.dumps(RECORD)} (stderr) boom\n"
        f"lpar-a | FAILED! => {with_record}\n"
        "lpar-b | FAILED | rc=127 | (stdout)  (stderr) boom\n"
        f"lpar-b | FAILED! => {without}\n"
        f"lpar-c | FAILED! => {with_record}\n"
        f"lpar-c | FAILED! => {with_record}\n"
    )
    assert read(printed) == (
        [
            ("lpar-a", "known"),
            ("lpar-b", "the query failed: (stdout) (stderr) boom"),
            ("lpar-c", "known"),
            ("lpar-c", "known"),
        ],
        [],
    )


def test_hosts_that_pdsh_prints_without_a_record_count(read):
    printed = (
        "lpar2: bash: kvmppc: command not found\n"
        "lpar1: Warning: Permanently added 'lpar1' to the list of known hosts.\n"
        f"lpar1: {json.dumps(RECORD)}\n"
        "lpar3: ssh: connect to host lpar3 port 22: No route to host\n"
        "pdsh@admin: lpar3: ssh exited with exit code 255\n"
        "clush: lpar4: exited with exit code 127\n"
        "pdsh@admin: lpar5: command timeout\n"
        "sending signal 15 to lpar5 [ssh] pid 4711\n"
        "clush:  3/12\n"
        "pdsh@admin: lpar5: ssh killed by signal 15\n"
    )
    assert read(printed) == (
        [
            ("lpar1", "known"),
            ("lpar2", "the query failed: bash: kvmppc: command not found"),
            ("lpar3", "the query failed: ssh: connect to host lpar3 port 22: No route to host"),
            ("lpar4", "the query failed: exited with exit code 127"),
            ("lpar5", "the query failed: command timeout"),
        ],
        [],
    )


def headed(name, text, rule="-" * 16):
    """What a host printed, as dshbak and clush -b show it."""
    return f"{rule}\n{name}\n{rule}\n{text}\n"


@pytest.mark.parametrize("rule", ["-" * 15, "-" * 16], ids=["clush -b", "dshbak"])
def test_a_heading_names_the_host_of_the_record_below_it(read, rule):
    printed = (
        headed("lpar9", json.dumps(RECORD), rule)
        + headed("lpar8", "Last login: Monday\n" + json.dumps(RECORD, indent=2), rule)
        + "lpar3: ssh: connect to host lpar3 port 22: No route to host\n"
        + headed("lpar[4-5] (2)", "bash: kvmppc: command not found", rule)
    )
    assert read(printed) == (
        [
            ("lpar9", "known"),
            ("lpar8", "known"),
            ("lpar3", "the query failed: ssh: connect to host lpar3 port 22: No route to host"),
            ("lpar4", "the query failed: bash: kvmppc: command not found"),
            ("lpar5", "the query failed: bash: kvmppc: command not found"),
        ],
        [],
    )


def test_hosts_below_headings_count_where_none_has_a_record(read):
    printed = headed("lpar1", "bash: kvmppc: command not found") + headed("lpar2", "")
    assert read(printed) == (
        [
            ("lpar1", "the query failed: bash: kvmppc: command not found"),
            ("lpar2", "the query failed: it printed nothing"),
        ],
        [],
    )


def test_a_rule_that_a_host_prints_hides_no_heading_below_it(read):
    rule = "-" * 16
    welcome = f"{rule}\nDo not log in.\n{rule}\n"
    printed = (
        headed("lpar1", f"no such program\n{rule}")
        + headed("lpar2", json.dumps(RECORD))
        + headed("lpar3", rule)
        + headed("lpar4", welcome + json.dumps(RECORD))
    )
    assert read(printed) == (
        [
            ("lpar2", "known"),
            ("lpar4", "known"),
            ("lpar1", "the query failed: no such program"),
            ("lpar3", f"the query failed: {rule}"),
        ],
        [],
    )


@pytest.mark.parametrize(
    "printed",
    [
        headed("lpar[1,3] (2)", json.dumps(RECORD), "-" * 15),
        headed("lpar[1,3]", json.dumps(RECORD)),
        headed("lpar[1,3]", f"welcome {json.dumps(RECORD)}"),
        f"lpar[1,3]: {json.dumps(RECORD)}\n",
    ],
    ids=["clush -b", "dshbak -c", "other text in its line", "clush -bL"],
)
def test_hosts_that_printed_the_same_record_each_count(read, printed):
    assert read(printed) == known("lpar1", "lpar3")
    with_errors = (
        "lpar4: bash: kvmppc: command not found\n"
        "clush: 3/5\r          \rclush: 5/5\r"
        f"{printed}"
        + headed("lpar[6-7] (2)", "no such program", "-" * 15)
        + "clush: lpar[1,3,9] (3): exited with exit code 3\n"
        "clush: lpar[4,6] (2): exited with exit code 127\n"
        "clush: lpar8: command timeout\n"
    )
    assert read(with_errors) == (
        [
            ("lpar1", "known"),
            ("lpar3", "known"),
            ("lpar4", "the query failed: bash: kvmppc: command not found"),
            ("lpar6", "the query failed: no such program"),
            ("lpar7", "the query failed: no such program"),
            ("lpar8", "the query failed: command timeout"),
            ("lpar9", "the query failed: exited with exit code 3"),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("title", "many"),
    [
        ("@lpars (3)", "3"),
        ("@lpars", "several"),
        ("@slurm:lpars (3)", "3"),
        ("10.0.0.1,@slurm:lpars (4)", "4"),
        ("10.0.0.1,@lpars", "several"),
        ("lpars (3)", "3"),
        ("lpar[1-2] (3)", "3"),
        ("lpar[1-2/2]", "several"),
        ("lpar[1-999999] (999999)", "999999"),
    ],
)
def test_hosts_that_cannot_be_told_apart_are_reported(read, title, many):
    name = title.partition(" ")[0]
    hosts, complaints = read(headed(title, json.dumps(RECORD), "-" * 15))
    assert hosts == [(name, "known")]
    assert complaints == [
        f"FILE:2: {name} stands for {many} hosts and counts as one; "
        "print each host by itself (clush -L without -b, dshbak without -c)"
    ]


def test_the_hosts_of_all_sets_are_bounded(read, monkeypatch):
    monkeypatch.setattr("kvmppc.fleet.lines._IN_SETS", 5)
    hosts, complaints = read("".join(headed(f"{a}[1-2]", json.dumps(RECORD)) for a in "abc"))
    assert [name for name, _ in hosts] == ["a1", "a2", "b1", "b2", "c[1-2]"]
    assert len(complaints) == 1


def test_many_lines_of_many_hosts_are_the_answer_of_each(read):
    # Each line for each host would be 200 million steps.
    hosts, _ = read(headed("lpar[1-100000]", "no such program\n" * 2000))
    assert hosts[0] == ("lpar1", "the query failed: no such program")
    assert (len(hosts), {reason for _, reason in hosts}) == (100_000, {hosts[0][1]})


def test_no_host_of_pdsh_is_lost_where_none_has_a_record(read):
    names = [f"lpar{number:04}" for number in range(5000)]
    own = "".join(f"pdsh@admin: {name}: ssh exited with exit code 255\n" for name in names)
    below = "".join(headed(name, "ssh exited with exit code 255") for name in names)
    reason = "the query failed: ssh exited with exit code 255"
    assert read(own) == read(below) == ([(name, reason) for name in names], [])


def test_a_line_of_a_host_is_not_shown_as_one_of_none(read):
    _, (complaint,) = read(f"lpar2: no such program\nhello\nlpar1: {json.dumps(RECORD)}\n")
    assert complaint.startswith("FILE: line 2 is not a record (hello); expected")


@pytest.mark.parametrize(
    "text",
    [
        f"{'-' * 16}\nno title of a host\n",
        f"{'-' * 16}\nlpar1\n",
        f"{'-' * 40}\nlpar1\n{'-' * 40}\n",
    ],
)
def test_other_rules_name_no_host(read, text):
    hosts, complaints = read(f"{text}{json.dumps(RECORD)}\n{text}")
    assert [name for name, _ in hosts] == [RECORD["hostname"]]
    assert len(complaints) == 1


def before_the_release(record):
    """A record as it was written before it had all of its keys."""
    added = ("cpu_version", "mmu", "page_size", "nested_api", "hint")
    return {key: value for key, value in record.items() if key not in added}


def test_a_record_from_before_the_release_is_still_read(read):
    with simulated_host("linux-6.12"):
        hint = kvmppc.probe()
    old_hint = {
        **before_the_release(hint.to_dict()),
        "modes": ["power10"],
        "newest": "power10",
        "source": "device-tree",
    }
    hosts, complaints = read(json.dumps(before_the_release(RECORD)) + json.dumps(old_hint))
    assert complaints == []
    assert hosts == [(ME, "known"), (hint.hostname, f"hint: {hint.reason}")]
    read_back = kvmppc.HostReport.from_dict(old_hint)
    assert (read_back.hint, read_back.modes, read_back.newest) == ("power10", (), None)


CORPUS = Path(__file__).parents[1] / "corpus" / "records"
KEPT = json.loads((CORPUS / "expected.json").read_text())


def test_every_file_of_the_corpus_is_expected():
    files = {str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*") if path.is_file()}
    assert files - {"expected.json"} == set(KEPT)


@pytest.mark.parametrize("file", KEPT)
def test_what_people_have_is_read(file):
    complaints = []
    hosts = RecordReader(complaints.append).read(str(CORPUS / file))
    assert {
        "hosts": [[name, answer.status] for name, answer, _ in hosts],
        "complaints": len(complaints),
    } == KEPT[file]


def unsafe(value):
    """A value as ansible-inventory prints one that comes from a host."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    if isinstance(value, dict):
        return {name: unsafe(item) for name, item in value.items()}
    return value


def tagged(value):
    """A value as ansible-core from 2.19 on writes one that has a tag."""
    if isinstance(value, dict):
        value = {name: tagged(item) for name, item in value.items()}
    return {"__ansible_type": "_AnsibleTagged", "value": value, "tags": []}


@pytest.mark.parametrize("wrap", [lambda value: value, unsafe, tagged])
def test_an_inventory_with_cached_facts_has_every_host(read, wrap):
    inventory = {
        "_meta": {
            "hostvars": {
                "a": {"ansible_host": "10.0.0.1", "ansible_local": wrap({"kvmppc": RECORD})},
                "b": {"ansible_local": wrap({"kvmppc": BOOM})},
            }
        },
        "all": {"children": ["ungrouped", "power"]},
        "power": {"hosts": ["a", "c"]},
    }
    hosts, complaints = read(json.dumps(inventory, indent=4))
    assert complaints == []
    assert [name for name, _ in hosts] == ["a", "b", "c"]
    assert hosts[0][1] == "known"
    assert hosts[1][1] == f"the Ansible fact failed: {BOOM.strip()}"
    assert hosts[2][1].startswith("Ansible has no fact")


def test_a_fact_that_is_no_record_is_told(read):
    facts = {"ansible_local": {"kvmppc": {**RECORD, "schema": 2}}}
    assert read(json.dumps(facts), "lpar-a") == (
        [("lpar-a", "no valid record: schema is 2, expected 1")],
        ["FILE:1: schema is 2, expected 1"],
    )


@pytest.mark.parametrize("depth", [100, 400, 800, 950, 5000, 100_000])
def test_what_is_nested_deeply_costs_no_other_host(read, depth):
    deep = "[" * depth + "]" * depth
    nested = [
        json.dumps(named("x")).replace('"ppc64le"', deep),
        json.dumps({**FACTS, "inventory_hostname": "y"}).replace('"ppc64le"', deep),
        f'{{"ansible_local": {deep}}}',
        f'{{"unreachable": {deep}, "msg": {deep}}}',
        f'{{"_meta": {{"hostvars": {{"z": {{"ansible_local": {deep}}}}}}}}}',
    ]
    hosts, _ = read("\n".join([text("a"), *nested, text("b")]))
    assert [name for name, said in hosts if said == "known"] == ["a", "b"]
    assert len(hosts) == 7
