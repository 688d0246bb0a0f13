"""Figures as Plotly's own JSON, drawn by the library that the page carries with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from searchbench.reports.figures.figure import (
    GREY,
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

GAP = 0.02
"""Between panels side by side, of the whole width; and a third of what is between rows."""
FEW = 8
"""Whole numbers up to this have a tick each."""


def to_plotly(figure: Picture) -> dict[str, Any]:
    """`data` and `layout` for `Plotly.newPlot`; colours of paper, text and grid are the page's."""
    return _multiples(figure) if isinstance(figure, Multiples) else _single(figure)


def _single(figure: Figure) -> dict[str, Any]:
    columns = len(figure.x.categories)
    data = [trace for mark in figure.marks for trace in _traces(mark, figure.y.categories)]
    if figure.focus:  # a legend of those that stand in front; the others are named where they are pointed at
        for trace in data:
            trace["showlegend"] = trace.get("showlegend", True) and trace.get("name") in figure.focus
    return {
        "name": figure.name,
        "data": data,
        "focus": list(figure.focus),
        "labelled": bool(figure.marks) and not figure.rows and all(isinstance(m, Line | Band) for m in figure.marks),
        "layout": {
            "xaxis": _axis(figure.x) | ({"range": [-0.4, columns - 0.6]} if columns else {}),
            "yaxis": _axis(figure.y) | ({"range": [figure.rows - 0.5, -0.5]} if figure.rows else {}),
            "annotations": [_told_beyond(one, figure) for one in _nearest(figure.beyond)],
            "height": max(260, 110 + 26 * figure.rows) if figure.rows else 400,
            "shapes": _shapes(figure),
            "showlegend": any(trace.get("showlegend", True) for trace in data),
        },
    }


def _multiples(figure: Multiples) -> dict[str, Any]:
    """A pair of axes for each panel; only those at the edges carry labels, and those of a row move together."""
    rows, columns = len(figure.panels), figure.columns
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"height": 90 + 210 * rows, "showlegend": bool(figure.legend), "annotations": []}
    layout["margin"] = {"t": 30}
    explained: set[str] = set()
    for r, row in enumerate(figure.panels):
        high = 1 - r / rows - (3 * GAP if r else 0)
        low = 1 - (r + 1) / rows
        for c, panel in enumerate(row):
            at = r * columns + c
            number = str(at + 1) if at else ""
            left, right = c / columns + (GAP if c else 0), (c + 1) / columns
            layout[f"xaxis{number}"] = _axis(panel.x) | {
                "domain": [left, right], "anchor": f"y{number}", "matches": "x" if at else None,
                "showticklabels": r == rows - 1, "title": {"text": panel.x.title if r == rows - 1 else ""},
            }  # fmt: skip
            leader = str(r * columns + 1) if r else ""
            layout[f"yaxis{number}"] = _axis(panel.y) | {
                "domain": [low, high], "anchor": f"x{number}", "matches": f"y{leader}" if c else None,
                "showticklabels": c == 0, "title": {"text": "" if c else panel.y.title}, **_counts(row),
            }  # fmt: skip
            if r == 0:
                layout["annotations"].append(
                    {"text": _short(panel.title), "x": (left + right) / 2, "y": 1, "xref": "paper", "yref": "paper",
                     "yanchor": "bottom", "showarrow": False}
                )  # fmt: skip
            for trace in (trace for mark in panel.marks for trace in _traces(mark)):
                first = trace["name"] not in explained and trace.get("showlegend", True)
                explained |= {trace["name"]} if first else set()
                data.append(trace | {"xaxis": f"x{number}", "yaxis": f"y{number}", "showlegend": first})
    layout["legend"] = {"y": -0.3 / rows, "yanchor": "top"}
    return {"name": figure.name, "data": data, "focus": [], "labelled": False, "layout": layout}


