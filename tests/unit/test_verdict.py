"""The verdict on a domain: what a host, QEMU and libvirt make of what it asks for."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import CpuMode, HostReport
from kvmppc.guest.advice import page_element
from kvmppc.guest.domain import Domain
from kvmppc.guest.place import Place
from kvmppc.guest.qemu import read_words
from kvmppc.guest.verdict import HostAnswer, check_domain, judge
from kvmppc.testing import simulated_host, simulated_hosts

P9, P10, P11 = map(CpuMode, ("power9", "power10", "power11"))
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


def report_of(name, **values):
    """A simulated host's report, with values of its record changed."""
    with simulated_host(name):
        report = kvmppc.probe()
    return HostReport.from_dict({**report.to_dict(), **values}) if values else report


COMPAT = report_of("power11-as-power10")
PLAIN = report_of("power10", page_size=65536)
PLAIN11 = report_of("power11")


def xml(cpu="", kind="kvm", os_type="<type arch='ppc64le' machine='pseries'>hvm</type>", more=""):
    """A domain with this <cpu>."""
    return f"<domain type='{kind}'><os>{os_type}</os>{cpu}{more}</domain>".encode()


def on_machine(machine, kind="kvm", more=""):
    """A domain with this machine."""
    return xml(kind=kind, os_type=f"<type arch='ppc64le' machine='{machine}'>hvm</type>", more=more)


def named(name):
    return xml(f"<cpu mode='host-model'><model>{name}</model></cpu>")


def with_words(*words, cpu="<cpu mode='host-passthrough'/>"):
    """A domain with words of QEMU's own."""
    arguments = "".join(f"<q:arg value='{word}'/>" for word in words)
    return xml(cpu, more=f"<q:commandline xmlns:q='{QEMU}'>{arguments}</q:commandline>")


PASSTHROUGH = xml("<cpu mode='host-passthrough'/>")


def verdict(data, report=COMPAT, place=None, **options):
    return check_domain(Domain(data), report, place, **options)


def answer(*arguments, **options):
    return verdict(*arguments, **options).answer


@pytest.mark.parametrize(
    ("cpu", "compat", "plain"),
    [
        ("<cpu mode='host-model'><model>power9</model></cpu>", "yes", "yes"),
        ("<cpu mode='host-model'><model>power10</model></cpu>", "yes", "yes"),
        ("<cpu mode='host-model'><model>power11</model></cpu>", "no", "no"),
        ("<cpu mode='host-model'><model>power12</model></cpu>", "no", "no"),
        ("<cpu mode='host-model'><model>POWER10</model></cpu>", "no", "no"),
        ("<cpu mode='host-model'><model> power10 </model></cpu>", "no", "no"),
        ("<cpu mode='host-model'><model>power8</model></cpu>", "no", "no"),
        ("<cpu mode='host-model'/>", "no", "yes"),
        ("<cpu mode='host-passthrough'/>", "no", "yes"),
        ("<cpu mode='custom'><model>POWER10</model></cpu>", "no", "yes"),
        ("<cpu mode='custom'><model>power10</model></cpu>", "no", "no"),
        ("<cpu mode='custom'><model>POWER11</model></cpu>", "no", "no"),
        ("<cpu mode='custom'><model>POWER10_v2.0</model></cpu>", "no", "no"),
        ("<cpu check='none'><model>power10_v2.0</model></cpu>", "no", "yes"),
        ("<cpu mode='maximum'/>", "no", "no"),
        ("<cpu mode='nonsense'/>", "unknown", "unknown"),
        ("", "no", "yes"),
    ],
)
def test_a_host_in_an_earlier_mode_grants_less_than_its_processor(cpu, compat, plain):
    assert verdict(xml(cpu), COMPAT).answer == compat
    assert verdict(xml(cpu), PLAIN).answer == plain


