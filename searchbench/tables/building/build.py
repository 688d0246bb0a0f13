"""Building a table of our own: train what its plan names and its journal lacks, then write one compact file."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchbench.errors import TableError
from searchbench.harness.executors.executor import Executor, Lost
from searchbench.harness.running.provenance import provenance
from searchbench.tables.building.journal import BuildJournal
from searchbench.tables.building.plan import TableJob, TablePlan
from searchbench.tables.shipped import METADATA, column
from searchbench.whole_file import whole

ATTEMPTS = 3
Told = Callable[[int, int], None]
"""Called with (trainings finished, trainings in all)."""


@dataclass(frozen=True, slots=True)
class Built:
    """What stands in the written file."""

    path: Path
    architectures: int
    """With every repeat recorded."""
    planned: int
    bytes: int

    @property
    def complete(self) -> bool:
        return self.architectures == self.planned


def journal_of(out: Path) -> Path:
    """Where the journal of the table `out` lies."""
    return out.with_name(out.name + ".building")


def build(
    plan: TablePlan,
    out: Path,
    executor: Executor,
    *,
    device: str = "cpu",
    limit: int | None = None,
    told: Told = lambda done, total: None,
) -> Built:
    """Train what is missing, and write the table.

    Args:
        plan: what to train.
        out: the Parquet file; its journal lies beside it and stays.
        executor: where stacks are trained.
        device: "cpu", or "cuda" for large stacks on a GPU; "auto" takes a GPU where there is one.
        limit: train only the first so many architectures of the plan's order.
        told: about progress.

    Raises:
        TableError: the journal is of another plan, or a job was lost by the infrastructure too often.
        StudyError: no such device here.
    """
    from searchbench.estimators.training import choose_device

    jobs = list(plan.jobs(choose_device(device).type))
    if limit is not None:
        jobs = jobs[: plan.repeats * math.ceil(limit / len(jobs[0].architectures))]
    with BuildJournal(journal_of(out), plan.fingerprint) as journal:
        finished = journal.finished()
        missing = [job for job in jobs if not {(text, job.repeat) for text in job.architectures} <= finished]
        total = sum(len(job.architectures) for job in jobs)
        left = sum(len(job.architectures) for job in missing)
        told(total - left, total)
        for rows in _trained(missing, executor):
            journal.add(rows)
            left -= len(rows)
            told(total - left, total)
        return write(plan, journal, out)


def _trained(missing: list[TableJob], executor: Executor) -> Any:
    """Rows of one job after another, as they come back; keeps one stack waiting for every worker."""
    from searchbench.tables.building.training import train_stack

    waiting, out = deque((job, 1) for job in missing), dict[int, tuple[TableJob, int]]()
    while waiting or out:
        while waiting and len(out) < 2 * executor.slots:
            job, attempt = waiting.popleft()
            out[executor.submit("judge", train_stack, [job])] = (job, attempt)
        for finished in executor.wait(timeout_s=0.5):
            job, attempt = out.pop(finished.ticket)
            if not isinstance(finished.results, Lost):
                yield finished.results[0]
            elif attempt < ATTEMPTS:
                waiting.appendleft((job, attempt + 1))
            else:
                raise TableError(
                    f"a stack of trainings was lost {ATTEMPTS} times ({finished.results.reason}); what is finished is "
                    "kept: repeat the command."
                )


# -- the file ------------------------------------------------------------------------------------------------------


def write(plan: TablePlan, journal: BuildJournal, out: Path) -> Built:
    """Write the architectures of which every repeat is recorded, in the order of the space.

    Accuracies are shares of few samples and so take few values: with a dictionary and zstd, exact doubles take no more
    room than scaled integers would.
    """
    import pyarrow as pa
    from pyarrow import parquet

    recorded: dict[str, dict[int, list[Any]]] = {}
    for text, repeat, row in journal.rows():
        recorded.setdefault(text, {})[repeat] = row
    everything = plan.architectures()
    kept = [a for a in everything if len(recorded.get(str(a), ())) == plan.repeats]
    if not kept:
        raise TableError(f"{journal.path} holds no architecture with all {plan.repeats} repeats; build some first.")
    trainings = [[recorded[str(a)][repeat] for repeat in range(plan.repeats)] for a in kept]
    columns = {"architecture": pa.array([str(a) for a in kept])} | _sizes(plan, kept) | _accuracies(plan, trainings)
    about = {
        "plan": plan.describe(),
        "fingerprint": plan.fingerprint,
        "complete": len(kept) == len(everything),
        "trained_with": provenance(),
    }
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(about)})
    with whole(out) as place:
        parquet.write_table(table, place, compression="zstd", compression_level=19, write_statistics=False)
    return Built(out, len(kept), len(everything), out.stat().st_size)


def _sizes(plan: TablePlan, kept: list[Any]) -> dict[str, Any]:
    import pyarrow as pa

    task, builder = plan.make_task(), plan.make_space().builder()
    sizes = [builder.size(architecture, task.shape, task.classes) for architecture in kept]
    samples = len(task.search_data(plan.seeds()).train)
    dropped = 1 if samples % plan.recipe.batch_size == 1 else 0
    passes = 3 * (samples - dropped) * plan.recipe.epochs
    return {
        "params": pa.array([params for params, _ in sizes], pa.int32()),
        "macs": pa.array([macs for _, macs in sizes], pa.int32()),
        "train_macs": pa.array([macs * passes for _, macs in sizes], pa.int64()),
    }


def _accuracies(plan: TablePlan, trainings: list[list[list[Any]]]) -> dict[str, Any]:
    import pyarrow as pa

    found: dict[str, Any] = {
        "seconds": pa.array(np.array([[row[4] for row in repeats] for repeats in trainings]).mean(1).round(3))
    }
    for position, measure in enumerate(("train", "valid", "test", "loss")):
        for repeat in range(plan.repeats):
            for at, epoch in enumerate(plan.recorded):
                values = np.array([repeats[repeat][position][at] for repeats in trainings], dtype=np.float64)
                cells = values.round(4).astype(np.float32) if measure == "loss" else values
                found[column(measure, repeat, epoch)] = pa.array(cells, from_pandas=True)
    return found
