"""Whether what a search knew ranks architectures as the judge does: supernet and proxy ranking against the truth.

The truth is the judge's test error. Beside every correlation stand the floor (counting parameters or MACs is a proxy
too) and the noise ceiling (how well two judgements of the same architectures agree), as Yang et al. 2020, section 5.3,
ask for (checklist item C28).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from searchbench.metric import Metric
from searchbench.reports.leaderboard import current_runs
from searchbench.reports.measured import declared_metric, natural, undeclared
from searchbench.results.history import Caveat, caveats_of
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import ResultStore
from searchbench.statistics.record import marked

if TYPE_CHECKING:
    from searchbench.statistics import Answer

MIN_ARCHITECTURES = 10
"""Below it no rank correlation is claimed; that of the statistics layer."""
KS = (1, 3, 5, 10)
POOLED = "all strategies"
ESTIMATED, INHERITED, UNVALUED = "estimated", "inherited", "no value"
WHAT = {
    ESTIMATED: "values of the problem's estimator, charged as evaluations",
    INHERITED: "scores by the inherited weights of a supernet, 0 evaluations charged",
    UNVALUED: "handed over without a validation value",
}
SELECTED = (
    "Only architectures that a search handed over are judged. They were selected, so the range is restricted and tau "
    "is as a rule lower than it would be over a random sample of the space."
)
OWN_SUPERNET = (
    "Scores of inherited weights come from a supernet for every seed, each with a scale of its own: that, too, lowers "
    "a tau taken over seeds."
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One architecture and the means over its judgements."""

    key: str
    strategies: tuple[str, ...]
    value: float
    """What the searches knew, lower is better; NaN where one of them stated none."""
    error: float
    """The judge's test error."""
    params: float
    macs: float
    judgements: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one strategy's values, or those of several, rank the architectures they handed over."""

    name: str
    pooled: bool
    kind: str
    """A key of `WHAT`."""
    judged: tuple[Judged, ...]
    """Distinct architectures with both a value and a test error."""
    without_value: int
    """Distinct architectures judged, but handed over without a value."""
    tau: Answer
    """Tau-b of value and test error, Spearman among its facts; or why not."""
    params: Answer
    """Floor: the same architectures ranked by their parameters, the more the better."""
    macs: Answer
    """Floor: by their MACs."""
    regrets: tuple[tuple[int, float], ...]
    """k, and the test error of the best among the k best by value minus that of the best judged, in shown units."""

    @property
    def spearman(self) -> float | None:
        """Spearman's correlation where tau stands."""
        return self.tau.get("spearman") if self.tau.status == "ok" else None


@dataclass(frozen=True, slots=True)
class ProxyRanking:
    """The ranking of one problem against the truth."""

    study: str
    problem: str
    architectures: int
    """Distinct architectures judged."""
    judgements: int
    failed: int
    """Architectures handed over and not judged: the judge failed."""
    agreements: tuple[Agreement, ...]
    """Pooled ones first, one for each kind of value, then every strategy that handed something over."""
    ceiling: Answer
    """Tau-b of two judgements of the same architectures under different seeds; or why not."""
    metric: Metric
    """What was measured; errors here are its negative where more is better."""
    limits: tuple[str, ...]
    """What a tau over architectures that were handed over cannot say, a sentence each."""
    caveats: tuple[Caveat, ...] = ()
    """What every statement about the study must be read with."""

    @property
    def unit(self) -> str:
        """What differences are counted in."""
        return self.metric.difference_unit

    @property
    def scale(self) -> float:
        """What an error is multiplied by to be shown."""
        return self.metric.factor

    @property
    def conclusion(self) -> str:
        """The pooled answers, in one sentence each."""
        pooled = [a for a in self.agreements if a.pooled]
        if not pooled:
            return "Nothing was judged that had a validation value, so there is nothing to rank."
        kinds = [caveat.kind for caveat in self.caveats]
        return " ".join(marked(f"All strategies ({WHAT[a.kind]}): {_said(a)}.", kinds) for a in pooled)


def ranking(store: ResultStore, study: str | None = None) -> list[ProxyRanking]:
    """The rankings of a study, one for each problem; the study declared last without a name.

    Raises:
        StoreError: there is no such study.
    """
    declared = store.history(study).whole
    runs, _ = current_runs(declared, store.runs(declared.name, recordings=False))
    return build(declared, runs)


