"""NSGA-Net: its phases of bits, their networks, and the Bayesian network over what is kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import losses

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.graphs.phases import graph_of, phases
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import count, initialise
from searchbench.strategies.nsga_net import NsgaNet, following, phase_spans
from searchbench.testing import Stage
from searchbench.testing.rehearsal import evaluate, scenario

DIGITS = (1, 8, 8), 10
SPACE = phases(phases=2, nodes=4, channels=4)


def test_the_space_has_the_paper_s_number_of_points() -> None:
    """Omega = 2^(n_p (n_o (n_o - 1) / 2 + 1)) (Lu et al. 2019, section 3.1)."""
    assert phases().size == 2 ** (3 * (6 * 5 // 2 + 1))


def test_nodes_without_connections_are_left_out_and_loose_ends_are_tied() -> None:
    """The released decoder's rules, on 1-01-000-0010: 2 reads 1, 3 reads 2, 4 is alone, 5 reads 3."""
    graph = graph_of((1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0), 5)
    assert graph.reads == ((1, (0,)), (2, (1,)), (3, (2,)), (5, (3,)))
    assert graph.ends == (5,)
    both = graph_of((1, 1, 0, 1), 3)  # 2 reads 1, 3 reads 1, skip
    assert both.reads == ((1, (0,)), (2, (1,)), (3, (1,)))
    assert both.ends == (0, 2, 3)
    assert graph_of((0, 0, 0, 1), 3).reads == ()


def test_a_phase_computes_its_graph() -> None:
    network: Any = initialise(SPACE.builder().network(SPACE.parse("1-10-001-1|0-00-000-1"), *DIGITS), 0).eval()
    phase, left_out = network.phases
    inputs = torch.randn(2, 4, 8, 8)
    one = phase.nodes["1"](inputs)
    two, three = phase.nodes["2"](one), phase.nodes["3"](one)
    four = phase.nodes["4"](three)
    torch.testing.assert_close(phase(inputs), F.relu(phase.norm(inputs + two + four)))
    assert isinstance(left_out, torch.nn.Identity)


def test_networks_that_compute_the_same_share_a_key_and_others_do_not() -> None:
    alone = SPACE.parse("0-00-000-1|1-00-000-0")
    assert SPACE.parse("0-00-000-0|1-00-000-0").key == alone.key  # the skip of a phase that is left out
    assert SPACE.parse("0-00-000-0|0-01-000-0").key == alone.key  # two nodes one after the other, whichever they are
    assert SPACE.parse("0-00-000-0|1-00-000-1").key != alone.key
    for text in ("1-10-001-1|0-00-000-1", "0-00-000-0|0-00-000-0"):
        assert str(SPACE.parse(text)) == text
    with pytest.raises(SpaceError, match="14 bits"):
        SPACE.parse("1-10-001-1")


def test_every_network_learns_and_has_its_size() -> None:
    builder, rng = SPACE.builder(), np.random.default_rng(0)
    for architecture in [SPACE.sample(rng), SPACE.parse("0-00-000-0|0-00-000-0")]:
        network = builder.network(architecture, *DIGITS)
        assert count(network, DIGITS[0]) == builder.size(architecture, *DIGITS)
        found = losses(network)
        assert found[-1] < found[0]


def test_phases_are_decisions_whose_names_begin_alike() -> None:
    assert phase_spans(phases()) == [(0, 16), (16, 32), (32, 48)]
    assert phase_spans(nasbench201()) == [(at, at + 1) for at in range(6)]


def test_phases_follow_each_other_as_often_as_in_what_is_kept() -> None:
    members: Any = [("a", "x"), ("a", "x"), ("a", "y"), ("b", "z")]
    assert following(members, 0, None, 1.0) == {"a": 0.75, "b": 0.25}
    found = following(members, 1, "a", 1.0)  # type: ignore[arg-type]
    assert found == pytest.approx({"x": (2 + 0.5) / 4, "y": (1 + 0.25) / 4, "z": 0.25 / 4})
    assert sum(following(members, 1, "b", 0.01).values()) == pytest.approx(1.0)  # type: ignore[arg-type]
    assert following(members, 1, "b", 0.01)["z"] > 0.98  # type: ignore[arg-type,index]


def test_after_exploration_children_are_drawn_from_the_bayesian_network() -> None:
    strategy = NsgaNet(("value", "params"), population=8, explore=2)
    stage = Stage(nasbench201(), 100)
    told = scenario(stage, strategy, 0)
    search = strategy.start(told)
    phases_seen: Counter[bool] = Counter()
    for number in range(60):
        proposal = search.ask()
        kept = [{r.architecture.values[at] for r in search.parents} for at in range(6)]
        if number >= 24:
            assert search.exploiting
            phases_seen[all(value in own for value, own in zip(proposal.architecture.values, kept, strict=True))] += 1
        search.tell(evaluate(proposal, number, "fair"))
    assert phases_seen == {True: 36}


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"explore": -1}, {"back_off": 0.0}, {"population": 1}, {"objectives": ()}):
        with pytest.raises(StudyError):
            NsgaNet(**wrong)
