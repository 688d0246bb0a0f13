from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import digits, losses
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.chains.fbnet import fbnet
from searchbench.spaces.chains.kernels import POINTWISE, mixnet
from searchbench.spaces.chains.mobile import BLOCKS, mobile_fairnas, mobile_proxyless
from searchbench.spaces.chains.nasbench_macro import macro
from searchbench.spaces.chains.shuffle import RATIOS, shuffle, shuffle_channels
from searchbench.spaces.networks import Mixed, count, initialise

IMAGENET = (3, 224, 224), 1000
DIGITS = (1, 8, 8), 10
FAIRNAS, PROXYLESS = mobile_fairnas(), mobile_proxyless()
FAIRNAS_NETWORKS, PROXYLESS_NETWORKS = FAIRNAS.builder(), PROXYLESS.builder()
SMALL = [
    shuffle(stem=8, channels=(16, 32), layers=(2, 2), last=32, stem_stride=1),
    mobile_fairnas(stem=8, first=8, channels=(8, 16), layers=(2, 2), strides=(1, 2), last=32, stem_stride=1),
    mobile_proxyless(stem=8, first=8, channels=(8, 16), layers=(2, 2), strides=(1, 2), last=32, stem_stride=1),
    fbnet(stem=8, channels=(8, 16), layers=(2, 2), strides=(1, 2), last=32, stem_stride=1),
    mixnet(
        stem=8,
        first=8,
        channels=(8, 16),
        layers=(2, 2),
        strides=(1, 2),
        squeezes=(0, 0.5),
        pointwise=("", "ap"),
        last=32,
        stem_stride=1,
    ),
    macro(stem=4, layers=(2, 2), last=32),
    shuffle_channels(stem=8, channels=(20, 40), layers=(2, 2), last=32, stem_stride=1),
]
by_name = pytest.mark.parametrize("space", SMALL, ids=lambda s: s.name)
mixable = pytest.mark.parametrize("space", SMALL[:-1], ids=lambda s: s.name)


