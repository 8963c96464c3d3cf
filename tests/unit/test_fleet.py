"""A fleet: what many hosts have in common, exactly, in memory that does not grow with them."""

import copy
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import GRANTABLE, CpuMode, HostReport
from kvmppc.fleet.fleetpage import fleet_html, fleet_markdown
from kvmppc.fleet.hosts import Answer, Fleet, FleetError, Host
from kvmppc.fleet.table import fleet_json, fleet_text
from kvmppc.testing import simulated_host

MODES = GRANTABLE


def probed(name):
    with simulated_host(name):
        return kvmppc.probe().to_dict()


POWER10 = probed("power10")
HINT = probed("linux-6.12")


def granting(*modes):
    """The answer of a host that grants these modes."""
    mask = sum(mode.bit for mode in modes)
    names = [str(mode) for mode in sorted(modes)]
    changes = {
        "simulated": None,
        "compat_capabilities": f"{mask:#018x}",
        "modes": names,
        "newest": names[-1] if names else None,
        "unknown_bits": "0x0",
    }
    return Answer.of(HostReport.from_dict({**POWER10, **changes}))


def silent(status, reason="asked in vain"):
    """The answer of a host that cannot tell."""
    hint = HINT["hint"] if status == "hint" else None
    return Answer.of(
        HostReport.from_dict(
            {**HINT, "status": status, "hint": hint, "source": None, "reason": reason}
        )
    )


ANSWERS = [
    *(
        granting(*(m for i, m in enumerate(MODES) if subset >> i & 1))
        for subset in range(1 << len(MODES))
    ),
    *map(silent, ("hint", "unsupported", "unavailable", "error", "denied")),
]
HOSTS = st.lists(st.tuples(st.text(max_size=8), st.sampled_from(ANSWERS)))


def fleet_of(*hosts):
    fleet = Fleet()
    for hostname, answer in hosts:
        fleet.add(hostname, answer)
    return fleet


def read_back(fleet):
    return json.loads("".join(fleet_json(fleet)))


def test_the_common_modes_are_those_that_every_host_grants():
    with fleet_of(("a", granting(*MODES)), ("b", granting(*MODES[:2]))) as fleet:
        assert fleet.modes == MODES[:2]
        assert fleet.newest == "power10"


def test_a_host_that_lacks_a_newer_mode_stands_in_its_way():
    with fleet_of(("a", granting(*MODES)), ("b", granting(*MODES[:2]))) as fleet:
        assert fleet.newer == MODES[2:]
        assert list(fleet.blockers(CpuMode("power11"))) == ["b"]
        assert fleet.granting(CpuMode("power11")) == 1
        assert list(fleet.among(CpuMode("power11"))) == ["a"]


def test_modes_need_not_be_cumulative():
    # A Power11 under PowerVM has no Power9, and a Power9 has nothing else.
    with fleet_of(("vm", granting(*MODES[1:])), ("old", granting(*MODES[:1]))) as fleet:
        assert fleet.modes == ()
        assert fleet.newest is None
        blockers = [list(fleet.blockers(mode)) for mode in fleet.newer]
    assert blockers == [["vm"], *(["old"] for _ in MODES[1:])]


@pytest.mark.parametrize("status", ["hint", "unsupported", "unavailable", "error", "denied"])
def test_a_host_that_cannot_tell_is_neither_yes_nor_no(status):
    with fleet_of(("a", granting(*MODES)), ("b", silent(status))) as fleet:
        assert (fleet.hosts, fleet.known) == (2, 1)
        assert fleet.modes == MODES
        assert not list(fleet.blockers(CpuMode("power9")))
        assert list(fleet.unknown()) == [("b", f"{status}: asked in vain")]


def test_where_no_host_can_tell_there_are_no_common_modes():
    with fleet_of(("b", silent("denied"))) as fleet:
        assert fleet.modes == ()
        assert fleet.newest is None


def test_bits_of_no_known_mode_make_no_difference():
    record = {
        **POWER10,
        "compat_capabilities": "0x6000000000000001",
        "unknown_bits": "0x1",
    }
    with fleet_of(("a", Answer.of(HostReport.from_dict(record)))) as fleet:
        assert fleet.modes == MODES[:2]


