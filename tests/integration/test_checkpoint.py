"""A training search that is killed between slices continues to the same result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchbench import Budget, Problem, Study, Use, run
from searchbench.errors import CheckpointError, Interrupted
from searchbench.harness.declared.plan import RunSpec, plan
from searchbench.harness.running.checkpoint import Checkpoint
from searchbench.harness.running.run import run_search
from searchbench.results.columns import first_difference
from searchbench.results.records import SearchResult
from searchbench.results.store import open_store

TRAINERS = {
    "darts": Use("darts", epochs=4, batch_size=32),
    "spos": Use("spos", epochs=3, batch_size=32, population=4, generations=3, recalibrate=1),
    "fairnas": Use("fairnas", epochs=3, batch_size=32, population=4, generations=3, recalibrate=1),
    "enas": Use("enas", epochs=3, batch_size=32, aggregate=3, candidates=4),
    "one-shot": Use("one-shot", epochs=3, batch_size=32, scores=6, retrain=2),
    "random-sharing": Use("random-sharing", epochs=3, batch_size=32, candidates=6, finalists=2, recalibrate=1),
}


class KilledAfter(Checkpoint):
    """Saves after every slice, and dies after `slices` of them."""

    slices = 2

    def save(self, search: Any, lab: Any) -> None:
        self._last = float("-inf")
        super().save(search, lab)
        self.slices -= 1
        if self.slices == 0:
            raise Interrupted


@pytest.fixture(params=TRAINERS)
def spec(request: pytest.FixtureRequest, training_problem: Problem) -> RunSpec:
    study = Study("s", training_problem, {"it": TRAINERS[request.param]}, [3], Budget(samples=30_000))
    return plan(study).runs[0]


def told(result: SearchResult) -> tuple[Any, ...]:
    cost = result.cost
    return result.status, result.error, result.architecture, cost.macs, cost.train_samples, cost.inference_samples


def test_a_killed_search_continues_to_the_same_result(spec: RunSpec, tmp_path: Path) -> None:
    whole = run_search(spec)
    assert whole.status == "ok", whole.error
    path = tmp_path / "run.pt"
    for slices in (2, 1):
        killer = KilledAfter(path)
        killer.slices = slices
        with pytest.raises(Interrupted):
            run_search(spec, killer)
        assert path.exists()
    continued = run_search(spec, Checkpoint(path))
    assert first_difference(whole.traces or b"", continued.traces or b"") is None
    assert told(continued) == told(whole)
    assert first_difference(continued.trials, whole.trials) is None
    assert path.exists()  # until the driver has stored the result


def test_a_checkpoint_cut_short_is_ignored(spec: RunSpec, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(Interrupted):
        run_search(spec, KilledAfter(path))
    path.write_bytes(path.read_bytes()[:500])
    assert told(run_search(spec, Checkpoint(path))) == told(run_search(spec))


@pytest.mark.parametrize(("written", "said"), [(b"1", "as version 1"), (b"", "before checkpoints had versions")])
def test_a_checkpoint_of_another_version_is_refused_and_left_where_it_is(
    training_problem: Problem, tmp_path: Path, written: bytes, said: str
) -> None:
    study = Study("s", training_problem, {"it": TRAINERS["darts"]}, [3], Budget(samples=30_000))
    store = tmp_path / "results.db"
    with pytest.raises(Interrupted):
        run_search(plan(study).runs[0], KilledAfter(path := _checkpoint_of(study, store)))
    state = path.read_bytes().split(b"\n", 1)[1]
    path.write_bytes((b"searchbench checkpoint " + written + b"\n" if written else b"") + state)
    with pytest.raises(CheckpointError, match=f"was written {said}, and this searchbench continues version 2 only; "):
        run(study, store, workers=0)
    with open_store(store) as opened:
        assert opened.run_ids("s") == []  # neither failed nor started over
    assert path.exists()


def test_a_checkpoint_goes_when_the_store_has_the_result(training_problem: Problem, tmp_path: Path) -> None:
    study = Study("s", training_problem, {"it": TRAINERS["darts"]}, [3], Budget(samples=30_000))
    store = tmp_path / "results.db"
    with pytest.raises(Interrupted):
        run_search(plan(study).runs[0], KilledAfter(path := _checkpoint_of(study, store)))
    run(study, store, workers=0)
    assert not path.parent.exists()


def _checkpoint_of(study: Study, store: Path) -> Path:
    return store.with_name(store.name + ".checkpoints") / f"{plan(study).runs[0].run_id}.pt"


def test_a_checkpoint_that_is_not_the_stores_own_is_not_unpickled(
    training_problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study("s", training_problem, {"it": TRAINERS["darts"]}, [3], Budget(samples=30_000))
    store = tmp_path / "results.db"
    with pytest.raises(Interrupted):  # signed with no key, as somebody might who has not read the store
        run_search(plan(study).runs[0], KilledAfter(_checkpoint_of(study, store)))
    monkeypatch.setattr("torch.load", lambda *arguments, **named: pytest.fail("it was unpickled"))
    run(study, store, workers=0)
    with open_store(store) as opened:
        assert [record.status for record in opened.runs("s")] == ["ok"]


def test_a_checkpoint_of_the_store_is_continued(training_problem: Problem, tmp_path: Path) -> None:
    with open_store(tmp_path / "results.db", write=True) as opened:
        key = opened.key()
        assert opened.key() == key
    study = Study("s", training_problem, {"it": TRAINERS["darts"]}, [3], Budget(samples=30_000))
    path = tmp_path / "run.pt"
    killed = KilledAfter(path, key)
    with pytest.raises(Interrupted):
        run_search(plan(study).runs[0], killed)
    digest, written = path.read_bytes().partition(b"\n")[2][:32], path.read_bytes().partition(b"\n")[2][32:]
    assert digest == Checkpoint(path, key)._digest(written)
    assert digest != Checkpoint(path, b"another")._digest(written)