def drawn(space, number, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def weights(network):
    """Parameters of convolutions and linear layers, batch norms left out."""
    parts = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(p.numel() for part in parts for p in part.parameters())


# -- published sizes ------------------------------------------------------------


def test_shuffle_networks_have_the_released_sizes():
    space = shuffle()
    released = space.parse("21012020202300003233")
    builder = space.builder()
    params, macs = builder.size(released, *IMAGENET)
    assert macs == 322_918_720
    network = builder.network(released, *IMAGENET)
    assert round(weights(network) / 1e6, 3) == 3.529
    assert count(network, IMAGENET[0]) == (params, macs)
    uniform = [builder.size(space.parse(str(kind) * 20), *IMAGENET)[1] for kind in range(4)]
    assert [round(macs / 1e6, 1) for macs in uniform] == [295.8, 313.7, 340.4, 358.8]


@pytest.mark.parametrize(
    ("blocks", "macs", "params"),
    [
        (
            "k7e3 k3e3|k7e3 k3e6 k7e6 k3e3|k3e3 k7e6 k7e6 k5e3|k3e6 k5e3 k5e3 k3e6|k3e6 k7e6 k3e6 k7e6|k5e6",
            388.12,
            4.651,
        ),
        (
            "k5e3 k3e3|k5e3 k3e3 k3e6 k5e3|k7e3 k3e3 k3e6 k5e3|k3e3 k3e6 k7e3 k3e3|k7e6 k5e6 k7e6 k3e6|k5e6",
            345.30,
            4.506,
        ),
        (
            "k5e3 k3e3|k7e3 k3e3 k3e3 k3e3|k3e3 k3e3 k3e3 k3e6|k3e3 k3e3 k3e3 k3e3|k7e6 k7e6 k3e6 k3e6|k5e6",
            321.02,
            4.398,
        ),
    ],
    ids=["A", "B", "C"],
)
def test_fairnas_networks_have_the_published_sizes(blocks, macs, params):
    found_params, found_macs = FAIRNAS_NETWORKS.size(FAIRNAS.parse(blocks), *IMAGENET)
    assert (round(found_macs / 1e6, 2), round(found_params / 1e6, 3)) == (macs, params)


def test_the_proxyless_supernet_has_16034168_weights_and_141_options():
    supernet = PROXYLESS_NETWORKS.supernet(*IMAGENET)
    assert sum(p.numel() for p in supernet.parameters()) == 16_034_168
    assert sum(supernet.options) == 141


def test_derived_proxyless_networks_have_the_reference_sizes():
    space, size = PROXYLESS, PROXYLESS_NETWORKS.size
    uniform = {block: size(space.architecture((block,) * 21), *IMAGENET) for block in BLOCKS}
    assert uniform == {
        "k3e3": (3_191_928, 257_422_208),
        "k3e6": (4_684_776, 472_620_800),
        "k5e3": (3_275_640, 284_216_192),
        "k5e6": (4_852_200, 526_208_768),
        "k7e3": (3_401_208, 324_407_168),
        "k7e6": (5_103_336, 606_590_720),
    }
    least = space.architecture(tuple("zero" if d.contains("zero") else "k3e3" for d in space.decisions))
    assert size(least, *IMAGENET) == (2_154_984, 102_528_896)


@pytest.mark.parametrize(
    ("widths", "blocks", "size"),
    [
        (
            (32, 16, (32, 40, 80, 96, 192, 320), 1280),
            "k5e3 k3e3|k7e3 k3e3 k5e3 k5e3|k7e6 k5e3 k5e3 k5e3|k5e6 k5e3 k5e3 k5e3|k7e6 k7e6 k7e3 k7e3|k7e6",
            (4_080_512, 320_427_584),
        ),
        (
            (40, 24, (32, 56, 112, 128, 256, 432), 1728),
            "k5e3|k7e3 k3e3|k7e6 k5e3|k5e6 k3e3 k5e3|k7e6 k7e6 k7e6 k5e6|k7e6",
            (7_119_848, 465_260_160),
        ),
        (
            (40, 24, (32, 48, 88, 104, 216, 360), 1432),
            "k3e6 k3e3 k3e3 k3e3|k3e6 k3e3 k3e3 k5e3|k3e6 k3e3|k5e6 k3e3 k3e3 k3e3|k5e6 k5e3 k5e3 k3e3|k5e6",
            (4_361_648, 439_243_864),
        ),
    ],
    ids=["mobile", "gpu", "cpu"],
)
def test_published_proxyless_networks_have_their_sizes(widths, blocks, size):
    stem, first, channels, last = widths
    space = mobile_proxyless(stem=stem, first=first, channels=channels, last=last)
    assert space.builder().size(space.parse(blocks), *IMAGENET) == size


@pytest.mark.parametrize(
    ("blocks", "macs", "params"),
    [
        (
            "k3e1|k3e6 k5e1 k3e1 k3e1|k5e6 k5e3 k3e6 k5e6|k5e6 k5e6 zero k5e3|k5e6 k3e1 k5e1 k5e3"
            "|k5e6 k5e1 k5e6 k5e6|k3e6",
            291.1,
            4.8,
        ),
        (
            "k3e1|k3e6 zero k3e1 k3e1|k5e6 k5e3 k5e6 k3e6|k5e6 k5e3 k5e6 k5e6|k5e6 k5e6 k5e6 k5e3"
            "|k5e6 k5e6 k5e6 k5e6|k3e6",
            378.2,
            5.5,
        ),
    ],
    ids=["B", "C"],
)
def test_fbnets_have_the_released_sizes(blocks, macs, params):
    space = fbnet()
    found_params, found_macs = space.builder().size(space.parse(blocks), *IMAGENET)
    assert found_macs / 1e6 == pytest.approx(macs, abs=0.15)
    assert found_params / 1e6 == pytest.approx(params, abs=0.1)  # printed with one digit, one of them cut off


def test_mixnet_s_has_the_released_number_of_parameters():
    space = mixnet(pointwise=POINTWISE)
    released = space.parse(
        "k3e6ap k3e3ap|k3.5.7e6 k3.5e6ap k3.5e6ap k3.5e6ap|k3.5.7e6p k3.5e6p k3.5e6p"
        "|k3.5.7e6ap k3.5.7.9e3ap k3.5.7.9e3ap|k3.5.7.9.11e6 k3.5.7.9e6p k3.5.7.9e6p"
    )
    params, macs = count(space.builder().network(released, *IMAGENET), IMAGENET[0])
    assert params == 4_134_606
    assert macs / 1e6 == pytest.approx(256, rel=0.07)  # the published number counts more than multiply-accumulates


def test_blocks_in_groups_halve_their_last_convolution_and_read_both_halves():
    space = SMALL[3]
    builder = space.builder()
    plain, grouped = (builder.network(space.architecture((kind,) * 4), *DIGITS) for kind in ("k3e1", "k3e1g2"))
    assert weights(plain) - weights(grouped) == (8 * 8 * 2 + 8 * 16 + 16 * 16) // 2
    block = initialise(grouped, 0).eval().layers[0].options["1"]
    value = torch.randn(1, 8, 4, 4, requires_grad=True)
    block(value)[0, 0].sum().backward()
    reads = value.grad.abs().sum((0, 2, 3)) > 0
    assert reads.tolist() == [True, True, False, False] * 2


def test_the_spaces_have_as_many_points_as_published():
    assert fbnet().size == 8**6 * 9**16
    assert shuffle().size == 4**20
    assert shuffle_channels().size == 32**20
    assert mobile_fairnas().size == 6**19
    assert mobile_proxyless().size == 6**6 * 7**15
    assert mobile_proxyless(zero=False).size == 6**21
    assert macro().size == 6561


# -- notation and keys ------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "text", "says"),
    [
        (shuffle(), "0123", "20 digits"),
        (shuffle(), "4" * 20, "0 to 3"),
        (macro(), "2221222", "8 digits"),
        (mobile_fairnas(), "k3e3|k3e3", "6 stages"),
        (SMALL[1], "k3e3 k3e3|k3e3", "2 blocks"),
        (SMALL[1], "k3e3 k3e3|k3e3 k9e3", "k9e3"),
        (SMALL[2], "k3e3 k3e3|zero k3e3", "zero"),
    ],
)
def test_a_misspelt_architecture_is_refused_with_its_reason(space, text, says):
    with pytest.raises(SpaceError, match=says):
        space.parse(text)


