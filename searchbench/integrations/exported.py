"""A recorded study for other tools: every trial as a row, or as trials of Optuna's studies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from searchbench.errors import InputError
from searchbench.harness.declared.trust import recorded_study
from searchbench.harness.results import Results
from searchbench.integrations.asked import check_known, foreign
from searchbench.integrations.optuna import distribution
from searchbench.results.columns import read_trials
from searchbench.results.records import RunRecord
from searchbench.results.store import open_store
from searchbench.spaces.space import Space
from searchbench.whole_file import whole


def to_csv(store: str | Path, study: str | None, out: str | Path) -> int:
    """Write every trial of a study as a row, values in the metric's own sense; how many there are.

    Raises:
        InputError: there is no such study, it has no trials, or the file exists or cannot be written.
    """
    with open_store(store) as opened:
        name = opened.study(study).name
    frame = Results(name, str(store)).trials()
    if frame.empty:
        raise InputError(f"study `{name}` has no trials to export.")
    with whole(out, fresh=True) as place:
        frame.to_csv(place, index=False)
    return len(frame)


def to_optuna(store: str | Path, study: str | None, out: str | Path, *, trust: bool = False) -> int:
    """Write a study into an Optuna storage, an Optuna study for each run, named ``tpe-seed3`` (with its problem before
    it, where there are several); how many there are.

    Values are in the metric's own sense. A trial's `epochs` and status are user attributes; the verdict is one
    of the study.

    Args:
        store: where the study is.
        study: its name; None where it is the only one.
        out: a file: a journal where it ends in ``.log``, else SQLite.
        trust: whether what the store names may be imported.

    Raises:
        InputError: there is no such study, a decision has no distribution, or the file exists.
    """
    with open_store(store) as opened:
        record = opened.study(study)
        runs = opened.runs(record.name)
    declared = recorded_study(record.declared, trust=trust)
    resolved = {problem.name: problem.resolve() for problem in declared.problems}
    for one in resolved.values():
        check_known(one.space, "optuna")
    if not runs:
        raise InputError(f"study `{record.name}` has no runs to export.")
    metrics = {name: one.metric for name, one in resolved.items()}
    with whole(out, fresh=True) as place, _storage(place) as storage:
        for run in runs:
            metric = metrics[run.problem]
            sign = -1.0 if metric is not None and metric.better == "higher" else 1.0
            before = f"{run.problem}/" if len(resolved) > 1 else ""
            _write(storage, f"{before}{run.strategy}-seed{run.replicate}", run, resolved[run.problem].space, sign)
    return len(runs)


def _write(storage: Any, name: str, run: RunRecord, space: Space, sign: float) -> None:
    import optuna

    made = optuna.create_study(storage=storage, study_name=name, direction="minimize" if sign > 0 else "maximize")
    told = {"strategy": run.strategy, "problem": run.problem, "seed": run.replicate, "status": run.status}
    if run.judged:
        told |= {"architecture": run.architecture, "test": sign * run.test_error}
    for key, value in told.items():
        made.set_user_attr(key, value)
    if run.trials:
        rows = read_trials(run.trials).to_pylist()
        made.add_trials([_trial(row, space, sign) for row in rows])


def _trial(row: dict[str, Any], space: Space, sign: float) -> Any:
    from optuna.trial import TrialState, create_trial

    params = foreign(space.parse(row["architecture"]))
    ok = row["status"] == "ok"
    noted = {k: row[k] for k in ("status", "epochs", "error", "cached") if row.get(k) not in (None, False)}
    return create_trial(
        state=TrialState.COMPLETE if ok else TrialState.FAIL,
        value=sign * row["value"] if ok else None,
        params=params,
        distributions={d.name: distribution(d) for d in space.decisions if d.name in params},
        user_attrs=noted,
    )


@contextmanager
def _storage(place: Path) -> Iterator[Any]:
    """A storage of Optuna's, closed at the end."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if place.suffix == ".log":
        yield JournalStorage(JournalFileBackend(str(place)))
        return
    storage = RDBStorage(f"sqlite:///{place}")
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
