"""The result store: what it keeps, what it refuses, and what a refusal leaves untouched."""

from __future__ import annotations

import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from recorded import a_store
from sqlalchemy import Connection, text

from searchbench.cost import Cost
from searchbench.errors import StoreError
from searchbench.reports.dossier import read
from searchbench.results import schema
from searchbench.results.columns import TrialColumns
from searchbench.results.digests import digest
from searchbench.results.records import RunRecord, StudyRecord, Waiting
from searchbench.results.store import open_store
from searchbench.trial import FULL


def a_study(name: str = "first", spec: str = '{"seeds": [0]}', revision: int = 1) -> StudyRecord:
    return StudyRecord(name, spec, "2025-01-01T00:00:00+00:00", revision, {"python": "3.11"})


def a_run(run_id: str = "r0", **changed: object) -> RunRecord:
    columns = TrialColumns()
    columns.append("a", "k", FULL, "ok", 0.25, spent=Cost(evaluations=1), recommended=0)
    plain = {
        "run_id": run_id, "study": "first", "strategy": "random", "description": "Random()", "problem": "p",
        "fingerprint": "f", "budget": '{"evaluations": 1}', "replicate": 7, "status": "ok", "ended": "budget",
        "cost": Cost(evaluations=1, macs=10**20), "trials": columns.to_bytes(), "started": "t0", "finished": "t1",
        "value": 0.25, "test_status": "ok", "test_error": 0.1 + 0.2, "test_metrics": {"params": 1.5e6},
        "architecture": "a", "architecture_key": "k", "judge_cost": Cost(epochs=12.0), "host": "h", "attempts": 2,
    }  # fmt: skip
    return RunRecord.flat(**(plain | changed))


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("where", ["{}/results.db", "sqlite:///{}/results.db", "{}/an ödd #name?.db"])
def test_what_was_added_reads_back_equal(tmp_path: Path, where: str) -> None:
    where = where.format(tmp_path)
    with open_store(where, write=True) as store:
        store.add_study(a_study())
        store.add_run(a_run())
    with open_store(where) as store:
        assert store.study("first") == a_study()
        assert store.runs("first") == [a_run()]
        assert store.run("r0") == a_run()


def test_nan_values_and_failures_read_back(tmp_path: Path) -> None:
    failed = a_run(status="failed", error="Traceback …", value=math.nan, test_error=math.nan, test_status=None)
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_run(failed)
        back = store.run("r0")
    assert math.isnan(back.value)
    assert math.isnan(back.test_error)
    assert (back.status, back.error) == ("failed", "Traceback …")


