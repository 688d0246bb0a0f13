"""Trying an exported bundle: does it rebuild the leaderboard, byte for byte?"""

from __future__ import annotations

import tempfile
from pathlib import Path

from searchbench.reports.leaderboard import leaderboard
from searchbench.reports.render import render
from searchbench.results.bundle import Bundle, load, read_bundle, write_bundle
from searchbench.results.records import CheckRecord, timestamp
from searchbench.results.store import ResultStore, open_store

FORMS = ("csv", "json", "md")


def rebuild(found: Bundle, store: ResultStore) -> CheckRecord:
    """Write a bundle, load the file into a new store, and compare the leaderboard in several forms with that of the
    store it is from."""
    with tempfile.TemporaryDirectory(prefix="searchbench-") as folder:
        file = write_bundle(found, Path(folder) / "tried.parquet")
        with open_store(Path(folder) / "rebuilt.db", write=True) as other:
            load(read_bundle(file), other)
            boards = [leaderboard(one, found.name) for one in (store, other)]
    differing = [form for form in FORMS if render(boards[0], form) != render(boards[1], form)]
    runs = f"leaderboard of {len(found.rows)} runs"
    said = f"{runs} differs as {differing[0]} when rebuilt" if differing else f"{runs} rebuilt byte for byte"
    now = timestamp()
    return CheckRecord(found.name, "rebuild", not differing, said, now)
