"""Records from files, one at a time: single ones, JSON lines, arrays, Ansible's facts.

What is no record is told, with the file and the line, and the rest is still read.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
from functools import partial

from kvmppc.fleet.forms import Records
from kvmppc.record import RecordError
from kvmppc.streams import standard_input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import IO, Callable

    from kvmppc.fleet.hosts import Answer

    # Name, answer, and where that was read.
    Found = tuple[str, Answer, str]

LIMIT = 16 << 20
"""As many bytes a line, or an indented JSON document, may have. It is held in memory as a whole."""

_BUFFER = 1 << 18
_CLOSERS = {b"{": b"}", b"[": b"]"}


class RecordReader:
    """Reads records, and complains of what is none.

    Args:
        complain: is called with a line for people: "hosts.jsonl:7: newest is missing".

    Attributes:
        complaints: how many there were.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        self.complaints = 0
        self._complain = complain
        self._records = Records()
        self._finished = 0
        self._file: IO[bytes] | None = None

    @property
    def bytes_read(self) -> int:
        """How many bytes of files were read so far; what came through a pipe is not counted."""
        try:
            return self._finished + (0 if self._file is None else self._file.tell())
        except OSError:
            return self._finished

    def read(self, path: str) -> Iterator[Found]:
        """Reads a file, a folder with all that is in it, or standard input ("-").

        Yields hostname, answer and place. A folder's files come in the order of their names,
        folders inside it too. Names that begin with a dot, links to folders, and what is neither
        file nor folder are passed over.
        """
        if path == "-" or not os.path.isdir(path):
            yield from self._read_path(path)
            return
        empty = True
        before = self.complaints
        for file in self._files(path):
            empty = False
            yield from self._read_path(file)
        if empty and self.complaints == before:
            self._bad(path, "there is no file in this folder; expected files with records")

    def _bad(self, where: str, message: str) -> None:
        self.complaints += 1
        self._complain(f"{where}: {message}")

    def _files(self, folder: str) -> Iterator[str]:
        # A list of what is left, and no recursion: folders go deeper than Python's stack.
        left = [folder]
        while left:
            path = left.pop()
            try:
                mode = os.stat(path).st_mode
            except OSError:
                mode = stat.S_IFREG  # a link to nothing, say; opening it tells what is wrong
            if not stat.S_ISDIR(mode):
                # Opening a pipe would wait for a writer.
                if stat.S_ISREG(mode):
                    yield path
                continue
            if path is not folder and os.path.islink(path):
                continue
            try:
                names = sorted(os.listdir(path), reverse=True)
            except OSError as error:
                self._bad(path, f"cannot be read: {error.strerror}")
                continue
            left += [os.path.join(path, name) for name in names if not name.startswith(".")]

    def _read_path(self, path: str) -> Iterator[Found]:
        name = "<stdin>" if path == "-" else path
        try:
            with _opened(path) as file:
                self._file = file
                yield from self._read_file(file, name)
                self._finished = self.bytes_read
        except OSError as error:
            self._bad(name, f"cannot be read: {error.strerror}")
        finally:
            self._file = None

    def _read_file(self, file: IO[bytes], name: str) -> Iterator[Found]:
        """One file."""
        documents = _Documents()
        empty = True
        for number, line in _lines(file):
            for first, text in documents.feed(number, line):
                yield from self._read_document(name, first, text)
            if empty:
                empty = line.isspace()
        for first, text in documents.end():
            yield from self._read_document(name, first, text)
        if empty:
            self._bad(name, "nothing is in it; expected a record of kvmppc probe --json")

    def _read_document(self, name: str, first: int, text: bytes) -> Iterator[Found]:
        """One JSON document that begins in line ``first``: a record, or an array of them."""
        try:
            value = _parse(first, text)
        except _NotJsonError as error:
            self._bad(f"{name}:{error.line}", str(error))
            # A line that was cut off looks like the begin of an indented document.
            for number, line in enumerate(io.BytesIO(text), first):
                line = line.rstrip(b", \r\n")
                if number > first and line.startswith(b"{") and line.endswith(b"}"):
                    yield from self._read_document(name, number, line)
            return
        many = isinstance(value, list)
        items: list[object] = value if isinstance(value, list) else [value]
        if not items:
            self._bad(f"{name}:{first}", "the array is empty; expected records in it")
        for position, item in enumerate(items, 1):
            try:
                hostname, answer = self._record(item)
            except RecordError as error:
                self._bad(f"{name}:{first}", f"record {position}: {error}" if many else str(error))
                continue
            yield hostname, answer, f"{name}:{first}"

    def _record(self, item: object) -> tuple[str, Answer]:
        """Hostname and answer of a record, or of the facts that Ansible has of a host."""
        if not isinstance(item, dict):
            raise RecordError("not an object; expected a record of kvmppc probe --json")
        if "schema" in item or not any(name.startswith(_ANSIBLE) for name in item):
            return self._records.read(item)
        hostname, answer = self._records.read(_local_fact(item))
        # An inventory has a name for each host; machines may all be called localhost.
        name = item.get("inventory_hostname")
        return name if isinstance(name, str) else hostname, answer


