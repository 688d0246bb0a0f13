"""Curves over cost: incumbents of the searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from searchbench.metric import Metric
from searchbench.reports.figures.figure import Axis, Band, Figure, Floats, Line, Mark, slug
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
    problem: str, runs: Sequence[RunRecord], curves: Curves, colours: Mapping[str, int], metric: Metric
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
    what = "error" if metric.name == "test error" else metric.name
    axis = TITLES.get(curves.axis, curves.axis)
    return Figure(
        name=slug(f"anytime-{problem}-{curves.axis}"),
        title=f"Validation over {axis}",
        caption=(
            "Validation error of the incumbent as a right-continuous step; line: mean of all runs once every run has "
            "one. Band: pointwise 95 % bootstrap over runs; with fewer than 10 runs, the runs. It describes: what "
            f"counts is the {metric.name} after the search."
        ),
        x=Axis(axis),
        y=Axis(f"validation {what.removeprefix('validation ')} of the incumbent{unit}"),
        marks=tuple(marks),
    )


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
