"""kvmppc probe --format nfd: labels of a node, as Kubernetes takes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvmppc
from kvmppc import HostReport
from kvmppc.cli import main
from kvmppc.output import report_nfd
from kvmppc.processors import GRANTABLE, PROCESSORS
from kvmppc.testing import simulated_host, simulated_hosts

# "Labels and Selectors" in the Kubernetes documentation: at most 63 of these, and a letter or
# digit at both ends; a value may be empty, a name not. node-feature-discovery reads what is
# before the first = as the name, and puts "feature.node.kubernetes.io/" before it.
NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VALUE = re.compile(rf"({NAME.pattern})?")


def probed(name, **changes):
    with simulated_host(name):
        return HostReport.from_dict({**kvmppc.probe().to_dict(), **changes})


def labels(report):
    """The labels, after a look at whether Kubernetes would take them."""
    lines = report_nfd(report).splitlines()
    pairs = [line.split("=", 1) for line in lines]
    for name, value in pairs:
        assert NAME.fullmatch(name), name
        assert VALUE.fullmatch(value), value
    assert len(dict(pairs)) == len(lines)
    return dict(pairs)


@pytest.mark.parametrize("host", [host.name for host in simulated_hosts()])
def test_the_labels_say_what_the_report_says(host):
    report = probed(host)
    found = labels(report)
    assert found["kvmppc.status"] == report.status
    assert found["kvmppc.simulated"] == host
    granted = {name[12:] for name, value in found.items() if value == "true"}
    if report.status == "known":
        assert granted == set(report.modes)
        assert found.get("kvmppc.newest") == report.newest
        assert all(f"kvmppc.mode.{mode}" in found for mode in GRANTABLE)
    else:
        assert granted == set()
        assert not any(name.startswith(("kvmppc.mode.", "kvmppc.newest")) for name in found)


def test_no_two_processors_have_one_label():
    found = {labels(probed("power10", cpu_physical=str(one)))["kvmppc.cpu"] for one in PROCESSORS}
    assert len(found) == len(PROCESSORS)


@given(st.text(max_size=100))
def test_any_text_becomes_a_value_that_kubernetes_takes(text):
    labels(probed("power10", simulated=text))


def test_the_command_prints_them(capsys):
    assert main(["probe", "--simulate", "power11-as-power10", "--format", "nfd"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "kvmppc.status=known",
        "kvmppc.simulated=power11-as-power10",
        "kvmppc.cpu=power11",
        "kvmppc.cpu-mode=power10",
        "kvmppc.newest=power10",
        "kvmppc.mode.power9=true",
        "kvmppc.mode.power10=true",
        *(f"kvmppc.mode.{mode}=false" for mode in GRANTABLE[2:]),
    ]
