"""Figures as SVG for papers: no library, no style sheet, text as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from searchbench.errors import InputError, did_you_mean
from searchbench.reports.figures.figure import (
    Axis,
    Band,
    Beyond,
    Dots,
    Figure,
    Line,
    Mark,
    Multiples,
    Picture,
    Spans,
    look,
)

FONT = 11
"""Size of text in the drawing's own units; everything else is laid out around it."""
HIGH = 0.62
"""Height of a figure, of its width."""
TOP, BOTTOM, RIGHT = 16, 52, 16
ROW = 24
"""Height of a row in figures with categories down their side."""
PANEL = 120
"""Height of one of several panels; a gap of `GAP` between them."""
LETTER = 5.6
"""Width of a letter, on average."""
STROKES = {"solid": "", "dash": "5 4", "dot": "1.5 3", "dashdot": "7 3 1.5 3", "longdash": "10 4"}
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


@dataclass(frozen=True, slots=True)
class Paper:
    """What a figure is printed on: its width and the size of its text, both in points."""

    width: float = 640.0
    font: float = 11.0

    @property
    def units(self) -> float:
        """Width in the drawing's units, in which text is `FONT` high."""
        return self.width * FONT / self.font


SCREEN = Paper()
COLUMN = Paper(234.0, 8.0)
"""One of two columns of 3.25 in, as in ICML's and most conferences' class."""
TEXT = Paper(397.0, 8.0)
"""All of one column of 5.5 in, as in NeurIPS' and ICLR's class."""
PAGE = Paper(487.0, 8.0)
"""Both of two columns, 6.75 in."""
NARROWEST, WIDEST = 100, 2000
PAPERS = {"column": COLUMN, "text": TEXT, "page": PAGE, "screen": SCREEN}


def paper_of(width: str, font: float) -> Paper:
    """The paper of a name among `PAPERS` or of a width in points, with text of that size.

    Raises:
        InputError: it is neither, or too narrow for a figure.
    """
    if width in PAPERS:
        return Paper(PAPERS[width].width, font)
    try:
        points = float(width)
    except ValueError:
        raise InputError(f"unknown figure width `{width}`; {did_you_mean(width, PAPERS)}, or points.") from None
    if not NARROWEST <= points <= WIDEST:
        raise InputError(f"a figure is {NARROWEST} to {WIDEST} points wide, but got {points:g}.")
    return Paper(points, font)


def to_svg(figure: Picture, paper: Paper = SCREEN) -> str:
    """One SVG document, black on nothing, without a title: a paper says that in its caption."""
    return _multiples(figure, paper) if isinstance(figure, Multiples) else _single(figure, paper)


def _single(figure: Figure, paper: Paper) -> str:
    width = paper.units
    legend = _legend_entries(figure.marks)
    left = LEFT if not figure.rows else 24 + 6.2 * min(30, max(len(c) for c in figure.y.categories))
    inner = ROW * figure.rows if figure.rows else max(140, HIGH * width - TOP - BOTTOM)
    frame = Frame(left, width - RIGHT, TOP, TOP + inner, _extent([figure], "x"), _extent([figure], "y"))
    below = _legend_height(legend, frame)
    body = [*_panel(figure, frame), *_legend(legend, frame, TOP + inner + BOTTOM + 8)]
    return _document(figure, paper, TOP + inner + BOTTOM + below, body)


def _multiples(figure: Multiples, paper: Paper) -> str:
    legend, rows = list(figure.legend.items()), len(figure.panels)
    across = max(90.0, (paper.units - LEFT - RIGHT + GAP) / figure.columns - GAP)
    width = LEFT + figure.columns * (across + GAP) - GAP + RIGHT
    bottom = 2 * TOP + rows * (PANEL + GAP) - GAP
    x, body = _extent([panel for row in figure.panels for panel in row], "x"), list[str]()
    for r, row in enumerate(figure.panels):
        y, top = _extent(row, "y"), 2 * TOP + r * (PANEL + GAP)
        for c, panel in enumerate(row):
            left = LEFT + c * (across + GAP)
            body += _panel(panel, Frame(left, left + across, top, top + PANEL, x, y, r == rows - 1, c == 0))
            if r == 0:
                body.append(_text(left + across / 2, top - 6, _cut(panel.title, int(across / 6)), "middle"))
    whole = Frame(LEFT, width - RIGHT, 2 * TOP, bottom, x, x)
    body += _legend(legend, whole, bottom + BOTTOM + 8)
    return _document(figure, paper, bottom + BOTTOM + _legend_height(legend, whole), body, width)


def _panel(figure: Figure, frame: Frame) -> list[str]:
    """Grid, axes and marks in a frame."""
    x = _scale(frame.x, figure.x.log, frame.left, frame.right)
    up = (frame.top, frame.bottom) if figure.rows else (frame.bottom, frame.top)
    y = _scale(frame.y, figure.y.log, *up)
    marks = [shape for mark in figure.marks for shape in _mark(mark, x, y)]
    if figure.x.shown is not None or figure.y.shown is not None:
        clip = f"inside-{frame.left:.0f}-{frame.top:.0f}"
        size = f'width="{frame.right - frame.left:.1f}" height="{frame.bottom - frame.top:.1f}"'
        hole = f'<clipPath id="{clip}"><rect x="{frame.left:.1f}" y="{frame.top:.1f}" {size}/></clipPath>'
        marks = [hole, f'<g clip-path="url(#{clip})">', *marks, "</g>", *_beyond(figure, frame, y)]
    return [*_grid(figure, frame, x, y), *marks]