@pytest.mark.parametrize(
    ("cpu", "host", "mode"),
    [
        # The mode that the domain names, where the host grants it; else the newest.
        ("<cpu mode='custom'><model>POWER9</model></cpu>", "power11", P9),
        ("<cpu mode='custom'><model>POWER9</model></cpu>", "powervm-power11", P11),
        ("<cpu mode='host-model'><model>POWER9</model></cpu>", "power10", P9),
        ("<cpu mode='host-model'><model>power11</model></cpu>", "power10", P10),
        ("<cpu mode='host-model'><model>power9</model></cpu>", "powervm-power11", P11),
        ("<cpu mode='host-passthrough'/>", "power11-as-power10", P10),
    ],
)
def test_a_no_says_which_mode_to_write_instead(cpu, host, mode):
    found = verdict(xml(cpu), report_of(host))
    assert (found.answer, found.mode) == ("no", mode)


def test_a_verdict_says_what_is_asked_for_and_what_is_granted():
    reason = verdict(xml("<cpu mode='host-passthrough'/>")).reason
    assert "-cpu host" in reason
    assert "physical processor, power11" in reason
    assert "The host runs in power10 mode, and grants power9, power10." in reason


@pytest.mark.parametrize("cpu", ["", "<cpu mode='host-model'/>"])
def test_a_verdict_names_the_words_that_count(cpu):
    reason = verdict(with_words("-cpu", "host", cpu=cpu)).reason
    assert reason.startswith("With -cpu host in <qemu:commandline>, ")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (xml(os_type="<type arch='x86_64' machine='pc'>hvm</type>"), "for 'x86_64'"),
        (xml(os_type="<type arch='ppc'>hvm</type>"), "for 'ppc'"),
        (xml(os_type="<type arch='ppc64' machine='powernv10'>hvm</type>"), "'powernv10'"),
        (xml(kind="xen"), "'xen'"),
        (with_words("-readconfig", "guest.cfg"), "'-readconfig guest.cfg'"),
        (with_words("-set", "machine.m.max-cpu-compat=power9"), "'-set machine"),
        (with_words("-global", "spapr-machine.max-cpu-compat=power9"), "'-global spapr"),
        (with_words("-accel", "tcg"), "'-accel tcg'"),
        (with_words("-M", "powernv10"), "'powernv10'"),
    ],
)
def test_a_domain_that_the_question_is_not_about_cannot_be_told(data, reason):
    found = verdict(data)
    assert (found.answer, found.mode) == ("unknown", None)
    assert reason in found.reason


def test_other_words_for_qemu_do_not_matter():
    words = ("-nodefaults", "-global", "nvme.x=y", "-set", "device.net0.mtu=1500")
    assert answer(with_words(*words)) == "no"


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ("", "yes"),
        ("<cpu mode='custom'><model>POWER8</model></cpu>", "yes"),
        ("<cpu mode='custom'><model>power10</model></cpu>", "no"),
        ("<cpu mode='host-passthrough'/>", "no"),
        ("<cpu mode='host-model'/>", "no"),
        ("<cpu mode='maximum'/>", "no"),
    ],
)
def test_an_emulated_domain_starts_without_what_needs_kvm(cpu, expected):
    found = verdict(xml(cpu, kind="qemu"))
    assert (found.answer, found.mode) == (expected, None)


def test_without_an_architecture_the_domain_is_for_the_hosts():
    assert verdict(xml(os_type="<type>hvm</type>")).answer == "no"


@pytest.mark.parametrize("host", ["no-device", "no-permission", "no-nesting"])
def test_a_host_without_an_answer_cannot_tell(host):
    found = verdict(xml("<cpu mode='host-model'><model>power10</model></cpu>"), report_of(host))
    assert found.answer == "unknown"
    assert report_of(host).status in found.reason


