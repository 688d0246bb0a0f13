"""Bringing public tables into the package's own form: one Parquet file, checked as a whole.

Standard columns: `architecture` in the space's notation, `validation_<i>`, `test_<i>`, `epochs_<e>_<i>` for shorter
trainings, and whatever else was asked for under its own name. What does not pass the table's checks (coverage,
duplicates, ranges, unknown operations) is refused with row and column, and nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from searchbench import toml_text
from searchbench.errors import StudyError, TableError, did_you_mean
from searchbench.seeds import Seeds
from searchbench.spaces.chains.nasbench_macro import macro
from searchbench.spaces.hyperparameters import hyperparameters
from searchbench.spaces.space import Space
from searchbench.tables.file import digest, read_columns, reading, stamp
from searchbench.tables.table import Table
from searchbench.tasks.task import Task
from searchbench.whole_file import whole

APART = 50
"""Times by which validation and test scores of one unit do not differ; percent and shares differ by 100."""
PICKLES = (".pth", ".pt", ".pkl", ".pickle", ".pbz2")


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """A table in memory: its columns under the standard names, the space they are of, and what they mean."""

    columns: Mapping[str, Sequence[Any]]
    space: Space
    table: Table
    """Its path is that of the source until it is written."""
    source: str


@dataclass(frozen=True, slots=True)
class Beside:
    """Columns of a second file, joined by a column of both."""

    path: str
    on: str
    columns: tuple[str, ...]


def from_columns(table: Table, space: Space, beside: Sequence[Beside] = ()) -> Content:
    """Any CSV or Parquet file, as `table` maps its columns; a declared `join` brings the test columns.

    Args:
        table: the mapping.
        space: what the architectures are of.
        beside: further files whose columns become metrics, latencies for example.

    Raises:
        DataMissing, TableError: a file cannot be read or has no such column; a joined file lacks a row.
    """
    refuse_pickle(table.path)
    joins = list(beside)
    if table.join:
        joins.append(Beside(table.join.path, table.join.on, table.test))
    own_test = () if table.join else table.test
    shorter = {f"epochs_{e:g}_{i}": n for e, names in table.fidelity for i, n in enumerate(names)}
    scores = {f"validation_{i}": name for i, name in enumerate(table.validation)} | shorter
    scores |= {f"test_{i}": name for i, name in enumerate(own_test)}
    measured = {name: column for name, column in (("params", table.params), ("macs", table.macs)) if column}
    measured |= dict(table.metrics) | ({"seconds": table.seconds} if table.seconds else {})
    texts = [table.architecture, *(join.on for join in joins)]
    read = read_columns(stamp(table.path)[0], texts, [*scores.values(), *measured.values()])
    columns: dict[str, Any] = {"architecture": read.texts[table.architecture]}
    columns |= {name: read.numbers[column] for name, column in {**scores, **measured}.items()}
    for join in joins:
        joined = _joined(join, read.texts[join.on], table.path)
        tests = table.join is not None and join is joins[-1]
        columns |= {f"test_{i}" if tests else name: values for i, (name, values) in enumerate(joined.items())}
    return Content(columns, space, _standard(table, columns), table.path)


def _joined(join: Beside, rows: Sequence[str], path: str) -> dict[str, Any]:
    """Columns of the second file in the order of the first one's rows. Raises TableError for a row without partner."""
    second = read_columns(stamp(join.path)[0], [join.on], join.columns)
    at: dict[str, int] = {}
    for row, text in enumerate(second.texts[join.on]):
        if at.setdefault(text, row) != row:
            raise second.refuse(row, join.on, f"{text!r} already stands in row {at[text] + 1}; a join needs it once.")
    for row, text in enumerate(rows):
        if text not in at:
            raise TableError(f"table {path}, row {row + 1}, column `{join.on}`: {text!r} is not in {second.path}.")
    order = [at[text] for text in rows]
    return {name: second.numbers[name][order] for name in join.columns}


