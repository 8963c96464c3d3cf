"""One page of HTML that needs nothing else: no network, no file beside it.

Names and reasons come from other machines' records. All text is escaped, and the page's own
policy (Content-Security-Policy) lets a browser run and load nothing but the script and the style
that are in it, which it names by their hashes.
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

# Characters of a text that are shown: a file may have a name of megabytes.
_SHOWN = 1000


def escaped(text: str) -> str:
    """A text from anywhere as HTML has it, in ASCII: the page is the same in every encoding."""
    if len(text) > _SHOWN:
        text = text[: _SHOWN - 3] + "..."
    return html.escape(printable(text)).encode("ascii", "xmlcharrefreplace").decode()


def page(title: str, body: Iterable[str]) -> Iterator[str]:
    """A whole page, in parts. ``body`` is HTML, with all text escaped."""
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
    """A file of this package."""
    data = pkgutil.get_data(__name__, name)
    if data is None:
        raise FileNotFoundError(name)
    return data.decode()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """What is to be known first: names and sentences, as text."""
    inside = "".join(f"<dt>{escaped(n)}</dt><dd>{escaped(text)}</dd>\n" for n, text in pairs)
    return f'<dl class="facts">\n{inside}</dl>\n'


def search(what: str, words: Iterable[tuple[str, str]], column: str = "") -> str:
    """The form that filters the table: by the names of its members, and by a group's words.

    ``what`` is what each is called, "host"; ``words`` are those of data-is, and what they are
    called; ``column`` is what each column is, where they can be filtered by name too.
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
    """A cell of the table: "yes", "no" or "maybe", the word for it, and how wide it is."""
    return f'<td class="cell {kind}" colspan="{columns}"><span>{word}</span></td>'


def names(items: Iterable[str], attributes: str = "") -> Iterator[str]:
    """A list of names, in parts."""
    yield f'<ul class="names"{attributes}>'
    for name in items:
        yield f"<li>{escaped(name)}</li>\n"
    yield "</ul>"
