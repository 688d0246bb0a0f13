"""Figures of one problem's leaderboard: errors, ranks, differences, critical difference, costs, pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from searchbench.reports.figures.cutting import cut
from searchbench.reports.figures.figure import GREY, Axis, Band, Dots, Figure, Line, Mark, Spans, slug
from searchbench.reports.leaderboard import Block
from searchbench.results.records import RunRecord

MAX_DOTS = 200
"""Runs of a strategy that are drawn as dots; more are thinned evenly, the intervals are of all."""
MAX_PAIRS = 60
MIN_FOR_BEST_OF = 4
CROWDED = 12
"""Strategies beyond which a plot of curves shows the best and the baseline at first, the others grey."""
LEADING = 5
T = TypeVar("T")


def errors(block: Block, runs: Sequence[RunRecord], colours: Mapping[str, int]) -> Figure:
    """The metric of every run, with its mean and interval."""
    rows = [row for row in block.rows if row.n]
    scale = block.verdicts.scale
    marks: list[Mark] = []
    for y, row in enumerate(rows):
        own = [run for run in runs if run.strategy == row.strategy and run.judged]
        own = _thinned(own, MAX_DOTS)
        spread = 0.28 * np.sin(np.arange(len(own)) * 2.399963)  # a fixed scatter, so that dots do not hide each other
        told = tuple(f"{row.strategy}, seed {run.replicate}: {scale * run.test_error:.4g}" for run in own)
        marks.append(Dots(row.strategy, [scale * r.test_error for r in own], y + spread, colours[row.strategy], told,
                          small=True, legend=False))  # fmt: skip
    estimates = [row.standing.estimate for row in rows]
    spans = [a.interval if a is not None else None for a in estimates]
    middle = [scale * row.test_error.mean for row in rows]
    marks.append(
        Spans(
            f"mean, {block.verdicts.declared.confidence} interval",
            [m if s is None else s.low for s, m in zip(spans, middle, strict=True)],
            middle,
            [m if s is None else s.high for s, m in zip(spans, middle, strict=True)],
            list(range(len(rows))),
            [colours[row.strategy] for row in rows],
            tuple(a.wording if a is not None else "" for a in estimates),
        )
    )
    drawn = Figure(
        slug(f"errors-{block.problem}"),
        f"{_capital(block)} of every run",
        "Each dot is one independent search, judged once. Bars: mean with its "
        f"{block.verdicts.declared.confidence} t-interval, each by itself. Overlapping bars do "
        "not say that strategies are alike: they are compared in pairs, below.",
        Axis(block.verdicts.metric.heading),
        Axis(categories=tuple(row.strategy for row in rows)),
        tuple(marks),
    )
    return cut(drawn, "x")


def rank_intervals(block: Block, colours: Mapping[str, int]) -> Figure | None:
    """Simultaneous rank intervals."""
    rows = [row for row in block.rows if row.standing.ranks]
    if not rows:
        return None
    bounds = [row.standing.ranks or (0, 0) for row in rows]
    y = list(range(len(rows)))
    told = tuple(f"{r.strategy}: rank {low} to {high}" for r, (low, high) in zip(rows, bounds, strict=True))
    marks: list[Mark] = [
        Spans(
            f"simultaneous {block.verdicts.declared.confidence} ranks",
            [b[0] for b in bounds], [math.nan] * len(rows), [b[1] for b in bounds], y,
            [colours[row.strategy] for row in rows], told,
        ),
    ]  # fmt: skip
    return Figure(
        slug(f"ranks-{block.problem}"),
        "Rank intervals",
        "Places each strategy may hold, all at once, at the declared level: an interval that begins at 1 belongs to "
        "the top group. Wide intervals mean too few seeds, not equal strategies.",
        Axis("rank (1 is best)", whole=True),
        Axis(categories=tuple(row.strategy for row in rows)),
        tuple(marks),
    )


def differences(block: Block, colours: Mapping[str, int]) -> Figure | None:
    """Each strategy minus the baseline, paired by seed, with its joint interval."""
    rows = [row for row in block.rows if row.standing.versus is not None and row.standing.versus.estimate is not None]
    declared = block.verdicts.declared
    if not rows:
        return None
    answers = [row.standing.versus for row in rows if row.standing.versus is not None]
    middle = [float(a.estimate or 0.0) for a in answers]
    low = [m if a.interval is None else a.interval.low for a, m in zip(answers, middle, strict=True)]
    high = [m if a.interval is None else a.interval.high for a, m in zip(answers, middle, strict=True)]
    rope = None if declared.rope is None else declared.rope * block.verdicts.scale
    unit = f" ({block.verdicts.unit})" if block.verdicts.unit else ""
    told = tuple(a.wording for a in answers)
    better = "" if block.verdicts.metric.better == "lower" else " (higher is better)"
    shade = "; shaded: practically none" if rope else ""
    drawn = Figure(
        slug(f"differences-{block.problem}"),
        f"Difference from {declared.baseline}",
        f"Paired difference ({declared.estimand}) and its {declared.confidence} interval; all intervals hold jointly"
        f"{shade}. Left of zero: lower {block.verdicts.metric.name} than {declared.baseline}{better}.",
        Axis(f"{block.verdicts.metric.name} minus that of {declared.baseline}{unit}"),
        Axis(categories=tuple(row.strategy for row in rows)),
        (Spans("difference", low, middle, high, list(range(len(rows))), [colours[r.strategy] for r in rows], told),),
        vertical=(0.0,),
        shaded=(-rope, rope) if rope else None,
    )
    return cut(drawn, "x")


def critical_difference(block: Block, colours: Mapping[str, int]) -> Figure | None:
    """Average ranks over paired seeds with Nemenyi's critical difference; None where too few seeds allow it."""
    from searchbench import statistics as st
    from searchbench.statistics.one_task import worst_finite

    arms = block.verdicts.arms
    if not block.ranked or len(arms) < 3 or not arms[0].n:
        return None
    losses = np.stack([a.losses() for a in arms], axis=1)
    if np.isnan(losses).any():
        return None
    found = st.nemenyi(worst_finite(losses), better="lower", alpha=block.verdicts.declared.level)
    if found.status != "ok":
        return None
    mean, half = np.asarray(found["average_ranks"]), float(found["cd"]) / 2
    order = np.argsort(mean)
    names = [arms[i].name for i in order]
    return Figure(
        slug(f"critical-difference-{block.problem}"),
        "Critical difference",
        f"Average ranks over N = {found.n} paired seeds of this one problem; bars: half of Nemenyi's critical "
        f"difference ({2 * half:.2f}) to either side, so strategies whose bars do not overlap differ. It says nothing "
        "about other problems.",
        Axis(f"average rank over {found.n} seeds (1 is best)"),
        Axis(categories=tuple(names)),
        (
            Spans("average rank ± CD/2", list(mean[order] - half), list(mean[order]), list(mean[order] + half),
                  list(range(len(names))), [colours[name] for name in names]),
        ),
    )  # fmt: skip


