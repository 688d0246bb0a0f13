"""SPOS and FairNAS train, search and have judged the supernet of every space of layer chains, through the harness."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from searchbench import Budget, Problem, Study, Use
from searchbench.harness.declared.plan import plan
from searchbench.harness.running.run import run_judge, run_search

MOBILE = {"stem": 4, "first": 4, "channels": (4, 8), "layers": (2, 2), "strides": (1, 2), "last": 8, "stem_stride": 1}
SHUFFLE = {"stem": 4, "layers": (2, 1), "last": 8, "stem_stride": 1}
SPACES = {
    "shuffle": Use("shuffle", channels=(8, 16), **SHUFFLE),
    "shuffle-channels": Use("shuffle-channels", channels=(20, 40), **SHUFFLE),
    "mobile-fairnas": Use("mobile-fairnas", **MOBILE),
    "mobile-proxyless": Use("mobile-proxyless", zero=False, **MOBILE),
    "mobile-proxyless, zero": Use("mobile-proxyless", **MOBILE),
    "macro": Use("macro", stem=4, layers=(2, 2), last=8),
}
STRATEGIES = {
    "spos": Use("spos", epochs=1, batch_size=64, recalibrate=1, population=2, generations=1),
    "fairnas": Use("fairnas", epochs=1, batch_size=64, recalibrate=1, population=2, generations=1),
}
DATA = os.environ.get("SEARCHBENCH_DATA", "")
needs_cifar10 = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "cifar10").is_dir(), reason="set SEARCHBENCH_DATA to a folder that holds cifar10/"
)
on_every_space = pytest.mark.parametrize("space", SPACES)
by_both = pytest.mark.parametrize("strategy", STRATEGIES)


def planned(space, strategy, task="digits", estimator=None, judge=None):
    problem = Problem(SPACES[space], task, estimator or Use("train", epochs=1), judge or Use("train", epochs=1))
    return plan(Study("chains", problem, {strategy: STRATEGIES[strategy]}, [1], Budget(epochs=1)))


@by_both
@on_every_space
def test_supernets_of_chains_are_trained_searched_and_judged_on_digits(space, strategy):
    (run,) = planned(space, strategy).runs
    result = run_search(run)
    assert (result.status, result.ended) == ("ok", "finished"), result.error
    assert 0 < result.cost.epochs <= 1
    assert result.cost.inference_samples == 4 * (64 + 599)
    assert 0 < result.value < 1
    outcome = run_judge(run, result.architecture)
    assert outcome.status == "ok", outcome.error
    assert outcome.metrics["macs"] > 0


@needs_cifar10
@pytest.mark.slow
@by_both
@on_every_space
def test_supernets_of_chains_are_trained_and_searched_on_cifar10(space, strategy):
    quarter = Use("train", epochs=1, resolution=0.25)
    found = planned(space, strategy, Use("cifar10", valid=0.98), quarter)
    result = run_search(found.runs[0])
    assert (result.status, result.ended) == ("ok", "finished"), result.error
    assert 0 < result.value < 0.95
