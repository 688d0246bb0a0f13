"""Which method runs on which space, and by which rule the others are skipped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_lab import scenario

from searchbench.cost import Budget
from searchbench.estimators.batches import Batches
from searchbench.estimators.bench import Bench
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.seeds import Seeds
from searchbench.spaces import SPACES
from searchbench.strategies import STRATEGIES
from searchbench.tasks.digits import Digits

METHODS = [
    name
    for name in STRATEGIES.builtin
    if ".differentiable." in STRATEGIES.factory(name).__module__ and name != "recurrent"  # it wraps another
]
VARIANTS = {  # a method's row, and the parameters beside its defaults
    **{name: {} for name in METHODS},
    "p-darts, two stages": {"keep": (2, 1)},
    "fair-darts, with its threshold": {"theta": 0.85},
    "darts-cs, clipped": {"clipped": True},
    "darts-fimt, clipped": {"clipped": True},
    "darts-prime, clipped": {"clipped": True},
    "proxyless, all paths": {"mode": "full", "cost": 0.1},
}
SPACES_TRIED = {
    "nasbench201": {},
    "darts": {},
    "darts, sparse": {"sparse": True},
    **{f"darts-s{number}": {} for number in (1, 2, 3, 4)},
    "darts-nasp": {},
    "mobile-proxyless": {},
    "macro": {},
    "densenas": {},
}
SMALL = {"stem": 4, "first": 4, "channels": (4, 6), "layers": (2, 1), "strides": (1, 2), "last": 8, "stem_stride": 1}

DENSE = ("darts", "darts-s1", "darts-s2", "darts-s3", "darts-s4", "darts-nasp")
CHAINS = ("mobile-proxyless", "macro")
BLOCKS = (*CHAINS, "densenas")
RULES = {  # (spaces, rows): the rule by which they are skipped; every other pairing runs
    (DENSE, ("fair-darts, with its threshold",)): "search its sparse variant",
    (BLOCKS, ("fair-darts, with its threshold",)): "has no operation `none`",
    (
        ("darts-s2", "darts-s4"),
        ("p-darts", "p-darts, two stages"),
    ): "its first stage must drop some of the 2 operations",
    (("darts-s3",), ("p-darts",)): "its first stage must drop some of the 3 operations",
    (("nasbench201",), ("p-darts",)): "its first stage must drop some of the 5 operations",
    (BLOCKS, ("p-darts", "p-darts, two stages")): "no form with skip_dropout",
    (BLOCKS, ("darts-minus",)): "no form with auxiliary_skip",
    (BLOCKS, ("pc-darts", "drnas-progressive")): "no form with partial",
    (BLOCKS, ("r-darts-dp",)): "no form with drop_path",
    (CHAINS, ("oles",)): "do not say which weights are theirs",
    (("darts-s2", "darts-s3", "darts-s4", *CHAINS), ("stacnas",)): "say in `like` which are alike",
    (BLOCKS, ("darts-cs, clipped", "darts-fimt, clipped", "darts-prime, clipped")): "no form with node_norm",
    (("densenas",), tuple(row for row in VARIANTS if row != "densenas")): "it has no logits for routes",
    (tuple(name for name in SPACES_TRIED if name != "densenas"), ("densenas",)): "no form with routes",
}


def reason(row, space):
    return STRATEGIES.factory(row.partition(",")[0])(**VARIANTS[row]).unsupported(scenario(space=space))


def rule_of(row, name):
    return next((rule for (spaces, rows), rule in RULES.items() if name in spaces and row in rows), None)


@pytest.mark.parametrize("name", SPACES_TRIED)
def test_every_method_runs_on_every_space_where_its_rules_allow_and_is_skipped_with_the_rule_elsewhere(name):
    space = SPACES.factory(name.partition(",")[0])(**SPACES_TRIED[name])
    for row in VARIANTS:
        told, rule = reason(row, space), rule_of(row, name)
        assert told is None if rule is None else rule in (told or ""), (row, told)


@pytest.mark.parametrize("name", ["nasnet", "enas-macro", "nasbench101", "chain", "randwire"])
def test_spaces_whose_decisions_are_no_edges_are_skipped(name):
    assert reason("darts", SPACES.factory(name)()) is not None


def test_partial_channels_are_skipped_where_channels_do_not_divide():
    assert "divisible by 4" in reason("pc-darts", SPACES.factory("darts")(channels=6))


def test_a_plan_names_the_rule_of_every_pairing_it_skips():
    study = Study(
        name="legality",
        problems=Problem(Use("mobile-proxyless", **SMALL), "digits", "train"),
        strategies=["darts", "pc-darts", "proxyless"],
        seeds=1,
        budget=Budget(samples=1000),
    )
    found = plan(study)
    assert [run.contestant.label for run in found.runs] == ["darts", "proxyless"]
    assert [(s.strategy, "no form with partial" in s.reason) for s in found.skipped] == [("pc-darts", True)]


def chain_lab(budget):
    space, data = SPACES.factory("mobile-proxyless")(**SMALL), Digits().search_data(Seeds("chain", 0))
    bench = Bench(
        networks=space.builder(),
        train=Batches(data.train),
        valid=Batches(data.valid),
        shape=(1, 8, 8),
        classes=10,
        augment=(),
        bn_momentum=0.1,
        device=torch.device("cpu"),
    )
    return MeteredLab(scenario(budget, space=space), None, "charge", bench)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("proxyless", {"cost": 0.1}),
        ("proxyless", {"mode": "full", "cost": 0.1, "multiply": True}),
        ("proxyless-reinforce", {"paths": 2}),
        ("darts", {}),
        ("gdas", {}),
        ("snas", {}),
        ("nasp", {"eta": 0.1}),
    ],
)
def test_blocks_that_can_be_left_out_only_here_and_there_are_searched_on_digits(method, parameters):
    metered = chain_lab(Budget(epochs=1000))
    strategy = STRATEGIES.factory(method)(epochs=1, batch_size=128, **parameters)
    search = strategy.start(metered.scenario)
    drive(search, metered)
    assert metered.final.architecture in metered.scenario.space
    arities = [d.arity for d in metered.scenario.space.decisions]
    assert arities == [7, 7, 6]
    assert search._session.trained.mask.sum(1).tolist() == arities
    assert np.isfinite(search._session.trained.alpha.detach().numpy()).all()


def test_an_operation_that_may_not_stand_on_an_edge_costs_nothing_and_never_weighs():
    metered = chain_lab(Budget(epochs=1000))
    game = STRATEGIES.factory("darts")(epochs=1).start(metered.scenario)._begin(metered)
    weights = game.activated()
    assert weights[2, 6] == 0.0
    assert torch.allclose(weights.sum(1), torch.ones(3))
    assert game.costs.shape == (3, 7)
    assert game.costs[2, 6] == game.costs[2].min() == 0.0