def _counts(row: Sequence[Figure]) -> dict[str, Any]:
    """Axes of panels of small whole numbers: a tick each, none below 0."""
    traces = [trace for panel in row for mark in panel.marks for trace in _traces(mark)]
    highest = max((y for trace in traces for y in trace["y"] if y is not None), default=0)
    return {"dtick": 1, "rangemode": "nonnegative"} if row[0].y.whole and highest <= FEW else {}


def colour(index: int, alpha: float = 1.0) -> str:
    """The colour of a series; grey for what stands in the background."""
    red, green, blue = (int(look(index).colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def _nearest(beyond: Sequence[Beyond]) -> list[Beyond]:
    """One for each name and side: several strays of a series are named together in the caption."""
    return list({(one.name, one.side, one.above): one for one in beyond}.values())


def _told_beyond(one: Beyond, figure: Figure) -> dict[str, Any]:
    """An arrow at the edge of a cut axis, with what lies beyond it."""
    many = sum((other.name, other.side, other.above) == (one.name, one.side, one.above) for other in figure.beyond)
    value = f"{one.value:.3g}" if many == 1 else f"{many} results"
    told = {"showarrow": False, "font": {"size": 11}, "bgcolor": colour(GREY, 0.25)}
    if one.side == "x":
        row = figure.y.categories.index(one.name) if one.name in figure.y.categories else 0
        text = f"{value} →" if one.above else f"← {value}"
        return told | {"text": text, "xref": "paper", "x": 1 if one.above else 0, "y": row, "yshift": 10,
                       "xanchor": "right" if one.above else "left"}  # fmt: skip
    names = [n for n, _, side in dict.fromkeys((o.name, o.above, o.side) for o in figure.beyond) if side == "y"]
    text = f"{'↑' if one.above else '↓'} {_short(one.name)}: {value}"
    return told | {"text": text, "xref": "paper", "x": 1, "xanchor": "right", "yref": "paper",
                   "y": 1 if one.above else 0, "yanchor": "top" if one.above else "bottom",
                   "yshift": (-1 if one.above else 1) * 18 * names.index(one.name)}  # fmt: skip


def _traces(mark: Mark, rows: Sequence[str] = ()) -> list[dict[str, Any]]:
    if isinstance(mark, Line):
        return [_line(mark)]
    if isinstance(mark, Band):
        return _band(mark)
    if isinstance(mark, Dots):
        return [_dots(mark)]
    return _spans(mark, rows)


def _line(mark: Line) -> dict[str, Any]:
    style: dict[str, Any] = {"color": colour(mark.colour, 0.35 if mark.thin else 1.0), "width": 1 if mark.thin else 2}
    if mark.step:
        style["shape"] = "hv"
    if (dash := "dash" if mark.dashed else look(mark.colour).dash) != "solid":
        style["dash"] = dash
    return {
        "type": "scatter", "mode": "lines", "name": mark.name, "legendgroup": mark.name, "x": _numbers(mark.x),
        "y": _numbers(mark.y), "line": style, "showlegend": mark.legend and not mark.thin,
        "hoverinfo": "skip" if mark.thin or not mark.legend else "x+y+name",
        "meta": "end" if mark.legend and not mark.thin and mark.colour != GREY else "",
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
            "symbol": look(mark.colour).symbol + ("-open" if mark.hollow else ""),
        },
    }  # fmt: skip


def _spans(mark: Spans, rows: Sequence[str]) -> list[dict[str, Any]]:
    colours = [colour(c) for c in mark.colours] or [colour(0)] * len(mark.low)
    told = list(mark.told) or [f"{low:.4g} to {high:.4g}" for low, high in zip(mark.low, mark.high, strict=True)]
    bars = [
        {
            "type": "scatter", "mode": "lines+markers", "x": [low, high], "y": [y, y], "showlegend": False,
            "legendgroup": rows[int(y)] if rows else mark.name,
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
    if axis.shown is not None:
        found["range"] = list(_numbers(axis.shown))
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
