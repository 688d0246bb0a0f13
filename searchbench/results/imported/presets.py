"""Results as well-known libraries and trackers write them, in long form with the meaning of its columns.

A library that keeps one search per study, folder or file gives a row per evaluation; strategy and seed are read from
that study's name ("tpe-seed3"), since no library records both. A tracker's export gives a row per run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchbench.errors import InputError, did_you_mean
from searchbench.results.imported.finished import Meaning
from searchbench.results.imported.forms import read_csv, read_frame

if TYPE_CHECKING:
    import pandas as pd

NAMED = re.compile(
    r"^(?P<strategy>.*?)(?:[-_ .:/](?:seed|run|rep|s|r)?[-_=]?|(?:seed|run|rep)[-_=]?)(?P<seed>\d+)$", re.I
)
"""How a name is taken apart where nothing else is said: "tpe-seed3", "tpe_3", "tpe s=3"."""
WRITTEN_BY_TUNE = frozenset(
    {"timestamp", "checkpoint_dir_name", "done", "training_iteration", "trial_id", "date", "pid", "hostname", "node_ip",
     "config", "experiment_tag"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """What a source holds: its rows, what they mean, and what the source itself says of its metric."""

    frame: pd.DataFrame
    meaning: Meaning
    metric: str | None = None
    better: str | None = None


def split_name(name: str, pattern: re.Pattern[str] = NAMED) -> tuple[str, int]:
    """Strategy and seed in the name of a study, folder or file.

    Raises:
        InputError: the name does not say both.
    """
    found = pattern.match(name)
    if found is None or not found["strategy"]:
        raise InputError(
            f"`{name}` does not say its strategy and seed; name studies like `tpe-seed3`, or say by a name pattern how "
            "(a regular expression with the groups `strategy` and `seed`)."
        )
    return found["strategy"], int(found["seed"])


def optuna_storage(path: Path, pattern: re.Pattern[str], score: str | None) -> Read:
    """Every study of an Optuna storage: an SQLite file, or the log of a journal. One study is one search.

    Args:
        score: "value", or "values_<i>" for one objective of several; None takes the only one.

    Raises:
        InputError: it is no storage of Optuna's, or a study has several objectives and none was chosen.
    """
    import pandas as pd

    parts, directions = [], set()
    for study in _optuna_studies(path):
        strategy, seed = split_name(study.study_name, pattern)
        frame = study.trials_dataframe(attrs=("number", "value", "duration", "params", "state"), multi_index=False)
        wanted = score or "value"
        if wanted not in frame.columns:
            known = [name for name in frame.columns if name.startswith("value")]
            raise InputError(
                f"study `{study.study_name}` has {len(study.directions)} objectives; choose one by `score`: "
                f"{', '.join(known)}."
            )
        at = int(wanted.rpartition("_")[2]) if wanted.startswith("values_") else 0
        directions.add(study.directions[at].name)
        seconds = frame["duration"].dt.total_seconds().fillna(0.0)
        parts.append(frame.assign(strategy=strategy, seed=seed, seconds=seconds))
    if len(directions) > 1:
        raise InputError(
            f"studies of `{path}` differ in direction ({', '.join(sorted(directions))}); import them apart."
        )
    better = "higher" if directions == {"MAXIMIZE"} else "lower"
    frame = pd.concat(parts, ignore_index=True)
    return Read(frame, _by_trial(frame, "number", score or "value", "params_", "state", "seconds"), None, better)


def optuna_frame(path: Path, pattern: re.Pattern[str], score: str | None) -> Read:
    """One study as `study.trials_dataframe().to_csv(…)` writes it; its name is the file's."""
    strategy, seed = split_name(path.stem, pattern)
    frame = _with_columns(read_frame(path), path, ("number", "state")).assign(strategy=strategy, seed=seed)
    frame["seconds"] = _durations(frame)
    return Read(frame, _by_trial(frame, "number", score or "value", "params_", "state", "seconds"))


