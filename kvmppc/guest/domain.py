"""A libvirt domain: what its XML asks for, and the XML with another mode.

The XML may come from anybody. It is read by expat, without document types (and so without
entities or anything external), up to a size and a depth; and it is edited as bytes, so that
what does not say the mode stays as it was written.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from kvmppc.guest import qemu
from kvmppc.guest.advice import (
    PAGE_LIMIT,
    QEMU_NAMESPACE,
    libvirt_cpu,
    machine_property,
    page_element,
    qemu_commandline,
)
from kvmppc.guest.place import page_needed
from kvmppc.values import Frozen, Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kvmppc.guest.qemu import Words
    from kvmppc.processors import CpuMode

    Path = tuple[str, ...]
    _Edit = tuple[int, int, bytes]

SIZE_LIMIT = 4 << 20
"""Bytes: the longest text that libvirt itself takes (REMOTE_STRING_MAX in remote_protocol.x)."""

DEPTH_LIMIT = 256
"""Elements inside each other: the limit of libxml2, by which libvirt reads (xmlParserMaxDepth)."""

# What is read of a domain. Of several with the same path the first counts, as for libvirt.
_DOMAIN = ("domain",)
_TITLE = ("domain", "name")
_OS = ("domain", "os")
_TYPE = ("domain", "os", "type")
_FEATURES = ("domain", "features")
_HTM = ("domain", "features", "htm")
_NESTED = ("domain", "features", "nested-hv")
_HPT = ("domain", "features", "hpt")
_PAGE = ("domain", "features", "hpt", "maxpagesize")
_CPU = ("domain", "cpu")
_MODEL = ("domain", "cpu", "model")
_VENDOR = ("domain", "cpu", "vendor")
_DEVICES = ("domain", "devices")
_EMULATOR = ("domain", "devices", "emulator")
_BACKING = ("domain", "memoryBacking")
_HUGE = ("domain", "memoryBacking", "hugepages")
_COMMANDLINE = ("domain", "qemu:commandline")
_WANTED = {
    _DOMAIN,
    _TITLE,
    _OS,
    _TYPE,
    _FEATURES,
    _HTM,
    _NESTED,
    _HPT,
    _PAGE,
    _CPU,
    _MODEL,
    _VENDOR,
    _DEVICES,
    _EMULATOR,
    _BACKING,
    _HUGE,
    _COMMANDLINE,
}
_DEEPEST = 4

# What there may be any number of, inside what is read.
_ARGUMENT = ("domain", "qemu:commandline", "qemu:arg")
_FEATURE = ("domain", "cpu", "feature")
_GRAPHICS = ("domain", "devices", "graphics")

# Units of memory, as libvirt has them (virScaleInteger); a small "b" is a thousand's.
_UNITS = {"b": 0, "bytes": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30}

# A start tag, and an attribute in it, of XML that expat has found to be well-formed.
_TAG = re.compile(rb"""<[^'">]*(?:'[^']*'[^'">]*|"[^"]*"[^'">]*)*>""")
_NAME = re.compile(rb"<[^\s/>]+")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")


class DomainError(ValueError):
    """This is not a libvirt domain; the message says what was found instead."""


class Asks(Value):
    """What a domain asks for, as far as it matters to its processor. Immutable and hashable.

    Attributes:
        type: of the domain: "kvm", "qemu" (emulated), or another hypervisor's name.
        arch: "ppc64le"; None where it is left to libvirt, which takes the host's.
        machine: "pseries-9.2"; None where it is left to libvirt, which takes pseries.
        emulator: the path of the QEMU; None where it is left to libvirt.
        cpu_mode: of ``<cpu>``: "host-model", "host-passthrough", "maximum", "custom" (which is
            what none means); None where the domain names no processor at all.
        cpu_model: the text of ``<model>``, None where there is none.
        cpu_vendor: the text of ``<vendor>``, None where there is none.
        cpu_check: the attribute ``check`` of ``<cpu>``, None for none.
        migratable: the attribute of that name, None for none.
        cpu_features: the names of the ``<feature>`` elements in it.
        htm, nested_hv: the state of these ``<features>``, "on" or "off"; None for neither.
        page_limit: ``<hpt><maxpagesize>`` in bytes; None where there is none.
        huge_pages: whether the guest's memory is in huge pages.
        words: what ``<qemu:commandline>`` says of processor and machine.
    """

    __slots__ = (
        "arch",
        "cpu_check",
        "cpu_features",
        "cpu_mode",
        "cpu_model",
        "cpu_vendor",
        "emulator",
        "htm",
        "huge_pages",
        "machine",
        "migratable",
        "nested_hv",
        "page_limit",
        "type",
        "words",
    )

    type: str
    arch: str | None
    machine: str | None
    emulator: str | None
    cpu_mode: str | None
    cpu_model: str | None
    cpu_vendor: str | None
    cpu_check: str | None
    migratable: str | None
    cpu_features: tuple[str, ...]
    htm: str | None
    nested_hv: str | None
    page_limit: int | None
    huge_pages: bool
    words: Words


class Domain(Frozen):
    """A libvirt domain's XML, and what it asks for.

    Immutable; equal to another of the same bytes.

    Attributes:
        data: the XML, as it was given.
        name: the guest's; "" where there is none.
        asks: what it asks for.
        lacks_password: whether it has a graphical console (VNC, SPICE) without a password, as
            in a dump that was made without --security-info.

    Raises:
        DomainError: it is not XML, not a domain, has a document type, is encoded as UTF-16, or
            is over SIZE_LIMIT or DEPTH_LIMIT.
    """

    __slots__ = ("_elements", "asks", "data", "lacks_password", "name")

    data: bytes
    name: str
    asks: Asks
    lacks_password: bool
    _elements: dict[Path, _Element]

    def __init__(self, data: bytes) -> None:
        reader = _Reader(data)
        reader.read()
        fill(
            self,
            data=data,
            name=reader.found[_TITLE].text().strip() if _TITLE in reader.found else "",
            asks=_asks(reader),
            lacks_password=reader.lacks_password,
            _elements=reader.found,
        )

    def with_mode(
        self, mode: CpuMode, *, host_model: bool = True, page_size: int | None = None
    ) -> bytes:
        """The XML with the mode in it, in the form that a libvirt with or without host model takes.

        ``page_size``, in bytes, is the host's: guests are held to it where it is less than
        they may use. ``<htm>`` and ``<nested-hv>`` are switched off where they are on. Only what
        says these things is written anew; every other byte is as it was.
        """
        elements, words = self._elements, self.asks.words
        property_ = _property(words, mode, host_model, page_size)
        limit = page_needed(page_size)
        edits: list[_Edit] = []
        if limit is not None and not self.asks.huge_pages:
            edits += _page_edits(elements, self.data, limit)
        edits += _cpu_edits(elements, self.data, mode, host_model)
        edits += self._off_edits()
        if property_ is not None:
            edits += _commandline_edits(elements, self.data, property_, _names_other(words))
        return _edited(self.data, edits)

    def _off_edits(self) -> Iterator[_Edit]:
        for path, state in ((_HTM, self.asks.htm), (_NESTED, self.asks.nested_hv)):
            if state == "on":
                element = self._elements[path]
                tag = self.data[element.start : element.inner]
                yield element.start, element.inner, _set_attribute(tag, b"state", b"off")

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Domain) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.data)

    def __reduce__(self) -> tuple[object, ...]:
        return Domain, (self.data,)

    def __repr__(self) -> str:
        asks = self.asks
        return f"<kvmppc.guest.domain.Domain type={asks.type!r} cpu_mode={asks.cpu_mode!r}>"


