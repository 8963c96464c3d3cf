"""Which QEMU and libvirt there are, and what their versions mean, by stand-ins for the programs."""

import copy
import pickle

import pytest

import kvmppc
from kvmppc import HostReport
from kvmppc.guest import libvirt, programs, qemu
from kvmppc.guest.place import Place, place_here
from kvmppc.guest.surroundings import look
from kvmppc.testing import simulated_host


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts programs on the PATH, and nothing else there; gives a program's path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(qemu, "_ELSEWHERE", str(tmp_path / "qemu-kvm"))

    def install(name, script, mode=0o755):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(mode)
        return str(path)

    return install


VERSION = "echo QEMU emulator version 10.0.2; echo Copyright"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", (7, 2)),
        ("QEMU emulator version 11.1.50 (v11.1.0-1-g0)", (11, 1)),
        ("QEMU emulator version 11.1.90 (v11.2.0-rc0)", (11, 2)),
        ("QEMU emulator version 10.2.93", (11, 0)),
        ("QEMU emulator version 12.0", (12, 0)),
        ("QEMU emulator version 9.1.0 (qemu-kvm-9.1.0-15.el9)", (9, 1)),
        ("11.1", (11, 1)),
        ("11.1.90", (11, 2)),
        ("11", None),
        ("11.1.2.3", None),
        ("eleven", None),
        ("", None),
    ],
)
def test_a_release_candidate_counts_as_what_it_becomes(text, version):
    assert qemu.read_version(text) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("12.8.0\n", (12, 8)),
        ("9.0.0", (9, 0)),
        ("11.3", (11, 3)),
        ("virsh 9.0.0", None),
        ("", None),
    ],
)
def test_libvirts_version_is_what_virsh_prints(text, version):
    assert libvirt.read_version(text) == version


def test_the_qemu_that_runs_is_the_domains_or_the_paths_or_rhels(program):
    assert qemu.find() is None
    elsewhere = program("qemu-kvm", VERSION)
    assert qemu.find() == elsewhere
    on_path = program("qemu-system-ppc64", VERSION)
    assert qemu.find() == on_path
    assert qemu.find("/opt/qemu/bin/qemu-system-ppc64") == "/opt/qemu/bin/qemu-system-ppc64"


def test_a_wrapper_is_known_by_its_name_also_behind_a_link(program, tmp_path):
    wrapper = program("qemu-kvmppc", VERSION)
    assert place_here(wrapper).wrapped
    assert not place_here().wrapped
    (tmp_path / "qemu-system-ppc64").symlink_to(wrapper)
    assert place_here() == Place(qemu=(10, 0), wrapped=True)


def test_a_qemu_is_asked_for_its_version(program):
    assert qemu.ask_version(program("qemu-system-ppc64", VERSION)) == (10, 0)


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$", "echo nothing", "printf '\\377'"])
def test_a_qemu_that_tells_no_version_has_none(script, program):
    assert qemu.ask_version(program("qemu-system-ppc64", script)) is None


def test_a_program_that_hangs_is_given_up(program, monkeypatch):
    monkeypatch.setattr(programs, "_SECONDS", 0.2)
    assert qemu.ask_version(program("qemu-system-ppc64", "while :; do :; done")) is None


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("poweroff", 0o755),  # no QEMU by its name
        ("qemu-evil", 0o757),  # others can write it
        ("qemu-evil", 0o775),
        ("qemu-evil", 0o644),
    ],
)
def test_what_a_domain_names_is_not_started_unless_it_can_be_trusted(name, mode, program, tmp_path):
    path = program(name, f": > {tmp_path}/started; {VERSION}", mode)
    assert qemu.ask_version(path) is None
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("path", ["qemu-system-ppc64", "/nowhere/qemu", "", "/qemu\0", "/"])
def test_a_path_that_leads_to_no_program_has_no_version(path, program):
    program("qemu-system-ppc64", VERSION)
    assert qemu.ask_version(path) is None


@pytest.mark.parametrize(("supported", "expected"), [("yes", True), ("no", False), ("?", None)])
def test_libvirt_says_whether_it_has_a_host_model(supported, expected, program):
    program("virsh", f"echo \"<mode name='host-model' supported='{supported}'/>\"")
    assert libvirt.ask_host_model() is expected


