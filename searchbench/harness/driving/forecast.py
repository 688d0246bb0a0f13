"""What a study will take, said before anything long begins: from its budget, the price of an evaluation, and one step
of a network measured on this machine. An order of magnitude; the display corrects it as runs come back."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchbench.cost import Budget, Cost
from searchbench.errors import InputError
from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.declared.problem import ResolvedProblem
from searchbench.harness.running.borders import text
from searchbench.harness.running.run import open_lab
from searchbench.seeds import Seeds
from searchbench.strategies.optional import Foretelling
from searchbench.tasks.task import NoTask
from searchbench.trial import FULL

START_S = 8.0
"""Seconds until worker processes are up and have imported what they need."""
STEP_IMAGES = 32
STEPS = 8
"""Of which the quickest counts: the first allocates, and others may be at work."""
BACKWARD = 1.6
"""How much longer than forward passes of the same multiply-accumulates a training takes: the backward pass and the
update are slower per operation, and batches are cut and augmented. See docs/performance.md."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """How much there is to do, and about how long it takes."""

    searches: int
    seconds: float | None
    """Wall-clock; None where nothing tells: on tables, and in a problem of one's own function."""
    workers: int
    said: tuple[str, ...] = ()
    """What of a strategy cannot work within the budget, a line each."""

    def __str__(self) -> str:
        many = f"{self.searches} searches and {self.searches} judgements"
        where = "in this process" if self.workers == 0 else f"on {self.workers} worker{'s' if self.workers > 1 else ''}"
        if self.seconds is None:
            return f"{many} {where}; how long is known when the first have come back."
        return f"{many}, about {duration(self.seconds)} {where}."


def forecast(runs: Sequence[RunSpec], workers: int | None) -> Forecast:
    """What the given runs will take.

    Args:
        runs: those that are missing.
        workers: processes at a time; None takes every core, 0 is this process.
    """
    slots = os.cpu_count() or 1 if workers is None else workers
    work = 0.0
    known = True
    for problem in {spec.problem for spec in runs}:
        own = [spec for spec in runs if spec.problem == problem]
        each = seconds_of_run(own[0])
        known = known and each is not None
        work += (each or 0.0) * len(own)
    started = 0.0 if slots == 0 else START_S
    return Forecast(len(runs), started + work / max(slots, 1) if known else None, slots, _foretold(runs))


def _foretold(runs: Sequence[RunSpec]) -> tuple[str, ...]:
    """What strategies know of themselves, each asked once on each problem."""
    said = []
    for spec in {(spec.problem, spec.contestant): spec for spec in reversed(runs)}.values():
        strategy = spec.contestant.make()
        if not isinstance(strategy, Foretelling):
            continue
        try:
            found = strategy.foretold(open_lab(spec, spec.seeds(strategy)))
        except Exception:  # what is wrong is said by the run itself
            continue
        said += [f"{spec.contestant.label} on {spec.problem.name}: {text(found)}."] if found else []
    return tuple(reversed(said))


def seconds_of_run(spec: RunSpec) -> float | None:
    """Processor seconds of one run and its judgement; None where nothing tells."""
    resolved = spec.problem.resolve()
    if not resolved.estimator.trains:
        return (
            None  # a look-up takes no time; what strategies themselves need, and a function of one's own, is not known
        )
    try:
        price, rate = _price_and_rate(resolved, spec)
    except InputError:
        return None  # what is wrong is said by the run itself
    if rate is None:
        return None
    search = _macs_of_budget(spec.budget, price)
    judged = _macs_of_judge(resolved, price)
    return None if search is None else (search + judged) / rate


def duration(seconds: float) -> str:
    """ "40 s", "3 min", "5 h": one unit, so that nobody takes it for exact."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36000 else f"{round(seconds / 3600)} h"


def _price_and_rate(resolved: ResolvedProblem, spec: RunSpec) -> tuple[Cost, float | None]:
    """The price of one full evaluation of an architecture drawn at random, and multiply-accumulates per second."""
    seeds = Seeds(spec.study, spec.replicate)
    estimator = resolved.estimator.open(resolved.space, resolved.task, seeds)
    architecture = resolved.space.sample(np.random.default_rng(0))  # no stream of the study is touched
    return estimator.price(architecture, estimator.complete(FULL), None), _rate(resolved, architecture)


def _rate(resolved: ResolvedProblem, architecture: Any) -> float | None:
    """Multiply-accumulates per processor second of training, from forward passes of a few images."""
    import torch

    from searchbench.spaces.networks import initialise

    task: Any = resolved.task
    if resolved.space.networks is None or not getattr(task, "shape", ()):
        return None
    builder = resolved.space.builder()
    _, macs = builder.size(architecture, task.shape, task.classes)
    network = initialise(builder.network(architecture, task.shape, task.classes), 0, torch.device("cpu"))
    images = torch.zeros(STEP_IMAGES, *task.shape)
    took, threads = math.inf, torch.get_num_threads()
    # By one thread and by its clock: where others are at work, threads of a pool mostly wait for each other.
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for _ in range(STEPS):
                started = time.thread_time()
                network(images)
                took = min(took, time.thread_time() - started)
    finally:
        torch.set_num_threads(threads)
    return float(STEP_IMAGES * macs / max(took, 1e-4) / BACKWARD)


def _macs_of_budget(budget: Budget, price: Cost) -> float | None:
    """Multiply-accumulates that a whole budget pays for; of several limits the tightest."""
    found = [
        price.macs * limit / float(getattr(price, axis))
        for axis, limit in budget.limits.items()
        if getattr(price, axis)
    ]
    return min(found, default=None)


def _macs_of_judge(resolved: ResolvedProblem, price: Cost) -> float:
    """About what the judge's training takes: that of an evaluation, over its own epochs."""
    recipe = None if isinstance(resolved.task, NoTask) else getattr(resolved.task, "recipe", None)
    given: Any = getattr(resolved.judge, "epochs", None) or getattr(recipe, "epochs", 0)
    epochs = float(given)
    return price.macs * epochs / price.epochs if price.epochs else 0.0
