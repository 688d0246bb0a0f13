"""Many strategies over many tasks: what holds on *these* tasks, by a bootstrap that keeps seeds together.

Interquartile mean over runs and tasks (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice"),
seeds resampled within each task and *jointly* across strategies, so that pairing survives (rliable resamples each
strategy on its own). What would hold on new tasks is another question: one score per task, then `friedman`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import MAX_FAILED_SHARE, Better, Floats
from searchbench.statistics.effects import superiority
from searchbench.statistics.estimand import Estimand, EstimandName
from searchbench.statistics.estimand import estimand as find_estimand
from searchbench.statistics.record import Answer, facts, refused
from searchbench.statistics.resampling import percentile, seed_counts

MIN_SEEDS = 10
"""Bootstrap intervals are printed from 10 seeds up; below they cover clearly less than they say."""

AT_ONCE = 500
"""Resamples that are gone through together: all of a large study would take more memory than everything else."""

SHORT = {"mean": "mean", "median": "median", "iqm": "IQM", "rank": "Hodges-Lehmann location"}
_METHOD, _CALL = "interquartile mean, joint-seed stratified bootstrap", "numpy"


@dataclass(frozen=True, slots=True)
class Scores:
    """Final scores of several strategies on several tasks.

    Attributes:
        names, tasks: labels of the first and last axis.
        values: [strategies, seeds, tasks]; NaN or infinite = failed run.
        better: direction of each task's metric.
        constants: (best known, random-sampling mean) per task once normalised, else None.
        same_seeds: whether index s is the same seed for every strategy.
        counts: seeds that each task ran, the first so many of `values`; None: all of them on every task.
    """

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    values: Floats
    better: tuple[Better, ...]
    constants: tuple[tuple[float, float], ...] | None = None
    same_seeds: bool = True
    counts: tuple[int, ...] | None = None

    @classmethod
    def of(cls, scores: Mapping[str, Mapping[str, ArrayLike]], *, better: Better, same_seeds: bool = True) -> Scores:
        """Gather the scores of each strategy on each task; tasks may have different numbers of seeds.

        Args:
            scores: strategy to task to scores [seeds]; NaN or infinite = failed run.
            better: direction of the metric, alike on every task.
            same_seeds: whether index s of a task is the same seed for every strategy.

        Raises:
            StatisticsError: a strategy lacks a task, or two ran different numbers of seeds on one task.
        """
        names, tasks = tuple(scores), tuple(next(iter(scores.values()), {}))
        rows = [[np.asarray(own.get(task, ()), dtype=np.float64).ravel() for task in tasks] for own in scores.values()]
        for name, own, row in zip(names, scores.values(), rows, strict=True):
            if set(own) != set(tasks):
                raise StatisticsError(f"every strategy needs the same tasks, but {name} has {sorted(own)}")
            for task, x, first in zip(tasks, row, rows[0], strict=True):
                if len(x) != len(first) or not len(x):
                    raise StatisticsError(
                        f"every strategy needs the same number of seeds on {task}, but {name} has {len(x)} and "
                        f"{names[0]} has {len(first)}"
                    )
        counts = tuple(len(x) for x in rows[0])
        values = np.full((len(names), max(counts, default=0), len(tasks)), np.nan)
        for i, row in enumerate(rows):
            for t, x in enumerate(row):
                values[i, : len(x), t] = x
        ragged = len(set(counts)) > 1
        return cls(names, tasks, values, (better,) * len(tasks), None, same_seeds, counts if ragged else None)

    @property
    def ran(self) -> np.ndarray:
        """Whether a seed ran on a task [seeds, tasks]; what did not is no failure."""
        s, t = self.values.shape[1:]
        counts = np.full(t, s) if self.counts is None else np.asarray(self.counts)
        return np.asarray(np.arange(s)[:, None] < counts)

    def units(self) -> Floats:
        """Every run of each strategy [strategies, runs], seed by seed, task by task."""
        return np.asarray(self.values[:, self.ran], dtype=np.float64)

    def __post_init__(self) -> None:
        if not isinstance(self.values, np.ndarray):
            raise StatisticsError(
                "scores need an array [strategies, seeds, tasks]; `Scores.of({strategy: {task: scores}})` takes tasks "
                "with different numbers of seeds"
            )
        shape = (len(self.names), self.values.shape[1] if self.values.ndim == 3 else -1, len(self.tasks))
        if self.values.shape != shape or len(self.better) != len(self.tasks):
            raise StatisticsError(
                f"scores need shape [strategies, seeds, tasks] = [{len(self.names)}, seeds, {len(self.tasks)}] and "
                f"one direction per task, but got {self.values.shape} and {len(self.better)} directions"
            )

    def normalised(self, best: Sequence[float], random_mean: Sequence[float]) -> Scores:
        """Regret (x - best) / (random - best) per task: 0 = best known, 1 = random sampling's mean.

        Failed runs take the worst value seen on their task. Lower is better afterwards.

        Raises:
            StatisticsError: random sampling is not worse than the best known on some task.
        """
        low, high = np.asarray(best, dtype=np.float64), np.asarray(random_mean, dtype=np.float64)
        sign = np.array([1.0 if b == "lower" else -1.0 for b in self.better])
        gap = sign * (high - low)
        if (gap <= 0).any() or not np.isfinite(gap).all():
            bad = [t for t, g in zip(self.tasks, gap, strict=True) if not g > 0]
            raise StatisticsError(f"random sampling must be worse than the best known value, but not on {bad}")
        regret = np.where(np.isfinite(self.values), sign * (self.values - low) / gap, np.nan)
        constants = tuple((float(b), float(r)) for b, r in zip(low, high, strict=True))
        directions: tuple[Better, ...] = tuple("lower" for _ in self.tasks)
        return replace(self, values=regret, better=directions, constants=constants)


def iqm(scores: ArrayLike) -> Answer:
    """Interquartile mean of scores [runs, tasks], with the mean, median of task means and optimality gap."""
    x = _finite(scores)
    n = x.size
    mean = float(scipy.stats.trim_mean(x, 0.25, axis=None))
    small = n < 4
    return Answer(
        method="interquartile mean", call="scipy.stats.trim_mean(0.25)", n=n, n_effective=n - 2 * int(0.25 * n),
        estimate=mean, code="iqm_equals_mean_n_lt_4" if small else "ok",
        wording=f"IQM {mean:.4g} (n={n})" + ("; below 4 values nothing is trimmed: this is the mean" if small else ""),
        facts=facts(
            iqm=mean, mean=x.mean(), median_of_task_means=np.median(x.mean(axis=0)),
            optimality_gap_gamma1=1.0 - np.minimum(x, 1.0).mean(),
        ),
    )  # fmt: skip


def performance_profile(scores: ArrayLike, taus: ArrayLike) -> Floats:
    """Fraction of runs strictly above each threshold, averaged over tasks; scores [runs, tasks] -> [taus]."""
    x = _finite(scores)
    return np.asarray((x[..., None] > np.asarray(taus, dtype=np.float64)).mean(axis=(0, 1)), dtype=np.float64)


def probability_of_improvement(
    x: ArrayLike,
    y: ArrayLike,
    *,
    better: Better = "higher",
    same_seeds: bool = True,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Answer:
    """P(a run of x beats a run of y), averaged over tasks; x [runs, tasks], y [runs', tasks].

    With 10 seeds or more a bootstrap interval, resampling seeds jointly where both ran the same.

    Raises:
        StatisticsError: a score is NaN or infinite, or the task counts differ.
    """
    a, b = _finite(x), _finite(y)
    if a.shape[1] != b.shape[1]:
        raise StatisticsError(f"both strategies need the same tasks, but got {a.shape[1]} and {b.shape[1]}")
    if better == "lower":
        a, b = -a, -b
    per_task = superiority(a, b)
    interval, n = None, min(len(a), len(b))
    if n >= MIN_SEEDS:
        draws = _improvement_draws(a, b, same_seeds and len(a) == len(b), resamples, seed)
        interval = percentile(draws, level, "joint-seed bootstrap")
    value = float(per_task.mean())
    tail = f" {100 * level:g}% CI {interval}" if interval else f" (no interval below {MIN_SEEDS} seeds)"
    return Answer(
        method="probability of improvement", call="scipy.stats.rankdata", n=n, estimate=value, interval=interval,
        wording=f"P(improvement) {value:.3f}{tail} over {a.shape[1]} tasks", facts=facts(poi=value, per_task=per_task),
    )  # fmt: skip


def _improvement_draws(a: Floats, b: Floats, joint: bool, resamples: int, seed: int) -> Floats:
    tasks, total = a.shape[1], np.zeros(resamples)
    for t in range(tasks):
        wins = (np.sign(a[:, t, None] - b[None, :, t]) + 1) / 2
        first = seed_counts(seed, resamples, len(a), t)
        second = first if joint else seed_counts(seed, resamples, len(b), tasks + t)
        total += np.einsum("ri,ri->r", first @ wins, second) / wins.size
    return np.asarray(total / tasks, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Interquartile means of all strategies and their joint bootstrap.

    Attributes:
        names: strategies, in the order given.
        answers: one per strategy: its location (IQM by default) with a single interval.
        losses: the location of each strategy, oriented so that lower is better; NaN where refused.
        draws: bootstrap locations of the losses [resamples, strategies]; empty where refused.
        improvement: P(row better than column), averaged over tasks [k, k].
    """

    names: tuple[str, ...]
    answers: tuple[Answer, ...]
    losses: Floats
    draws: Floats
    improvement: Floats

    def __getitem__(self, name: str) -> Answer:
        return self.answers[self.names.index(name)]

    @property
    def wording(self) -> str:
        """Each strategy's location, or why there is none; intervals are single ones."""
        return "; ".join(dict.fromkeys(answer.wording for answer in self.answers))

    def __str__(self) -> str:
        return self.wording


def aggregate(
    scores: Scores,
    *,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
    estimand: EstimandName | Estimand = "iqm",
) -> Aggregate:
    """A location of each strategy over seeds and tasks, with bootstrap intervals from 10 seeds up.

    Refused over several tasks that were not normalised, and where more than 20 % of an arm failed. The intervals are
    single ones of each strategy, and of the interquartile mean and the mean only.
    """
    led = find_estimand(estimand)
    losses = _losses(scores)
    k, ran = len(losses), scores.ran
    s = int(ran.sum(axis=0).min())
    stop = _refusal(scores)
    improvement = _improvement_matrix(losses, ran)
    if stop is not None:
        return Aggregate(scores.names, (stop,) * k, np.full(k, np.nan), np.empty((0, k)), improvement)
    failed = (~np.isfinite(scores.units())).sum(axis=1)
    flat = losses[:, ran]
    point = np.array([led.location(own) for own in flat])
    draws, trim = np.empty((0, k)), {"mean": 0.0, "iqm": 0.25}.get(led.name)
    if s >= MIN_SEEDS and trim is not None:
        draws = iqm_draws(losses, joint=scores.same_seeds, resamples=resamples, seed=seed, trim=trim, ran=ran)
    sign = -1.0 if scores.better[0] == "higher" else 1.0
    found = tuple(
        _location_answer(
            name,
            led,
            sign * float(point[i]),
            sign * draws[:, i],
            seeds=s,
            n=flat.shape[1],
            failed=int(failed[i]),
            level=level,
        )
        for i, name in enumerate(scores.names)
    )
    return Aggregate(scores.names, found, point, draws, improvement)


def _location_answer(
    name: str, led: Estimand, value: float, draws: Floats, *, seeds: int, n: int, failed: int, level: float
) -> Answer:
    lost = f", {failed} failed runs at the worst value" if failed else ""
    text = f"{name}: {SHORT[led.name]} {value:.4g}"
    if draws.size:
        interval, reason = percentile(draws, level, "joint-seed stratified bootstrap"), ""
        text += f" {interval} (n={n}{lost})"
    else:
        interval = None
        reason = f"a bootstrap interval needs {MIN_SEEDS} seeds; {MIN_SEEDS - seeds} more than the {seeds} at hand"
        if seeds >= MIN_SEEDS:
            reason = f"no bootstrap interval is given of the {led.name}"
        text += f" (n={n}{lost}); {reason}"
    method = _METHOD if led.name == "iqm" else f"{led.name}, joint-seed stratified bootstrap"
    return Answer(
        method=method, call=_CALL, n=n, n_effective=n - failed, n_failed=failed, estimate=value, interval=interval,
        status="refused" if reason else "ok", code="insufficient_n" if reason else "ok", refusal_reason=reason,
        wording=text, facts=facts(estimand=led.name),
    )  # fmt: skip


def p_best(scores: Scores, *, resamples: int = 2_000, seed: int = 0) -> dict[str, float]:
    """How often each strategy comes first by interquartile mean when seeds are resampled jointly; ties are split.

    It describes the sample and is no claim: of five identical strategies one is first in most resamples. Empty below
    10 seeds, and where the aggregate is refused.
    """
    if not resampled(scores):
        return {}
    found = aggregate(scores, resamples=resamples, seed=seed)
    first = found.draws == found.draws.min(axis=1, keepdims=True)
    share = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return {name: float(x) for name, x in zip(found.names, share, strict=True)}


def resampled(scores: Scores) -> bool:
    """Whether seeds are resampled: there are 10, and no mean is refused."""
    return int(scores.ran.sum(axis=0).min()) >= MIN_SEEDS and _refusal(scores) is None


def _refusal(scores: Scores) -> Answer | None:
    n = int(scores.ran.sum())
    if len(scores.tasks) > 1 and scores.constants is None:
        reason = "an IQM over several tasks needs normalised regret; call `normalised(best, random_mean)` first"
        return refused(_METHOD, _CALL, n, reason, code="not_normalised")
    share = (~np.isfinite(scores.values) & scores.ran).sum(axis=1) / scores.ran.sum(axis=0)
    if (share > MAX_FAILED_SHARE).any():
        i, t = np.argwhere(share > MAX_FAILED_SHARE)[0]
        reason = (
            f"{100 * share[i, t]:.0f} % of the runs of {scores.names[i]} on {scores.tasks[t]} failed (limit "
            f"{100 * MAX_FAILED_SHARE:.0f} %): means are not ranked; use ranks, failures worst"
        )
        return refused(_METHOD, _CALL, n, reason, code="too_many_failures")
    return None


def _losses(scores: Scores) -> Floats:
    sign = np.array([1.0 if b == "lower" else -1.0 for b in scores.better])
    losses = np.where(np.isfinite(scores.values), sign * scores.values, np.nan)
    if np.isnan(losses).all(axis=(0, 1)).any():
        raise StatisticsError("error_nan: a task has no completed run at all; leave it out by name")
    worst = np.nanmax(losses, axis=(0, 1))
    return np.where(np.isnan(losses), worst, losses)


def iqm_draws(
    losses: Floats, *, joint: bool, resamples: int, seed: int, trim: float = 0.25, ran: np.ndarray | None = None
) -> Floats:
    """Bootstrap trimmed means [resamples, strategies] of losses [strategies, seeds, tasks]; the interquartile ones.

    A resample is a vector of counts, the same for every strategy when `joint`; sorting once per strategy, the
    trimmed mean is a weighted sum with the counts clipped to the middle half. `ran` [seeds, tasks] leaves
    out what a task did not run.
    """
    k, _, t = losses.shape
    ran = np.ones(losses.shape[1:], dtype=bool) if ran is None else ran
    n = int(ran.sum())
    cut = int(trim * n)
    out = np.empty((resamples, k))
    for i in range(k):
        if i == 0 or not joint:
            drawn = np.zeros((resamples, *ran.shape), dtype=np.int32)
            for task, seeds in enumerate(ran.sum(axis=0)):
                stream = task + (0 if joint else i * t)
                drawn[:, :seeds, task] = seed_counts(seed, resamples, int(seeds), stream)
            counts = np.ascontiguousarray(drawn[:, ran].T)  # [runs, resamples]: sorted as whole rows
        own = losses[i][ran]
        order = np.argsort(own, kind="stable")
        for at in range(0, resamples, AT_ONCE):
            inside = np.clip(np.cumsum(counts[:, at : at + AT_ONCE][order], axis=0, dtype=np.int32), cut, n - cut)
            weights = np.ascontiguousarray(np.diff(inside, axis=0, prepend=np.int32(cut)).T, dtype=np.float64)
            out[at : at + AT_ONCE, i] = weights @ own[order] / (n - 2 * cut)
    return out


def _improvement_matrix(losses: Floats, ran: np.ndarray) -> Floats:
    k = len(losses)
    i, j = np.triu_indices(k, 1)
    out = np.full((k, k), 0.5)
    own = [losses[:, ran[:, t], t] for t in range(losses.shape[2])]
    for_t = [superiority(x[j].T, x[i].T) for x in own]
    out[i, j] = np.mean(for_t, axis=0)
    out[j, i] = 1 - out[i, j]
    return out


def _finite(scores: ArrayLike) -> Floats:
    x = np.asarray(scores, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or x.size == 0:
        raise StatisticsError(f"scores need shape [runs, tasks], but got {x.shape}")
    if not np.isfinite(x).all():
        bad = [tuple(int(v) for v in at) for at in np.argwhere(~np.isfinite(x))[:5]]
        raise StatisticsError(f"error_nan: scores must be finite, but are not at {bad}; rank failures worst first")
    return x