def test_a_mode_that_is_not_known_may_be_among_bits_that_are_not_known():
    data = named("power99")
    assert verdict(data, report_of("power11")).answer == "no"
    assert verdict(data, report_of("future")).answer == "unknown"
    for mode in kvmppc.MODES:
        if mode > P9 and not mode.bit:
            report = report_of("future", cpu_physical=mode, cpu_effective=mode)
            data = with_words("-M", f"max-cpu-compat={mode}")
            assert verdict(data, report, Place(qemu=(11, 2))).answer == "unknown"


def test_what_a_domain_says_is_quoted_short_and_in_ascii():
    name = "\u202e" + "x" * 10000
    reason = verdict(xml(f"<cpu mode='host-model'><model>{name}</model></cpu>")).reason
    assert r"'\u202exxx" in reason
    assert len(reason) < 300


# The domain's own words for QEMU.


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-machine", "max-cpu-compat=power10"], "yes"),
        (["-M", "pseries,max-cpu-compat=power10"], "yes"),
        (["--machine", "type=pseries,max-cpu-compat=power9,usb=off"], "yes"),
        (["-machine", "pseries,usb,max-cpu-compat=power9"], "yes"),
        (["-machine", "max-cpu-compat=power9,accel=tcg"], "unknown"),
        (["-machine", "max-cpu-compat=power11"], "no"),
        (["-machine", "max-cpu-compat=power10", "-machine", "usb=off"], "yes"),
        (["-M", "max-cpu-compat=power10", "--machine", "max-cpu-compat=power11"], "no"),
        (["-machine", "max-cpu-compat=POWER10"], "no"),
        (["-machine", "max-cpu-compat=power8"], "no"),
        (["-machine", "max-cpu-compat="], "no"),
        (["-machine=max-cpu-compat=power10"], "no"),
        (["-cpu", "host"], "no"),
        (["-cpu", "host,compat=power10"], "no"),
        (["--cpu", "POWER8", "-machine", "max-cpu-compat=power10"], "no"),
        (["-cpu", "POWER11", "-machine", "max-cpu-compat=power10"], "yes"),
        (["-cpu", "e500"], "unknown"),
        (["-machine", "pseries,accel=tcg,max-cpu-compat=power10"], "unknown"),
    ],
)
def test_words_for_qemu_are_read_as_qemu_reads_them(words, expected):
    assert answer(with_words(*words)) == expected


def test_words_for_qemu_count_before_what_cpu_says():
    mode = "<cpu mode='host-model'><model>power10</model></cpu>"
    assert answer(with_words("-M", "pseries,max-cpu-compat=power11", cpu=mode)) == "no"
    assert answer(with_words("--cpu", "POWER8", cpu=mode)) == "no"
    assert answer(with_words("-machine", "usb=off", cpu=mode)) == "yes"


def test_what_is_to_be_written_overrides_them_in_its_turn():
    found = verdict(with_words("-cpu", "POWER8"))
    assert "max-cpu-compat=power10" in found.instead[-1]
    fixed = Domain(Domain(with_words("-cpu", "POWER8")).with_mode(found.mode))
    assert check_domain(fixed, COMPAT).answer == "yes"


@pytest.mark.parametrize(
    "words",
    [
        ["-cpu", "host,compat=power9"],
        ["-cpu", "POWER8"],
        ["-machine", "max-cpu-compat=power11"],
        ["-machine", "cap-hpt-max-page-size=64k,cap-htm=on"],
    ],
)
@pytest.mark.parametrize("host_model", [True, False])
def test_words_that_are_wrong_are_overridden_by_what_mends_the_domain(words, host_model):
    place = Place(host_model=host_model, page_size=4096)
    domain = Domain(with_words(*words))
    fixed = domain.with_mode(P10, host_model=host_model, page_size=4096)
    assert answer(fixed, COMPAT, place) == "yes"
    assert Domain(fixed).with_mode(P10, host_model=host_model, page_size=4096) == fixed


# QEMU.


