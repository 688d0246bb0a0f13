"""Rehearsals: short runs of a strategy whose every proposal is written down, so that two can be compared."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from searchbench.cost import Budget, Cost
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.constraint import Measures
from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Contestant
from searchbench.harness.running.run import run_search
from searchbench.results.columns import MEASURED_COLUMNS, read_events
from searchbench.results.records import SearchResult
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.optional import Recommending, Restricted
from searchbench.strategies.search_kind import search_kind
from searchbench.strategies.strategy import AskTellSearch, Scenario, Strategy
from searchbench.testing.described import elsewhere
from searchbench.testing.report import ConformanceError
from searchbench.trial import Fidelity, Proposal, Trial

FULL_EPOCHS = Fidelity(27.0, 1.0, 1.0, 1.0)

Weather = Literal["fair", "failures", "only failures", "all equal"]
"""How the evaluations of a rehearsal turn out."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Where a strategy is rehearsed.

    Args:
        space: what is searched.
        trials: evaluations of an ask/tell search.
        samples: budget, in sample passes on the task `digits`, of a search that trains; None: it does not train here.
    """

    space: Space
    trials: int
    samples: int | None = None

    @property
    def budget(self) -> Budget:
        return Budget(evaluations=self.trials) if self.samples is None else Budget(samples=self.samples)


def stages(trials: int = 40) -> tuple[Stage, ...]:
    """Stages for ask/tell: the cells of NAS-Bench-201, a conditional space of mixed numbers, and one that ends."""
    mixed = (
        Float("learning_rate", 1e-4, 1e-1, log=True),
        Choice("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.99, when=When("optimizer", ("sgd",))),
        Integer("layers", 1, 4),
        Integer("units", 8, 512, log=True),
    )
    tiny = (Choice("left", ("a", "b", "c")), Choice("right", ("a", "b")))
    return (
        Stage(nasbench201(), trials),
        Stage(Space("mixed", mixed), trials),
        Stage(Space("tiny", tiny), 2 * trials),
    )


def training_stage(samples: int = 8_000) -> Stage:
    """Stage for searches that train: the smallest networks of NAS-Bench-201 on the bundled digits."""
    return Stage(nasbench201(channels=2, cells=1, stages=1), 0, samples)


def scenario(stage: Stage, strategy: Strategy, replicate: int = 0) -> Scenario:
    """What the strategy is told on a stage."""
    seeds = Seeds("conformance", replicate, repr(strategy))
    stops = tuple(float(epoch) for epoch in range(1, 28))
    trains, macs = stage.samples is not None, Measures(stage.space, (1, 8, 8), 10, None).counts()
    return Scenario(stage.space, seeds, stage.budget, FULL_EPOCHS, trains=trains, stops=stops, macs=macs)


def unsupported(strategy: Strategy, stage: Stage) -> str | None:
    """Why the strategy says it cannot run on a stage, or None."""
    return strategy.unsupported(scenario(stage, strategy)) if isinstance(strategy, Restricted) else None


def trains(strategy: Strategy, on: Sequence[Stage] | None = None) -> bool:
    """Whether the strategy starts a search that trains a supernet (one that does not start at all does not), on the
    first of some stages, or on `training_stage()`."""
    stage = on[0] if on else training_stage()
    try:
        search = strategy.start(scenario(stage, strategy))
        return unsupported(strategy, stage) is None and search_kind(search) == "training"
    except Exception:
        return False  # what is wrong is said by the behaviours


def rehearse(
    strategy: Strategy, stage: Stage, replicate: int = 0, weather: Weather = "fair", abreast: int = 1
) -> list[str]:
    """Run a search to the end and write down all it did and what it handed over, a line each.

    Args:
        weather: how evaluations turn out, on a stage without training.
        abreast: proposals under way at a time, told back last first, on a stage without training.

    Raises:
        ConformanceError: the search failed, or a proposal is none or not of the space.
    """
    if stage.samples is not None:
        return _train(strategy, stage, replicate)
    search = strategy.start(scenario(stage, strategy, replicate))
    if search_kind(search) == "training":
        raise ConformanceError("it trains a supernet, which cannot be rehearsed on a stage without training.")
    return _ask_tell(cast(AskTellSearch, search), stage, weather, abreast)


def _ask_tell(search: AskTellSearch, stage: Stage, weather: Weather, abreast: int) -> list[str]:
    lines: list[str] = []
    told: dict[int, Trial] = {}
    succeeded = False
    while len(lines) < stage.trials:
        trials = []
        for _ in range(min(abreast, stage.trials - len(lines))):
            proposal = search.ask()
            if proposal is None:
                break
            lines.append(written(proposal, stage.space))
            check_resume(proposal, told)
            trials.append(evaluate(proposal, len(lines) - 1, weather))
        for trial in reversed(trials):
            search.tell(trial)
            told[trial.number] = trial
            succeeded = succeeded or not trial.failed
        if not trials:
            break
    if isinstance(search, Recommending) and succeeded:
        lines.append("hands over " + written(Proposal(search.recommend()), stage.space))
    return lines


def training_problem(stage: Stage) -> Problem:
    """Real training of a stage's networks on the bundled digits."""
    return Problem(stage.space, "digits", Use("train", epochs=1))


