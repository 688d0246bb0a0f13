"""Figures as Plotly's own JSON, drawn by the library that the page carries with it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from searchbench.reports.figures.figure import GREY, PALETTE, Axis, Band, Dots, Figure, Line, Mark, Spans

_GREY = "#888888"


def to_plotly(figure: Figure) -> dict[str, Any]:
    """`data` and `layout` for `Plotly.newPlot`; colours of paper, text and grid are the page's."""
    columns = len(figure.x.categories)
    return {
        "name": figure.name,
        "data": [trace for mark in figure.marks for trace in _traces(mark)],
        "layout": {
            "xaxis": _axis(figure.x) | ({"range": [-0.4, columns - 0.6]} if columns else {}),
            "yaxis": _axis(figure.y) | ({"range": [figure.rows - 0.5, -0.5]} if figure.rows else {}),
            "height": max(260, 110 + 26 * figure.rows) if figure.rows else 400,
            "shapes": _shapes(figure),
            "showlegend": any(t.get("showlegend", True) for m in figure.marks for t in _traces(m)),
        },
    }


def colour(index: int, alpha: float = 1.0) -> str:
    """An entry of the palette, round and round; grey for what stands in the background."""
    red, green, blue = (
        int((_GREY if index == GREY else PALETTE[index % len(PALETTE)])[i : i + 2], 16) for i in (1, 3, 5)
    )
    return f"rgba({red},{green},{blue},{alpha:g})"


def _traces(mark: Mark) -> list[dict[str, Any]]:
    if isinstance(mark, Line):
        return [_line(mark)]
    if isinstance(mark, Band):
        return _band(mark)
    if isinstance(mark, Dots):
        return [_dots(mark)]
    return _spans(mark)


def _line(mark: Line) -> dict[str, Any]:
    style: dict[str, Any] = {"color": colour(mark.colour, 0.35 if mark.thin else 1.0), "width": 1 if mark.thin else 2}
    if mark.step:
        style["shape"] = "hv"
    if mark.dashed:
        style["dash"] = "dash"
    return {
        "type": "scatter", "mode": "lines", "name": mark.name, "legendgroup": mark.name, "x": _numbers(mark.x),
        "y": _numbers(mark.y), "line": style, "showlegend": mark.legend and not mark.thin,
        "hoverinfo": "skip" if mark.thin or not mark.legend else "x+y+name",
    }  # fmt: skip


def _band(mark: Band) -> list[dict[str, Any]]:
    plain = {"type": "scatter", "mode": "lines", "legendgroup": mark.name, "showlegend": False, "hoverinfo": "skip"}
    line = {"width": 0, "shape": "hv"}
    x = _numbers(mark.x)
    return [
        plain | {"x": x, "y": _numbers(mark.low), "line": line},
        plain
        | {"x": x, "y": _numbers(mark.high), "line": line, "fill": "tonexty", "fillcolor": colour(mark.colour, 0.18)},
    ]


def _dots(mark: Dots) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": mark.name, "legendgroup": mark.name, "x": _numbers(mark.x),
        "y": _numbers(mark.y), "text": list(mark.told) or None, "showlegend": mark.legend,
        "hoverinfo": "text" if mark.told else "x+name",
        "marker": {
            "color": colour(mark.colour, 0.45 if mark.small else 1.0), "size": 5 if mark.small else 10,
            "symbol": "circle-open" if mark.hollow else "circle",
        },
    }  # fmt: skip


def _spans(mark: Spans) -> list[dict[str, Any]]:
    colours = [colour(c) for c in mark.colours] or [colour(0)] * len(mark.low)
    told = list(mark.told) or [f"{low:.4g} to {high:.4g}" for low, high in zip(mark.low, mark.high, strict=True)]
    bars = [
        {
            "type": "scatter", "mode": "lines+markers", "x": [low, high], "y": [y, y], "showlegend": False,
            "line": {"color": c, "width": 3}, "text": [text, text], "hoverinfo": "text",
            "marker": {"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": c}, "color": c},
        }
        for low, high, y, c, text in zip(mark.low, mark.high, mark.y, colours, told, strict=True)
    ]  # fmt: skip
    middles = {
        "type": "scatter", "mode": "markers", "name": mark.name, "x": _numbers(mark.middle), "y": list(mark.y),
        "text": told, "hoverinfo": "text", "showlegend": False, "marker": {"color": colours, "size": 9},
    }  # fmt: skip
    return [*bars, middles]


def _axis(axis: Axis) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": {"text": axis.title},
        "automargin": True,
        "zeroline": False,
        "exponentformat": "SI",
    }
    if axis.log:
        found["type"] = "log"
    if axis.whole:
        found["tickformat"] = "d"
    if axis.categories:
        found |= {"tickvals": list(range(len(axis.categories))), "ticktext": [_short(c) for c in axis.categories]}
    return found


def _shapes(figure: Figure) -> list[dict[str, Any]]:
    shapes: list[dict[str, Any]] = []
    if figure.shaded is not None:
        low, high = figure.shaded
        shapes.append(
            {"type": "rect", "x0": low, "x1": high, "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0},
             "fillcolor": colour(GREY, 0.2), "layer": "below"}
        )  # fmt: skip
    for x in figure.vertical:
        line = {"color": colour(GREY), "width": 1, "dash": "dot"}
        shapes.append({"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line})
    return shapes


def _short(text: str) -> str:
    return text if len(text) <= 28 else text[:27] + "…"


def _numbers(values: Iterable[float]) -> list[float | None]:
    """JSON knows no NaN; six significant digits draw the same picture in half the bytes."""
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]