def test_macro_networks_that_differ_in_where_the_identity_stands_share_a_key():
    space = macro()
    assert space.parse("22212220").key == space.parse("22212202").key  # the benchmark's tied optimum
    assert space.parse("02212220").key != space.parse("20212220").key  # a stage's first layer is a convolution
    assert len({architecture.key for architecture in space.enumerate()}) == 3969


def test_architectures_of_equal_key_are_equal_networks():
    for space, *texts in (
        (SMALL[2], "zero k5e3|k3e3 zero", "k5e3 zero|k3e3"),
        (macro(stem=2, layers=(2, 3), last=8), "11201", "11210"),
    ):
        one, other = (space.parse(text) for text in texts)
        assert one.key == other.key
        networks = [initialise(space.builder().network(a, *DIGITS), 3) for a in (one, other)]
        inputs, _ = digits(4)
        assert torch.equal(networks[0](inputs), networks[1](inputs))


@pytest.mark.parametrize(
    ("make", "settings", "says"),
    [
        (shuffle, {"stem": 15}, "even"),
        (shuffle, {"channels": (16, 8), "layers": (1, 1)}, "wider"),
        (shuffle, {"layers": (4, 4)}, "every stage"),
        (mobile_fairnas, {"strides": (2, 2)}, "every stage"),
        (mobile_proxyless, {"last": 0}, "positive"),
        (macro, {"layers": (2, 0)}, "positive"),
    ],
)
def test_impossible_settings_are_refused(make, settings, says):
    with pytest.raises(StudyError, match=says):
        make(**settings)


# -- networks ------------------------------------------------------------


@by_name
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_sizes_are_what_the_network_runs(space, width):
    builder = space.builder()
    for architecture in drawn(space, 4):
        network = builder.network(architecture, *DIGITS, width)
        assert count(network, DIGITS[0]) == builder.size(architecture, *DIGITS, width)


@by_name
def test_a_network_learns_digits(space):
    found = losses(space.builder().network(drawn(space, 1)[0], *DIGITS))
    assert found[-1] < 0.7 * found[0]


@by_name
def test_a_supernet_path_learns_digits(space):
    supernet = space.builder().supernet(*DIGITS)
    path = supernet.path(drawn(space, 1)[0])
    found = losses(supernet, forward=lambda net, inputs: net(inputs, path))
    assert found[-1] < 0.7 * found[0]


@by_name
def test_a_path_and_its_architecture_are_each_others_inverse(space):
    supernet = space.builder().supernet(*DIGITS)
    for architecture in drawn(space, 10):
        assert supernet.architecture(supernet.path(architecture)) == architecture


def inherit_by_name(alone, supernet, path):
    """Parameters and statistics of the same names."""
    shared, own = supernet.state_dict(), alone.state_dict()
    alone.load_state_dict({name: shared.get(name, value) for name, value in own.items()})


def inherit_slices(alone, supernet, path):
    """Leading channels of the wide weights, for a path of kinds and widths; batch norms keep their own statistics."""
    alone.stem.load_state_dict(supernet.stem.state_dict(), strict=False)
    alone.head.load_state_dict(supernet.head.state_dict(), strict=False)
    for layer, blocks, kind in zip(alone.layers, supernet.blocks, path, strict=False):
        (own,), shared = layer.options.values(), blocks[kind]
        if own.aside is not None:
            own.aside.load_state_dict(shared.aside.state_dict(), strict=False)
        for part, wide in zip(own.main, shared.main, strict=True):
            narrow, weight = part[0].weight, wide.conv.weight
            narrow.data.copy_(weight[: narrow.shape[0], : narrow.shape[1]])


