from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import digits, losses
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.block_cells.cells import canonical_cell, cells_of, loose_ends
from searchbench.spaces.block_cells.nasnet import LATER, ORIGINAL, nasnet
from searchbench.spaces.block_cells.operations import operation
from searchbench.spaces.enas.micro import enas_micro
from searchbench.spaces.networks import Mixed, count, initialise

DIGITS = (1, 8, 8), 10
NASNET = nasnet(blocks=3, channels=4, cells=1, stages=2)
MICRO = enas_micro(blocks=3, channels=4, cells=1, stages=2)
SMALL = [NASNET, MICRO, nasnet(blocks=2, combiners=("add", "concat"), shared=True, channels=4, cells=1, stages=2)]
each = pytest.mark.parametrize("space", SMALL, ids=["nasnet", "enas-micro", "pnas"])


def drawn(space, number, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


# -- counts ------------------------------------------------------------


def test_the_spaces_have_as_many_cells_as_published():
    assert nasnet().size == (4 * 9 * 16 * 25 * 36 * 64**5) ** 2
    assert nasnet().size ** 0.5 == pytest.approx(5.566e14, rel=1e-4)
    assert enas_micro().size ** 0.5 == pytest.approx(720**2 * 5**10)


def test_the_nasnet_controller_makes_fifty_decisions_and_enas_twenty_per_cell():
    assert len(nasnet(operations=ORIGINAL, combiners=("add", "concat")).decisions) == 50
    assert len(enas_micro().decisions) == 40


def test_one_block_of_one_cell_has_256_forms_of_which_136_are_distinct():
    space = nasnet(blocks=1, shared=True)
    assert space.size == 256
    assert len({architecture.key for architecture in space.enumerate()}) == 136


def test_unordered_second_blocks_are_300():
    """Progressive search expands a one-block cell by every unordered pair of (state, operation)."""
    space = nasnet(blocks=2, shared=True)
    first = "0:sep3+1:sep3"
    halves = [f"{state}:{name}" for state in range(3) for name in LATER]
    blocks = {frozenset((a, b)) for a in halves for b in halves}
    assert len(blocks) == 300
    # by key alone a block that reads the same inputs as the first can change places with it: never more than 300
    keys = {space.parse(f"{first} {a}+{b}").key for a in halves for b in halves}
    assert len(keys) == 300


# -- isomorphism ------------------------------------------------------------


def relabelled(cell, rng):
    """The same cell with its blocks in another possible order and halves swapped."""
    left, names, found = list(range(len(cell))), {0: 0, 1: 1}, []
    while left:
        ready = [at for at in left if all(state in names for state, _ in cell[at][:2])]
        at = ready[int(rng.integers(len(ready)))]
        left.remove(at)
        halves = [(names[state], name) for state, name in cell[at][:2]]
        if rng.random() < 0.5:
            halves.reverse()
        names[at + 2] = len(names)
        found.append((*halves, cell[at][2]))
    return tuple(found)


def test_isomorphic_cells_share_their_canonical_text_and_their_number_of_loose_ends():
    rng = np.random.default_rng(0)
    for architecture in drawn(nasnet(blocks=5, operations=("sep3", "max3")), 60):
        for cell in cells_of(architecture).values():
            other = relabelled(cell, rng)
            assert canonical_cell(other) == canonical_cell(cell)
            assert len(loose_ends(other)) == len(loose_ends(cell))


def test_a_state_that_is_read_twice_is_not_two_states_that_are_read_once():
    twice = nasnet(blocks=3, shared=True).parse("0:sep3+1:sep3 0:sep3+1:sep3 2:sep3+2:sep3")
    once = nasnet(blocks=3, shared=True).parse("0:sep3+1:sep3 0:sep3+1:sep3 2:sep3+3:sep3")
    assert twice.key != once.key


def test_loose_ends_are_the_complement_of_what_is_read_and_never_none():
    for architecture in drawn(enas_micro(), 100):
        for cell in cells_of(architecture).values():
            read = {state for first, second, _ in cell for state, _ in (first, second)}
            assert set(loose_ends(cell)) == set(range(7)) - read
            assert 6 in loose_ends(cell)


# -- notation ------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "0:sep3+1:sep3", "0:sep3|0:sep3", "9:sep3+1:sep3 0:a+0:b|0:x+1:y", "0:sep3+1:sep3|"]
)
def test_a_misspelt_cell_is_refused(text):
    with pytest.raises(SpaceError):
        NASNET.parse(text)


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"operations": ("conv9",)}, "conv9"), ({"combiners": ("times",)}, "times"), ({"blocks": 0}, "positive")],
)
def test_impossible_settings_are_refused(settings, says):
    with pytest.raises(StudyError, match=says):
        nasnet(**settings)


# -- operations ------------------------------------------------------------


