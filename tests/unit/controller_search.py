"""A controller's search, begun and told one value at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from searchbench.cost import Budget, Cost
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.controlled import Controlled, ControllerSearch
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Trial


def begun(settings: Controlled, space: Space, seed: int) -> ControllerSearch:
    return settings.start(Scenario(space, Seeds("s", seed, repr(settings)), Budget(evaluations=10)))


def step(search: ControllerSearch, value: Callable[[Architecture], float], number: int = 0) -> Trial:
    """Ask once and tell the value; NaN is a failure."""
    architecture = search.ask().architecture
    result = value(architecture)
    status: Any = "nan" if math.isnan(result) else "ok"
    trial = Trial(number, architecture, FULL, status, result, Cost(evaluations=1))
    search.tell(trial)
    return trial
