"""What is to be tuned before a comparison: settings by strategy, on seeds or tasks of their own, as much for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from searchbench.cost import Budget
from searchbench.errors import InputError, StudyError, did_you_mean
from searchbench.harness.declared.components import written
from searchbench.harness.declared.objective import Objective, posed
from searchbench.harness.declared.problem import Posed, Problem
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.spaces.space import Space

By = Literal["validation", "judge"]
KEYS = ("strategies", "configurations", "seeds", "problems", "budget", "by")


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """How strategies are tuned before they are compared: what of each, on what, and how much.

    Args:
        strategies: by label, the ranges of its settings: names to `Float`, `Integer`, `Choice`, or what a study file
            writes for them. A setting of a part within is named by a path, ``"searcher.population"``.
        configurations: settings tried of each strategy, the declared ones among them.
        seeds: replicates of each: a number of seeds that the study does not use, or the seeds.
        problems: what they run on; the study's own where there are none.
        budget: of each run; the study's where there is none.
        by: "validation", the value that a search chose by; or "judge", where no task of the study is tuned on.

    Raises:
        StudyError: nothing is to be tuned, or a value is impossible.
    """

    strategies: Mapping[str, Mapping[str, Any]]
    configurations: int = 16
    seeds: int | Sequence[int] = 5
    problems: Sequence[Posed] = ()
    budget: Budget | None = None
    by: By = "validation"

    def __post_init__(self) -> None:
        if not isinstance(self.strategies, Mapping) or not self.strategies:
            raise StudyError(
                "`tune.strategies` must give the settings to tune by strategy, such as "
                f"{{ RE = {{ population = {{ int = [10, 200] }} }} }}, but got {self.strategies!r}."
            )
        if isinstance(self.configurations, bool) or not isinstance(self.configurations, int) or self.configurations < 2:
            raise StudyError(f"`tune.configurations` must be an integer from 2 on, but got {self.configurations!r}.")
        if self.by not in get_args(By):
            raise StudyError(f'`tune.by` must be "validation" or "judge", but got {self.by!r}.')
        if self.budget is not None and not isinstance(self.budget, Budget):
            raise StudyError(f"`tune.budget` must be a Budget, but got {self.budget!r}.")
        single = isinstance(self.problems, Problem | Objective)
        object.__setattr__(self, "problems", (self.problems,) if single else tuple(self.problems))

    @classmethod
    def of(cls, given: Mapping[str, Any] | TuningPlan) -> TuningPlan:
        """A plan from a table of a study file, or itself. Raises StudyError."""
        if isinstance(given, TuningPlan):
            return given
        if not isinstance(given, Mapping):
            raise StudyError(f"`tune` must be a table such as {{ configurations = 16, … }}, but got {given!r}.")
        for key in given:
            if key not in KEYS:
                raise StudyError(f"`tune` has no key `{key}`; {did_you_mean(key, KEYS)}")
        values = {"strategies": {}, **given}
        if "budget" in given:
            if not isinstance(given["budget"], Mapping):
                raise StudyError(f"`tune.budget` must be a table such as {{ epochs = 100 }}, got {given['budget']!r}.")
            values["budget"] = Budget.from_mapping(given["budget"])
        if "problems" in given:
            entries = given["problems"]
            if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
                raise StudyError(f"`tune.problems` must be a list of tables, [[tune.problems]], but got {entries!r}.")
            values["problems"] = [posed(entry) for entry in entries]
        return cls(**values)

    def to_spec(self) -> dict[str, Any]:
        """What is declared, in plain values."""
        told = {name: written(getattr(self, name)) for name in ("strategies", "configurations", "seeds", "by")}
        if self.problems:
            told["problems"] = [problem.given() for problem in self.problems]
        return told | ({} if self.budget is None else {"budget": self.budget.limits})

    def spaces(self, labels: Sequence[str]) -> dict[str, Space]:
        """The space of each strategy's settings. Raises StudyError where a label or a range is wrong."""
        found = {}
        for label, declared in self.strategies.items():
            if label not in labels:
                raise StudyError(
                    f"`tune.strategies` names `{label}`, which no strategy is labelled; {did_you_mean(label, labels)}"
                )
            if not isinstance(declared, Mapping):
                raise StudyError(f'`tune.strategies."{label}"` must be a table of settings, but got {declared!r}.')
            try:
                found[label] = hyperparameters(**{str(name): range_ for name, range_ in declared.items()})
            except InputError as error:
                raise StudyError(f'`tune.strategies."{label}"`: {error}') from None
        return found