def test_libvirt_is_asked_of_the_systems_hosts_under_kvm_and_changes_nothing(program, tmp_path):
    program("virsh", f'echo "$@" > {tmp_path}/words')
    libvirt.ask_host_model()
    words = (tmp_path / "words").read_text().split()
    assert words == ("--connect qemu:///system --readonly domcapabilities --virttype kvm".split())


def test_a_hook_asks_libvirt_for_its_version_alone(program, tmp_path):
    program(
        "virsh",
        f'[ "$1" = --version ] && echo 11.3.0 && exit; : > {tmp_path}/asked; '
        "echo \"<mode name='host-model' supported='no'/>\"",
    )
    assert place_here(ask_libvirt=False) == Place(libvirt=(11, 3))
    assert not (tmp_path / "asked").exists()
    assert place_here() == Place(libvirt=(11, 3), host_model=False)


def test_a_machine_without_programs_is_a_place_that_nothing_is_known_of(program):
    assert place_here() == Place()
    assert Place().text() == "assumed: QEMU before 11.2, libvirt 11.4 or later"


@pytest.mark.parametrize("module", [qemu, libvirt])
def test_no_version_is_known_to_know_a_processor_after_power11(module):
    unknown = [one for one in kvmppc.PROCESSORS if module.first_that_knows(one) is None]
    assert unknown == [one for one in kvmppc.PROCESSORS if one.mode > "power11"]


def test_a_place_is_a_value():
    place = Place((11, 1), (12, 8), None, 4096)
    for copied in (copy.copy(place), pickle.loads(pickle.dumps(place))):
        assert copied == place
        assert hash(copied) == hash(place)
    assert place.on(65536) is place
    assert Place().on(4096) == Place(page_size=4096)


@pytest.mark.parametrize(
    ("text", "size"), [("4k", 4096), ("4096", 4096), ("64K", 65536), ("16m", 16 << 20), ("x", None)]
)
def test_sizes_are_read_as_qemu_reads_them(text, size):
    assert qemu.read_size(text) == size


# What doctor says of a real host, whose programs are asked.


@pytest.fixture
def real():
    """A report as of a real host, which has no simulation's name."""
    with simulated_host("power11-as-power10"):
        record = kvmppc.probe().to_dict()
    return HostReport.from_dict({**record, "simulated": None})


@pytest.mark.parametrize(
    ("version", "state", "says"),
    [
        ("7.2.22", "warn", "The processor power11 needs QEMU 9.2 or later."),
        ("10.0.2", "warn", "a guest without a mode does not start"),
        ("11.1.90", "pass", "a guest without a mode starts"),
    ],
)
def test_doctor_tells_what_the_qemu_that_is_here_does(version, state, says, real, program):
    path = program("qemu-system-ppc64", f"echo QEMU emulator version {version}")
    found = look(real)["qemu"]
    assert found[0] == state
    assert found[1].startswith(path)
    assert says in found[1]


def test_doctor_tells_of_a_libvirt_that_refuses_host_model(real, program):
    program("virsh", "echo 11.3.0")
    state, found, remedy = look(real)["libvirt"]
    assert (state, found[:5]) == ("warn", "11.3:")
    assert "--for libvirt" in remedy


def test_doctor_tells_where_a_program_is_missing(real, program):
    steps = look(real)
    assert steps["qemu"][1].startswith("not found; ")
    assert steps["libvirt"][0] == "not asked"


def test_on_an_older_kernel_doctor_tells_that_a_later_one_will_refuse():
    with simulated_host("linux-6.12-as-power10"):
        state, found, remedy = look(kvmppc.probe())["qemu"]
    assert (state, remedy) == (
        "warn",
        "Run kvmppc advise: it prints what to give QEMU or libvirt here.",
    )
    assert "is likely not to start" in found
    assert "From Linux 7.3 on it does not" in found


def test_a_page_size_that_is_not_known_is_not_judged(real):
    unknown = HostReport.from_dict({**real.to_dict(), "page_size": None})
    assert look(unknown, Place())["pages"][0] == "not asked"
