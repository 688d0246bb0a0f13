"""How well supernets rank architectures: inherited weights against the truth, method by method, on one sample.

What a search handed over was selected, and `ranking` can say no more of it. Here every supernet has scored the same
architectures (strategy `stratified-sample` as second half), so tau is that of the sample, within each supernet. Beside
it stand the floor (parameters, MACs), the ceiling (two trainings of the same architectures), and what trusting the
supernet's k best costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from searchbench.reports.leaderboard import current_runs
from searchbench.reports.measured import undeclared
from searchbench.results.inherited import MEASURES, Scores, Truth, alike, common, scores_of
from searchbench.results.records import StudyRecord
from searchbench.results.store import ResultStore

if TYPE_CHECKING:
    from searchbench.statistics import Answer, Interval

MIN_ARCHITECTURES = 10
"""Below it no rank correlation is claimed; that of the statistics layer."""
KS = (1, 10)


@dataclass(frozen=True, slots=True)
class Method:
    """How well the supernets of one strategy rank the sample."""

    name: str
    seeds: tuple[int, ...]
    passes: float
    """Mean passes over the training split that a supernet was charged."""
    tau: Answer
    """Mean tau-b within a supernet; see `statistics.supernet_correlation`."""
    regrets: tuple[tuple[int, float, float], ...]
    """k, and mean and standard deviation over supernets of: the truth of the best among its k best, minus that of the
    best of the sample, in shown units."""
    by_measure: Mapping[str, Answer] = field(default_factory=dict)
    """The same tau by "error" and by "loss" of the same passes, where all of its supernets recorded them."""


@dataclass(frozen=True, slots=True)
class Against:
    """Two methods, paired by seed."""

    a: str
    b: str
    answer: Answer
    """Of the differences of tau, a minus b, over seeds; Holm over all pairs."""
    both: Interval
    """Of the mean difference, architectures and supernets resampled."""
    wins: int
    """Seeds in which a ranks better."""


@dataclass(frozen=True, slots=True)
class SharingRanking:
    """The ranking by inherited weights on one problem."""

    study: str
    problem: str
    truth: str
    architectures: int
    repeats: int
    missing: int
    """Architectures that every supernet scored, but the truth has no complete answer for."""
    methods: tuple[Method, ...]
    refused: tuple[tuple[str, str], ...]
    """Strategies of which some supernets scored something else than the sample, and how many."""
    comparisons: tuple[Against, ...]
    ceiling: Answer | None
    """Mean tau-b of two single trainings; None where there is one of each only."""
    alone: Answer | None
    """Mean tau-b of a single training with the mean of the others: what a perfect proxy of one training would reach."""
    params: Answer
    macs: Answer
    unit: str


Found = Mapping[str, Mapping[str, Sequence[Scores]]]
"""Per problem, per strategy, the scores of its runs."""


def gather(store: ResultStore, study: StudyRecord) -> Found:
    """Scores by inherited weights in a study's comparable runs that ended well."""
    runs, _ = current_runs(study, store.runs(study.name))
    found: dict[str, dict[str, list[Scores]]] = {}
    for problem, own in runs.items():
        for run in sorted(own, key=lambda run: run.replicate):
            scores = scores_of(run) if run.ok else None
            if scores is not None:
                found.setdefault(problem, {}).setdefault(run.strategy, []).append(scores)
    return found


def sample(methods: Mapping[str, Sequence[Scores]]) -> dict[str, str]:
    """The architectures, in the space's notation by key, that all supernets which were asked alike have scored."""
    return common(alike(scores for own in methods.values() for scores in own))


