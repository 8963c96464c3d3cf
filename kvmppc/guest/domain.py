"""A libvirt domain: what its XML says of the guest's processor, and the XML with another mode.

The XML may come from anybody. It is read by expat, without document types (and so without
entities or anything external), up to a size and a depth; and it is edited as bytes, so that
what does not say the mode stays as it was written.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from kvmppc.guest.advice import libvirt_cpu

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

    from kvmppc.processors import CpuMode

SIZE_LIMIT = 4 << 20
"""Bytes: the longest text that libvirt itself takes (REMOTE_STRING_MAX in remote_protocol.x)."""

DEPTH_LIMIT = 256
"""Elements inside each other: the limit of libxml2, by which libvirt reads (xmlParserMaxDepth)."""

# What is read of a domain. Of several with the same path the first counts, as for libvirt.
_DOMAIN = ("domain",)
_OS = ("domain", "os")
_TYPE = ("domain", "os", "type")
_FEATURES = ("domain", "features")
_CPU = ("domain", "cpu")
_MODEL = ("domain", "cpu", "model")
_WANTED = {_DOMAIN, _OS, _TYPE, _FEATURES, _CPU, _MODEL}

_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_ARGUMENT = ("domain", f"{_QEMU} commandline", f"{_QEMU} arg")

# A start tag, and an attribute in it, of XML that expat has found to be well-formed.
_TAG = re.compile(rb"""<[^'">]*(?:'[^']*'[^'">]*|"[^"]*"[^'">]*)*>""")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")


class DomainError(ValueError):
    """This is not a libvirt domain; the message says what was found instead."""


class Domain:
    """A libvirt domain's XML, and what it says of the guest's processor.

    Attributes:
        data: the XML, as it was given.
        type: of the domain: "kvm", "qemu" (emulated), or another hypervisor's name.
        arch: "ppc64le"; None where it is left to libvirt, which takes the host's.
        machine: "pseries-9.2"; None where it is left to libvirt, which takes pseries.
        cpu_mode: of ``<cpu>``: "host-model", "host-passthrough", "maximum", "custom" (which is
            what none means); None where the domain names no processor at all.
        cpu_model: the text of ``<model>``, None where there is none.
        sets_cpu_itself: whether ``<qemu:commandline>`` has its own words on the processor.

    Raises:
        DomainError: it is not XML, not a domain, has a document type, is encoded as UTF-16, or
            is over SIZE_LIMIT or DEPTH_LIMIT.
    """

    __slots__ = (
        "_elements",
        "arch",
        "cpu_mode",
        "cpu_model",
        "data",
        "machine",
        "sets_cpu_itself",
        "type",
    )

    data: bytes
    type: str
    arch: str | None
    machine: str | None
    cpu_mode: str | None
    cpu_model: str | None
    sets_cpu_itself: bool
    _elements: dict[tuple[str, ...], _Element]

    def __init__(self, data: bytes) -> None:
        reader = _Reader(data)
        reader.read()
        elements = reader.found
        kind = elements[_DOMAIN].attributes.get("type")
        if not kind or _TYPE not in elements:
            raise DomainError("it has no type, or no <os> with a <type>: libvirt needs both")
        os_type = elements[_TYPE].attributes
        cpu = elements.get(_CPU)
        model = "".join(elements[_MODEL].texts) if _MODEL in elements else ""
        mode = None if cpu is None else cpu.attributes.get("mode", "custom")
        fields = (
            ("data", data),
            ("type", kind),
            ("arch", os_type.get("arch")),
            ("machine", os_type.get("machine")),
            # Without a model, custom says nothing of the processor (a topology, say).
            ("cpu_mode", None if mode == "custom" and not model else mode),
            ("cpu_model", model or None),
            ("sets_cpu_itself", any(map(_names_cpu, reader.arguments))),
            ("_elements", elements),
        )
        for name, value in fields:
            object.__setattr__(self, name, value)

    def with_mode(self, mode: CpuMode) -> bytes:
        """The XML with the mode in it, as ``host-model`` with a model, and ``check='none'``.

        Only the start tag of ``<cpu>`` and its ``<model>`` are written anew, and ``<cpu>`` is
        added where there is none; every other byte is as it was.
        """
        elements = self._elements
        if _CPU not in elements:
            return _with_cpu(self.data, elements.get(_FEATURES, elements[_OS]), mode)
        return _with_cpu_edited(self.data, elements[_CPU], elements.get(_MODEL), mode)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Domain is immutable: {name} cannot be set")

    def __repr__(self) -> str:
        return f"<kvmppc.guest.domain.Domain type={self.type!r} cpu_mode={self.cpu_mode!r}>"


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


class _Reader:
    """Notes the elements that are wanted while expat reads."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.found: dict[tuple[str, ...], _Element] = {}
        self.arguments: list[str] = []
        self.names: list[str] = []
        self.open: list[_Element | None] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
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
        self.names.append(name)
        depth = len(self.names)
        if depth > DEPTH_LIMIT:
            raise DomainError(f"its elements are more than {DEPTH_LIMIT} deep")
        path = tuple(self.names) if depth <= len(_MODEL) else ()
        if depth == 1 and path != _DOMAIN:
            raise DomainError(f"its root is {name[:60]!a}, not a domain")
        if path == _ARGUMENT:
            self.arguments.append(attributes.get("value", ""))
        inside = depth == 1 or self.open[-1] is not None
        wanted = inside and path in _WANTED and path not in self.found
        self.open.append(self.note(path, attributes) if wanted else None)

    def note(self, path: tuple[str, ...], attributes: Mapping[str, str]) -> _Element:
        offset = self.parser.CurrentByteIndex
        tag = _TAG.match(self.data, offset)
        if tag is None:
            raise DomainError(f"no start tag is at its byte {offset}")
        element = self.found[path] = _Element(attributes, offset, tag.group())
        return element

    def end(self, _: str) -> None:
        self.names.pop()
        element = self.open.pop()
        if element is not None and not element.closed:
            element.end = self.parser.CurrentByteIndex
            element.after = self.data.index(b">", element.end) + 1

    def text(self, text: str) -> None:
        element = self.open[-1]
        if element is not None:
            element.texts.append(text)


def _names_cpu(argument: str) -> bool:
    """Whether a word for QEMU's command line is about the processor."""
    return argument == "-cpu" or "max-cpu-compat" in argument


def _with_cpu(data: bytes, after: _Element, mode: CpuMode) -> bytes:
    """Adds <cpu> after another element, on a line of its own where that one has one."""
    before = data[: after.start]
    indent = before[len(before.rstrip(b" \t\r\n")) :]
    newline = indent.rfind(b"\n")
    if indent[:newline].endswith(b"\r"):
        newline -= 1
    line = indent[newline:] if newline >= 0 else b""
    return data[: after.after] + line + libvirt_cpu(mode).encode() + data[after.after :]


def _with_cpu_edited(data: bytes, cpu: _Element, model: _Element | None, mode: CpuMode) -> bytes:
    """Puts the mode into a <cpu> that is there."""
    tag = data[cpu.start : cpu.inner]
    tag = _set_attribute(tag, b"mode", b"host-model")
    tag = _set_attribute(tag, b"check", b"none")
    # libvirt refuses it in host-model.
    tag = _drop_attribute(tag, b"migratable")
    text = str(mode).encode()
    if cpu.closed:
        body = b"<model>" + text + b"</model></cpu>"
        return data[: cpu.start] + _opened(tag) + body + data[cpu.after :]
    if model is None:
        content = data[cpu.inner : cpu.end]
        space = content[: len(content) - len(content.lstrip(b" \t\r\n"))]
        body = space + b"<model>" + text + b"</model>" + content
    elif model.closed:
        body = data[cpu.inner : model.start] + _opened(data[model.start : model.inner])
        body += text + b"</model>" + data[model.after : cpu.end]
    else:
        body = data[cpu.inner : model.inner] + text + data[model.end : cpu.end]
    return data[: cpu.start] + tag + body + data[cpu.end :]


def _opened(tag: bytes) -> bytes:
    """The start tag of an element that closes itself, as one that does not."""
    return tag[: -len(b"/>")].rstrip() + b">"


def _set_attribute(tag: bytes, name: bytes, value: bytes) -> bytes:
    """The start tag of <cpu> with an attribute set, in the quotes it had; a new one comes last."""
    last = len(b"<cpu")
    for attribute in _attributes(tag):
        last = attribute.end()
        if attribute[1] == name:
            quote = attribute[2][:1]
            return tag[: attribute.start(2)] + quote + value + quote + tag[attribute.end(2) :]
    return tag[:last] + b" " + name + b"='" + value + b"'" + tag[last:]


def _attributes(tag: bytes) -> Iterator[re.Match[bytes]]:
    """The attributes in the start tag of <cpu>, each with the space before it.

    One after the other, and no search: a search through much space takes its square in time.
    """
    attribute = _ATTRIBUTE.match(tag, len(b"<cpu"))
    while attribute is not None:
        yield attribute
        attribute = _ATTRIBUTE.match(tag, attribute.end())


def _drop_attribute(tag: bytes, name: bytes) -> bytes:
    """A start tag without an attribute, and without the space before it."""
    for attribute in _attributes(tag):
        if attribute[1] == name:
            return tag[: attribute.start()] + tag[attribute.end() :]
    return tag
