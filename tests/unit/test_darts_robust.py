"""The reduced spaces S1 to S4 of Zela et al. 2020, and searches in them."""

from __future__ import annotations

import numpy as np
import pytest
from test_differentiable_resume import cell_lab, strategy_of

from searchbench.errors import SpaceError, StudyError
from searchbench.harness.loop import drive
from searchbench.spaces import SPACES
from searchbench.spaces.darts import EDGES, darts, genotype
from searchbench.spaces.darts_genotypes import PUBLISHED
from searchbench.spaces.darts_robust import S1_EDGES, darts_s1


def test_s1_offers_two_operations_on_each_of_28_edges():
    assert len(S1_EDGES) == 28
    assert {len(pair) for pair in S1_EDGES} == {2}
    assert S1_EDGES[0] == ("skip_connect", "dil_conv_3x3")
    assert S1_EDGES[13] == ("dil_conv_3x3", "dil_conv_5x5")
    assert S1_EDGES[14] == ("max_pool_3x3", "avg_pool_3x3")
    assert S1_EDGES[27] == ("skip_connect", "dil_conv_5x5")


def test_cells_of_s1_carry_their_edges_candidates_only_and_read_back():
    space, rng = darts_s1(), np.random.default_rng(0)
    assert space.size == (2**8 * 3 * 6 * 10) ** 2
    for _ in range(30):
        drawn = space.sample(rng)
        found = genotype(drawn)
        for number, cell in enumerate((found.normal, found.reduce)):
            for target, node in enumerate(cell.nodes, start=2):
                for name, source in node:
                    assert name in S1_EDGES[14 * number + EDGES.index((target, source))]
        assert space.parse(str(drawn)) == drawn


def test_a_cell_with_another_operation_is_none_of_s1():
    with pytest.raises(SpaceError, match="carries skip_connect or dil_conv_3x3, but got sep_conv_3x3"):
        darts_s1().parse(str(PUBLISHED["DARTS_V1"]))


@pytest.mark.parametrize("edges", [[], [["sep_conv_3x3"]] * 27, [["none"]] * 28, [["sep_conv_3x3"] * 2] * 28])
def test_impossible_candidates_are_refused(edges):
    with pytest.raises(StudyError, match="edges"):
        darts(edges=edges)


@pytest.mark.parametrize("name", ["darts-s1", "darts-s2", "darts-s3", "darts-s4"])
@pytest.mark.parametrize(("strategy", "parameters"), [("darts", {}), ("gdas", {}), ("darts-prime", {"clipped": True})])
def test_reduced_spaces_are_searched_and_derive_their_own_cells(name, strategy, parameters):
    space = SPACES.factory(name)(channels=4, cells=3)
    metered = cell_lab(space)
    chosen = strategy_of(strategy, 1, **parameters)
    assert chosen.unsupported(metered.scenario) is None
    search = chosen.start(metered.scenario)
    drive(search, metered)
    assert metered.final.architecture in space
    assert bool(search._game.alpha.isfinite().all())
    mask, topology = search._game.mask, space.wiring
    assert all(topology.may_stand(edge, int(op)) for edge, op in mask.nonzero())


def test_a_mixture_in_s1_is_charged_two_operations_per_edge():
    space = darts_s1(4, 3)
    metered = cell_lab(space)
    game = strategy_of("darts", 1).start(metered.scenario)._begin(metered)
    assert [len(ops) for ops in game.mixture("w").active] == [2] * 28