def _opened(path: str) -> AbstractContextManager[IO[bytes]]:
    """A file to read, or standard input, which is not ours to close."""
    if path != "-":
        return open(path, "rb", buffering=_BUFFER)
    return contextlib.nullcontext(standard_input())


class _NotJsonError(ValueError):
    """This is not JSON; the message says what was expected, ``line`` where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """A file's lines and their numbers. Of one that is too long, no more than its begin."""
    number = 1
    for line in iter(partial(file.readline, LIMIT), b""):
        yield number, line
        number += 1
        if len(line) == LIMIT:
            while line and not line.endswith(b"\n"):
                line = file.readline(LIMIT)


class _Documents:
    """Puts lines together to JSON documents: one line each, or many, as people indent them."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._first = 0
        self._closer = b""

    @property
    def open(self) -> bool:
        """Whether a document has begun and has not ended."""
        return bool(self._text)

    def feed(self, number: int, line: bytes) -> Iterator[tuple[int, bytes]]:
        """Takes a line. Yields what ends with it: the number of its first line, and its text."""
        # A record begins where one was not at its end: the one before was cut off.
        if self._text and self._closer == b"}" and line.startswith(b"{"):
            yield from self.end()
        if self._text:
            self._text += line
            if line.startswith(self._closer) or len(self._text) >= LIMIT:
                yield from self.end()
            return
        text = line.strip()
        closer = _CLOSERS.get(text[:1])
        if closer is None or text.endswith(closer) or len(line) == LIMIT:
            if text:
                yield number, line
            return
        self._text += line
        self._first = number
        self._closer = closer

    def end(self) -> Iterator[tuple[int, bytes]]:
        """Yields what is left, as where a file ends."""
        if self._text:
            text = bytes(self._text)
            self._text.clear()
            yield self._first, text


def _parse(first: int, text: bytes) -> object:
    """Reads the JSON of a document. Raises _NotJsonError."""
    expected = "expected a record of kvmppc probe --json"
    if len(text) >= LIMIT:
        raise _NotJsonError(
            first, f"longer than {LIMIT >> 20} MiB; expected a record a line (jq -c '.[]')"
        )
    try:
        return json.loads(text.decode())
    except UnicodeDecodeError as error:
        line = first + error.object.count(b"\n", 0, error.start)
        raise _NotJsonError(line, f"not text in UTF-8; {expected}") from None
    except json.JSONDecodeError as error:
        message = f"not JSON ({error.msg}, column {error.colno}); {expected}"
        raise _NotJsonError(first + error.lineno - 1, message) from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, or brackets in brackets without end.
        raise _NotJsonError(first, f"JSON beyond what Python reads; {expected}") from None


_ANSIBLE = ("ansible_", "inventory_hostname", "__payload__")


def _local_fact(item: Mapping[str, object]) -> Mapping[str, object]:
    """The record in Ansible's facts, in whichever of its wrappings they are.

    Facts are bare (hostvars, and the jsonfile cache up to ansible-core 2.18), text inside
    of ``__payload__`` (that cache from 2.19 on), or under ``ansible_facts`` (what the setup
    module returns, and --tree writes).
    """
    facts: object = item
    payload = item.get("__payload__")
    if isinstance(payload, str):
        with contextlib.suppress(ValueError, RecursionError):
            facts = json.loads(payload)
    for name in ("ansible_facts", "ansible_local", "kvmppc"):
        if isinstance(facts, dict) and (name in facts or name != "ansible_facts"):
            facts = facts.get(name)
    if isinstance(facts, dict):
        return facts
    host = item.get("inventory_hostname")
    whose = f"Ansible's facts of {host}" if isinstance(host, str) else "Ansible's facts"
    # Where the program failed, Ansible has text in its place that says so.
    have = f"have {facts!r:.200} as" if isinstance(facts, str) else "have no"
    raise RecordError(
        f"{whose} {have} ansible_local.kvmppc; "
        "expected the record that /etc/ansible/facts.d/kvmppc.fact prints"
    )
