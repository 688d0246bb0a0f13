"""Curves over cost: incumbents of the searches, and what searches log about themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from searchbench.reports.figures.figure import Axis, Band, Dots, Figure, Floats, Line, Mark, slug
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
    problem: str, runs: Sequence[RunRecord], curves: Curves, colours: Mapping[str, int], scale: float
) -> Figure:
    """Validation value of the incumbent against cost: mean over runs with a pointwise 95 % bootstrap band."""
    grid = curves.grid(POINTS)
    values = curves.at(grid) * scale if len(grid) else np.empty((len(runs), 0))
    names = np.array([run.strategy for run in runs], dtype=object)
    marks: list[Mark] = []
    for name, colour in colours.items():
        own = values[names == name]
        if len(own) and len(grid):
            marks += _of_strategy(name, grid, own, colour)
    unit = " (%)" if scale != 1 else ""
    axis = TITLES.get(curves.axis, curves.axis)
    return Figure(
        name=slug(f"anytime-{problem}-{curves.axis}"),
        title=f"Validation over {axis}",
        caption=(
            "Validation error of the incumbent as a right-continuous step; line: mean of all runs once every run has "
            "one. Band: pointwise 95 % bootstrap over runs; with fewer than 10 runs, the runs. It describes: what "
            "counts is the test error after the search."
        ),
        x=Axis(axis),
        y=Axis(f"validation error of the incumbent{unit}"),
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
    from searchbench.results.statistics.resampling import seed_counts

    draws = seed_counts(0, RESAMPLES, len(values)) @ values / len(values)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return low, high


def traces(problem: str, runs: Iterable[RunRecord], colours: Mapping[str, int]) -> list[Figure]:
    """What searches logged about themselves (entropy, skip counts, losses), a figure per name, a line per strategy."""
    found: dict[str, dict[str, list[tuple[Floats, Floats]]]] = {}
    for run in runs:
        for name, line in _logged(run).items():
            found.setdefault(name, {}).setdefault(run.strategy, []).append(line)
    return [_trace(problem, name, own, colours) for name, own in found.items()]


def _logged(run: RunRecord) -> dict[str, tuple[Floats, Floats]]:
    from searchbench.results.columns import read_traces

    table = read_traces(run.traces)
    if table is None:
        return {}
    names = [n for n in table.column_names if n not in ("line", "epoch") and not n.startswith("spent_")]
    column = {n: np.asarray(table.column(n).cast("float64"), dtype=np.float64) for n in table.column_names}
    found = {}
    for name in names:
        seen = np.isfinite(column[name])
        # A line without an epoch (a final pick, say) is placed by its number in the log.
        by_epoch = "epoch" in column and bool(np.isfinite(column["epoch"][seen]).all())
        if seen.any():
            found[name] = column["epoch" if by_epoch else "line"], column[name]
    return found


def _trace(
    problem: str, name: str, found: Mapping[str, Sequence[tuple[Floats, Floats]]], colours: Mapping[str, int]
) -> Figure:
    marks: list[Mark] = []
    for strategy, lines in found.items():
        x = np.unique(np.concatenate([x for x, _ in lines]))
        x = x[np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(int))]
        held = np.stack([_step(x, *line) for line in lines])
        seen = np.isfinite(held).any(axis=0)
        mean = np.nanmean(held[:, seen], axis=0) if seen.any() else np.empty(0)
        colour = colours.get(strategy, 0)
        marks.append(Line(strategy, x[seen], mean, colour) if seen.sum() > 1 else Dots(strategy, x[seen], mean, colour))
    return Figure(
        name=slug(f"trace-{problem}-{name}"),
        title=name.replace("_", " "),
        caption="Logged by the searches about themselves; line: mean over runs. A description, not a result.",
        x=Axis("epoch or line of the log"),
        y=Axis(name.replace("_", " ")),
        marks=tuple(marks),
    )


def _step(x: Floats, at: Floats, value: Floats) -> Floats:
    """The last finite value logged by each x; NaN before the first and after the last."""
    keep = np.isfinite(value) & np.isfinite(at)
    at, value = at[keep], value[keep]
    place = np.searchsorted(at, x, side="right") - 1
    inside = (place >= 0) & (x <= (at[-1] if len(at) else -np.inf))
    return np.where(inside, np.append(value, np.nan)[place], np.nan)
