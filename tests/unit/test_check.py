"""kvmppc check, as people and scripts use it."""

import io
import json
import os
import platform
from pathlib import Path

import pytest

import kvmppc
from kvmppc.cli import main
from kvmppc.commands.check import domain_paths
from kvmppc.testing import simulated_host

FIXED = "<cpu mode='host-model' check='none'><model>power10</model></cpu>"


def domain(cpu, kind="kvm", arch="ppc64le"):
    os = f"<os><type arch='{arch}'>hvm</type></os>"
    return f"<domain type='{kind}'>\r\n\t{os}\r\n\t{cpu}\r\n</domain>".encode()


PASSTHROUGH = domain("<cpu mode='host-passthrough'/>")
GRANTED = domain("<cpu mode='host-model'><model>power9</model></cpu>")


@pytest.fixture
def check(monkeypatch):
    """Runs the command with a domain on standard input."""

    def run(data, *words, host="power11-as-power10"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        simulated = ["--simulate", host] if host else []
        return main(["check", "-", *simulated, *words])

    return run


def test_yes_exits_0(check, capsys):
    assert check(GRANTED) == 0
    out, err = capsys.readouterr()
    assert out.startswith("yes: The domain asks for the mode 'power9'.")
    assert (out.count("\n"), err) == (1, "")


def test_no_exits_1_and_says_what_to_write_instead(check, capsys):
    assert check(PASSTHROUGH) == 1
    out, err = capsys.readouterr()
    assert out.startswith("no: With host-passthrough")
    assert out.endswith(f"\nwrite instead: {FIXED}\n")
    assert err == ""


def test_a_verdict_names_the_programs_that_it_holds_for(check, capsys):
    check(GRANTED)
    assert "(assumed: QEMU before 11.2, libvirt 11.4 or later)" in capsys.readouterr().out
    check(GRANTED, "--qemu", "11.1.90", "--libvirt", "12.8.0")
    assert "(QEMU 11.2, libvirt 12.8)" in capsys.readouterr().out
    check(domain("<cpu mode='host-passthrough'/>"), "--libvirt", "11.3.0")
    assert "(libvirt 11.3; assumed: QEMU before 11.2)" in capsys.readouterr().out


def test_from_11_2_on_qemu_asks_the_kernel_itself(check):
    assert check(PASSTHROUGH, "--qemu", "11.1") == 1
    assert check(PASSTHROUGH, "--qemu", "11.2") == 0


def test_a_libvirt_without_a_host_model_is_given_the_words_it_takes(check, capsys):
    assert check(GRANTED, "--libvirt", "11.3") == 1
    out = capsys.readouterr().out
    assert "The processor power11 needs libvirt 11.4 or later." in out
    assert "<cpu mode='host-passthrough' check='none'/>" in out
    assert "<qemu:arg value='max-cpu-compat=power9'/>" in out


def test_what_else_keeps_a_guest_from_starting_is_said_in_a_line_of_its_own(check, capsys):
    assert check(GRANTED, "--page-size", "4k") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("no: The domain asks for the mode 'power9'.")
    assert lines[1].startswith("also: the host has pages of 4 KiB: ")
    assert lines[2:] == [
        "write instead: <features><hpt><maxpagesize unit='KiB'>4</maxpagesize></hpt></features>"
    ]


def test_a_hint_is_likely_and_certain_where_it_is_accepted(check, capsys):
    own = domain("<cpu mode='host-model'><model>power10</model></cpu>")
    words = ("--page-size", "64k")
    assert check(own, *words, host="linux-6.12") == 3
    assert capsys.readouterr().out.startswith("likely yes: ")
    assert check(own, *words, "--accept-hint", host="linux-6.12") == 0
    assert capsys.readouterr().out.startswith("yes: ")
    newer = domain("<cpu mode='host-model'><model>power11</model></cpu>")
    assert check(newer, *words, host="linux-6.12") == 1


def test_many_domains_have_a_line_each_and_the_exit_code_of_the_worst(tmp_path, capsys):
    folder = tmp_path / "qemu"
    folder.mkdir()
    (folder / "networks").mkdir()
    (folder / "a.xml").write_bytes(GRANTED)
    (folder / "notes.txt").write_bytes(b"none")
    (tmp_path / "b.xml").write_bytes(domain("", arch="x86_64"))
    words = ["check", str(folder), str(tmp_path / "b.xml"), "--simulate", "power11-as-power10"]
    assert main(words) == 3
    (folder / "c.xml").write_bytes(PASSTHROUGH)
    capsys.readouterr()
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [
        [f"{folder}/a.xml:", "yes:"],
        [f"{folder}/c.xml:", "no:"],
        [f"{tmp_path}/b.xml:", "unknown:"],
    ]
    assert err == ""
    (folder / "d.xml").write_bytes(b"<network/>")
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line)["answer"] for line in out.splitlines()] == ["yes", "no", "unknown"]
    assert err.startswith(f"kvmppc: {folder}/d.xml is not a libvirt domain: ")


