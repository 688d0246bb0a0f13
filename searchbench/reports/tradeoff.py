"""Error against what a network costs: Pareto fronts, and the hypervolume of every strategy across its searches.

The hypervolume is the share of the box between the origin and a reference point that a search's points dominate. Where
the study declares the reference (`comparison.reference`), numbers of studies that declare the same compare. What it
does not declare is the worst of all that the strategies of a problem handed over, and a tenth beyond, one for all
strategies, and likewise of all that they measured (of which only the cost is ever declared); it moves when strategies
are added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searchbench.metric import Metric
from searchbench.reports.leaderboard import current_runs, noted
from searchbench.reports.measured import metric_of
from searchbench.results.columns import read_events, read_trials
from searchbench.results.history import Caveat, caveats_of
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import ResultStore
from searchbench.statistics import Answer, arm, describe, hypervolume, pareto

METRICS = {"latency_ms": "latency (ms)", "macs": "MACs", "params": "parameters"}
"""What error is traded for, and how it is called."""
BEYOND = 1.1
Points = list[tuple[float, float]]
"""(cost, value) of trials."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one search handed over."""

    strategy: str
    replicate: int
    architecture: str
    cost: float
    """In the metric's unit."""
    error: float
    """Test error, as the judge stated it."""


@dataclass(frozen=True, slots=True)
class Traded:
    """One strategy."""

    strategy: str
    found: tuple[Found, ...]
    on_front: int
    """How many of its finds nothing handed over by anyone dominates."""
    judged: Answer
    """Hypervolume of what a search hands over: (test error, cost), mean and spread across searches."""
    measured: Answer | None
    """Hypervolume of everything a search measured: (validation value, cost), values as the search knew them; None
    where it measured no whole networks."""


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """One problem and one metric."""

    study: str
    problem: str
    metric: str
    reference: tuple[float, float]
    """(cost, error)."""
    declared: bool
    """Whether the study declared the reference."""
    measured_reference: tuple[float, float]
    """(cost, validation value), for all that was measured; NaN where nothing was. The value is never declared: what a
    search knows, of a short training or inherited weights, has another scale than the judge's error."""
    rows: tuple[Traded, ...]
    front: tuple[Found, ...]
    """Of all that was handed over, by cost."""
    measured: Metric
    """What error is meant."""
    caveats: tuple[Caveat, ...] = ()
    """What the numbers must be read with."""

    @property
    def scale(self) -> float:
        """Shown units per unit of the error."""
        return self.measured.scale

    @property
    def name(self) -> str:
        """The metric in words."""
        return METRICS[self.metric]


def tradeoffs(store: ResultStore, study: str | None = None) -> list[Tradeoff]:
    """Those of a study, the one declared last without a name; one for each problem and metric it reports.

    Raises:
        StoreError: there is no such study.
    """
    declared = store.history(study).whole
    runs, _ = current_runs(declared, store.runs(declared.name))
    return build(declared, runs)


def build(study: StudyRecord, runs: Mapping[str, Sequence[RunRecord]]) -> list[Tradeoff]:
    """Trade-offs from the comparable runs of each problem."""
    labels = [problem["label"] for problem in study.declared.get("problems", [])]
    given = (study.declared.get("comparison") or {}).get("reference") or {}
    made = (
        _one(
            study.name,
            label,
            metric,
            runs.get(label, ()),
            searched,
            given,
            metric_of(study.declared, label, _errors(runs, label)),
            (*caveats_of(study.declared), *(Caveat("noted", said) for said in noted(runs.get(label, ())))),
        )
        for label in labels
        for searched in (_searched(runs.get(label, ())),)
        for metric in METRICS
    )
    return [one for one in made if one is not None]


def _errors(runs: Mapping[str, Sequence[RunRecord]], problem: str) -> list[float]:
    return [run.test_error for run in runs.get(problem, ()) if run.judged]


def records(found: Iterable[Tradeoff]) -> Iterable[dict[str, Any]]:
    """A row for each find: its place, whether it is on the front, and its strategy's hypervolumes."""
    for one in found:
        front = set(one.front)
        for row in one.rows:
            for own in row.found:
                yield {
                    "problem": one.problem, "metric": one.metric, "strategy": own.strategy, "seed": own.replicate,
                    "cost": own.cost, "test_error": own.error, "on_front": own in front,
                    "architecture": own.architecture, "hypervolume_mean": row.judged.estimate,
                    "hypervolume_std": row.judged.get("std"),
                    "searched_hypervolume_mean": row.measured.estimate if row.measured else None,
                    "searched_hypervolume_std": row.measured.get("std") if row.measured else None,
                    "reference_cost": one.reference[0], "reference_error": one.reference[1],
                    "caveats": ";".join(dict.fromkeys(caveat.kind for caveat in one.caveats)),
                }  # fmt: skip


