"""Tables built here: what their files say of themselves, and the one that ships with the package."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from searchbench.errors import TableError

METADATA = b"searchbench"
"""Key of the JSON about a table in its Parquet metadata."""

SHIPPED = {"nasbench201-digits": Path(__file__).parent.parent / "data" / "nasbench201-digits.parquet"}
"""By name, the tables that lie in the package."""


def column(measure: str, repeat: int, epoch: int) -> str:
    """Name of a column: `valid_0_12` is the validation accuracy of repeat 0 after 12 epochs."""
    return f"{measure}_{repeat}_{epoch}"


@functools.cache
def shipped(name: str) -> dict[str, Any]:
    """What a table that ships with the package says about itself."""
    return about(SHIPPED[name])


def columns(told: dict[str, Any]) -> dict[str, Any]:
    """What the columns of a built table mean, as the arguments of `Table`; `told` is what `about` returns."""
    repeats, (*lower, full) = range(told["plan"]["repeats"]), told["plan"]["recorded"]

    def recorded(measure: str, epoch: int) -> tuple[str, ...]:
        return tuple(column(measure, repeat, epoch) for repeat in repeats)

    return {
        "validation": recorded("valid", full),
        "test": recorded("test", full),
        "fidelity": tuple((float(epoch), recorded("valid", epoch)) for epoch in lower),
        "epochs": float(full),
        "seconds": "seconds",
        "params": "params",
        "macs": "macs",
        "train_macs": "train_macs",
        "partial": not told["complete"],
    }


def about(path: Path) -> dict[str, Any]:
    """What a built table says about itself.

    Raises:
        TableError: the file is no table built here.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path} is no Parquet file: {error}") from error
    with file:
        text = (file.schema_arrow.metadata or {}).get(METADATA)
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
    if text is None:
        raise TableError(f"{path} says nothing about how it was built; it was not built by `searchbench table build`.")
    told: dict[str, Any] = json.loads(text)
    return told | {"rows": rows, "columns": columns, "bytes": path.stat().st_size}