def searched(
    strategy: Strategy,
    problem: Problem,
    budget: Budget,
    replicate: int = 0,
    after_trial: Callable[[], object] | None = None,
) -> SearchResult:
    """What a real run of the strategy leaves behind, without judge and store."""
    contestant = Contestant(strategy, "rehearsed")
    spec = RunSpec("rehearsal", "conformance", problem, contestant, replicate, budget, "charge")
    return run_search(spec, note=None if after_trial is None else lambda so_far: after_trial())


def _train(strategy: Strategy, stage: Stage, replicate: int) -> list[str]:
    result = searched(strategy, training_problem(stage), stage.budget, replicate)
    if result.status != "ok" or result.architecture is None:
        raise ConformanceError(f"its run failed: {result.error}")
    stage.space.parse(result.architecture)
    if result.cost.samples > (stage.samples or 0):
        raise ConformanceError(f"it spent {result.cost.samples:,} samples of a budget of {stage.samples:,}.")
    events = read_events(result.trials)
    kept = events.select([name for name in events.column_names if name not in MEASURED_COLUMNS])
    return [*map(str, kept.to_pylist()), f"hands over {result.architecture} for {result.cost.samples} samples"]


def evaluate(proposal: Proposal, number: int, weather: Weather) -> Trial:
    """A measurement that depends on the key of what it reaches alone, with the metrics `params` and `macs`, or the
    failure that the weather brings."""
    cost = Cost(evaluations=1, epochs=proposal.fidelity.epochs or 27.0)
    fidelity = Fidelity(proposal.fidelity.epochs or 27.0, 1.0, 1.0, 1.0)
    if weather == "only failures" or (weather == "failures" and number % 3 == 1):
        return Trial(number, proposal.architecture, fidelity, "error", math.nan, cost, error="rehearsed failure")
    if weather == "all equal":
        value = 0.5
    else:
        digest = hashlib.sha256(proposal.architecture.key_at(fidelity.epochs).encode()).digest()
        value = int.from_bytes(digest[:6], "big") / 2**48
    metrics = {"params": float(len(proposal.architecture.key)), "macs": 1000.0 * len(set(proposal.architecture.key))}
    return Trial(number, proposal.architecture, fidelity, "ok", value, cost, metrics)


def written(proposal: Any, space: Space) -> str:
    """A line that tells a proposal from others. Raises ConformanceError where it is none, or not of the space."""
    if not isinstance(proposal, Proposal):
        raise ConformanceError(f"`ask` must return a Proposal or None, but returned {proposal!r}.")
    architecture = proposal.architecture
    if not isinstance(architecture, Architecture) or architecture not in space:
        raise ConformanceError(f"a proposal must be an architecture of `{space.name}`, but was {architecture!r}.")
    space.architecture(architecture.values)
    return f"{architecture.values!r} at {proposal.fidelity}"


def check_resume(proposal: Proposal, told: dict[int, Trial]) -> None:
    """Raise ConformanceError where a proposal continues what the search was not told, or another architecture."""
    if proposal.resume is None:
        return
    earlier = told.get(proposal.resume)
    reached = None if earlier is None else earlier.fidelity.epochs
    if earlier is None or earlier.architecture.key_at(reached) != proposal.architecture.key_at(reached):
        raise ConformanceError(
            "`resume` must be the number of a trial of the same architecture it was told (of a schedule that begins "
            f"alike), but was {proposal.resume}."
        )


def in_another_process(strategy: Strategy, stage: Stage) -> list[str]:
    """What `rehearse` writes down in a fresh interpreter with another hash seed. Raises what `elsewhere` does."""
    lines: list[str] = elsewhere(_replay, strategy, stage.space, stage.trials, stage.samples)
    return lines


def _replay(strategy: Strategy, *stage: Any) -> list[str]:
    return rehearse(strategy, Stage(*stage))
