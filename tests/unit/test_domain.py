"""Domains: what their XML asks for, what a host says to it, and the XML with another mode."""

import copy
import pickle
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import kvmppc
from kvmppc import CpuMode
from kvmppc.guest.domain import DEPTH_LIMIT, SIZE_LIMIT, Domain, DomainError
from kvmppc.guest.place import Place
from kvmppc.guest.verdict import check_domain
from kvmppc.testing import simulated_host

P9, P10, P11 = map(CpuMode, ("power9", "power10", "power11"))
LONG = "urn:" + "x" * 2_000_000
PREFIXES = " ".join(f"xmlns:a{number}='u'" for number in range(90_000))
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


def report_of(name):
    with simulated_host(name):
        return kvmppc.probe()


COMPAT = report_of("power11-as-power10")
PLAIN = report_of("power10")


def xml(cpu="", kind="kvm", os_type="<type arch='ppc64le' machine='pseries'>hvm</type>", more=""):
    """A domain with this <cpu>."""
    text = f"<domain type='{kind}'>\n  <os>{os_type}</os>\n  {cpu}\n{more}</domain>\n"
    return text.encode()


def verdict(data, report=COMPAT):
    return check_domain(Domain(data), report)


# What is asked for.


def test_every_feature_that_keeps_a_guest_from_starting_is_turned_off():
    features = "<features><htm state='on'/><nested-hv state='on'/></features>"
    changed = Domain(Domain(xml(more=features)).with_mode(P10))
    assert (changed.asks.htm, changed.asks.nested_hv) == ("off", "off")


@pytest.mark.parametrize("empty", ["''", '""'])
def test_an_empty_attribute_does_not_hide_those_after_it(empty):
    cpu = f"<cpu id={empty} mode='custom'><model>POWER9</model></cpu>"
    changed = Domain(Domain(xml(cpu)).with_mode(P10))
    assert (changed.asks.cpu_mode, changed.asks.cpu_model) == ("host-model", "power10")


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        *(("", 1 << 10), ("unit='b'", 1), ("unit='bytes'", 1)),
        *(("unit='k'", 1 << 10), ("unit='KiB'", 1 << 10), ("unit='m'", 1 << 20)),
        *(("unit='MiB'", 1 << 20), ("unit='G'", 1 << 30), ("unit='gib'", 1 << 30)),
    ],
)
def test_a_limit_of_pages_is_in_its_unit(unit, size):
    limit = f"<features><hpt><maxpagesize {unit}>16</maxpagesize></hpt></features>"
    assert Domain(xml(more=limit)).asks.page_limit == 16 * size


@pytest.mark.parametrize(
    ("cpu", "mode", "model"),
    [
        ("<cpu mode='host-model'><model>power10</model></cpu>", "host-model", "power10"),
        ("<cpu mode='host-model'><model/></cpu>", "host-model", None),
        ("<cpu mode='host-passthrough'/>", "host-passthrough", None),
        ("<cpu mode='custom'><model>POWER10</model></cpu>", "custom", "POWER10"),
        ("<cpu><model>POWER10</model></cpu>", "custom", "POWER10"),
        ("<cpu mode='maximum'/>", "maximum", None),
        ("<cpu><topology sockets='1' cores='1' threads='1'/></cpu>", None, None),
        ("", None, None),
        (
            "<cpu mode='host&#45;model'><model><![CDATA[power9]]></model></cpu>",
            "host-model",
            "power9",
        ),
        ("<cpu mode='host-model'><numa><model>x</model></numa></cpu>", "host-model", None),
    ],
)
def test_a_domain_says_which_processor_it_asks_for(cpu, mode, model):
    domain = Domain(xml(cpu))
    assert (domain.asks.cpu_mode, domain.asks.cpu_model) == (mode, model)


def test_the_first_of_several_counts_as_for_libvirt():
    domain = Domain(
        xml(
            "<cpu mode='host-model'/>"
            "<cpu mode='custom'><model>POWER9</model><model>POWER10</model></cpu>"
        )
    )
    assert (domain.asks.cpu_mode, domain.asks.cpu_model) == ("host-model", None)


