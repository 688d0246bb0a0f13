"""Turn a study into its runs: every pairing that is possible, and the reason for every one that is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.estimators.estimator import Charging, Measuring, Stacking, Staying
from searchbench.harness.declared.limits import Limits
from searchbench.harness.declared.problem import Posed
from searchbench.harness.declared.resources import Resources
from searchbench.harness.declared.study import Contestant, Duplicates, Study, run_identity, strategy_description
from searchbench.metric import Metric
from searchbench.seeds import Seeds
from searchbench.strategies.optional import Restricted
from searchbench.strategies.strategy import Scenario, Strategy

Role = Literal["search", "judge"]
"""Processes of one role never do the work of the other: a search has never run where test data is read."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run: one strategy on one problem with one seed. Everything a worker needs, and nothing it could misuse."""

    run_id: str
    study: str
    problem: Posed
    contestant: Contestant
    replicate: int
    budget: Budget
    duplicates: Duplicates
    limits: Limits = field(default_factory=Limits)
    """Of its processes; no part of its identity, since they decide no number of a run that keeps them."""
    needs: Resources = field(default_factory=Resources)
    """What its search, or each of its evaluations, holds; no part of its identity either."""
    judge_needs: Resources = field(default_factory=Resources)

    def seeds(self, strategy: Strategy) -> Seeds:
        """The streams of this run."""
        return Seeds(self.study, self.replicate, private=strategy_description(strategy))

    @property
    def stays(self) -> bool:
        """Whether its evaluations are bound to its process: look-ups, and what leaves something for the next."""
        estimator = self.problem.resolve().estimator
        return isinstance(estimator, Staying) and estimator.stays

    def __str__(self) -> str:
        return f"{self.contestant.label} / {self.problem.name} / seed {self.replicate}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A pairing that cannot run, and the rule it breaks."""

    strategy: str
    problem: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs of a study, replicate by replicate so that any prefix is a fair sample, and what is skipped."""

    runs: tuple[RunSpec, ...]
    skipped: tuple[Skipped, ...]
    metrics: Mapping[str, Metric]
    """What is measured on each problem, by its label."""


def plan(study: Study) -> Plan:
    """All runs of a study.

    Raises:
        StudyError: a metric is declared that the judge does not measure.
        InputError: a name is unknown, a parameter impossible, data missing, or the budget limits nothing that a
            problem charges.
    """
    possible: list[tuple[Posed, Contestant]] = []
    skipped: list[Skipped] = []
    for problem in study.problems:
        before = len(possible)
        for contestant in study.strategies:
            reason = unsupported(study, problem, contestant)
            if reason is None:
                possible.append((problem, contestant))
            else:
                skipped.append(Skipped(contestant.label, problem.name, f"{reason.removesuffix('.')}."))
        if len(possible) > before:
            _check_ends(study, problem)
            _check_graphs(study, problem)
    placed = [(problem, contestant, *_held(study, problem, contestant)) for problem, contestant in possible]
    runs = [_run(study, *of, r) for r in study.seeds for of in placed]
    return Plan(tuple(runs), tuple(skipped), {problem.name: _measured(study, problem) for problem in study.problems})


def _measured(study: Study, problem: Posed) -> Metric:
    """What a problem says it measures, else the study, else its judge; the test error, of no known kind, where no one
    says. Raises StudyError where the study turns the judge's direction round."""
    resolved = problem.resolve()
    own: Metric | None = getattr(resolved, "metric", None)
    judge = resolved.judge
    judged = judge.metric(resolved.task) if isinstance(judge, Measuring) else None
    if own is None and study.metric is not None and judged is not None and study.metric.better != judged.better:
        raise StudyError(
            f"`better` is {study.metric.better!r}, but what the judge of `{problem.name}` measures is a {judged.name}, "
            f"of which {judged.better} is better; leave `better` out."
        )
    return own or study.metric or judged or Metric()


def _check_ends(study: Study, problem: Posed) -> None:
    """Raise StudyError where the budget limits what a search is never charged, and which so would never run out."""
    estimator = problem.resolve().estimator
    if not isinstance(estimator, Charging):
        return
    unlimited = [axis for axis in study.budget.limits if axis not in estimator.charges()]
    if unlimited:
        raise StudyError(
            f"the budget limits {' and '.join(f'`{axis}`' for axis in unlimited)}, on which problem `{problem.name}` "
            f"charges nothing, so no search would end by it; "
            f"limit {' or '.join(f'`{a}`' for a in estimator.charges())}."
        )


def _check_graphs(study: Study, problem: Posed) -> None:
    """Raise StudyError where single trainings would be ended that share a graph."""
    estimator = problem.resolve().estimator
    if study.limits and isinstance(estimator, Stacking) and estimator.together > 1:
        raise StudyError("`limits` end single trainings, but those `together` share a graph; leave one of them out.")


def _held(study: Study, problem: Posed, contestant: Contestant) -> tuple[Resources, Resources]:
    """What a search and its judgement hold, the same objects for all replicates: there may be very many."""
    return study.resources.search(problem.name, contestant.label), study.resources.verdict(problem.name)


def _run(
    study: Study, problem: Posed, contestant: Contestant, needs: Resources, judge_needs: Resources, replicate: int
) -> RunSpec:
    identity = run_identity(study, problem, contestant, replicate)
    return RunSpec(
        identity,
        study.name,
        problem,
        contestant,
        replicate,
        study.budget,
        study.duplicates,
        study.limits,
        needs,
        judge_needs,
    )


def unsupported(study: Study, problem: Posed, contestant: Contestant) -> str | None:
    """Why a strategy cannot run on a problem of a study; None where it can. Raises InputError as `plan` does."""
    strategy = contestant.make()
    if not isinstance(strategy, Restricted):
        return None
    resolved = problem.resolve()
    scenario = Scenario(
        space=resolved.searched,
        seeds=Seeds(study.name, study.seeds[0], private=strategy_description(strategy)),
        budget=study.budget,
        trains=resolved.estimator.trains,
        stops=resolved.stops,
        continues=resolved.continues,
        latency=resolved.measures.latency,
        macs=resolved.measures.counts(),
    )
    return strategy.unsupported(scenario)
