"""kvmppc plan: guests by hosts, with the verdicts of check."""

import json

import pytest

import kvmppc
from kvmppc.cli import main
from kvmppc.commands import UsageError
from kvmppc.commands.places import read_places
from kvmppc.fleet.hosts import Answer, Host
from kvmppc.fleet.page import escaped
from kvmppc.fleet.plan import Guest, make_plan
from kvmppc.fleet.plantext import letters, plan_json, plan_markdown, plan_text
from kvmppc.guest.domain import Domain
from kvmppc.guest.place import Place
from kvmppc.guest.verdict import check_domain
from kvmppc.testing import simulated_host, simulated_hosts

CPUS = {
    "none": "",
    "host": "<cpu mode='host-passthrough'/>",
    "power9": "<cpu mode='host-model'><model>power9</model></cpu>",
    "power10": "<cpu mode='host-model'><model>power10</model></cpu>",
    "power11": "<cpu mode='host-model'><model>power11</model></cpu>",
    "named": "<cpu mode='custom'><model>POWER10</model></cpu>",
}
BIG_PAGES = Place(page_size=64 << 10)


def domain(cpu="", kind="kvm", name="guest", arch="ppc64le", features="", machine="pseries"):
    return Domain(
        f"<domain type='{kind}'><name>{name}</name><os><type arch='{arch}' machine='{machine}'>"
        f"hvm</type></os>{features}{cpu}</domain>".encode()
    )


def guest(cpu, name=None, **words):
    return Guest(name or cpu, f"{name or cpu}.xml", domain(CPUS.get(cpu, cpu), **words))


def host(name, simulated=None):
    with simulated_host(simulated or name):
        return Host(name, Answer.of(kvmppc.probe()), "")


LOST = Host("lost", Answer("unreachable", "Ansible could not reach the host"), "")
FLEET = [host("power11-v2"), host("power11-as-power10"), host("power11-as-power9")]


def plan_of(guests, hosts=FLEET, place=BIG_PAGES, places=None, **words):
    return make_plan(guests, hosts, place, places or {}, **words)


def names(plan, places):
    return {name for place in places for name in plan.hosts[place].names}


def test_the_wrapper_gives_each_host_its_newest_mode_and_a_fleet_the_common_one():
    emulator = "<devices><emulator>/usr/local/bin/qemu-kvmppc</emulator></devices>"
    plan = plan_of([guest("host", "wrapped", features=emulator), guest("host")])
    wrapped, plain = plan.guests
    assert [(verdict.answer, verdict.gets) for verdict in wrapped.verdicts] == [
        ("yes", "power11"),
        ("yes", "power10"),
        ("yes", "power9"),
    ]
    assert [verdict.answer for verdict in plain.verdicts] == ["yes", "no", "no"]
    assert (plan.mode, wrapped.hindrance) == ("power9", "")
    assert "<model>power9</model>" in "".join(wrapped.write)


@pytest.mark.parametrize("accept_hint", [False, True])
def test_the_verdicts_are_those_of_check(accept_hint):
    hosts = [host(one.name) for one in simulated_hosts()]
    guests = [guest(cpu) for cpu in CPUS] + [guest("none", "emulated", kind="qemu")]
    machines = ("pseries-9.2", "pseries-2.11", "powernv")
    guests += [guest("power9", machine, machine=machine) for machine in machines]
    place = Place(qemu=(11, 1), libvirt=(12, 8))
    plan = plan_of(guests, hosts, place, accept_hint=accept_hint)
    seen = 0
    for group in plan.guests:
        for column, verdict in zip(plan.hosts, group.verdicts):
            for member in group.members:
                for name in column.names:
                    [report] = [one.answer.report for one in hosts if one.name == name]
                    told = check_domain(member.domain, report, place, accept_hint=accept_hint)
                    assert verdict == told
                    seen += 1
    assert seen == len(hosts) * len(guests)


def test_hosts_of_one_answer_and_guests_of_one_kind_are_together():
    hosts = [host(f"h{number}", "power10") for number in range(50)] + [host("other", "power9")]
    guests = [guest("power9", f"g{number}") for number in range(50)] + [guest("power10")]
    plan = plan_of(guests, hosts)
    assert [len(column.names) for column in plan.hosts] == [50, 1]
    assert [len(group.members) for group in plan.guests] == [50, 1]