def _asks(reader: _Reader) -> Asks:
    """What a domain asks for, by the elements that were found. Raises DomainError."""
    elements = reader.found
    kind = elements[_DOMAIN].attributes.get("type")
    if not kind or _TYPE not in elements:
        raise DomainError("it has no type, or no <os> with a <type>: libvirt needs both")
    os_type = elements[_TYPE].attributes
    cpu = elements[_CPU].attributes if _CPU in elements else {}
    model = elements[_MODEL].text() if _MODEL in elements else ""
    mode = cpu.get("mode", "custom") if _CPU in elements else None
    return fill(
        Asks.__new__(Asks),
        type=kind,
        arch=os_type.get("arch"),
        machine=os_type.get("machine"),
        emulator=elements[_EMULATOR].text() or None if _EMULATOR in elements else None,
        # Without a model, custom says nothing of the processor (a topology, say).
        cpu_mode=None if mode == "custom" and not model else mode,
        cpu_model=model or None,
        cpu_vendor=elements[_VENDOR].text() or None if _VENDOR in elements else None,
        cpu_check=cpu.get("check"),
        migratable=cpu.get("migratable"),
        cpu_features=tuple(reader.features),
        htm=_state(elements, _HTM),
        nested_hv=_state(elements, _NESTED),
        page_limit=_size(elements[_PAGE]) if _PAGE in elements else None,
        huge_pages=_HUGE in elements,
        words=qemu.read_words(reader.arguments),
    )


