"""A libvirt domain: what its XML asks for, and the same XML with another mode.

The XML may come from anybody. expat reads it, up to a size and a depth, and without document
types (so without entities or anything external). It is edited as bytes, so that everything that
does not set the mode stays as it was.
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
from kvmppc.values import Frozen, Value, fill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kvmppc.guest.qemu import Words
    from kvmppc.processors import CpuMode

    Path = tuple[str, ...]
    _Edit = tuple[int, int, bytes]

SIZE_LIMIT = 4 << 20
"""Bytes: libvirt's own limit. Source: REMOTE_STRING_MAX in its src/remote/remote_protocol.x."""

DEPTH_LIMIT = 256
"""Nested elements: the limit of libvirt's parser. Source: xmlParserMaxDepth of libxml2."""

# The elements that are read. If several have one path, the first counts, and of _LAST the last;
# children count in all of them, but for <cpu>. Source: the XPaths of libvirt's src/conf.
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
_LAST = (_HTM, _NESTED, _COMMANDLINE)
_DEEPEST = 4

# The elements inside these that may come any number of times.
_ARGUMENT = ("domain", "qemu:commandline", "qemu:arg")
_FEATURE = ("domain", "cpu", "feature")
_GRAPHICS = ("domain", "devices", "graphics")
# Not for ppc64. Source: libvirt's src/qemu/qemu_validate.c.
_X86 = (("domain", "cpu", "cache"), ("domain", "cpu", "maxphysaddr"))

# Binary units of memory, as powers of 2. Source: virScaleInteger() in libvirt. Decimal ones ("KB")
# are left out.
_UNITS = {"b": 0, "bytes": 0, "k": 10, "kib": 10, "m": 20, "mib": 20, "g": 30, "gib": 30}

# A start tag, its name, and an attribute, of XML that expat has found to be well-formed.
_TAG = re.compile(rb"""<[^'">]*(?:'[^']*'[^'">]*|"[^"]*"[^'">]*)*>""")
_NAME = re.compile(rb"<[^\s/>]+")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")


class DomainError(ValueError):
    """This is not a libvirt domain; the message says what was found instead."""


class Asks(Value):
    """What a domain asks for, as far as its processor is concerned. Immutable and hashable.

    None stands for an element or attribute that the domain does not have.

    Attributes:
        type: the domain's: "kvm", "qemu" (emulated), or another hypervisor's name.
        arch: "ppc64le"; by default libvirt uses the host's.
        machine: "pseries-9.2"; by default libvirt uses pseries.
        emulator: the path of QEMU; by default libvirt finds it.
        cpu_mode: ``<cpu mode>``: "host-model", "host-passthrough", "maximum" or "custom" (the
            default); None where the domain names no processor.
        cpu_model: the text of ``<model>``.
        cpu_vendor: the text of ``<vendor>``.
        cpu_check: the attribute ``check`` of ``<cpu>``.
        migratable: the attribute ``migratable`` of ``<cpu>``.
        cpu_features: what Power does not support in ``<cpu>``: the names of ``<feature>``
            elements (but for optional ones, which libvirt leaves out), "cache", "maxphysaddr" and
            "vendor_id".
        htm, nested_hv: the states of these ``<features>``, "on" or "off".
        page_limit: ``<hpt><maxpagesize>`` in bytes.
        huge_pages: whether the guest's memory is in huge pages.
        words: what ``<qemu:commandline>`` sets for processor and machine.
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

    @property
    def started_machine(self) -> str | None:
        """The machine that QEMU starts; the last argument for it counts."""
        return self.words.property("type") or self.machine

    def limit_lacking(self, page_size: int | None) -> int | None:
        """The page limit that the guest lacks on a host with such pages, in bytes; None if none.

        Source: spapr_check_pagesize() in QEMU's hw/ppc/spapr_caps.c.
        """
        said = self.words.property(PAGE_LIMIT)
        limit = self.page_limit if said is None else qemu.read_size(said)
        if limit is None and qemu.fits_pages(self.started_machine):
            return None
        if page_size is None or self.huge_pages or (limit or qemu.GUEST_PAGE) <= page_size:
            return None
        return page_size


class Domain(Frozen):
    """A libvirt domain's XML, and what it asks for. Immutable; equal if the bytes are equal.

    Attributes:
        data: the XML, as it was given.
        name: the name of the guest; "" where the XML has none.
        asks: what the domain asks for.
        lacks_password: whether it has a graphical console (VNC, SPICE) without a password, as
            in a dump made without --security-info.

    Raises:
        DomainError: this is not XML, is not a domain, has a document type, has null bytes (as
            UTF-16 has), or exceeds SIZE_LIMIT or DEPTH_LIMIT.
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
        """Returns the XML with the mode in it.

        ``host_model`` is whether libvirt has a host model on the host. ``page_size`` is the
        host's, in bytes; a page limit is added where guests need one. ``<htm>`` and
        ``<nested-hv>`` are turned off. All bytes that have nothing to do with these stay as they
        are.
        """
        elements, words = self._elements, self.asks.words
        limit = self.asks.limit_lacking(page_size)
        property_ = _property(words, mode, host_model, limit)
        edits: list[_Edit] = []
        if limit is not None:
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
    """What a domain asks for, from the elements that were found. Raises DomainError."""
    elements = reader.found
    kind = elements[_DOMAIN].attributes.get("type")
    if not kind or _TYPE not in elements:
        raise DomainError("it has no type, or no <os> with a <type>; libvirt requires both")
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
        # Without a model, custom does not set the processor (a topology, for example).
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
    """A size in bytes; None where the number or the unit is not valid."""
    shift = _UNITS.get(element.attributes.get("unit", "KiB").lower())
    text = element.text().strip()
    return int(text) << shift if shift is not None and re.fullmatch(r"[0-9]{1,15}", text) else None