def test_hosts_of_one_answer_with_another_qemu_are_apart():
    hosts = [host("old", "power11-as-power10"), host("new", "power11-as-power10")]
    places = {"new": Place(qemu=(11, 2), page_size=64 << 10)}
    plan = plan_of([guest("host")], hosts, places=places)
    assert [verdict.answer for verdict in plan.guests[0].verdicts] == ["no", "yes"]


def test_a_guest_moves_where_its_mode_is_granted():
    hosts = [*FLEET, host("power10")]
    [(mode, starts, moves)] = (
        plan_of([guest("power10")], hosts).guests[0].moves(plan_of([], hosts).hosts)
    )
    assert mode == "power10"
    assert starts == moves == [0, 1, 3]

    # Without a mode, it has its host's: a newer host takes it over, an older one does not.
    plan = plan_of([guest("host")], hosts)
    told = {
        mode: (names(plan, starts), names(plan, moves))
        for mode, starts, moves in plan.guests[0].moves(plan.hosts)
    }
    assert told == {
        "power11": ({"power11-v2"}, {"power11-v2"}),
        "power10": ({"power10"}, {"power10", "power11-v2"}),
    }


def test_an_emulated_guest_moves_everywhere():
    plan = plan_of([guest("none", kind="qemu")])
    assert plan.guests[0].moves(plan.hosts) == [(None, [0, 1, 2], [0, 1, 2])]
    assert (plan.mode, plan.guests[0].write) == ("power9", ())


def test_an_emulated_guest_that_cannot_start_hinders_no_other():
    plan = plan_of([guest("host", kind="qemu"), guest("host")])
    emulated, other = plan.guests
    assert (plan.mode, other.hindrance, emulated.write) == ("power9", "", ())
    assert "emulated" in emulated.hindrance


def test_a_limit_above_the_pages_of_the_hosts_can_be_lowered():
    limit = "<features><hpt><maxpagesize unit='MiB'>16</maxpagesize></hpt></features>"
    plan = plan_of([guest("host", features=limit)])
    assert (plan.mode, plan.guests[0].hindrance) == ("power9", "")
    assert "<maxpagesize unit='KiB'>64<" in plan.guests[0].write[-1]


def test_the_mode_for_all_is_the_newest_that_all_hosts_grant():
    assert plan_of([guest("host")]).mode == "power9"
    assert plan_of([guest("host")], FLEET[:2]).mode == "power10"
    assert plan_of([guest("host")], FLEET[:1]).mode == "power11"


def test_what_is_to_be_written_makes_it_so():
    plan = plan_of([guest(cpu) for cpu in CPUS])
    assert plan.mode == "power9"
    for group in plan.guests:
        for member in group.members:
            assert bool(group.write) == (member.name != "power9")
            changed = Domain(member.domain.with_mode(plan.mode))
            after = plan_of([Guest("after", "", changed)])
            assert [verdict.answer for verdict in after.guests[0].verdicts] == ["yes"] * 3
            assert after.guests[0].write == ()
    assert {group.write for group in plan.guests if group.write} == {
        ("<cpu mode='host-model' check='none'><model>power9</model></cpu>",)
    }


def test_one_form_is_written_for_libvirts_with_and_without_a_host_model():
    places = {"power11-v2": Place(libvirt=(9, 0), page_size=64 << 10)}
    plan = plan_of([guest("none")], places=places)
    [group] = plan.guests
    assert plan.mode == "power9"
    assert group.write[0] == "<cpu mode='host-passthrough' check='none'/>"
    assert "max-cpu-compat=power9" in group.write[1]


def test_small_pages_anywhere_are_written_for_all():
    places = {"power11-v2": Place(page_size=4 << 10)}
    [group] = plan_of([guest("power9")], places=places).guests
    assert any("<maxpagesize unit='KiB'>4</maxpagesize>" in element for element in group.write)


def test_hosts_that_cannot_tell_are_left_out_and_counted():
    plan = plan_of([guest("power9")], [*FLEET, LOST, host("no-permission")])
    assert (plan.mode, plan.unknown) == ("power9", 2)
    assert [verdict.answer for verdict in plan.guests[0].verdicts][3:] == ["unknown"] * 2
    assert plan.guests[0].verdicts[3].reason == "Ansible could not reach the host"


