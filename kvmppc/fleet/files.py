"""Files to read: finding them, decompressing them, and detecting their encoding."""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import stat

from kvmppc.streams import standard_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, TextIO

_HEAD = 512
_BUFFER = 1 << 18

# The first bytes, the name, and the modules that can decompress it: the first available one counts.
_PACKED = (
    (b"\x1f\x8b", "gzip", ("gzip",)),
    (b"\xfd7zXZ\0", "xz", ("lzma",)),
    (b"BZh", "bzip2", ("bz2",)),
    (b"\x28\xb5\x2f\xfd", "zstd", ("compression.zstd", "backports.zstd")),
)
# Offset and bytes that identify a file, what it is, and what to do with it.
_FOREIGN = (
    (257, b"ustar", "a tar file", "unpack it and give the directory"),
    (0, b"PK\x03\x04", "a zip file", "unpack it and give the directory"),
    (0, b"7z\xbc\xaf'\x1c", "a 7z file", "unpack it and give the directory"),
    (0, b"\x7fELF", "a program", "give its output"),
    (0, b"SQLite format 3\0", "an SQLite database", "export the records as JSON"),
)


class ForeignFileError(Exception):
    """A file does not contain records; the message says what it is, and what to do."""


def files_in(folder: str) -> Iterator[str | OSError]:
    """Yields the files in a directory and its subdirectories, sorted by name.

    Names that begin with a dot, links to directories, and special files are skipped. For a
    directory that cannot be read the error is yielded, with its path as ``filename``.
    """
    # No recursion: directories may be nested deeper than Python's stack.
    left = [folder]
    while left:
        path = left.pop()
        try:
            mode = os.stat(path).st_mode
        except OSError:
            mode = stat.S_IFREG  # a dangling link, for example; opening it reports the error
        if not stat.S_ISDIR(mode):
            # Opening a pipe would block until there is a writer.
            if stat.S_ISREG(mode):
                yield path
            continue
        if path is not folder and os.path.islink(path):
            continue
        try:
            names = sorted(os.listdir(path), reverse=True)
        except OSError as error:
            yield error
            continue
        left += [os.path.join(path, name) for name in names if not name.startswith(".")]


class TextFile:
    """A file or standard input ("-") as text: decompressed, in any encoding of Unicode.

    Bytes that are not valid UTF-8 become lone surrogates, so that no host is lost for a letter in
    a message.

    Attributes:
        text: the text, to be read.

    Raises:
        OSError: the file cannot be opened. Reading raises it too, also for damaged compressed
            data.
        ForeignFileError: the file is not text, or this Python cannot decompress it.
    """

    def __init__(self, path: str) -> None:
        self._file = standard_input() if path == "-" else open(path, "rb", buffering=_BUFFER)  # noqa: SIM115 - closed by close()
        self._owned = path != "-"
        try:
            self.text: TextIO = _text(self._file)
        except BaseException:
            self.close()
            raise

    @property
    def bytes_read(self) -> int:
        """The number of bytes of the file that were read; 0 for a pipe."""
        try:
            return self._file.tell()
        except OSError:
            return 0

    def close(self) -> None:
        """Closes the file; not standard input."""
        if self._owned:
            self._file.close()


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    """The text of a file, in the form that its first bytes indicate."""
    head = file.read(_HEAD)
    stream = _Stream(head, file)
    for magic, name, modules in _PACKED:
        if head.startswith(magic):
            unpacking = _unpacking(io.BufferedReader(stream), name, modules)
            stream = _Stream(b"", unpacking, name)
            head = stream.read(_HEAD) or b""
            stream = _Stream(head, unpacking, name)
            break
    for offset, magic, name, remedy in _FOREIGN:
        if head.startswith(magic, offset):
            raise ForeignFileError(f"this is {name}, not records; {remedy}")
    encoding = _encoding(head)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    return io.TextIOWrapper(io.BufferedReader(stream, _BUFFER), encoding, errors, newline="\n")


def _encoding(head: bytes) -> str:
    """The encoding of a file with this beginning; UTF-8 where another makes no sense."""
    encoding = json.detect_encoding(head)
    text = head.decode(encoding, "ignore")
    # A file may begin with garbage, or with other text than JSON.
    makes_sense = '"' in text or 2 * sum(" " <= letter <= "~" for letter in text) > len(text)
    return encoding if makes_sense or encoding == "utf-8-sig" else "utf-8"


def _unpacking(file: IO[bytes], name: str, modules: tuple[str, ...]) -> IO[bytes]:
    """Decompresses a file. Raises ForeignFileError if this Python cannot."""
    for module in modules:
        try:
            unpacked: IO[bytes] = importlib.import_module(module).open(file)
        except ImportError:
            continue
        return unpacked
    raise ForeignFileError(
        f"compressed with {name}, which this Python cannot decompress; decompress it first"
    )


class _Stream(io.RawIOBase):
    """A file from its beginning, after its first bytes were already read."""

    def __init__(self, head: bytes, file: IO[bytes], packed: str = "") -> None:
        self._head = head
        self._file = file
        self._packed = packed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._head[: len(buffer)]
        self._head = self._head[len(data) :]
        if not data:
            data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        if not self._packed:
            return self._file.read(size)
        try:
            return self._file.read(size)
        except Exception as error:  # zlib, lzma and zstd each have exceptions of their own
            message = f"the {self._packed} data is damaged ({error})"
            raise OSError(errno.EIO, message) from None
