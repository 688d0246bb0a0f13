"""What the user asked for: problems × strategies × seeds under one budget."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from searchbench.cost import Budget
from searchbench.errors import InputError, StudyError, did_you_mean
from searchbench.harness.declared.ablation import AblationPlan
from searchbench.harness.declared.components import (
    Named,
    Use,
    as_use,
    canonical_json,
    describe,
    fingerprint,
    make,
    written,
)
from searchbench.harness.declared.constraint import LIMITS
from searchbench.harness.declared.limits import Limits
from searchbench.harness.declared.objective import Objective, posed
from searchbench.harness.declared.place import Place
from searchbench.harness.declared.problem import Posed, Problem
from searchbench.harness.declared.resources import Placement
from searchbench.harness.declared.tuning import Tuning, tunings
from searchbench.metric import Metric
from searchbench.strategies import STRATEGIES
from searchbench.strategies.strategy import Strategy
from searchbench.tasks.task import NoTask

Duplicates = Literal["charge", "cache"]
ESTIMANDS = ("mean", "median", "iqm", "rank")
"""What a comparison may be about; the statistics layer's `estimand` computes each."""
MOST_SEEDS = 100_000
"""Replicates of a study: a number above is taken for a seed written where their number belongs."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A strategy under the label tables call it by."""

    strategy: Use | Strategy
    """By its registered name with parameters, or the object."""
    label: str

    def make(self) -> Strategy:
        """The strategy itself. Raises InputError where its name or parameters are wrong."""
        strategy = make(self.strategy, STRATEGIES)
        if not callable(getattr(strategy, "start", None)):
            raise StudyError(
                f"strategy `{self.label}` must have `start(scenario)`, but {strategy!r} has none; "
                "see the smallest plug-in in the README."
            )
        return strategy  # type: ignore[no-any-return]


