"""Compare two result stores run by run, trial by trial, line of trace by line of trace, value by value.

Only what a clock, the memory or the machine says may differ. Made to show that a change of the code changes no number:

    PYTHONPATH=BEFORE python -m searchbench run benchmarks/small_quickstart.toml --store before.db --workers 0
    PYTHONPATH=AFTER  python -m searchbench run benchmarks/small_quickstart.toml --store after.db --workers 0
    python benchmarks/compare_stores.py before.db after.db

Prints what was compared and the first difference; exits with 1 where there is one.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from searchbench.results.columns import MEASURED_COLUMNS, first_difference, read_events

CLOCKS = {"id", "started", "finished", "created", "provenance", "host", "run"}
"""Columns of the tables that a rerun does not repeat."""
MEASURED = {name.removeprefix("spent_") for name in MEASURED_COLUMNS}
"""Axes of a cost that clocks and memory measure."""
KEYS: Mapping[str, tuple[str, ...]] = {"studies": ("name", "revision"), "runs": ("run_id", "attempts")}
Row = dict[str, Any]


def rows(path: str, table: str) -> dict[tuple[Any, ...], Row]:
    """The rows of a table by their identity, runs with their recordings."""
    query = f"SELECT * FROM {table}" + (" JOIN recordings ON recordings.run = runs.id" if table == "runs" else "")
    with sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        return {tuple(row[key] for key in KEYS[table]): dict(row) for row in connection.execute(query)}


def differences(left: Row, right: Row, counts: Counter[str]) -> Iterator[str]:
    """What differs between two rows, in words."""
    if left.keys() != right.keys():
        yield f"columns {sorted(left.keys() ^ right.keys())} are in one store only"
    for name in sorted((left.keys() & right.keys()) - CLOCKS):
        if name in ("trials", "traces"):
            yield from _recordings(name, left[name] or b"", right[name] or b"", counts)
            continue
        a, b = _plain(left[name]), _plain(right[name])
        counts["values"] += 1
        if a != b:
            yield f"{name}: {a!r} before, {b!r} after"


def _recordings(name: str, left: bytes, right: bytes, counts: Counter[str]) -> Iterator[str]:
    read = read_events(left)
    counts["trials" if name == "trials" else "lines of traces"] += read.num_rows
    counts["values"] += read.num_rows * len(set(read.column_names) - set(MEASURED_COLUMNS))
    found = first_difference(left, right)
    if found is not None:
        yield f"{name} {found.trial}, {found.column}: {found.left!r} before, {found.right!r} after"


def _plain(value: Any) -> Any:
    """A stored value; JSON is read, and what clocks and memory measured is left out of it."""
    if isinstance(value, str) and value.startswith("{"):
        read = json.loads(value)
        return {name: read[name] for name in read if name not in MEASURED}
    return value


def compare(before: str, after: str) -> tuple[Counter[str], list[str]]:
    """How much was compared, and every difference in words."""
    counts: Counter[str] = Counter()
    found: list[str] = []
    for table in KEYS:
        left, right = rows(before, table), rows(after, table)
        found += [f"{table} {key} is in one store only" for key in sorted(left.keys() ^ right.keys(), key=str)]
        for key in left.keys() & right.keys():
            counts[table] += 1
            found += [f"{table} {key}: {words}" for words in differences(left[key], right[key], counts)]
    return counts, found


def main() -> None:
    counts, found = compare(*sys.argv[1:3])
    print("compared " + ", ".join(f"{number:,} {name}" for name, number in counts.items()))
    print(f"{len(found)} differences; the first: {found[0]}" if found else "no difference")
    sys.exit(bool(found) or not counts["runs"])


if __name__ == "__main__":
    main()
