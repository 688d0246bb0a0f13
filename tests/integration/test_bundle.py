"""Bundles rebuild a study byte for byte, and parts of a study that were run apart become one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli.entry import cli
from searchbench.errors import InputError
from searchbench.results.bundle import bundle, load, merged, read_bundle, rebuilds, write_bundle


def study(seeds: Any = 2, **given: Any) -> sb.Study:
    known: dict[str, Any] = {
        "name": "bundled",
        "problems": sb.Problem("nasbench201", "digits", "table"),
        "strategies": ["random", "local-search"],
        "seeds": seeds,
        "budget": sb.Budget(evaluations=5),
    }
    return sb.Study(**(known | given))


def ran(path: Path, **given: Any) -> Path:
    sb.run(study(**given), path, workers=0)
    return path


def shown(path: Path, form: str = "csv") -> str:
    done = CliRunner().invoke(cli, ["leaderboard", "bundled", "--store", str(path), "--format", form])
    assert done.exit_code == 0, done.output
    return done.output


def test_bundle_rebuilds_the_leaderboard_byte_for_byte(tmp_path: Path) -> None:
    store, out, again = ran(tmp_path / "a.db"), tmp_path / "b.parquet", tmp_path / "c.db"
    for arguments in (
        ["export", "--store", str(store), "--out", str(out)],
        ["import", str(out), "--store", str(again)],
    ):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
    for form in ("csv", "json", "md", "tex"):
        assert shown(store, form) == shown(again, form)
    with sb.open_store(store) as opened:
        assert rebuilds(opened, "bundled", tmp_path)


def test_halves_run_apart_are_the_whole_run_at_once(tmp_path: Path) -> None:
    halves = [ran(tmp_path / f"{i}.db", seeds=seeds) for i, seeds in enumerate(([0, 1], [2, 3]))]
    whole = ran(tmp_path / "whole.db", seeds=[0, 1, 2, 3])
    done = CliRunner().invoke(cli, ["merge", *map(str, halves), "--store", str(tmp_path / "merged.db")])
    assert done.exit_code == 0, done.output
    with sb.open_store(tmp_path / "merged.db") as merged_store, sb.open_store(whole) as whole_store:
        values = [
            sorted((r.strategy, r.replicate, r.value, r.test_error) for r in opened.runs("bundled"))
            for opened in (merged_store, whole_store)
        ]
        assert values[0] == values[1]
        assert merged_store.study("bundled").declared["seeds"] == [0, 1, 2, 3]
        assert merged_store.study("bundled").provenance["merged"]
        assert [r.declared["seeds"] for r in merged_store.revisions("bundled")][:2] == [[0, 1], [2, 3]]


def test_same_run_in_both_counts_once(tmp_path: Path) -> None:
    store = ran(tmp_path / "a.db")
    with sb.open_store(store) as opened:
        found = bundle(opened)
    assert len(merged([found, found]).rows) == len(found.rows) == 4
    assert merged([found, found]).revisions == found.revisions


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"budget": sb.Budget(evaluations=6)}, "`budget`"),
        ({"duplicates": "cache"}, "`duplicates`"),
        ({"problems": sb.Problem("nasbench201", "digits", sb.Use("table", workers=2))}, "another fingerprint"),
        ({"strategies": ["random", sb.Contestant(sb.Use("grid"), "local-search")]}, "another description"),
    ],
    ids=["budget", "duplicates", "problem", "strategy"],
)
def test_what_is_not_comparable_is_not_merged(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    stores = [ran(tmp_path / "a.db"), ran(tmp_path / "b.db", **other)]
    done = CliRunner().invoke(cli, ["merge", *map(str, stores), "--store", str(tmp_path / "m.db")])
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert not (tmp_path / "m.db").exists()


def test_same_run_with_another_result_is_refused(tmp_path: Path) -> None:
    with sb.open_store(ran(tmp_path / "a.db")) as opened:
        found = bundle(opened)
    changed = dict(found.rows[0]) | {"test_error": 0.0}
    with pytest.raises(InputError, match="must have the same result"):
        merged([found, dataclasses.replace(found, rows=(changed, *found.rows[1:]))])


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with sb.open_store(ran(tmp_path / "a.db")) as opened:
        out = write_bundle(bundle(opened), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="not written over"), sb.open_store(tmp_path / "a.db") as opened:
        write_bundle(bundle(opened), out)
    (tmp_path / "cut.parquet").write_bytes(out.read_bytes()[:-100])
    with pytest.raises(InputError, match="no bundle"):
        read_bundle(tmp_path / "cut.parquet")
    with pytest.raises(InputError, match="no bundle"):
        read_bundle(Path(__file__).parents[2] / "searchbench" / "data" / "nasbench201-digits.parquet")
    with pytest.raises(InputError, match="already holds"), sb.open_store(tmp_path / "a.db", write=True) as opened:
        load(read_bundle(out), opened)
