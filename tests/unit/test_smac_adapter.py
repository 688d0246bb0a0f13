"""SMAC3 as a strategy."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.adapters.smac import adapt
from searchbench.strategies.random import Random
from searchbench.testing import Stage, check_in_flight, check_strategy, fly
from searchbench.testing.in_flight import Anything, Flight
from searchbench.testing.rehearsal import evaluate, scenario
from searchbench.trial import Proposal, Trial

installed = pytest.mark.skipif(importlib.util.find_spec("smac") is None, reason="SMAC3 is not installed")

MIXED = Space(
    "mixed",
    (
        Float("x", -1.0, 1.0),
        Float("rate", 1e-4, 1e-1, log=True),
        Choice("kind", ("a", "b", "c")),
        Integer("layers", 1, 8, when=When("kind", ("b",))),
        Choice("only", ("one",)),
    ),
)


def bowl(proposal: Proposal, number: int) -> Trial:
    a: Any = proposal.architecture
    trial = evaluate(proposal, number, "fair")
    value = (a["x"] - 0.3) ** 2 + (np.log10(a["rate"]) + 2) ** 2 / 4 + (1.0 if a["layers"] is None else 0.0)
    return Trial(number, trial.architecture, trial.fidelity, "ok", float(value), trial.cost, trial.metrics)


@installed
@pytest.mark.slow
def test_it_begins_with_the_common_designs_and_comes_nearer_than_random_draws() -> None:
    flight = fly(adapt("forest", startup=6), Stage(MIXED, 40), 1, values=bowl)
    designs = flight.scenario.seeds.rng("init")
    assert [p.architecture for p in flight.asked[:6]] == [MIXED.sample(designs) for _ in range(6)]
    drawn = fly(Random(), Stage(MIXED, 40), 1, values=bowl)
    modelled, random = (np.mean([t.value for t in f.trials[20:]]) for f in (flight, drawn))
    assert modelled < 0.6 * random


class OwnRuns(Anything):
    """Its history holds each configuration with what came of it."""

    def told(self, flight: Flight, trial: Trial) -> None:
        history: Any = flight.search._optimizer.runhistory  # type: ignore[attr-defined]
        finished = [v for v in history.values() if v.status.name in ("SUCCESS", "CRASHED")]
        assert len(finished) == len({t.architecture for t in flight.trials})


@installed
@pytest.mark.slow
def test_it_hears_of_its_own_configurations_whatever_is_under_way() -> None:
    check_in_flight(adapt("forest", startup=6), OwnRuns, on=[Stage(MIXED, 24)], under_way=(1, 8), replicates=1)


@installed
@pytest.mark.slow
def test_it_conforms() -> None:
    check_strategy(adapt("forest", startup=4), on=[Stage(nasbench201(), 10)], trials=10)


def test_without_smac_it_is_skipped_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    where = scenario(Stage(MIXED, 5), Random(), 0)
    assert "pip install" in str(adapt("forest").unsupported(where))
    with pytest.raises(StudyError, match="smac has no optimizer `tpe`"):
        adapt("tpe")
    with pytest.raises(StudyError, match="`startup` must be"):
        adapt("gp", startup=0)


@installed
def test_ranges_that_its_library_cannot_hold_are_refused_when_the_study_is_planned() -> None:
    for wide in (Float("f", -1e300, 1e300), Float("f", 1e-300, 1e300, log=True), Integer("f", 1, 2**63 - 1, log=True)):
        space = Space("wide", (wide, Float("x", 0.0, 1.0)))
        assert "cannot hold the range of `f`" in str(
            adapt("forest").unsupported(scenario(Stage(space, 5), adapt("forest"), 0))
        )
    assert adapt("forest").unsupported(scenario(Stage(MIXED, 5), adapt("forest"), 0)) is None
