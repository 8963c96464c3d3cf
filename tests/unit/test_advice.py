"""Advice: which mode a guest is given, and in which words."""

import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import GRANTABLE, MODES, CpuMode, HostReport, NoAnswerError, NotGrantedError
from kvmppc.guest.advice import libvirt_elements, virt_install_options
from kvmppc.guest.place import Place
from kvmppc.processors import modes_of, unknown_bits_of
from kvmppc.testing import simulated_host, simulated_hosts


def report_of(name):
    with simulated_host(name):
        return kvmppc.probe()


def report_granting(mask):
    """A report of a host whose kernel answered with any mask."""
    record = report_of("power10").to_dict()
    modes = [str(mode) for mode in modes_of(mask)]
    record["compat_capabilities"] = f"{mask:#018x}"
    record["modes"] = modes
    record["newest"] = modes[-1] if modes else None
    record["unknown_bits"] = f"{unknown_bits_of(mask):#x}"
    return HostReport.from_dict(record)


def test_the_newest_granted_mode_is_chosen():
    assert kvmppc.choose_mode(report_of("power11-as-power10")) == "power10"
    assert kvmppc.choose_mode(report_of("powervm-power11")) == "power11"


@pytest.mark.parametrize("wanted", ["power9", "POWER9", CpuMode("power9")])
def test_a_wanted_mode_is_chosen_if_it_is_granted(wanted):
    assert kvmppc.choose_mode(report_of("power10"), wanted) == "power9"


def test_a_mode_that_is_not_granted_is_refused_with_the_list_of_what_is():
    with pytest.raises(NotGrantedError, match=r"does not grant power11; it grants power9, power10"):
        kvmppc.choose_mode(report_of("power11-as-power10"), "power11")


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        *(("powernv10", "power8"), ("linux-6.12", "power9")),
        *(("unknown-bit", mode) for mode in MODES if mode > GRANTABLE[0] and not mode.bit),
    ],
)
def test_a_mode_of_which_the_host_says_nothing_is_not_called_denied(host, wanted):
    with pytest.raises(NotGrantedError, match=f"is not known to grant {wanted}; it grants power"):
        kvmppc.choose_mode(report_of(host), wanted, accept_hint=True)


def test_modes_need_not_be_cumulative():
    with pytest.raises(NotGrantedError) as caught:
        kvmppc.choose_mode(report_of("powervm-power11"), "power9")
    assert caught.value.wanted == "power9"
    assert caught.value.granted == (CpuMode("power10"), CpuMode("power11"))


def test_a_name_of_no_mode_is_a_value_error():
    with pytest.raises(ValueError, match="banana"):
        kvmppc.choose_mode(report_of("power10"), "banana")


def test_a_hint_is_no_advice_without_consent():
    report = report_of("linux-6.12")
    with pytest.raises(NoAnswerError, match="hint"):
        kvmppc.choose_mode(report)
    assert kvmppc.choose_mode(report, accept_hint=True) == "power10"


def test_a_hint_grants_no_other_mode_than_its_own():
    with pytest.raises(NotGrantedError, match=r"power10 \(a hint\)"):
        kvmppc.choose_mode(report_of("linux-6.12"), "power9", accept_hint=True)


@pytest.mark.parametrize("name", ["no-device", "no-permission", "patch-v4-short"])
def test_where_there_is_no_answer_there_is_no_advice(name):
    report = report_of(name)
    with pytest.raises(NoAnswerError) as caught:
        kvmppc.choose_mode(report, accept_hint=True)
    assert report.status in str(caught.value)
    assert report.reason in str(caught.value)


def test_bits_of_no_known_mode_are_told_raw():
    with pytest.raises(
        NotGrantedError, match=r"no known mode, and the unknown bits 0x8000000000000000"
    ):
        kvmppc.choose_mode(report_granting(1 << 63))


@given(st.integers(0, 2**64 - 1), st.sampled_from([None, *GRANTABLE]))
def test_a_mode_is_only_ever_chosen_from_those_granted(mask, wanted):
    report = report_granting(mask)
    try:
        mode = kvmppc.choose_mode(report, wanted)
    except NotGrantedError:
        assert wanted not in report.modes
        assert wanted is not None or not report.modes
    else:
        assert mask & mode.bit
        assert wanted in (None, mode)


@pytest.mark.parametrize("host", [host.name for host in simulated_hosts()])
def test_all_simulated_hosts_are_advised_or_told_why_not(host):
    report = report_of(host)
    if report.status == "known":
        assert kvmppc.choose_mode(report) is report.newest
    else:
        with pytest.raises(NoAnswerError, match=report.status):
            kvmppc.choose_mode(report)


@pytest.mark.parametrize("mode", GRANTABLE)
def test_qemu_gets_exactly_a_machine_option(mode):
    assert kvmppc.qemu_option(mode) == f"-machine pseries,max-cpu-compat={mode!s}"


@pytest.mark.parametrize("mode", GRANTABLE)
def test_libvirt_gets_exactly_a_cpu_element(mode):
    expected = f"<cpu mode='host-model' check='none'><model>{mode!s}</model></cpu>"
    assert kvmppc.libvirt_cpu(mode) == expected


def test_without_a_place_libvirt_has_a_host_model_and_no_limit_of_pages():
    mode = GRANTABLE[0]
    assert libvirt_elements(mode) == (kvmppc.libvirt_cpu(mode),)
    assert virt_install_options(mode) == f"--cpu mode=host-model,model={mode},check=none"


def test_on_large_pages_a_guest_needs_no_limit():
    mode, place = GRANTABLE[0], Place(page_size=64 << 10)
    assert libvirt_elements(mode, place) == (kvmppc.libvirt_cpu(mode),)
    assert virt_install_options(mode, place) == virt_install_options(mode)


def test_the_errors_can_be_pickled():
    with pytest.raises(NotGrantedError) as caught:
        kvmppc.choose_mode(report_of("power9"), "power11")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.wanted) == (str(caught.value), CpuMode("power11"))


def test_nobody_pays_for_xml_who_does_not_use_it():
    code = (
        "import sys; before = set(sys.modules); import kvmppc; "
        "print({'xml', 're', 'kvmppc.guest.domain'} & set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
