"""Several kernels at a time (MixConv, MixPath), and skips that have stand-ins in the supernet (SCARLET)."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import digits
from torch.utils.flop_counter import FlopCounterMode

from searchbench.cost import Budget
from searchbench.seeds import Seeds
from searchbench.spaces.chains.kernels import mixpath
from searchbench.spaces.chains.kernels_networks import MixedDepthwise, SummedKernels
from searchbench.spaces.chains.scarlet import mobile_scarlet
from searchbench.spaces.layers.convolutions import HardSigmoid, conv_norm
from searchbench.spaces.layers.networks import ChoiceLayer, Layer
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import Mixed, count, initialise
from searchbench.strategies.oneshot.papers import mixpath as mixpath_search
from searchbench.strategies.oneshot.samplers import StrictFair, UniformNumbers
from searchbench.strategies.strategy import Scenario

IMAGENET = (3, 224, 224), 1000
DIGITS = (1, 8, 8), 10
STAGES = {"layers": (2, 2), "last": 16, "stem_stride": 1, "strides": (1, 2), "channels": (8, 16), "stem": 8}
SCARLET, MIXPATH = mobile_scarlet(first=8, **STAGES), mixpath(kernels=(3, 5, 7), **STAGES)


def test_channels_are_divided_among_kernels_and_what_is_left_over_goes_to_the_first() -> None:
    mixed: Any = initialise(MixedDepthwise(11, (3, 5, 7), 1), 0)
    assert mixed.parts == [5, 3, 3]
    inputs = torch.randn(2, 11, 6, 6)
    for part, conv in zip((slice(0, 5), slice(5, 8), slice(8, 11)), mixed.convs, strict=True):
        expected = F.conv2d(inputs[:, part], conv.weight, padding=conv.weight.shape[-1] // 2, groups=conv.groups)
        torch.testing.assert_close(mixed(inputs)[:, part], expected)


# -- MixPath -------------------------------------------------------------------------------------------------------


def test_mixpath_has_the_released_supernet_and_its_options() -> None:
    assert len(mixpath().decisions) == 12
    assert mixpath(paths=4).size == 30**12  # 15 sums of one to four kernels, two expansions
    supernet = mixpath(paths=4, **{**STAGES, "layers": (1, 1)}).builder().supernet(*DIGITS)
    layer: Any = supernet.layers[0].whole
    assert sorted(layer.norms) == sorted(f"{e}x{m}" for e in (3, 6) for m in (1, 2, 3, 4))
    assert sorted(layer.kernels) == sorted(f"{e}x{k}" for e in (3, 6) for k in (3, 5, 7, 9))


def test_kernels_add_up_and_pass_the_batch_norm_of_their_number() -> None:
    """As the released block computes it, written out."""
    made: Any = initialise(SummedKernels(4, 6, 1, (((3,), 3), ((3, 7), 3), ((5, 9), 3)), True), 0).eval()
    inputs = torch.randn(2, 4, 7, 7)
    expanded = made.expand["3"](inputs)
    summed = made.kernels["3x3"](expanded) + made.kernels["3x7"](expanded)
    with torch.no_grad():
        made.norms["3x2"].weight.fill_(2.0)
    torch.testing.assert_close(made(inputs, 1), made.norms["3x2"](made.project["3"](summed)))
    single = made.project["3"](made.kernels["3x3"](expanded))
    torch.testing.assert_close(made(inputs, 0), made.norms["3x1"](single))
    assert not torch.allclose(made.norms["3x2"](single), made.norms["3x1"](single))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_path_of_kernels_is_its_network_and_charged_as_it(training: bool) -> None:
    builder, rng = MIXPATH.builder(), np.random.default_rng(0)
    supernet: Any = initialise(builder.supernet(*DIGITS), 1).train(training)
    inputs, _ = digits(4)
    for _ in range(3):
        architecture = MIXPATH.sample(rng)
        path = supernet.path(architecture)
        alone: Any = initialise(builder.network(architecture, *DIGITS), 2).train(training)
        shared = supernet.state_dict()
        for name in alone.state_dict():
            whole = name
            if name.startswith("layers."):
                _, at, _, _, *rest = name.split(".")
                whole = f"layers.{at}.whole.{'.'.join(rest)}"
            shared[name] = shared[whole]
        alone.load_state_dict({name: shared[name] for name in alone.state_dict()})
        with FlopCounterMode(display=False) as counter:
            found = supernet(inputs, path)
        torch.testing.assert_close(found, alone(inputs))
        assert counter.get_total_flops() == 2 * 4 * supernet.macs(path)
        assert supernet.macs(path) == builder.size(architecture, *DIGITS)[1]


def test_numbers_of_kernels_are_drawn_uniformly_before_the_kernels() -> None:
    space = mixpath(paths=3, kernels=(3, 5, 7, 9), expansions=(3,), **{**STAGES, "layers": (1, 1)})
    supernet: Any = space.builder().supernet(*DIGITS)
    draw, rng = UniformNumbers().over(supernet), np.random.default_rng(0)
    numbers: Counter[int] = Counter()
    for _ in range(900):
        [path] = draw(rng, 0.0)
        numbers.update(str(value).count(".") + 1 for value in supernet.architecture(path).values)
    assert sorted(numbers) == [1, 2, 3]
    assert all(abs(count - 600) < 4 * 20 for count in numbers.values())
    told = Scenario(nasbench201(), Seeds("test", 0, ""), Budget(epochs=10), trains=True)
    assert "see `mixpath`" in str(mixpath_search().unsupported(told))


# -- SCARLET -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "macs", "params"),
    [
        (
            "k7e3 k5e6|k5e3 k7e3se k3e6se k5e3se|k3e6se k3e3 k7e3se k7e3|k5e3 k7e3se k3e3 k7e3se"
            "|k3e6se k5e6se k3e3se k3e6se|k7e6se",
            365,
            6.7,
        ),
        (
            "k3e3se k5e3se|k3e3se k7e6se k3e3 k5e3|k7e6se k3e3se zero k5e3|k3e3se k3e3se k7e6se k3e3se"
            "|k5e6se k5e6se zero k7e6se|k5e6se",
            327,
            6.5,
        ),
    ],
    ids=["A", "B"],
)
def test_released_scarlet_networks_have_their_sizes(blocks: str, macs: int, params: float) -> None:
    space = mobile_scarlet()
    found_params, found_macs = count(space.builder().network(space.parse(blocks), *IMAGENET), IMAGENET[0])
    assert round(found_macs / 1e6) == macs
    assert round(found_params / 1e6, 1) == params


def test_a_stabilised_skip_is_a_linear_convolution_in_the_supernet_alone() -> None:
    builder = SCARLET.builder()
    supernet: Any = initialise(builder.supernet(*DIGITS), 1).eval()
    path = supernet.path(SCARLET.parse("zero k3e3|k3e3 zero"))
    value = torch.randn(2, 8, 5, 5)
    layer, skip = supernet.layers[0], path[0]
    linear = layer.stand_ins[str(skip)]
    torch.testing.assert_close(layer.one(value, skip), F.conv2d(value, linear.weight))
    assert linear.bias is None
    alone: Any = builder.network(SCARLET.parse("zero k3e3|k3e3 zero"), *DIGITS)
    assert not len(alone.layers[0].options)
    assert not len(alone.layers[0].stand_ins)
    assert torch.equal(alone.layers[0].one(value, skip), value)
    plain: Any = mobile_scarlet(stabilised=False, first=8, **STAGES).builder().supernet(*DIGITS)
    assert torch.equal(plain.layers[0].one(value, skip), value)
    # and what reads it can have taken it in: the identity's network, with W K in place of K, computes the same
    with torch.no_grad():
        expand = supernet.layers[1].options["0"][0][0].weight
        folded = torch.einsum("oc,ci->oi", expand[:, :, 0, 0], linear.weight[:, :, 0, 0])[:, :, None, None]
        torch.testing.assert_close(F.conv2d(layer.one(value, skip), expand), F.conv2d(value, folded))


def test_stand_ins_are_paid_for_and_mixed() -> None:
    builder = SCARLET.builder()
    supernet: Any = initialise(builder.supernet(*DIGITS), 1).eval()
    architecture = SCARLET.parse("zero k3e3|k3e3 zero")
    path = supernet.path(architecture)
    inputs, _ = digits(2)
    with FlopCounterMode(display=False) as counter:
        found = supernet(inputs, path)
    assert counter.get_total_flops() == 2 * 2 * supernet.macs(path)
    assert supernet.macs(path) > builder.size(architecture, *DIGITS)[1]
    rows = [F.one_hot(torch.tensor(at), n).float() for at, n in zip(path, supernet.options, strict=True)]
    torch.testing.assert_close(supernet(inputs, Mixed(rows)), found)


def test_strict_fairness_trains_stabilised_skips_too() -> None:
    supernet: Any = SCARLET.builder().supernet(*DIGITS)
    [*paths] = StrictFair().over(supernet)(np.random.default_rng(0), 0.0)
    counts = [Counter(path[at] for path in paths) for at in range(len(supernet.options))]
    assert [len(count) for count in counts] == list(supernet.options)
    assert all(max(count.values()) - min(count.values()) <= 1 for count in counts)


@pytest.mark.parametrize("residual", [False, True])
def test_a_mixture_of_no_option_is_zero_beside_the_residual(residual: bool) -> None:
    layer = ChoiceLayer(Layer((partial(conv_norm, 4, 4, 3, 1), partial(conv_norm, 4, 4, 1, 1)), residual), (0, 1))
    inputs = torch.randn(2, 4, 6, 6)
    expected = inputs if residual else torch.zeros(2, 4, 6, 6)
    assert torch.equal(layer.mixed(inputs, [], torch.ones(2)), expected)


def test_the_hard_sigmoid_is_pytorchs_and_can_be_differentiated_twice() -> None:
    inputs = torch.linspace(-5, 5, 41, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(HardSigmoid()(inputs), torch.nn.Hardsigmoid()(inputs))
    (slope,) = torch.autograd.grad((HardSigmoid()(inputs) ** 2).sum(), inputs, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), inputs)
    inside = inputs.detach().abs() < 3
    torch.testing.assert_close(curvature[inside], torch.full_like(curvature[inside], 2 / 36))
