"""Ranks over one or several tasks: simultaneous confidence ranks, from the same tests as on one task.

A run of each strategy under one seed on one task is a unit; units are compared in pairs, so that what holds is about
*these* tasks. The bootstrap's P(best) stands beside as a description.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from searchbench.statistics.arms import Arm
from searchbench.statistics.arms import arm as as_arm
from searchbench.statistics.estimand import Estimand, EstimandName
from searchbench.statistics.estimand import estimand as find_estimand
from searchbench.statistics.many_tasks import Aggregate, Scores, aggregate, p_best
from searchbench.statistics.one_task import Family, all_pairs, baseline_then_others
from searchbench.statistics.record import Answer


@dataclass(frozen=True, slots=True)
class Place:
    """One row of a ranking.

    Attributes:
        name: the strategy.
        rank: where it stands by the estimand, nobody above one shown better; None where nothing may be ranked.
        low, high: simultaneous rank interval; None where refused.
        p_best: how often it is first among the joint-seed resamples; a description; None below 10 seeds.
        answer: its aggregate.
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
    """Rows from best to worst, and why there are no ranks if there are none.

    Attributes:
        places: best first.
        refusal_reason: why nothing is ranked; empty where it is.
        family: the tests that the ranks follow from; None where nothing is ranked.
    """

    places: tuple[Place, ...]
    refusal_reason: str = ""
    family: Family | None = None

    def __getitem__(self, name: str) -> Place:
        return next(p for p in self.places if p.name == name)

    @property
    def wording(self) -> str:
        """The ranks in one sentence, or why there are none."""
        if self.refusal_reason:
            return f"not ranked: {self.refusal_reason}"
        return "simultaneous ranks: " + ", ".join(f"{p.name} {p.shown}" for p in self.places)

    def __str__(self) -> str:
        return self.wording


def rank(
    scores: Scores,
    *,
    baseline: str | None = None,
    alpha: float = 0.05,
    rope: float | None = None,
    estimand: EstimandName | Estimand = "iqm",
    resamples: int = 2_000,
    seed: int = 0,
) -> Ranking:
    """Order by an estimand of normalised regret, with simultaneous ranks that hold at any number of seeds.

    Where the aggregate itself is refused nothing is ordered.

    Args:
        baseline: the family is each against it, then the others in pairs; all pairs without one.
        alpha: error of the whole family.
        rope: differences up to this are practically none.
        estimand: what orders, tests and is estimated: "mean", "median", "iqm" or "rank".
        resamples: of P(best).
        seed: declared seed of resamples and random flips.
    """
    led = find_estimand(estimand)
    found = aggregate(scores, level=1 - alpha, resamples=resamples, seed=seed, estimand=led)
    if found.answers[0].estimate is None:
        rows = tuple(Place(n, None, None, None, None, a) for n, a in zip(found.names, found.answers, strict=True))
        return Ranking(rows, found.answers[0].refusal_reason)
    if len(found.names) < 2:
        return Ranking((Place(found.names[0], 1, 1, 1, None, found.answers[0]),))
    family = _family(scores, found, led, baseline, alpha, rope, seed)
    ranks, best = family.rank_intervals(), p_best(scores, resamples=resamples, seed=seed)
    rows = tuple(
        Place(name, at + 1, *ranks[name], best.get(name), found[name]) for at, name in enumerate(family.order())
    )
    return Ranking(rows, "", family)


def _family(
    scores: Scores, found: Aggregate, led: Estimand, baseline: str | None, alpha: float, rope: float | None, seed: int
) -> Family:
    arms = units(scores)
    asked: dict[str, Any] = {
        "paired_by_seed": scores.same_seeds,
        "alpha": alpha,
        "rope": rope,
        "seed": seed,
        "estimand": led,
    }
    family = all_pairs(arms, **asked) if baseline is None else baseline_then_others(arms, baseline, **asked)
    sign = -1.0 if scores.better[0] == "higher" else 1.0
    return replace(family, locations=dict(zip(found.names, (sign * np.asarray(found.losses)).tolist(), strict=True)))


def units(scores: Scores) -> list[Arm]:
    """One arm per strategy whose runs are its (seed, task) units; failed runs stay failed."""
    flat = scores.units()
    return [as_arm(flat[i], name=name, better=scores.better[0]) for i, name in enumerate(scores.names)]
