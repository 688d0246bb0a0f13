"""Axes that one bad arm does not stretch: cut where the others end, with what lies beyond named."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from searchbench.reports.figures.figure import GREY, Beyond, Dots, Figure, Line, Spans

Side = Literal["x", "y"]
STRETCHED = 2.5
"""An axis is cut where all of it is this many times as long as what is kept."""
FEWEST = 3
"""Series below which none can be called the odd one."""
FEWEST_VALUES = 10
FENCE = 4.0
"""Interquartile ranges beyond the quartiles from which a value is far outside."""
NAMED = 6
"""Strays that a caption names."""


def cut(figure: Figure, side: Side) -> Figure:
    """The figure, its axis cut where a few series or a few results lie far from all the others."""
    axis = figure.x if side == "x" else figure.y
    values = {} if axis.log or axis.categories else _values(figure, side)
    extents = {name: (min(own), statistics.median(own), max(own)) for name, own in values.items()}
    far = outlying(extents)
    stray = strays({name: own for name, own in values.items() if name not in far})
    if not (far or stray):
        return figure
    kept = [v for name, own in values.items() if name not in far for v in own if v not in stray.get(name, ())]
    low, high = _with_references(figure, side, min(kept), max(kept))
    beyond = [Beyond(name, extents[name][1], side, extents[name][1] > high) for name in far]
    beyond += [Beyond(name, v, side, v > high) for name, own in stray.items() for v in own]
    return within(figure, side, (low, high), beyond)


def within(figure: Figure, side: Side, extent: tuple[float, float], beyond: Sequence[Beyond], why: str = "") -> Figure:
    """The figure with an axis cut to an extent, which its caption says, naming what lies beyond."""
    low, high = extent
    room = 0.04 * (high - low)
    said = why or f"beyond it {'lies' if len(beyond) == 1 else 'lie'} {_named(beyond)}"
    caption = f"{figure.caption} The {side} axis is cut: {said}. All numbers are of all results."
    axis = replace(figure.x if side == "x" else figure.y, shown=(low - room, high + room))
    both = (*figure.beyond, *beyond)
    if side == "x":
        return replace(figure, caption=caption, beyond=both, x=axis)
    return replace(figure, caption=caption, beyond=both, y=axis)


def _named(beyond: Sequence[Beyond]) -> str:
    said = [f"{one.name} at {one.value:.3g}" for one in beyond[:NAMED]]
    return ", ".join(said) + (f" and {len(beyond) - NAMED} more" if len(beyond) > NAMED else "")


def strays(values: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Single values far outside the quartiles of all, by series, where they would stretch the axis; at most a tenth."""
    every = sorted(v for own in values.values() for v in own)
    if len(every) < FEWEST_VALUES:
        return {}
    first, third = every[len(every) // 4], every[(3 * len(every)) // 4]
    reach = FENCE * (third - first)
    inside = [v for v in every if first - reach <= v <= third + reach]
    few = 10 * (len(every) - len(inside)) <= len(every)
    if len(inside) == len(every) or not few or every[-1] - every[0] <= STRETCHED * (inside[-1] - inside[0]):
        return {}
    low, high = inside[0], inside[-1]
    found = {name: sorted(v for v in own if not low <= v <= high) for name, own in values.items()}
    return {name: own for name, own in found.items() if own}


def outlying(extents: Mapping[str, tuple[float, float, float]]) -> list[str]:
    """Series that lie far from all the others and wholly beyond them; never more than a third of all."""
    if len(extents) < FEWEST:
        return []
    centre = statistics.median(middle for _, middle, _ in extents.values())
    order = sorted(extents, key=lambda name: abs(extents[name][1] - centre), reverse=True)
    for many in range(len(extents) // 3, 0, -1):
        far, kept = order[:many], [extents[name] for name in order[many:]]
        low, high = min(a for a, _, _ in kept), max(b for _, _, b in kept)
        length = high - low or abs(high) or 1.0
        whole = max(high, *(extents[n][2] for n in far)) - min(low, *(extents[n][0] for n in far))
        apart = all(extents[n][0] > high + length / 2 or extents[n][2] < low - length / 2 for n in far)
        if apart and whole > STRETCHED * length:
            return far
    return []


def _values(figure: Figure, side: Side) -> dict[str, list[float]]:
    """Finite values of every series; in a figure of rows those of a row."""
    values: dict[str, list[float]] = {}
    for mark in figure.marks:
        if isinstance(mark, Spans):
            for row, *own in zip(mark.y, mark.low, mark.middle, mark.high, strict=True):
                name = figure.y.categories[int(row)] if figure.y.categories else mark.name
                values.setdefault(name, []).extend(own if side == "x" else (row,))
        elif isinstance(mark, Line | Dots) and mark.colour != GREY:
            values.setdefault(mark.name, []).extend(mark.x if side == "x" else mark.y)
    found = {name: [float(v) for v in own if math.isfinite(v)] for name, own in values.items()}
    return {name: own for name, own in found.items() if own}


def _with_references(figure: Figure, side: Side, low: float, high: float) -> tuple[float, float]:
    """The range with the lines that a difference is read against."""
    seen = (*figure.vertical, *(figure.shaded or ())) if side == "x" else ()
    return min([low, *seen]), max([high, *seen])
