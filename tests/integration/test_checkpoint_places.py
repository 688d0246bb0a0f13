"""What an interrupted run leaves at a declared place is continued from there, wherever it is begun again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import searchbench as sb
from searchbench.errors import Interrupted, StudyError
from searchbench.harness.declared.place import names
from searchbench.harness.declared.plan import RunSpec, plan
from searchbench.harness.running.checkpoint import Checkpoint, Checkpoints
from searchbench.harness.running.run import run_judge, run_search
from searchbench.results.columns import first_difference
from searchbench.results.store import open_store

DARTS = sb.Use("darts", epochs=3, batch_size=64)
SAMPLES = sb.Budget(samples=5_000)


class Dying(Checkpoint):
    """Writes whenever it is asked, and ends the process after some times."""

    times = 2

    def write(self, state: Any) -> None:
        self._last = float("-inf")
        super().write(state)
        self.times -= 1
        if self.times == 0:
            raise Interrupted


def dying(checkpoint: Checkpoint | None) -> Dying:
    assert checkpoint is not None
    return Dying(checkpoint.path, checkpoint.key)


def told(result: Any) -> tuple[Any, ...]:
    return result.status, result.error, result.architecture, result.cost.macs, result.cost.train_samples


def calls_in(folder: Path) -> int:
    return sum(len(one.read_text()) for one in folder.glob("calls*"))


class Slow:
    """An objective that takes long enough to be kept, and counts its calls in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, config: Mapping[str, float], *, seed: int) -> float:
        with (self.folder / "calls").open("a") as file:
            file.write("x")
        time.sleep(0.11)
        if config["x"] > 0.8:
            raise ValueError("too far")
        return config["x"] + seed % 7


@pytest.fixture
def trained(training_problem: sb.Problem) -> RunSpec:
    return plan(sb.Study("s", training_problem, {"it": DARTS}, [3], SAMPLES)).runs[0]


def test_a_training_search_goes_on_from_a_url(trained: RunSpec, tmp_path: Path) -> None:
    folder = f"memory://{tmp_path}/shared"
    kept = Checkpoints(folder, b"store")
    with pytest.raises(Interrupted):
        run_search(trained, dying(kept.of(trained)))
    assert names(folder) == [f"{trained.run_id}.pt"]
    assert Checkpoints(folder, b"another").of(trained).read() is None
    whole, continued = run_search(trained), run_search(trained, kept.of(trained))
    assert told(continued) == told(whole)
    assert first_difference(continued.trials, whole.trials) is None
    assert continued.cost.device_s > 0
    kept.remove(trained)
    assert names(folder) == []


def test_a_judges_training_goes_on_after_the_epochs_it_had(trained: RunSpec, tmp_path: Path) -> None:
    judged = replace(trained.problem, judge=sb.Use("train", epochs=3))  # type: ignore[type-var]
    trained = replace(trained, problem=judged)
    architecture = str(trained.problem.resolve().space.sample(sb.Seeds("s", 3).rng("init")))
    path = tmp_path / "judge.pt"
    with pytest.raises(Interrupted):
        run_judge(trained, architecture, Dying(path, b"key"))
    left = Checkpoint(path, b"key").read()
    assert left is not None
    assert len(left["losses"]) == 2
    continued, whole = run_judge(trained, architecture, Checkpoint(path, b"key")), run_judge(trained, architecture)
    assert whole.status == "ok", whole.error
    assert (continued.test_error, continued.metrics) == (whole.test_error, whole.metrics)
    assert continued.cost.device_s > left["seconds"]


@pytest.mark.parametrize("parallel", [None, 3])
def test_an_ask_tell_search_does_not_repeat_what_it_has_measured(tmp_path: Path, parallel: int | None) -> None:
    space = {"x": sb.Float(0, 1)}
    problem = sb.Objective(Slow(tmp_path), space, parallel=parallel, duration=lambda config: 1 + config["x"])
    evolution = sb.Use("regularized-evolution", population=3, sample=2)
    (spec,) = plan(sb.Study("s", problem, [evolution], 1, sb.Budget(evaluations=8))).runs
    whole = run_search(spec)
    before = calls_in(tmp_path)
    with pytest.raises(Interrupted):
        run_search(spec, killed := Dying(tmp_path / "run.pt", b"key"))
    assert killed.times == 0
    assert calls_in(tmp_path) == before + 2
    continued = run_search(spec, Checkpoint(tmp_path / "run.pt", b"key"))
    assert calls_in(tmp_path) == before + 8
    assert first_difference(continued.trials, whole.trials) is None
    assert told(continued) == told(whole)


def test_a_study_leaves_nothing_at_its_place_and_says_nothing_of_it_in_the_store(
    training_problem: sb.Problem, tmp_path: Path
) -> None:
    place = {"url": f"file://{tmp_path}/shared", "every_s": 0}
    study = sb.Study("s", training_problem, {"it": DARTS}, [3], SAMPLES, checkpoints=place)
    sb.run(study, tmp_path / "s.db", workers=0, progress=False)
    assert list((tmp_path / "shared").iterdir()) == []
    assert not (tmp_path / "s.db.checkpoints").exists()
    with open_store(tmp_path / "s.db") as store:
        assert "shared" not in store.study("s").spec
        assert [run.status for run in store.runs("s")] == ["ok"]


def test_a_place_that_cannot_be_written_while_a_search_runs_is_told_and_costs_no_run(
    trained: RunSpec, tmp_path: Path
) -> None:
    (tmp_path / "run.pt.partial").mkdir()
    found = run_search(trained, Checkpoint(f"file://{tmp_path}/run.pt", b"", every_s=0))
    assert found.status == "ok"
    assert any(note.startswith("its state could not be kept: ") for note in found.notes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere://x", r"a URL that fsspec reads, but got `nowhere://x`: Protocol not known: nowhere"),
        ("s3://me:secret@host/x", r"`s3://host/x`, which needs a package on every node: "),
        ("file:///proc/none", r"nothing can be written to `file:///proc/none`"),
        ({"url": "file:///tmp", "every": 1}, r"`checkpoints` has no key `every`; did you mean `every_s`\?"),
        ({"url": "file:///tmp", "every_s": -1}, r"`checkpoints.every_s` must be a number of seconds from 0 on, but"),
        ({"every_s": 1}, "`checkpoints` needs the key `url`"),
        (7, "`checkpoints` must be a URL such as"),
    ],
)
def test_an_impossible_place_is_refused_before_anything_is_written(given: Any, said: str, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    store = tmp_path / "s.db"
    with pytest.raises(StudyError, match=said):
        sb.run(
            sb.Study("s", sb.Objective(len, {"x": sb.Float(0, 1)}), ["random"], 1, sb.Budget(evaluations=1),
                     checkpoints=given),
            store, workers=0, progress=False,
        )  # fmt: skip
    assert not store.exists()
