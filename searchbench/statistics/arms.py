"""Arms: the runs of one strategy on one task, keyed by seed, with what became of each.

A score that is missing, NaN or infinite is a *failed run*, never a number to average over. Rank methods place
the strategy's own failures last, tied (Lachin, "Worst-rank score analysis", 1999); runs the infrastructure lost
say nothing about the strategy and are listed until rerun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searchbench.errors import StatisticsError

Better = Literal["lower", "higher"]
Floats = NDArray[np.float64]

MAX_FAILED_SHARE = 0.20
"""Above this share of failed runs in any arm, means are not compared."""


class RunStatus(StrEnum):
    """How a scheduled run ended."""

    OK = "ok"
    FAILED = "failed"
    INFRA = "infra"
    TIMEOUT = "timeout"
    NAN = "nan"
    MISSING = "missing"


_ALIASES = {"failed(strategy)": "failed", "failed(infra)": "infra", "error": "failed", "inf": "nan"}


@dataclass(frozen=True, slots=True)
class Arm:
    """Scores of one strategy on one task.

    Attributes:
        name: the strategy's label.
        seeds: one per scheduled run, distinct.
        scores: final metric per run, NaN unless the run is ok.
        statuses: how each run ended.
        better: direction of the metric, from its metadata; None only where no comparison is asked.
    """

    name: str
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
    statuses: tuple[RunStatus, ...]
    better: Better | None = None

    def __post_init__(self) -> None:
        if not len(self.seeds) == len(self.scores) == len(self.statuses):
            counts = f"{len(self.seeds)} seeds, {len(self.scores)} scores, {len(self.statuses)} statuses"
            raise StatisticsError(f"arm `{self.name}` needs one seed and one status per score, but got {counts}")
        if len(set(self.seeds)) != len(self.seeds):
            raise StatisticsError(f"arm `{self.name}` repeats a seed: {sorted(self.seeds)}; seeds are the runs")
        if self.better not in (None, "lower", "higher"):
            raise StatisticsError(f"`better` must be 'lower' or 'higher', but got {self.better!r}")

    @property
    def values(self) -> Floats:
        """Scores [n], NaN where the run is not ok."""
        return np.asarray(self.scores, dtype=np.float64)

    @property
    def completed(self) -> Floats:
        """Scores of the runs that ended well."""
        values = self.values
        return values[np.isfinite(values)]

    @property
    def n(self) -> int:
        """Scheduled runs."""
        return len(self.seeds)

    @property
    def n_ok(self) -> int:
        """Runs that ended well."""
        return self.statuses.count(RunStatus.OK)

    @property
    def n_infra(self) -> int:
        """Runs the infrastructure lost; to be rerun with the same seed."""
        return self.statuses.count(RunStatus.INFRA)

    @property
    def n_failed(self) -> int:
        """Runs the strategy lost: crash, timeout, NaN, or missing without a declared infrastructure cause."""
        return self.n - self.n_ok - self.n_infra

    @property
    def failed_share(self) -> float:
        """Failed runs among those the infrastructure let finish."""
        return self.n_failed / max(1, self.n - self.n_infra)

    def losses(self) -> Floats:
        """[n] oriented so that lower is better: +inf for the strategy's failures, NaN for infrastructure's."""
        sign = -1.0 if direction(self) == "higher" else 1.0
        out = sign * self.values
        lost = np.array([s not in (RunStatus.OK, RunStatus.INFRA) for s in self.statuses], dtype=bool)
        out[lost] = np.inf
        return out

    def at(self, seeds: Sequence[int]) -> Arm:
        """The arm restricted to `seeds`, in that order; a seed it lacks is a missing run."""
        place = {seed: i for i, seed in enumerate(self.seeds)}
        rows = [place.get(seed) for seed in seeds]
        scores = tuple(float("nan") if i is None else self.scores[i] for i in rows)
        statuses = tuple(RunStatus.MISSING if i is None else self.statuses[i] for i in rows)
        return Arm(self.name, tuple(seeds), scores, statuses, self.better)


def arm(
    scores: Arm | ArrayLike | Mapping[int, Any],
    *,
    name: str = "a",
    seeds: Sequence[int] | None = None,
    statuses: Sequence[str] | None = None,
    better: Better | None = None,
) -> Arm:
    """An `Arm` from an array, or from a mapping of seed to score; an `Arm` passes through.

    None, NaN and ±inf become failed runs. Without `seeds` they are 0 … n-1.

    Raises:
        StatisticsError: lengths differ, a seed repeats, a status is unknown, or directions disagree.
    """
    if isinstance(scores, Arm):
        if better is not None and scores.better not in (None, better):
            raise StatisticsError(f"arm `{scores.name}` is better {scores.better}, but {better} was asked")
        return Arm(scores.name, scores.seeds, scores.scores, scores.statuses, scores.better or better)
    if isinstance(scores, Mapping):
        seeds, raw = tuple(scores), list(scores.values())
    else:
        raw = list(np.ravel(np.asarray(scores, dtype=object)))
        seeds = tuple(range(len(raw))) if seeds is None else tuple(seeds)
    values = tuple(float("nan") if v is None else float(v) for v in raw)
    said = [RunStatus.OK] * len(values) if statuses is None else [_status(s) for s in statuses]
    ended = tuple(
        RunStatus.NAN if s is RunStatus.OK and not np.isfinite(v) else s for v, s in zip(values, said, strict=False)
    )
    kept = tuple(v if s is RunStatus.OK else float("nan") for v, s in zip(values, ended, strict=False))
    return Arm(name, seeds, kept, ended + tuple(said[len(values) :]), better)


def as_arms(given: Any, *, better: Better | None = None) -> list[Arm]:
    """Arms under the names they came with: of arms, of a mapping of name to scores, of a DataFrame's columns.

    The index of a DataFrame, where it is of distinct integers, gives the seeds.

    Raises:
        StatisticsError: as `arm` does.
    """
    if hasattr(given, "columns") and hasattr(given, "index"):
        index = list(given.index)
        whole = all(isinstance(i, int | np.integer) for i in index)
        seeds = [int(i) for i in index] if whole else None
        return [arm(np.asarray(given[c]), name=str(c), seeds=seeds, better=better) for c in given.columns]
    if isinstance(given, Mapping):
        return [arm(scores, name=str(name), better=better) for name, scores in given.items()]
    return [arm(own, better=better) for own in given]


def direction(*arms: Arm) -> Better:
    """The one direction all arms share.

    Raises:
        StatisticsError: none is declared, or they differ.
    """
    said = {a.better for a in arms if a.better is not None}
    if len(said) != 1:
        got = "none was given" if not said else f"got both {' and '.join(sorted(said))}"
        raise StatisticsError(
            f"a comparison needs one metric direction, but {got}; pass better='lower' or better='higher' "
            "from the metric's metadata"
        )
    return said.pop()


def _status(text: str) -> RunStatus:
    name = _ALIASES.get(str(text), str(text))
    try:
        return RunStatus(name)
    except ValueError:
        known = ", ".join(RunStatus)
        raise StatisticsError(f"a run's status must be one of {known}, but got {text!r}") from None
