"""Checkpoints in an object store, by a local server that speaks S3; skipped where `moto` or `s3fs` is missing."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import Interrupted, StudyError
from searchbench.harness.declared import place
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.checkpoint import Checkpoint
from searchbench.harness.running.run import run_search
from searchbench.results.columns import first_difference
from searchbench.results.store import open_store

pytestmark = pytest.mark.slow
server = pytest.importorskip("moto.server", reason="an object store needs moto")
pytest.importorskip("s3fs", reason="an object store needs s3fs")
SECRET = "hush-hush-nobody-knows"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket's URL; where the server is, and who may write, stands in the environment."""
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"states-{uuid.uuid4()}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}/runs"
    running.stop()


def test_files_are_replaced_listed_and_removed(bucket: str) -> None:
    place.Place(bucket).check()
    place.write(f"{bucket}/a/one.pt", b"1", b"23")
    place.write(f"{bucket}/a/one.pt", b"45")
    assert place.read(f"{bucket}/a/one.pt") == b"45"
    assert place.names(f"{bucket}/a") == ["one.pt"]
    place.remove(f"{bucket}/a/one.pt")
    assert place.read(f"{bucket}/a/one.pt") is None
    place.remove_empty(f"{bucket}/a")
    assert place.names(bucket) == []


def test_a_search_that_was_ended_goes_on_from_there(bucket: str, training_problem: sb.Problem) -> None:
    darts = sb.Use("darts", epochs=3, batch_size=64)
    (spec,) = plan(sb.Study("s3", training_problem, [darts], 1, sb.Budget(samples=5_000))).runs

    class Dying(Checkpoint):
        times = 2

        def write(self, state: Any) -> None:
            self._last = float("-inf")
            super().write(state)
            self.times -= 1
            if not self.times:
                raise Interrupted

    with pytest.raises(Interrupted):
        run_search(spec, Dying(f"{bucket}/run.pt", b"key"))
    assert Checkpoint(f"{bucket}/run.pt", b"key").read()
    resumed, whole = run_search(spec, Checkpoint(f"{bucket}/run.pt", b"key")), run_search(spec)
    assert resumed.architecture == whole.architecture
    assert first_difference(resumed.trials, whole.trials) is None


def test_a_study_leaves_no_state_behind_and_records_no_credentials(
    bucket: str, training_problem: sb.Problem, tmp_path: Path
) -> None:
    place_of_states = {"url": bucket, "every_s": 0}
    study = sb.Study("s3", training_problem, ["darts"], 1, sb.Budget(samples=5_000), checkpoints=place_of_states)
    sb.run(study, tmp_path / "s.db", workers=0, progress=False)
    with sqlite3.connect(tmp_path / "s.db") as connection:
        dumped = "\n".join(connection.iterdump())
    assert SECRET not in dumped
    assert SECRET.encode() not in (tmp_path / "s.db").read_bytes()
    assert place.names(bucket) == []
    with open_store(tmp_path / "s.db") as store:
        assert [run.status for run in store.runs("s3")] == ["ok"]
        assert bucket not in store.study("s3").spec


def test_a_bucket_that_is_not_there_is_told_before_anything_runs(bucket: str) -> None:
    with pytest.raises(StudyError, match=r"nothing can be written to `s3://other/runs`"):
        place.Place("s3://other/runs").check()
