"""A curve as a small picture that can be read on light and on dark ground."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.measuring import Curve

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 44, 56
LINES = 4
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #57606a; }
.name { font-size: 15px; font-weight: 600; fill: #1f2328; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.line { fill: none; stroke: #0969da; stroke-width: 2; }
.point { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; }
  .name { fill: #f0f6fc; }
  .grid { stroke: #3d444d; }
  .line { stroke: #4493f8; }
  .point { fill: #4493f8; }
}
"""


def svg(curve: Curve) -> str:
    """Draw a curve: x by powers of ten, y from 0."""
    places = _across([x for x, _ in curve.points])
    step = nice_step(max(y for _, y in curve.points) / LINES)
    top = step * max(1, math.ceil(max(y for _, y in curve.points) / step))
    dots = [(place, _down(y, top), x, y) for place, (x, y) in zip(places, curve.points, strict=True)]
    parts = [*_grid(step, top), *_words(curve)]
    parts.append(f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in dots)}"/>')
    for across, down, x, y in dots:
        parts.append(f'<circle class="point" cx="{across:.1f}" cy="{down:.1f}" r="4"/>')
        parts.append(f'<text x="{across:.1f}" y="{down - 10:.1f}" text-anchor="middle">{number(y)}</text>')
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{number(x)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    return "\n".join([f'{head} aria-label="{escape(curve.name)}">', f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def number(value: float) -> str:
    """A figure as people write it."""
    if value and abs(value) < 10:
        return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}".removesuffix(".0")


def nice_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not smaller."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _across(values: Sequence[float]) -> list[float]:
    # Zero stands one power of ten before the smallest of the others.
    smallest = min((value for value in values if value > 0), default=1.0)
    logs = [math.log10(value) if value > 0 else math.log10(smallest) - 1 for value in values]
    span = (max(logs) - min(logs)) or 1.0
    inner = WIDTH - LEFT - RIGHT - 60
    return [LEFT + 30 + inner * (log - min(logs)) / span for log in logs]


def _down(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _grid(step: float, top: float) -> list[str]:
    found = []
    for index in range(round(top / step) + 1):
        down = _down(index * step, top)
        found.append(f'<line class="grid" x1="{LEFT}" y1="{down:.1f}" x2="{WIDTH - RIGHT}" y2="{down:.1f}"/>')
        found.append(f'<text x="{LEFT - 8}" y="{down + 4:.1f}" text-anchor="end">{number(index * step)}</text>')
    return found


def _words(curve: Curve) -> list[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [
        f'<text class="name" x="{LEFT}" y="20">{escape(curve.name)}</text>',
        f'<text x="{middle:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(curve.x_label)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="20" text-anchor="end">{escape(curve.y_label)}</text>',
    ]