@pytest.mark.parametrize(
    ("version", "report", "expected"),
    [
        ((11, 1), COMPAT, "no"),
        ((11, 2), COMPAT, "yes"),
        ((11, 2), report_of("patch-v4"), "yes"),
        ((11, 2), report_of("power11-as-power10", revision="patch-v4"), "no"),
        ((10, 0), PLAIN11, "yes"),
        ((7, 2), PLAIN11, "no"),
        ((7, 2), PLAIN, "yes"),
    ],
)
def test_the_versions_of_qemu_differ(version, report, expected):
    assert answer(PASSTHROUGH, report, Place(qemu=version)) == expected


def test_a_qemu_that_does_not_know_the_processor_starts_nothing_whatever_the_mode():
    found = verdict(named("power10"), COMPAT, Place(qemu=(7, 2)))
    assert (found.answer, found.mode, found.instead) == ("no", None, ())
    assert "The processor power11 needs QEMU 9.2 or later." in found.reason


def test_a_processor_that_no_qemu_knows_is_well_with_one_that_asks_the_kernel():
    report = report_of("power12")
    assert (
        "Later versions use a mode that this kernel grants" in verdict(PASSTHROUGH, report).reason
    )
    found = verdict(PASSTHROUGH, report, Place(qemu=(11, 2)))
    assert (found.answer, found.mode) == ("yes", None)


@given(st.lists(st.sampled_from(["-cpu", "-M", "--machine", "-set", "-global"]) | st.text()))
def test_whatever_words_there_are_for_qemu_they_are_read(words):
    assert hash(read_words(words)) == hash(read_words(tuple(words)))


def test_what_a_later_qemu_makes_of_a_named_processor_is_not_known():
    place = Place(qemu=(11, 2))
    custom = xml("<cpu mode='custom'><model>POWER11</model></cpu>")
    assert answer(custom, COMPAT, place) == "unknown"
    assert answer(custom, PLAIN11, place) == "yes"
    assert answer(named("power11"), COMPAT, place) == "no"


# libvirt.


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (Place(), "yes"),
        (Place(libvirt=(12, 8)), "yes"),
        (Place(libvirt=(11, 3)), "no"),
        (Place(libvirt=(9, 0)), "no"),
        (Place(libvirt=(12, 8), host_model=False), "no"),
        (Place(libvirt=(11, 3), host_model=True), "yes"),
    ],
)
def test_a_libvirt_without_a_host_model_refuses_host_model(place, expected):
    assert answer(named("power10"), COMPAT, place) == expected
    form = with_words("-machine", "max-cpu-compat=power10")
    assert answer(form, COMPAT, place) == "yes"


def test_what_such_a_libvirt_takes_is_what_is_to_be_written():
    place = Place(libvirt=(11, 3))
    cpu, commandline = verdict(named("power10"), COMPAT, place).instead
    assert cpu == "<cpu mode='host-passthrough' check='none'/>"
    assert answer(xml(cpu, more=commandline), COMPAT, place) == "yes"


def test_every_libvirt_in_use_has_a_host_model_on_a_power10():
    assert answer(named("power10"), PLAIN, Place(libvirt=(9, 0))) == "yes"


# What is no mode.


@pytest.mark.parametrize(
    ("more", "starts"),
    [
        ("", False),
        ("<features><hpt><maxpagesize unit='KiB'>4</maxpagesize></hpt></features>", True),
        ("<features><hpt><maxpagesize>4</maxpagesize></hpt></features>", True),
        ("<features><hpt><maxpagesize unit='b'>4096</maxpagesize></hpt></features>", True),
        ("<features><hpt><maxpagesize unit='KiB'>64</maxpagesize></hpt></features>", False),
        ("<memoryBacking><hugepages/></memoryBacking>", True),
    ],
)
def test_on_small_pages_a_guest_has_to_be_held_to_them(more, starts):
    found = verdict(xml("<cpu mode='host-passthrough'/>", more=more), PLAIN, Place(page_size=4096))
    assert (found.answer == "yes") == (not found.also) == starts
    assert verdict(xml("<cpu/>", more=more), PLAIN, Place(page_size=65536)).also == ()