def _state(elements: Mapping[Path, _Element], path: Path) -> str | None:
    return elements[path].attributes.get("state") if path in elements else None


def _size(element: _Element) -> int | None:
    """A size in bytes; what has no number or a unit that is not known is none."""
    shift = _UNITS.get(element.attributes.get("unit", "KiB").lower())
    text = element.text().strip()
    return int(text) << shift if shift is not None and re.fullmatch(r"[0-9]{1,15}", text) else None


class _Element:
    """One element: what it says, and the offsets of its bytes.

    ``start`` to ``inner`` is the start tag, ``inner`` to ``end`` the content, ``end`` to
    ``after`` the end tag; where the start tag closes the element, the last three are the same.
    """

    __slots__ = ("after", "attributes", "closed", "end", "inner", "start", "texts")

    def __init__(self, attributes: Mapping[str, str], start: int, tag: bytes) -> None:
        self.attributes = attributes
        self.closed = tag.endswith(b"/>")
        self.start = start
        self.inner = self.end = self.after = start + len(tag)
        # Collected, and joined once: text can come in a million pieces.
        self.texts: list[str] = []

    def text(self) -> str:
        return "".join(self.texts)


class _Reader:
    """Notes the elements that are wanted while expat reads.

    Namespaces are told apart here: expat would put the whole URI before each name, which for a
    long URI takes the square of the length in time.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.found: dict[Path, _Element] = {}
        self.arguments: list[str] = []
        self.features: list[str] = []
        self.lacks_password = False
        self.names: list[str] = []
        self.open: list[_Element | None] = []
        # For each prefix what it stands for, the innermost last; and each element's own prefixes.
        self.bound: dict[str, list[str]] = {"": [""], "xml": ["other:"]}
        self.declared: list[list[str]] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text

    def read(self) -> None:
        """Reads it all. Raises DomainError."""
        if len(self.data) > SIZE_LIMIT:
            raise DomainError(f"it is longer than the {SIZE_LIMIT} bytes that libvirt takes")
        if b"\0" in self.data:
            raise DomainError("it has null bytes, as UTF-16 has: libvirt takes UTF-8")
        try:
            self.parser.Parse(self.data, True)
        except expat.ExpatError as error:
            raise DomainError(f"it is not XML: {error}") from None
        except DomainError:
            raise
        except (LookupError, ValueError) as error:
            raise DomainError(f"its encoding is not known: {error}") from None

    def doctype(self, *_: object) -> None:
        raise DomainError("it has a document type (<!DOCTYPE>), which no domain needs")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.declare(attributes)
        self.names.append(self.known_name(name))
        depth = len(self.names)
        if depth > DEPTH_LIMIT:
            raise DomainError(f"its elements are more than {DEPTH_LIMIT} deep")
        path = tuple(self.names) if depth <= _DEEPEST else ()
        if depth == 1 and path != _DOMAIN:
            raise DomainError(f"its root is {name[:60]!a}, not libvirt's domain")
        inside = depth == 1 or self.open[-1] is not None
        if inside:
            self.collect(path, attributes)
        wanted = inside and path in _WANTED and path not in self.found
        self.open.append(self.note(path, attributes) if wanted else None)

    def declare(self, attributes: Mapping[str, str]) -> None:
        """Notes the prefixes that an element declares."""
        prefixes: list[str] = []
        for attribute, value in attributes.items():
            before, colon, prefix = attribute.partition(":")
            if before == "xmlns":
                stands_for = "qemu:" if value == QEMU_NAMESPACE else "other:" if value else ""
                self.bound.setdefault(prefix, []).append(stands_for)
                prefixes.append(prefix)
            elif colon and not self.bound.get(before) and f"xmlns:{before}" not in attributes:
                raise DomainError(f"it is not XML: unbound prefix {before[:60]!a}")
        self.declared.append(prefixes)

    def known_name(self, name: str) -> str:
        """An element's name with "qemu:" before it for libvirt's extension, "other:" for others."""
        prefix, colon, local = name.partition(":")
        if not colon:
            return self.bound[""][-1] + name
        if not self.bound.get(prefix):
            raise DomainError(f"it is not XML: unbound prefix {prefix[:60]!a}")
        return self.bound[prefix][-1] + local

    def collect(self, path: Path, attributes: Mapping[str, str]) -> None:
        """Notes what there may be any number of."""
        if path == _ARGUMENT:
            self.arguments.append(attributes.get("value", ""))
        elif path == _FEATURE:
            self.features.append(attributes.get("name", ""))
        elif path == _GRAPHICS and attributes.get("type") in ("vnc", "spice"):
            self.lacks_password |= not attributes.get("passwd")

    def note(self, path: Path, attributes: Mapping[str, str]) -> _Element:
        offset = self.parser.CurrentByteIndex
        tag = _TAG.match(self.data, offset)
        if tag is None:
            raise DomainError(f"no start tag is at its byte {offset}")
        element = self.found[path] = _Element(attributes, offset, tag.group())
        return element

    def end(self, _: str) -> None:
        self.names.pop()
        for prefix in self.declared.pop():
            self.bound[prefix].pop()
        element = self.open.pop()
        if element is not None and not element.closed:
            element.end = self.parser.CurrentByteIndex
            element.after = self.data.index(b">", element.end) + 1

    def text(self, text: str) -> None:
        element = self.open[-1]
        if element is not None:
            element.texts.append(text)


# Editing: what is between two offsets, and what comes in its place.


def _edited(data: bytes, edits: Iterable[_Edit]) -> bytes:
    """The bytes with all edits made; of several at one place, in their order."""
    pieces = []
    done = 0
    for start, end, text in sorted(edits, key=lambda edit: edit[0]):
        pieces += [data[done:start], text]
        done = end
    return b"".join([*pieces, data[done:]])


def _property(words: Words, mode: CpuMode, host_model: bool, page_size: int | None) -> str | None:
    """What has to be said in QEMU's own words: what <cpu> cannot say here, or they override."""
    parts = []
    said, pages = words.property("max-cpu-compat"), words.property(PAGE_LIMIT)
    if said != mode and (said is not None or not host_model):
        parts.append(machine_property(mode))
    if page_needed(page_size) is not None and pages not in (None, str(page_size)):
        parts.append(f"{PAGE_LIMIT}={page_size}")
    parts += [f"{name}=off" for name in ("cap-htm", "cap-nested-hv") if words.is_on(name)]
    return ",".join(parts) or ("" if _names_other(words) else None)