@pytest.mark.parametrize(
    "words",
    [
        ["{a}", "{b}", "--simulate", "power11"],
        ["{a}", "--simulate", "power11", "{b}"],
        ["--simulate", "power11", "{a}", "--accept-hint", "{b}"],
        ["{a}", "--simulate=power11", "--", "{b}"],
    ],
)
def test_options_may_stand_between_domains(words, tmp_path, capsys):
    paths = {name: str(tmp_path / name) for name in "ab"}
    for path in paths.values():
        Path(path).write_bytes(GRANTED)
    assert main(["check", *(word.format(**paths) for word in words)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(paths.values())


def test_a_folder_without_domains_is_named(tmp_path, capsys):
    assert main(["check", str(tmp_path), "--simulate", "power9"]) == 2
    assert capsys.readouterr().err == f"kvmppc: {tmp_path}: no *.xml in this directory\n"


def test_pipes_and_folders_in_a_folder_are_skipped_and_dangling_links_are_not(tmp_path):
    os.mkfifo(tmp_path / "a.xml")
    (tmp_path / "b.xml").mkdir()
    (tmp_path / "c.xml").touch()
    (tmp_path / "d.xml").symlink_to("c.xml")
    (tmp_path / "e.xml").symlink_to("nothing")
    assert domain_paths([str(tmp_path)]) == [f"{tmp_path}/{name}.xml" for name in "cde"]


@pytest.mark.parametrize("data", [b"", b"<network/>", b"<!DOCTYPE domain><domain/>", b"\0"])
def test_what_is_no_domain_exits_2(data, check, capsys):
    assert check(data) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kvmppc: standard input is not a libvirt domain: ")


@pytest.mark.parametrize("host", ["no-device", "no-permission", "no-nesting"])
def test_a_host_that_cannot_tell_exits_3(host, check, capsys):
    assert check(GRANTED, host=host) == 3
    assert capsys.readouterr().out.startswith("unknown: The host gave no answer")


@pytest.mark.skipif(platform.machine().startswith("ppc64"), reason="this is an IBM Power machine")
def test_a_machine_that_is_no_power_host_exits_3(check, capsys):
    assert check(GRANTED, host=None) == 3
    assert capsys.readouterr().out.startswith("unknown: The host gave no answer")


def test_a_domain_for_another_architecture_exits_3(check, capsys):
    assert check(domain("", arch="x86_64")) == 3
    assert "Only ppc64 has processor modes" in capsys.readouterr().out


def test_a_file_is_read_and_one_that_cannot_be_is_named(tmp_path, capsys):
    path = tmp_path / "guest.xml"
    path.write_bytes(GRANTED)
    assert main(["check", str(path), "--simulate", "power9"]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "none"), "--simulate", "power9"]) == 2
    assert capsys.readouterr().err == f"kvmppc: {tmp_path / 'none'}: No such file or directory\n"


def test_a_file_beyond_the_limit_is_not_read_to_its_end(capsys):
    assert main(["check", "/dev/zero", "--simulate", "power9"]) == 2
    assert (
        capsys.readouterr().err
        == "kvmppc: /dev/zero: longer than 4194304 bytes; give the right file\n"
    )


def test_another_host_is_checked_by_its_record(check, tmp_path, capsys):
    path = tmp_path / "record.json"
    with simulated_host("powervm-power11"):
        path.write_text(kvmppc.probe().to_json())
    assert check(GRANTED, "--report", str(path), host=None) == 1
    assert "The host grants power10, power11." in capsys.readouterr().out


