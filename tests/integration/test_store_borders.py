"""A store that is deleted, replaced, write-protected or damaged: one message, and nothing finished is lost."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
import recorded
from click.testing import CliRunner

import searchbench as sb
from searchbench.cli.entry import cli
from searchbench.errors import InputError, StoreError
from searchbench.harness.driving.progress import Silent
from searchbench.results import location
from searchbench.results.examination import examine
from searchbench.strategies.random import Random

HERE: list[Path] = []


class Remover:
    """Random search; at its second seed the store is gone, or another file is in its place."""

    def describe(self):
        return {}

    def start(self, scenario):
        if scenario.seeds.replicate == 1 and HERE:
            path = HERE.pop()
            shutil.move(path, path.with_name("away.db"))
            if path.with_name("other.db").exists():
                shutil.copy(path.with_name("other.db"), path)
        return Random().start(scenario)


class Taker(Silent):
    """Takes the store away when its last run is in it."""

    def __init__(self, path):
        self.path, self.left = path, 2

    def finished(self, spec, record):
        self.left -= 1
        if not self.left:
            self.path.unlink()


def test_a_store_that_vanishes_after_the_last_commit_is_rescued_whole(tmp_path):
    store = tmp_path / "s.db"
    study = sb.Study("s", sb.Problem("nasbench201", "digits", "table"), ["random"], 2, sb.Budget(evaluations=3))
    with pytest.raises(StoreError, match=r"deleted or replaced.*s\.rescue\.db"):
        sb.run(study, store, workers=0, observers=[Taker(store)])
    with sb.open_store(tmp_path / "s.rescue.db") as rescued:
        assert len(rescued.runs("s")) == 2


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_vanishes_is_noticed_and_what_finished_is_rescued(tmp_path, replaced):
    store = tmp_path / "s.db"
    if replaced:
        recorded.a_store(tmp_path / "other.db", seeds=1)
    HERE[:] = [store]
    study = sb.Study("s", sb.Problem("nasbench201", "digits", "table"), {"r": Remover()}, 4, sb.Budget(evaluations=3))
    with pytest.raises(StoreError, match=r"deleted or replaced.*s\.rescue\.db"):
        sb.run(study, store, workers=0)
    found = []
    for place in ("away.db", "s.rescue.db"):
        with sb.open_store(tmp_path / place) as opened:
            found += [run.replicate for run in opened.runs("s")]
    assert sorted(found) == [0, 1]


@pytest.mark.parametrize("with_log", [False, True])
def test_a_store_on_a_read_only_mount_is_read_and_nothing_is_written_beside_it(tmp_path, monkeypatch, with_log):
    path = recorded.a_store(tmp_path / "s.db", seeds=2)
    folder = tmp_path / "mount"
    folder.mkdir()
    if with_log:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("update runs set host = 'changed'")
            connection.commit()
            for name in ("s.db", "s.db-wal"):
                shutil.copy(tmp_path / name, folder / name)
    else:
        shutil.copy(path, folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.setattr(location.os, "access", lambda place, mode: False)
    with sb.open_store(folder / "s.db") as opened:
        hosts = {run.host for run in opened.runs("recorded")}
    assert ("changed" in hosts) == with_log
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize("statement", ["update searchbench_schema set version = 0", "delete from searchbench_schema"])
def test_a_schema_version_that_never_was_is_one_message(tmp_path, statement):
    path = recorded.a_store(tmp_path / "s.db", seeds=1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    for write in (False, True):
        with pytest.raises(StoreError, match="damaged"):
            sb.open_store(path, write=write)


@pytest.mark.parametrize("column", ["cost", "test_metrics", "status", "judge_cost"])
def test_a_value_that_no_store_was_given_is_one_message(tmp_path, column):
    path = recorded.a_store(tmp_path / "s.db", seeds=1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"update runs set {column} = '{{\"x'")
        connection.commit()
    with sb.open_store(path) as opened, pytest.raises(StoreError):
        opened.runs("recorded")


@pytest.mark.parametrize("at", [0, 2, 6, 11])
def test_flipped_bits_are_noticed_in_one_message_or_do_no_harm(tmp_path, at):
    path = recorded.a_store(tmp_path / "s.db", seeds=1)
    content = bytearray(path.read_bytes())
    for i in range(len(content) * at // 12, len(content) * at // 12 + 64):
        content[min(i, len(content) - 1)] ^= 0xFF
    path.write_bytes(content)
    result = CliRunner().invoke(cli, ["status", "--store", str(path)])
    assert result.exception is None or isinstance(result.exception, InputError | SystemExit), result.exception


def test_any_bits_of_a_store_may_have_changed_and_reading_it_is_one_message_or_none(tmp_path):
    draw = random.Random(0)
    path = recorded.a_store(tmp_path / "s.db", seeds=1)
    whole = path.read_bytes()
    places = [[at + 45] for at in occurrences(whole, b"CREATE TABLE")]  # SQLite quotes what it cannot parse
    places += [[draw.randrange(100, len(whole)) for _ in range(draw.choice([1, 3, 20]))] for _ in range(30)]
    for flipped in places:
        damaged = bytearray(whole)
        for at in flipped:
            damaged[at] ^= 0x91
        path.write_bytes(damaged)
        with suppress(InputError), sb.open_store(path) as store:
            for name in store.studies():
                for run in store.runs(name):
                    assert run.failure is not None
                    store.trials(run.run_id)
                    store.trace(run.run_id)


def occurrences(content: bytes, of: bytes) -> list[int]:
    """Where a text begins."""
    return [found.start() for found in re.finditer(re.escape(of), content)]


def looked_at(path: Path) -> dict[str, tuple[str, str]]:
    return {one.what: (one.state, one.told) for one in examine(str(path))}


def test_doctor_finds_a_whole_store_whole(tmp_path):
    problem = sb.Problem("nasbench201", "digits", "table")
    strategies = ["random", "local-search", "successive-halving"]
    sb.run(sb.Study("s", problem, strategies[:2], 3, sb.Budget(evaluations=7)), tmp_path / "s.db", workers=0)
    found = looked_at(tmp_path / "s.db")
    assert {state for state, _ in found.values()} == {"ok"}
    assert found["runs"][1] == "6 runs agree with their trials, their totals and their budgets"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("update runs set cost = replace(cost, '\"evaluations\": 20', '\"evaluations\": 7')", "its total says 7"),
        ("update runs set cost = replace(cost, '\"evaluations\": 20', '\"evaluations\": 99')", "over its budget of 20"),
        ("update runs set run_id = 'another' where id = 1", "no declaration plans it"),
        ("update recordings set trials = x'00' where run = 1", "unreadable"),
    ],
)
def test_doctor_names_what_contradicts_itself(tmp_path, change, said):
    path = recorded.a_store(tmp_path / "s.db", seeds=1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    state, told = looked_at(path)["runs"]
    assert state == "broken"
    assert said in told


def test_what_is_readable_of_a_damaged_store_is_saved(tmp_path):
    path = recorded.a_store(tmp_path / "s.db", seeds=12, trials=60)
    with sb.open_store(path) as opened:
        whole = {run.run_id: run for run in opened.runs("recorded")}
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    middle = len(content) // page // 2
    content[middle * page : (middle + 3) * page] = bytes(3 * page)
    path.write_bytes(content)
    found = looked_at(path)
    assert found["pages"][0] == "broken"
    assert "--save NEW.db" in found["can be saved"][1]
    told = CliRunner().invoke(cli, ["doctor", "--store", str(path), "--save", str(tmp_path / "new.db")])
    assert told.exit_code == 0, told.output
    assert path.read_bytes() == content
    with sb.open_store(tmp_path / "new.db") as opened:
        saved = {run.run_id: run for run in opened.runs("recorded")}
    assert len(whole) // 2 < len(saved) < len(whole)
    assert all(run == whole[run_id] for run_id, run in saved.items())
