"""What kvmppc says of a domain, held against what libvirt makes of it.

Three versions of libvirt, on hosts with three processors, are given the domains; tests/shared/
libvirts.py tells how. Where libvirt refuses one, kvmppc must say no. Where libvirt makes a command
line of it, kvmppc must not contradict what QEMU does with those words under KVM.
"""

import json

import pytest
from libvirts import DOMAIN, ELEMENTS, HOSTS, MATRIX, SUITES, every_libvirt, matrix

import kvmppc
from kvmppc import HostReport
from kvmppc.guest import qemu
from kvmppc.guest.advice import libvirt_elements
from kvmppc.guest.domain import Domain
from kvmppc.guest.place import Place
from kvmppc.guest.verdict import check_domain
from kvmppc.testing import simulated_host

# Hosts by their processor, each with a mode of every kind that it can be in.
SIMULATED = {
    "power9": ["power9"],
    "power10": ["power10"],
    "power11": ["power11", "power11-as-power10"],
}
CASES = [
    pytest.param(suite, processor, host, id=f"{suite}-{host}")
    for suite in SUITES
    for processor in HOSTS
    for host in SIMULATED[processor]
]


@pytest.fixture(scope="session")
def libvirts():
    """All libvirts, by suite and processor. Fails, and does not skip, where one is missing."""
    with every_libvirt() as found:
        yield found


@pytest.fixture(scope="session")
def remade(libvirts):
    """What each libvirt makes of each element, asked now."""
    return matrix(libvirts.values())


@pytest.fixture(scope="session")
def outcomes(remade):
    """The same by the version of libvirt and the processor, and then by the element."""
    found = {}
    for element, made in remade["elements"].items():
        for outcome, wheres in made.items():
            for where in wheres.split(", "):
                found.setdefault(tuple(where.split()), {})[element] = outcome
    return found


def report_of(host):
    """A simulated host's report; of pages nothing is asked here."""
    with simulated_host(host):
        return HostReport.from_dict({**kvmppc.probe().to_dict(), "page_size": 65536})


def place_of(libvirt):
    numbers = [
        tuple(map(int, text.split(".")[:2])) for text in (libvirt.qemu_version, libvirt.version)
    ]
    return Place(*numbers)


def unknown_to(place, processor):
    """Whether QEMU does not know the processor: unable to find CPU model 'host'."""
    return processor == "power11" and place.qemu < (9, 2)


@pytest.mark.parametrize("suite", SUITES)
def test_the_machines_of_each_qemu_are_known(suite, libvirts):
    libvirt = libvirts[suite, "power10"]
    version, there = place_of(libvirt).qemu, libvirt.machines
    recent = {f"pseries-{major}.{minor}" for major in range(4, 20) for minor in range(3)}
    early = {f"pseries-2.{minor}" for minor in range(1, 13)} | {"pseries-3.0", "pseries-3.1"}
    assert len(there & recent) >= 10
    assert {name for name in recent if qemu.has_machine(version, name)} == there & recent
    assert not {name for name in there & early if qemu.has_machine(version, name) is False}
    assert {name for name in early if qemu.has_machine(version, name)} <= there


def starts(options, report, place):
    """Whether QEMU before 11.2 starts a guest with these words of a command line, under KVM."""
    words = options.split()
    pairs = [(word.lstrip("-"), value) for word, value in zip(words[::2], words[1::2])]
    models = [value.split(",") for word, value in pairs if word == "cpu"]
    cpu, *cpu_properties = models[-1] if models else ["host"]
    settings = [text for word, value in pairs if word != "cpu" for text in value.split(",")[1:]]
    settings += [v for w, v in pairs if w != "cpu" and v.startswith("max-cpu-compat=")]
    properties = dict(text.split("=") for text in settings)
    physical = report.cpu_physical
    if unknown_to(place, physical):
        return False
    if cpu_properties:
        return False  # Property 'host-powerpc64-cpu.htm' not found, and no other is known
    if cpu.lower().partition("_")[0] not in ("host", physical):
        return False  # KVM presents the physical processor and no other
    if "on" in (properties.get("cap-htm"), properties.get("cap-nested-hv")):
        return None  # which depends on more than the processor
    return properties.get("max-cpu-compat", physical) in report.modes


def test_the_file_has_what_libvirt_says(remade):
    """Of the versions that it is made of; those of sid are replaced by others in time."""
    known = json.loads(MATRIX.read_text())
    assert len(known["elements"]) >= 60
    for element, made in remade["elements"].items():
        written = known["elements"][element]
        for outcome, wheres in made.items():
            where = {one for one in wheres.split(", ") if one.split()[0] in known["libvirt"]}
            assert where <= set(written.get(outcome, "").split(", ")) | {""}, element


@pytest.mark.parametrize(("suite", "processor", "host"), CASES)
def test_no_verdict_contradicts_libvirt(suite, processor, host, libvirts, outcomes):
    libvirt = libvirts[suite, processor]
    report, place = report_of(host), place_of(libvirt)
    wrong = []
    for element, outcome in outcomes[libvirt.version, processor].items():
        found = check_domain(Domain(DOMAIN.replace("ELEMENT", element).encode()), report, place)
        if outcome.startswith("error: "):
            right = found.answer == "no"
        else:
            happens = starts(outcome, report, place)
            said = False if found.also else {"yes": True, "no": False}.get(found.answer)
            right = None in (happens, said) or happens == said
        if not right:
            wrong.append(f"{element}: {outcome}; but {found.answer}: {found.reason}")
    assert len(outcomes[libvirt.version, processor]) == len(ELEMENTS)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("suite", "processor", "host"), CASES)
def test_the_advice_and_what_is_mended_start(suite, processor, host, libvirts):
    libvirt = libvirts[suite, processor]
    report, place = report_of(host), place_of(libvirt)
    domains = {}
    for mode in report.modes:
        elements = "".join(libvirt_elements(mode, place, processor))
        domains[f"advice for {mode}"] = DOMAIN.replace("ELEMENT", elements), mode
    for element in ELEMENTS:
        domain = Domain(DOMAIN.replace("ELEMENT", element).encode())
        mode = check_domain(domain, report, place).mode
        if mode is not None:
            has_model = place.has_host_model(processor)
            fixed = domain.with_mode(mode, host_model=has_model, page_size=report.page_size)
            if check_domain(Domain(fixed), report, place).answer == "yes":
                domains[element] = fixed.decode(), mode
    made = libvirt.outcomes([domain for domain, _ in domains.values()])
    wrong = [
        f"{name}: {options}"
        for (name, (_, mode)), options in zip(domains.items(), made)
        if f"max-cpu-compat={mode}" not in options
        or not (starts(options, report, place) or unknown_to(place, processor))
    ]
    assert not wrong, "\n".join(wrong)
