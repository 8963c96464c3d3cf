"""Draws the figures of the calls: python3 -m tests.bench.plot FIGURES.json PLOT.svg."""

from __future__ import annotations

import json
import math
import sys
from html import escape

_LEFT, _WIDTH, _ROW, _TOP = 172, 460, 28, 40
_OURS, _FLOOR = "kvmppc", "C loop"

# Colors that have contrast enough on white and, the second, on dark. Without variables, which not
# every viewer of SVG has.
_STYLE = """<style>
.paper { fill: #ffffff } text { fill: #1b1b1b } .mark { fill: #5a5a5a }
.grid { stroke: #d9d9d9 } .spread { stroke: #1b1b1b; stroke-width: 2 }
.floor { fill: #767676 } .ours { fill: #1a6fb5 } .other { fill: #b08d57 }
@media (prefers-color-scheme: dark) {
.paper { fill: #14171a } text { fill: #ececec } .mark { fill: #b3b3b3 }
.grid { stroke: #3a3f45 } .spread { stroke: #ececec }
.floor { fill: #9a9a9a } .ours { fill: #5aa9e6 } .other { fill: #c9a66b }
}
svg { color-scheme: light dark }
</style>"""

Rows = dict[str, dict[str, dict[str, list[float]]]]


def _most(panels: dict[str, Rows]) -> int:
    """Where the axis ends: the next whole number, the same for all panels."""
    highest = (row["ratio"][_FLOOR][2] for rows in panels.values() for row in rows.values())
    return math.ceil(max(highest))


def _panel(top: int, title: str, rows: Rows, most: int) -> list[str]:
    """One call: a bar for each implementation, with a line between the quartiles."""
    scale = _WIDTH / most
    bottom = top + _TOP + _ROW * len(rows)
    parts = [f'<text x="12" y="{top + 22}" font-weight="bold">{escape(title)}</text>']
    for mark in range(0, most + 1, 1 if most <= 12 else 5):
        x = _LEFT + mark * scale
        parts.append(f'<path class="grid" d="M{x:.1f} {top + _TOP - 6}V{bottom}"/>')
        parts.append(
            f'<text class="mark" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{mark}</text>'
        )
    for number, (name, row) in enumerate(rows.items()):
        y = top + _TOP + _ROW * number
        lower, middle, upper = row["ratio"][_FLOOR]
        kind = {_FLOOR: "floor", _OURS: "ours"}.get(name, "other")
        weight = ' font-weight="bold"' if name == _OURS else ""
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 15}" text-anchor="end"{weight}>{escape(name)}</text>'
        )
        parts.append(
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{middle * scale:.1f}" height="20"/>'
        )
        start, end = _LEFT + lower * scale, _LEFT + upper * scale
        parts.append(f'<path class="spread" d="M{start:.1f} {y + 10}H{end:.1f}"/>')
        parts.append(f'<text x="{end + 6:.1f}" y="{y + 15}"{weight}>{middle:.2f}</text>')
    return parts


def draw(panels: dict[str, Rows]) -> str:
    """The plot, as SVG: lengths are the ratios."""
    parts = []
    top = 30
    most = _most(panels)
    for title, rows in panels.items():
        parts += _panel(top, title, rows, most)
        top += _TOP + _ROW * len(rows) + 34
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {top}" width="700" '
        f'height="{top}" font-family="sans-serif" font-size="14" role="img">'
    )
    caption = "Time of a call relative to the same call in a C loop; lines: quartiles"
    return (
        "\n".join(
            [
                head,
                f"<title>{caption}</title>",
                _STYLE,
                f'<rect class="paper" width="700" height="{top}"/>',
                f'<text x="12" y="24">{caption}</text>',
                *parts,
                "</svg>",
            ]
        )
        + "\n"
    )


def main() -> int:
    """Reads the figures that python3 -m tests.bench --output wrote, and writes the plot."""
    if len(sys.argv) != 3:
        print("usage: python3 -m tests.bench.plot FIGURES.json PLOT.svg", file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        figures = json.load(file)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(draw(figures["calls"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