OBJECTIVES = ("test_error", *LIMITS)
"""What a reference point may have: the error, and what networks cost."""


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """What is to be compared, declared before the first run.

    Raises:
        StudyError: alpha is not in (0, 1), rope is negative, effect does not exceed it, looks is not positive, the
            family or the estimand is unknown, or the reference names something else than objectives, or no positive
            numbers.
    """

    baseline: str | None = None
    """Label of the strategy the others are compared with."""
    alpha: float = 0.05
    family: str = "baseline"
    """ "baseline" (each against it) or "all-pairs"."""
    estimand: str = "mean"
    """ "mean", "median", "iqm" or "rank": what of the paired differences is tested, estimated and ranked by."""
    rope: float | None = None
    """Differences of the metric up to this are practically none: in its unit, a share as a share (0.001 is 0.1
    percentage points)."""
    effect: float | None = None
    """True difference that the study is planned to see, in the same unit, beyond the rope; twice it by default."""
    looks: int = 1
    """How often the results will be looked at while seeds are added."""
    reference: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Corner of the boxes of hypervolumes: `test_error` (a share) and costs (`latency_ms`, `macs`, `params`). Numbers
    of studies compare where it is the same; what is not given is taken from the results."""

    def __post_init__(self) -> None:
        if self.baseline is not None and not isinstance(self.baseline, str):
            raise StudyError(f"`comparison.baseline` must be the label of a strategy, but got {self.baseline!r}.")
        if not 0 < self.alpha < 1:
            raise StudyError(f"`comparison.alpha` must lie in (0, 1), but got {self.alpha!r}.")
        if self.family not in ("baseline", "all-pairs"):
            raise StudyError(f'`comparison.family` must be "baseline" or "all-pairs", but got {self.family!r}.')
        if self.estimand not in ESTIMANDS:
            known = ", ".join(f'"{name}"' for name in ESTIMANDS)
            raise StudyError(f"`comparison.estimand` must be one of {known}, but got {self.estimand!r}.")
        if self.rope is not None and not self.rope >= 0:
            raise StudyError(f"`comparison.rope` must not be negative, but got {self.rope!r}.")
        if self.effect is not None and not self.effect > (self.rope or 0.0):
            raise StudyError(
                f"`comparison.effect` must exceed `comparison.rope` ({self.rope or 0.0:g}), but got {self.effect!r}; a "
                "true difference within the rope is called better in at most half of all studies."
            )
        if not isinstance(self.looks, int) or self.looks < 1:
            raise StudyError(f"`comparison.looks` must be a positive integer, but got {self.looks!r}.")
        if not isinstance(self.reference, Mapping):
            raise StudyError(f"`comparison.reference` must be a table of objectives, but got {self.reference!r}.")
        for name, value in self.reference.items():
            if name not in OBJECTIVES:
                raise StudyError(f"`comparison.reference` has no objective `{name}`; {did_you_mean(name, OBJECTIVES)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
                raise StudyError(f"`comparison.reference.{name}` must be positive and finite, but got {value!r}.")


@dataclass(frozen=True, slots=True, init=False)
class Study:
    """Problems × strategies × seeds under one budget; prints as the code that rebuilds it.

    Args:
        name: identifies it in the store and enters every seed.
        problems: one or more `Problem`s or `Objective`s.
        strategies: names, `Use`s, strategy objects or `Contestant`s; or a mapping of labels to them.
        seeds: a number of replicates (0, 1, …), or the replicates' own seeds.
        budget: the limits of every single run.
        duplicates: whether asking again for the same architecture is a new, charged evaluation ("charge") or served
            free from memory ("cache"); the same for all strategies.
        comparison: what will be compared, declared beforehand; None declares nothing.
        ablation: which strategies have which parts, for `searchbench ablation`.
        metric: what is measured, where the problems do not say it themselves: a name, a table of `Metric`'s fields, or
            a `Metric`. None: what the judge says of it.
        tuning: where strategies' settings come from, by label: a `Tuning`, or a table of its fields.
        limits: seconds and memory of evaluations and runs, enforced by killing; a `Limits` or a table of its fields.
        resources: processors, cards and memory that runs hold while they run: a table of `Resources`' fields, with
            tables `judge`, `problems` and `strategies` (by label) for what differs.
        checkpoints: where runs leave their state, so that one that is killed is continued wherever it is begun again: a
            URL that fsspec reads, a table of `url` and `every_s`, or a `Place`. None: a folder beside the store's file.
            It decides no number, and is not recorded.

    Raises:
        StudyError: anything is empty, duplicated or out of range.
    """

    name: str
    problems: tuple[Posed, ...]
    strategies: tuple[Contestant, ...]
    seeds: tuple[int, ...]
    budget: Budget
    duplicates: Duplicates = "charge"
    comparison: ComparisonPlan | None = field(default=None)
    ablation: AblationPlan | None = field(default=None)
    metric: Metric | None = field(default=None)
    tuning: tuple[tuple[str, Tuning], ...] = ()
    limits: Limits = field(default_factory=Limits)
    resources: Placement = field(default_factory=Placement)
    checkpoints: Place | None = None

    def __init__(
        self,
        name: str,
        problems: Posed | Iterable[Posed],
        strategies: Iterable[Named | Strategy | Contestant] | Mapping[str, Named | Strategy],
        seeds: int | Iterable[int],
        budget: Budget,
        duplicates: Duplicates = "charge",
        comparison: ComparisonPlan | None = None,
        ablation: AblationPlan | None = None,
        metric: str | Mapping[str, Any] | Metric | None = None,
        tuning: Mapping[str, Tuning | Mapping[str, Any]] | tuple[tuple[str, Tuning], ...] | None = None,
        limits: Mapping[str, float] | Limits | None = None,
        resources: Mapping[str, Any] | Placement | None = None,
        checkpoints: str | Path | Mapping[str, Any] | Place | None = None,
    ) -> None:
        given = (problems,) if isinstance(problems, Problem | Objective) else tuple(cast(Iterable[Posed], problems))
        values = {
            "name": name,
            "problems": given,
            "strategies": _contestants(strategies),
            "seeds": _seeds(seeds),
            "budget": budget,
            "duplicates": duplicates,
            "comparison": comparison,
            "ablation": ablation,
            "metric": None if metric is None else Metric.of(metric),
            "tuning": (),
            "limits": Limits.of(limits),
            "resources": Placement(),
            "checkpoints": Place.of(checkpoints),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        _check(self)
        labels = [c.label for c in self.strategies]
        object.__setattr__(self, "tuning", tunings(tuning or {}, labels))
        object.__setattr__(self, "resources", Placement.of(resources, [p.name for p in self.problems], labels))

    def check_label(self, label: str | None) -> None:
        """Raise InputError where a label is given that no strategy has."""
        labels = [contestant.label for contestant in self.strategies]
        if label is not None and label not in labels:
            raise InputError(f"no strategy of study `{self.name}` is labelled `{label}`; {did_you_mean(label, labels)}")

    def spec(self) -> dict[str, Any]:
        """The declared study as plain JSON values; every default is written out.

        Raises:
            InputError: a name is unknown, a parameter impossible, or data missing.
        """
        return {
            "name": self.name,
            "seeds": list(self.seeds),
            "budget": self.budget.limits,
            "duplicates": self.duplicates,
            "problems": [_problem_spec(problem) for problem in self.problems],
            "strategies": [
                {"label": c.label, "name": str(c.strategy), "description": strategy_description(c.make())}
                for c in self.strategies
            ],
            "comparison": describe(self.comparison) if self.comparison is not None else None,
            "ablation": self.ablation.to_spec() if self.ablation is not None else None,
            "metric": self.metric.to_spec() if self.metric is not None else None,
            "tuning": {label: own.to_spec() for label, own in self.tuning},
            **({"limits": self.limits.to_spec()} if self.limits else {}),
            **({"resources": placed} if (placed := self.resources.to_spec()) else {}),
            "given": {
                "problems": [problem.given() for problem in self.problems],
                "strategies": [[c.label, written(c.strategy)] for c in self.strategies],
            },
        }


def study_from_spec(spec: Mapping[str, Any]) -> Study:
    """The study that a recorded declaration (`Study.spec`) came from.

    Raises:
        InputError: parts of it were objects that only exist in the program that declared it.
    """
    given = spec["given"]
    comparison = {k: v for k, v in (spec["comparison"] or {}).items() if k != "class"}
    return Study(
        name=spec["name"],
        problems=[posed(problem) for problem in given["problems"]],
        strategies=dict(given["strategies"]),
        seeds=spec["seeds"],
        budget=Budget.from_mapping(spec["budget"]),
        duplicates=spec["duplicates"],
        comparison=ComparisonPlan(**comparison) if comparison else None,
        ablation=AblationPlan(**spec["ablation"]) if spec.get("ablation") else None,
        limits=spec.get("limits"),
        resources=spec.get("resources"),
        metric=spec.get("metric"),
        tuning=spec.get("tuning"),
    )


def strategy_description(strategy: Strategy) -> str:
    """A strategy's canonical description: its class and all fields, as one line of JSON."""
    return canonical_json(describe(strategy))


