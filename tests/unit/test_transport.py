"""NASBOT: its distance is the optimum of the published linear programme, and its process ranks what it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.optimize import linprog
from scipy.stats import spearmanr

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.darts.space import darts
from searchbench.spaces.graphs.nasbench101 import nasbench101
from searchbench.spaces.labelled import LabelledGraph
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.transport import (
    LAYERS,
    MASS_OF_ENDS,
    Layers,
    TransportProcess,
    distances,
    layers_of,
    nasbot,
)
from searchbench.tables.shipped import SHIPPED
from searchbench.testing import Stage
from searchbench.testing.rehearsal import scenario

CELLS = nasbench201()


def programme(one: LabelledGraph, other: LabelledGraph, structure: float) -> float:
    """Solve the paper's linear programme as it is printed, with a general solver."""
    sides = []
    for graph in (one, other):
        inner, ends = layers_of(graph)
        sides.append(([*inner, *ends], np.array([1.0] * len(inner) + [MASS_OF_ENDS * len(inner)] * len(ends))))
    (left, mass), (right, other_mass) = sides
    if not left or not right:
        return float(mass.sum() + other_mass.sum())
    costs = np.full((len(left), len(right)), 1e3)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            names = 0.0 if a.label == b.label else a.within if a.kind == b.kind else 1e3
            costs[i, j] = names + structure * np.mean(np.abs(np.subtract(a.lengths, b.lengths)))
    rows = np.kron(np.eye(len(left)), np.ones(len(right)))
    columns = np.kron(np.ones(len(left)), np.eye(len(right)))
    solved = linprog(costs.ravel() - 2.0, np.vstack([rows, columns]), np.concatenate([mass, other_mass]))
    return float(solved.fun + mass.sum() + other_mass.sum())


@pytest.mark.parametrize("space", [CELLS, nasbench101(), darts(4, 3)], ids=["nasbench201", "nasbench101", "darts"])
@pytest.mark.parametrize("structure", [0.1, 0.8])
def test_the_distance_is_the_optimum_of_the_papers_linear_programme(space: Space, structure: float) -> None:
    rng = np.random.default_rng(1)
    drawn = [space.sample(rng) for _ in range(8)]
    encoded = np.array([Layers().of(space, a) for a in drawn])
    found = distances(encoded[0], encoded, structure)[0]
    graphs = [space.graph(a) for a in drawn]  # type: ignore[misc]
    expected = [programme(graphs[0], graph, structure) for graph in graphs]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_it_is_a_pseudo_distance_of_functions() -> None:
    rng = np.random.default_rng(2)
    drawn = [CELLS.sample(rng) for _ in range(25)]
    encoded = np.array([Layers().of(CELLS, a) for a in drawn])
    between, normalised = np.stack([np.stack(distances(one, encoded, 0.4)) for one in encoded], axis=1)
    np.testing.assert_allclose(between, between.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(between), 0.0, atol=1e-12)
    through = (between[:, :, None] + between[None]).min(axis=1)
    assert (between <= through + 1e-9).all()
    assert normalised.max() <= 1.0 + 1e-12
    same = CELLS.parse("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|")
    moved = CELLS.parse("|none~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|")
    pair = np.array([Layers().of(CELLS, a) for a in (same, moved)])
    assert distances(pair[0], pair, 0.4)[0].tolist() == [0.0, 0.0]


def test_ways_are_counted_from_inputs_and_to_outputs() -> None:
    inner, ends = layers_of(LabelledGraph(("input 0", "a", "b", "output"), ((0, 1), (1, 2), (1, 3), (2, 3))))
    assert [layer.lengths for layer in inner] == [(1, 1, 1, 1, 2, 1.5), (2, 2, 2, 1, 1, 1)]
    assert [end.lengths for end in ends] == [(0, 0, 0, 2, 3, 2.5), (2, 3, 2.5, 0, 0, 0)]


def test_fifty_cells_rank_the_others() -> None:
    table = pq.read_table(SHIPPED["nasbench201-digits"], columns=["architecture", "valid_0_12"])
    architectures, values = table.column(0).to_pylist(), 1 - np.array(table.column(1).to_pylist())
    chosen = np.random.default_rng(3).permutation(len(values))[:200]
    encoded = np.array([Layers().of(CELLS, CELLS.parse(architectures[at])) for at in chosen])
    live = TransportProcess().start(CELLS)
    live.fit(encoded[:30], values[chosen[:30]], np.random.default_rng(0))
    mean, std = live.fit(encoded[:50], values[chosen[:50]], np.random.default_rng(0))(encoded[50:])
    fresh = TransportProcess().start(CELLS).fit(encoded[:50], values[chosen[:50]], np.random.default_rng(0))
    np.testing.assert_allclose(mean, fresh(encoded[50:])[0])  # distances that were kept are those that are taken anew
    assert spearmanr(mean, values[chosen[50:]]).statistic > 0.7
    assert (std >= 0).all()


def test_what_cannot_be_compared_is_refused_with_the_reason() -> None:
    plain = Space("plain", (Choice("x", (1, 2)),))
    assert "have none" in str(nasbot().unsupported(scenario(Stage(plain, 5), nasbot(), 0)))
    assert nasbot().unsupported(scenario(Stage(CELLS, 5), nasbot(), 0)) is None
    chain = LabelledGraph(tuple("abcd" * LAYERS), ())
    long: Any = Space("long", (Choice("x", (1, 2)),), graph=lambda a: chain)
    with pytest.raises(SpaceError, match="at most 32"):
        Layers().of(long, long.architecture((1,)))
    with pytest.raises(StudyError, match="structure"):
        nasbot(structure=-1.0)
