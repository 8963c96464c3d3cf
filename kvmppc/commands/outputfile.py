"""Files that others read while they are written: a reader sees the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile

from kvmppc.commands import UsageError
from kvmppc.output import printable

# Readers run as other users: node_exporter, Ansible.
_MODE = 0o644


def write_file(path: str, text: str) -> None:
    """Writes a whole file: beside it, then renamed. Keeps the permissions of the one before.

    What is no regular file, as /dev/stdout or a pipe, is written to and not replaced; a
    link stays, and the file it leads to is replaced.

    Raises:
        UsageError: the file cannot be written; nothing is left beside it.
    """
    data = text.encode("utf-8", "backslashreplace")
    try:
        mode = _mode(path)
        if mode is None:
            with open(path, "wb", buffering=0) as file:
                file.write(data)
        else:
            _replace(os.path.realpath(path), data, mode)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(printable(f"{path}: cannot be written: {reason}")) from None


def _mode(path: str) -> int | None:
    """The permissions the file is to have, None where it is not one that can be replaced."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _MODE
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None


def _replace(path: str, data: bytes, mode: int) -> None:
    # The dot hides it from those who read all that is in a folder.
    descriptor, beside = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".kvmppc-")
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(descriptor, mode)
            file.flush()
            # Renamed before it is on the disk, it could be empty after a crash.
            os.fsync(descriptor)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