@pytest.mark.parametrize(("hpt", "lacking"), [("", 1), (f"<hpt>{page_element(4096)}</hpt>", 0)])
def test_no_page_limit_is_to_be_written_that_the_domain_has(hpt, lacking):
    more = f"<features>{hpt}<htm state='on'/></features>"
    found = verdict(xml("<cpu mode='host-passthrough'/>", more=more), PLAIN, Place(page_size=4096))
    assert (len(found.also), len(found.instead)) == (1 + lacking, lacking)


def test_a_limit_above_the_pages_of_the_host_is_lowered_to_them():
    limit = "<features><hpt><maxpagesize unit='MiB'>16</maxpagesize></hpt></features>"
    domain, place = Domain(xml(more=limit)), Place(page_size=65536)
    found = check_domain(domain, PLAIN, place)
    assert (found.answer, found.mode) == ("no", P10)
    assert "64 KiB" in found.also[0]
    (element,) = found.instead
    assert answer(xml(more=element), PLAIN, place) == "yes"
    assert answer(domain.with_mode(P10, page_size=65536), PLAIN, place) == "yes"


@pytest.mark.parametrize(
    ("machine", "more", "starts"),
    [
        ("pseries-2.12", "", True),
        ("pseries-2.12", "<features><hpt><maxpagesize>64</maxpagesize></hpt></features>", False),
        ("pseries-3.0", "", False),
        ("pseries", "", False),
    ],
)
def test_old_machines_fit_their_pages_to_the_host_by_themselves(machine, more, starts):
    place = Place(page_size=4096)
    assert (answer(on_machine(machine, more=more), PLAIN, place) == "yes") == starts


@pytest.mark.parametrize(
    ("qemu", "machine", "there"),
    [
        ((7, 2), "pseries-7.2", True),
        ((7, 2), "pseries-8.0", False),
        ((7, 2), "pseries-10.0", False),
        ((10, 0), "pseries-3.1", True),
        ((10, 0), "pseries-2.12-sxxm", False),
        ((11, 1), "pseries-5.2", True),
        ((11, 1), "pseries-5.1", False),
        ((11, 1), "pseries-rhel9.4.0", True),
        (None, "pseries-5.1", True),
    ],
)
def test_a_machine_that_qemu_lacks_starts_nothing(qemu, machine, there):
    place = Place(qemu=qemu)
    for kind in ("kvm", "qemu"):
        data = on_machine(machine, kind=kind)
        found = verdict(data, PLAIN, place)
        assert found.answer == ("yes" if there else "no")
        assert ("does not have the machine" in " ".join((found.reason, *found.also))) != there
        assert found.instead == ()


@pytest.mark.parametrize(("size", "starts"), [(4, True), (64, False), (0, True)])
def test_the_wrapper_leaves_a_limit_that_the_domain_has(size, starts):
    limit = f"<features><hpt><maxpagesize>{size}</maxpagesize></hpt></features>"
    place = Place(page_size=4096, wrapped=True)
    assert (answer(xml(more=limit), PLAIN, place) == "yes") == starts


@pytest.mark.parametrize(
    ("size", "starts"), [("4k", True), ("4096", True), ("64k", False), ("4K", True)]
)
def test_qemus_own_word_for_pages_counts(size, starts):
    data = with_words("-machine", f"cap-hpt-max-page-size={size}")
    assert (answer(data, PLAIN, Place(page_size=4096)) == "yes") == starts


@pytest.mark.parametrize(
    ("cpu", "says"),
    [
        ("<cpu mode='host-passthrough' migratable='on'/>", "migratable="),
        ("<cpu mode='host-passthrough'><feature name='htm'/></cpu>", "<feature>"),
        ("<cpu mode='host-passthrough'><cache mode='passthrough'/></cpu>", "'cache'"),
        ("<cpu mode='host-model'><model vendor_id='x'>power10</model></cpu>", "'vendor_id'"),
        ("<features><htm state='on'/></features>", "<htm>"),
    ],
)
def test_what_else_keeps_a_guest_from_starting_is_a_no_of_its_own(cpu, says):
    found = verdict(xml(cpu), PLAIN)
    assert (found.answer, len(found.also)) == ("no", 1)
    assert says in found.also[0]
    assert found.instead == ()


