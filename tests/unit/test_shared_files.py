"""What processes of a node share is made once, made anew when its source changes, and told where it cannot be."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from searchbench.errors import DataMissing
from searchbench.tasks.shared_files import StoredRows, remembered, shared, stamp_of


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHBENCH_CACHE", str(tmp_path / "kept"))
    return tmp_path


def fill_slowly(folder):
    with (Path(os.environ["SEARCHBENCH_CACHE"]) / "made").open("a") as made:
        made.write("x")
    time.sleep(0.2)
    np.save(folder / "rows.npy", np.arange(24, dtype=np.uint8).reshape(6, 4))


def read(_=None):
    return StoredRows.opened(shared("rows", "1", fill_slowly) / "rows.npy").shape


def test_processes_that_come_at_once_make_it_once(kept):
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(read, range(6), chunksize=1) == [(6, 4)] * 6
    assert (kept / "kept" / "made").read_text() == "x"


def test_a_source_that_changed_is_read_anew_and_who_reads_goes_on(kept):
    before = StoredRows.opened(shared("rows", "1", fill_slowly) / "rows.npy")
    place = shared("rows", "2", lambda folder: np.save(folder / "rows.npy", np.zeros((2, 4), dtype=np.uint8)))
    assert StoredRows.opened(place / "rows.npy").shape == (2, 4)
    (block,) = before.blocks([np.array([5])])
    assert block.tolist() == [[20, 21, 22, 23]]
    assert not list((kept / "kept").glob("*.partial"))


def test_what_was_half_filled_is_never_taken(kept):
    def broken(folder):
        np.save(folder / "rows.npy", np.zeros((1, 1), dtype=np.uint8))
        raise DataMissing("the source is damaged.")

    with pytest.raises(DataMissing, match="the source is damaged"):
        shared("rows", "1", broken)
    assert read() == (6, 4)


def test_rows_are_read_in_any_order_and_more_than_once(kept):
    rows = StoredRows.opened(shared("rows", "1", fill_slowly) / "rows.npy")
    orders = [np.array([4, 0, 1, 2, 2]), np.array([], dtype=int), np.arange(6)]
    whole = np.arange(24, dtype=np.uint8).reshape(6, 4)
    for order, block in zip(orders, rows.blocks(orders), strict=True):
        assert (block == whole[order]).all()


def test_a_file_that_is_too_short_is_one_message(kept):
    place = shared("rows", "1", fill_slowly)
    rows = StoredRows.opened(place / "rows.npy")
    os.truncate(place / "rows.npy", 130)
    with pytest.raises(DataMissing, match="ends too early"):
        list(rows.blocks([np.arange(6)]))
    (place / "rows.npy").write_bytes(b"no array")
    with pytest.raises(DataMissing, match=r"is damaged .* delete the folder"):
        StoredRows.opened(place / "rows.npy")


def test_a_cache_that_cannot_be_written_is_one_message(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEARCHBENCH_CACHE", str(tmp_path / "file" / "kept"))
    with pytest.raises(DataMissing, match=r"cannot be written .* SEARCHBENCH_CACHE"):
        read()


def test_what_was_told_once_is_remembered_for_as_long_as_the_source_stays(kept):
    place = shared("rows", "1", fill_slowly)
    assert remembered(place, "digest", lambda: "abc") == "abc"
    assert remembered(place, "digest", lambda: "other") == "abc"
    assert remembered(shared("rows", "2", fill_slowly), "digest", lambda: "other") == "other"


def test_a_stamp_changes_with_names_lengths_and_times(tmp_path):
    file = tmp_path / "a"
    file.write_text("1")
    before = stamp_of([file])
    assert stamp_of([file]) == before
    os.utime(file, ns=(0, 1))
    assert stamp_of([file]) != before
