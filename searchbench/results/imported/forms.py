"""Files and frames in the forms people have: long, wide, arrays by method, rows of mean ± std."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchbench.errors import InputError
from searchbench.results.imported.finished import Meaning, ReportedRow

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl", ".npz")
METHOD_NAMES = ("strategy", "method", "algorithm", "optimizer", "optimiser", "searcher", "name")
SEED_NAMES = ("seed", "replicate", "repetition", "rep", "run")


def read_frame(path: Path) -> pd.DataFrame:
    """A file as a frame: CSV (delimiter found out), Parquet, JSON, JSON lines, or arrays by method in an `.npz`.

    Raises:
        InputError: it is absent, of another kind, or cannot be read; nothing is guessed from a part of it.
    """
    import pandas as pd

    if not path.is_file():
        told = f"`{path}` is not a file; give the file of results, or the folder with"
        raise InputError(f"{told} its own `source=`.", command=f"{told} its own `--from`.")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"`{path}` is of no kind that is read here; {', '.join(SUFFIXES)} are.")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        if suffix == ".jsonl":
            return pd.DataFrame([json.loads(line) for line in _text(path).splitlines() if line.strip()])
        if suffix == ".json":
            return pd.DataFrame(json.loads(_text(path)))
        if suffix == ".npz":
            return _npz(path)
        return read_csv(path, sep=_delimiter(path), encoding=_encoding(path))
    except (ValueError, OSError, KeyError, UnicodeError) as error:
        raise InputError(f"`{path}` cannot be read as {suffix.removeprefix('.')}: {error}") from error


def read_csv(path: Path, **how: Any) -> pd.DataFrame:
    """The frame of a CSV file, its decimals the nearest floats: pandas before 3.1 rounds unless it is told not to."""
    import pandas as pd

    older = tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    exactly: dict[str, Any] = {"float_precision": "round_trip"} if older else {}
    frame: pd.DataFrame = pd.read_csv(path, **how, **exactly)
    return frame


def from_arrays(arrays: Mapping[str, Any], tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Arrays by method, [seeds] or [seeds, tasks], in long form. Methods may have different numbers of seeds.

    Raises:
        InputError: an array has another number of dimensions, or `tasks` another length than the second one.
    """
    import numpy as np
    import pandas as pd

    rows = []
    for method, given in arrays.items():
        values = np.asarray(given, dtype=np.float64)
        if values.ndim not in (1, 2):
            raise InputError(f"`{method}` must be an array [seeds] or [seeds, tasks], but its shape is {values.shape}.")
        table = values[:, None] if values.ndim == 1 else values
        names = [f"task {i + 1}" for i in range(table.shape[1])] if tasks is None else list(tasks)
        if len(names) != table.shape[1]:
            raise InputError(f"`{method}` has {table.shape[1]} tasks, but {len(names)} are named: {', '.join(names)}.")
        rows += [
            {"strategy": method, "seed": seed, "task": names[at], "score": float(table[seed, at])}
            for seed in range(len(table))
            for at in range(len(names))
        ]
    return pd.DataFrame(rows, columns=["strategy", "seed", "task", "score"])


def from_wide(frame: pd.DataFrame, seed: str, task: str | None = None) -> pd.DataFrame:
    """A column per strategy, a row per seed (and task), in long form. Empty cells are runs that were not made."""
    keys = [seed] if task is None else [seed, task]
    long = frame.melt(id_vars=keys, var_name="strategy", value_name="score")
    return long[long["score"].notna()]


def is_wide(frame: pd.DataFrame, meaning: Meaning) -> bool:
    """Whether strategies stand in columns: there is a seed but no column of strategies or scores, and more than one
    column of numbers."""
    import pandas as pd

    if meaning.strategy in frame.columns or meaning.score in frame.columns or meaning.seed not in frame.columns:
        return False
    others = [name for name in frame.columns if name not in (meaning.seed, meaning.task)]
    return len(others) > 1 and all(pd.api.types.is_numeric_dtype(frame[name]) for name in others)


def is_summary(frame: pd.DataFrame) -> bool:
    """Whether rows hold means: a `mean` beside a method, and no seed."""
    names = {str(name).lower() for name in frame.columns}
    return "mean" in names and bool(names & set(METHOD_NAMES)) and not names & set(SEED_NAMES)


def reported(frame: pd.DataFrame, source: str) -> list[ReportedRow]:
    """Rows of mean ± std with n, as reported rows. Columns: a method, `mean`, and optionally `std`, `n`, `task`.

    Raises:
        InputError: a mean is no number.
    """
    columns = {str(name).lower(): name for name in frame.columns}
    method = next(columns[name] for name in METHOD_NAMES if name in columns)
    rows = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        mean, std, n = (
            _number(row.get(columns.get(name)), f"{source}, row {number}, `{name}`") for name in ("mean", "std", "n")
        )
        if mean is None:
            raise InputError(f"{source}, row {number}: `mean` must be a number, but it is empty.")
        task = str(row[columns["task"]]) if "task" in columns else "imported"
        rows.append(ReportedRow(str(row[method]), task, mean, std, None if n is None else int(n)))
    return rows


def _number(value: Any, where: str) -> float | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: a number is needed, but it holds {value!r}.") from None


def _npz(path: Path) -> pd.DataFrame:
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        return from_arrays({name: arrays[name] for name in arrays.files})


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    return "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _text(path: Path) -> str:
    return path.read_text(encoding=_encoding(path))


def _delimiter(path: Path) -> str:
    with path.open(encoding=_encoding(path), newline="") as file:
        head = file.read(8192).partition("\n")[0]
    try:
        return csv.Sniffer().sniff(head, delimiters=",;\t|").delimiter
    except csv.Error:
        return ","