@pytest.mark.parametrize("on", ["on", "yes", "true", "y"])
def test_a_feature_is_on_in_each_of_qemus_spellings(on):
    assert verdict(with_words("-machine", f"cap-htm={on}"), PLAIN).also != ()
    assert verdict(with_words("-machine", f"cap-nested-hv={on}"), COMPAT).also != ()
    for off in ("off", "no", "false", "n"):
        assert verdict(with_words("-machine", f"cap-htm={off}"), PLAIN).also == ()


@pytest.mark.parametrize(
    ("machine", "state", "starts"),
    [
        ("pseries-2.9", "", False),
        ("pseries-2.11", "", False),
        ("pseries-2.11", "<htm state='off'/>", True),
        ("pseries-2.12", "", True),
        ("pseries-3.1", "", True),
    ],
)
def test_old_machines_have_transactional_memory_unless_it_is_off(machine, state, starts):
    data = on_machine(machine, more=f"<features>{state}</features>")
    assert (answer(data, PLAIN) == "yes") == starts
    assert answer(data, report_of("power9")) == "yes"


def test_kvm_pr_may_present_any_processor():
    report = report_of("kvm-pr")
    assert answer(xml("<cpu check='none'><model>POWER8</model></cpu>"), report) == "unknown"
    assert answer(xml("<cpu check='partial'><model>POWER8</model></cpu>"), report) == "no"


def test_an_optional_feature_keeps_nothing_from_starting():
    feature = "<feature policy='optional' name='htm'/>"
    assert answer(xml(f"<cpu mode='host-passthrough'>{feature}</cpu>"), PLAIN) == "yes"


def test_what_is_off_keeps_nothing_from_starting():
    features = "<features><htm state='off'/><nested-hv state='off'/></features>"
    assert answer(xml(more=features), PLAIN) == "yes"


# A hint.

HINT = report_of("linux-6.12", page_size=65536)
HINT_COMPAT = report_of("linux-6.12-as-power10")


@pytest.mark.parametrize(
    ("data", "report", "expected", "accepted"),
    [
        (named("power10"), HINT, "likely yes", "yes"),
        (PASSTHROUGH, HINT, "likely yes", "yes"),
        (named("power9"), HINT, "unknown", "unknown"),
        (named("power11"), HINT, "no", "no"),
        (named("power8"), HINT, "no", "no"),
        (xml("<cpu mode='maximum'/>"), HINT, "no", "no"),
        (xml("<cpu><model>POWER9</model></cpu>"), HINT, "no", "no"),
        (PASSTHROUGH, HINT_COMPAT, "likely no", "no"),
        (named("power11"), HINT_COMPAT, "likely no", "no"),
        (named("power10"), HINT_COMPAT, "likely yes", "yes"),
    ],
)
def test_a_hint_answers_where_it_is_certain_and_else_what_is_likely(
    data, report, expected, accepted
):
    assert answer(data, report) == expected
    assert answer(data, report, accept_hint=True) == accepted


def test_a_guest_that_starts_today_is_told_that_it_will_not_on_a_later_kernel():
    found = verdict(PASSTHROUGH, HINT_COMPAT)
    assert (found.answer, found.mode) == ("likely no", P10)
    assert "From Linux 7.3 on it does not" in found.reason


# The value.


def test_a_verdict_can_be_copied_and_pickled_and_is_equal_to_its_copy():
    found = verdict(PASSTHROUGH)
    for copied in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert copied == found
        assert hash(copied) == hash(found)
    with pytest.raises(AttributeError, match="immutable"):
        found.answer = "yes"


