"""A page of HTML that needs no network and no other file.

Names and reasons come from the records of other machines. All text is escaped. The page's
Content-Security-Policy allows nothing but its own script and style, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import pkgutil
import time

from kvmppc._version import __version__
from kvmppc.output import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Characters of a text that are shown at most. A file may have a name of megabytes.
_SHOWN = 1000


def escaped(text: str) -> str:
    """Any text as HTML in ASCII, so that the page is the same in every encoding."""
    if len(text) > _SHOWN:
        text = text[: _SHOWN - 3] + "..."
    return html.escape(printable(text)).encode("ascii", "xmlcharrefreplace").decode()


def page(title: str, body: Iterable[str]) -> Iterator[str]:
    """Yields a whole page, in parts. ``body`` is HTML, with all text escaped."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )
    yield f"<main>\n<h1>{escaped(title)}</h1>\n"
    yield from body
    yield f"</main>\n<footer>kvmppc {__version__}, {now}</footer>\n"
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _asset(name: str) -> str:
    """The text of a file in this package."""
    data = pkgutil.get_data(__name__, name)
    if data is None:
        raise FileNotFoundError(name)
    return data.decode()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """The summary at the top, as HTML: pairs of a name and a sentence, both plain text."""
    inside = "".join(f"<dt>{escaped(n)}</dt><dd>{escaped(text)}</dd>\n" for n, text in pairs)
    return f'<dl class="facts">\n{inside}</dl>\n'


def search(what: str, words: Iterable[tuple[str, str]], column: str = "") -> str:
    """The form that filters the table, as HTML: by name, and by the values in ``data-is``.

    ``what`` is the noun for a row ("host"); ``words`` are values of ``data-is`` and their labels;
    ``column`` is the noun for a column, if columns can be filtered by name too.
    """
    options = "".join(f'<option value="{escaped(w)}">{escaped(n)}</option>' for w, n in words)
    fields = "".join(
        f'<label>{label.capitalize()} name contains <input type="search" name="{name}"></label>\n'
        for name, label in (("name", what), ("column", column))
        if label
    )
    return (
        f'<form hidden data-what="{what}s">\n{fields}'
        f'<label>Show <select name="is"><option value="">all {what}s</option>{options}</select>'
        "</label>\n<output></output>\n</form>\n"
    )


def cell(kind: str, word: str, columns: int = 1) -> str:
    """A cell of the table, as HTML. ``kind`` is "yes", "no" or "maybe", ``word`` its text."""
    return f'<td class="cell {kind}" colspan="{columns}"><span>{word}</span></td>'


def names(items: Iterable[str], attributes: str = "") -> Iterator[str]:
    """Yields a list of names, in parts of HTML."""
    yield f'<ul class="names"{attributes}>'
    for name in items:
        yield f"<li>{escaped(name)}</li>\n"
    yield "</ul>"
