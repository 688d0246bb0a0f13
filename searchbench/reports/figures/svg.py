"""Figures as SVG for papers: no library, no style sheet, text as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
    Multiples,
    Picture,
    Spans,
)

WIDTH, HEIGHT = 640, 400
TOP, BOTTOM, RIGHT = 16, 52, 16
ROW = 24
"""Height of a row in figures with categories down their side."""
PANEL = 170, 120
"""Width and height of one of several panels; a gap of `GAP` between them."""
GAP = 14
LEFT = 72
Place = Callable[[float], float]
Extent = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a panel is drawn, and on which scales."""

    left: float
    right: float
    top: float
    bottom: float
    x: Extent
    y: Extent
    below: bool = True
    """Whether the x axis is labelled."""
    beside: bool = True
    """Whether the y axis is."""


def to_svg(figure: Picture) -> str:
    """One SVG document, black on nothing; a single figure is 640 units wide."""
    return _multiples(figure) if isinstance(figure, Multiples) else _single(figure)


def _single(figure: Figure) -> str:
    legend = _legend_entries(figure.marks)
    left = LEFT if not figure.rows else 24 + 6.2 * min(30, max(len(c) for c in figure.y.categories))
    below = 18 * math.ceil(len(legend) / 3)
    inner = ROW * figure.rows if figure.rows else HEIGHT - TOP - BOTTOM
    height = TOP + inner + BOTTOM + below + (8 if legend else 0)
    frame = Frame(left, WIDTH - RIGHT, TOP, TOP + inner, _extent([figure], "x"), _extent([figure], "y"))
    body = [*_panel(figure, frame), *_legend(legend, left, WIDTH - RIGHT, TOP + inner + BOTTOM + 8)]
    return _document(figure, WIDTH, height, body)


def _multiples(figure: Multiples) -> str:
    legend, (across, down), rows = list(figure.legend.items()), PANEL, len(figure.panels)
    width = LEFT + figure.columns * (across + GAP) - GAP + RIGHT
    bottom = 2 * TOP + rows * (down + GAP) - GAP
    x, body = _extent([panel for row in figure.panels for panel in row], "x"), list[str]()
    for r, row in enumerate(figure.panels):
        y, top = _extent(row, "y"), 2 * TOP + r * (down + GAP)
        for c, panel in enumerate(row):
            left = LEFT + c * (across + GAP)
            body += _panel(panel, Frame(left, left + across, top, top + down, x, y, r == rows - 1, c == 0))
            if r == 0:
                body.append(_text(left + across / 2, top - 6, _cut(panel.title, 28), "middle"))
    body += _legend(legend, LEFT, width - RIGHT, bottom + BOTTOM + 8)
    below = 18 * math.ceil(len(legend) / 3) + (8 if legend else 0)
    return _document(figure, width, bottom + BOTTOM + below, body)


def _panel(figure: Figure, frame: Frame) -> list[str]:
    """Grid, axes and marks in a frame."""
    x = _scale(frame.x, figure.x.log, frame.left, frame.right)
    up = (frame.top, frame.bottom) if figure.rows else (frame.bottom, frame.top)
    y = _scale(frame.y, figure.y.log, *up)
    return [*_grid(figure, frame, x, y), *(shape for mark in figure.marks for shape in _mark(mark, x, y))]


def _document(figure: Picture, width: float, height: float, body: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="11">'
        f"<title>{escape(figure.title)}</title><desc>{escape(figure.caption)}</desc>{''.join(body)}</svg>\n"
    )


def _extent(figures: Sequence[Figure], side: str) -> Extent:
    """Of one figure, or of panels that share an axis."""
    axis: Axis = getattr(figures[0], side)
    if axis.categories:
        return -0.5, len(axis.categories) - 0.5
    values = [v for figure in figures for mark in figure.marks for v in _coordinates(mark, side)]
    if side == "x":
        values += [v for figure in figures for v in (*figure.vertical, *(figure.shaded or ()))]
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


def _scale(extent: Extent, log: bool, start: float, end: float) -> Place:
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


def _grid(figure: Figure, frame: Frame, x: Place, y: Place) -> list[str]:
    left, right, top, bottom = frame.left, frame.right, frame.top, frame.bottom
    out = []
    if figure.shaded is not None:
        a, b = x(figure.shaded[0]), x(figure.shaded[1])
        out.append(
            f'<rect x="{a:.1f}" y="{top}" width="{b - a:.1f}" height="{bottom - top:.1f}" fill="#888" '
            'fill-opacity=".2"/>'
        )
    for value, text in _labels(figure.x, frame.x):
        at = x(value)
        out.append(_segment(at, bottom, at, bottom + 4, "#333"))
        out += [_text(at, bottom + 16, text, "middle")] if frame.below else []
    for value, text in _labels(figure.y, frame.y):
        at = y(value)
        if not figure.rows:
            out.append(_segment(left, at, right, at, "#ddd"))
        out += [_text(left - 7, at + 4, _cut(text, 30), "end")] if frame.beside else []
    out += [_segment(x(v), top, x(v), bottom, "#888", dash="2 3") for v in figure.vertical]
    out.append(_segment(left, bottom, right, bottom, "#333"))
    out.append(_segment(left, top, left, bottom, "#333"))
    out += [_text((left + right) / 2, bottom + 36, figure.x.title, "middle")] if frame.below else []
    if figure.y.title and not figure.rows and frame.beside:
        turn = f' transform="rotate(-90 14 {(top + bottom) / 2:.1f})"'
        out.append(_text(14, (top + bottom) / 2, figure.y.title, "middle", turn))
    return out


def _labels(axis: Axis, extent: Extent) -> list[tuple[float, str]]:
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


def _legend_entries(marks: Sequence[Mark]) -> list[tuple[str, int]]:
    shown = [m for m in marks if isinstance(m, Line | Dots) and m.legend and not getattr(m, "thin", False)]
    return list(dict.fromkeys((m.name, m.colour) for m in shown))


def _legend(entries: Sequence[tuple[str, int]], left: float, right: float, top: float) -> list[str]:
    out = []
    width = (right - left) / 3
    for i, (name, index) in enumerate(entries):
        at, row = left + width * (i % 3), top + 18 * (i // 3)
        out.append(f'<rect x="{at:.1f}" y="{row - 9:.1f}" width="14" height="4" fill="{_colour(index)}"/>')
        out.append(_text(at + 19, row - 3, _cut(name, 26), "start"))
    return out


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


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