def test_a_verdict_does_not_depend_on_the_hosts_name_or_the_time():
    other = report_of("power11-as-power10", hostname="other", time="2020-01-01T00:00:00Z")
    assert HostAnswer(other) == HostAnswer(COMPAT)
    assert verdict(PASSTHROUGH, other) == verdict(PASSTHROUGH, COMPAT)


CPUS = st.sampled_from(
    [
        "",
        "<cpu mode='host-passthrough'/>",
        "<cpu mode='host-model'/>",
        "<cpu mode='maximum'/>",
        *(f"<cpu mode='host-model'><model>{mode}</model></cpu>" for mode in kvmppc.MODES),
        *(f"<cpu><model>{one.upper()}</model></cpu>" for one in kvmppc.PROCESSORS),
    ]
)
PLACES = st.builds(
    Place,
    st.sampled_from([None, (7, 2), (10, 0), (11, 1), (11, 2)]),
    st.sampled_from([None, (9, 0), (11, 3), (12, 8)]),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, 4096, 65536]),
)


@given(CPUS, PLACES, st.sampled_from([host.name for host in simulated_hosts()]), st.booleans())
def test_what_is_to_be_written_instead_starts_or_can_not_be(cpu, place, host, accept):
    domain, report = Domain(xml(cpu)), report_of(host)
    found = judge(domain.asks, HostAnswer(report), place, accept_hint=accept)
    assert bool(found.instead) <= (found.mode is not None)
    if found.mode is None or found.answer != "no":
        return
    fixed = Domain(
        domain.with_mode(
            found.mode,
            host_model=place.has_host_model(report.cpu_physical),
            page_size=found.place.page_size,
        )
    )
    then = check_domain(fixed, report, place, accept_hint=accept)
    assert then.answer == ("yes" if report.status == "known" or accept else "likely yes")


def by_name(model, check="partial", vendor=""):
    vendor = vendor and f"<vendor>{vendor}</vendor>"
    return xml(f"<cpu mode='custom' check='{check}'><model>{model}</model>{vendor}</cpu>")


@pytest.mark.parametrize(
    ("data", "place", "says"),
    [
        (by_name("POWER11"), Place(libvirt=(11, 3)), "libvirt"),
        (by_name("POWER11", vendor="Intel"), Place(), "'Intel'"),
        (by_name("banana"), Place(), "'banana'"),
        (by_name("power11"), Place(), "'POWER11'"),
        (by_name("POWER10"), Place(), "power11"),
    ],
)
def test_a_processor_by_its_name_is_compared_by_libvirt_first(data, place, says):
    found = verdict(data, COMPAT, place)
    assert found.answer == "no"
    assert says in found.reason


@pytest.mark.parametrize(
    ("data", "report", "says"),
    [
        (PASSTHROUGH, report_of("power11", cpu_physical=None), "processor"),
        (by_name("POWER11"), report_of("power11", cpu_physical=None), "processor"),
        (named("power10"), report_of("power11", cpu_physical=None), "processor"),
        (named("power10"), report_of("linux-6.12-as-power10", cpu_physical="x"), "processor"),
        (with_words("-cpu", "banana"), COMPAT, "'banana'"),
        (named("power8"), report_of("powernv10"), "hash page table"),
    ],
)
def test_what_is_not_known_here_is_not_guessed(data, report, says):
    found = verdict(data, report)
    assert found.answer == "unknown"
    assert says in found.reason


def test_a_qemu_that_asks_the_kernel_need_not_know_the_processor():
    report = report_of("power11", cpu_physical=None)
    assert answer(named("power10"), report, Place(qemu=(11, 2))) == "yes"
    assert answer(named("power12"), report) == "no"


def test_a_verdict_shows_the_answer_and_what_to_write():
    assert repr(verdict(PASSTHROUGH)) == "<kvmppc.guest.verdict.Verdict no mode=power10>"
    assert repr(verdict(named("power9"))) == "<kvmppc.guest.verdict.Verdict yes>"