def test_what_is_in_several_elements_counts_as_for_libvirt():
    limit, word = "<hpt><maxpagesize>4</maxpagesize></hpt>", "<q:arg value='-cpu'/>"
    first = "<features><htm state='on'/></features><q:commandline/>"
    second = f"<features>{limit}<htm state='off'/></features>"
    more = f"{first}{second}<q:commandline>{word}<q:arg value='host'/></q:commandline>"
    asks = Domain(xml(more=more).replace(b"<domain", f"<domain xmlns:q='{QEMU}'".encode())).asks
    assert (asks.htm, asks.page_limit, asks.words.cpu) == ("off", 4096, "host")


def test_the_last_of_several_lists_of_words_is_added_to():
    word = "<q:arg value='-M'/><q:arg value='max-cpu-compat=power11'/>"
    more = "".join(f"<q:commandline xmlns:q='{QEMU}'>{one}</q:commandline>" for one in ("", word))
    assert verdict(Domain(xml(more=more)).with_mode(P10)).answer == "yes"


def test_a_limit_that_is_low_enough_stays_as_it_is():
    limit = b"<features><hpt><maxpagesize unit='b'>4096</maxpagesize></hpt></features>"
    assert limit in Domain(xml(more=limit.decode())).with_mode(P10, page_size=4096)
    words = "<q:arg value='-M'/><q:arg value='max-cpu-compat=power11,cap-hpt-max-page-size=4k'/>"
    data = xml(more=f"<q:commandline xmlns:q='{QEMU}'>{words}</q:commandline>")
    assert Domain(data).with_mode(P10, page_size=4096).count(b"page") == 1


@pytest.mark.parametrize(
    "more",
    [
        "<!-- <cpu mode='custom'/> -->",
        "<metadata><cpu mode='custom'/></metadata>",
        "<x:cpu xmlns:x='urn:x' mode='custom'/>",
        "<devices><cpu mode='custom'><model>power9</model></cpu></devices>",
    ],
)
def test_only_the_domains_own_cpu_counts(more):
    assert Domain(xml(more=more)).asks.cpu_mode is None


def test_a_domain_is_immutable():
    with pytest.raises(AttributeError, match="immutable"):
        Domain(xml()).data = b""
    with pytest.raises(AttributeError, match="immutable"):
        Domain(xml()).asks.type = "qemu"


def test_a_domain_can_be_copied_and_pickled_and_is_equal_to_its_copy():
    domain = Domain(xml("<cpu mode='host-model'><model>power10</model></cpu>"))
    for copied in (copy.copy(domain), copy.deepcopy(domain), pickle.loads(pickle.dumps(domain))):
        assert copied == domain
        assert (hash(copied), copied.asks) == (hash(domain), domain.asks)
    assert domain != Domain(xml())


# What is no domain.


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not XML"),
        (b"# kvmppc", "not XML"),
        (b"<domain type='kvm'>", "not XML"),
        (b"<network/>", "its root element is 'network'"),
        (b"<domstatus><domain type='kvm'/></domstatus>", "its root element is 'domstatus'"),
        (b"<domain xmlns='urn:x' type='kvm'/>", "not libvirt's <domain>"),
        (b"<domain/>", "no type"),
        (b"<domain type='kvm'><os/></domain>", "no <os> with a <type>"),
        ("<domain/>".encode("utf-16"), "UTF-16"),
        (b"<?xml version='1.0' encoding='shift-jis'?><domain/>", "encoding"),
        (b"<?xml version='1.0' encoding='nope'?><domain/>", "encoding"),
        (b"<?xml version='1.0' encoding='rot13'?><domain/>", "encoding"),
        (b"<domain type='\xff'/>", "not XML"),
        (b"<domain><qemu:commandline/></domain>", "unbound prefix"),
        (b"<domain type='kvm' a:b='c'/>", "unbound prefix 'a'"),
    ],
)
def test_what_is_no_domain_is_refused_with_what_it_is(data, message):
    with pytest.raises(DomainError, match=re.escape(message)):
        Domain(data)


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE domain>",
        "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE domain [<!ENTITY a 'power9'>]>",
        "<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>",
        "<!DOCTYPE domain [<!ENTITY % a SYSTEM 'http://localhost/'> %a;]>",
        "<!DOCTYPE domain [<!ATTLIST cpu mode CDATA 'host-model'>]>",
    ],
)
def test_a_document_type_is_refused_and_with_it_all_entities(doctype):
    with pytest.raises(DomainError, match="DOCTYPE"):
        Domain(doctype.encode() + xml("<cpu mode='custom'><model>&a;</model></cpu>"))