def build(study: StudyRecord, runs: Mapping[str, Sequence[RunRecord]]) -> list[ProxyRanking]:
    """Rankings from the comparable runs of each problem; their recordings are not read."""
    labels = [problem["label"] for problem in study.declared.get("problems", [])]
    caveats = caveats_of(study.declared)
    return [
        _one(study.name, label, runs.get(label, ()), declared_metric(study.declared, label), caveats)
        for label in labels
    ]


def _one(
    study: str, problem: str, runs: Sequence[RunRecord], declared: Metric | None, caveats: tuple[Caveat, ...]
) -> ProxyRanking:
    judged = [natural(run, declared) for run in runs if run.judged and run.architecture_key]  # errors again
    metric = declared or undeclared(run.test_error for run in judged)
    scale = metric.scale
    by_strategy = _grouped(judged, lambda run: run.strategy)
    kinds = {name: _kind(own) for name, own in by_strategy.items()}
    agreements = []
    for kind in (k for k in (ESTIMATED, INHERITED) if k in kinds.values()):
        pool = [run for run in judged if kinds[run.strategy] == kind]
        agreements.append(_agreement(POOLED, pool, kind, scale, pooled=True))
    agreements += [_agreement(name, own, kinds[name], scale) for name, own in by_strategy.items()]
    return ProxyRanking(
        study=study,
        problem=problem,
        architectures=len({run.architecture_key for run in judged}),
        judgements=len(judged),
        failed=sum(run.ok and run.architecture is not None and not run.judged for run in runs),
        agreements=tuple(agreements),
        ceiling=_ceiling(judged),
        metric=metric,
        limits=(SELECTED, OWN_SUPERNET) if INHERITED in kinds.values() else (SELECTED,),
        caveats=caveats,
    )


def _kind(runs: Sequence[RunRecord]) -> str:
    """What a strategy's values are: a value for which no evaluation was charged is a score by inherited weights."""
    valued = [run for run in runs if math.isfinite(run.value)]
    if not valued:
        return UNVALUED
    return INHERITED if all(run.cost.evaluations == 0 for run in valued) else ESTIMATED


def _grouped(runs: Iterable[RunRecord], by: Callable[[RunRecord], str | None]) -> dict[str, list[RunRecord]]:
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        found.setdefault(by(run) or "", []).append(run)
    return found


def _architectures(runs: Iterable[RunRecord]) -> Iterator[Judged]:
    for key, own in _grouped(runs, lambda run: run.architecture_key).items():
        yield Judged(
            key=key,
            strategies=tuple(dict.fromkeys(run.strategy for run in own)),
            value=_mean([run.value for run in own]),
            error=_mean([run.test_error for run in own]),
            params=_mean([run.test_metrics.get("params", math.nan) for run in own]),
            macs=_mean([run.test_metrics.get("macs", math.nan) for run in own]),
            judgements=len(own),
        )


def _agreement(name: str, runs: Sequence[RunRecord], kind: str, scale: float, *, pooled: bool = False) -> Agreement:
    every = list(_architectures(runs))
    known = tuple(a for a in every if math.isfinite(a.value))
    missing = len(every) - len(known)
    errors = [a.error for a in known]
    tau = _tau(errors, [-a.value for a in known], "validation value and test error")
    if tau.status == "refused" and missing:
        why = f"{tau.refusal_reason}; {missing} more judged without a validation value"
        tau = replace(tau, refusal_reason=why, wording=why)
    return Agreement(
        name=name,
        pooled=pooled,
        kind=kind,
        judged=known,
        without_value=missing,
        tau=tau,
        params=_tau(errors, [a.params for a in known], "parameters and test error"),
        macs=_tau(errors, [a.macs for a in known], "MACs and test error"),
        regrets=_regrets(errors, [-a.value for a in known], scale),
    )