def _beyond(figure: Figure, frame: Frame, y: Place) -> list[str]:
    """What a cut axis leaves out, named at its edge."""
    out, nearest = [], {(one.name, one.side, one.above): one for one in figure.beyond}
    for at, one in enumerate(nearest.values()):
        value = _told(one, figure.beyond)
        if one.side == "x" and one.name in figure.y.categories:
            row = y(figure.y.categories.index(one.name)) + 4
            edge, anchor = (frame.right - 3, "end") if one.above else (frame.left + 3, "start")
            out.append(_text(edge, row, f"{value} →" if one.above else f"← {value}", anchor))
        else:
            arrow = ("→" if one.above else "←") if one.side == "x" else ("↑" if one.above else "↓")
            out.append(
                _text(frame.right - 3, frame.top + 12 + 14 * at, f"{arrow} {_cut(one.name, 24)}: {value}", "end")
            )
    return out


def _told(one: Beyond, every: Sequence[Beyond]) -> str:
    many = sum((other.name, other.side, other.above) == (one.name, one.side, one.above) for other in every)
    return f"{one.value:.3g}" if many == 1 else f"{many} results"


def _document(figure: Picture, paper: Paper, height: float, body: Iterable[str], width: float | None = None) -> str:
    units = paper.units if width is None else width
    scale = paper.font / FONT
    unit = "" if paper is SCREEN else "pt"
    size = f'width="{units * scale:.0f}{unit}" height="{height * scale:.0f}{unit}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="0 0 {units:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="{FONT}">'
        f"<title>{escape(figure.title)}</title><desc>{escape(figure.caption)}</desc>{''.join(body)}</svg>\n"
    )


def _extent(figures: Sequence[Figure], side: str) -> Extent:
    """The extent of one figure, or of panels that share an axis."""
    axis: Axis = getattr(figures[0], side)
    if axis.categories:
        return -0.5, len(axis.categories) - 0.5
    if axis.shown is not None:
        return axis.shown
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
        middle = (top + bottom) / 2
        for line, text in enumerate(reversed(_broken(figure.y.title, int((bottom - top) / LETTER)))):
            at = 24 - 12 * line
            out.append(_text(at, middle, text, "middle", f' transform="rotate(-90 {at} {middle:.1f})"'))
    return out


def _broken(text: str, most: int) -> list[str]:
    """One line, or two where one would be longer than the axis it stands at."""
    if len(text) <= most:
        return [text]
    gaps = [at for at, letter in enumerate(text) if letter == " "] or [len(text)]
    at = min(gaps, key=lambda gap: abs(gap - len(text) / 2))
    return [text[:at], text[at + 1 :]]


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
        strokes = STROKES["dash" if mark.dashed else look(mark.colour).dash]
        dash = f' stroke-dasharray="{strokes}"' if strokes else ""
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
        shape = "circle" if mark.small else look(mark.colour).symbol
        return [_symbol(shape, a, b, radius, style) for a, b in places if math.isfinite(a + b)]
    return _spans(mark, x, y)


_CORNERS = {
    "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)), "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "triangle-up": ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)), "triangle-down": ((0, 1.2), (1.15, -0.9), (-1.15, -0.9)),
    "cross": ((-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4), (0.4, 1.2), (-0.4, 1.2),
              (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)),
    "x": ((-1.1, -0.6), (-0.6, -1.1), (0, -0.5), (0.6, -1.1), (1.1, -0.6), (0.5, 0), (1.1, 0.6), (0.6, 1.1), (0, 0.5),
          (-0.6, 1.1), (-1.1, 0.6), (-0.5, 0)),
}  # fmt: skip
"""Corners of the symbols that are no circles, in radii."""


def _symbol(shape: str, x: float, y: float, radius: float, style: str) -> str:
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" {style}/>'
    corners = " ".join(f"{x + radius * a:.1f},{y + radius * b:.1f}" for a, b in _CORNERS[shape])
    return f'<polygon points="{corners}" {style}/>'


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


def _per_line(entries: Sequence[tuple[str, int]], frame: Frame) -> int:
    longest = max((min(len(name), 26) for name, _ in entries), default=0)
    return max(1, int((frame.right - frame.left) // (36 + LETTER * longest)))


def _legend_height(entries: Sequence[tuple[str, int]], frame: Frame) -> float:
    return 18 * math.ceil(len(entries) / _per_line(entries, frame)) + 8 if entries else 0


def _legend(entries: Sequence[tuple[str, int]], frame: Frame, top: float) -> list[str]:
    """A stroke with the symbol on it, and the name, for every series."""
    out = []
    many = _per_line(entries, frame)
    width = (frame.right - frame.left) / many
    for i, (name, index) in enumerate(entries):
        at, row, own = frame.left + width * (i % many), top + 18 * (i // many), look(index)
        out.append(_segment(at, row - 7, at + 20, row - 7, own.colour, width=1.8, dash=STROKES[own.dash]))
        out.append(_symbol(own.symbol, at + 10, row - 7, 3.2, f'fill="{own.colour}"'))
        out.append(_text(at + 25, row - 3, _cut(name, 26), "start"))
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
    return look(index).colour
