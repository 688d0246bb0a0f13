"""One run: the search in one process, the judge in another. Both take and return plain, picklable values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from searchbench.errors import CheckpointError, Interrupted
from searchbench.estimators.estimator import Continuing, Trainable
from searchbench.harness.declared.plan import RunSpec
from searchbench.harness.declared.study import strategy_description
from searchbench.harness.processes.memory import PeakMemory
from searchbench.harness.running.borders import checked_outcome, numbers, told
from searchbench.harness.running.checkpoint import Checkpoint
from searchbench.harness.running.crews import crew_of, measured_by
from searchbench.harness.running.entries import left_behind, unrecorded
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.harness.running.measuring import CrewLost
from searchbench.harness.running.remembered import Remembered
from searchbench.results.records import SearchResult, timestamp
from searchbench.seeds import Seeds
from searchbench.strategies.strategy import Scenario, Strategy, TrainingSearch
from searchbench.trial import FULL, Outcome

Note = Callable[[Callable[[], SearchResult]], object]


def run_search(spec: RunSpec, checkpoint: Checkpoint | None = None, note: Note | None = None) -> SearchResult:
    """Run a search to the end of its budget. A strategy's own failure is a value: status "failed", with traceback.

    Args:
        spec: the run.
        checkpoint: where it leaves its state, and continues from; None keeps none.
        note: told how to make the result so far, after trials, for whoever may kill this process.
    """
    started = timestamp()
    try:
        return _run(spec, checkpoint, note, started)
    except (CheckpointError, CrewLost, Interrupted):  # no failure of the strategy: nothing has run
        raise
    except BaseException as failure:  # before there was a record: data gone, a factory that fails here only
        return unrecorded(spec, "failed", told(failure), started)


def _run(spec: RunSpec, checkpoint: Checkpoint | None, note: Note | None, started: str) -> SearchResult:
    resolved = spec.problem.resolve()
    strategy = spec.contestant.make()
    description = strategy_description(strategy)  # now: what keeps its state in itself says something else later
    remembered = Remembered()
    # from here on there is a record, and whatever happens leaves a result with it
    lab = open_lab(spec, spec.seeds(strategy), remembered)
    so_far = partial(left_behind, spec, lab, description, resolved.fingerprint, started)
    if note is not None:
        lab.record.watch = lambda: note(lambda: so_far("error", None))
    ended, error = "error", None
    with PeakMemory() as memory:
        try:
            ended = _search(spec, strategy, lab, checkpoint, remembered)
        except (CheckpointError, CrewLost, Interrupted):
            raise
        except BaseException as failure:
            error = told(failure)
    # of the whole search, in which trainings may already have noted a peak of their own
    lab.account.ledger.peak_memory_bytes = max(lab.account.ledger.peak_memory_bytes, memory.bytes)
    if error is None and lab.final is None:
        error = _nothing_to_judge(lab, ended)
    result = so_far(ended, error)
    return result if checkpoint is None else replace(result, notes=(*result.notes, *checkpoint.notes))


def run_judge(spec: RunSpec, architecture: str, checkpoint: Checkpoint | None = None) -> Outcome:
    """The judge's verdict on the architecture a run handed over (in the space's notation).

    Args:
        spec: the run.
        architecture: what to judge.
        checkpoint: where a judge's training leaves its state, and continues from; None keeps none.
    """
    try:
        resolved = spec.problem.resolve()
        # the study's seeds and not the run's: what one strategy found is judged like what any other found
        judge = resolved.judge.open(resolved.space, resolved.task, Seeds(spec.study, spec.replicate))
        if checkpoint is not None and isinstance(judge, Continuing):
            judge = judge.kept_by(checkpoint)
        judged = resolved.space.parse(architecture)
        outcome = checked_outcome(judge.verdict(judged))
        measured = numbers(resolved.measures.metrics(judged), "a metric")
        return replace(outcome, metrics={**outcome.metrics, **measured})
    except (CheckpointError, Interrupted):
        raise
    except BaseException as failure:
        return Outcome("error", math.nan, error=told(failure))


def open_lab(spec: RunSpec, seeds: Seeds, remembered: Remembered | None = None) -> MeteredLab:
    """The lab of a run, in which nothing has happened yet."""
    resolved = spec.problem.resolve()
    estimator = resolved.estimator.open(resolved.space, resolved.task, seeds)
    scenario = Scenario(
        space=resolved.searched,
        seeds=seeds,
        budget=spec.budget,
        full=estimator.complete(FULL),
        trains=resolved.estimator.trains,
        stops=resolved.stops,
        continues=resolved.continues,
        latency=resolved.measures.latency,
        macs=resolved.measures.counts(),
    )
    # the side that trains supernets stands only where the problem trains; a table gives a search no network
    bench = estimator.bench() if isinstance(estimator, Trainable) else None
    metrics = None if resolved.measures.latency is None else resolved.measures.metrics
    measuring, crew = measured_by(spec, estimator, crew_of(spec, seeds), remembered)
    return MeteredLab(scenario, measuring, spec.duplicates, bench, metrics, crew)


def _search(
    spec: RunSpec, strategy: Strategy, lab: MeteredLab, checkpoint: Checkpoint | None, remembered: Remembered
) -> str:
    search = strategy.start(lab.scenario)
    resolved = spec.problem.resolve()
    workers = resolved.parallel
    if checkpoint is None:
        return drive(search, lab, workers=workers, order=resolved.order)
    if not checkpoint.restore(search, lab) and not isinstance(search, TrainingSearch):
        remembered.go_on(checkpoint)
    return drive(search, lab, lambda: checkpoint.save(search, lab), workers, resolved.order)


def _nothing_to_judge(lab: MeteredLab, ended: str) -> str:
    record = lab.record
    if record.trials == 0 and ended == "budget":
        return f"the budget ({lab.scenario.budget}) pays for no evaluation and no slice of this strategy; raise it."
    if record.refused:
        return f"nothing that the search would hand over keeps to the problem's constraint: {record.refused}."
    return (
        f"the search ended ({ended}) after {record.trials} trials without an architecture to recommend: none succeeded."
    )
