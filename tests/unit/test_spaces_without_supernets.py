from __future__ import annotations

import pickle

import pytest

from searchbench.cost import Budget
from searchbench.errors import SpaceError
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.strategies import STRATEGIES
from searchbench.strategies.strategy import Scenario

DECLARED = {"hyperparameters", "schedules"}
"""Whose decisions are declared where they are used."""
NAMES = [name for name in SPACES.builtin if name not in DECLARED]
DIGITS = (1, 8, 8), 10


@pytest.mark.parametrize("name", NAMES)
def test_a_space_says_whether_its_networks_have_a_supernet(name):
    space = pickle.loads(pickle.dumps(SPACES.factory(name)()))
    if space.networks is None:
        return
    if space.shares_weights:
        assert callable(space.builder().supernet)
    else:
        with pytest.raises(SpaceError, match="no supernet"):
            space.builder().supernet(*DIGITS)


@pytest.mark.parametrize("strategy", ["spos", "random-sharing"])
@pytest.mark.parametrize("name", ["nasbench101", "nasnet", "mnasnet", "chain", "randwire"])
def test_a_strategy_that_trains_a_supernet_is_skipped_with_its_reason(strategy, name):
    scenario = Scenario(SPACES.factory(name)(), Seeds("test", 0, ""), Budget(epochs=10), trains=True)
    assert "share no weights" in STRATEGIES.factory(strategy)().unsupported(scenario)
