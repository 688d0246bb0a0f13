"""Where the studies of a store stand."""

from __future__ import annotations

from collections import Counter
from functools import reduce
from operator import add

from rich.table import Table

from searchbench.cost import Cost
from searchbench.reports.render.numbers import NONE, count, seconds
from searchbench.results.store import ResultStore


def complete(store: ResultStore) -> bool:
    """Whether there are studies, and each of their planned runs has a result; one that was lost has none."""
    studies = [store.history(last.name).whole for last in store.studies()]
    for study in studies:
        planned = {run["run_id"] for run in study.declared.get("planned", [])}
        if planned - {run.run_id for run in store.runs(study.name, recordings=False) if run.status != "infra"}:
            return False
    return bool(studies)


def status(store: ResultStore) -> Table:
    """A line per study: runs done, failed, lost and missing of those planned, and what its searches cost so far."""
    counts = ("revision", "planned", "done", "failed", "lost", "missing")
    table = Table("study", *counts, "evaluations", "MACs", "device time", "simulated time")
    for study in (store.history(last.name).whole for last in store.studies()):
        planned = {run["run_id"] for run in study.declared.get("planned", [])}
        runs = [run for run in store.runs(study.name, recordings=False) if run.run_id in planned]
        ended = Counter(run.status for run in runs)
        failed = ended["failed"] + ended["timeout"] + ended["memory"]
        spent = reduce(add, (run.cost for run in runs), Cost())
        numbers = (len(planned), ended["ok"], failed, ended["infra"], len(planned) - len(runs))
        table.add_row(
            study.name,
            str(study.revision),
            *map(str, numbers),
            count(spent.evaluations),
            count(spent.macs),
            *(seconds(spent_s) if spent_s else NONE for spent_s in (spent.device_s, spent.simulated_s)),
        )
    return table
