"""The names of the hosts that a fleet should have, from the forms in which people keep them."""

from __future__ import annotations

import json

from kvmppc.fleet.files import ForeignFileError, TextFile
from kvmppc.fleet.forms import inventory_names

# Characters; an inventory with the facts of a thousand hosts has half of this.
_LIMIT = 64 << 20
_FORMS = "expected one name per line, or the output of ansible-inventory --list"


class ExpectedError(ValueError):
    """The file has no valid host names; the message says where, and what was expected."""


def expected_names(path: str) -> list[str]:
    """Returns the names in a file, or in standard input ("-").

    The forms are one name per line with comments after #, a JSON array of names, and the output
    of ``ansible-inventory --list``.

    Raises:
        ExpectedError: the file cannot be read, or contains no names or other things.
    """
    where = "<stdin>" if path == "-" else path
    file = None
    try:
        file = TextFile(path)
        text = file.text.read(_LIMIT + 1)
    except OSError as error:
        raise ExpectedError(f"{where}: cannot be read: {error.strerror}") from None
    except ForeignFileError as error:
        raise ExpectedError(f"{where}: {error}") from None
    finally:
        if file is not None:
            file.close()
    if len(text) > _LIMIT:
        raise ExpectedError(f"{where}: longer than {_LIMIT:,} characters; give one name per line")
    text = text.lstrip("\ufeff \t\r\n")
    try:
        names = _from_json(text) if text.startswith(("{", "[")) else _from_lines(text)
    except ExpectedError as error:
        raise ExpectedError(f"{where}: {error}") from None
    if not names:
        raise ExpectedError(f"{where}: no host names found; {_FORMS}")
    return names


def _from_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ExpectedError(f"not JSON; {_FORMS}") from None
    names = inventory_names(value) if isinstance(value, dict) else value
    if not all(isinstance(name, str) for name in names):
        raise ExpectedError(f"the array has values that are not names; {_FORMS}")
    return list(names)


def _from_lines(text: str) -> list[str]:
    names = []
    for line in text.splitlines():
        name = line.partition("#")[0].strip()
        if len(name.split()) > 1:
            raise ExpectedError(f"{name[:60]!a} is not a host name; {_FORMS}")
        if name:
            names.append(name)
    return names
