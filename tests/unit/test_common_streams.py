"""Common random numbers: what every strategy of a replicate shares, and what is its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_lab import lab

from searchbench.cost import Budget, Cost
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.acquisition import ExpectedImprovement
from searchbench.strategies.adapters.optuna import adapt
from searchbench.strategies.asha import Asha
from searchbench.strategies.bohb import Bohb
from searchbench.strategies.differentiable.papers import darts
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.generators import Generator
from searchbench.strategies.grid import Grid
from searchbench.strategies.halving import Hyperband, SuccessiveHalving
from searchbench.strategies.local import LocalSearch
from searchbench.strategies.model_based import ModelBased, bananas
from searchbench.strategies.nsga2 import Nsga2
from searchbench.strategies.oneshot.enas import enas
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.oneshot.papers import spos
from searchbench.strategies.oneshot.screening import RandomScreening
from searchbench.strategies.random import Random
from searchbench.strategies.reinforce import Reinforce
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.surrogates import Forest
from searchbench.trial import Fidelity, Trial

SPACE = nasbench201()
BEGIN_WITH_DESIGNS = {
    "random without replacement": (Random(replacement=False), 8),
    "generator": (Generator(), 1),
    "local-search": (LocalSearch(initial=8), 8),
    "evolution": (RegularizedEvolution(8, 3), 8),
    "successive-halving": (SuccessiveHalving(), 8),
    "hyperband": (Hyperband(), 8),
    "asha": (Asha(), 3),
    "bohb": (Bohb(), 8),
    "forest": (ModelBased(Forest(3), ExpectedImprovement(), initial=8), 8),
    "bananas": (bananas(initial=8), 8),
    "nsga2": (Nsga2(population=8), 8),
    "optuna:tpe": (adapt("tpe", startup=8), 8),
    "spos-evolution": (SposEvolution(8, 1, 3, 2, 2), 8),
    "random-screening": (RandomScreening(candidates=8), 8),
}


def scenario(strategy: Any, replicate: int = 0, private: str | None = None) -> Scenario:
    seeds = Seeds("study", replicate, repr(strategy) if private is None else private)
    return Scenario(SPACE, seeds, Budget(epochs=1e6), Fidelity(27.0), stops=tuple(float(e) for e in range(1, 28)))


def proposed(strategy: Any, count: int, **which: Any) -> list[Any]:
    search = strategy.start(scenario(strategy, **which))
    found = []
    for number in range(count):
        proposal = search.ask()
        found.append(proposal.architecture)
        value = (number * 37 % 11) / 11
        fidelity = Fidelity(proposal.fidelity.epochs or 27.0)
        metrics = {"params": float(number % 5)}
        search.tell(Trial(number, found[-1], fidelity, "ok", value, Cost(evaluations=1), metrics))
    return found


@pytest.mark.parametrize("name", BEGIN_WITH_DESIGNS)
def test_strategies_of_a_replicate_begin_with_the_same_designs(name: str) -> None:
    strategy, count = BEGIN_WITH_DESIGNS[name]
    for replicate in (0, 1):
        assert proposed(strategy, count, replicate=replicate) == proposed(Random(), count, replicate=replicate)


OWN_CHOICES = {
    "grid": (Grid(), 5),
    "evolution": (RegularizedEvolution(4, 2), 20),
    "local-search": (LocalSearch(), 10),
    "reinforce": (Reinforce(), 10),
    "nsga2": (Nsga2(population=4), 20),
    "spos-evolution": (SposEvolution(6, 3, 2, 2, 2), 20),
}


@pytest.mark.parametrize("name", OWN_CHOICES)
def test_what_a_strategy_chooses_after_them_comes_from_a_stream_of_its_own(name: str) -> None:
    strategy, count = OWN_CHOICES[name]
    one, other = (proposed(strategy, count, private=private) for private in ("one", "other"))
    assert one == proposed(strategy, count, private="one")
    assert one != other


def begun(strategy: Any, private: str) -> tuple[torch.Tensor, Any, Any]:
    """Of a search that trains: its supernet's weights, what is its own, the design it would hand over now."""
    metered = lab()
    told = replace(metered.scenario, seeds=Seeds("test", 0, private))
    search = strategy.start(told)
    game = search._begin(metered) if hasattr(search, "_begin") else search._session.begin(metered)
    weights = torch.cat([p.detach().flatten() for p in game.supernet.parameters()])
    if hasattr(game, "alpha"):
        own = game.alpha.detach().tolist(), game.rng.get_state().tolist()
    elif hasattr(game, "controller"):
        own = next(game.controller.parameters()).detach().tolist(), game.generator.get_state().tolist()
    else:
        own = ([game.draw(game.rng, 0.0) for _ in range(5)],) * 2
    return weights, own, metered.final and metered.final.architecture


@pytest.mark.parametrize("make", [darts, spos, enas], ids=["darts", "spos", "enas"])
def test_supernets_of_a_replicate_begin_alike_and_what_is_drawn_over_them_does_not(make: Any) -> None:
    strategy = make(epochs=1, batch_size=16)
    (weights, own, first), (same, other, again) = (begun(strategy, private) for private in ("one", "other"))
    assert torch.equal(weights, same)
    assert all(mine != theirs for mine, theirs in zip(own, other, strict=True))
    assert first == again
