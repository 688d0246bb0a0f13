"""The door for finished results: from frames, dicts of arrays and files to `Results` like those of our own runs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from searchbench.errors import InputError, did_you_mean
from searchbench.harness.results import Results
from searchbench.metric import Metric
from searchbench.results.imported.beside import read_rows, to_spec
from searchbench.results.imported.finished import FinishedRun, Meaning, runs_of
from searchbench.results.imported.forms import from_arrays, from_wide, is_summary, is_wide, read_frame
from searchbench.results.imported.presets import EXPORTS, NAMED, SEARCHES, Read, exported, recognised
from searchbench.results.imported.writing import Import, digest_of, write
from searchbench.results.store import open_store

if TYPE_CHECKING:
    import pandas as pd

PRESETS = ("auto", "table", *SEARCHES, *EXPORTS)


def results_from(
    results: pd.DataFrame | Mapping[str, Any],
    *,
    strategy: str = "strategy",
    seed: str = "seed",
    score: str = "score",
    task: str | None = None,
    trial: str | None = None,
    cost: str | None = None,
    status: str | None = None,
    configuration: Sequence[str] = (),
    tasks: Sequence[str] | None = None,
    name: str = "imported",
    metric: str | Mapping[str, Any] | Metric | None = None,
    better: Literal["lower", "higher"] = "lower",
    baseline: str | None = None,
    store: str | Path | None = None,
) -> Results:
    """Finished results of anybody's runs as a study, which can be ranked, compared and reported.

    Args:
        results: a frame in long form (a row per run, or per evaluation where `trial` is given) or in wide form (a
            column per strategy, a row per seed and task); or arrays by strategy, [seeds] or [seeds, tasks].
        strategy, seed, score, task: columns of the frame.
        trial: column of trial numbers; then rows are evaluations, and a run is ranked by its best.
        cost: column of seconds.
        status: column that says how each row ended; what did not end well is a failed run or trial.
        configuration: columns of the hyper-parameters.
        tasks: names of the second dimension of arrays.
        name: of the study.
        metric: what the score is: a name, a table of `Metric`'s fields, or a `Metric`; the column's name by default.
        better: which direction is better, where `metric` does not say.
        baseline: label of the strategy the others are compared with.
        store: a path or SQLAlchemy URL; None keeps the study in a temporary file.

    Raises:
        InputError: a column is missing, a value is none, a run stands there twice, or nothing can be ranked.
        StoreError: the store holds a study of that name.
    """
    meaning = Meaning(strategy, seed, score, task, trial, cost, status, tuple(configuration))
    if isinstance(results, Mapping):
        frame, meaning = from_arrays(results, tasks), Meaning(task="task")
    else:
        frame, meaning = _long(results, meaning)
    if is_summary(frame):
        raise InputError(
            "these are rows of mean ± std, which cannot be ranked against runs; give the runs themselves, or show the "
            "rows beside a study with `searchbench results import --published FILE`."
        )
    known = _metric(metric, score, better)
    runs = runs_of(frame, meaning, better=known.better)
    place = Path(tempfile.mkdtemp(prefix="searchbench-")) / "results.db" if store is None else store
    with open_store(place, write=True) as opened:
        write(Import(name, runs, known, {}, baseline), opened)
    return Results(name, str(place))


def import_files(
    paths: Sequence[Path],
    *,
    store: str | Path,
    name: str,
    source: str = "auto",
    meaning: Meaning | None = None,
    score: str | None = None,
    metric: str | None = None,
    better: Literal["lower", "higher"] | None = None,
    unit: str = "",
    share: bool = False,
    baseline: str | None = None,
    name_pattern: str | None = None,
    published: Path | None = None,
) -> tuple[Results, Sequence[FinishedRun]]:
    """Files and folders of finished results as one study; returns it and its runs.

    Args:
        paths: what to read, each by itself; together they are one study.
        source: one of `PRESETS`; "auto" finds out who wrote each, and takes anything else for a table.
        meaning: columns of a table or a tracker's export.
        score: the result that counts, where the source holds several.
        name_pattern: regular expression with the groups `strategy` and `seed`, for the names of studies and folders.
        published: a file of rows of mean ± std (and n) to stand beside, never ranked.

    Raises:
        InputError: a source cannot be read, or sources disagree about the direction of their metric.
        StoreError: the store holds a study of that name.
    """
    pattern = _pattern(name_pattern)
    wanted = Meaning() if meaning is None else meaning
    reads = [_read(path, source, wanted, pattern, score) for path in paths]
    directions = {read.better for read in reads} - {None}
    if better is None and len(directions) > 1:
        told = "the sources disagree whether lower or higher is better; import them apart, or say"
        raise InputError(f'{told} `better="lower"`.', command=f"{told} --better lower.")
    direction: Any = better or next(iter(directions), None) or "lower"
    called = metric or next((read.metric for read in reads if read.metric), None) or reads[0].meaning.score
    known = Metric(called, unit=unit, better=direction, share=share)
    runs: list[FinishedRun] = []
    for path, read in zip(paths, reads, strict=True):
        runs += runs_of(read.frame, read.meaning, better=known.better, source=f"`{path}`")
    _refuse_twice(runs)
    rows = [] if published is None else to_spec(read_rows(published), published.name)
    digests = {str(path): digest_of(path) for path in paths}
    with open_store(store, write=True) as opened:
        write(Import(name, runs, known, digests, baseline, rows), opened)
    return Results(name, str(store)), runs


def _read(path: Path, source: str, meaning: Meaning, pattern: re.Pattern[str], score: str | None) -> Read:
    if not path.exists():
        raise InputError(f"there is no `{path}`; check its spelling.")
    kind = (recognised(path) or "table") if source == "auto" else source
    given = meaning if score is None else replace(meaning, score=score)
    if kind in SEARCHES:
        return SEARCHES[kind](path, pattern, score)
    if kind in EXPORTS:
        return exported(path, given, EXPORTS[kind])
    if path.is_dir():
        told = f"nothing in the folder `{path}` tells which library wrote it; name it by"
        rest = f"({', '.join(SEARCHES)}), or give the files."
        raise InputError(f"{told} `source=` {rest}", command=f"{told} --from {rest}")
    frame = read_frame(path)
    if is_summary(frame):
        told = f"`{path}` holds rows of mean ± std, which cannot be ranked against runs; let them stand beside by"
        raise InputError(f"{told} `published=`.", command=f"{told} --published {path}.")
    long, found = _long(frame, given)
    return Read(long, found)


def _long(frame: pd.DataFrame, meaning: Meaning) -> tuple[pd.DataFrame, Meaning]:
    """A frame in long form, with the columns of that form where it was wide; a column `task` is taken for the task."""
    if meaning.task is None and "task" in frame.columns:
        meaning = replace(meaning, task="task")
    if is_wide(frame, meaning):
        return from_wide(frame, meaning.seed, meaning.task), Meaning(seed=meaning.seed, task=meaning.task)
    return frame, meaning


def _metric(given: str | Mapping[str, Any] | Metric | None, score: str, better: Literal["lower", "higher"]) -> Metric:
    if given is None or isinstance(given, str):
        return Metric(given or score, better=better)
    return Metric.of(given)


def _pattern(given: str | None) -> re.Pattern[str]:
    if given is None:
        return NAMED
    try:
        pattern = re.compile(given)
    except re.error as error:
        raise InputError(f"the name pattern {given!r} is no regular expression: {error}.") from None
    for group in ("strategy", "seed"):
        if group not in pattern.groupindex:
            near = did_you_mean(group, pattern.groupindex) if pattern.groupindex else "it has no named group"
            raise InputError(f"the name pattern {given!r} needs the group `(?P<{group}>…)`; {near}")
    return pattern


def _refuse_twice(runs: Sequence[FinishedRun]) -> None:
    seen: set[tuple[str, str, int]] = set()
    for run in runs:
        key = (run.strategy, run.task, run.seed)
        if key in seen:
            raise InputError(
                f"`{run.strategy}` has seed {run.seed} on `{run.task}` in two of the sources; a run counts once. Give "
                "them other names, or import them as two studies."
            )
        seen.add(key)
