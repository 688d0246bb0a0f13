"""One run: the search in one process, the judge in another. Both take and return plain, picklable values."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

from searchbench.cost import Cost
from searchbench.errors import CheckpointError, Interrupted
from searchbench.estimators.estimator import Trainable
from searchbench.harness.batches import apart
from searchbench.harness.borders import checked_outcome, numbers, text, told
from searchbench.harness.checkpoint import Checkpoint
from searchbench.harness.guarded import Guarded
from searchbench.harness.journal import Journal
from searchbench.harness.lab import MeteredLab
from searchbench.harness.loop import drive
from searchbench.harness.measuring import Crew, CrewLost, Elsewhere
from searchbench.harness.memory import PeakMemory
from searchbench.harness.plan import RunSpec
from searchbench.harness.study import strategy_description
from searchbench.results.records import RunStatus, SearchResult, timestamp
from searchbench.seeds import Seeds
from searchbench.strategies.strategy import Scenario, Strategy
from searchbench.trial import FULL, Outcome


def run_search(spec: RunSpec, checkpoint: Checkpoint | None = None, journal: Journal | None = None) -> SearchResult:
    """Run a search to the end of its budget. A strategy's own failure is a value: status "failed", with traceback.

    Args:
        spec: the run.
        checkpoint: where a training search leaves its state after slices, and continues from; None keeps none.
        journal: where the result so far is noted after trials, for whoever may kill this process.
    """
    started = timestamp()
    try:
        return _run(spec, checkpoint, journal, started)
    except (CheckpointError, CrewLost, Interrupted):  # no failure of the strategy: nothing has run
        raise
    except BaseException as failure:  # before there was a record: data gone, a factory that fails here only
        return unrecorded(spec, "failed", told(failure), started)


def _run(spec: RunSpec, checkpoint: Checkpoint | None, journal: Journal | None, started: str) -> SearchResult:
    resolved = spec.problem.resolve()
    strategy = spec.contestant.make()
    description = strategy_description(strategy)  # now: what keeps its state in itself says something else later
    lab = _open_lab(spec, spec.seeds(strategy))
    so_far = partial(_result, spec, lab, description, resolved.fingerprint, started)
    if journal is not None:
        lab.record.watch = lambda: journal.note(lambda: so_far("error", None))
    ended, error = "error", None
    with PeakMemory() as memory:
        try:
            ended = _search(spec, strategy, lab, checkpoint)
        except (CheckpointError, CrewLost, Interrupted):
            raise
        except BaseException as failure:
            error = told(failure)
    lab.account.ledger.peak_memory_bytes = max(lab.account.ledger.peak_memory_bytes, memory.bytes)
    if error is None and lab.final is None:
        error = _nothing_to_judge(lab, ended)
    return so_far(ended, error)


def _result(
    spec: RunSpec, lab: MeteredLab, description: str, fingerprint: str, started: str, ended: str, error: str | None
) -> SearchResult:
    """What a search has left behind by now."""
    final = lab.final
    return SearchResult(
        run_id=spec.run_id,
        status="ok" if error is None else "failed",
        ended=ended,
        cost=lab.spent,
        trials=lab.columns.to_bytes(),
        traces=lab.traces.to_bytes() if len(lab.traces) else None,
        description=description,
        fingerprint=fingerprint,
        architecture=text(str(final.architecture)) if final is not None else None,
        architecture_key=text(final.architecture.key) if final is not None else None,
        value=final.value if final is not None else math.nan,
        error=error,
        started=started,
        host=_host(),
    )


def unrecorded(spec: RunSpec, status: RunStatus, error: str, started: str) -> SearchResult:
    """What stands in for a search that left nothing behind: it could not begin, or was lost for good."""
    return SearchResult(
        run_id=spec.run_id,
        status=status,
        ended="error",
        cost=Cost(),
        trials=b"",
        description=_or_nothing(lambda: strategy_description(spec.contestant.make())),
        fingerprint=_or_nothing(lambda: spec.problem.resolve().fingerprint),
        error=error,
        started=started,
    )


def run_judge(spec: RunSpec, architecture: str) -> Outcome:
    """The judge's verdict on the architecture a run handed over (in the space's notation)."""
    try:
        resolved = spec.problem.resolve()
        judge = resolved.judge.open(resolved.space, resolved.task, Seeds(spec.study, spec.replicate))
        judged = resolved.space.parse(architecture)
        outcome = checked_outcome(judge.verdict(judged))
        measured = numbers(resolved.measures.metrics(judged), "a metric")
        return replace(outcome, metrics={**outcome.metrics, **measured})
    except Interrupted:
        raise
    except BaseException as failure:
        return Outcome("error", math.nan, error=told(failure))


def _open_lab(spec: RunSpec, seeds: Seeds) -> MeteredLab:
    resolved = spec.problem.resolve()
    estimator = resolved.estimator.open(resolved.space, resolved.task, seeds)
    scenario = Scenario(
        space=resolved.searched,
        seeds=seeds,
        budget=spec.budget,
        full=estimator.complete(FULL),
        trains=resolved.estimator.trains,
        stops=resolved.stops,
        latency=resolved.measures.latency,
        macs=resolved.measures.counts(),
    )
    bench = estimator.bench() if isinstance(estimator, Trainable) else None
    metrics = None if resolved.measures.latency is None else resolved.measures.metrics
    measuring = Guarded(estimator, spec.limits) if spec.limits.of_evaluations else estimator
    return MeteredLab(scenario, measuring, spec.duplicates, bench, metrics, _crew(spec, seeds))


def _crew(spec: RunSpec, seeds: Seeds) -> Crew | None:
    """Other processes that measure for this run, where it may have several measurements under way and is on Ray."""
    if "ray" not in sys.modules or not apart(spec):
        return None
    from searchbench.harness.executors.crew import crew_here

    return crew_here(Elsewhere(spec.problem, seeds, spec.limits), spec.needs)


def _search(spec: RunSpec, strategy: Strategy, lab: MeteredLab, checkpoint: Checkpoint | None) -> str:
    search = strategy.start(lab.scenario)
    resolved = spec.problem.resolve()
    workers = resolved.parallel
    if checkpoint is None:
        return drive(search, lab, workers=workers, order=resolved.order)
    checkpoint.restore(search, lab)
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


def _or_nothing(tell: Callable[[], str]) -> str:
    """What a part says of itself; "" where it cannot here, then the driver, which has planned the run, says it."""
    try:
        return tell()
    except Interrupted:
        raise
    except BaseException:
        return ""


@lru_cache(maxsize=1)
def _host() -> str:
    return f"{platform.node()} {platform.machine()} {platform.system()} Python {platform.python_version()}"