def _one(
    study: str,
    problem: str,
    metric: str,
    runs: Sequence[RunRecord],
    seen: Mapping[str, Mapping[str, Points]],
    given: Mapping[str, float],
    measured: Metric,
    caveats: tuple[Caveat, ...],
) -> Tradeoff | None:
    whole = 1.0 if measured.better == "higher" and measured.share else 0.0  # of an accuracy, what is lacking
    if whole:
        measured = Metric(f"1 - {measured.name}", share=True)
    found = [
        Found(
            run.strategy,
            run.replicate,
            run.architecture or "",
            float(run.test_metrics[metric]),
            whole + run.test_error,
        )
        for run in runs
        if run.judged and run.test_metrics.get(metric, 0.0) > 0
    ]
    if not found or min(own.error for own in found) < 0 or measured.better == "higher":
        return None  # a hypervolume between zero and a reference is of errors
    reference = _corner([(f.cost, f.error) for f in found], given.get(metric), given.get("test_error"))
    searched = {run: [(cost, whole + value) for cost, value in own] for run, own in seen[metric].items()}
    worst = _corner([point for points in searched.values() for point in points], given.get(metric), None)
    front = tuple(found[at] for at in pareto([(f.cost, f.error) for f in found]))
    names = dict.fromkeys(run.strategy for run in runs)
    rows = tuple(
        _row(
            name,
            [run for run in runs if run.strategy == name],
            [own for own in found if own.strategy == name],
            front,
            searched,
            reference,
            worst,
        )
        for name in names
    )
    declared = metric in given and "test_error" in given
    return Tradeoff(study, problem, metric, reference, declared, worst, rows, front, measured, caveats)


def _row(
    name: str,
    runs: Sequence[RunRecord],
    found: Sequence[Found],
    front: Sequence[Found],
    measured: Mapping[str, Sequence[tuple[float, float]]],
    reference: tuple[float, float],
    worst: tuple[float, float],
) -> Traded:
    judged = {run.replicate: math.nan for run in runs} | {
        own.replicate: share([(own.cost, own.error)], reference) for own in found
    }
    searched = {run.replicate: share(measured[run.run_id], worst) for run in runs if run.run_id in measured}
    return Traded(
        name,
        tuple(found),
        sum(own in front for own in found),
        _described(judged, name),
        _described(searched, name) if searched else None,
    )


def _corner(points: Sequence[tuple[float, float]], cost: float | None, error: float | None) -> tuple[float, float]:
    """The corner as declared; what is not, a tenth beyond the worst."""
    if not points:
        return math.nan, math.nan
    worst_cost, worst_error = max(cost for cost, _ in points), max(error for _, error in points) or 1.0
    return BEYOND * worst_cost if cost is None else cost, BEYOND * worst_error if error is None else error


def share(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Hypervolume of points as a share of the box between the origin and the reference, in [0, 1]."""
    return hypervolume(points, reference) / math.prod(reference)


def _described(values: Mapping[int, float], name: str) -> Answer:
    return describe(arm(values, name=name, better="higher"), decimals=3)


def _searched(runs: Iterable[RunRecord]) -> dict[str, dict[str, Points]]:
    """Points by metric and run: (cost, value) of trials that went well, where they report the metric."""
    found: dict[str, dict[str, Points]] = {metric: {} for metric in METRICS}
    for run in runs:
        events = read_events(run.trials) if run.trials else None
        reported = [] if events is None else [m for m in METRICS if f"metric_{m}" in events.column_names]
        trials = read_trials(run.trials) if reported else None
        for metric in reported:
            assert trials is not None
            rows = zip(trials[f"metric_{metric}"].to_pylist(), trials["value"].to_pylist(), strict=True)
            points = [(c, v) for c, v in rows if None not in (c, v) and math.isfinite(c) and math.isfinite(v)]
            if points:
                found[metric][run.run_id] = _telling(points)
    return found


def _telling(points: Points) -> Points:
    """The points of a run that its front and the worst of all runs follow from; no others say more."""
    worst = [column.index(max(column)) for column in zip(*points, strict=True)]
    return [points[at] for at in dict.fromkeys([*pareto(points), *worst])]