class _Element:
    """One element: its attributes and text, and the offsets of its bytes.

    ``start`` to ``inner`` is the start tag, ``inner`` to ``end`` the content, and ``end`` to
    ``after`` the end tag. In an empty-element tag (``<a/>``) the last three are equal.
    """

    __slots__ = ("after", "attributes", "closed", "end", "inner", "start", "texts")

    def __init__(self, attributes: Mapping[str, str], start: int, tag: bytes) -> None:
        self.attributes = attributes
        self.closed = tag.endswith(b"/>")
        self.start = start
        self.inner = self.end = self.after = start + len(tag)
        # Joined once at the end: text can come in a million pieces.
        self.texts: list[str] = []

    def text(self) -> str:
        return "".join(self.texts)


class _Reader:
    """Collects the wanted elements while expat parses.

    Namespaces are resolved here. expat would put the whole URI before each name, which takes
    quadratic time for a long URI.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.found: dict[Path, _Element] = {}
        self.arguments: list[str] = []
        self.features: list[str] = []
        self.lacks_password = False
        self.names: list[str] = []
        self.open: list[_Element | None] = []
        # The meanings of each prefix, innermost last; and the prefixes that each element declares.
        self.bound: dict[str, list[str]] = {"": [""], "xml": ["other:"]}
        self.declared: list[list[str]] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text

    def read(self) -> None:
        """Parses all of the XML. Raises DomainError."""
        if len(self.data) > SIZE_LIMIT:
            raise DomainError(f"it is longer than {SIZE_LIMIT} bytes, the limit of libvirt")
        if b"\0" in self.data:
            raise DomainError("it has null bytes (UTF-16?); convert it to UTF-8")
        try:
            self.parser.Parse(self.data, True)
        except expat.ExpatError as error:
            raise DomainError(f"it is not XML: {error}") from None
        except DomainError:
            raise
        except (LookupError, ValueError) as error:
            raise DomainError(f"its encoding is not supported: {error}") from None

    def doctype(self, *_: object) -> None:
        raise DomainError("it has a document type; remove <!DOCTYPE>")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.declare(attributes)
        self.names.append(self.known_name(name))
        depth = len(self.names)
        if depth > DEPTH_LIMIT:
            raise DomainError(f"its elements are nested more than {DEPTH_LIMIT} deep")
        path = tuple(self.names) if depth <= _DEEPEST else ()
        if depth == 1 and path != _DOMAIN:
            raise DomainError(f"its root element is {name[:60]!a}, not libvirt's <domain>")
        inside = depth == 1 or self.open[-1] is not None
        if inside:
            self.collect(path, attributes)
        wanted = inside and path in _WANTED and not (path == _CPU and _CPU in self.found)
        self.open.append(self.note(path, attributes) if wanted else None)

    def declare(self, attributes: Mapping[str, str]) -> None:
        """Collects the prefixes that an element declares."""
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
        """The name of an element, with "qemu:" for libvirt's extension and "other:" for others."""
        prefix, colon, local = name.partition(":")
        if not colon:
            return self.bound[""][-1] + name
        if not self.bound.get(prefix):
            raise DomainError(f"it is not XML: unbound prefix {prefix[:60]!a}")
        return self.bound[prefix][-1] + local

    def collect(self, path: Path, attributes: Mapping[str, str]) -> None:
        """Collects the elements that may come any number of times."""
        if path == _ARGUMENT:
            self.arguments.append(attributes.get("value", ""))
        elif path == _FEATURE and attributes.get("policy") != "optional":
            self.features.append(attributes.get("name", ""))
        elif path in _X86 or (path == _MODEL and "vendor_id" in attributes):
            self.features.append(path[-1] if path in _X86 else "vendor_id")
        elif path == _GRAPHICS and attributes.get("type") in ("vnc", "spice"):
            self.lacks_password |= not attributes.get("passwd")

    def note(self, path: Path, attributes: Mapping[str, str]) -> _Element:
        offset = self.parser.CurrentByteIndex
        tag = _TAG.match(self.data, offset)
        if tag is None:
            raise DomainError(f"it has no start tag at byte {offset}")
        element = _Element(attributes, offset, tag.group())
        if path in _LAST or path not in self.found:
            self.found[path] = element
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


