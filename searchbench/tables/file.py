"""Reading columns of a table file, and nothing but those columns.

Parquet and CSV (plain or gzipped) go through Arrow, which projects columns while it reads and refuses ragged rows,
truncated files and cells that are not numbers; here its refusals are put into words that name the row and the column.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchbench.errors import DataMissing, InputError, TableError, did_you_mean
from searchbench.registry import told
from searchbench.tables import dialect
from searchbench.tables.shipped import SHIPPED

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What was read: `texts` as they stand in the file (leading zeros kept), `numbers` [rows] with NaN where empty."""

    path: str
    texts: dict[str, list[str]]
    numbers: dict[str, Numbers]

    def refuse(self, row: int, column: str, rule: str) -> TableError:
        """The error for one cell; `row` counts from 0 here and from 1 in the message, the header not counted."""
        return TableError(f"table {self.path}, row {row + 1}, column `{column}`: {rule}")


def locate(path: str) -> Path:
    """The file `path` names: as it stands, or below the folder SEARCHBENCH_DATA; or one that ships with the package.

    Raises:
        DataMissing: it is in neither place.
        TableError: it is a folder.
    """
    places = list(_places(path))
    for place in places:
        if place.is_file():
            return place
    for place in places:
        if place.is_dir():
            raise TableError(f"table `{path}` is the folder {place}; name a file, one of {_files(place)}.")
    looked = ", ".join(str(place) for place in places)
    raise DataMissing(
        f"table `{path}` was not found (looked for {looked}); give its path, or set SEARCHBENCH_DATA to the folder "
        "that holds it."
    )


def _files(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "none that it holds"


def _places(path: str) -> Iterator[Path]:
    if path in SHIPPED:
        yield SHIPPED[path]
        return
    yield Path(path).expanduser().absolute()
    folder = os.environ.get("SEARCHBENCH_DATA")
    if folder and not Path(path).is_absolute():
        yield Path(folder).expanduser() / path
        yield Path(folder).expanduser() / "tables" / path


Stamp = tuple[str, int, int]


def stamp(path: str) -> Stamp:
    """Name, time and size of a file: while they stay, what was read from it before is read from memory."""
    place = locate(path)
    status = place.stat()
    return str(place), status.st_mtime_ns, status.st_size


@functools.lru_cache(maxsize=64)
def digest(file: Stamp) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(file[0], "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Whatever goes wrong inside is a fault of the file: every other error becomes a TableError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise TableError(f"table {path} cannot be read: it is damaged or of another format ({told(error)}).") from error


def read_columns(path: str, texts: Sequence[str], numbers: Sequence[str]) -> Columns:
    """Read the named columns of a Parquet or CSV file.

    Args:
        path: a Parquet or CSV file, whatever its name; see `dialect` for which CSV files.
        texts: columns kept as strings.
        numbers: columns of float64; an empty cell is NaN.

    Raises:
        TableError: a column is missing or doubled, the file is truncated or ragged, a text is empty, or a cell is no
            number.
    """
    texts, numbers = list(dict.fromkeys(texts)), list(dict.fromkeys(numbers))
    with reading(path):
        read = _read_parquet if dialect.is_parquet(path) else _read_csv
        arrow = read(path, texts, numbers)
    if arrow.num_rows == 0:
        raise TableError(f"table {path} has no rows.")
    columns = Columns(
        path,
        {name: arrow[name].to_pylist() for name in texts},
        {name: np.asarray(arrow[name].to_numpy(), dtype=np.float64) for name in numbers},
    )
    for name, cells in columns.texts.items():
        for row, cell in enumerate(cells):
            if not cell:
                raise columns.refuse(row, name, "a name is needed, but the cell is empty.")
    return columns


def column_names(path: str) -> list[str]:
    """The columns of a Parquet or CSV file, in order. Raises TableError where it cannot be read."""
    from pyarrow import parquet

    with reading(path):
        if dialect.is_parquet(path):
            with parquet.ParquetFile(path) as file:
                return list(file.schema_arrow.names)
        return list(dialect.sniff(path, []).header)


def _read_csv(path: str, texts: Sequence[str], numbers: Sequence[str]) -> Any:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    header: list[str] = []
    try:
        written = dialect.sniff(path, numbers)
        header = written.header
        _check_names(path, header, [*texts, *numbers])
        types = {name: pa.string() for name in texts} | {name: pa.float64() for name in numbers}
        return arrow_csv.read_csv(
            written.source(path),
            read_options=arrow_csv.ReadOptions(use_threads=False),  # only then are rows named in its errors
            parse_options=arrow_csv.ParseOptions(delimiter=written.delimiter),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=[*texts, *numbers], column_types=types, decimal_point=written.decimal_point
            ),
        )
    except (pa.ArrowInvalid, OSError, EOFError, UnicodeDecodeError) as error:
        raise TableError(f"table {path} cannot be read: {_in_words(str(error), header)}") from error


def _in_words(message: str, header: Sequence[str]) -> str:
    """Arrow counts columns from 0 and rows from 1 with the header; we name columns and count data rows from 1."""
    if found := re.search(r"column #(\d+): Row #(\d+): .*invalid value '(.*)'", message):
        column, row, value = header[int(found[1])], int(found[2]) - 1, found[3]
        return f"row {row}, column `{column}`: a number is needed, but the cell holds {value!r}."
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", message):
        return f"row {int(found[1]) - 1} has {found[3]} cells where the header has {found[2]}; is the file truncated?"
    if "invalid UTF8" in message:
        return f"{message}; write the file as UTF-8."
    if "Truncated compressed stream" in message or "zlib" in message:
        return f"{message}; the compressed file is truncated or damaged."
    return message


def _read_parquet(path: str, texts: Sequence[str], numbers: Sequence[str]) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            _check_names(path, file.schema_arrow.names, [*texts, *numbers])
            arrow = file.read(columns=[*texts, *numbers], use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"table {path} cannot be read: {error}") from error
    for names, wanted in ((texts, pa.string()), (numbers, pa.float64())):
        for name in names:
            at = arrow.schema.get_field_index(name)
            arrow = arrow.set_column(at, name, _cast(path, name, arrow[name], wanted))
    return arrow


def _cast(path: str, name: str, column: Any, wanted: Any) -> Any:
    import pyarrow as pa

    try:
        return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    for row, cell in enumerate(column):
        try:
            cell.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise TableError(
                f"table {path}, row {row + 1}, column `{name}`: a {wanted} is needed, but the cell holds "
                f"{cell.as_py()!r}."
            ) from error
    raise TableError(f"table {path}, column `{name}`: a {wanted} is needed, but the column is {column.type}.")


def _check_names(path: str, header: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in header:
            raise TableError(f"table {path} has no column `{name}`; {did_you_mean(name, header)}")
        if list(header).count(name) > 1:
            raise TableError(f"table {path} has {list(header).count(name)} columns named `{name}`; names must differ.")
