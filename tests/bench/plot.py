"""Draws the figures of the calls: python3 -m tests.bench.plot FIGURES.json PLOT.svg."""

from __future__ import annotations

import json
import math
import sys
from html import escape

_LEFT, _WIDTH, _ROW, _TOP = 150, 470, 26, 44
_MOST = 100.0
_COLORS = {"C loop": "#8a8a8a", "kvmppc": "#1a6fb5"}
_OTHER = "#c9b79c"

Rows = dict[str, dict[str, dict[str, list[float]]]]


def _x(ratio: float) -> float:
    """Where a ratio is, from 1 to 100 on a logarithmic scale; beside 1 there is room for a bar."""
    part = math.log(min(max(ratio, 1.0), _MOST)) / math.log(_MOST)
    return _LEFT + 6 + part * (_WIDTH - 6)


def _panel(top: int, title: str, rows: Rows) -> list[str]:
    """One question: a bar for each rival, with a line over the middle half of the rounds."""
    bottom = top + _TOP + _ROW * len(rows)
    parts = [f'<text x="12" y="{top + 20}" font-weight="bold">{escape(title)}</text>']
    for mark in (1, 2, 5, 10, 20, 50, 100):
        x = _x(mark)
        parts.append(f'<path d="M{x:.1f} {top + _TOP - 6}V{bottom}" stroke="#dddddd"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" fill="#555555">{mark}</text>'
        )
    for number, (name, row) in enumerate(rows.items()):
        y = top + _TOP + _ROW * number
        lower, middle, upper = row["ratio"]["C loop"]
        color = _COLORS.get(name, _OTHER)
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        width = _x(middle) - _LEFT
        parts.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="18" fill="{color}"/>')
        line = f"M{_x(lower):.1f} {y + 9}H{_x(upper):.1f}"
        parts.append(f'<path d="{line}" stroke="#222222" stroke-width="2"/>')
        x = max(_x(middle), _x(upper)) + 6
        parts.append(f'<text x="{x:.1f}" y="{y + 13}">{middle:.1f}</text>')
    return parts


def draw(panels: dict[str, Rows]) -> str:
    """The plot, as SVG."""
    parts = []
    top = 26
    for title, rows in panels.items():
        parts += _panel(top, title, rows)
        top += _TOP + _ROW * len(rows) + 30
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 700 {top}" width="700" '
        f'height="{top}" font-family="sans-serif" font-size="12" fill="#111111">'
    )
    caption = "Time of a call, by the time of the same call in a C loop (lines: half of the rounds)"
    paper = f'<rect width="700" height="{top}" fill="#ffffff"/>'
    title = f'<text x="12" y="20" font-size="13">{caption}</text>'
    return "\n".join([head, paper, title, *parts, "</svg>"]) + "\n"


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
