"""What runs see of a node's cards; most of it with cards that Ray is told of and that are not there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch

import searchbench as sb
from searchbench.harness.declared.resources import Resources
from searchbench.harness.executors.placed import placed
from searchbench.results.columns import first_difference
from searchbench.results.store import open_store

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture(scope="module")
def two_cards() -> Iterator[None]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # which workers cannot import
    ray.init(address="local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def seen(folder: str, at_once: int) -> str:
    """The cards that this process sees, told when so many processes are there."""
    Path(folder, str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) < at_once and time.monotonic() < until:
        time.sleep(0.05)
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all")


@pytest.mark.parametrize(("gpus", "at_once"), [(1.0, 2), (0.5, 4), (0.25, 8)])
def test_runs_share_cards_as_declared_and_see_no_others(
    two_cards: None, tmp_path: Path, gpus: float, at_once: int
) -> None:
    task = placed(seen, "search", Resources(cpus=1, gpus=gpus), retries=0)
    found = ray.get([task.remote(str(tmp_path), at_once) for _ in range(at_once)])
    assert sorted(found) == ["0"] * (at_once // 2) + ["1"] * (at_once // 2)


def test_a_run_that_declares_no_card_beside_others_sees_none(two_cards: None, tmp_path: Path) -> None:
    task = placed(seen, "search", Resources(cpus=0.5), retries=0)
    assert ray.get(task.remote(str(tmp_path), 1)) == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device here")
def test_four_runs_at_once_on_one_card_give_what_they_give_one_by_one(tmp_path: Path) -> None:
    if ray.is_initialized():
        ray.shutdown()
    space = sb.Use("nasbench201", channels=4, cells=1, stages=1)
    train = sb.Use("train", epochs=2, device="cuda")
    problem = sb.Problem(space, "digits", train, judge=sb.Use("train", epochs=2, device="cuda"), label="card")
    searches = {name: sb.Use(name, epochs=4, batch_size=64) for name in ("darts", "gdas")}
    found = []
    for workers in (1, 4):
        study = sb.Study("card", problem, searches, 2, sb.Budget(epochs=8), resources={"gpus": 0.25})
        sb.run(study, tmp_path / f"{workers}.db", workers=workers, progress=False)
        with open_store(tmp_path / f"{workers}.db") as store:
            found.append({run.run_id: run for run in store.runs("card")})
    one_by_one, at_once = found
    for run_id, run in one_by_one.items():
        other = at_once[run_id]
        assert (run.status, run.architecture, run.test_error) == ("ok", other.architecture, other.test_error)
        assert first_difference(run.trials, other.trials) is None
