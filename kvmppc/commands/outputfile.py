"""Replaces files atomically: a reader sees the old contents or the new ones, never a part."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat

from kvmppc.commands import UsageError
from kvmppc.streams import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Readers run as other users: node_exporter, Ansible.
_MODE = 0o644
# As many links as the kernel follows (MAXSYMLINKS).
_LINKS = 40
# A directory in which any user may create a link, and none may remove another's (sticky).
_SHARED = stat.S_ISVTX | stat.S_IWOTH
# To find names in a directory. Only Linux can open one that may not be read.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_DESCRIPTOR = re.compile(r"/proc/(\d+)/(?:task/\d+/)?fd/(\d+)")


def write_file(path: str, text: str | bytes | Iterable[str], mode: int = _MODE) -> None:
    """Replaces a file: writes a temporary one beside it and renames that.

    Keeps owner, group and permissions. Anything but a regular file, such as a pipe, is written
    to and not replaced. So is a descriptor that the shell has opened (/dev/stdout, /dev/fd/3):
    the text is appended at its position. A symbolic link stays and its target is replaced,
    except for another user's link in a directory that all users may write to.

    Args:
        path: the file.
        text: its contents; in parts if they are too large for memory.
        mode: the permissions of a new file.

    Raises:
        UsageError: the file cannot be written; no temporary file is left.
    """
    if isinstance(text, bytes):
        data: Iterable[bytes] = [text]
    else:
        parts = [text] if isinstance(text, str) else text
        data = (part.encode("utf-8", "backslashreplace") for part in parts)
    try:
        descriptor = _own_descriptor(path)
        if descriptor is None:
            _write_path(path, data, mode)
        else:
            _write_parts(descriptor, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write {path}: {reason}") from None


def _write_parts(descriptor: int, data: Iterable[bytes]) -> None:
    for part in data:
        write_all(descriptor, part)


def _own_descriptor(path: str) -> int | None:
    """The descriptor of this process that a path such as /dev/stdout refers to, or None.

    Opening such a path again would not continue at the descriptor's position: it would
    overwrite what is there, or replace a file that other processes have open.
    """
    for _ in range(_LINKS):
        folder, name = os.path.split(path)
        path = os.path.join(os.path.realpath(folder), name)
        found = _DESCRIPTOR.fullmatch(path)
        if found is not None:
            return int(found[2]) if int(found[1]) == os.getpid() else None
        try:
            path = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:
            return None
    return None


def _write_path(path: str, data: Iterable[bytes], mode: int) -> None:
    """Writes a file that is not a descriptor of this process."""
    folder, name = _located(path)
    try:
        before = _status(folder, name)
        if before is None or stat.S_ISREG(before.st_mode):
            _replace(folder, name, data, before, mode)
        else:
            # If it has become a link or a regular file since the check, it must not be opened.
            flags = os.O_WRONLY | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=folder)
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ValueError("the file was created just now; try again")
                _write_parts(descriptor, data)
            finally:
                os.close(descriptor)
    finally:
        _close(folder)


def _close(folder: int) -> None:
    """Closes a directory. It holds nothing to write, so that a failure changes no file."""
    with contextlib.suppress(OSError):
        os.close(folder)


def _located(path: str) -> tuple[int, str]:
    """Returns a descriptor of the file's directory, and its name there; follows links.

    Applies the kernel's rule for links in sticky directories (fs.protected_symlinks), which
    the kernel itself applies on open only: a file can be replaced without opening it.
    """
    for _ in range(_LINKS):
        above, name = os.path.split(path)
        folder = os.open(above or ".", _FOLDER)
        try:
            link = _link(folder, name)
        except BaseException:
            _close(folder)
            raise
        if link is None:
            return folder, name
        _close(folder)
        path = os.path.join(above, link)
    raise ValueError("too many levels of symbolic links; give the path of the file itself")


def _link(folder: int, name: str) -> str | None:
    """The target of a link, None if it is not a link. Raises ValueError for an unsafe link."""
    if name in ("", ".", ".."):
        raise ValueError("is a directory; give the path of a file")
    entry = _status(folder, name)
    if entry is None or not stat.S_ISLNK(entry.st_mode):
        return None
    around = os.fstat(folder)
    shared = around.st_mode & _SHARED == _SHARED
    if shared and entry.st_uid not in (os.geteuid(), around.st_uid):
        raise ValueError("a symbolic link of another user; give the path of the file itself")
    return os.readlink(name, dir_fd=folder)


def _status(folder: int, name: str) -> os.stat_result | None:
    """The status of a name in a directory, None if it does not exist."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _replace(
    folder: int, name: str, data: Iterable[bytes], before: os.stat_result | None, mode: int
) -> None:
    # The dot hides it from programs that read all files of a directory.
    beside = f".kvmppc-{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _uninterrupted():
        descriptor = os.open(beside, flags, 0o600, dir_fd=folder)
        try:
            try:
                _write_parts(descriptor, data)
                _make_alike(descriptor, before, mode)
                # Without this, the renamed file could be empty after a crash.
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise


def _make_alike(descriptor: int, before: os.stat_result | None, mode: int) -> None:
    """Gives the new file the owner, group and permissions of the old one."""
    if before is not None:
        ours = os.fstat(descriptor)
        if (ours.st_uid, ours.st_gid) != (before.st_uid, before.st_gid):
            try:
                os.fchown(descriptor, before.st_uid, before.st_gid)
            except OSError as error:
                raise ValueError(
                    f"cannot keep its owner and group ({error.strerror}); "
                    "remove it first, or run kvmppc as its owner"
                ) from None
        # New contents do not inherit set-user-ID or set-group-ID.
        mode = before.st_mode & 0o777
    os.fchmod(descriptor, mode)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Blocks signals, so that none ends the process and leaves the temporary file."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
