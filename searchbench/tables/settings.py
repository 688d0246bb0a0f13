"""Bringing recorded hyper-parameter settings into the package's own form: one Parquet file, a row per setting.

Checked as a run and a judge would read it; on any fault nothing is left. `published_settings` reads LCBench, YAHPO and
NAS-Bench-301.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from searchbench import toml_text
from searchbench.errors import TableError
from searchbench.seeds import Seeds
from searchbench.spaces.hyperparameters import as_table, hyperparameters
from searchbench.spaces.space import Space
from searchbench.tables.file import digest, read_columns, stamp
from searchbench.tables.recorded_rows import RecordedRows, forest_error
from searchbench.tasks.task import NoTask
from searchbench.whole_file import whole


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """Recorded settings in memory: texts of their values by decision, numbers by column, and what they mean."""

    texts: Mapping[str, Sequence[str]]
    numbers: Mapping[str, Iterable[float]]
    space: Space
    table: RecordedRows
    """Its path is that of the source until they are written."""
    left_out: str = ""
    """What of the source is not among them, in words."""


def inferred(columns: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Declarations of hyper-parameters as their recorded columns suggest them, for `hyperparameters`.

    Whole numbers become a range of integers, real ones a range, on a log scale where all are positive and span a factor
    of 100 or more; anything else (also a column of one value) a category of what was recorded, in sorted order.
    """
    return {name: _inferred(list(cells)) for name, cells in columns.items()}


def _inferred(cells: list[Any]) -> Any:
    try:
        numbers = [float(cell) for cell in cells]
    except (TypeError, ValueError):
        return sorted({str(cell) for cell in cells})
    low, high = min(numbers), max(numbers)
    if low == high or not all(math.isfinite(number) for number in numbers):
        return sorted(set(cells), key=str)
    log = low > 0 and high / low >= 100
    if all(number == int(number) for number in numbers):
        return {"int": [int(low), int(high)]} | ({"log": True} if log else {})
    return {"float": [low, high]} | ({"log": True} if log else {})


def read_settings(path: str, parameters: Sequence[str], table: RecordedRows) -> Settings:
    """Settings of any CSV or Parquet file; types and ranges are inferred.

    Args:
        path: the source.
        parameters: columns of hyper-parameters.
        table: which of its columns are the values, and how proposals between rows are answered.

    Raises:
        DataMissing, TableError: the source cannot be read.
    """
    numbers = [name for name in (table.validation, table.test, table.seconds) if name]
    columns = read_columns(stamp(path)[0], list(parameters), numbers)
    space = hyperparameters(**inferred(columns.texts))
    replace(table, path=path).check(space, NoTask())  # names the rows of the source
    return Settings(columns.texts, columns.numbers, space, replace(table, path=path))


def write(settings: Settings, out: Path) -> RecordedRows:
    """Write one Parquet file; where a forest answers, its error by cross-validation stands in the metadata.

    Raises:
        TableError: a row is faulty; nothing is left then.
    """
    import pyarrow as pa
    from pyarrow import parquet

    source, space = settings.table.path, settings.space
    told: dict[str, Any] = {"source": Path(source).name}
    if Path(source).is_file():
        told["sha256"] = digest(stamp(source))
    numbers = {name: pa.array([float(value) for value in values]) for name, values in settings.numbers.items()}
    arrow = pa.table({**settings.texts, **numbers})
    with whole(out) as place:
        parquet.write_table(arrow, place)
        written = replace(settings.table, path=str(place))
        try:
            written.check(space, NoTask())
            if written.test:
                written.judge().open(space, NoTask(), Seeds("import", 0))
        except TableError as error:
            raise TableError(str(error).replace(str(place.absolute()), source)) from error
        if written.between == "forest":
            told["forest"] = forest_error(written, space)
        parquet.write_table(arrow.replace_schema_metadata({"searchbench": json.dumps(told)}), place, compression="zstd")
    return replace(settings.table, path=str(out))


def as_toml(table: RecordedRows, space: Space) -> str:
    """The `space` and `estimator` lines of a study file that searches the settings."""
    declared: Any = space.name
    if space.name == "hyperparameters":
        declared = {
            "use": space.name,
            **{decision.name: as_table(decision.name, decision) for decision in space.decisions},
        }
    said = {key: value for key, value in asdict(table).items() if value not in ("", False, None)}
    return f"space = {toml_text.value(declared)}\nestimator = {toml_text.value({'use': 'recorded-rows', **said})}"
