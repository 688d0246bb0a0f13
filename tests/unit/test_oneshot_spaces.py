"""SPOS and FairNAS train and search the supernet of a chain of blocks on digits."""

from __future__ import annotations

import pytest

from searchbench import Budget, Problem, Study, Use
from searchbench.harness.plan import plan
from searchbench.harness.run import run_search

FAIR = Use("fairnas", epochs=1, batch_size=64, recalibrate=1, population=2, generations=1)
SPOS = Use("spos", epochs=1, batch_size=64, recalibrate=1, population=2, generations=1)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [SPOS, FAIR], ids=lambda use: use.name)
@pytest.mark.parametrize("space", ["macro"])
def test_supernets_of_chains_are_trained_and_searched(space, strategy):
    study = Study("s", Problem(space, "digits", Use("train", epochs=1)), {"it": strategy}, [1], Budget(epochs=5))
    planned = plan(study)

    result = run_search(planned.runs[0])
    assert result.status == "ok", result.error
    assert result.architecture
    assert 0 < result.cost.epochs <= 1
    assert result.cost.inference_samples > 0
