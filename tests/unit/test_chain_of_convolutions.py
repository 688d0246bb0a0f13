from __future__ import annotations

import numpy as np
import pytest
import torch
from small_training import digits, losses

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces import SPACES
from searchbench.spaces.chains.zoph import chain, plans, unread
from searchbench.spaces.chains.zoph_networks import joined
from searchbench.spaces.networks import initialise

DIGITS = (1, 8, 8), 10
SMALL, STRIDED = chain(layers=3, filters=(4, 6)), chain(layers=3, filters=(4, 6), strides=True)
each = pytest.mark.parametrize(
    "space", [SMALL, STRIDED, chain(layers=2, filters=(4,), skips=False)], ids=["skips", "strides", "plain"]
)


def drawn(space, number, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def test_the_space_has_as_many_points_as_its_formula():
    assert chain().size == 64**15 * 2**105
    assert chain(strides=True).size == (64 * 9) ** 15 * 2**105
    assert chain(layers=2, skips=False).size == 64**2
    assert len(list(chain(layers=2, filters=(4,)).enumerate())) == 16**2 * 2


@pytest.mark.parametrize("text", ["", "3 3 4", "3 3 4|3 3 4 1|3 3 4 0", "3 3 4|3 3 4 2|3 3 4 0 0", "a|b|c"])
def test_a_misspelt_chain_is_refused(text):
    with pytest.raises(SpaceError):
        SMALL.parse(text)


def test_layers_without_readers_go_to_the_classifier_and_layers_without_inputs_read_the_image():
    architecture = SMALL.parse("3 3 4|1 5 6 0|3 3 4 1 0")
    assert [plan.inputs for plan in plans(architecture)] == [(), (), (0,)]
    assert unread(architecture) == (1, 2)
    network = initialise(SMALL.builder().network(architecture, *DIGITS), 1).eval()
    image, _ = digits(3)
    one, two = network.layers[0](image), network.layers[1](image)
    three = network.layers[2](one)
    torch.testing.assert_close(network(image), network.classifier(torch.cat((two, three), 1).mean((2, 3))))


def test_several_inputs_are_concatenated():
    architecture = SMALL.parse("3 3 4|1 5 6 1|3 3 4 1 1")
    network = initialise(SMALL.builder().network(architecture, *DIGITS), 1).eval()
    image, _ = digits(3)
    one = network.layers[0](image)
    two = network.layers[1](one)
    three = network.layers[2](torch.cat((one, two), 1))
    torch.testing.assert_close(network(image), network.classifier(three.mean((2, 3))))


def test_smaller_inputs_are_padded_with_zeros_to_the_largest():
    small, large = torch.ones((1, 1, 2, 2)), torch.full((1, 1, 3, 4), 2.0)
    both = joined([small, large])
    assert both.shape == (1, 2, 3, 4)
    assert both[0, 0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert torch.equal(both[:, 1:], large)


@each
def test_networks_of_the_space_learn_digits(space):
    for architecture in drawn(space, 2):
        found = losses(space.builder().network(architecture, *DIGITS), steps=40, lr=0.3)
        assert found[-1] < 0.9 * found[0]


def test_settings_and_supernets_are_refused_with_their_reason():
    with pytest.raises(StudyError, match="positive"):
        chain(layers=0)
    with pytest.raises(SpaceError, match="no supernet"):
        SMALL.builder().supernet(*DIGITS)
    assert SPACES.factory("chain")().name == "chain"