@given(HOSTS)
def test_the_json_has_every_host_where_it_belongs(hosts):
    known = [(name, answer.modes) for name, answer in hosts if answer.modes is not None]
    common = [m for m in MODES if known and all(m in modes for _, modes in known)]
    newer = [m for m in MODES if not common or m > common[-1]]
    with fleet_of(*hosts) as fleet:
        got = read_back(fleet)
    assert list(got) == [
        *("schema", "hosts", "known", "modes", "newest"),
        *("blockers", "unknown", "groups"),
        *("missing", "unexpected", "by_mode", "by_host"),
    ]
    assert (got["schema"], got["hosts"], got["known"]) == (1, len(hosts), len(known))
    assert got["modes"] == common
    assert got["newest"] == (common[-1] if common else None)
    assert got["blockers"] == [
        {"mode": m, "hostnames": [name for name, modes in known if m not in modes]} for m in newer
    ]
    assert got["unknown"] == [
        {"hostname": name, "reason": answer.reason}
        for name, answer in hosts
        if answer.modes is None
    ]
    assert got["by_mode"] == [
        {"mode": m, "hostnames": [name for name, modes in known if m in modes]} for m in MODES
    ]
    assert [(h["hostname"], h["status"], h["modes"], h["reason"]) for h in got["by_host"]] == [
        (name, answer.status, None, answer.reason)
        if answer.modes is None
        else (name, "known", list(answer.modes), None)
        for name, answer in hosts
    ]
    members = [(name, g["status"], g["modes"]) for g in got["groups"] for name in g["hostnames"]]
    each = [(h["hostname"], h["status"], h["modes"]) for h in got["by_host"]]
    assert sorted(members, key=str) == sorted(each, key=str)


def test_no_name_is_lost_where_names_go_to_a_file():
    names = [f"lpar{number} \n\N{SNOWMAN}" for number in range(10_000)]
    old, denied = granting(MODES[0]), silent("denied")
    with Fleet() as fleet:
        for name in names:
            fleet.add(name, old)
            fleet.add(name, denied)
        fleet.add("newest", granting(*MODES))
        assert list(fleet.blockers(CpuMode("power11"))) == names
        assert [name for name, _ in fleet.unknown()] == names
        # Read twice at a time, and added to after that.
        both = zip(fleet.blockers(CpuMode("power10")), fleet.blockers(CpuMode("power11")))
        assert list(both) == list(zip(names, names))
        for name in names:
            fleet.add(name, old)
        assert list(fleet.blockers(CpuMode("power11"))) == names * 2
        assert len(read_back(fleet)["blockers"][0]["hostnames"]) == 20_000


def test_hosts_come_back_as_they_were_added():
    answers = (
        granting(*MODES[:2]),
        silent("denied"),
        Answer("failed", "the Ansible fact failed: \ud800"),
    )
    hosts = [(f"h{n}", answers[n % 3], f"hosts.jsonl:{n}") for n in range(10_000)]
    with Fleet() as fleet:
        for host in hosts:
            fleet.add(*host)
        got = list(fleet)
    assert got == [Host(*host) for host in hosts]
    assert got[0].answer.report == answers[0].report


def test_hosts_without_an_answer_are_found_by_their_reason():
    first, other = Answer("failed", "x: \ud800"), Answer("failed", "b")
    hosts = [("z", first), ("b", other), ("known", granting(MODES[0])), ("a", first)]
    with fleet_of(*hosts, ("c", Answer("missing", "b"))) as fleet:
        reasons = [(reason, count, list(names)) for reason, count, names in fleet.reasons()]
        unread = [(reason, next(names)) for reason, _, names in fleet.reasons()]
    assert reasons == [("b", 2, ["b", "c"]), (first.reason, 2, ["z", "a"])]
    assert unread == [("b", "b"), (first.reason, "z")]


@pytest.mark.parametrize("form", [fleet_text, fleet_json, fleet_html, fleet_markdown])
def test_hosts_that_each_have_a_reason_of_their_own_take_no_longer(form):
    def steps(hosts):
        """The steps of SQLite for the output."""
        with Fleet() as fleet:
            for number in range(hosts):
                fleet.add(f"lpar{number}", Answer("failed", f"cannot connect to lpar{number}"))
            called = []
            fleet._database.set_progress_handler(lambda: called.append(1), 100)
            assert f"lpar{hosts - 1}" in "".join(form(fleet)) or form is fleet_text
            return len(called)

    assert steps(4000) < 16 * steps(500)


def test_a_mode_without_a_bit_counts_by_its_name():
    bare_metal, mode = copy.copy(granting(*MODES)), CpuMode("power8")
    object.__setattr__(bare_metal, "modes", (mode, *MODES))
    object.__setattr__(bare_metal, "same", "bare metal")
    with fleet_of(("a", bare_metal), ("b", granting())) as fleet:
        assert fleet.newest is None
        assert fleet.newer == (mode, *MODES)
        assert (list(fleet.among(mode)), list(fleet.blockers(mode))) == (["a"], ["b"])
        assert fleet_text(fleet).startswith("host  power8  power9  power10  power11")


@given(HOSTS, st.lists(st.text(max_size=2)))
def test_what_is_expected_is_compared_by_name(hosts, names):
    have = dict.fromkeys(name for name, _ in hosts)
    with fleet_of(*hosts) as fleet:
        fleet.expect(names)
        assert sorted(fleet.missing()) == sorted(set(names) - set(have))
        assert list(fleet.unexpected()) == [name for name in have if name not in names]
        assert fleet.hosts == len(hosts) + len(set(names) - set(have))


