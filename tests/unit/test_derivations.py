"""The leaderboard says by which protocol searches derived what they handed over."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from searchbench.harness.declared.components import describe
from searchbench.reports.derivations import derivations
from searchbench.strategies import STRATEGIES

WITH_NONE: Any = {"space": {"decisions": [{"name": "1<-0", "options": ["none", "conv"]}]}}
WITHOUT: Any = {"space": {"decisions": [{"name": "rate", "low": 0.0}, {"name": "kernel", "options": [3, 5]}]}}


def run(label: str, name: str, **settings: Any) -> Any:
    return SimpleNamespace(strategy=label, description=json.dumps(describe(STRATEGIES.factory(name)(**settings))))


def test_each_protocol_is_said_with_the_searches_that_follow_it() -> None:
    runs = [
        run("darts", "darts"),
        run("darts", "darts"),
        run("benchmark's own", "gdas", none="allowed"),
        run("between", "snas", none="connected"),
        run("edges", "p-darts"),
        run("afterwards", "shared-weights", training="darts", finder="random"),
        run("random", "random"),
        SimpleNamespace(strategy="imported", description="no JSON"),
    ]
    excluded, connected, allowed = derivations(WITH_NONE, runs)
    assert excluded == "derived without `none` (Liu et al. 2019): darts, edges, afterwards"
    assert connected.endswith("arrives: between")
    assert allowed.endswith("(NAS-Bench-201's own protocol): benchmark's own")


def test_many_of_the_default_are_counted_and_where_no_edge_takes_none_nothing_is_said() -> None:
    many = [run(f"d{at}", "darts") for at in range(7)]
    assert derivations(WITH_NONE, many) == ("derived without `none` (Liu et al. 2019): d0, d1, d2, d3 and 3 more",)
    assert derivations(WITHOUT, many) == ()
    assert derivations(WITH_NONE, [run("random", "random")]) == ()