def _standard(table: Table, columns: Mapping[str, Any]) -> Table:
    """The description of the standard columns."""

    def named(prefix: str) -> tuple[str, ...]:
        return tuple(name for name in columns if name.startswith(prefix) and name[len(prefix) :].isdigit())

    known = {"architecture", "params", "macs", "seconds"}
    scores = ("validation_", "test_", "epochs_")
    others = tuple((n, n) for n in columns if n not in known and not n.startswith(scores))
    return replace(
        table,
        architecture="architecture",
        validation=named("validation_"),
        test=named("test_"),
        fidelity=tuple((epochs, named(f"epochs_{epochs:g}_")) for epochs, _ in table.fidelity),
        seconds="seconds" if table.seconds else None,
        params="params" if table.params else None,
        macs="macs" if table.macs else None,
        metrics=others,
        join=None,
    )


def from_macro(path: str) -> Content:
    """NAS-Bench-Macro's JSON: ``{"<8 digits>": {"test_acc": [a, b, c], "params": …, "flops": …}, …}``.

    The benchmark publishes three test accuracies and no validation: the first is searched by, the others judge.

    Raises:
        DataMissing, TableError: the file cannot be read, or an entry lacks what it must have.
    """
    place = stamp(path)[0]
    try:
        entries = json.loads(Path(place).read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:
        raise TableError(f"table {place} is no JSON: {error}") from error
    if not isinstance(entries, dict) or not entries:
        raise TableError(f"table {place} must hold an object of architectures, but holds a {type(entries).__name__}.")
    rows = [_macro_row(place, number, name, entry) for number, (name, entry) in enumerate(entries.items(), start=1)]
    names = ("validation_0", "test_0", "test_1", "params", "macs")
    columns: dict[str, Any] = {"architecture": list(entries)}
    columns |= {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    table = Table(
        path, validation=("validation_0",), test=("test_0", "test_1"), percent=True, params="params", macs="macs"
    )
    return Content(columns, macro(), table, path)


def _macro_row(place: str, number: int, name: str, entry: Any) -> tuple[float, ...]:
    where = f"table {place}, row {number} ({name})"
    if not isinstance(entry, dict):
        raise TableError(f"{where}: an object is needed, but it is {entry!r}.")
    for column in ("test_acc", "params", "flops"):
        if column not in entry:
            raise TableError(f"{where}, column `{column}`: is missing; {did_you_mean(column, entry)}")
    accuracies = entry["test_acc"]
    if not isinstance(accuracies, list) or len(accuracies) != 3:
        raise TableError(f"{where}, column `test_acc`: three accuracies are needed, but it holds {accuracies!r}.")
    try:
        return tuple(float(value) for value in (*accuracies, entry["params"], entry["flops"]))
    except (TypeError, ValueError, OverflowError):
        raise TableError(f"{where}: a number is needed, but it holds {str(entry)[:200]}.") from None


def from_fcnet(path: str, data: str) -> Content:
    """HPO-Bench's fully connected networks, as ``.npz``: `config_index` [n, d], the JSON `space`, and a block
    [n, repeats] of validation losses per data set.

    It publishes validation losses only: the first half of the repeats is searched by, the other half judges.

    Args:
        path: the file.
        data: which data set's block.

    Raises:
        DataMissing, TableError: the file cannot be read, or has no such data set.
    """
    place = stamp(path)[0]
    with reading(place):
        return _fcnet(path, place, data)


def _fcnet(path: str, place: str, data: str) -> Content:
    with open(place, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        blocks = {name: arrays[name] for name in arrays.files if name in (data, "config_index", "space")}
        known = [name for name in arrays.files if name not in ("config_index", "space")]
    for name in ("config_index", "space", data):
        if name not in blocks:
            raise TableError(f"table {place} has no array `{name}`; {did_you_mean(name, known)}")
    options = json.loads(str(blocks["space"]))
    space = hyperparameters(**{name: list(values) for name, values in options.items()})
    names, repeats = list(options), blocks[data].shape[1]
    texts = [
        str(space.architecture({name: options[name][at] for name, at in zip(names, row, strict=True)}))
        for row in blocks["config_index"].tolist()
    ]
    half = (repeats + 1) // 2
    labels = [f"validation_{i}" for i in range(half)] + [f"test_{i}" for i in range(repeats - half)]
    columns: dict[str, Any] = {"architecture": texts}
    columns |= {label: blocks[data][:, at].astype(np.float64) for at, label in enumerate(labels)}
    table = Table(path, validation=tuple(labels[:half]), test=tuple(labels[half:]), higher_is_better=False)
    return Content(columns, space, table, f"{path}:{data}")


def refuse_pickle(path: str) -> None:
    """Raise TableError for what can only be read by running it."""
    if Path(path).suffix.lower() in PICKLES:
        raise TableError(
            f"{path} is a pickle, which runs whatever code it holds when it is read; "
            "export the columns you need to CSV or Parquet where you trust it, and import that."
        )


def write(content: Content, out: Path, task: Task) -> Table:
    """Write the Parquet file and check it as a run and a judge would read it; on any fault nothing is left.

    Args:
        content: what `from_…` read.
        out: a ``.parquet`` file.
        task: of the problems it will serve (nothing of it is read).

    Returns:
        The description of the written table.

    Raises:
        TableError: a check failed; the message names row and column.
        StudyError: `out` is no Parquet file's name.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if out.suffix != ".parquet":
        raise StudyError(
            f"an imported table is a Parquet file, but `{out}` is not called so; name it `{out.stem}.parquet`."
        )
    arrow = pa.table({name: pa.array(values) for name, values in content.columns.items()})
    provenance = {"source": Path(content.source).name, "sha256": digest(stamp(content.source.partition(":")[0]))}
    arrow = arrow.replace_schema_metadata({"searchbench": json.dumps(provenance)})
    with whole(out) as place:
        parquet.write_table(arrow, place, compression="zstd")
        checked = replace(content.table, path=str(place))
        seeds = Seeds("import", 0)
        try:
            checked.open(content.space, task, seeds)
            if checked.test:
                checked.judge().open(content.space, task, seeds)
        except TableError as error:
            raise TableError(str(error).replace(str(place.absolute()), content.source)) from error
        _check_units(content)
    return replace(content.table, path=str(out))


def _check_units(content: Content) -> None:
    """Raise TableError where a search would see shares and the judge percent, or the other way round: each is
    plausible by itself."""
    seen, judged = (_typical(content.columns, names) for names in (content.table.validation, content.table.test))
    if seen > 0 and judged > 0 and not 1 / APART < seen / judged < APART:
        raise TableError(
            f"table {content.source}: a typical validation score is {seen:.3g}, a typical test score {judged:.3g}; "
            "one of them is in percent and the other is not. Write both in the same unit."
        )


def _typical(columns: Mapping[str, Sequence[Any]], names: Sequence[str]) -> float:
    scores = [np.asarray(columns[name], dtype=np.float64) for name in names]
    finite = np.concatenate([s[np.isfinite(s)] for s in scores]) if scores else np.empty(0)
    return float(np.median(finite)) if len(finite) else 0.0


def as_toml(table: Table, space: Space) -> str:
    """The `space` and `estimator` lines of a study file that uses the table."""
    parts = ['use = "table"', f"path = {toml_text.value(table.path)}"]
    default = Table("")
    for name in Table.__dataclass_fields__:
        value = getattr(table, name)
        if name in ("path", "join") or value == getattr(default, name):
            continue
        parts.append(f"{name} = {toml_text.value(dict(value) if name in ('fidelity', 'metrics') else value)}")
    return f"space = {_space(space)}\nestimator = {{ {', '.join(parts)} }}"


def _space(space: Space) -> str:
    if space.name != "hyperparameters":
        return toml_text.value(space.name)
    options = [f"{toml_text.key(d.name)} = {toml_text.value(tuple(d.values()))}" for d in space.decisions]
    return f'{{ use = "hyperparameters", {", ".join(options)} }}'
