from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import losses
from torch import nn

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces import SPACES
from searchbench.spaces.chains.mnasnet import BlockPlan, mnasnet, plans
from searchbench.spaces.chains.mnasnet_networks import BlocksNetwork, SkippedBlock
from searchbench.spaces.networks import count, initialise

DIGITS = (1, 8, 8), 10
SMALL = mnasnet(stem=8, channels=(8, 16), layers=(1, 2), strides=(1, 2), last=32, stem_stride=1)
A1 = (
    BlockPlan("dconv", 3, 0.0, "identity", 16, 1, 1),
    BlockPlan("mbconv6", 3, 0.0, "identity", 24, 2, 2),
    BlockPlan("mbconv3", 5, 0.25, "identity", 40, 3, 2),
    BlockPlan("mbconv6", 3, 0.0, "identity", 80, 4, 2),
    BlockPlan("mbconv6", 3, 0.25, "identity", 112, 2, 1),
    BlockPlan("mbconv6", 5, 0.25, "identity", 160, 3, 2),
    BlockPlan("mbconv6", 3, 0.0, "identity", 320, 1, 1),
)


def drawn(space, number, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def test_mnasnet_a1_has_the_published_size():
    """3.9M parameters and 312M multiply-adds (Tan et al. 2019, table 1)."""
    with torch.device("meta"):
        network = BlocksNetwork(A1, 3, 32, 2, 1280, 1000)
    params, macs = count(network, (3, 224, 224))
    assert (round(params / 1e6, 1), round(macs / 1e6)) == (3.9, 312)


def test_mobilenet_v2_is_the_space_without_choices_made():
    """3.50M parameters and 300M multiply-adds (Sandler et al. 2018), at the width, depth and kernel it begins with."""
    space = mnasnet()
    first, *rest = ["dconv k3 se0.0 identity x1.0 +0", *["mbconv6 k3 se0.0 identity x1.0 +0"] * 6]
    params, macs = space.builder().size(space.parse("|".join([first, *rest])), (3, 224, 224), 1000)
    assert params == 3_504_872
    assert round(macs / 1e6) == 301


def test_there_are_432_forms_of_a_block():
    assert mnasnet().size == 432**7
    assert mnasnet(channels=(16,), layers=(2,), strides=(1,)).size == 432


@pytest.mark.parametrize("text", ["", "conv|conv", "conv k3 se0 none x1 +0|conv k9 se0.0 none x1.0 +0"])
def test_a_misspelt_architecture_is_refused(text):
    with pytest.raises(SpaceError):
        SMALL.parse(text)


def test_choices_without_effect_share_a_key():
    rest = "conv k3 se0.0 none x1.0 +0"
    for one, other in (("x1.0 -1", "x1.0 +0"),):  # the first block has one layer, and keeps it
        keys = {SMALL.parse(f"mbconv3 k3 se0.0 pool {end}|{rest}").key for end in (one, other)}
        assert len(keys) == 1
    strided = mnasnet(stem=8, channels=(16,), layers=(1,), strides=(2,))
    assert len({strided.parse(f"conv k3 se0.0 {skip} x1.0 +0").key for skip in ("pool", "identity", "none")}) == 1
    assert (
        SMALL.parse(f"conv k3 se0.0 pool x1.0 +0|{rest}").key != SMALL.parse(f"conv k3 se0.0 none x1.0 +0|{rest}").key
    )


def test_equal_keys_are_equal_networks():
    sizes = {}
    for architecture in drawn(SMALL, 30):
        size = SMALL.builder().size(architecture, *DIGITS)
        assert sizes.setdefault(architecture.key, size) == size


def test_stride_stands_in_the_first_layer_of_a_block_only():
    for architecture in drawn(SMALL, 10):
        convs = [m for m in SMALL.builder().network(architecture, *DIGITS).modules() if isinstance(m, nn.Conv2d)]
        assert sum(conv.stride[0] == 2 for conv in convs) == 1
        first, second = plans(architecture)
        assert (first.layers, second.layers) in {(a, b) for a in (1, 2) for b in (1, 2, 3)}


def test_skips_are_added_where_a_layer_keeps_sides_and_channels():
    layer = initialise(SkippedBlock(nn.Conv2d(4, 4, 1, device="meta"), pool=True), 0)
    inputs = torch.ones((1, 4, 5, 5))
    torch.testing.assert_close(layer(inputs), inputs + layer.layer(inputs))
    both = [BlockPlan("conv", 3, 0.0, skip, 8, 2, 1) for skip in ("identity", "none")]
    with torch.device("meta"):
        skips = [
            sum(isinstance(m, SkippedBlock) for m in BlocksNetwork([plan], 1, 4, 1, 8, 2).modules())
            for plan in (*both, replace(both[0], channels=4))
        ]
    assert skips == [1, 0, 2]


def test_networks_learn_digits():
    for architecture in drawn(SMALL, 2):
        found = losses(SMALL.builder().network(architecture, *DIGITS), steps=40, lr=0.03)
        assert found[-1] < 0.8 * found[0]


def test_settings_and_supernets_are_refused_with_their_reason():
    with pytest.raises(StudyError, match="every stage"):
        mnasnet(strides=(1,))
    with pytest.raises(SpaceError, match="no supernet"):
        SMALL.builder().supernet(*DIGITS)
    assert SPACES.factory("mnasnet")().name == "mnasnet"