def run_identity(study: Study, problem: Posed, contestant: Contestant, replicate: int) -> str:
    """The id of a run: a fingerprint of everything that determines its numbers, and of its label."""
    return fingerprint(
        [
            study.name,
            problem.resolve().fingerprint,
            problem.name,
            contestant.label,
            strategy_description(contestant.make()),
            replicate,
            study.budget.limits,
            study.duplicates,
        ]
    )


def _problem_spec(problem: Posed) -> dict[str, Any]:
    resolved = problem.resolve()
    return {
        "label": problem.name,
        "fingerprint": resolved.fingerprint,
        "space": describe(resolved.space),
        "task": None if isinstance(resolved.task, NoTask) else describe(resolved.task),
        "estimator": describe(resolved.estimator),
        "judge": describe(resolved.judge),
        **({} if resolved.latency is None else {"latency": describe(resolved.latency)}),
        **({} if resolved.constraint is None else {"constraint": resolved.constraint.limits}),
        **({} if resolved.metric is None else {"metric": resolved.metric.to_spec()}),
    }


def _contestants(given: Iterable[Any] | Mapping[str, Any]) -> tuple[Contestant, ...]:
    if isinstance(given, Mapping):
        return tuple(Contestant(as_use(part, f"strategy `{label}`"), str(label)) for label, part in given.items())
    return tuple(_contestant(part) for part in given)


