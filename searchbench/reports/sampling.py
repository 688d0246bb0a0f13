"""What architectures drawn at random are worth, and what searching adds: the mean draw, and improvements over it.

A strategy that draws one architecture per replicate and selects nothing is no search: over the replicates it shows a
distribution, that of a space or of a generator of networks. Searches are compared with its mean, never with the best of
its draws.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from searchbench.metric import Metric
from searchbench.reports.evidence import ArmKind
from searchbench.reports.measured import undeclared
from searchbench.reports.standing import as_arm
from searchbench.reports.summary import Summary, summarise
from searchbench.results.records import RunRecord

if TYPE_CHECKING:
    from searchbench.statistics import Answer

KINDS: Mapping[str, ArmKind] = {
    "searchbench.strategies.random:Random": "random_search",
    "searchbench.strategies.generators:Generator": "random_sampling",
}
"""Strategies that are no search, by what their description begins with."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Draws of one strategy on one problem."""

    strategy: str
    metric: Metric
    """What was measured."""
    test_error: Summary
    """Of the draws."""
    value: Summary
    """Of the same draws on validation."""
    improvements: Mapping[str, Answer]
    """By strategy that searches: relative improvement of accuracy over the mean draw; empty where errors are no
    shares, and so accuracies not defined."""
    searched: tuple[MeanDraw, ...]
    """What random search drew on the same problem."""


@dataclass(frozen=True, slots=True)
class MeanDraw:
    """All that random search drew in its runs, and the best of each run, on validation."""

    strategy: str
    drawn: Summary
    """Over runs: the mean of a run's draws."""
    best: Summary
    """Over runs: the best of a run's draws."""


def kind_of(description: str) -> ArmKind:
    """Whether a strategy, by its description, searches, searches at random, or draws."""
    return next((kind for name, kind in KINDS.items() if f'"class":"{name}"' in description), "search")


def build(runs: Sequence[RunRecord], metric: Metric | None = None, alpha: float = 0.05) -> tuple[Sampled, ...]:
    """Every strategy that draws, from the comparable runs of one problem with their recordings; without a declared
    metric, test errors in [0, 1] are shares. `alpha` is the error of all improvements together."""
    by_strategy: dict[str, list[RunRecord]] = {}
    for run in runs:
        by_strategy.setdefault(run.strategy, []).append(run)
    kinds = {name: kind_of(own[0].description) for name, own in by_strategy.items()}
    drawing = [name for name, kind in kinds.items() if kind == "random_sampling"]
    if not drawing:
        return ()
    searched = tuple(_mean_draw(name, by_strategy[name]) for name, kind in kinds.items() if kind == "random_search")
    searching = {name: own for name, own in by_strategy.items() if kinds[name] != "random_sampling"}
    metric = metric or undeclared(run.test_error for run in runs if run.judged)
    shares = metric.share and metric.better == "lower"
    return tuple(
        Sampled(
            strategy=name,
            metric=metric,
            test_error=summarise(run.test_error for run in by_strategy[name] if run.judged),
            value=summarise(run.value for run in by_strategy[name] if run.judged),
            improvements=_improvements(searching, by_strategy[name], alpha) if shares else {},
            searched=searched,
        )
        for name in drawing
    )


def _improvements(
    searching: Mapping[str, Sequence[RunRecord]], drawn: Sequence[RunRecord], alpha: float
) -> dict[str, Answer]:
    """Draws and searches of one seed share what is random around them, so they are paired."""
    from searchbench import statistics as st

    def accuracies(name: str, runs: Sequence[RunRecord]) -> st.Arm:
        errors = as_arm(name, runs, Metric())
        return replace(errors, scores=tuple(1 - error for error in errors.scores), better="higher")

    reference = accuracies("draws", drawn)
    return st.beating_random({name: accuracies(name, runs) for name, runs in searching.items()}, reference, alpha=alpha)


def _mean_draw(name: str, runs: Sequence[RunRecord]) -> MeanDraw:
    found = [values for run in runs if run.ok and (values := _values(run))]
    return MeanDraw(name, summarise(math.fsum(v) / len(v) for v in found), summarise(min(v) for v in found))


def _values(run: RunRecord) -> list[float]:
    """Validation values of a run's draws that could be measured."""
    from searchbench.results.columns import read_trials

    values = read_trials(run.trials)["value"].to_pylist()
    return [value for value in values if value is not None and math.isfinite(value)]
