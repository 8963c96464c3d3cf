"""Reads hosts from files: records, and what Ansible, pdsh and scripts write without a record.

No host is lost: data that is not a valid record counts as a host without an answer, under the
best available name, and is reported with file and line.
"""

from __future__ import annotations

import itertools
import os
import re

from kvmppc.fleet.documents import documents
from kvmppc.fleet.files import ForeignFileError, TextFile, files_in
from kvmppc.fleet.forms import Forms, Found, is_ansible, unreadable
from kvmppc.fleet.lines import EXPECTED, Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

    from kvmppc.fleet.documents import Document
    from kvmppc.fleet.hosts import Answer

    # Name, answer, and where the answer was read.
    NamedAnswer = tuple[str, Answer, str]

# For a truncated object.
_HOSTNAME = re.compile(r'"(?:inventory_)?hostname"\s*:\s*"([^"\\]{1,255})"')
# What follows the host name in the file names of a directory of records.
_SUFFIX = re.compile(r"(\.json)?(\.gz|\.xz|\.bz2|\.zst)?$")
# ansible-core 2.19 and later put a schema version before the file name of a cached host.
_SCHEMA = re.compile(r"^s\d+_")


class RecordReader:
    """Reads hosts, and reports data that is not a valid record.

    Args:
        complain: called with each complaint: "hosts.jsonl:7: newest is missing".

    Attributes:
        complaints: the number of complaints.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        self.complaints: int = 0
        self._complain = complain
        self._forms = Forms()
        self._finished = 0
        self._file: TextFile | None = None

    @property
    def bytes_read(self) -> int:
        """The number of bytes of files that were read so far; pipes are not counted."""
        return self._finished + (0 if self._file is None else self._file.bytes_read)

    def read(self, path: str) -> Iterator[NamedAnswer]:
        """Reads a file, a directory with its subdirectories, or standard input ("-").

        Yields name, answer and place. The files of a directory come sorted by name. Names that
        begin with a dot, links to directories, and special files are skipped.
        """
        if path == "-" or not os.path.isdir(path):
            yield from self._read_path(path)
            return
        empty = True
        for file in files_in(path):
            empty = False
            if isinstance(file, str):
                yield from self._read_path(file)
            else:
                self._bad(os.fsdecode(file.filename), f"cannot be read: {file.strerror}")
        if empty:
            self._bad(path, "no files in this directory; expected files with records")

    def _bad(self, where: str, message: str) -> None:
        self.complaints += 1
        self._complain(f"{where}: {message}")

    def _read_path(self, path: str) -> Iterator[NamedAnswer]:
        """Reads one file. If it has no host at all, it counts as one under the name of the file."""
        place = "<stdin>" if path == "-" else path
        empty = True
        wrong = ""
        try:
            self._file = TextFile(path)
            lines = Lines(lambda line, wrong: self._bad(f"{place}:{line}", wrong))
            for host in self._read_documents(documents(self._file.text), path, lines):
                empty = False
                yield host
            wrong = lines.wrong(empty)
        except FileNotFoundError as error:
            self._bad(place, f"cannot be read: {error.strerror}")
            return
        except OSError as error:
            wrong = f"cannot be read: {error.strerror}"
        except ForeignFileError as error:
            wrong = str(error)
        finally:
            if self._file is not None:
                self._finished = self.bytes_read
                self._file.close()
                self._file = None
        if wrong or empty:
            wrong = wrong or f"no records in it; {EXPECTED}"
            self._bad(place, wrong)
        if empty and path != "-":
            yield _name_of(path), unreadable(wrong), place

    def _read_documents(
        self, found: Iterator[Document], path: str, lines: Lines
    ) -> Iterator[NamedAnswer]:
        place = "<stdin>" if path == "-" else path
        first = list(itertools.islice(found, 2))
        # A file with one object is often named after the host.
        called = _name_of(path) if len(first) == 1 and path != "-" else None
        for document in itertools.chain(first, found):
            where = f"{place}:{document.line}"
            names: list[str] | None = []
            if document.before or lines.waiting:
                names, lost = lines.take(document)
                for other, answer in lost:
                    yield other, answer, where
            if document.text and names is not None:
                first_name = names[0] if names else None
                for one in self._hosts(document, first_name, called):
                    if one.wrong:
                        self._bad(where, one.wrong)
                    alike = names if one.name == first_name else []
                    for name in alike or [where if one.name is None else one.name]:
                        yield name, one.answer, where
        for other, answer in lines.ended():
            yield other, answer, place

    def _hosts(self, document: Document, name: str | None, called: str | None) -> Iterator[Found]:
        """The hosts of an object; ``name`` is before it, ``called`` is the name of the file."""
        value = document.value
        if value is None:
            hostname = _HOSTNAME.search(document.text)
            name = name or (hostname[1] if hostname else called)
            yield Found(name, unreadable(document.error), document.error)
            return
        if name is None and called is not None and is_ansible(value) and "hostname" not in value:
            name = _SCHEMA.sub("", called) if "__payload__" in value else called
        for one in self._forms.read(value, name):
            one.name = called if one.name is None else one.name
            yield one


def _name_of(path: str) -> str:
    """The name of the host of a file, by the name of the file."""
    return _SUFFIX.sub("", os.path.basename(path)) or path
