"""What an import is made of: finished runs, their trials, and rows of which only mean ± std is known. Plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from searchbench.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

ENDED_WELL = frozenset(
    {"ok", "complete", "completed", "finished", "success", "succeeded", "terminated", "done", "true"}
)
"""How the trackers and libraries write that something ended well."""


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """One evaluation of a search that somebody else ran."""

    configuration: str
    score: float
    """In the metric's own direction; NaN where it failed."""
    seconds: float = 0.0
    error: str | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None or not math.isfinite(self.score)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One search, or one score, that somebody else has measured."""

    strategy: str
    task: str
    seed: int
    score: float
    """What it is ranked by; NaN where it failed."""
    error: str | None = None
    seconds: float = 0.0
    trials: tuple[FinishedTrial, ...] = ()

    @property
    def failed(self) -> bool:
        return self.error is not None or not math.isfinite(self.score)


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """A row of which only the summary is known: shown, never ranked against runs."""

    strategy: str
    task: str
    mean: float
    std: float | None
    n: int | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """Which column means what. `seed` and `score` are needed; `trial` says that rows are evaluations, not runs."""

    strategy: str = "strategy"
    seed: str = "seed"
    score: str = "score"
    task: str | None = None
    trial: str | None = None
    cost: str | None = None
    """Seconds of the row: of the run, or of the evaluation."""
    status: str | None = None
    configuration: Sequence[str] = field(default=())
    """Columns of the hyper-parameters, where rows are evaluations."""

    def check(self, columns: Iterable[str], source: str) -> None:
        """Raise InputError naming the first column that is not there."""
        known = [str(name) for name in columns]
        for role in ("strategy", "seed", "score", "task", "trial", "cost", "status"):
            name = getattr(self, role)
            if name is not None and name not in known:
                raise InputError(
                    f"{source} has no column `{name}`, which would hold the {role}; {did_you_mean(name, known)}"
                )


def runs_of(frame: pd.DataFrame, meaning: Meaning, *, better: str, source: str = "the frame") -> list[FinishedRun]:
    """Runs of a frame in long form, in order of first appearance.

    Args:
        frame: a row per run, or per evaluation where `meaning.trial` is set.
        meaning: what its columns are.
        better: "lower" or "higher": which evaluation of a run is its best.
        source: how messages name it.

    Raises:
        InputError: a column is missing, a seed is no whole number, a score no number, or a run stands there twice.
    """
    meaning.check(frame.columns, source)
    if not len(frame):
        raise InputError(f"{source} has no rows; there is nothing to import.")
    rows: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for number, row in enumerate(frame.to_dict("records"), start=1):
        where = f"{source}, row {number}"
        task = "imported" if meaning.task is None else _text(row[meaning.task], where, meaning.task)
        strategy = _text(row[meaning.strategy], where, meaning.strategy)
        key = (strategy, task, _seed(row[meaning.seed], where, meaning.seed))
        known = rows.setdefault(key, [])
        if known and meaning.trial is None:
            raise InputError(
                f"{where}: `{strategy}` has a score for task `{task}` and seed {key[2]} already; name the column of "
                "trial numbers where rows are evaluations of one search, or the column that tells the runs apart."
            )
        known.append({"where": where, **row})
    return [_run(key, known, meaning, better) for key, known in rows.items()]


def _run(key: tuple[str, str, int], rows: Sequence[Mapping[str, Any]], meaning: Meaning, better: str) -> FinishedRun:
    strategy, task, seed = key
    if meaning.trial is None:
        row = rows[0]
        score, error = _score(row, meaning)
        return FinishedRun(strategy, task, seed, score, error, _seconds(row, meaning))
    trial = meaning.trial
    ordered = sorted(rows, key=lambda row: _seed(row[trial], row["where"], trial))
    trials = tuple(FinishedTrial(_configuration(row, meaning), *_score_and_seconds(row, meaning)) for row in ordered)
    return summed_up(strategy, task, seed, trials, better)


def summed_up(strategy: str, task: str, seed: int, trials: Sequence[FinishedTrial], better: str) -> FinishedRun:
    """The run that these evaluations make: its score is the best that it saw."""
    scores = [trial.score for trial in trials if not trial.failed]
    best = (min(scores) if better == "lower" else max(scores)) if scores else math.nan
    error = None if scores else "none of its evaluations succeeded"
    return FinishedRun(strategy, task, seed, best, error, sum(t.seconds for t in trials), tuple(trials))


def _score(row: Mapping[str, Any], meaning: Meaning) -> tuple[float, str | None]:
    status = None if meaning.status is None else row[meaning.status]
    if status is not None and str(status).rpartition(".")[2].lower() not in ENDED_WELL:
        return math.nan, f"ended as {status}"
    value = row[meaning.score]
    try:
        score = math.nan if value is None else float(value)
    except (TypeError, ValueError):
        raise InputError(
            f"{row['where']}, column `{meaning.score}`: a number is needed, but it holds {value!r}."
        ) from None
    if isinstance(value, bool):
        raise InputError(f"{row['where']}, column `{meaning.score}`: a number is needed, but it holds {value!r}.")
    return (score, None) if math.isfinite(score) else (math.nan, f"its score is {value}")


def _score_and_seconds(row: Mapping[str, Any], meaning: Meaning) -> tuple[float, float, str | None]:
    score, error = _score(row, meaning)
    return score, _seconds(row, meaning), error


def _seconds(row: Mapping[str, Any], meaning: Meaning) -> float:
    if meaning.cost is None:
        return 0.0
    try:
        seconds = float(row[meaning.cost])
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(
            f"{row['where']}, column `{meaning.cost}`: seconds are needed (0 or more), but it holds "
            f"{row[meaning.cost]!r}."
        )
    return seconds


def _configuration(row: Mapping[str, Any], meaning: Meaning) -> str:
    return ", ".join(f"{name}={row[name]}" for name in meaning.configuration)


def _text(value: Any, where: str, column: str) -> str:
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    text = "" if missing else str(value).strip()
    if not text:
        raise InputError(f"{where}, column `{column}`: a name is needed, but it is empty.")
    return text


def _seed(value: Any, where: str, column: str) -> int:
    try:
        number = float(value)
        whole = int(value) if isinstance(value, int) or not isinstance(value, float | str) else int(number)
    except (TypeError, ValueError, OverflowError):
        number, whole = math.nan, 0
    if number != whole or whole < 0:
        raise InputError(f"{where}, column `{column}`: a whole number from 0 is needed, but it holds {value!r}.")
    return whole
