"""Language models on a GPU against the CPU; skipped where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchbench.cost import Budget
from searchbench.estimators.train import Train
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.seeds import Seeds
from searchbench.spaces.recurrent.darts_rnn import darts_rnn
from searchbench.spaces.recurrent.enas_rnn import enas_rnn
from searchbench.strategies import STRATEGIES
from searchbench.strategies.differentiable.papers_recurrent import recurrent
from searchbench.strategies.oneshot.enas import enas_recurrent
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.text import descriptions
from searchbench.trial import FULL

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device here"),
]
SPACES = {"darts-rnn": darts_rnn(4, 16, 16), "enas-rnn": enas_rnn(4, 16, 16)}
TASK = descriptions(tokens=3000, measured=400, vocabulary=60, epochs=6, lr=5.0, average_after=1)
STRATEGY = {
    "darts-rnn": recurrent(STRATEGIES.factory("darts")(), epochs=1, batch_size=8, lr=5.0),
    "enas-rnn": enas_recurrent(epochs=1, batch_size=8, lr=5.0, steps=2, aggregate=3, candidates=4),
}


def measured(space: str, device: str) -> dict[str, float]:
    estimator = Train(device=device, curve=True).open(SPACES[space], TASK, Seeds("t", 0))
    architecture = SPACES[space].sample(np.random.default_rng(0))
    return estimator.evaluate(architecture, estimator.complete(FULL), seed=1)[0].metrics


@pytest.mark.parametrize("space", SPACES)
def test_a_training_on_a_gpu_follows_that_on_a_cpu(space: str) -> None:
    """Masks are drawn on the CPU, so both drop the same; rounding grows from epoch to epoch."""
    on_cpu, on_gpu = (measured(space, device) for device in ("cpu", "cuda"))
    assert on_gpu["valid_perplexity_1"] == pytest.approx(on_cpu["valid_perplexity_1"], rel=1e-3)
    assert on_gpu["valid_perplexity_6"] == pytest.approx(on_cpu["valid_perplexity_6"], rel=0.1)


@pytest.mark.parametrize("space", SPACES)
def test_a_training_on_a_gpu_repeats_itself(space: str) -> None:
    assert measured(space, "cuda") == measured(space, "cuda")


@pytest.mark.parametrize("space", SPACES)
def test_a_search_on_a_text_runs_on_a_gpu(space: str) -> None:
    scenario = Scenario(SPACES[space], Seeds("t", 0), Budget(samples=10**9), trains=True)
    estimator = Train(device="cuda").open(SPACES[space], TASK, Seeds("t", 0))
    lab = MeteredLab(scenario, estimator, "charge", estimator.bench())
    assert drive(STRATEGY[space].start(scenario), lab) == "finished"
    assert lab.final is not None
    assert lab.final.architecture in SPACES[space]