def against(
    block: Block, runs: Sequence[RunRecord], colours: Mapping[str, int], *, axis: str, title: str
) -> Figure | None:
    """Test error against a cost or the found networks' parameters: runs, means, and the Pareto front of the means."""
    scale = block.verdicts.scale
    marks: list[Mark] = []
    means: list[tuple[float, float]] = []
    for row in block.rows:
        own = [run for run in runs if run.strategy == row.strategy and run.judged]
        x = [_quantity(run, axis) for run in own]
        if not x or not all(math.isfinite(v) and v > 0 for v in x):
            continue
        shown = _thinned(list(zip(x, own, strict=True)), MAX_DOTS)
        told = tuple(f"{row.strategy}, seed {run.replicate}" for _, run in shown)
        marks.append(Dots(row.strategy, [v for v, _ in shown], [scale * run.test_error for _, run in shown],
                          colours[row.strategy], told, small=True, legend=False))  # fmt: skip
        mean = (sum(x) / len(x), scale * row.test_error.mean)
        means.append(mean)
        marks.append(Dots(row.strategy, [mean[0]], [mean[1]], colours[row.strategy], (f"{row.strategy}: mean",)))
    if len(means) < 2:
        return None
    front = _pareto(means, 1 if block.verdicts.metric.better == "lower" else -1)
    marks.insert(0, Line("Pareto front of the means", [x for x, _ in front], [y for _, y in front], GREY, dashed=True))
    drawn = Figure(
        slug(f"error-{axis}-{block.problem}"),
        f"{_capital(block)} against {title}",
        "Small: runs; large: means. Dashed: means that no other mean beats on both axes (a description).",
        Axis(title, log=True),
        Axis(block.verdicts.metric.heading),
        tuple(marks),
        focus=focus(block),
    )
    return cut(drawn, "y")