def test_a_hint_counts_where_it_is_accepted():
    hosts = [host("linux-6.12")]
    assert plan_of([guest("power10")], hosts).mode is None
    assert plan_of([guest("power10")], hosts, accept_hint=True).mode == "power10"


def test_there_may_be_no_mode_for_all():
    plan = plan_of([guest("power10")], [host("powervm-power11"), host("power11-as-power9")])
    assert plan.mode is None
    assert plan.reason == "No mode is granted by all hosts."
    assert plan_of([guest("power10")], [LOST]).reason == "No host gave an answer."


def test_a_guest_that_cannot_be_mended_is_told():
    feature = "<cpu mode='host-model'><model>power9</model><feature name='vsx'/></cpu>"
    plan = plan_of([guest(feature, "bad"), guest("power9")])
    assert plan.mode is None
    bad, good = plan.guests
    assert "<maxphysaddr> or vendor_id: remove 'vsx'." in bad.hindrance
    assert good.hindrance == ""


def test_a_guest_that_it_cannot_be_told_of_does_not_keep_the_others_from_a_mode():
    plan = plan_of([guest("none", arch="x86_64"), guest("power9")])
    assert plan.mode == "power9"
    assert "Only ppc64 has processor modes" in plan.guests[0].hindrance


def test_letters_go_on_after_z():
    assert [letters(place) for place in (0, 25, 26, 27, 701, 702)] == "A Z AA AB ZZ AAA".split()


def test_text_tells_it_all():
    text = plan_text(plan_of([guest("host", "web"), guest("power9", "db")], [*FLEET, LOST]))
    for line in (
        "A  power11-v2          power9 power10 power11",
        "D  lost                no answer: Ansible could not reach the host",
        "guests  A    B    C    D",
        "web     yes  no   no   ?",
        "db      yes  yes  yes  ?",
        "  Started on A, runs in power11 mode and can move to A.",
        "  write: <cpu mode='host-model' check='none'><model>power9</model></cpu>",
        "  Needs no change for power9.",
        "common mode  power9: all guests can run in it on all hosts once 1 domain is changed",
        "unknown      no answer from 1 host, which is left out",
    ):
        assert line in text.splitlines(), text


def test_markdown_has_the_same_tables():
    text = "".join(plan_markdown(plan_of([guest("host", "a|b")])))
    assert "| A | `power11-v2` | `power9 power10 power11` |\n" in text
    assert "| `a\\x7cb` | yes | no | no |\n" in text


def test_json_leaves_nobody_out():
    plan = plan_of([guest("host", "web"), guest("host", "web2"), guest("power9", "db")])
    found = json.loads(plan_json(plan))
    assert (found["schema"], found["mode"], found["reason"]) == (1, "power9", None)
    assert [one["hostnames"] for one in found["hosts"]] == [[one.name] for one in FLEET]
    web, db = found["guests"]
    assert web["domains"] == [
        {"name": "web", "file": "web.xml"},
        {"name": "web2", "file": "web2.xml"},
    ]
    assert [answer["answer"] for answer in web["answers"]] == ["yes", "no", "no"]
    assert web["moves"] == [{"mode": "power11", "from": [0], "to": [0]}]
    assert db["moves"] == [{"mode": "power9", "from": [0, 1, 2], "to": [0, 1, 2]}]
    assert (bool(web["write"]), db["write"]) == (True, None)


@pytest.fixture
def files(tmp_path):
    """Writes domains and records, and gives the command's words."""

    def files(guests, hosts):
        for member in guests:
            (tmp_path / member.file).write_bytes(member.domain.data)
        records = "".join(one.answer.report.to_json() + "\n" for one in hosts)
        (tmp_path / "fleet.jsonl").write_text(records)
        domains = [str(tmp_path / member.file) for member in guests]
        return ["plan", *domains, "--fleet", str(tmp_path / "fleet.jsonl"), "--page-size", "64k"]

    return files