@by_name
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_path_computes_what_the_stand_alone_network_with_its_weights_computes(space, training):
    supernet = initialise(space.builder().supernet(*DIGITS), 1).train(training)
    inherit = inherit_slices if space.name == "shuffle-channels" else inherit_by_name
    inputs, _ = digits(8)
    for architecture in drawn(space, 8, seed=2):
        alone = initialise(space.builder().network(architecture, *DIGITS), 9).train(training)
        inherit(alone, supernet, supernet.path(architecture))
        torch.testing.assert_close(supernet(inputs, supernet.path(architecture)), alone(inputs))


def test_narrow_paths_use_the_leading_channels_of_one_weight():
    space = SMALL[-1]
    supernet = initialise(space.builder().supernet(*DIGITS), 1)
    narrow = (0, 0, 0, 0, *[RATIOS.index(0.4)] * 4)
    inputs, targets = digits(8)
    F.cross_entropy(supernet(inputs, narrow), targets).backward()
    gradient = supernet.blocks[1][0].main[0].conv.weight.grad
    used = gradient.flatten(1).abs().sum(1) > 0
    assert used.tolist() == [True] * 4 + [False] * 12  # 0.4 of 10, of a weight allocated at 1.6 of 10
    assert supernet.blocks[1][1].main[0].conv.weight.grad is None


def test_widths_have_no_mixtures():
    supernet = SMALL[-1].builder().supernet(*DIGITS)
    with pytest.raises(SpaceError, match="one path at a time"):
        supernet(digits(2)[0], Mixed([]))


@by_name
def test_a_path_executes_exactly_what_it_is_charged_for(space):
    builder = space.builder()
    supernet = initialise(builder.supernet(*DIGITS), 1)
    for architecture in drawn(space, 3, seed=4):
        path = supernet.path(architecture)
        with FlopCounterMode(display=False) as counter:
            supernet(digits(2)[0], path)
        assert counter.get_total_flops() == 2 * 2 * supernet.macs(path)
        assert supernet.macs(path) == builder.size(architecture, *DIGITS)[1]


@by_name
def test_training_a_path_touches_no_other_path(space):
    supernet = initialise(space.builder().supernet(*DIGITS), 1)
    one = drawn(space, 1, seed=5)[0]
    inputs, targets = digits(8)
    F.cross_entropy(supernet(inputs, supernet.path(one)), targets).backward()
    reached = {name for name, p in supernet.named_parameters() if p.grad is not None}
    everything = {name for name, _ in supernet.named_parameters()}
    layers = {name for name in reached if name.startswith(("layers", "blocks"))}
    assert layers
    assert reached != everything
    for name in layers:
        _, at, *rest = name.split(".")
        option = rest[1] if name.startswith("layers") else rest[0]
        assert int(option) == supernet.path(one)[int(at)]


# -- mixtures ------------------------------------------------------------


@mixable
def test_a_mixture_is_the_weighted_sum_of_its_blocks(space):
    supernet = initialise(space.builder().supernet(*DIGITS), 1).double()
    inputs = digits(4)[0].double()
    generator = torch.Generator().manual_seed(0)
    mixing = [
        torch.rand(n, generator=generator, dtype=torch.float64).softmax(0).requires_grad_() for n in supernet.options
    ]
    value = supernet.stem(inputs)
    for layer, w in zip(supernet.layers, mixing, strict=True):
        value = sum(w[at] * layer.one(value, at) for at in range(len(w)))  # whole blocks, residual included
    torch.testing.assert_close(supernet(inputs, Mixed(mixing)), supernet.head(value))
    supernet(inputs, Mixed(mixing)).sum().backward()
    assert all(w.grad.abs().sum() > 0 for w in mixing)


@mixable
def test_a_mixture_of_one_block_with_weight_one_is_the_path(space):
    supernet = initialise(space.builder().supernet(*DIGITS), 1)
    path = supernet.path(drawn(space, 1, seed=7)[0])
    one_hot = [F.one_hot(torch.tensor(at), n).float() for at, n in zip(path, supernet.options, strict=True)]
    mixed = Mixed(one_hot, tuple((at,) for at in path))
    torch.testing.assert_close(supernet(digits(4)[0], mixed), supernet(digits(4)[0], path))
    assert supernet.macs(mixed) == supernet.macs(path)


@mixable
def test_a_mixture_is_charged_for_everything_it_executes(space):
    supernet = initialise(space.builder().supernet(*DIGITS), 1)
    mixing = Mixed([torch.full((n,), 1 / n) for n in supernet.options])
    with FlopCounterMode(display=False) as counter:
        supernet(digits(2)[0], mixing)
    assert counter.get_total_flops() == 2 * 2 * supernet.macs(mixing)
