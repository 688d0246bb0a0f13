"""What kind of file a table is, by its first bytes and not by its name: Parquet, a CSV of some dialect, or no table.

CSV files are read with commas, semicolons, tabs or bars between cells, with decimal commas where semicolons part the
cells, in UTF-8 or UTF-16, plain or compressed. What cannot be read is refused with what would make it a table.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from searchbench.errors import TableError

PARQUET = b"PAR1"
START = 1 << 16
"""Bytes looked at."""
DELIMITERS = ",;\t|"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
KINDS = (
    (b"SQLite format 3\x00", "an SQLite database; export: `sqlite3 -header -csv FILE 'select * from …' > table.csv`"),
    (b"PK\x03\x04", "a ZIP archive (a spreadsheet, .npz or .pth?); export the columns you need to CSV or Parquet"),
    (b"\x89HDF", "an HDF5 file; export the columns you need to CSV or Parquet"),
    (b"ARROW1", "an Arrow (Feather) file; write it as Parquet"),
    (b"\x93NUMPY", "a NumPy array; write it as CSV or Parquet with named columns"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet; save it as CSV"),
    (b"%PDF", "a PDF document"),
)
"""First bytes of files that are taken for tables, and the way out."""
ARRAYS = "a JSON text; the formats that are known are imported by `searchbench table import --format`, any other is "
ARRAYS += "written as CSV or Parquet with a row per architecture"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written."""

    header: list[str]
    delimiter: str = ","
    decimal_point: str = "."
    encoding: str = "utf-8-sig"

    def source(self, path: str) -> Any:
        """What Arrow reads: the file itself, or its text in UTF-8."""
        import pyarrow as pa

        if self.encoding == "utf-8-sig":
            return path
        with pa.input_stream(path, compression="detect") as stream:
            return pa.BufferReader(bytes(stream.read()).decode(self.encoding).encode())


def is_parquet(path: str) -> bool:
    """Whether the file is Parquet by its first bytes, or says so by its name alone (then reading it says what it is).

    Raises:
        TableError: it is of a kind that is no table.
    """
    with open(path, "rb") as file:
        start = file.read(64)
    for magic, kind in KINDS:
        if start.startswith(magic):
            raise TableError(f"table {path} cannot be read: it is {kind}.")
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        raise TableError(
            f"table {path} is a pickle, which runs whatever code it holds when it is read; export the columns you need "
            "to CSV or Parquet where you trust it."
        )
    return start.startswith(PARQUET) or path.endswith((".parquet", ".pq"))


def sniff(path: str, numbers: Sequence[str]) -> Dialect:
    """How a CSV file is written, from its beginning.

    Args:
        path: the file, perhaps compressed.
        numbers: columns of numbers, in which a comma is a decimal point where semicolons part the cells.

    Raises:
        TableError: it is JSON, or binary.
    """
    import pyarrow as pa

    with pa.input_stream(path, compression="detect") as stream:
        start = bytes(stream.read(START))
    encoding = "utf-16" if start.startswith(UTF16) else "utf-8-sig"
    if encoding == "utf-16":
        start = start[: len(start) // 2 * 2]
    elif b"\x00" in start:
        raise TableError(f"table {path} cannot be read: it is a binary file; write it as CSV or Parquet.")
    text = start.decode(encoding, errors="replace")
    if text.lstrip()[:1] in ("{", "["):
        raise TableError(f"table {path} cannot be read: it is {ARRAYS}.")
    delimiter = _delimiter(text)
    header, *rows = list(csv.reader(io.StringIO(text), delimiter=delimiter)) or [[]]
    return Dialect(header, delimiter, _decimal_point(header, rows[:-1] or rows, numbers, delimiter), encoding)


def _delimiter(text: str) -> str:
    """What parts the names of the header: the candidate that parts it into most, outside of quotes; else a comma."""
    line = next(iter(text.splitlines()), "")
    parts = {delimiter: len(next(csv.reader([line], delimiter=delimiter), [])) for delimiter in DELIMITERS}
    most = max(parts.values())
    return next(delimiter for delimiter in DELIMITERS if parts[delimiter] == most)


def _decimal_point(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str], delimiter: str) -> str:
    at = [i for i, name in enumerate(header) if name in numbers]
    cells = [row[i] for row in rows for i in at if i < len(row)]
    comma = delimiter != "," and any("," in cell for cell in cells) and not any("." in cell for cell in cells)
    return "," if comma else "."