@pytest.mark.parametrize("name", ORIGINAL)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [8, 7])
def test_operations_keep_the_channels_and_divide_the_sides_by_the_stride_upwards(name, stride, side):
    with torch.device("meta"):
        output = operation(name, 6, stride, True)(torch.empty(2, 6, side, side))
    assert output.shape == (2, 6, -(-side // stride), -(-side // stride))


def test_separable_operations_are_applied_twice():
    with torch.device("meta"):
        convs = [m for m in operation("sep5", 6, 2, True).modules() if isinstance(m, nn.Conv2d)]
    assert [(c.kernel_size[0], c.groups, c.stride[0]) for c in convs] == [(5, 6, 2), (1, 1, 1), (5, 6, 1), (1, 1, 1)]


# -- networks ------------------------------------------------------------


@each
def test_a_network_learns_digits(space):
    found = losses(space.builder().network(drawn(space, 1, seed=3)[0], *DIGITS), steps=30, lr=0.03)
    assert found[-1] < 0.8 * found[0]


def test_a_nasnet_cell_puts_out_its_channels_times_its_loose_ends():
    for architecture in drawn(NASNET, 8):
        cells = cells_of(architecture)
        network = NASNET.builder().network(architecture, *DIGITS)
        before = last = torch.empty((2, 4, 8, 8), device="meta")
        for kind, module, channels in zip(network.body.kinds, network.body.cells, (4, 8, 8), strict=True):
            before, last = last, module(before, last, cells[kind])
            side = 8 if channels == 4 else 4
            assert last.shape == (2, channels * len(loose_ends(cells[kind])), side, side)


def test_nasnet_a_has_about_the_published_parameters():
    """6@768 with 3.3M parameters; this skeleton concatenates unused states only, the released one some others too."""
    normal = "0:sep3+1:sep5 0:sep3+0:sep5 0:identity+1:avg3 0:avg3+0:avg3 1:identity+1:sep3"
    reduction = "0:sep7+1:sep5 0:sep7+1:max3 0:sep5+1:avg3 2:avg3+3:identity 1:max3+2:sep3"
    space = nasnet(channels=32, cells=6)
    params, _ = space.builder().size(space.parse(f"{normal}|{reduction}"), (3, 32, 32), 10)
    assert params == pytest.approx(3.3e6, rel=0.15)


def test_nasnet_has_no_supernet():
    with pytest.raises(SpaceError, match="enas-micro"):
        NASNET.builder().supernet(*DIGITS)


# -- the supernet of the micro space ------------------------------------------------------------


def test_a_path_and_its_architecture_are_each_others_inverse():
    supernet = MICRO.builder().supernet(*DIGITS)
    for architecture in drawn(MICRO, 10):
        assert supernet.architecture(supernet.path(architecture)) == architecture


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_path_computes_what_the_stand_alone_network_with_its_weights_computes(training):
    supernet = initialise(MICRO.builder().supernet(*DIGITS), 1).train(training)
    shared, (inputs, _) = supernet.state_dict(), digits(6)
    for architecture in drawn(MICRO, 6, seed=2):
        alone = initialise(MICRO.builder().network(architecture, *DIGITS), 9).train(training)
        own = alone.state_dict()
        alone.load_state_dict({name: shared.get(name, value) for name, value in own.items()})
        torch.testing.assert_close(supernet(inputs, supernet.path(architecture)), alone(inputs))


def test_two_paths_with_an_operation_at_the_same_place_share_its_weight():
    supernet = initialise(MICRO.builder().supernet(*DIGITS), 1)
    inputs, targets = digits(6)
    touched = []
    for blocks in ("0:sep3+1:max3 0:avg3+2:sep5 3:sep3+3:avg3", "0:sep3+1:avg3 1:sep3+2:max3 3:sep3+3:avg3"):
        supernet.zero_grad()
        path = supernet.path(MICRO.parse(f"{blocks}|{blocks}"))
        F.cross_entropy(supernet(inputs, path), targets).backward()
        touched.append({n for n, p in supernet.named_parameters() if p.grad is not None and ".parts." in n})
    assert any(".parts.0-0-0-sep3." in name for name in touched[0] & touched[1])
    assert not any(".parts.1-0-1-sep3." in name for name in touched[0])
    assert any(".parts.1-0-1-sep3." in name for name in touched[1])


def test_a_path_executes_exactly_what_it_is_charged_for():
    supernet = initialise(MICRO.builder().supernet(*DIGITS), 1)
    for architecture in drawn(MICRO, 6, seed=4):
        path = supernet.path(architecture)
        with FlopCounterMode(display=False) as counter:
            supernet(digits(2)[0], path)
        assert counter.get_total_flops() == 2 * 2 * supernet.macs(path)
        assert supernet.macs(path) == count(MICRO.builder().network(architecture, *DIGITS), DIGITS[0])[1]


def test_a_supernet_path_learns_digits():
    supernet = MICRO.builder().supernet(*DIGITS)
    path = supernet.path(drawn(MICRO, 1, seed=1)[0])
    found = losses(supernet, steps=30, lr=0.03, forward=lambda net, inputs: net(inputs, path))
    assert found[-1] < 0.8 * found[0]


def test_wirings_have_no_mixtures():
    supernet = MICRO.builder().supernet(*DIGITS)
    with pytest.raises(SpaceError, match="one path at a time"):
        supernet(digits(2)[0], Mixed([]))
