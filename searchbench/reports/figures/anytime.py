"""Curves over cost: incumbents of the searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from searchbench.metric import Metric
from searchbench.reports.figures.cutting import STRETCHED, outlying, within
from searchbench.reports.figures.figure import Axis, Band, Beyond, Figure, Floats, Line, Mark, slug
from searchbench.results.records import RunRecord

if TYPE_CHECKING:
    from searchbench.results.curves import Curves

POINTS = 200
"""Points a curve is drawn with; its values come from every run."""
BAND_MIN_RUNS = 10
"""A bootstrap band of fewer runs would cover clearly less than it says; then the runs themselves are drawn."""
RESAMPLES = 1000
TITLES = {
    "evaluations": "evaluations", "epochs": "epochs", "samples": "samples", "macs": "multiply-accumulates",
    "seconds": "seconds (device or simulated)", "host_s": "CPU seconds of the strategy itself",
    "device_s": "device seconds", "simulated_s": "simulated seconds", "trials": "trials",
    "train_samples": "training samples", "inference_samples": "inference samples",
}  # fmt: skip


def anytime(
    problem: str,
    runs: Sequence[RunRecord],
    curves: Curves,
    colours: Mapping[str, int],
    metric: Metric,
    focus: tuple[str, ...] = (),
) -> Figure:
    """Validation value of the incumbent against cost: mean over runs with a pointwise 95 % bootstrap band."""
    grid = curves.grid(POINTS)
    values = curves.at(grid) * metric.factor if len(grid) else np.empty((len(runs), 0))
    names = np.array([run.strategy for run in runs], dtype=object)
    marks: list[Mark] = []
    for name, colour in colours.items():
        own = values[names == name]
        if len(own) and len(grid):
            marks += _of_strategy(name, grid, own, colour)
    unit = f" ({metric.shown_unit})" if metric.shown_unit else ""
    axis = TITLES.get(curves.axis, curves.axis)
    drawn = Figure(
        name=slug(f"anytime-{problem}-{curves.axis}"),
        title=f"Validation over {axis}",
        caption=(
            f"Validation {metric.seen} of the incumbent as a right-continuous step; line: mean of all runs once every "
            "run has one. Band: pointwise 95 % bootstrap over runs; with fewer than 10 runs, the runs. It describes: "
            f"what counts is the {metric.name} after the search."
        ),
        x=Axis(axis),
        y=Axis(f"validation {metric.seen} of the incumbent{unit}"),
        marks=tuple(marks),
        focus=focus,
    )
    return _without_beginnings(drawn)


def _without_beginnings(figure: Figure) -> Figure:
    """Cut at where the curves are after a tenth of the cost, where their first steps would squeeze all the rest."""
    lines = [mark for mark in figure.marks if isinstance(mark, Line) and not mark.thin and len(mark.x)]
    if not lines or figure.y.shown is not None:
        return figure
    whole = [float(v) for line in lines for v in line.y if np.isfinite(v)]
    late = _late(figure)
    far = outlying({name: (min(own), float(np.median(own)), max(own)) for name, own in late.items()})
    kept = [v for name, own in late.items() if name not in far for v in own]
    if not kept or max(whole) - min(whole) <= STRETCHED * (max(kept) - min(kept)):
        return figure
    beyond = [Beyond(name, late[name][-1], "y", late[name][-1] > max(kept)) for name in far]
    named = f", and {', '.join(f'{one.name} (ending at {one.value:.3g})' for one in beyond)}" if beyond else ""
    extent = (min(kept), max(kept))
    return within(figure, "y", extent, beyond, f"beyond it lie the first tenth of the cost{named}")


def _late(figure: Figure) -> dict[str, list[float]]:
    """Means of every strategy from a tenth of the cost on."""
    lines = [mark for mark in figure.marks if isinstance(mark, Line) and not mark.thin and len(mark.x)]
    end = max(float(line.x[-1]) for line in lines)
    found = {}
    for line in lines:
        x, y = np.asarray(line.x, dtype=np.float64), np.asarray(line.y, dtype=np.float64)
        own = y[np.isfinite(y) & (x >= 0.1 * end)]
        if len(own):
            found[line.name] = own.tolist()
    return found


def _of_strategy(name: str, grid: Floats, values: Floats, colour: int) -> list[Mark]:
    mean = values.mean(axis=0)  # NaN until every run has an incumbent
    known = ~np.isnan(mean)
    if not known.any():
        return [Line(name, grid, mean, colour, step=True)]
    x = grid[known]
    marks: list[Mark] = []
    if len(values) >= BAND_MIN_RUNS:
        low, high = _band(values[:, known])
        marks.append(Band(name, x, low, high, colour))
    elif len(values) > 1:
        for run in values:
            marks.append(Line(name, grid, run, colour, step=True, thin=True, legend=False))
    return [*marks, Line(name, x, mean[known], colour, step=True)]


def _band(values: Floats) -> tuple[Floats, Floats]:
    from searchbench.statistics.resampling import seed_counts

    draws = seed_counts(0, RESAMPLES, len(values)) @ values / len(values)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return low, high
