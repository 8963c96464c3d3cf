"""The record: the fields of a report in JSON, schema 1. A stable interface for programs.

Every key has a form, which defines how its value is written and which values are
accepted. Reading is strict: a record comes from another machine, and an error
must be reported where it enters. Keys and names that a later version of kvmppc
has added are accepted, and kept unchanged.
"""

from __future__ import annotations

import os

from kvmppc.processors import CpuMode, find_mode, find_processor, modes_of, unknown_bits_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

    Convert = Callable[[object], object]

SCHEMA = 1
STATUSES = ("known", "hint", "unsupported", "unavailable", "error", "denied")
# Sources of a hint, and none.
_NO_GRANT = (None, "auxv", "cpuinfo", "device-tree")

# The limits of a name that a later version may add: a processor, mode, platform or revision.
_NAME_LENGTH = 40
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.+-_")


class RecordError(ValueError):
    """Not a record of schema 1. The message has the key and what was expected."""


class _Form:
    """How the value of a key is read and written. ``read`` raises ValueError or TypeError."""

    __slots__ = ("expected", "optional", "read", "write")

    def __init__(
        self, expected: str, read: Convert, write: Convert, optional: bool = False
    ) -> None:
        self.expected = expected
        self.read = read
        self.write = write
        self.optional = optional

    def or_null(self) -> _Form:
        return _Form(f"{self.expected}, or null", self.read, self.write, optional=True)


def _as_is(value: object) -> object:
    return value


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _read_size(value: object) -> int:
    number = _read_number(value)
    if number <= 0 or number & (number - 1):
        raise ValueError
    return number


def _read_time(value: object) -> str:
    # Not at the top: writing a record does not need it.
    from datetime import datetime

    text = _read_text(value)
    # Python 3.11 and later accept other forms, such as "2026-07-01T12:00+01", of this length.
    if len(text) != 20 or text[4:20:3] != "--T::Z":
        raise ValueError
    datetime.fromisoformat(text[:19])
    return text


def _read_name(value: object) -> str:
    name = _read_text(value)
    if not 0 < len(name) <= _NAME_LENGTH or not _NAME_CHARACTERS.issuperset(name):
        raise ValueError
    return name


def _read_mode(value: object) -> str:
    name = _read_name(value)
    return find_mode(name) or name


def _read_processor(value: object) -> str:
    name = _read_name(value)
    processor = find_processor(name)
    # A record has a processor's plain name. QEMU's "power10_v2.0" is not one.
    return name if processor != name else processor


def _read_modes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    modes = tuple(map(_read_mode, value))
    known = [mode for mode in modes if isinstance(mode, CpuMode)]
    # Unknown modes come from a later version, and are newer than all known ones.
    if list(modes[: len(known)]) != sorted(set(known)) or len(set(modes)) < len(modes):
        raise ValueError
    return modes


def _write_modes(value: object) -> list[str]:
    return [str(mode) for mode in value] if isinstance(value, tuple) else []


def _hexadecimal(bits: int, written: str) -> _Form:
    """Bits, in hexadecimal. As text, since JSON readers may round numbers above 2**53."""

    def read(value: object) -> int:
        text = _read_text(value)
        if not (text.startswith("0x") and text.isascii() and text.isalnum() and len(text) <= bits):
            raise ValueError
        number = int(text, 16)
        if not 0 <= number < 1 << bits:
            raise ValueError
        return number

    return _Form(f'a {bits}-bit number as text ("0x...")', read, written.__mod__)


def _one_of(*names: str) -> _Form:
    def read(value: object) -> str:
        if value not in names:
            raise ValueError
        return _read_text(value)

    return _Form("one of " + ", ".join(names), read, _as_is)


_TEXT = _Form("text", _read_text, _as_is)
_NUMBER = _Form("a whole number", _read_number, _as_is)
_NAME = _Form("a name in lower case", _read_name, str).or_null()
_MODE = _Form("the name of a mode in lower case", _read_mode, str).or_null()

_FORMS = {
    "version": _TEXT,
    "hostname": _TEXT,
    "time": _Form('a time in UTC ("2026-07-01T12:00:00Z")', _read_time, _as_is),
    "simulated": _TEXT.or_null(),
    "machine": _TEXT,
    "kernel": _TEXT,
    "platform": _NAME,
    "cpu_physical": _Form("the name of a processor in lower case", _read_processor, str).or_null(),
    "cpu_effective": _MODE,
    "pvr": _hexadecimal(32, "0x%08x").or_null(),
    "cpu_version": _hexadecimal(32, "0x%08x").or_null(),
    "mmu": _NAME,
    "page_size": _Form("a number of bytes, a power of 2", _read_size, _as_is).or_null(),
    "nested_api": _NUMBER.or_null(),
    "device": _TEXT,
    "api_version": _NUMBER.or_null(),
    "capability": _NUMBER.or_null(),
    "revision": _NAME,
    "status": _one_of(*STATUSES),
    "source": _NAME,
    "compat_capabilities": _hexadecimal(64, "0x%016x").or_null(),
    "modes": _Form("a list of modes, oldest first", _read_modes, _write_modes),
    "newest": _MODE,
    "hint": _MODE,
    "unknown_bits": _hexadecimal(64, "%#x").or_null(),
    "errno": _TEXT.or_null(),
    "reason": _TEXT,
    "remedy": _TEXT.or_null(),
}

