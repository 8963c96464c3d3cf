"""The names of the hosts that a fleet should have, as people keep them."""

from __future__ import annotations

import json

from kvmppc.fleet.files import ForeignFileError, TextFile
from kvmppc.fleet.forms import inventory_names

# Characters: an inventory with the facts of a thousand hosts has half of it.
_LIMIT = 64 << 20
_FORMS = "expected a name a line, or what ansible-inventory --list prints"


class ExpectedError(ValueError):
    """These are no names of hosts; the message says where, and what was expected."""


def expected_names(path: str) -> list[str]:
    """The names in a file, or in standard input ("-").

    A name a line, with comments after #, a JSON array of names, or the inventory that
    ``ansible-inventory --list`` prints.

    Raises:
        ExpectedError: the file cannot be read, or has no names in it.
    """
    where = "<stdin>" if path == "-" else path
    file = None
    try:
        file = TextFile(path)
        text = file.text.read(_LIMIT).lstrip("\ufeff \t\r\n")
    except OSError as error:
        raise ExpectedError(f"{where}: cannot be read: {error.strerror}") from None
    except ForeignFileError as error:
        raise ExpectedError(f"{where}: {error}") from None
    finally:
        if file is not None:
            file.close()
    try:
        names = _from_json(text) if text.startswith(("{", "[")) else _from_lines(text)
    except ExpectedError as error:
        raise ExpectedError(f"{where}: {error}") from None
    if not names:
        raise ExpectedError(f"{where}: there is no name in it; {_FORMS}")
    return names


def _from_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ExpectedError(f"not JSON; {_FORMS}") from None
    names = inventory_names(value) if isinstance(value, dict) else value
    if not all(isinstance(name, str) for name in names):
        raise ExpectedError(f"not all in the array are names; {_FORMS}")
    return list(names)


def _from_lines(text: str) -> list[str]:
    names = []
    for line in text.splitlines():
        name = line.partition("#")[0].strip()
        if len(name.split()) > 1:
            raise ExpectedError(f"{name[:60]!a} is no name; {_FORMS}")
        if name:
            names.append(name)
    return names