def tune_folder(path: Path, pattern: re.Pattern[str], score: str | None) -> Read:
    """A Ray Tune experiment, or a folder of several: the last line of each trial's `result.json`.

    Raises:
        InputError: there is no such experiment, or `score` is needed to say which of its results counts.
    """
    import pandas as pd

    experiments = sorted({state.parent for state in path.rglob("experiment_state-*.json")})
    if not experiments:
        raise InputError(f"`{path}` holds no Ray Tune experiment: no `experiment_state-*.json` below it.")
    rows = []
    for experiment in experiments:
        strategy, seed = split_name(experiment.name, pattern)
        files = sorted(experiment.glob("*/result.json"), key=_tune_number)
        for number, file in enumerate(files):
            lines = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
            row = lines[-1] if lines else {}
            failed = (file.parent / "error.txt").exists() or not lines
            told = {key: value for key, value in row.items() if isinstance(value, int | float | str)}
            config = {f"params_{key}": value for key, value in row.get("config", {}).items()}
            status = "failed" if failed else "ok"
            rows.append(told | config | {"strategy": strategy, "seed": seed, "number": number, "status": status})
    frame = pd.DataFrame(rows)
    metric = score or _only_metric(frame, WRITTEN_BY_TUNE, path)
    if metric not in frame.columns:
        raise InputError(f"no trial of `{path}` reports `{metric}`; {did_you_mean(metric, list(frame.columns))}")
    seconds = "time_total_s" if "time_total_s" in frame.columns else None
    return Read(frame, _by_trial(frame, "number", metric, "params_", "status", seconds), metric)


def syne_tune_folder(path: Path, pattern: re.Pattern[str], score: str | None) -> Read:
    """A Syne Tune experiment, or a folder of several: `results.csv.zip` beside `metadata.json`.

    A trial's last report counts, as when its training ends there; what it reported was measured, whether it was still
    under way, paused or stopped by its scheduler, so only a trial that failed is a failure.

    Raises:
        InputError: there is no such experiment, or it does not report `score`.
    """
    import pandas as pd

    files = sorted(path.rglob("results.csv.zip"))
    if not files:
        raise InputError(f"`{path}` holds no Syne Tune experiment: no `results.csv.zip` below it.")
    parts, metrics, modes = [], set(), set()
    for file in files:
        strategy, seed = split_name(file.parent.name, pattern)
        told = json.loads((file.parent / "metadata.json").read_text())
        metric = score or told["metric_names"][0]
        mode = told.get("metric_mode", "min")
        metrics.add(metric)
        modes.add(mode if isinstance(mode, str) else mode[0])
        frame = _with_columns(read_csv(file), file, (metric, "trial_id"))
        last = frame.groupby("trial_id", sort=True).tail(1)
        seconds = last.get("st_worker_time", 0.0)
        failed = last["st_status"].eq("Failed") if "st_status" in last else pd.Series(False, index=last.index)
        status = failed.map({True: "failed", False: "ok"})
        parts.append(last.assign(strategy=strategy, seed=seed, score=last[metric], seconds=seconds, status=status))
    if len(metrics) > 1 or len(modes) > 1:
        raise InputError(f"experiments of `{path}` differ in metric or mode ({sorted(metrics)}, {sorted(modes)}).")
    frame = pd.concat(parts, ignore_index=True)
    meaning = _by_trial(frame, "trial_id", "score", "config_", "status", "seconds")
    return Read(frame, meaning, metrics.pop(), "higher" if modes == {"max"} else "lower")


def exported(path: Path, given: Meaning, columns: Mapping[str, tuple[str, ...]]) -> Read:
    """A tracker's export, a row per run: for each role the first of its usual columns that is there."""
    frame = read_frame(path)
    found = given
    for role, usual in columns.items():
        if getattr(given, role) == getattr(Meaning(), role):
            named = next((name for name in usual if name in frame.columns), None)
            found = found if named is None else replace(found, **{role: named})
    return Read(frame, found)


WANDB = {"strategy": ("Group", "group", "Job Type", "strategy"), "seed": ("seed", "config.seed"), "status": ("State",)}
MLFLOW = {
    "strategy": ("params.strategy", "params.optimizer", "params.method", "tags.mlflow.runName", "Name"),
    "seed": ("params.seed", "seed"),
    "status": ("status", "Status"),
}
NEVERGRAD = {
    "strategy": ("optimizer_name",),
    "score": ("loss",),
    "task": ("name",),
    "seed": ("seed",),
    "cost": ("elapsed_time",),
}