def build(study: str, problem: str, methods: Mapping[str, Sequence[Scores]], truth: Truth) -> SharingRanking:
    """The analysis of one problem, over the architectures of the sample that the truth answers for."""
    sampled = {id(scores) for scores in alike(scores for own in methods.values() for scores in own)}
    able = {name: kept for name, own in methods.items() if (kept := [s for s in own if id(s) in sampled])}
    keys = [key for key in sample(methods) if key in truth.errors]
    repeats = [truth.errors[key] for key in keys]
    errors = [math.fsum(own) / len(own) for own in repeats]
    good = [-error for error in errors]
    metric = undeclared(errors)  # the truth may be another table's
    scale = metric.scale
    proxies = {name: [[-scores.values[key] for key in keys] for scores in own] for name, own in able.items()}
    ranked = tuple(_method(name, own, proxies[name], errors, scale, keys) for name, own in able.items() if keys)
    return SharingRanking(
        study=study,
        problem=problem,
        truth=truth.name,
        architectures=len(keys),
        repeats=len(repeats[0]) if keys else 0,
        missing=truth.missing,
        methods=ranked,
        refused=tuple(
            (name, f"{len(own) - len(able.get(name, ()))} of its {len(own)} supernets scored other architectures")
            for name, own in methods.items()
            if len(able.get(name, ())) < len(own)
        ),
        comparisons=_comparisons(ranked, proxies, good),
        ceiling=_between(repeats, alone=False),
        alone=_between(repeats, alone=True),
        params=_floor(good, [truth.sizes[key][0] for key in keys]),
        macs=_floor(good, [truth.sizes[key][1] for key in keys]),
        unit=metric.difference_unit,
    )


def _method(
    name: str,
    own: Sequence[Scores],
    proxies: Sequence[Sequence[float]],
    errors: Sequence[float],
    scale: float,
    keys: Sequence[str],
) -> Method:
    from searchbench import statistics as st

    shown = [scale * error for error in errors]
    regrets = []
    for k in (k for k in KS if k < len(errors)):
        each = [st.top_k(shown, proxy, k, better="lower").estimate or 0.0 for proxy in proxies]
        regrets.append((k, *_mean_std(each)))
    good = [-error for error in errors]
    measures = [m for m in MEASURES if all(m in scores.measures for scores in own)]
    by_measure = {
        m: st.supernet_correlation(good, [[-scores.measures[m][key] for key in keys] for scores in own])
        for m in measures
    }
    return Method(
        name=name,
        seeds=tuple(scores.replicate for scores in own),
        passes=math.fsum(scores.passes for scores in own) / len(own),
        tau=st.supernet_correlation(good, proxies),
        regrets=tuple(regrets),
        by_measure=by_measure,
    )


def _comparisons(
    methods: Sequence[Method], proxies: Mapping[str, Sequence[Sequence[float]]], good: Sequence[float]
) -> tuple[Against, ...]:
    """Every pair of methods that has a tau under the seeds of the first."""
    from searchbench import statistics as st

    able = [m for m in methods if m.tau.status == "ok" and len(m.seeds) > 1]
    taus = {m.name: dict(zip(m.seeds, m.tau["taus"], strict=True)) for m in able if m.seeds == able[0].seeds}
    if len(taus) < 2:
        return ()
    arms = [st.arm(own, name=name, better="higher") for name, own in taus.items()]
    return tuple(
        Against(
            a=a,
            b=b,
            answer=answer,
            both=st.correlation_difference(good, proxies[a], proxies[b]),
            wins=sum(taus[a][seed] > taus[b][seed] for seed in taus[a]),
        )
        for (a, b), answer in st.all_pairs(arms, paired_by_seed=True)
    )


def _between(repeats: Sequence[Sequence[float]], *, alone: bool) -> Answer | None:
    """Mean tau-b between two measurements of all architectures, over all pairs; `alone`: between one and the mean of
    the others, over all of them."""
    from searchbench import statistics as st

    columns = [[-error for error in column] for column in zip(*repeats, strict=True)]
    if len(columns) < 2:
        return None
    if alone:
        whole = [math.fsum(row) for row in zip(*columns, strict=True)]
        pairs = [([s - x for s, x in zip(whole, column, strict=True)], column) for column in columns]
    else:
        pairs = list(combinations(columns, 2))
    taus = [st.rank_correlation(a, b, resamples=1).estimate for a, b in pairs]
    known = [tau for tau in taus if tau is not None]
    answer = st.rank_correlation(*pairs[0])
    if len(known) < len(taus) or answer.estimate is None:
        return answer
    return answer.with_facts(taus=known, mean=math.fsum(known) / len(known))


def _floor(good: Sequence[float], sizes: Sequence[float]) -> Answer:
    """Tau-b of the truth and a size, the larger the better."""
    from searchbench import statistics as st
    from searchbench.statistics.record import refused

    if len(good) < MIN_ARCHITECTURES or not all(map(math.isfinite, sizes)):
        why = "the sizes of the architectures are not known" if good else "there are no architectures"
        return refused("Kendall tau-b", "scipy.stats.kendalltau", len(good), why)
    return st.rank_correlation(good, sizes)


def _mean_std(values: Sequence[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, math.nan
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
