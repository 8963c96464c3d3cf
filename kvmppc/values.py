"""Immutable values: the base classes of what kvmppc returns."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TypeVar

    _T = TypeVar("_T")


class Frozen:
    """Attributes are set once, by :func:`fill`, and can neither be set nor deleted afterwards."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be deleted")


class Value(Frozen):
    """A value made of its class's slots: equal if they are, hashable, can be copied and pickled."""

    __slots__ = ()

    def _fields(self) -> dict[str, object]:
        """The attributes by name, in an order that is the same for all values of a class."""
        slots: tuple[str, ...] = type(self).__slots__
        return {name: getattr(self, name) for name in slots}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(tuple(self._fields().values()))

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self._fields())


def fill(value: _T, **fields: object) -> _T:
    """Sets the attributes of a new value, and returns it."""
    for name, field in fields.items():
        object.__setattr__(value, name, field)
    return value


def _restore(kind: type[_T], fields: dict[str, object]) -> _T:
    return fill(kind.__new__(kind), **fields)
