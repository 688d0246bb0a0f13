"""CMA-ES for mixed spaces, as the library alone would go."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.space import Space
from searchbench.strategies.adapters.cmaes import adapt
from searchbench.strategies.random import Random
from searchbench.testing import Stage, check_in_flight, check_strategy, fly
from searchbench.testing.in_flight import Anything, Flight
from searchbench.testing.rehearsal import evaluate, scenario
from searchbench.trial import Proposal, Trial

cmaes = pytest.importorskip("cmaes")

MIXED = Space(
    "mixed",
    (
        Float("x", -1.0, 1.0),
        Float("rate", 1e-4, 1e-1, log=True),
        Integer("layers", 1, 8),
        Choice("kind", ("a", "b", "c")),
        Choice("only", ("one",)),
        Integer("many", 1, 10**6),
    ),
)


def bowl(proposal: Proposal, number: int) -> Trial:
    a: Any = proposal.architecture
    trial = evaluate(proposal, number, "fair")
    value = (a["x"] - 0.3) ** 2 + (np.log10(a["rate"]) + 2) ** 2 / 4 + abs(a["layers"] - 6) / 4 + (a["kind"] != "b")
    return Trial(number, trial.architecture, trial.fidelity, "ok", float(value), trial.cost, trial.metrics)


def test_it_goes_as_the_library_alone() -> None:
    flight = fly(adapt("catcma", population=6), Stage(MIXED, 60), 1, values=bowl)
    search: Any = flight.search
    blocks, seed = search._blocks, flight.scenario.seeds.python_seed("search") % 2**31
    alone = cmaes.CatCMAwM(**blocks.spaces(), population_size=6, seed=seed)
    trials = iter(flight.trials)
    for _ in range(10):
        told = []
        for _ in range(6):
            solution, trial = alone.ask(), next(trials)
            assert blocks.architecture(solution) == trial.architecture
            told.append((solution, trial.value))
        alone.tell(told)


def test_it_comes_nearer_than_random_draws() -> None:
    def best(strategy: Any) -> float:
        flights = [fly(strategy, Stage(MIXED, 200), 1, replicate=r, values=bowl) for r in range(3)]
        return float(np.mean([min(t.value for t in flight.trials) for flight in flights]))

    assert best(adapt("catcma")) < 0.3 * best(Random())


def test_what_failed_counts_as_the_worst_of_its_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    search, heard = adapt("catcma", population=4).start(scenario(Stage(MIXED, 60), adapt("catcma"), 0)), list[float]()
    monkeypatch.setattr(search._optimizer, "tell", lambda pairs: heard.extend(value for _, value in pairs))
    for number, value in enumerate((0.3, math.nan, 0.7, 0.5)):
        trial = evaluate(search.ask(), number, "only failures" if math.isnan(value) else "fair")
        search.tell(Trial(number, trial.architecture, trial.fidelity, trial.status, value, trial.cost))
    assert heard == [0.3, 0.7, 0.7, 0.5]


class OwnGeneration(Anything):
    """What it has gathered of a generation is what came back of that generation's own solutions, the first of them."""

    def __init__(self) -> None:
        self.generations: list[int] = []

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        self.generations.append(flight.search.generation)  # type: ignore[attr-defined]

    def told(self, flight: Flight, trial: Trial) -> None:
        search: Any = flight.search
        own = [t for t in flight.trials if self.generations[flight.tickets[t.number]] == search.generation]
        assert [value for _, value in search.came] == [float("inf") if t.failed else t.value for t in own]
        assert len(own) < 6


def test_late_solutions_are_left_aside_whatever_is_under_way() -> None:
    check_in_flight(adapt("catcma", population=6), OwnGeneration, on=[Stage(MIXED, 60)])


@pytest.mark.slow
def test_it_conforms() -> None:
    check_strategy(adapt("catcma", population=5), trials=20)


def test_what_it_cannot_search_is_refused() -> None:
    conditional = Space("c", (Choice("k", ("a", "b")), Float("x", 0.0, 1.0, when=When("k", ("a",)))))
    where = scenario(Stage(conditional, 5), adapt("catcma"), 0)
    assert "knows no conditions" in str(adapt("catcma").unsupported(where))
    fixed = Space("fixed", (Choice("k", ("a",)),))
    assert "nothing to choose" in str(adapt("catcma").unsupported(scenario(Stage(fixed, 5), adapt("catcma"), 0)))
    with pytest.raises(StudyError, match="cmaes has no optimizer `cma`"):
        adapt("cma")
    with pytest.raises(StudyError, match="`population` must be"):
        adapt("catcma", population=1)