_ADDED = ("cpu_version", "mmu", "page_size", "nested_api", "hint")

FIELDS = tuple(_FORMS)
"""The keys after ``schema``, in the order in which they are written."""


def schema_text() -> str:
    """The JSON Schema of the record, from the file beside this module. Raises OSError."""
    path = os.path.join(os.path.dirname(__file__), "record.schema.json")
    with open(path, encoding="utf-8") as file:
        return file.read()


def dump(fields: Mapping[str, object], later: Mapping[str, object]) -> dict[str, object]:
    """Converts the fields of a report to a JSON object, and adds the keys of later versions."""
    record: dict[str, object] = {"schema": SCHEMA}
    for name, form in _FORMS.items():
        value = fields[name]
        record[name] = None if value is None else form.write(value)
    record.update(later)
    return record


def load(record: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Converts a JSON object to the fields of a report, and the keys of later versions.

    The modes are derived from the mask with the table of this version. Records of versions
    that know fewer or more modes are therefore accepted.

    Raises:
        RecordError: a key is missing, a value does not have its form, values contradict
            each other, or the record has another schema.
    """
    schema = record.get("schema")
    if schema is True or schema != SCHEMA:
        raise RecordError(
            "schema is missing: this is not a record of kvmppc probe --json"
            if schema is None
            else f"schema is {_short(schema)}, expected {SCHEMA}"
        )
    record = _completed(record)
    fields = {name: _load_field(record, name, form) for name, form in _FORMS.items()}
    _check(fields)
    later = {key: value for key, value in record.items() if key not in _FORMS and key != "schema"}
    _derive(fields, later)
    return fields, later


def _completed(record: Mapping[str, object]) -> Mapping[str, object]:
    """Adds the keys that did not exist before the first release.

    Caches of Ansible facts contain such records. They have a hint in ``modes``, which has a
    key of its own now.
    """
    if any(key in record for key in _ADDED):
        return record
    completed = {**dict.fromkeys(_ADDED), **record}
    if record.get("status") == "hint":
        completed.update(hint=record.get("newest"), modes=[], newest=None)
    return completed


def load_key(record: Mapping[str, object], key: str) -> object:
    """Converts the value of one key to a field of a report. Raises RecordError."""
    return _load_field(record, key, _FORMS[key])


def _load_field(record: Mapping[str, object], name: str, form: _Form) -> object:
    if name not in record:
        raise RecordError(f"{name} is missing")
    value = record[name]
    if value is None and form.optional:
        return None
    try:
        return form.read(value)
    except (TypeError, ValueError):
        raise RecordError(f"{name} is {_short(value)}, expected {form.expected}") from None


def _short(value: object) -> str:
    try:
        text = repr(value)
    except RecursionError:
        return "nested too deeply"
    return text if len(text) <= 60 else text[:57] + "..."


def _check(fields: Mapping[str, object]) -> None:
    """Checks that the values agree with each other. Raises RecordError."""
    modes = fields["modes"] if isinstance(fields["modes"], tuple) else ()
    status, source = fields["status"], fields["source"]
    mask, unknown = fields["compat_capabilities"], fields["unknown_bits"]
    if fields["newest"] != (modes[-1] if modes else None):
        raise RecordError("newest is not the last mode in modes")
    if (source == "kvm") != (mask is not None) or (mask is None) != (unknown is None):
        raise RecordError("source, compat_capabilities and unknown_bits contradict each other")
    if (modes and status != "known") or (source == "kvm" and status != "known"):
        raise RecordError(f"status is {status}, but only a host with status known grants modes")
    if status == "known" and source in _NO_GRANT:
        raise RecordError(f"status is known, but source is {_short(source)}, which grants no mode")
    if (status == "hint") != (fields["hint"] is not None):
        raise RecordError("status and hint contradict each other")
    if isinstance(mask, int) and isinstance(unknown, int):
        _check_mask(mask, unknown, modes)


def _check_mask(mask: int, unknown: int, modes: tuple[str, ...]) -> None:
    known = [mode for mode in modes if isinstance(mode, CpuMode)]
    granted = sum(mode.bit for mode in known)
    # The remaining bits of the mask belong to the names that are not known to this version.
    rest = mask & ~granted & ~unknown
    if (granted | unknown) & ~mask or granted & unknown or bool(rest) != (len(known) < len(modes)):
        raise RecordError("modes and unknown_bits do not add up to compat_capabilities")


def _derive(fields: dict[str, object], later: dict[str, object]) -> None:
    """Replaces the modes by those of this version's table, and keeps the originals."""
    modes, mask = fields["modes"], fields["compat_capabilities"]
    named = modes if isinstance(modes, tuple) else ()
    known = tuple(mode for mode in named if isinstance(mode, CpuMode))
    if len(known) < len(named):
        later["modes"] = _write_modes(named)
        later["newest"] = named[-1]
    if isinstance(mask, int):
        known = modes_of(mask)
        if unknown_bits_of(mask) != fields["unknown_bits"] and "modes" in later:
            later["unknown_bits"] = f"{fields['unknown_bits']:#x}"
        fields["unknown_bits"] = unknown_bits_of(mask)
    fields["modes"] = known
    fields["newest"] = known[-1] if known else None
