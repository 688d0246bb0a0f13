"""The ablation of DARTS-PRIME at the scale of its paper is read as it stands; with fewer steps, a slice of it runs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

import searchbench
from searchbench.cost import Budget
from searchbench.estimators import JUDGES
from searchbench.harness.declared.components import Use, make
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.study_file import read_study
from searchbench.harness.running.run import run_search
from searchbench.spaces import SPACES

EXAMPLES = Path(searchbench.__file__).parents[1] / "examples"
DATA = os.environ.get("SEARCHBENCH_DATA", "")
needs_cifar = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "cifar10").is_dir(), reason="set SEARCHBENCH_DATA to a folder that holds cifar10/"
)


def test_the_small_ablation_plans_twenty_searches_with_the_same_rates():
    study = read_study(EXAMPLES / "darts_prime_ablation.toml")
    assert len(plan(study).runs) == 20
    settings = [contestant.make() for contestant in study.strategies]
    assert {s.weights.batch_size for s in settings} == {32}
    assert {s.alphas.lr for s in settings} == {1e-2}
    assert {s.schedule.__class__.__name__ for s in settings} == {"Alternate", "Constant", "FisherInformed"}


def test_the_full_ablation_has_the_papers_sizes():
    study = read_study(EXAMPLES / "darts_prime_ablation_full.toml")
    (problem,) = study.problems
    space, judge = make(problem.space, SPACES), make(problem.judge, JUDGES)
    assert study.seeds == (101, 102, 103, 104)
    assert [c.label for c in study.strategies] == ["DARTS", "+CS10", "+FIMT", "+PR", "DARTS-PRIME"]
    assert (space.settings["channels"], space.settings["cells"]) == (16, 8)
    assert (space.settings["network_channels"], space.settings["network_cells"]) == (36, 20)
    assert (judge.epochs, judge.batch_size, judge.auxiliary, judge.drop_path) == (600, 96, 0.4, 0.2)
    assert "cutout" in judge.augment
    settings = [contestant.make() for contestant in study.strategies]
    assert {(s.weights.epochs, s.weights.batch_size, s.weights.lr, s.alphas.lr) for s in settings} == {
        (50, 64, 0.025, 3e-4)
    }


@needs_cifar
def test_the_full_ablation_plans_every_search_on_real_images():
    found = plan(read_study(EXAMPLES / "darts_prime_ablation_full.toml"))
    assert (len(found.runs), found.skipped) == (20, ())


@needs_cifar
@pytest.mark.slow
def test_a_slice_of_the_full_ablation_runs_when_steps_are_fewer():
    """The networks keep their sizes; 32 images, one minibatch of either player, one epoch."""
    study = read_study(EXAMPLES / "darts_prime_ablation_full.toml")
    (problem,) = study.problems
    few = replace(problem, task=Use("cifar10", valid=0.5, subset=0.00128))
    prime = study.strategies[-1]
    settings = dict(prime.strategy.parameters) | {"epochs": 1, "batch_size": 16, "ratio": 1}
    spec = replace(
        plan(study).runs[4],
        problem=few,
        contestant=replace(prime, strategy=Use(prime.strategy.name, **settings)),
        budget=Budget(samples=64),
    )
    found = run_search(spec)
    assert found.error is None
    assert found.architecture.startswith("Genotype(normal=[")
    assert found.cost.train_samples >= 16
