"""Ranks with their uncertainty: rank intervals, P(best) and a leaderboard that shares ranks where runs overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from searchbench.statistics.many_tasks import MIN_SEEDS, Aggregate, Scores, aggregate
from searchbench.statistics.record import Answer


@dataclass(frozen=True, slots=True)
class Place:
    """One row of a ranking.

    Attributes:
        name: the strategy.
        rank: where its point estimate stands; None where nothing may be ranked.
        low, high: rank interval; None where refused.
        p_best: how often it is first among the joint-seed resamples; None where refused.
        answer: its interquartile mean.
    """

    name: str
    rank: int | None
    low: int | None
    high: int | None
    p_best: float | None
    answer: Answer

    @property
    def shown(self) -> str:
        """ "1-3", "2", or "-" where nothing may be ranked."""
        if self.low is None or self.high is None:
            return "-"
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows from best to worst, and why there are no ranks if there are none."""

    places: tuple[Place, ...]
    refusal_reason: str = ""

    def __getitem__(self, name: str) -> Place:
        return next(p for p in self.places if p.name == name)


def rank(scores: Scores | Aggregate, *, level: float = 0.95, resamples: int = 2_000, seed: int = 0) -> Ranking:
    """Order by IQM of normalised regret; intervals and P(best) from the joint-seed bootstrap.

    Below 10 seeds the order is shown and the ranks are refused; `one_task.Family.rank_intervals` holds at any n.
    Where the aggregate itself is refused nothing is ordered.
    """
    found = scores if isinstance(scores, Aggregate) else aggregate(scores, level=level, resamples=resamples, seed=seed)
    reason = found.answers[0].refusal_reason
    if found.answers[0].estimate is None:
        rows = tuple(Place(n, None, None, None, None, a) for n, a in zip(found.names, found.answers, strict=True))
        return Ranking(rows, reason)
    if not len(found.draws):
        order = np.argsort(found.losses, kind="stable")
        rows = tuple(Place(found.names[i], at + 1, None, None, None, found.answers[i]) for at, i in enumerate(order))
        return Ranking(rows, reason or f"ranks need {MIN_SEEDS} seeds")
    return Ranking(_places(found, level))


def _places(found: Aggregate, level: float) -> tuple[Place, ...]:
    ranks = stats.rankdata(found.draws, axis=1)
    tail = 0.5 - level / 2
    low = np.floor(np.quantile(ranks, tail, axis=0)).astype(int)
    high = np.ceil(np.quantile(ranks, 1 - tail, axis=0)).astype(int)
    best = p_best(found.draws)
    point = found.losses
    places = stats.rankdata(point, method="min").astype(int)
    rows = []
    for i in np.argsort(point, kind="stable"):
        at = int(places[i])
        bounds = min(int(low[i]), at), max(int(high[i]), at)
        rows.append(Place(found.names[i], at, *bounds, float(best[i]), found.answers[i]))
    return tuple(rows)


def p_best(draws: np.ndarray) -> np.ndarray:
    """Share of resamples [resamples, k] in which each strategy has the smallest loss; ties are split."""
    first = draws == draws.min(axis=1, keepdims=True)
    return np.asarray((first / first.sum(axis=1, keepdims=True)).mean(axis=0))
