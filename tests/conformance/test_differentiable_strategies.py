"""Every paper of differentiable search passes the public conformance suite on the smallest cells: a row each."""

from __future__ import annotations

from typing import Any

import pytest

from searchbench.spaces.chains.densenas import densenas
from searchbench.strategies import STRATEGIES
from searchbench.testing import Stage, check_strategy

ROWS: dict[str, dict[str, Any]] = {
    "darts-second-order": {},
    "darts-cs": {},
    "darts-cs, clipped": {"clipped": True},
    "darts-fimt": {},
    "darts-pr": {},
    "darts-admm": {},
    "darts-prime": {},
    "darts-prime, clipped": {"clipped": True},
    "darts-plus": {},
    "darts-plus-rank": {"stable": 1},
    "fair-darts": {},
    "fair-darts, with its threshold": {"theta": 0.5},
    "fair-darts, its control": {"linear": True},
    "darts-grid, everything": {"schedule": "fisher", "proximity": 0.1, "admm": 0.1, "clipped": True},
    "darts-minus": {},
    "p-darts": {"keep": (3, 2, 1)},
    "pd-darts": {},
    "pd-darts, best fixed": {"fix_best": True},
    "r-darts-l2": {},
    "r-darts-dp": {"drop": 0.4},
    "darts-es": {"factor": 0.1, "begin": 0},
    "darts-ada": {"factor": 0.1, "begin": 0},
    "beta-darts": {},
    "sdarts-rs": {},
    "sdarts-adv": {"steps": 2},
    "darts-pt": {},
    "drnas": {},
    "drnas, its divergence": {"divergence": 0.1},
    "drnas-progressive": {"divisors": (2, 1)},
    "oles": {"window": 2, "threshold": 0.9},
    "xnas": {},
    "asap": {},
    "manas": {},
    "manas-ls": {},
    "setn": {"finalists": 5},
    "stacnas": {},
    "shapley-nas": {"samples": 2},
    "fbnet": {},
    "densenas": {"every": 2},
    "nasp": {"eta": 0.1},
    "gdas": {},
    "snas": {"cost": 0.1},
    "pc-darts": {"divisor": 2},
    "proxyless": {"cost": 0.1},
    "proxyless, all paths": {"mode": "full", "cost": 0.1, "multiply": True},
    "proxyless-reinforce": {"paths": 2},
}

BLOCKS = {"stem": 4, "first": 4, "widths": ((4, 6), (8,)), "strides": (2, 1), "layers": 2, "last": 8, "stem_stride": 1}
ELSEWHERE = {"densenas": (Stage(densenas(**BLOCKS), 0, 4_000),)}
"""Where a method is rehearsed that has no use for cells."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_differentiable_strategy_conforms(name: str) -> None:
    strategy = STRATEGIES.factory(name.partition(",")[0])(**ROWS[name])
    report = check_strategy(strategy, on=ELSEWHERE.get(name))
    assert "hands over an architecture within its budget" in {c.behaviour for c in report.checks}