def test_the_size_has_a_limit():
    room = SIZE_LIMIT - len(xml(more="<!---->"))
    assert Domain(xml(more=f"<!--{'x' * room}-->")).asks.type == "kvm"
    with pytest.raises(DomainError, match="longer than 4194304 bytes"):
        Domain(xml(more=f"<!--{'x' * (room + 1)}-->"))


def test_the_depth_has_a_limit():
    def nested(depth):
        return xml(more="<a>" * (depth - 1) + "</a>" * (depth - 1))

    assert Domain(nested(DEPTH_LIMIT)).asks.type == "kvm"
    with pytest.raises(DomainError, match="more than 256 deep"):
        Domain(nested(DEPTH_LIMIT + 1))


@given(st.binary() | st.text().map(str.encode))
def test_whatever_comes_in_is_a_domain_or_an_error_that_says_why(data):
    with pytest.raises(DomainError):
        Domain(data)


@given(st.data())
def test_a_damaged_domain_is_a_domain_or_an_error(data):
    whole = xml("<cpu mode='host-model'><model>power10</model><feature name='x'/></cpu>")
    at = data.draw(st.integers(0, len(whole)))
    until = data.draw(st.integers(at, len(whole)))
    try:
        domain = Domain(whole[:at] + data.draw(st.binary(max_size=4)) + whole[until:])
    except DomainError:
        return
    assert Domain(domain.with_mode(P10)).asks.cpu_model == "power10"


# The XML with another mode.


@pytest.mark.parametrize(
    ("cpu", "fixed"),
    [
        (
            "<cpu mode='host-passthrough'/>",
            "<cpu mode='host-model' check='none'><model>power10</model></cpu>",
        ),
        (
            '<cpu\n  mode = "host-passthrough"  migratable="off"\tcheck="partial" />',
            '<cpu\n  mode = "host-model"\tcheck="none"><model>power10</model></cpu>',
        ),
        (
            "<cpu mode='custom' match='exact'><model fallback='forbid'>POWER9</model></cpu >",
            "<cpu mode='host-model' match='exact' check='none'>"
            "<model fallback='forbid'>power10</model></cpu >",
        ),
        (
            "<cpu>\r\n\t<topology sockets='1' cores='1' threads='1'/>\r\n</cpu>",
            "<cpu mode='host-model' check='none'>\r\n\t<model>power10</model>"
            "\r\n\t<topology sockets='1' cores='1' threads='1'/>\r\n</cpu>",
        ),
        (
            "<cpu a=\"x mode='custom' >\"><!-- <model>x</model> --><model vendor_id='abc' /></cpu>",
            "<cpu a=\"x mode='custom' >\" mode='host-model' check='none'>"
            "<!-- <model>x</model> --><model vendor_id='abc'>power10</model></cpu>",
        ),
        (
            "<cpu mode='host-model'></cpu>",
            "<cpu mode='host-model' check='none'><model>power10</model></cpu>",
        ),
    ],
)
def test_the_mode_is_put_into_a_cpu_and_the_rest_of_it_left(cpu, fixed):
    assert Domain(xml(cpu)).with_mode(P10) == xml(fixed)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_cpu_that_is_missing_comes_on_a_line_of_its_own_after_os_or_features(newline):
    lines = [
        b"<domain type='kvm'>",
        b"\t<os><type>hvm</type></os >",
        b"",
        b"\t<features/>",
        b"</domain>",
    ]
    cpu = b"\t<cpu mode='host-model' check='none'><model>power9</model></cpu>"
    data = newline.join(lines)
    assert Domain(data).with_mode(P9) == newline.join([*lines[:4], cpu, lines[4]])
    del lines[2:4]
    data = newline.join(lines)
    assert Domain(data).with_mode(P9) == newline.join([*lines[:2], cpu, lines[2]])