# Editing: two offsets, and the bytes that replace what is between them.


def _edited(data: bytes, edits: Iterable[_Edit]) -> bytes:
    """The bytes with all edits made; edits at one offset keep their order."""
    pieces = []
    done = 0
    for start, end, text in sorted(edits, key=lambda edit: edit[0]):
        pieces += [data[done:start], text]
        done = end
    return b"".join([*pieces, data[done:]])


def _property(words: Words, mode: CpuMode, host_model: bool, limit: int | None) -> str | None:
    """The machine properties to add to <qemu:commandline>; None if nothing is to be added.

    These are what <cpu> cannot set here, or what existing arguments override.
    """
    parts = []
    said = words.property("max-cpu-compat")
    if said != mode and (said is not None or not host_model):
        parts.append(machine_property(mode))
    if limit is not None and words.property(PAGE_LIMIT) is not None:
        parts.append(f"{PAGE_LIMIT}={limit}")
    parts += [f"{name}=off" for name in ("cap-htm", "cap-nested-hv") if words.is_on(name)]
    return ",".join(parts) or ("" if _names_other(words) else None)


def _names_other(words: Words) -> bool:
    """Whether there is a -cpu other than a plain host."""
    return words.cpu not in (None, "host") or bool(words.cpu_properties)


def _cpu_edits(
    elements: Mapping[Path, _Element], data: bytes, mode: CpuMode, host_model: bool
) -> Iterator[_Edit]:
    """Puts the mode into <cpu>, or host-passthrough where libvirt has no host model."""
    cpu, model = elements.get(_CPU), elements.get(_MODEL)
    if cpu is None:
        yield _added(data, elements.get(_FEATURES, elements[_OS]), libvirt_cpu(mode, host_model))
        return
    tag = data[cpu.start : cpu.inner]
    tag = _set_attribute(tag, b"mode", b"host-model" if host_model else b"host-passthrough")
    tag = _set_attribute(tag, b"check", b"none")
    # Not supported on Power.
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
    """Limits the guest's pages to a size in bytes: <features><hpt><maxpagesize>."""
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
    """Adds arguments to <qemu:commandline>, where the last of several counts."""
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
    """Adds an element after another one, on a line of its own if that one starts a line."""
    return after.after, after.after, _line(data, after) + text.encode()


def _line(data: bytes, element: _Element) -> bytes:
    """The line break and indentation before an element; b"" if other text is before it."""
    before = data[: element.start]
    indent = before[len(before.rstrip(b" \t\r\n")) :]
    newline = indent.rfind(b"\n")
    if indent[:newline].endswith(b"\r"):
        newline -= 1
    return indent[newline:] if newline >= 0 else b""


def _opened(tag: bytes) -> bytes:
    """An empty-element tag as a start tag."""
    return tag[: -len(b"/>")].rstrip() + b">"


def _set_attribute(tag: bytes, name: bytes, value: bytes) -> bytes:
    """A start tag with an attribute set, in the same quotes; a new one is added at the end."""
    last = _name_end(tag)
    for attribute in _attributes(tag):
        last = attribute.end()
        if attribute[1] == name:
            quote = attribute[2][:1]
            return tag[: attribute.start(2)] + quote + value + quote + tag[attribute.end(2) :]
    return tag[:last] + b" " + name + b"='" + value + b"'" + tag[last:]


def _attributes(tag: bytes) -> Iterator[re.Match[bytes]]:
    """The attributes of a start tag, each with the space before it.

    Each is matched where the last ended: searching through long space takes quadratic time.
    """
    attribute = _ATTRIBUTE.match(tag, _name_end(tag))
    while attribute is not None:
        yield attribute
        attribute = _ATTRIBUTE.match(tag, attribute.end())


def _drop_attribute(tag: bytes, name: bytes) -> bytes:
    """A start tag without an attribute and the space before it."""
    for attribute in _attributes(tag):
        if attribute[1] == name:
            return tag[: attribute.start()] + tag[attribute.end() :]
    return tag


def _name_end(tag: bytes) -> int:
    found = _NAME.match(tag)
    return 0 if found is None else found.end()