def test_what_files_say_cannot_reach_the_terminal_raw(check, tmp_path, capsys):
    path = tmp_path / "record.json"
    with simulated_host("power9"):
        record = {**kvmppc.probe().to_dict(), "hostname": "\x1b[31mhost\u202e"}
    with simulated_host("no-device"):
        silent = {**kvmppc.probe().to_dict(), "reason": "\x1b[31mhost\u202e"}
    out = ""
    for answered in (record, silent):
        path.write_text(json.dumps(answered))
        check(
            domain("<cpu mode='host-model'><model>&#x9b;31m</model></cpu>"),
            "--report",
            str(path),
            host=None,
        )
        out += capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert r"\x9b31m" in out
    assert r"\x1b[31mhost\u202e" in out


@pytest.mark.parametrize(
    ("data", "host", "code", "answer", "mode"),
    [
        (GRANTED, "power11-as-power10", 0, "yes", None),
        (PASSTHROUGH, "power11-as-power10", 1, "no", "power10"),
        (GRANTED, "no-device", 3, "unknown", None),
    ],
)
def test_programs_get_one_line_of_json(data, host, code, answer, mode, check, capsys):
    assert check(data, "--json", host=host) == code
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert (record["answer"], record["mode"], record["simulated"]) == (answer, mode, host)
    assert record["write"] == (FIXED if mode else None)
    assert (out.count("\n"), err) == (1, "")


# --fix


def test_fix_of_many_needs_a_place_to_write_to(capsys):
    assert main(["check", "a.xml", "b.xml", "--fix", "--simulate", "power9"]) == 2
    assert "add --in-place or --output-dir DIR" in capsys.readouterr().err


def test_fix_of_many_writes_them_into_a_folder(tmp_path, capsys):
    output = tmp_path / "fixed"
    words = ["check", "--fix", "--simulate", "power11-as-power10", "--output-dir", str(output)]
    for name, data in (("a.xml", PASSTHROUGH), ("b.xml", GRANTED)):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
        words.append(str(tmp_path / name))
    assert main(words) == 2
    assert "create it first" in capsys.readouterr().err
    output.mkdir()
    assert main(words) == 0
    assert capsys.readouterr().out == ""
    assert (output / "a.xml").read_bytes() != PASSTHROUGH
    assert (output / "b.xml").read_bytes() == GRANTED
    assert {path.stat().st_mode & 0o777 for path in output.iterdir()} == {0o600}
    assert main(["check", str(output), "--simulate", "power11-as-power10"]) == 0
    assert main([*words, str(output / "a.xml")]) == 2
    assert "two domain files are called a.xml" in capsys.readouterr().err


def test_fix_holds_guests_to_small_pages_and_switches_off_what_cannot_be(check, capfdbinary):
    features = "<features><htm state='on'/></features>"
    data = domain("<cpu mode='host-model'><model>power11</model></cpu>" + features)
    words = ("--page-size", "4k", "--libvirt", "11.3")
    assert check(data, "--fix", *words) == 0
    fixed = capfdbinary.readouterr().out
    assert b"<maxpagesize unit='KiB'>4</maxpagesize>" in fixed
    assert b"<htm state='off'/>" in fixed
    assert b"<qemu:arg value='max-cpu-compat=power10'/>" in fixed
    assert check(fixed, *words) == 0
    assert check(fixed) == 0


def test_fix_writes_nothing_where_the_guest_would_not_start_all_the_same(check, capsys):
    data = domain("<cpu mode='host-passthrough'><feature name='htm'/></cpu>")
    assert check(data, "--fix") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "also: on Power, <cpu> has no <feature>" in err


@pytest.mark.parametrize(
    ("graphics", "warned"),
    [
        ("<graphics type='vnc' port='-1'/>", True),
        ("<graphics type='spice'/>", True),
        ("<graphics type='vnc' passwd='example'/>", False),
        ("<graphics type='sdl'/>", False),
    ],
)
def test_fix_warns_of_a_password_that_a_dump_may_have_lost(graphics, warned, check, capsys):
    data = domain(f"<cpu mode='host-passthrough'/><devices>{graphics}</devices>")
    assert check(data, "--fix") == 0
    assert ("--security-info" in capsys.readouterr().err) == warned


def test_fix_prints_the_domain_with_the_mode_put_in_and_all_other_bytes_as_they_were(
    check, capfdbinary
):
    assert check(PASSTHROUGH, "--fix") == 0
    out, err = capfdbinary.readouterr()
    assert out == PASSTHROUGH.replace(b"<cpu mode='host-passthrough'/>", FIXED.encode())
    assert err.startswith(b"kvmppc: inserted power10. ")