def test_a_cpu_that_is_missing_on_one_long_line_comes_on_it():
    data = b"<domain type='kvm'><os><type>hvm</type></os></domain>"
    cpu = b"<cpu mode='host-model' check='none'><model>power11</model></cpu>"
    assert Domain(data).with_mode(P11) == data[:-9] + cpu + data[-9:]


@pytest.mark.parametrize(
    "data",
    [
        xml("<cpu" + " " * 2_000_000 + "/>"),
        xml("<cpu" + " " * 2_000_000 + "mode='custom'/>"),
        xml("<cpu>" + " " * 2_000_000 + "</cpu>"),
        xml("<cpu a='" + " b=" * 500_000 + "'/>"),
        xml("<cpu><model>" + "x<!---->" * 100_000 + "</model></cpu>"),
        xml("<cpu/>", more="x<a/>" * 100_000),
        xml(more=" " * 2_000_000),
        xml(more=f"<x:a xmlns:x='{LONG}'>" + "<x:b x:c='1'/>" * 120_000 + "</x:a>"),
        xml(more=f"<a xmlns='{LONG}'>" + "<b/>" * 400_000 + "</a>"),
        xml(more=f"<a {PREFIXES}>" + "<b xmlns:b='u'/>" * 90_000 + "</a>"),
    ],
    ids=range(10),
)
def test_no_domain_takes_the_square_of_its_length_in_time(data):
    assert Domain(Domain(data).with_mode(P10)).asks.cpu_model == "power10"


@st.composite
def domains(draw):
    """A domain in pieces: what is before <cpu>, <cpu> ("" for none), and what is after it."""
    newline = draw(st.sampled_from(["\n", "\r\n", "\n\n    ", "\t", ""]))
    quote = draw(st.sampled_from("'\""))
    text = draw(st.text("é€ <>&'\"\u202ea]", max_size=8))
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&#x3e;")
    others = [
        f"<title>{escaped}</title>",
        "<!-- <cpu mode='custom'><model>POWER9</model></cpu> </os> é -->",
        "<?app <cpu mode='custom'/> ?>",
        "<description><![CDATA[<cpu mode='custom'/>]]></description>",
        "<metadata><x:cpu xmlns:x='urn:x' mode='custom'><model/></x:cpu></metadata>",
        "<devices><disk a='>'><source file='/&lt;cpu/&gt;'/></disk></devices>",
        "<q:commandline><q:arg value='-nodefaults'/></q:commandline>",
    ]
    chosen = [st.sampled_from([*others, newline, " "])]
    some = st.lists(*chosen, max_size=4).map("".join)
    os = f"<os>{newline}<type arch={quote}ppc64le{quote}>hvm</type>{newline}</os>"
    features = draw(st.sampled_from(["", "<features/>", "<features >\n<acpi/></features\n>"]))
    attributes = draw(
        st.lists(
            st.sampled_from(
                [
                    "mode='host-passthrough'",
                    'mode = "custom"',
                    "mode='host-model'",
                    "check='full'",
                    "migratable='on'",
                    "match\n=\n'exact'",
                ]
            ),
            unique_by=lambda attribute: attribute.split("=")[0].strip(),
        )
    )
    children = draw(
        st.lists(
            st.sampled_from(
                [
                    "<topology sockets='1' cores='2' threads='8'/>",
                    "<numa>\n<cell id='0' cpus='0' memory='1'/></numa>",
                    "<!-- <model>power9</model> -->",
                    "<feature policy='optional' name='x'/>",
                    newline,
                ]
            ),
            max_size=4,
        )
    )
    model = draw(st.sampled_from(["", "<model/>", "<model a='/>' />", "<model\n>POWER8</model >"]))
    children.insert(draw(st.integers(0, len(children))), model)
    start = "<cpu" + "".join(f" {attribute}" for attribute in attributes)
    cpu = draw(
        st.sampled_from(["", f"{start}/>", f"{start}\n/>", f"{start} >{''.join(children)}</cpu>"])
    )
    head = draw(
        st.sampled_from(["", "\ufeff", "<?xml version='1.0'?>\n", "<!-- <domain> -->" + newline])
    )
    before = f"{head}<domain type={quote}kvm{quote} xmlns:q='{QEMU}'>{draw(some)}{newline}{os}"
    before += f"{newline}{features}{newline}"
    after = f"{draw(some)}{newline}</domain>{newline}"
    return before.encode(), cpu.encode(), after.encode()