def test_runs_without_recordings_read_no_trials(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_run(a_run())
        (light,) = store.runs("first", recordings=False)
        assert (light.trials, light.run_id) == (b"", "r0")
        assert store.trials("r0").loc[0, "value"] == 0.25


def test_frame_has_a_row_per_run_and_every_cost_axis(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_study(a_study())
        store.add_run(a_run("r0"))
        store.add_run(a_run("r1", replicate=8, test_metrics={}))
        frame = store.frame()
    assert list(frame.run_id) == ["r0", "r1"]
    assert frame.spent_macs[0] == 10**20
    assert frame.judge_epochs[0] == 12.0
    assert frame.metric_params[0] == 1.5e6
    assert math.isnan(frame.metric_params[1])


def test_a_study_declared_again_alike_is_left_alone(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_study(a_study())
        store.add_study(a_study())
        assert store.revisions("first") == [a_study()]


def test_a_changed_study_must_be_the_next_revision(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_study(a_study())
        with pytest.raises(StoreError, match="a changed study is revision 2"):
            store.add_study(a_study(spec='{"seeds": [0, 1]}'))
        with pytest.raises(StoreError, match="the next revision of study `first` is 2, but got 3"):
            store.add_study(a_study(revision=3))
        store.add_study(a_study(spec='{"seeds": [0, 1]}', revision=2))
        assert [s.revision for s in store.revisions("first")] == [1, 2]
        assert store.study("first").declared == {"seeds": [0, 1]}


def test_without_a_name_the_study_declared_last_is_meant(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        with pytest.raises(StoreError, match="holds no study yet"):
            store.study()
        store.add_study(a_study("first"))
        store.add_study(a_study("second"))
        assert store.study().name == "second"
        assert [s.name for s in store.studies()] == ["first", "second"]


def test_an_unknown_study_or_run_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_study(a_study("digits"))
        with pytest.raises(StoreError, match=r"no study `digit` .* did you mean `digits`\?"):
            store.study("digit")
        with pytest.raises(StoreError, match="no run `r9`"):
            store.run("r9")


def test_a_run_is_recorded_once(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_run(a_run())
        with pytest.raises(StoreError, match="run `r0` of study `first` has a result already"):
            store.add_run(a_run(value=0.5))
        assert store.runs("first") == [a_run()]


def test_a_run_lost_by_the_infrastructure_is_superseded_by_its_rerun(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_run(a_run("r0", status="infra"))
        store.add_run(a_run("r1"))
        store.add_run(a_run("r0", status="infra", attempts=3))
        assert store.run_ids("first", statuses=["infra"]) == ["r0"]
        store.add_run(a_run("r0", attempts=4))
        assert [(r.run_id, r.status, r.attempts) for r in store.runs("first")] == [("r1", "ok", 2), ("r0", "ok", 4)]
        assert store.run_ids("first", statuses=["infra"]) == []


def test_readers_see_committed_runs_while_a_writer_writes(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with open_store(path, write=True) as writer:
        writer.add_study(a_study())
        with open_store(path) as reader:
            for i in range(3):
                writer.add_run(a_run(f"r{i}"))
                assert len(reader.run_ids("first")) == i + 1


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with open_store(path, write=True) as store:
        store.add_study(a_study())
        expected = rf"being written by study `first`, process {os.getpid()} on"
        with pytest.raises(StoreError, match=expected), open_store(path, write=True):
            pass
    with open_store(path, write=True) as store:
        assert store.study().name == "first"
    assert list(listing(tmp_path)) == ["results.db"]


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    with open_store(path, write=True):
        pass
    with open_store(path) as store, pytest.raises(StoreError, match="opened for reading only"):
        store.add_run(a_run())


def _foreign_text(path: Path) -> None:
    path.write_text("shopping list")


def _foreign_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (id)")
    connection.close()


def _truncated(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00")


def _newer(path: Path) -> None:
    with open_store(path, write=True) as store, store.engine.begin() as connection:
        connection.execute(schema.versions.insert().values(version=99, since="2099"))


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_foreign_text, "is not a result store: it is not an SQLite database"),
        (_foreign_sqlite, "is an SQLite database of something else"),
        (_truncated, "is an SQLite database of something else"),
        (_newer, r"schema version 99, newer than this searchbench knows \(2\); upgrade"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_what_is_not_our_store_is_refused_and_left_as_it_was(
    tmp_path: Path, make: Callable[[Path], None], message: str, write: bool
) -> None:
    path = tmp_path / "results.db"
    make(path)
    before = listing(tmp_path)
    with pytest.raises(StoreError, match=message) as caught, open_store(path, write=write):
        pass
    assert "\n" not in str(caught.value)
    assert listing(tmp_path) == before


def test_reading_an_absent_store_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"), open_store(tmp_path / "results.db"):
        pass
    assert listing(tmp_path) == {}


def test_writing_where_nothing_can_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no directory .*absent"), open_store(tmp_path / "absent" / "r.db", write=True):  # fmt: skip  # noqa: E501
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be read: Not a directory"), open_store(tmp_path / "file" / "r.db", write=True):  # fmt: skip  # noqa: E501
        pass
    with pytest.raises(StoreError, match="cannot be written"), open_store("/proc/r.db", write=True):
        pass
    assert list(listing(tmp_path)) == ["file"]


def test_an_unreadable_address_or_missing_driver_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="a file or an SQLAlchemy URL"), open_store("://"):
        pass
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(StoreError, match="needs the package `psycopg2`") as caught, open_store("postgresql+psycopg2://u:secret@h/d"):  # fmt: skip  # noqa: E501
        pass
    assert "secret" not in str(caught.value)


def test_an_older_store_is_read_as_it_is_and_migrated_when_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.db"
    with open_store(path, write=True) as store:
        store.add_study(a_study())

    def add_note(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE studies ADD COLUMN note TEXT"))

    now = schema.SCHEMA_VERSION
    monkeypatch.setattr(schema, "SCHEMA_VERSION", now + 1)
    monkeypatch.setattr(schema, "MIGRATIONS", {now: add_note})
    before = listing(tmp_path)
    with open_store(path) as store, store.engine.connect() as connection:  # a copy of it
        assert connection.execute(text("SELECT name, note FROM studies")).all() == [("first", None)]
    assert listing(tmp_path) == before
    with open_store(path, write=True):
        pass
    with open_store(path) as store, store.engine.connect() as connection:
        assert connection.execute(text("SELECT name, note FROM studies")).all() == [("first", None)]


def test_a_migration_that_fails_leaves_the_older_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.db"
    with open_store(path, write=True):
        pass

    def half(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE studies ADD COLUMN note TEXT"))
        connection.execute(text("ALTER TABLE nowhere ADD COLUMN note TEXT"))

    with monkeypatch.context() as patched:
        now = schema.SCHEMA_VERSION
        patched.setattr(schema, "SCHEMA_VERSION", now + 1)
        patched.setattr(schema, "MIGRATIONS", {now: half})
        with pytest.raises(StoreError, match="no such table: nowhere"), open_store(path, write=True):
            pass
    with open_store(path, write=True) as store, store.engine.connect() as connection:
        names = [row[1] for row in connection.execute(text("PRAGMA table_info(studies)"))]
    assert "note" not in names


def test_a_store_in_memory_lives_while_it_is_open() -> None:
    with open_store("sqlite://", write=True) as store:
        store.add_study(a_study())
        store.add_run(a_run())
        assert store.runs("first") == [a_run()]


def test_a_killed_writer_loses_nothing_it_had_committed(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    script = textwrap.dedent(f"""
        import sys
        from searchbench.cost import Cost
        from searchbench.results.records import RunRecord, StudyRecord
        from searchbench.results.store import open_store
        with open_store({str(path)!r}, write=True) as store:
            store.add_study(StudyRecord("first", "{{}}", "now"))
            for i in range(100000):
                store.add_run(RunRecord.flat(
                    run_id=f"r{{i}}", study="first", strategy="s", description="", problem="p", fingerprint="f",
                    budget="", replicate=i, status="ok", ended="budget", cost=Cost(), trials=b"x" * 1000,
                    started="", finished=""))
                print(i, flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while (line := process.stdout.readline()).strip() != "25":
        assert line, "the writer ended before it was killed"
    process.send_signal(signal.SIGKILL)
    told = [25, *map(int, re.findall(r"^\d+$", process.stdout.read(), re.MULTILINE))]
    process.wait()
    process.stdout.close()
    with open_store(path, write=True) as store:  # the lock went with the process
        kept = store.run_ids("first")
        store.add_run(a_run("after"))
    assert len(kept) in (told[-1] + 1, told[-1] + 2)  # the last one may be committed and not yet told
    assert kept == [f"r{i}" for i in range(len(kept))]


def test_opening_a_store_module_imports_no_heavy_library() -> None:
    code = (
        "import sys, searchbench.results.store, searchbench.results.records, searchbench.results.columns\n"
        "print([m for m in ('pandas', 'pyarrow', 'sqlalchemy', 'torch', 'ray') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_store_opens_without_a_with_and_closes_itself(tmp_path: Path) -> None:
    import gc

    store = open_store(tmp_path / "r.db", write=True)
    with pytest.raises(StoreError, match="is being written by"):
        open_store(tmp_path / "r.db", write=True)
    store.close()
    again = open_store(tmp_path / "r.db", write=True)
    assert again.studies() == []
    del again
    gc.collect()
    open_store(tmp_path / "r.db", write=True).close()
    assert not (tmp_path / "r.db.lock").exists()


def test_a_store_of_version_1_keeps_its_runs_and_becomes_like_a_new_one(tmp_path: Path) -> None:
    with open_store(tmp_path / "new.db", write=True) as store:
        store.add_study(a_study())
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.executescript((Path(__file__).parents[1] / "data" / "store_version_1.sql").read_text())
    before = (tmp_path / "old.db").read_bytes()
    for mode in (0o555, 0o755):  # a folder where nothing can be written, and one where all can
        (tmp_path / "old.db").parent.chmod(mode)
        with open_store(tmp_path / "old.db") as store:
            assert [run.run_id for run in store.runs("first")] == ["r0"]
            assert store.waiting("first") == []
    assert (tmp_path / "old.db").read_bytes() == before
    with open_store(tmp_path / "old.db", write=True) as store:
        (kept,) = store.runs("first")
        assert (kept.run_id, kept.status, kept.notes, kept.retry) == ("r0", "failed", (), 0)
        store.add_run(a_run(kept.run_id, retry=1, notes=("retried after failure",)))
        assert store.runs("first")[0].notes == ("retried after failure",)
    assert layout(tmp_path / "old.db") == layout(tmp_path / "new.db")


def layout(path: Path) -> dict[str, object]:
    """Columns of every table, and what the index over runs says."""
    with closing(sqlite3.connect(path)) as opened:
        tables = [row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        found: dict[str, object] = {t: {row[1:] for row in opened.execute(f"PRAGMA table_info({t})")} for t in tables}
        index = opened.execute("SELECT sql FROM sqlite_master WHERE name = 'one_result_per_run'").fetchone()[0]
    return found | {"index": " ".join(index.split())}


def test_a_search_waits_until_its_run_is_recorded(tmp_path: Path) -> None:
    waits = [Waiting(f"r{i}", "{}", b"trials", None) for i in range(2)]
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_waiting("first", waits)
        store.add_waiting("first", waits[:1])  # again, by a driver that ran it again
        assert store.waiting("first") == waits
        assert store.waiting("second") == []
        store.add_run(a_run("r0"))
        assert store.waiting("first") == waits[1:]
        with pytest.raises(StoreError, match="has a result already"):
            store.add_run(a_run("r0"))


def test_notes_of_a_run_are_kept_and_stand_in_the_frame(tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as store:
        store.add_study(a_study())
        store.add_run(a_run(notes=("changed global state: torch dtype", "and more")))
        assert store.run("r0").notes == ("changed global state: torch dtype", "and more")
        assert list(store.frame("first")["notes"]) == ["changed global state: torch dtype; and more"]


def test_a_board_is_the_same_whether_digests_stand_beside_the_recordings_or_not(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db")) as store:
        name = store.study().name
        kept, board = store.digests(name), read(store).board
        assert kept == {run.run_id: digest(run.trials, run.traces) for run in store.runs(name)}
    with sqlite3.connect(tmp_path / "r.db") as connection:
        connection.execute("drop table digests")
    with open_store(tmp_path / "r.db") as store:
        assert store.digests(name) == kept
        assert read(store).board == board
    with open_store(tmp_path / "r.db", write=True):
        pass
    with open_store(tmp_path / "r.db") as store:
        assert store.digests(name) == kept


def test_a_board_reads_no_recording(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db")) as store:
        board = read(store).board
    with sqlite3.connect(tmp_path / "r.db") as connection:
        connection.execute("update recordings set trials = x'00'")
    with open_store(tmp_path / "r.db") as store:
        assert read(store).board == board