@pytest.mark.parametrize(
    ("cpus", "hosts", "code"),
    [
        (["power9"], ["power9", "power11-as-power9"], 0),
        (["power9", "host"], ["power11-as-power9"], 1),
        (["power9", "host"], ["power11-as-power9", "no-device"], 1),
        (["power9"], ["power9", "no-device"], 3),
    ],
)
def test_the_exit_code_is_that_of_the_worst_answer(files, cpus, hosts, code):
    words = files([guest(cpu) for cpu in cpus], [host(name) for name in hosts])
    for form in ("text", "json", "html", "markdown"):
        assert main([*words, "--format", form]) == code


def test_what_is_no_domain_or_record_is_told_and_the_rest_planned(files, tmp_path, capsys):
    words = files([guest("power9")], [host("power9")])
    bad = tmp_path / "bad.xml"
    bad.write_text("<network/>")
    assert main([words[0], str(bad), *words[1:]]) == 2
    out, err = capsys.readouterr()
    assert f"{bad} is not a libvirt domain" in err
    assert "guest   yes" in out


def test_guests_of_one_name_have_their_files(files, capsys):
    guests = [
        Guest("a", "a.xml", domain(CPUS["power9"])),
        Guest("b", "b.xml", domain(CPUS["host"])),
    ]
    main(files(guests, [host("power10")]))
    out = capsys.readouterr().out
    assert "guest (a.xml)  yes" in out
    assert "guest (b.xml)  yes" in out


def test_places_come_from_a_file(files, tmp_path, capsys):
    words = files([guest("host")], [host("power11-as-power10")])
    places = tmp_path / "places"
    places.write_text("# host qemu libvirt pages\npower11-as-power10 11.2 - 64k # new\ngone 11.1\n")
    assert main(words) == 1
    assert main([*words, "--places", str(places)]) == 0
    assert "there is no record of host gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a x", "p:1: 'x' is not a version of QEMU; give one such as 11.1"),
        ("a 11.1 old", "p:1: 'old' is not a version of libvirt; give one such as 11.1"),
        ("a - - 16k", "p:1: expected HOST QEMU LIBVIRT PAGES, such as lpar1 11.1 - 64k"),
        ("a - - 4k more", "p:1: expected HOST QEMU LIBVIRT PAGES, such as lpar1 11.1 - 64k"),
        ("a\n\na 11.1", "p:3: a is listed twice; remove one line"),
    ],
)
def test_a_wrong_line_of_places_is_told(line, message):
    with pytest.raises(UsageError) as raised:
        read_places(line, "p", Place())
    assert str(raised.value) == message


def test_what_a_line_of_places_leaves_out_is_as_for_all():
    others = Place((11, 1), (12, 8), None, 64 << 10)
    places = read_places("a - 11.3\nb\nc - - 4k\n", "p", others)
    assert places == {
        "a": Place((11, 1), (11, 3), None, 64 << 10),
        "b": others,
        "c": Place((11, 1), (12, 8), None, 4 << 10),
    }


def test_sentences_tell_what_cannot_be_made_to_run_and_what_is_emulated():
    plan = plan_of(
        [guest("none", arch="x86_64"), guest("power9"), guest("none", "tcg", kind="qemu")]
    )
    text = plan_text(plan)
    assert "\nunsure       " in text
    assert "\n  Emulated" in text


def test_where_no_mode_is_common_the_reason_stands_in_its_place():
    text = plan_text(
        plan_of([guest("power10")], [host("powervm-power11"), host("power11-as-power9")])
    )
    assert "\ncommon mode  none. " in text


def test_guests_and_records_cannot_both_come_from_standard_input(capsys):
    assert main(["plan", "-", "--fleet", "-"]) == 2
    assert "standard input" in capsys.readouterr().err


def test_where_there_is_no_guest_nothing_is_printed(files, tmp_path, capsys):
    words = files([guest("power9")], FLEET)
    (tmp_path / "power9.xml").write_bytes(b"<network/>")
    assert main(words) == 2
    assert capsys.readouterr().out == ""


def test_a_file_of_places_is_text(files, tmp_path, capsys):
    (tmp_path / "places").write_bytes(b"\xff")
    assert main([*files([guest("power9")], FLEET), "--places", str(tmp_path / "places")]) == 2
    assert "UTF-8" in capsys.readouterr().err


def test_a_page_shows_the_begin_of_a_text_that_is_too_long():
    assert escaped("<" * 2000) == "&lt;" * 997 + "..."
