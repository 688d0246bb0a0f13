"""Tuning strategies before they are compared: settings drawn, run on seeds or tasks of their own, the best kept.

Every strategy gets the same number of settings, each run on the same problems with the same seeds under the same
budget. The runs are a study of their own in the store, recorded and rerun as any other, so what tuning has cost is
what its ledger says; the tuned study declares it, and refuses the seeds that were used.

Source: random search over settings, Bergstra & Bengio 2012; equal tuning budgets, Yang et al. 2020, Section 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from searchbench.cost import BUDGET_AXES, Cost
from searchbench.errors import InputError, StudyError, did_you_mean
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.plan import unsupported
from searchbench.harness.declared.resources import Placement
from searchbench.harness.declared.study import Contestant, Study, strategy_description
from searchbench.harness.declared.tuning import Tuning, check_fresh, task_of
from searchbench.harness.declared.tuning_plan import TuningPlan
from searchbench.harness.driving.progress import Observer
from searchbench.harness.results import Results
from searchbench.harness.session import run
from searchbench.results.records import RunRecord
from searchbench.results.store import open_store
from searchbench.seeds import Seeds
from searchbench.spaces.choices import NOTHING
from searchbench.spaces.space import Space

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 4
"""Significant digits of drawn numbers, so that settings can be written down and said."""
TRIES = 200
"""Draws for each setting that is wanted, before its ranges are taken to hold too few that the strategy accepts."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings of a strategy that are tried."""

    of: str
    """Label of the strategy in the study."""
    settings: Mapping[str, Any]
    """What is other than the study declares; nothing for the first, which is as declared."""
    strategy: Any
    """The strategy with them, as a `Contestant` holds it."""

    @property
    def label(self) -> str:
        """The label it has in the study of the tuning."""
        return f"{self.of} ({said(self.settings)})"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What tuning found for one strategy."""

    strategy: str
    settings: Mapping[str, Any]
    """Empty where nothing was better than what was declared."""
    score: float
    """Mean over the tuning's seeds, in the metric's own sense; the mean rank, where there are several problems."""
    declared: float
    """The same of the settings that the study declares; infinite where one of their runs failed."""
    tried: int
    failed: int
    """Settings of which a run failed."""
    cost: Mapping[str, float]
    """What all of its runs have spent, on the axes of budgets."""


@dataclass(frozen=True, slots=True, repr=False)
class Tuned:
    """A tuned study, ready to run; printed, what was chosen and what that has cost."""

    study: Study
    """With the chosen settings, and the tuning that they are from declared."""
    results: Results
    """Of the tuning itself."""
    chosen: tuple[Chosen, ...]
    score: str
    """What the scores are, in words."""

    def table(self) -> pd.DataFrame:
        """A row per strategy: the settings chosen, their score, that of the declared ones, and the cost."""
        import pandas as pd

        rows = [
            {
                "strategy": one.strategy,
                "settings": said(one.settings),
                "score": one.score,
                "as declared": one.declared,
                "tried": one.tried,
                "failed": one.failed,
                "cost": ", ".join(f"{amount:,.6g} {axis}" for axis, amount in one.cost.items()),
            }
            for one in self.chosen
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        where = f"  score: {self.score}; every run: study `{self.results.study}` in {self.results.store}"
        return f"{self.table().to_string(index=False)}\n{where}"

    def _repr_html_(self) -> str:
        return cast(str, self.table().to_html(index=False))


def tune(
    study: Study,
    plan: TuningPlan | Mapping[str, Any],
    store: str | Path | None = None,
    *,
    workers: int | None = None,
    ray_address: str | None = None,
    resume: bool = False,
    observer: Observer | None = None,
    progress: bool = True,
) -> Tuned:
    """Search strategies' own settings, at equal cost for each, before a study compares them.

    ::

        tuned = tune(study, TuningPlan({"RE": {"population": Integer(10, 200), "sample": Integer(2, 50)}}))
        run(tuned.study)

    Args:
        study: what is to be compared afterwards; none of its runs is made here.
        plan: what is tuned, on what, and how much.
        store: a path or SQLAlchemy URL, which then holds a study ``NAME tuning``; None takes a temporary file.
        workers, ray_address, resume, observer, progress: as of `run`.

    Raises:
        InputError: the plan is impossible, would use seeds of the comparison on its own tasks, or no settings of a
            strategy ran well.
    """
    plan = TuningPlan.of(plan)
    trying, candidates = trials_of(study, plan)
    results = run(
        trying, store, workers=workers, ray_address=ray_address, resume=resume, observer=observer, progress=progress
    )
    runs: dict[str, list[RunRecord]] = {candidate.label: [] for candidate in candidates}
    with open_store(results.store) as opened:
        for one in opened.runs(trying.name, recordings=False):
            runs[one.strategy].append(one)
        higher = _more_is_better(opened.study(trying.name).declared)
    own = {label: [c for c in candidates if c.of == label] for label in plan.strategies}
    chosen = [_chosen(label, tried, runs, trying, plan) for label, tried in own.items()]
    tuned = _tuned(study, trying, plan, {one.strategy: (one, own[one.strategy]) for one in chosen})
    if len(trying.problems) > 1:
        return Tuned(tuned, results, tuple(chosen), f"mean rank of the {plan.by} value over problems and seeds")
    sign = -1.0 if higher else 1.0
    shown = tuple(replace(one, score=sign * one.score, declared=sign * one.declared) for one in chosen)
    return Tuned(tuned, results, shown, f"mean {plan.by} value over {len(trying.seeds)} seeds")


def trials_of(study: Study, plan: TuningPlan) -> tuple[Study, list[Candidate]]:
    """The study that a tuning is, and what its strategies stand for; nothing is run.

    Raises:
        InputError: the plan is impossible, or would use seeds of the comparison on its own tasks.
    """
    contestants = {contestant.label: contestant for contestant in study.strategies}
    spaces = plan.spaces(list(contestants))
    problems = plan.problems or study.problems
    name = f"{study.name} tuning"
    bare = Study(
        name,
        problems,
        [contestants[label] for label in spaces],
        _seeds(plan.seeds, study.seeds),
        plan.budget or study.budget,
        study.duplicates,
        metric=study.metric,
        limits=study.limits,
    )
    tasks = [task_of(problem) for problem in problems]
    for label in spaces:
        check_fresh(label, Tuning(("settings",), tuple(tasks), bare.seeds, {"evaluations": 0}), study)
    shared = sorted({task_of(problem) for problem in study.problems} & set(tasks))
    if plan.by == "judge" and shared:
        raise StudyError(
            f'`tune.by` is "judge", but the study\'s own {", ".join(f"`{task}`" for task in shared)} is tuned on: what '
            'the judge reads there may decide no setting. Tune on other `problems`, or by "validation".'
        )
    candidates = [c for label, space in spaces.items() for c in _drawn(bare, contestants[label], space, plan)]
    placed = study.resources
    kept = [problem.name for problem in problems]
    resources = Placement(
        placed.everything,
        placed.judge,
        {label: own for label, own in placed.problems.items() if label in kept},
        {c.label: placed.strategies[c.of] for c in candidates if c.of in placed.strategies},
    )
    trying = replace(bare, strategies=tuple(Contestant(c.strategy, c.label) for c in candidates), resources=resources)
    return trying, candidates


def _seeds(wanted: int | Sequence[int], taken: Sequence[int]) -> Sequence[int]:
    """The seeds to tune with; a number of them follows on those of the study."""
    if not isinstance(wanted, int):
        return wanted
    if isinstance(wanted, bool) or wanted < 1:
        raise StudyError(f"`tune.seeds` must be a number of seeds from 1 on, or a list of them, but got {wanted!r}.")
    first = max(max(taken) + 1, 0)
    return range(first, first + wanted)


def _drawn(study: Study, contestant: Contestant, space: Space, plan: TuningPlan) -> Iterator[Candidate]:
    """Yield the settings to try of a strategy: the declared ones, then others that it accepts, all different."""
    if reason := _refused(study, contestant):
        raise StudyError(f"`{contestant.label}` cannot be tuned: {reason}")
    yield Candidate(contestant.label, {}, contestant.strategy)
    rng = Seeds(study.name, study.seeds[0], private=contestant.label).rng("search")
    seen, why = {strategy_description(contestant.make())}, "they repeat"
    found = 1
    for _ in range(TRIES * plan.configurations):
        settings = {name: _plain(value) for name, value in space.sample(rng).as_dict().items()}
        part = contestant.strategy
        for path, value in settings.items():
            part = _with(part, path, value, contestant.label)
        other = Contestant(part, contestant.label)
        if reason := _refused(study, other):
            why = reason
            continue
        description = strategy_description(other.make())
        if description not in seen:
            seen.add(description)
            yield Candidate(contestant.label, settings, part)
            found += 1
        if found == plan.configurations:
            return
    raise StudyError(
        f'the ranges of `tune.strategies."{contestant.label}"` hold {found} different settings that it accepts, the '
        f"declared ones among them, but {plan.configurations} are to be tried of each strategy (others: {why}); widen "
        "the ranges, or lower `configurations`."
    )


def _refused(study: Study, contestant: Contestant) -> str:
    """Why a strategy cannot run on the problems of a tuning; nothing where it can."""
    try:
        reasons = [unsupported(study, problem, contestant) for problem in study.problems]
    except InputError as error:
        return str(error)
    return next((reason for reason in reasons if reason is not None), "")


def _with(part: Any, path: str, value: Any, label: str) -> Any:
    """A strategy with another value of a setting, or of a setting of a part within."""
    name, dot, rest = path.partition(".")
    if isinstance(part, Use):
        given = dict(part.parameters)
        if dot and name not in given:
            raise StudyError(f"`{label}`: a setting `{path}` needs its part `{name}` declared in the study.")
        return Use(part.name, **{**given, name: _with(given[name], rest, value, label) if dot else value})
    if not is_dataclass(part) or isinstance(part, type):
        raise StudyError(f"`{label}` is {part!r}, whose settings cannot be changed; give its name, or a dataclass.")
    known = [field.name for field in fields(part) if field.init]
    if name not in known:
        raise StudyError(f"strategy `{label}` has no parameter `{name}`; {did_you_mean(name, known)}")
    try:
        return replace(part, **{name: _with(getattr(part, name), rest, value, label) if dot else value})
    except (TypeError, ValueError) as error:
        raise StudyError(f"strategy `{label}` refuses {name} = {value!r}: {error}") from error


def _plain(value: Any) -> Any:
    """A drawn value as a study writes it, numbers in few digits."""
    if value is NOTHING:
        return None
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def said(settings: Mapping[str, Any]) -> str:
    """Settings in words."""
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "as declared"


# -- what is found ------------------------------------------------------------------------------------------------


def _chosen(
    label: str, tried: Sequence[Candidate], runs: Mapping[str, Sequence[RunRecord]], study: Study, plan: TuningPlan
) -> Chosen:
    """The settings with the best mean; the first of equals, so that declared ones give way to better ones only."""
    values = np.array([_values(runs[candidate.label], study, plan.by) for candidate in tried])
    if not np.isfinite(values).all(axis=1).any():
        raise InputError(_none_ran(label, [run for c in tried for run in runs[c.label]], plan.by))
    ranked = len(study.problems) > 1
    means = (_ranks(values) if ranked else values).mean(axis=1)
    means[~np.isfinite(values).all(axis=1)] = math.inf
    best = int(np.argmin(means))
    failed = int((~np.isfinite(values).all(axis=1)).sum())
    cost = _spent([run for c in tried for run in runs[c.label]], study, plan.by)
    return Chosen(label, tried[best].settings, float(means[best]), float(means[0]), len(tried), failed, cost)


def _values(runs: Sequence[RunRecord], study: Study, by: str) -> list[float]:
    """A value per problem and seed, lower better; infinite where there is none."""
    found = {}
    for one in runs:
        value = one.value if by == "validation" else one.test_error if one.judged else math.nan
        found[one.problem, one.replicate] = value if one.ok and math.isfinite(value) else math.inf
    return [found.get((problem.name, seed), math.inf) for problem in study.problems for seed in study.seeds]


def _ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Ranks of settings (rows) within each problem and seed (columns), ties by their mean."""
    below = (values[:, None, :] > values[None, :, :]).sum(axis=1)
    equal = (values[:, None, :] == values[None, :, :]).sum(axis=1)
    return cast("np.ndarray[Any, Any]", below + (equal + 1) / 2)