def test_what_fix_prints_is_granted(check, capfdbinary):
    check(PASSTHROUGH, "--fix")
    assert check(capfdbinary.readouterr().out) == 0


def test_fix_leaves_a_domain_alone_that_is_granted(check, capfdbinary):
    assert check(GRANTED, "--fix") == 0
    out, err = capfdbinary.readouterr()
    assert out == GRANTED
    assert err.startswith(b"kvmppc: no change needed. ")


def test_fix_puts_in_a_wanted_mode_also_where_another_one_is_granted(check, capfdbinary):
    assert check(GRANTED, "--fix", "--mode", "power10") == 0
    out = capfdbinary.readouterr().out
    assert out == domain("<cpu mode='host-model' check='none'><model>power10</model></cpu>")


@pytest.mark.parametrize(
    ("data", "host", "words", "code"),
    [
        (PASSTHROUGH, "power11-as-power10", ["--mode", "power11"], 1),
        (PASSTHROUGH, "linux-6.12", [], 3),
        (PASSTHROUGH, "no-permission", ["--mode", "power9"], 3),
        (domain("", arch="x86_64"), "power9", ["--mode", "power9"], 3),
        (domain("", kind="qemu"), "no-device", ["--mode", "power9"], 3),
        (b"<network/>", "power9", [], 2),
    ],
)
def test_where_nothing_can_be_put_in_fix_prints_nothing(data, host, words, code, check, capsys):
    assert check(data, "--fix", *words, host=host) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kvmppc: ")


@pytest.mark.parametrize("cpu", ["", "<cpu mode='host-passthrough'/>"])
@pytest.mark.parametrize("host", ["linux-6.12", "linux-6.12-as-power10"])
def test_a_hint_is_no_reason_to_say_that_a_domain_cannot_be_fixed(cpu, host, check, capsys):
    assert check(domain(cpu), "--fix", host=host) == 3
    err = capsys.readouterr().err
    assert "cannot fix it" not in err
    assert "add --accept-hint" in err
    assert check(domain(cpu), "--fix", "--accept-hint", host=host) == 0


def test_fix_has_nothing_to_put_in_where_the_host_grants_nothing(check, tmp_path, capsys):
    path = tmp_path / "record.json"
    with simulated_host("power9"):
        record = kvmppc.probe().to_dict()
    record.update(compat_capabilities="0x0", modes=[], newest=None, unknown_bits="0x0")
    path.write_text(json.dumps(record))
    assert check(PASSTHROUGH, "--report", str(path), host=None) == 1
    assert "write instead" not in capsys.readouterr().out
    assert check(PASSTHROUGH, "--fix", "--report", str(path), host=None) == 1
    assert capsys.readouterr().out == ""


def test_fix_in_place_writes_the_file_that_the_domain_came_from(tmp_path, capsys):
    path = tmp_path / "guest.xml"
    path.write_bytes(PASSTHROUGH)
    words = ["check", "--fix", "--in-place", str(path), "--simulate", "power11-as-power10"]
    assert main(words) == 0
    assert capsys.readouterr().out == ""
    assert path.read_bytes() == PASSTHROUGH.replace(
        b"<cpu mode='host-passthrough'/>", FIXED.encode()
    )
    before = path.stat()
    assert main(words) == 0
    assert path.stat() == before


def test_a_domain_that_the_shell_has_emptied_is_told_how_to_be_mended(tmp_path, capsys):
    (tmp_path / "guest.xml").touch()
    assert main(["check", "--fix", str(tmp_path / "guest.xml"), "--simulate", "power9"]) == 2
    assert "use --in-place, not a redirection" in capsys.readouterr().err


def test_an_empty_standard_input_is_not_called_a_file(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert main(["check", "-"]) == 2
    message = "kvmppc: standard input is not a libvirt domain: it is empty\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "--in-place"], "do not give -"),
        (["--in-place"], "add --fix"),
        (["--report", "-"], "give one of them as a file"),
        (["--mode", "power9"], "--mode requires --fix"),
        (["--fix", "--mode", "banana"], "unknown mode 'banana'"),
        (["-"], "give - only once"),
        (["--qemu", "new"], "'new' is not a version of QEMU"),
        (["--libvirt", "12"], "'12' is not a version of libvirt"),
        (["--page-size", "16k"], "'16k'"),
    ],
)
def test_words_that_make_no_sense_exit_2(words, message, check, capsys):
    assert check(GRANTED, *words, host=None) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
