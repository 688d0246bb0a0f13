"""A training search that is killed between slices continues to the same result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchbench import Budget, Problem, Study, Use
from searchbench.harness.checkpoint import Checkpoint
from searchbench.harness.plan import RunSpec, plan
from searchbench.harness.run import SearchResult, run_search
from searchbench.results.columns import first_difference

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
            raise KeyboardInterrupt


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
        with pytest.raises(KeyboardInterrupt):
            run_search(spec, killer)
        assert path.exists()
    continued = run_search(spec, Checkpoint(path))
    assert first_difference(whole.traces or b"", continued.traces or b"") is None
    assert told(continued) == told(whole)
    assert first_difference(continued.trials, whole.trials) is None
    assert not path.exists()  # the result is what counts now


def test_a_checkpoint_cut_short_is_ignored(spec: RunSpec, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        run_search(spec, KilledAfter(path))
    path.write_bytes(path.read_bytes()[:500])
    assert told(run_search(spec, Checkpoint(path))) == told(run_search(spec))
