from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
import torch
from small_training import digits, losses

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces import SPACES
from searchbench.spaces.graphs.nasbench101 import (
    DISCONNECTED,
    OPERATIONS,
    CellGraph,
    cell_of,
    distinct,
    from_matrix,
    nasbench101,
)
from searchbench.spaces.graphs.nasbench101_networks import vertex_channels
from searchbench.spaces.networks import count, initialise

CONV3, CONV1, POOL = OPERATIONS
FULL, SMALL = nasbench101(), nasbench101(channels=8, stacks=2, modules=1)
CIFAR, DIGITS = ((3, 32, 32), 10), ((1, 8, 8), 10)
INCEPTION = [
    [0, 1, 1, 1, 0, 1, 0],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 1, 0, 0],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, 0, 0],
]


def drawn(number, seed=0):
    rng = np.random.default_rng(seed)
    return [SMALL.sample(rng) for _ in range(number)]


@pytest.mark.parametrize(("vertices", "number"), [(2, 1), (3, 6), (4, 84), (5, 2441)])
def test_there_are_as_many_distinct_cells_as_in_the_benchmark(vertices, number):
    assert sum(1 for _ in distinct(vertices)) == number


def test_the_inception_like_cell_of_the_paper_has_its_published_parameters():
    cell = from_matrix(FULL, INCEPTION, [CONV1, CONV3, CONV3, CONV3, POOL])
    assert FULL.builder().size(cell, *CIFAR)[0] == 2_694_282


def test_the_smallest_and_largest_published_networks_have_their_parameters():
    size = FULL.builder().size
    smallest = FULL.parse(f"0-1 1-2 1-3 1-4 1-5 2-5 3-5 4-5|{' '.join([POOL] * 4)}")
    assert size(smallest, *CIFAR)[0] == 227_274
    largest = FULL.parse(f"0-1 0-2 0-3 0-4 1-2 2-3 3-4 4-5 5-6|{' '.join([CONV3] * 5)}")
    assert size(largest, *CIFAR)[0] == 49_979_274


def test_isomorphic_cells_share_the_benchmarks_hash():
    for architecture in drawn(50):
        cell = cell_of(architecture).pruned()
        if cell is None:
            continue
        for order in itertools.islice(_orders(cell), 5):
            place = {vertex: at for at, vertex in enumerate(order)}
            edges = frozenset((place[u], place[v]) for u, v in cell.edges)
            operations = tuple(cell.operations[vertex - 1] for vertex in order[1:-1])
            assert CellGraph(edges, operations).fingerprint() == cell.fingerprint()


def _orders(cell):
    """Topological orders of a cell's vertices."""
    inner = range(1, cell.vertices - 1)
    for middle in itertools.permutations(inner):
        order = [0, *middle, cell.vertices - 1]
        place = {vertex: at for at, vertex in enumerate(order)}
        if all(place[u] < place[v] for u, v in cell.edges):
            yield order


def test_what_is_on_no_way_from_input_to_output_is_pruned():
    one = SMALL.parse(f"0-1 1-6 0-2 3-6 4-5|{CONV3} {CONV1} {POOL} {POOL} {CONV1}")
    assert one.key == SMALL.parse(f"0-1 1-2|{CONV3}").key
    assert cell_of(one).pruned() == CellGraph(frozenset({(0, 1), (1, 2)}), (CONV3,))


def test_cells_that_differ_in_operation_or_edge_have_different_keys():
    texts = [f"0-1 1-2|{CONV3}", f"0-1 1-2|{CONV1}", f"0-1 1-2 0-2|{CONV3}", "0-1|"]
    assert len({SMALL.parse(text).key for text in texts}) == len(texts)


def test_what_is_written_reads_back():
    kept = pickle.loads(pickle.dumps(SMALL))
    for architecture in drawn(20):
        assert SMALL.parse(str(architecture)) == architecture
        assert kept.parse(str(architecture)).key == architecture.key


@pytest.mark.parametrize("text", ["", "|", "0-1", "1-0|", "0-7 |" + " ".join(OPERATIONS * 2), "0-1 1-2|pool", "a-b|"])
def test_a_misspelt_cell_is_refused(text):
    with pytest.raises(SpaceError):
        SMALL.parse(text)


def test_channels_of_the_output_are_split_and_others_follow_the_widest_they_feed():
    edges = frozenset({(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (0, 5), (5, 6), (4, 6), (2, 6)})
    assert vertex_channels(CellGraph(edges, (CONV3,) * 5), 16, 32) == [16, 11, 11, 11, 11, 10, 32]


def test_a_cell_computes_what_its_graph_says():
    cell = SMALL.parse(f"0-1 0-2 1-2 1-3 2-3 0-3|{CONV3} {CONV1}")
    module = initialise(SMALL.builder().network(cell, *DIGITS), 1).eval().stacks[0][0]
    inputs = torch.rand((2, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    first, second = module.operations
    project = module.projections
    one = first(project["1"](inputs))
    two = second(one[:, :4] + project["2"](inputs))
    torch.testing.assert_close(module(inputs), torch.cat((one, two), 1) + project["3"](inputs))


def test_networks_learn_digits():
    cell = SMALL.parse(f"0-1 1-2 0-2|{CONV3}")
    found = losses(SMALL.builder().network(cell, *DIGITS), steps=40, lr=0.03)
    assert found[-1] < 0.7 * found[0]


def test_a_cell_without_a_way_through_still_makes_a_network():
    cell = SMALL.parse(f"0-1 2-6|{' '.join([CONV3] * 5)}")
    assert cell.key == DISCONNECTED
    network = initialise(SMALL.builder().network(cell, *DIGITS), 0)
    logits = network(digits(4)[0])
    assert torch.equal(logits, network.classifier.bias.expand(4, -1))
    assert SMALL.builder().size(cell, *DIGITS) == count(SMALL.builder().network(cell, *DIGITS), DIGITS[0])


def test_settings_and_supernets_are_refused_with_their_reason():
    with pytest.raises(StudyError, match="positive"):
        nasbench101(stacks=0)
    with pytest.raises(SpaceError, match="no supernet"):
        SMALL.builder().supernet(*DIGITS)
    assert SPACES.factory("nasbench101")().name == "nasbench101"