def _names_other(words: Words) -> bool:
    """Whether a -cpu is there that is not the plain host."""
    return words.cpu not in (None, "host") or bool(words.cpu_properties)


def _cpu_edits(
    elements: Mapping[Path, _Element], data: bytes, mode: CpuMode, host_model: bool
) -> Iterator[_Edit]:
    """Puts the mode into <cpu>, or the host's own processor where libvirt has no host model."""
    cpu, model = elements.get(_CPU), elements.get(_MODEL)
    if cpu is None:
        yield _added(data, elements.get(_FEATURES, elements[_OS]), libvirt_cpu(mode, host_model))
        return
    tag = data[cpu.start : cpu.inner]
    tag = _set_attribute(tag, b"mode", b"host-model" if host_model else b"host-passthrough")
    tag = _set_attribute(tag, b"check", b"none")
    # libvirt refuses it on Power.
    tag = _drop_attribute(tag, b"migratable")
    text = str(mode).encode()
    if not host_model:
        yield cpu.start, cpu.inner, tag
        for element in (model, elements.get(_VENDOR)):
            if element is not None:
                yield element.start, element.after, b""
    elif cpu.closed:
        yield cpu.start, cpu.inner, _opened(tag) + b"<model>" + text + b"</model></cpu>"
    else:
        content = data[cpu.inner : cpu.end]
        space = content[: len(content) - len(content.lstrip(b" \t\r\n"))]
        yield cpu.start, cpu.inner, tag
        if model is None:
            yield cpu.inner, cpu.inner, space + b"<model>" + text + b"</model>"
        elif model.closed:
            tag = _opened(data[model.start : model.inner])
            yield model.start, model.after, tag + text + b"</model>"
        else:
            yield model.inner, model.end, text