def test_no_room_for_the_hosts_is_told():
    def fill():
        with Fleet() as fleet:
            fleet._database.execute("PRAGMA max_page_count = 20")
            for number in range(50_000):
                fleet.add(f"host{number}", answer)

    answer = silent("denied")
    with pytest.raises(FleetError, match=r"the temporary database failed: .* SQLITE_TMPDIR"):
        fill()


def test_memory_does_not_grow_with_the_hosts():
    answer = granting(MODES[0])
    with Fleet() as fleet:
        tracemalloc.start()
        try:
            for number in range(30_000):
                fleet.add(f"{number:01000}", answer)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # The names alone are 30 MB.
    assert peak < 16 << 20


def test_a_closed_fleet_has_its_counts():
    fleet = fleet_of(("a", granting(*MODES)), ("b", silent("hint")))
    fleet.close()
    fleet.close()
    assert (fleet.hosts, fleet.known, fleet.newest) == (2, 1, MODES[-1])


@given(HOSTS)
def test_hostnames_of_more_than_one_record_are_counted_and_named(hosts):
    names = [name for name, _ in hosts]
    twice = {name for name in names if names.count(name) > 1}
    with fleet_of(*hosts) as fleet:
        count, some = fleet.repeated(3)
    assert count == len(twice)
    assert [name for name, _ in some] == list(dict.fromkeys(n for n in names if n in twice))[:3]


def test_places_of_a_name_are_told():
    with Fleet() as fleet:
        for place in ("x:1", "y:7", "z:9"):
            fleet.add("a", silent("hint"), place)
        assert fleet.repeated(2) == (1, [("a", ["x:1", "y:7"])])


def test_simulated_hosts_are_counted_as_such():
    with fleet_of(
        ("a", granting(*MODES)), ("b", Answer.of(HostReport.from_dict(POWER10)))
    ) as fleet:
        assert fleet.simulated == 1


def row(first, *cells, rest="", reason=""):
    """A row of the table: its last columns have the same, and each is as wide as its mode."""
    padded = [*cells, *[rest] * (len(MODES) - len(cells))]
    return "  ".join([first, *map(str.ljust, padded, map(len, MODES)), reason]).rstrip()


def test_the_table_has_a_row_for_each_host():
    hosts = ("b", granting(*MODES[:2])), ("c", silent("denied")), ("a", granting(*MODES))
    with fleet_of(*hosts) as fleet:
        assert fleet_text(fleet).splitlines() == [
            row("host", *MODES),
            row("a   ", rest="yes"),
            row("b   ", "yes", "yes", rest="-"),
            row("c   ", rest="?", reason="denied: asked in vain"),
            "",
            "common     power9  power10 (newest)",
            *(f"{mode:<11}not granted by b" for mode in MODES[2:]),
            "unknown    no answer from 1 of 3 hosts",
        ]


def test_a_large_fleet_has_a_row_for_each_answer():
    answers = granting(*MODES[:1]), granting(*MODES[:2])
    hosts = [(f"h{number}", answers[number % 2]) for number in range(5000)]
    with fleet_of(*hosts, ("x", silent("denied")), ("y", silent("hint"))) as fleet:
        assert fleet_text(fleet).splitlines() == [
            row("hosts", *MODES),
            row("2,500", "yes", rest="-", reason="h0, h2, h4, h6, h8 and 2,495 more"),
            row("2,500", "yes", "yes", rest="-", reason="h1, h3, h5, h7, h9 and 2,495 more"),
            row("1    ", rest="?", reason="denied: x"),
            row("1    ", rest="?", reason="hint: y"),
            "",
            "common     power9 (newest)",
            "power10    not granted by h0, h2, h4, h6, h8 and 2,495 more",
            *(f"{mode:<11}granted by no host" for mode in MODES[2:]),
            "unknown    no answer from 2 of 5,002 hosts",
        ]


def test_the_table_says_that_nothing_is_common():
    with fleet_of(("vm", granting(*MODES[1:])), ("old", granting(*MODES[:1]))) as fleet:
        assert "common     none: the hosts have no mode in common\n" in fleet_text(fleet)
    with fleet_of(("c", silent("denied"))) as fleet:
        assert "common     unknown: no host gave an answer\n" in fleet_text(fleet)


@given(HOSTS)
def test_the_table_shows_nothing_that_a_terminal_would_act_on(hosts):
    with fleet_of(*hosts) as fleet:
        text = fleet_text(fleet)
    assert all(line.isprintable() for line in text.split("\n"))


def test_color_marks_the_newest_mode_alone():
    with fleet_of(("a", granting(*MODES[:2]))) as fleet:
        assert "common     power9  \x1b[1mpower10\x1b[0m (newest)\n" in fleet_text(fleet, True)
