"""Scores by inherited weights, read back from the recordings of runs that trained a supernet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from searchbench.results.columns import read_trials
from searchbench.results.records import RunRecord

MEASURES = ("error", "loss")
"""What of a path's validation is recorded beside its value."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one supernet says of architectures."""

    strategy: str
    replicate: int
    passes: float
    """Passes over the training split that the run was charged."""
    values: Mapping[str, float]
    """Validation value by inherited weights on the whole split, lower is better, by the architecture's key."""
    notations: Mapping[str, str]
    """In the space's notation, by key: all that it was asked for, those whose score failed among them."""
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """ "error" and "loss" of the same scores, each by key, whichever of them the values are; empty where neither was
    recorded of all."""


def scores_of(run: RunRecord) -> Scores | None:
    """The scores of a run, the latest of each architecture; None where it made none.

    A trial is a score by inherited weights where it was charged forward passes and no evaluation. Scores on a part of
    the validation split are left out.
    """
    trials = read_trials(run.trials)
    columns = (
        "key",
        "architecture",
        "status",
        "value",
        "fidelity_subset",
        "spent_evaluations",
        "spent_inference_samples",
    )
    values, notations = dict[str, float](), dict[str, str]()
    held = {name: f"metric_valid_{name}" for name in MEASURES if f"metric_valid_{name}" in trials.column_names}
    measures: dict[str, dict[str, float]] = {name: {} for name in held}
    measured = [trials.column(column).to_pylist() for column in held.values()]
    evaluations, passed = 0, 0
    rows = zip(*(trials.column(name).to_pylist() for name in columns), strict=True)
    for at, (key, notation, status, value, subset, evaluated, inferred) in enumerate(rows):
        if evaluated == evaluations and inferred > passed and subset == 1.0:
            notations[key] = notation
            if status == "ok":
                values[key] = value
                for own, column in zip(measures.values(), measured, strict=True):
                    own[key] = column[at]
        evaluations, passed = evaluated, inferred
    if not values:
        return None
    whole = {name: own for name, own in measures.items() if None not in own.values()}
    return Scores(run.strategy, run.replicate, run.cost.epochs, values, notations, whole)


def alike(scores: Iterable[Scores]) -> list[Scores]:
    """The most numerous supernets that were asked for the very same architectures; the first such group of several.

    What a search chose to score differs from supernet to supernet, so this is a sample that was fixed beforehand. Empty
    where no two were asked alike.
    """
    groups: dict[frozenset[str], list[Scores]] = {}
    for one in scores:
        groups.setdefault(frozenset(one.notations), []).append(one)
    largest = max(groups.values(), key=len, default=[])
    return largest if len(largest) > 1 else []


def common(scores: Sequence[Scores]) -> dict[str, str]:
    """The architectures of which every supernet has a score, in the order in which the first was asked."""
    shared = set(scores[0].values).intersection(*(one.values for one in scores)) if scores else set()
    return {key: notation for one in scores[:1] for key, notation in one.notations.items() if key in shared}


@dataclass(frozen=True, slots=True)
class Truth:
    """What architectures are worth when they are trained alone."""

    name: str
    """What was measured, by whom: "test error by the judge"."""
    errors: Mapping[str, tuple[float, ...]]
    """By key: independent measurements, lower is better, those at one place under one seed. Of one length."""
    sizes: Mapping[str, tuple[float, float]]
    """By key: (parameters, MACs), NaN where they are not known."""
    missing: int = 0
    """Architectures asked about for which there is no complete answer."""
