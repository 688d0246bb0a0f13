"""What a figure is made of: axes and a handful of marks. One record, so that page and paper show the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A3FFC", "#A01050")
"""Okabe & Ito's colours first. Any two stay apart under simulated protan-, deuter- and tritanopia (a test holds it),
and all on white and on near black."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down")
GREY = -1
"""Colour index of what stands in the background."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis; with `categories` its positions 0, 1, … carry those names."""

    title: str = ""
    log: bool = False
    whole: bool = False
    """Whether only whole numbers mean something."""
    categories: tuple[str, ...] = ()
    shown: tuple[float, float] | None = None
    """What is drawn of it, where that is not all: the axis is cut there."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a cut axis leaves out: whose value it is, and on which side it lies."""

    name: str
    value: float
    side: Literal["x", "y"]
    above: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line through [T] points; NaN breaks it. `step` holds each value until the next."""

    name: str
    x: Sequence[float] | Floats
    y: Sequence[float] | Floats
    colour: int = 0
    step: bool = False
    thin: bool = False
    dashed: bool = False
    legend: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A filled region between two step curves."""

    name: str
    x: Sequence[float] | Floats
    low: Sequence[float] | Floats
    high: Sequence[float] | Floats
    colour: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """Points, each with what is told when it is pointed at."""

    name: str
    x: Sequence[float] | Floats
    y: Sequence[float] | Floats
    colour: int = 0
    told: tuple[str, ...] = ()
    hollow: bool = False
    small: bool = False
    legend: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Horizontal intervals with their middles, one a row."""

    name: str
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]
    y: Sequence[float]
    colours: Sequence[int] = ()
    told: tuple[str, ...] = ()


Mark = Line | Band | Dots | Spans


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A figure. `name` is its file's; `caption` says in words what it shows and what it does not."""

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    vertical: tuple[float, ...] = ()
    """Reference lines across, such as zero."""
    shaded: tuple[float, float] | None = None
    """A region of x in the background, such as differences that practically are none."""
    facts: dict[str, str] = field(default_factory=dict)
    beyond: tuple[Beyond, ...] = ()
    """What lies beyond a cut axis, by name."""
    focus: tuple[str, ...] = ()
    """Series shown at first where there are too many to be told apart at once; empty: all."""

    @property
    def rows(self) -> int:
        """Rows of a figure with categories down its side; 0 for any other."""
        return len(self.y.categories)


@dataclass(frozen=True, slots=True, eq=False)
class Multiples:
    """Small multiples: panels side by side and one below the other, on the same scales."""

    name: str
    title: str
    caption: str
    panels: tuple[tuple[Figure, ...], ...]
    """Rows of as many panels each, of which only axes, marks and (in the first row) titles are shown. All share the x
    axis, those of a row the y axis."""

    @property
    def columns(self) -> int:
        """Panels side by side."""
        return len(self.panels[0])

    @property
    def legend(self) -> dict[str, int]:
        """Names of the marks that are explained, with their colours."""
        marks = (mark for row in self.panels for panel in row for mark in panel.marks)
        return {mark.name: mark.colour for mark in marks if isinstance(mark, Line | Dots) and mark.legend}


Picture = Figure | Multiples


@dataclass(frozen=True, slots=True)
class Look:
    """How a series is drawn: its colour, and what tells it apart from others of that colour."""

    colour: str
    dash: str
    symbol: str


def look(index: int) -> Look:
    """The look of a series by its number: forty before one comes again."""
    if index == GREY:
        return Look("#888888", "dash", "circle")
    dash = (index // len(PALETTE)) % len(DASHES)
    return Look(PALETTE[index % len(PALETTE)], DASHES[dash], SYMBOLS[(index + dash) % len(SYMBOLS)])


def finite(values: Iterable[float]) -> list[float]:
    """Those that are numbers."""
    return [float(v) for v in values if math.isfinite(v)]


def slug(text: str) -> str:
    """A file name out of any label."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text.lower())
    return "-".join(part for part in kept.split("-") if part) or "unnamed"
