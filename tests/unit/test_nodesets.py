"""Sets of hosts as clush and dshbak print them."""

import pytest

from kvmppc.fleet.nodesets import expanded

# From ClusterShell 1.10.1 and dshbak 2.34.
SETS = {
    "lpar1": ["lpar1"],
    "lpar[4-5]": ["lpar4", "lpar5"],
    "lpar[9,04-05],vios1": ["lpar9", "lpar04", "lpar05", "vios1"],
    "lpar[08-10]": ["lpar08", "lpar09", "lpar10"],
    "lpar[097-098,100-101]": ["lpar097", "lpar098", "lpar100", "lpar101"],
    "r[1-2]n[08-09]-eth0": ["r1n08-eth0", "r1n09-eth0", "r2n08-eth0", "r2n09-eth0"],
    "10.0.0.[1-2],[3-4]": ["10.0.0.1", "10.0.0.2", "3", "4"],
    "lpar[1,3].example.com": ["lpar1.example.com", "lpar3.example.com"],
}


@pytest.mark.parametrize("text", SETS)
def test_every_host_of_a_set_is_named(text):
    hosts = expanded(text, 100)
    assert hosts == SETS[text] == expanded(text, len(hosts))


OTHERS = ["@lpars", "a[", "a]", "a[]", "a[1-]", "a[b]", "a[2-1]", "a[1,2-1]", "a[[1]]", "a,", ",a"]


@pytest.mark.parametrize("text", [*OTHERS, "a[\N{ARABIC-INDIC DIGIT ONE}]", f"a[{'1' * 9999}]"])
def test_no_host_is_made_up_from_other_text(text):
    assert expanded(text, 100) == []


@pytest.mark.parametrize(
    "text",
    [
        "a[1-101]",
        "a[1-60,61-101]",
        "a[1-11]b[1-10]",
        "a[1-99],b[1-2]",
        "a[0-999999999999999999]",
        ",".join(f"a[1-2]b[{n}-{n + 50}]" for n in range(1000)),
        "a" + "[0-9]" * 60,
    ],
)
def test_a_set_that_is_too_large_is_not_written_out(text):
    assert expanded(text, 100) == []