def deepcave(path: Path, pattern: re.Pattern[str], score: str | None) -> Read:
    """Frames as DeepCAVE keeps them: a row per evaluation with its configuration, objectives, `status` and times.

    `path` is the CSV, or a folder with `trials.csv`; strategy and search seed stand in its name.
    """
    file = path / "trials.csv" if path.is_dir() else path
    strategy, seed = split_name(path.name if path.is_dir() else path.stem, pattern)
    frame = read_frame(file)
    metric = score or next((name for name in ("cost", "loss", "error") if name in frame.columns), "cost")
    _with_columns(frame, file, (metric,))
    seconds = _spans(frame)
    renamed = frame.rename(columns={"seed": "evaluation_seed"})
    renamed = renamed.assign(strategy=strategy, seed=seed, number=range(len(frame)), seconds=seconds)
    known = {"evaluation_seed", "budget", "status", "start_time", "end_time", metric}
    settings = tuple(str(name) for name in frame.columns if name not in known | {"seed"})
    status = "status" if "status" in frame.columns else None
    meaning = Meaning("strategy", "seed", metric, None, "number", "seconds", status, settings)
    return Read(renamed, meaning, metric)


Reader = Callable[[Path, "re.Pattern[str]", str | None], Read]
SEARCHES: Mapping[str, Reader] = {
    "optuna": optuna_storage,
    "optuna-frame": optuna_frame,
    "tune": tune_folder,
    "syne-tune": syne_tune_folder,
    "deepcave": deepcave,
}
"""Sources in which one study, folder or file is one search."""
EXPORTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"wandb": WANDB, "mlflow": MLFLOW, "nevergrad": NEVERGRAD}
"""Sources that are a table of runs, and the columns they usually have."""


def recognised(path: Path) -> str | None:
    """The name of the library that wrote a path, by what lies there; None where nothing tells."""
    if path.is_dir():
        if next(path.rglob("experiment_state-*.json"), None):
            return "tune"
        if next(path.rglob("results.csv.zip"), None):
            return "syne-tune"
        return "deepcave" if (path / "trials.csv").exists() else None
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"SQLite format 3\x00"):
        return "optuna"
    if head.startswith(b'{"op_code"'):
        return "optuna"
    first = head.partition(b"\n")[0].decode(errors="replace")
    marks = {
        "optuna-frame": ("number,", "state"),
        "nevergrad": ("optimizer_name", "num_workers"),
        "mlflow": ("run_id", "experiment_id"),
    }
    return next((name for name, words in marks.items() if all(word in first for word in words)), None)


def _optuna_studies(path: Path) -> Iterable[Any]:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with path.open("rb") as file:
        is_sqlite = file.read(16) == b"SQLite format 3\x00"
    try:
        storage = (
            optuna.storages.RDBStorage(
                f"sqlite:///file:{path.absolute()}?mode=ro&uri=true", skip_compatibility_check=True
            )
            if is_sqlite
            else JournalStorage(JournalFileBackend(str(path)))
        )
        names = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
        studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    except Exception as error:
        raise InputError(f"`{path}` cannot be read as a storage of Optuna's: {error}") from error
    if not studies:
        raise InputError(f"`{path}` holds no Optuna study.")
    return studies


def _by_trial(frame: pd.DataFrame, trial: str, score: str, prefix: str, status: str, seconds: str | None) -> Meaning:
    settings = tuple(str(name) for name in frame.columns if str(name).startswith(prefix))
    return Meaning("strategy", "seed", score, None, trial, seconds, status, settings)


def _only_metric(frame: pd.DataFrame, written: frozenset[str], path: Path) -> str:
    import pandas as pd

    ours = {"strategy", "seed", "number", "status"}
    found = [
        str(name)
        for name in frame.columns
        if name not in written | ours
        and not str(name).startswith(("params_", "time_", "iterations_", "timesteps", "episodes"))
        and pd.api.types.is_numeric_dtype(frame[name])
    ]
    if len(found) != 1:
        raise InputError(
            f"trials of `{path}` report {', '.join(found) or 'no number'}; say by `score` which one counts."
        )
    return found[0]


def _tune_number(file: Path) -> tuple[int, str]:
    found = re.search(r"_(\d{5})_", file.parent.name)
    return (int(found[1]) if found else 0, file.parent.name)


def _durations(frame: pd.DataFrame) -> Any:
    import pandas as pd

    if "duration" not in frame.columns:
        return 0.0
    return pd.to_timedelta(frame["duration"]).dt.total_seconds().fillna(0.0)


def _spans(frame: pd.DataFrame) -> Any:
    if not {"start_time", "end_time"} <= set(frame.columns):
        return 0.0
    return (frame["end_time"] - frame["start_time"]).clip(lower=0.0).fillna(0.0)


def _with_columns(frame: pd.DataFrame, path: Path, needed: Iterable[str]) -> pd.DataFrame:
    for name in needed:
        if name not in frame.columns:
            raise InputError(f"`{path}` has no column `{name}`; {did_you_mean(name, [str(c) for c in frame.columns])}")
    return frame
