"""Files that others read while they are written: a reader sees the old one or the new one."""

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
# A folder in which everybody may make a link, and nobody may take another's away.
_SHARED = stat.S_ISVTX | stat.S_IWOTH
_DESCRIPTOR = re.compile(r"/proc/(\d+)/(?:task/\d+/)?fd/(\d+)")


def write_file(path: str, text: str | bytes | Iterable[str], mode: int = _MODE) -> None:
    """Writes a whole file: beside it, then renamed. Keeps owner, group and permissions.

    A text can come in parts, where it is too much to be in memory at a time.

    What is no regular file, as a pipe, is written to and not replaced, and so is what the
    shell has opened (/dev/stdout, /dev/fd/3): it goes on where the shell's redirection is. A
    link stays, and the file it leads to is replaced, unless it was put by another user in a
    folder that everybody may write to.

    ``mode`` is the permissions of a new file.

    Raises:
        UsageError: the file cannot be written; nothing is left beside it.
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
        raise UsageError(f"{path}: cannot be written: {reason}") from None


def _write_parts(descriptor: int, data: Iterable[bytes]) -> None:
    for part in data:
        write_all(descriptor, part)


def _own_descriptor(path: str) -> int | None:
    """The number of this process's descriptor that a path stands for, as /dev/stdout does.

    To open such a path again would not go on where the descriptor is: what is before would be
    written over, or the file be replaced for which others have it open.
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
    """Writes a file by its path."""
    folder, name = _located(path)
    try:
        before = _status(folder, name)
        if before is None or stat.S_ISREG(before.st_mode):
            _replace(folder, name, data, before, mode)
        else:
            # What has become a link or a file meanwhile is not what was looked at.
            flags = os.O_WRONLY | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=folder)
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ValueError("it was put there just now")
                _write_parts(descriptor, data)
            finally:
                os.close(descriptor)
    finally:
        os.close(folder)


def _located(path: str) -> tuple[int, str]:
    """A descriptor of the folder that the file is in, and its name there, links followed.

    By the kernel's rule for links in shared folders (fs.protected_symlinks), which only guards
    what is opened: a file can be replaced without being opened.
    """
    for _ in range(_LINKS):
        above, name = os.path.split(path)
        folder = os.open(above or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            link = _link(folder, name)
        except BaseException:
            os.close(folder)
            raise
        if link is None:
            return folder, name
        os.close(folder)
        path = os.path.join(above, link)
    raise ValueError("there are too many links; name the file itself")


def _link(folder: int, name: str) -> str | None:
    """Where a link leads; None for what is none. Raises ValueError for one not to follow."""
    if name in ("", ".", ".."):
        raise ValueError("this is a folder; name a file")
    entry = _status(folder, name)
    if entry is None or not stat.S_ISLNK(entry.st_mode):
        return None
    around = os.fstat(folder)
    shared = around.st_mode & _SHARED == _SHARED
    if shared and entry.st_uid not in (os.geteuid(), around.st_uid):
        raise ValueError("it is a link that another user has put there; name the file itself")
    return os.readlink(name, dir_fd=folder)


def _status(folder: int, name: str) -> os.stat_result | None:
    """What is in a folder by a name, None where nothing is."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _replace(
    folder: int, name: str, data: Iterable[bytes], before: os.stat_result | None, mode: int
) -> None:
    # The dot hides it from those who read all that is in a folder.
    beside = f".kvmppc-{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _uninterrupted():
        descriptor = os.open(beside, flags, 0o600, dir_fd=folder)
        try:
            try:
                _write_parts(descriptor, data)
                _make_alike(descriptor, before, mode)
                # Renamed before it is on the disk, it could be empty after a crash.
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise


def _make_alike(descriptor: int, before: os.stat_result | None, mode: int) -> None:
    """Gives a new file the owner, the group and the permissions of the one before."""
    if before is not None:
        ours = os.fstat(descriptor)
        if (ours.st_uid, ours.st_gid) != (before.st_uid, before.st_gid):
            try:
                os.fchown(descriptor, before.st_uid, before.st_gid)
            except OSError as error:
                raise ValueError(
                    "its owner and group cannot be kept "
                    f"({error.strerror}); remove it first, or write as its owner"
                ) from None
        # A file of another content is no program to run as its owner.
        mode = before.st_mode & 0o777
    os.fchmod(descriptor, mode)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Puts off signals that end a process, so that no file is left beside."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