def without_cpu(data):
    """The XML as another parser reads it, with all that says the mode taken out."""
    root = ElementTree.fromstring(data)
    cpu = root.find("cpu")
    if cpu is not None:
        for name in ("mode", "check", "migratable"):
            cpu.attrib.pop(name, None)
        for model in cpu.findall("model"):
            cpu.remove(model)
        for element in cpu.iter():
            element.text = element.tail = None
        if not cpu.attrib and not len(cpu):
            root.remove(cpu)
    return ElementTree.tostring(root)


@given(domains(), st.sampled_from([P9, P10]))
@example((b"<domain type='kvm'><os><type>hvm</type></os>", b"<cpu/>", b"</domain>"), P9)
def test_whatever_the_domain_only_the_mode_is_changed(pieces, mode):
    before, cpu, after = pieces
    fixed = Domain(before + cpu + after).with_mode(mode)
    if cpu:
        # Not a byte outside <cpu> has changed.
        assert fixed.startswith(before)
        assert fixed.endswith(after)
        assert len(fixed) > len(before + after)
    else:
        # The bytes of <cpu> and of one line's indentation have come in, in one place.
        element = kvmppc.libvirt_cpu(mode).encode()
        assert fixed.count(element) == 1
        front, back = fixed.split(element)
        kept = front.rstrip(b" \t\r\n")
        assert before.startswith(kept)
        added = len(fixed) - len(before + after) - len(element)
        assert front[: len(front) - added] + back == before + after
    domain = Domain(fixed)
    assert (domain.asks.cpu_mode, domain.asks.cpu_model) == ("host-model", str(mode))
    assert check_domain(domain, COMPAT).answer == "yes"
    assert domain.with_mode(mode) == fixed


@given(domains(), st.sampled_from([P9, P10]))
def test_another_parser_finds_nothing_changed_but_the_mode(pieces, mode):
    data = b"".join(pieces)
    fixed = Domain(data).with_mode(mode)
    root = ElementTree.fromstring(fixed)
    cpu = root.find("cpu")
    assert cpu.get("mode") == "host-model"
    assert cpu.get("check") == "none"
    assert cpu.get("migratable") is None
    assert cpu.findtext("model") == str(mode)
    if pieces[1]:
        assert without_cpu(fixed) == without_cpu(data)


@given(domains(), st.sampled_from([P9, P10]), st.booleans(), st.sampled_from([None, 4096]))
def test_in_every_form_the_guest_starts_and_nothing_is_put_in_twice(pieces, mode, form, pages):
    options = {"host_model": form, "page_size": pages}
    fixed = Domain(b"".join(pieces)).with_mode(mode, **options)
    place = Place(host_model=form, page_size=pages)
    assert check_domain(Domain(fixed), COMPAT, place).answer == "yes"
    assert Domain(fixed).with_mode(mode, **options) == fixed
    root = ElementTree.fromstring(fixed)
    assert len(root.findall("cpu")) == len(root.findall("os")) == 1
    assert len(root.findall("features/hpt/maxpagesize")) == (pages is not None)


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252", "us-ascii", "utf-8"])
def test_the_encoding_stays(encoding):
    character = "a" if encoding == "us-ascii" else "é"
    text = f"<?xml version='1.0' encoding='{encoding}'?>" + xml(more=character).decode()
    data = text.encode(encoding)
    fixed = Domain(data).with_mode(P10)
    cpu = b"\n  <cpu mode='host-model' check='none'><model>power10</model></cpu>"
    assert fixed.replace(cpu, b"") == data
    assert Domain(fixed).asks.cpu_model == "power10"
