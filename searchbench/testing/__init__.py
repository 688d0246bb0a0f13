"""The conformance suite: what every strategy must do, run on a plug-in by its author and on every built-in by us.

::

    from searchbench.testing import check_strategy

    def test_my_strategy_conforms():
        check_strategy(MyStrategy(population=20))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchbench.harness.process import one_thread
from searchbench.strategies.strategy import Strategy
from searchbench.testing.behaviours import ASK_TELL, TRAINING, Behaviour, description, overhead
from searchbench.testing.in_flight import Flight, Rule, check_in_flight, fly
from searchbench.testing.rehearsal import ConformanceError, Stage, stages, training_stage, trains, unsupported


@dataclass(frozen=True, slots=True)
class Check:
    """One behaviour, and what was wrong with it on one space; nothing, if it holds."""

    behaviour: str
    space: str
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class Conformance:
    """What the suite found."""

    strategy: str
    checks: tuple[Check, ...]
    skipped: tuple[str, ...]
    """Spaces the strategy says it does not support, with its reasons."""
    overhead_s: float
    """The strategy's own seconds per trial, on the slowest space."""

    @property
    def wrong(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.wrong is not None)


def check_strategy(
    strategy: Strategy,
    *,
    trials: int = 40,
    random: bool = True,
    another_process: bool = True,
    slowest_s: float = 2.0,
    on: Sequence[Stage] | None = None,
) -> Conformance:
    """Run every behaviour on every space the strategy supports.

    Args:
        strategy: the frozen description.
        trials: evaluations per rehearsal.
        random: whether other seeds must lead to other proposals (False for a strategy without any randomness).
        another_process: also rehearse in a fresh interpreter with another hash seed; the strategy must be importable
            there, so not be defined in a test function or a notebook.
        slowest_s: the strategy's own seconds per trial that are still allowed.
        on: where to rehearse, instead of `stages()` or (for a search that trains a supernet) `training_stage()`.

    Raises:
        ConformanceError: at least one behaviour is broken; the message lists them all.
    """
    one_thread()  # as in any run, and so in the other process
    checks = [Check("is described by plain values", "", description(strategy))]
    training = trains(strategy)
    if on is None:
        on = (training_stage(),) if training else stages(trials)
    behaviours = dict(TRAINING if training else ASK_TELL)
    if not random:
        del behaviours["other seeds lead elsewhere"]
    if not another_process:
        del behaviours["repeats itself in another process"]
    skipped, overhead_s = [], 0.0
    for stage in on:
        reason = unsupported(strategy, stage)
        if reason is not None:
            skipped.append(f"{stage.space.name}: {reason}")
            continue
        for behaviour, holds in behaviours.items():
            checks.append(Check(behaviour, stage.space.name, _guarded(holds, strategy, stage)))
        seconds, wrong = overhead(strategy, stage, slowest_s)
        checks.append(Check("is quick", stage.space.name, wrong))
        overhead_s = max(overhead_s, seconds)
    report = Conformance(repr(strategy), tuple(checks), tuple(skipped), overhead_s)
    if report.wrong:
        lines = [f"- {c.behaviour}{f' on {c.space}' if c.space else ''}: {c.wrong}" for c in report.wrong]
        raise ConformanceError(f"{report.strategy} does not conform:\n" + "\n".join(lines))
    return report


def _guarded(behaviour: Behaviour, strategy: Strategy, stage: Stage) -> str | None:
    try:
        return behaviour(strategy, stage)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


__all__ = [
    "Check",
    "Conformance",
    "ConformanceError",
    "Flight",
    "Rule",
    "Stage",
    "check_in_flight",
    "check_strategy",
    "fly",
    "stages",
    "training_stage",
]
