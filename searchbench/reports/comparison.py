"""Two strategies of a study, seed by seed: what happened in these runs, and what may be concluded from them.

Runs of the same seed share the split, the initial designs and the evaluation noise, so they are compared in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from searchbench.errors import InputError, UnknownName, did_you_mean
from searchbench.metric import Metric
from searchbench.reports.leaderboard import build, current_runs, noted
from searchbench.reports.questions import ReportQuestion, ask
from searchbench.reports.standing import ArmVerdicts, all_pairs_of
from searchbench.reports.summary import Summary, summarise
from searchbench.results.history import EXPLORATORY, Caveat
from searchbench.results.records import RunRecord, StudyRecord
from searchbench.results.store import ResultStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Pair:
    """One seed: the test errors of both runs, NaN with a reason where there is none."""

    seed: int
    left: float
    right: float
    left_state: str = "ok"
    """ "ok", "failed", "timeout", "infra", "judging failed" or "not run"."""
    right_state: str = "ok"

    @property
    def difference(self) -> float:
        """Left minus right: negative where left is the lower; NaN unless both ended well."""
        return self.left - self.right

    @property
    def complete(self) -> bool:
        """Whether both ended well."""
        return not math.isnan(self.difference)


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two strategies on one problem."""

    study: str
    problem: str
    left: str
    right: str
    pairs: tuple[Pair, ...]
    """Every planned seed, in the study's order."""
    asked: tuple[ReportQuestion, ...] = ()
    """Every test that applies to the two by themselves, in shown units (percentage points of shares); exploratory
    unless the study declared this one comparison and no other."""
    planned: bool = True
    """Whether the study declared that it would compare the two."""
    family: ReportQuestion | None = None
    """What the leaderboard says of the two, adjusted over the study's family; None where nothing can be asked."""
    caveats: tuple[Caveat, ...] = ()
    """What every statement must be read with."""
    metric: Metric = field(default_factory=Metric)
    """What was measured."""

    @property
    def complete(self) -> tuple[Pair, ...]:
        """The pairs in which both ended well: all that the difference is about."""
        return tuple(pair for pair in self.pairs if pair.complete)

    @property
    def incomplete(self) -> tuple[Pair, ...]:
        """The others."""
        return tuple(pair for pair in self.pairs if not pair.complete)

    @property
    def left_summary(self) -> Summary:
        """Summary of every run of the left strategy that ended well."""
        return summarise(pair.left for pair in self.pairs)

    @property
    def right_summary(self) -> Summary:
        """Summary of every run of the right strategy that ended well."""
        return summarise(pair.right for pair in self.pairs)

    @property
    def difference(self) -> Summary:
        """Mean and standard deviation of the paired differences, left minus right."""
        return summarise(pair.difference for pair in self.complete)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Pairs in which left was lower, equal, higher."""
        found = [pair.difference for pair in self.complete]
        return sum(d < 0 for d in found), sum(d == 0 for d in found), sum(d > 0 for d in found)

    def to_frame(self) -> pd.DataFrame:
        """A row per seed."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def records(self) -> list[dict[str, Any]]:
        """A plain mapping per seed."""
        return [
            {
                "problem": self.problem,
                "seed": pair.seed,
                self.left: pair.left,
                self.right: pair.right,
                "difference": pair.difference,
                "state_left": pair.left_state,
                "state_right": pair.right_state,
            }
            for pair in self.pairs
        ]


def compare(
    store: ResultStore, left: str, right: str, study: str | None = None, *, problem: str | None = None
) -> list[PairedComparison]:
    """Two strategies of a study (the one declared last without a name) on each problem, or on one.

    Raises:
        StoreError: there is no such study.
        UnknownName: the study has no strategy or problem of that label.
        InputError: both are the same.
    """
    declared = store.history(study).whole
    spec = declared.declared
    problems = [entry["label"] for entry in spec["problems"]]
    if problem is not None and problem not in problems:
        raise UnknownName("problem", problem, problems)
    runs, _ = current_runs(declared, store.runs(declared.name))
    known = {entry["label"] for entry in spec["strategies"]}
    for label in (left, right):
        if label not in known:
            raise InputError(f"study `{declared.name}` has no strategy `{label}`; {did_you_mean(label, known)}")
    if left == right:
        raise InputError(f"a comparison needs two different strategies, but got `{left}` twice.")
    wanted = problems if problem is None else [problem]
    board = build(declared, (run for own in runs.values() for run in own))
    blocks = {block.problem: block.verdicts for block in board.blocks}
    return [_compared(declared, label, left, right, runs.get(label, []), blocks[label]) for label in wanted]


def _compared(
    study: StudyRecord, problem: str, left: str, right: str, runs: Sequence[RunRecord], verdicts: ArmVerdicts
) -> PairedComparison:
    plan = verdicts.declared
    own = [[run for run in runs if run.strategy == label] for label in (left, right)]
    spec = study.declared
    planned = plan.family == "all-pairs" or plan.baseline in (left, right)
    family = _in_family(left, right, verdicts, planned)
    m = 1 if family is None else family.answer.family_size
    asked = ask(own[0], own[1], (left, right), plan, budget=tuple(spec.get("budget", ())), comparisons=m)
    alone = planned and (family is None or family.answer.family_size == 1)
    kinds = verdicts.kinds if alone else (*verdicts.kinds, EXPLORATORY)
    return PairedComparison(
        study.name,
        problem,
        left,
        right,
        _pairs(spec["seeds"], runs, left, right),
        tuple(one.under(kinds) for one in asked),
        planned,
        None if alone else family,
        (*verdicts.caveats, *(Caveat("noted", said) for said in noted(run for some in own for run in some))),
        verdicts.metric,
    )


def _in_family(left: str, right: str, verdicts: ArmVerdicts, planned: bool) -> ReportQuestion | None:
    """The leaderboard's answer about two strategies: of the baseline's family, or of all pairs."""
    plan = verdicts.declared
    with_baseline = plan.family == "baseline" and plan.baseline in (left, right)
    found = verdicts.family if planned else all_pairs_of(verdicts)
    pair = next((pair for pair in ((left, right), (right, left)) if found is not None and pair in found.pairs), None)
    if found is None or pair is None:
        return None
    m = found.answers[0].family_size
    whole = f"all {m} comparisons with {plan.baseline}" if with_baseline else f"all {m} pairs"
    answer = found[pair] if planned else found[pair].with_caveats(EXPLORATORY)
    return ReportQuestion(f"In the study's family ({whole}, Holm):", answer)


def _pairs(seeds: Sequence[int], runs: Sequence[RunRecord], left: str, right: str) -> tuple[Pair, ...]:
    found = {(run.strategy, run.replicate): run for run in runs}
    return tuple(_pair(seed, found, left, right) for seed in seeds)


def _pair(seed: int, found: Mapping[tuple[str, int], RunRecord], left: str, right: str) -> Pair:
    a, b = found.get((left, seed)), found.get((right, seed))
    return Pair(seed, _test_error(a), _test_error(b), _state(a), _state(b))


def _test_error(run: RunRecord | None) -> float:
    return run.test_error if run is not None and run.judged else math.nan


def _state(run: RunRecord | None) -> str:
    if run is None:
        return "not run"
    return run.status if run.judged or not run.ok else "judging failed"
