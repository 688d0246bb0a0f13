"""What Optuna is told of a space's decisions: a distribution each. This file imports Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchbench.spaces.choices import Choice, Decision, Integer


class Options(CategoricalDistribution):  # type: ignore[misc]  # Optuna has no types here
    """The indices of a choice's options. Nothing changes them, so that a copy is the thing itself: Optuna copies and
    compares the distributions of every trial several times, option by option, which is a fifth of what it does.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Options:
        return self

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    __hash__ = CategoricalDistribution.__hash__


def distributions_of(decisions: Sequence[Decision]) -> dict[str, BaseDistribution]:
    """The distribution of each of a space's decisions by its name: of a choice over the indices of its options, else
    of its values.

    Where decisions are conditional, Optuna is asked for one after the other, and makes plain ones itself.
    """
    conditional = any(decision.when is not None for decision in decisions)
    choice = CategoricalDistribution if conditional else Options
    return {decision.name: _distribution(decision, choice) for decision in decisions}


def _distribution(decision: Decision, choice: type[CategoricalDistribution]) -> BaseDistribution:
    if isinstance(decision, Choice):
        return choice(tuple(range(len(decision.options))))
    kind = IntDistribution if isinstance(decision, Integer) else FloatDistribution
    return kind(decision.low, decision.high, log=decision.log)  # type: ignore[attr-defined]