def pairs(block: Block, strategy: str, colours: Mapping[str, int]) -> Figure | None:
    """A strategy and the baseline, seed by seed."""
    baseline = block.verdicts.declared.baseline
    arms = {a.name: a for a in block.verdicts.arms}
    if baseline not in arms or strategy not in arms or strategy == baseline:
        return None
    a, b = arms[strategy], arms[str(baseline)]
    seeds = _thinned([s for s, u, v in zip(a.seeds, a.values, b.values, strict=True) if np.isfinite(u + v)], MAX_PAIRS)
    if not seeds:
        return None
    left, right = a.at(seeds).values, b.at(seeds).values
    y = np.arange(len(seeds), dtype=np.float64)
    gap = np.full(len(seeds), np.nan)
    links = Line("pair", np.stack([left, right, gap], 1).ravel(), np.stack([y, y, gap], 1).ravel(), GREY, legend=False)
    return Figure(
        slug(f"pairs-{block.problem}-{strategy}"),
        f"{strategy} and {baseline}, seed by seed",
        "Runs of one seed share the split, the first designs and the evaluation noise, so they are compared in pairs.",
        Axis(block.verdicts.metric.heading),
        Axis("seed", categories=tuple(str(seed) for seed in seeds)),
        (links, Dots(strategy, left, y, colours[strategy]), Dots(str(baseline), right, y, colours[str(baseline)],
                                                                 hollow=True)),
    )  # fmt: skip


def best_of(block: Block, runs: Sequence[RunRecord], colours: Mapping[str, int]) -> Figure | None:
    """What reporting only the best of n searches would be expected to show; up to half of the runs."""
    from searchbench import statistics as st

    scale, metric = block.verdicts.scale, block.verdicts.metric
    best = "lowest" if metric.better == "lower" else "highest"
    marks: list[Mark] = []
    for row in block.rows:
        values = [scale * run.test_error for run in runs if run.strategy == row.strategy and run.judged]
        if len(values) < MIN_FOR_BEST_OF:
            continue
        banded = len(values) <= MAX_DOTS  # the bootstrap's cost grows with the square of the runs
        found = st.expected_best(values, better=metric.better, resamples=500 if banded else 1)
        half = len(values) // 2
        n, colour = np.arange(1.0, half + 1), colours[row.strategy]
        if banded:
            marks.append(Band(row.strategy, n, found["low"][:half], found["high"][:half], colour))
        marks.append(Line(row.strategy, n, found["expected_best"][:half], colour, step=True))
    if not marks:
        return None
    drawn = Figure(
        slug(f"best-of-{block.problem}"),
        "What reporting the best of n would show",
        f"Expected {best} {metric.name} of n searches (unbiased, Tang et al. 2020) with its 95 % bootstrap band, up to "
        "half of the runs. At n = 1 it is the mean, which the leaderboard ranks; a best-of-n row of another table is "
        "to be read at its n.",
        Axis("searches, of which the best is reported", whole=True),
        Axis(f"expected {best} {metric.heading}"),
        tuple(marks),
        focus=focus(block),
    )
    return cut(drawn, "y")


def focus(block: Block) -> tuple[str, ...]:
    """The baseline and the best few, where there are too many strategies to be told apart at once; else none."""
    if len(block.rows) <= CROWDED:
        return ()
    best = [row.strategy for row in block.rows if row.n][:LEADING]
    baseline = block.verdicts.declared.baseline
    return tuple(dict.fromkeys([*best, *([] if baseline is None else [baseline])]))


def _quantity(run: RunRecord, axis: str) -> float:
    if axis in ("params", "macs of the network"):
        return float(run.test_metrics.get("params" if axis == "params" else "macs", math.nan))
    return float(getattr(run.cost, axis))


def _capital(block: Block) -> str:
    name = block.verdicts.metric.name
    return name[:1].upper() + name[1:]


def _pareto(points: Sequence[tuple[float, float]], sign: int) -> list[tuple[float, float]]:
    front: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (p[0], sign * p[1])):
        if not front or sign * point[1] < sign * front[-1][1]:
            front.append(point)
    return front


def _thinned(items: Sequence[T], most: int) -> list[T]:
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, most).round().astype(int))]
