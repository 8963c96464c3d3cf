"""The record: a report's fields as JSON has them, schema 1. Programs depend on it.

Every key has a form that says how its value is written and what is accepted
when it is read. Reading is strict: a record comes from another machine, and a
wrong value must be named where it enters.
"""

from __future__ import annotations

import time

from kvmppc.caps import REVISIONS, Revision
from kvmppc.processors import GRANTABLE, PROCESSORS, CpuMode, Processor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Callable

    Convert = Callable[[object], object]

SCHEMA = 1


class RecordError(ValueError):
    """This is not a record of schema 1; the message says where, and what was expected."""


class _Form:
    """How one key's value is read and written; read raises ValueError or TypeError."""

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


def _read_time(value: object) -> str:
    text = _read_text(value)
    time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    if len(text) != len("2026-07-01T12:00:00Z") or not text.isascii():
        raise ValueError
    return text


def _read_mode(value: object) -> CpuMode:
    mode = CpuMode(_read_text(value))
    if mode != value:
        raise ValueError
    return mode


def _read_processor(value: object) -> Processor:
    processor = Processor(_read_text(value))
    if processor != value:
        raise ValueError
    return processor


def _read_revision(value: object) -> Revision:
    return Revision(_read_text(value))


def _read_modes(value: object) -> tuple[CpuMode, ...]:
    if not isinstance(value, list):
        raise TypeError
    modes = tuple(map(_read_mode, value))
    if any(older >= newer for older, newer in zip(modes, modes[1:])):
        raise ValueError
    return modes


def _write_modes(value: object) -> list[str]:
    return [str(mode) for mode in value] if isinstance(value, tuple) else []


def _hexadecimal(bits: int, written: str) -> _Form:
    """Bits, as people read them; as text, since JSON readers lose what is over 2**53."""

    def read(value: object) -> int:
        text = _read_text(value)
        number = int(text, 16)
        if not text.startswith("0x") or "_" in text or not 0 <= number < 1 << bits:
            raise ValueError
        return number

    return _Form(f'a number of {bits} bits as text ("0x...")', read, written.__mod__)


def _one_of(*names: str) -> _Form:
    def read(value: object) -> str:
        if value not in names:
            raise ValueError
        return _read_text(value)

    return _Form("one of " + ", ".join(names), read, _as_is)


_TEXT = _Form("text", _read_text, _as_is)
_NUMBER = _Form("a whole number", _read_number, _as_is)
_MODE = _Form("one of " + ", ".join(GRANTABLE), _read_mode, str).or_null()
_MODES = _Form("a list of modes, oldest first", _read_modes, _write_modes)

_FORMS = {
    "version": _TEXT,
    "hostname": _TEXT,
    "time": _Form('a time in UTC ("2026-07-01T12:00:00Z")', _read_time, _as_is),
    "simulated": _TEXT.or_null(),
    "machine": _TEXT,
    "kernel": _TEXT,
    "platform": _one_of("powervm", "kvm", "powernv").or_null(),
    "cpu_physical": _Form("one of " + ", ".join(PROCESSORS), _read_processor, str).or_null(),
    "cpu_effective": _MODE,
    "pvr": _hexadecimal(32, "0x%08x").or_null(),
    "device": _TEXT,
    "api_version": _NUMBER.or_null(),
    "capability": _NUMBER.or_null(),
    "revision": _Form(" or ".join(REVISIONS), _read_revision, str).or_null(),
    "status": _one_of("known", "hint", "unsupported", "unavailable", "error", "denied"),
    "source": _one_of("kvm", "device-tree").or_null(),
    "compat_capabilities": _hexadecimal(64, "0x%016x").or_null(),
    "modes": _MODES,
    "newest": _MODE,
    "unknown_bits": _hexadecimal(64, "%#x").or_null(),
    "errno": _TEXT.or_null(),
    "reason": _TEXT,
    "remedy": _TEXT.or_null(),
}

FIELDS = tuple(_FORMS)
"""The keys after ``schema``, in the order they are written."""


def dump(fields: Mapping[str, object]) -> dict[str, object]:
    """Turns a report's fields into what JSON has."""
    record: dict[str, object] = {"schema": SCHEMA}
    for name, form in _FORMS.items():
        value = fields[name]
        record[name] = None if value is None else form.write(value)
    return record


def load(record: Mapping[str, object]) -> dict[str, object]:
    """Turns what JSON has into a report's fields; keys that are not known are passed over.

    Raises:
        RecordError: a key is missing or its value is not of its form, the values
            contradict each other, or the schema is another one.
    """
    schema = record.get("schema")
    if schema is True or schema != SCHEMA:
        raise RecordError(
            "schema is missing: this is no record of kvmppc probe --json"
            if schema is None
            else f"schema is {_short(schema)}, and this version reads {SCHEMA}"
        )
    fields = {name: _load_field(record, name, form) for name, form in _FORMS.items()}
    _check(fields)
    return fields


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
        return "nested too deep"
    return text if len(text) <= 60 else text[:57] + "..."


def _check(fields: Mapping[str, object]) -> None:
    """What one record says twice must agree.

    The modes are not derived from the mask again: a record made by a version that
    knew fewer modes is right, and has the other bits among the unknown.
    """
    modes = fields["modes"] if isinstance(fields["modes"], tuple) else ()
    mask = fields["compat_capabilities"]
    unknown = fields["unknown_bits"]
    if fields["newest"] is not (modes[-1] if modes else None):
        raise RecordError("newest is not the last of modes")
    if (fields["status"] == "known") != (mask is not None) or (mask is None) != (unknown is None):
        raise RecordError("status, compat_capabilities and unknown_bits do not fit each other")
    if isinstance(mask, int) and isinstance(unknown, int):
        _check_mask(mask, unknown, modes)


def _check_mask(mask: int, unknown: int, modes: Iterable[CpuMode]) -> None:
    granted = sum(mode.bit for mode in modes)
    if granted & unknown or granted | unknown != mask:
        raise RecordError("modes and unknown_bits together are not compat_capabilities")
