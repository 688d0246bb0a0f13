"""Figures as SVG for papers: no library, no style sheet, text as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np

from searchbench.reports.figures.figure import (
    GREY,
    PALETTE,
    Axis,
    Band,
    Dots,
    Figure,
    Line,
    Mark,
    Spans,
)

WIDTH, HEIGHT = 640, 400
TOP, BOTTOM, RIGHT = 16, 52, 16
ROW = 24
"""Height of a row in figures with categories down their side."""
Place = Callable[[float], float]


def to_svg(figure: Figure) -> str:
    """One SVG document, 640 units wide, black on nothing."""
    legend = _legend_entries(figure)
    left = 72 if not figure.rows else 24 + 6.2 * min(30, max(len(c) for c in figure.y.categories))
    below = 18 * math.ceil(len(legend) / 3)
    inner = ROW * figure.rows if figure.rows else HEIGHT - TOP - BOTTOM
    height = TOP + inner + BOTTOM + below + (8 if legend else 0)
    x = _scale(_extent(figure, "x"), figure.x.log, left, WIDTH - RIGHT)
    if figure.rows:
        y = _scale((-0.5, figure.rows - 0.5), False, TOP, TOP + inner)
    else:
        y = _scale(_extent(figure, "y"), figure.y.log, TOP + inner, TOP)
    body = [
        *_grid(figure, x, y, left, inner),
        *(shape for mark in figure.marks for shape in _mark(mark, x, y)),
        *_legend(legend, left, TOP + inner + BOTTOM + 8),
    ]
    title = escape(figure.title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="11">'
        f"<title>{title}</title><desc>{escape(figure.caption)}</desc>{''.join(body)}</svg>\n"
    )


def _extent(figure: Figure, side: str) -> tuple[float, float]:
    axis: Axis = getattr(figure, side)
    if axis.categories:
        return -0.5, len(axis.categories) - 0.5
    values = [v for mark in figure.marks for v in _coordinates(mark, side)]
    if side == "x":
        values += [*figure.vertical, *(figure.shaded or ())]
    found = [v for v in values if math.isfinite(v) and (v > 0 or not axis.log)]
    if not found:
        return (1.0, 10.0) if axis.log else (0.0, 1.0)
    low, high = min(found), max(found)
    if axis.log:
        return low / 1.15, high * 1.15
    room = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - room, high + room


def _coordinates(mark: Mark, side: str) -> Iterable[float]:
    if isinstance(mark, Spans):
        return [*mark.low, *mark.middle, *mark.high] if side == "x" else mark.y
    if isinstance(mark, Band):
        return mark.x if side == "x" else [*mark.low, *mark.high]
    return mark.x if side == "x" else mark.y


def _scale(extent: tuple[float, float], log: bool, start: float, end: float) -> Place:
    low, high = (math.log10(v) if log else v for v in extent)

    def place(value: float) -> float:
        if not math.isfinite(value) or (log and value <= 0):
            return math.nan
        return start + (end - start) * ((math.log10(value) if log else value) - low) / (high - low)

    return place


def ticks(low: float, high: float, log: bool = False) -> list[float]:
    """Four to nine round numbers between two; on a log axis powers of ten, with 2 and 5 where there are few."""
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        tens = [10.0**p for p in powers if low <= 10.0**p <= high]
        return tens if len(tens) > 2 else [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 8)
    return [float(v) for v in np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step]


def _grid(figure: Figure, x: Place, y: Place, left: float, inner: float) -> list[str]:
    bottom = TOP + inner
    out = []
    if figure.shaded is not None:
        a, b = x(figure.shaded[0]), x(figure.shaded[1])
        out.append(
            f'<rect x="{a:.1f}" y="{TOP}" width="{b - a:.1f}" height="{inner:.1f}" fill="#888" fill-opacity=".2"/>'
        )
    for value, text in _labels(figure.x, _extent(figure, "x")):
        at = x(value)
        out.append(_segment(at, bottom, at, bottom + 4, "#333"))
        out.append(_text(at, bottom + 16, text, "middle"))
    for value, text in _labels(figure.y, _extent(figure, "y")):
        at = y(value)
        if not figure.rows:
            out.append(_segment(left, at, WIDTH - RIGHT, at, "#ddd"))
        out.append(_text(left - 7, at + 4, text if len(text) <= 30 else text[:29] + "…", "end"))
    out += [_segment(x(v), TOP, x(v), bottom, "#888", dash="2 3") for v in figure.vertical]
    out.append(_segment(left, bottom, WIDTH - RIGHT, bottom, "#333"))
    out.append(_segment(left, TOP, left, bottom, "#333"))
    out.append(_text((left + WIDTH - RIGHT) / 2, bottom + 36, figure.x.title, "middle"))
    if figure.y.title and not figure.rows:
        turn = f' transform="rotate(-90 14 {TOP + inner / 2:.1f})"'
        out.append(_text(14, TOP + inner / 2, figure.y.title, "middle", turn))
    return out


def _labels(axis: Axis, extent: tuple[float, float]) -> list[tuple[float, str]]:
    if axis.categories:
        return [(float(i), name) for i, name in enumerate(axis.categories)]
    return [(v, _tick(v)) for v in ticks(*extent, log=axis.log) if not axis.whole or v == round(v)]


def _tick(value: float) -> str:
    size = abs(value)
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if suffix == 'k' else limit):g}{suffix}"
    return f"{value:.6g}" if size > 1e-12 else "0"


def _mark(mark: Mark, x: Place, y: Place) -> list[str]:
    if isinstance(mark, Line):
        points = _points(mark.x, mark.y, x, y, mark.step)
        style = f'stroke-width="{0.8 if mark.thin else 1.8}"' + (' stroke-opacity=".35"' if mark.thin else "")
        dash = ' stroke-dasharray="5 4"' if mark.dashed else ""
        return [f'<path d="{_path(points)}" fill="none" stroke="{_colour(mark.colour)}" {style}{dash}/>']
    if isinstance(mark, Band):
        there = _points(mark.x, mark.low, x, y, True)
        back = _points(mark.x, mark.high, x, y, True)
        return [f'<path d="{_path(there + back[::-1])}Z" fill="{_colour(mark.colour)}" fill-opacity=".18"/>']
    if isinstance(mark, Dots):
        radius = 2.2 if mark.small else 4.2
        fill = "none" if mark.hollow else _colour(mark.colour)
        style = f'fill="{fill}" stroke="{_colour(mark.colour)}"' + (
            ' fill-opacity=".5" stroke-opacity="0"' if mark.small else ""
        )
        places = [(x(a), y(b)) for a, b in zip(mark.x, mark.y, strict=True)]
        return [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius}" {style}/>' for a, b in places if math.isfinite(a + b)]
    return _spans(mark, x, y)


def _spans(mark: Spans, x: Place, y: Place) -> list[str]:
    out = []
    colours = list(mark.colours) or [0] * len(mark.low)
    for low, middle, high, at, index in zip(mark.low, mark.middle, mark.high, mark.y, colours, strict=True):
        c, row = _colour(index), y(at)
        out.append(_segment(x(low), row, x(high), row, c, width=2.5))
        out += [_segment(x(end), row - 4, x(end), row + 4, c, width=1.5) for end in (low, high)]
        if math.isfinite(middle):
            out.append(f'<circle cx="{x(middle):.1f}" cy="{row:.1f}" r="4" fill="{c}"/>')
    return out


def _points(
    xs: Sequence[float] | np.ndarray, ys: Sequence[float] | np.ndarray, x: Place, y: Place, step: bool
) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for a, b in zip(xs, ys, strict=True):
        at = x(float(a)), y(float(b))
        if step and found and math.isfinite(found[-1][1]) and math.isfinite(at[1]):
            found.append((at[0], found[-1][1]))
        found.append(at)
    return found


def _path(points: Sequence[tuple[float, float]]) -> str:
    parts, pen = [], "M"
    for a, b in points:
        if not math.isfinite(a + b):
            pen = "M"
            continue
        parts.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L"
    return "".join(parts)


def _legend_entries(figure: Figure) -> list[tuple[str, int]]:
    shown = [m for m in figure.marks if isinstance(m, Line | Dots) and m.legend and not getattr(m, "thin", False)]
    return list(dict.fromkeys((m.name, m.colour) for m in shown))


def _legend(entries: Sequence[tuple[str, int]], left: float, top: float) -> list[str]:
    out = []
    width = (WIDTH - RIGHT - left) / 3
    for i, (name, index) in enumerate(entries):
        at, row = left + width * (i % 3), top + 18 * (i // 3)
        out.append(f'<rect x="{at:.1f}" y="{row - 9:.1f}" width="14" height="4" fill="{_colour(index)}"/>')
        out.append(_text(at + 19, row - 3, name if len(name) <= 26 else name[:25] + "…", "start"))
    return out


def _segment(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1, dash: str = "") -> str:
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return ""
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"{style}/>'
    )


def _text(x: float, y: float, text: str, anchor: str, turn: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222"{turn}>{escape(text)}</text>'


def _colour(index: int) -> str:
    return "#888888" if index == GREY else PALETTE[index % len(PALETTE)]