def _page_edits(elements: Mapping[Path, _Element], data: bytes, size: int) -> Iterator[_Edit]:
    """Holds the guest to pages of a size, in bytes: <features><hpt><maxpagesize>."""
    text = page_element(size)
    for path in (_PAGE, _HPT, _FEATURES):
        element = elements.get(path)
        if element is None:
            text = f"<{path[-1]}>{text}</{path[-1]}>" if path != _PAGE else text
        elif path == _PAGE:
            yield element.start, element.after, text.encode()
            return
        else:
            yield _put_in(data, element, text)
            return
    yield _added(data, elements[_OS], text)


def _commandline_edits(
    elements: Mapping[Path, _Element], data: bytes, property_: str, processor: bool
) -> Iterator[_Edit]:
    """Adds words to <qemu:commandline>, where the last of several counts."""
    words = ["-machine", property_] if property_ else []
    if processor:
        words += ["-cpu", "host"]
    element, domain = elements.get(_COMMANDLINE), elements[_DOMAIN]
    if element is None:
        end = domain.inner + len(data[domain.inner : domain.end].rstrip(b" \t\r\n"))
        yield end, end, _line(data, elements[_OS]) + qemu_commandline(words).encode()
        return
    tag = _NAME.match(data, element.start)
    name = b"" if tag is None else tag.group()[1:]
    prefix = name[: name.find(b":") + 1].decode()
    added = "".join(f"<{prefix}arg value='{word}'/>" for word in words)
    yield _put_in(data, element, added, at_end=True)


def _put_in(data: bytes, element: _Element, text: str, at_end: bool = False) -> _Edit:
    """Puts text into an element: first, or last."""
    if not element.closed:
        place = element.end if at_end else element.inner
        return place, place, text.encode()
    tag = data[element.start : element.inner]
    found = _NAME.match(tag)
    name = b"" if found is None else found.group()[1:]
    return element.start, element.inner, _opened(tag) + text.encode() + b"</" + name + b">"


def _added(data: bytes, after: _Element, text: str) -> _Edit:
    """Adds an element after another one, on a line of its own where that one has one."""
    return after.after, after.after, _line(data, after) + text.encode()


def _line(data: bytes, element: _Element) -> bytes:
    """The end of line and the indentation before an element; empty where it is on a longer line."""
    before = data[: element.start]
    indent = before[len(before.rstrip(b" \t\r\n")) :]
    newline = indent.rfind(b"\n")
    if indent[:newline].endswith(b"\r"):
        newline -= 1
    return indent[newline:] if newline >= 0 else b""


def _opened(tag: bytes) -> bytes:
    """The start tag of an element that closes itself, as one that does not."""
    return tag[: -len(b"/>")].rstrip() + b">"


def _set_attribute(tag: bytes, name: bytes, value: bytes) -> bytes:
    """A start tag with an attribute set, in the quotes it had; a new one comes last."""
    last = _name_end(tag)
    for attribute in _attributes(tag):
        last = attribute.end()
        if attribute[1] == name:
            quote = attribute[2][:1]
            return tag[: attribute.start(2)] + quote + value + quote + tag[attribute.end(2) :]
    return tag[:last] + b" " + name + b"='" + value + b"'" + tag[last:]


def _attributes(tag: bytes) -> Iterator[re.Match[bytes]]:
    """The attributes in a start tag, each with the space before it.

    One after the other, and no search: a search through much space takes its square in time.
    """
    attribute = _ATTRIBUTE.match(tag, _name_end(tag))
    while attribute is not None:
        yield attribute
        attribute = _ATTRIBUTE.match(tag, attribute.end())


def _drop_attribute(tag: bytes, name: bytes) -> bytes:
    """A start tag without an attribute, and without the space before it."""
    for attribute in _attributes(tag):
        if attribute[1] == name:
            return tag[: attribute.start()] + tag[attribute.end() :]
    return tag


def _name_end(tag: bytes) -> int:
    found = _NAME.match(tag)
    return 0 if found is None else found.end()