def _tau(errors: Sequence[float], proxy: Sequence[float], what: str) -> Answer:
    """Tau-b between the truth (the lower error the better) and a proxy (the higher the better)."""
    from searchbench import statistics as st

    n = len(errors)
    if n < MIN_ARCHITECTURES:
        return _refused(n, f"{_counted(n)} with {what}; {MIN_ARCHITECTURES - n} more are needed for a rank correlation")
    lacking = sum(not math.isfinite(p) for p in proxy)
    if lacking:
        return _refused(n, f"{lacking} of {n} architectures lack a number; all are needed to rank by {what}")
    answer = st.rank_correlation([-e for e in errors], proxy)
    if answer.estimate is None:
        return answer
    said = f"tau-b {answer.estimate:.2f} {_span(answer)} of {what} over {n} architectures"
    return replace(answer, wording=said)


def _ceiling(runs: Iterable[RunRecord]) -> Answer:
    """Tau-b of the judgements of the two lowest seeds of each architecture that was judged under two."""
    pairs = []
    for own in _grouped(runs, lambda run: run.architecture_key).values():
        by_seed = {run.replicate: run.test_error for run in sorted(own, key=lambda run: run.run_id, reverse=True)}
        if len(by_seed) > 1:
            first, second, *_ = (by_seed[seed] for seed in sorted(by_seed))
            pairs.append((first, second))
    n = len(pairs)
    if n < MIN_ARCHITECTURES:
        return _refused(
            n,
            f"{_counted(n)} judged under two seeds; {MIN_ARCHITECTURES - n} more judged twice are needed for a noise "
            "ceiling",
        )
    answer = _tau([a for a, _ in pairs], [-b for _, b in pairs], "two judgements")
    if all(a == b for a, b in pairs) and answer.estimate is not None:
        return replace(answer, wording=f"{answer.wording}; the judge repeats itself to the bit, so this is no noise")
    return answer


def _refused(n: int, reason: str) -> Answer:
    from searchbench.statistics.record import refused

    return refused("Kendall tau-b", "scipy.stats.kendalltau", n, reason)


def _regrets(errors: Sequence[float], proxy: Sequence[float], scale: float) -> tuple[tuple[int, float], ...]:
    """Regret at each k below the number of architectures; at and beyond it is nought by construction."""
    from searchbench import statistics as st

    if len(errors) < MIN_ARCHITECTURES:
        return ()
    shown = [scale * e for e in errors]
    answers = ((k, st.top_k(shown, proxy, k, better="lower").estimate) for k in KS if k < len(errors))
    return tuple((k, regret) for k, regret in answers if regret is not None)


def records(found: Iterable[ProxyRanking]) -> Iterator[dict[str, Any]]:
    """A plain mapping per correlation, for the CSV: each agreement with its floors, then each problem's ceiling."""
    for one in found:
        for own in one.agreements:
            for proxy, answer in (("validation", own.tau), ("params", own.params), ("macs", own.macs)):
                yield _record(one, own.name, own.kind, proxy, answer, dict(own.regrets) if answer is own.tau else {})
        yield _record(one, "judge", "", "second judgement", one.ceiling, {})


def _record(
    one: ProxyRanking, name: str, kind: str, proxy: str, answer: Answer, regrets: Mapping[int, float]
) -> dict[str, Any]:
    interval = answer.interval
    return {
        "problem": one.problem, "strategy": name, "values": kind, "ranked_by": proxy, "architectures": answer.n,
        "tau_b": answer.estimate, "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "level": interval.level if interval else None, "spearman": answer.get("spearman"),
        **{f"regret_at_{k}": regrets.get(k) for k in KS}, "unit": one.unit or one.metric.name, "status": answer.status,
        "method": answer.method, "call": answer.call, "wording": answer.wording, "refusal": answer.refusal_reason,
        "caveats": ";".join(dict.fromkeys(caveat.kind for caveat in one.caveats)),
    }  # fmt: skip


def _said(own: Agreement) -> str:
    if own.tau.status != "ok":
        return f"no correlation is claimed, {own.tau.wording}"
    floors = {"parameters": own.params.estimate, "MACs": own.macs.estimate}
    beside = ", ".join(f"{t:.2f} by {name}" for name, t in floors.items() if t is not None)
    return f"{own.tau.wording}; floor {beside or 'not measured'}"


def _span(answer: Answer) -> str:
    return "" if answer.interval is None else f"[{answer.interval.low:.2f}, {answer.interval.high:.2f}]"


def _counted(n: int) -> str:
    return f"{n} architecture{'' if n == 1 else 's'}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
