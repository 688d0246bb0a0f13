"""DenseNAS's space: blocks of ascending widths, each with a first layer for every block that it may read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import digits, losses
from torch.utils.flop_counter import FlopCounterMode

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.chains.densenas import HEADS, LAYERS, densenas
from searchbench.spaces.chains.densenas_networks import everything, steps
from searchbench.spaces.networks import Mixed, count, initialise

DIGITS = (1, 8, 8), 10
SPACE = densenas(stem=8, first=8, widths=((8, 12), (16, 20)), strides=(1, 2), layers=2, last=16, stem_stride=1)


def test_its_points_are_subsets_of_blocks_times_their_layers() -> None:
    one = len(HEADS) * len(LAYERS)
    assert SPACE.size == (2 * one + one**2) ** 2


def test_a_block_has_a_first_layer_for_every_block_that_it_may_read() -> None:
    """Section 3.1: shape-alignment layers per input, the basic layers in common."""
    sources = {name.rpartition("_k")[0] for name in everything(SPACE) if "_from_" in name}
    assert sources == {
        "1_8_from_fixed",
        "1_12_from_fixed",
        "1_12_from_1_8",
        "2_16_from_1_8",
        "2_16_from_1_12",
        "2_20_from_1_8",
        "2_20_from_1_12",
        "2_20_from_2_16",
    }
    spots = everything(SPACE)
    assert spots["2_20_from_1_12_k3e6"] == (12, 20, 2, "k3e6")
    assert spots["2_20_from_2_16_k3e6"] == (16, 20, 1, "k3e6")
    assert spots["2_20_1_k7e3"] == (20, 20, 1, "k7e3")


def test_the_first_block_of_a_stage_has_its_stride_and_skips_are_no_layers() -> None:
    found = [spot for _, spot in steps(SPACE.parse("12:k3e3 skip|16:k5e6 k3e3/20:k7e3 skip"))]
    assert found == [(8, 12, 1, "k3e3"), (12, 16, 2, "k5e6"), (16, 16, 1, "k3e3"), (16, 20, 1, "k7e3")]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_path_computes_what_its_network_does_and_is_charged_as_it(training: bool) -> None:
    builder, rng = SPACE.builder(), np.random.default_rng(0)
    supernet: Any = initialise(builder.supernet(*DIGITS), 1).train(training)
    inputs, targets = digits(4)
    for _ in range(5):
        architecture = SPACE.sample(rng)
        path = supernet.path(architecture)
        assert supernet.architecture(path) == architecture
        assert SPACE.parse(str(architecture)) == architecture
        alone: Any = initialise(builder.network(architecture, *DIGITS), 2).train(training)
        shared = supernet.state_dict()
        alone.load_state_dict({name: shared[name] for name in alone.state_dict()})
        with FlopCounterMode(display=False) as counter:
            found = supernet(inputs, path)
        torch.testing.assert_close(found, alone(inputs))
        assert counter.get_total_flops() == 2 * 4 * supernet.macs(path)
        assert count(builder.network(architecture, *DIGITS), DIGITS[0]) == builder.size(architecture, *DIGITS)
    supernet.zero_grad()
    F.cross_entropy(supernet(inputs, path), targets).backward()
    reached = {name.split(".")[2] for name, p in supernet.named_parameters() if p.grad is not None and "layers" in name}
    assert reached == set(supernet.executed(path))


def test_a_network_learns_and_what_cannot_be_is_refused() -> None:
    found = losses(SPACE.builder().network(SPACE.sample(np.random.default_rng(3)), *DIGITS))
    assert found[-1] < 0.8 * found[0]
    assert SPACE.parse("8:k3e3 skip|16:k3e3 k5e3").key != SPACE.parse("8:k3e3 k5e3|16:k3e3 skip").key
    with pytest.raises(SpaceError, match="one path at a time"):
        SPACE.builder().supernet(*DIGITS)(torch.zeros(2, 1, 8, 8, device="meta"), Mixed([]))
    for text in ("8:k3e3 skip", "8:k3e3 skip|99:k3e3 skip", "8:k3e3|16:k3e3 skip"):
        with pytest.raises(SpaceError):
            SPACE.parse(text)
    for wrong in ({"widths": ((8, 8),), "strides": (1,)}, {"layers": 0}):
        with pytest.raises(StudyError):
            densenas(**wrong)  # type: ignore[arg-type]