def _contestant(given: Any) -> Contestant:
    if isinstance(given, Contestant):
        return given
    if isinstance(given, Mapping):
        given = dict(given)
        label = given.pop("label", None)
        part = as_use(given, "an entry of `strategies`")
        return Contestant(part, label if label is not None else part.name)
    part = as_use(given, "an entry of `strategies`")
    return Contestant(part, part.name if isinstance(part, Use) else type(part).__name__)


def _seeds(given: int | Iterable[int]) -> tuple[int, ...]:
    if isinstance(given, bool | str | Mapping) or not isinstance(given, int | Iterable):
        raise StudyError(f"`seeds` must be a number of replicates or a list of integers, but got {given!r}.")
    listed = range(max(given, 0)) if isinstance(given, int) else given
    seeds = tuple(islice(listed, MOST_SEEDS + 1))
    if not seeds:
        raise StudyError(f"`seeds` must give at least one replicate, but got {given!r}.")
    if len(seeds) > MOST_SEEDS:
        raise StudyError(
            f"`seeds` may give at most {MOST_SEEDS:,} replicates, which is more than any test needs; a single seed of "
            "your own is written as a list, [42]."
        )
    for value in seeds:
        if isinstance(value, bool) or not isinstance(value, int):
            raise StudyError(f"`seeds` must be integers, but got {value!r}.")
        if not -(2**63) <= value < 2**63:
            raise StudyError(
                "`seeds` must be 64-bit integers, which is what a store holds, but got a larger one; of NumPy's "
                "128 bits of entropy take `entropy % 2**63`."
            )
    return seeds


def _check(study: Study) -> None:
    if not isinstance(study.name, str) or not study.name.strip():
        raise StudyError(f"`name` must be a text that is not empty, but got {study.name!r}.")
    check_text(study.name, "`name`")
    if not isinstance(study.budget, Budget):
        raise StudyError(f"`budget` must be a Budget, but got {study.budget!r}; for example Budget(evaluations=100).")
    if study.duplicates not in ("charge", "cache"):
        raise StudyError(f'`duplicates` must be "charge" or "cache", but got {study.duplicates!r}.')
    if not study.problems or not study.strategies:
        missing = "problems" if not study.problems else "strategies"
        raise StudyError(f"a study needs at least one entry in `{missing}`.")
    labels = [contestant.label for contestant in study.strategies]
    _check_distinct(labels, "label", "strategies", "give one of them another `label`")
    _check_distinct([p.name for p in study.problems], "label", "problems", "give one of them another `label`")
    _check_distinct(study.seeds, "seed", "seeds", "a replicate counted twice is not independent")
    if study.ablation is not None:
        study.ablation.check_labels(labels)
    baseline = study.comparison.baseline if study.comparison is not None else None
    if baseline is not None and baseline not in labels:
        for contestant in study.strategies:  # a misspelt strategy is the cause, its missing label the consequence
            contestant.make()
        raise StudyError(
            f"`comparison.baseline` is `{baseline}`, which no strategy is labelled; {did_you_mean(baseline, labels)}"
        )


def _check_distinct(values: Sequence[Any], what: str, where: str, way_out: str) -> None:
    for value in values:
        if what != "seed" and (not isinstance(value, str) or not value.strip()):
            raise StudyError(f"every {what} in `{where}` must be a text that is not empty, but got {value!r}.")
        if isinstance(value, str):
            check_text(value, f"the {what} in `{where}`")
    for value, times in Counter(values).items():
        if times > 1:
            raise StudyError(f"the {what} `{value}` stands {times} times in `{where}`; {way_out}.")


def check_text(text: str, what: str) -> None:
    """Raise StudyError for a text that no file can hold: one with half of a pair of code units."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise StudyError(f"{what} must be a text that can be written down, but got {text!a}.") from None
