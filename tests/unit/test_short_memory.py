"""A training for which a card's memory is too small: a failed trial that says what was asked, or a smaller batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.estimators import training
from searchbench.harness.declared.components import describe
from searchbench.harness.declared.plan import RunSpec, plan
from searchbench.harness.running.run import run_judge, run_search
from searchbench.results.columns import read_trials

TINY = sb.Use("nasbench201", channels=4, cells=1, stages=1)
FITS = 40
"""Samples of the largest minibatch that the card in these tests holds."""


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A card that is too small, simulated at the step of a training; the minibatches that it was asked for."""
    asked: list[int] = []
    real = training._accumulate

    def accumulate(model: Any, inputs: Any, targets: Any, loss: Any) -> Any:
        if len(targets) not in asked:
            asked.append(len(targets))
        if len(targets) > FITS:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return real(model, inputs, targets, loss)

    monkeypatch.setattr(training, "_accumulate", accumulate)
    return asked


def spec(halvings: int) -> RunSpec:
    estimator = sb.Use("train", epochs=1, subset=0.2, batch_size=128, halvings=halvings)
    problem = sb.Problem(TINY, "digits", estimator, label="short")
    return plan(sb.Study("s", problem, ["random"], 1, sb.Budget(evaluations=1))).runs[0]


def test_it_fails_with_what_was_asked_for(card: list[int]) -> None:
    found = run_search(spec(0))
    (trial,) = read_trials(found.trials).to_pylist()
    assert trial["status"] == "memory"
    assert "too small for minibatches of 128 samples: CUDA out of memory. Tried to allocate 20.00 MiB" in trial["error"]
    assert len(card) == 1


def test_the_batch_is_halved_as_often_as_is_declared_and_the_record_says_so(card: list[int]) -> None:
    found = run_search(spec(2))
    (trial,) = read_trials(found.trials).to_pylist()
    assert (trial["status"], trial["metric_batch_size"]) == ("ok", 32.0)
    assert [size > FITS for size in card][:3] == [True, True, False]
    once = run_search(spec(1))
    (failed,) = read_trials(once.trials).to_pylist()
    assert failed["status"] == "memory"
    assert "minibatches of 64 samples" in failed["error"]


def test_a_judge_halves_likewise_and_fails_likewise(card: list[int]) -> None:
    architecture = str(spec(0).problem.resolve().space.sample(sb.Seeds("s", 0).rng("init")))
    assert run_judge(spec(0), architecture).status == "memory"
    judged = run_judge(spec(2), architecture)
    assert (judged.status, judged.metrics["batch_size"]) == ("ok", 32.0)


def test_a_recipe_that_does_not_halve_is_described_as_before() -> None:
    assert "halvings" not in describe(spec(0).problem.resolve().estimator)
    assert describe(spec(1).problem.resolve().estimator)["halvings"] == 1
    with pytest.raises(StudyError, match="`halvings` must be 0 or a positive integer, but got -1"):
        spec(-1)