def _none_ran(label: str, runs: Sequence[RunRecord], by: str) -> str:
    if by == "validation" and any(run.ok for run in runs):
        return (
            f"no settings of `{label}` can be chosen: what it recommends comes without a validation value. Tune it on "
            'other `problems`, by = "judge".'
        )
    why = next((run.failure for run in runs if run.failure), "see the runs")
    return f"no settings of `{label}` can be chosen: each had a run that failed, the first by: {why}"


def _spent(runs: Sequence[RunRecord], study: Study, by: str) -> dict[str, float]:
    """What runs have cost; real seconds, which no rerun repeats, only where they are what the budget limits."""
    total = reduce(add, (run.cost + run.judge_cost if by == "judge" else run.cost for run in runs), Cost())
    amounts = {axis: getattr(total, axis) for axis in BUDGET_AXES}
    if "seconds" not in study.budget.limits:
        amounts["seconds"] = total.simulated_s
    return {axis: int(amount) if amount == int(amount) else amount for axis, amount in amounts.items() if amount}


def _tuned(
    study: Study, trying: Study, plan: TuningPlan, chosen: Mapping[str, tuple[Chosen, Sequence[Candidate]]]
) -> Study:
    """The study with the chosen settings, which says where they are from."""
    tasks = tuple(dict.fromkeys(task_of(problem) for problem in trying.problems))
    strategies: dict[str, Any] = {c.label: c.strategy for c in study.strategies}
    tuning = dict(study.tuning)
    for label, (found, tried) in chosen.items():
        strategies[label] = next(c.strategy for c in tried if c.settings == found.settings)
        names = tuple(plan.strategies[label])
        tuning[label] = Tuning(names, tasks, trying.seeds, found.cost, study=trying.name)
    contestants = tuple(Contestant(part, label) for label, part in strategies.items())
    return replace(study, strategies=contestants, tuning=tuple(tuning.items()))


def _more_is_better(declared: Mapping[str, Any]) -> bool:
    return any((entry.get("metric") or {}).get("better") == "higher" for entry in declared.get("problems", ()))
