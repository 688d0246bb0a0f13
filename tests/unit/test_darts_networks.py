"""Sizes of the DARTS space's networks to the last parameter, all on the meta device (Liu et al. 2019 and followers)."""

from __future__ import annotations

import pytest
import torch

from searchbench.errors import SpaceError
from searchbench.spaces.darts.nasp import darts_nasp
from searchbench.spaces.darts.networks import DartsNetwork
from searchbench.spaces.darts.operations import operation
from searchbench.spaces.darts.published import PUBLISHED, uniform
from searchbench.spaces.darts.space import OPERATIONS, darts, genotype
from searchbench.spaces.networks import Mixed, count, initialise
from searchbench.spaces.topology import Form
from searchbench.testing.plain_darts import plain_logits

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)

ROWS = {  # parameters, with auxiliary head, of 100 classes, MACs; ImageNet parameters, MACs
    "DARTS_V1": (3_169_414, 3_645_840, 3_221_344, 500_987_520, 4_510_432, 505_864_704),
    "DARTS_V2": (3_349_342, 3_825_768, 3_401_272, 528_359_040, 4_718_752, 529_911_552),
    "NASNet": (3_830_950, 4_288_944, 3_895_840, 603_452_448, 5_564_320, 604_031_616),
    "AmoebaNet": (3_145_078, 3_603_072, 3_184_048, 488_931_552, 4_627_360, 526_746_624),
    "PDARTS": (3_433_798, 3_910_224, 3_485_728, 532_174_464, 4_944_352, 542_819_328),
    "PC_DARTS_cifar": (3_634_678, 4_111_104, 3_686_608, 556_670_592, 5_270_560, 571_137_408),
    "GDAS_V1": (3_368_782, 3_845_208, 3_420_712, 519_428_736, 4_969_216, 537_597_888),
    "skip": (1_580_950, 2_057_376, 1_632_880, 248_505_984, 2_800_480, 294_297_600),
    "sep3": (4_701_718, 5_178_144, 4_753_648, 711_665_280, 6_548_320, 712_012_800),
    "sep5": (5_144_086, 5_620_512, 5_196_016, 817_833_600, 6_966_112, 786_674_688),
    "dil3": (3_035_926, 3_512_352, 3_087_856, 469_468_800, 4_487_776, 488_704_512),
    "max": (1_370_134, 1_846_560, 1_422_064, 227_272_320, 2_427_232, 265_396_224),
}


def built(name, *args, **kwargs):
    with torch.device("meta"):
        return DartsNetwork(PUBLISHED.get(name) or uniform(name), *args, **kwargs)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", ROWS)
def test_evaluation_networks_for_cifar_have_the_published_sizes(name):
    plain, with_head, hundred, macs, *_ = ROWS[name]
    assert count(built(name, 36, 20, CIFAR, 10), CIFAR) == (plain, macs)
    assert parameters(built(name, 36, 20, CIFAR, 10, auxiliary=True)) == with_head
    assert parameters(built(name, 36, 20, CIFAR, 100)) == hundred


@pytest.mark.parametrize("name", ROWS)
def test_evaluation_networks_for_imagenet_have_the_published_sizes(name):
    assert count(built(name, 48, 14, IMAGENET, 1000, stem="imagenet"), IMAGENET) == ROWS[name][4:]


@pytest.mark.parametrize(
    ("name", "stride", "weights", "norms"),
    [
        ("sep_conv_3x3", 1, 800, 4),
        ("sep_conv_5x5", 1, 1312, 4),
        ("sep_conv_7x7", 2, 2080, 4),
        ("dil_conv_3x3", 1, 400, 2),
        ("dil_conv_5x5", 2, 656, 2),
        ("skip_connect", 2, 256, 2),
        ("skip_connect", 1, 0, 0),
        ("max_pool_3x3", 2, 0, 0),
        ("avg_pool_3x3", 1, 0, 0),
        ("conv_7x1_1x7", 2, 14 * 256, 2),
    ],
)
def test_an_operation_of_16_channels_has_the_published_weights_and_affine_norms_add_theirs(
    name, stride, weights, norms
):
    assert parameters(operation(name, 16, stride, affine=False)) == weights
    assert parameters(operation(name, 16, stride, affine=True)) == weights + norms * 16


FAIR = {"a": 2_360_782, "b": 3_407_878, "c": 2_598_814, "d": 3_365_542, "e": 2_643_742, "f": 3_151_054, "g": 2_899_054}


@pytest.mark.parametrize("letter", FAIR)
def test_networks_with_nodes_of_fewer_inputs_have_the_published_sizes(letter):
    assert parameters(built(f"FairDARTS_{letter}", 36, 20, CIFAR, 10)) == FAIR[letter]


def test_the_larger_operations_of_nasp_have_the_published_sizes():
    assert parameters(darts_nasp().builder().supernet(CIFAR, 10)) == 4_151_354
    space = darts_nasp(network_channels=36, network_cells=20)
    found = space.parse(str(PUBLISHED["NASP"]))
    assert space.builder().size(found, CIFAR, 10) == (7_363_486, 1_102_995_072)
    assert space.size == (8**8 * 3 * 6 * 10) * (5**8 * 3 * 6 * 10)


SUPERNETS = [
    (16, 8, 1_930_618, 300_255_744),
    (16, 5, 1_275_834, 186_698_240),
    (16, 11, 2_585_146, 413_551_104),
    (16, 17, 3_894_202, 640_141_824),
    (16, 3, 673_850, None),
    (8, 5, 394_210, 61_629_696),
    (4, 3, 72_854, 15_483_520),
]


def supernet(channels, cells, classes=10, form=None, **settings):
    return darts(channels, cells, **settings).builder().supernet(CIFAR, classes, *([] if form is None else [form]))


def everything(net):
    weights = torch.full((len(net.options), net.options[0]), 0.1, device=next(net.parameters()).device)
    return Mixed(weights.unbind(0))


@pytest.mark.parametrize(("channels", "cells", "weights", "macs"), SUPERNETS)
def test_supernets_have_the_published_sizes(channels, cells, weights, macs):
    net = supernet(channels, cells)
    assert parameters(net) == weights
    if macs is not None:
        assert net.macs(everything(net)) == macs


def test_supernet_of_a_hundred_classes_and_those_of_other_papers():
    assert parameters(supernet(16, 8, 100)) == 1_953_748
    partial = supernet(16, 8, form=Form(partial=4))
    assert parameters(partial) == 299_578
    assert partial.macs(everything(partial)) == 56_596_992
    assert parameters(supernet(16, 8, 100, form=Form(partial=4))) == 322_708
    assert parameters(supernet(16, 8, form=Form(auxiliary_skip=True))) == 1_930_618 + 40_960
    assert parameters(supernet(16, 8, operations=OPERATIONS[1:])) == 1_930_618  # `none` has no weights
    assert parameters(supernet(16, 8, form=Form(cells=5))) == 1_275_834


def test_the_closed_form_counts_what_runs_of_every_operation_of_nasp():
    net = darts_nasp(4, 3).builder().supernet(CIFAR, 10)
    mixed = Mixed(torch.full((28, 12), 0.1, device="meta").unbind(0), darts_nasp().wiring.allowed)
    assert net.macs(mixed) == count(_Fixed(net, mixed), CIFAR)[1]


@pytest.mark.parametrize("form", [None, Form(partial=2), Form(auxiliary_skip=True)], ids=["plain", "partial", "skip"])
def test_the_closed_form_of_multiply_accumulates_counts_what_runs(form):
    net = supernet(4, 3, form=form)
    weights = torch.full((28, 8), 0.1, device="meta")
    mixed = Mixed(weights.unbind(0), auxiliary=1.0 if form and form.auxiliary_skip else 0.0)
    assert net.macs(mixed) == count(_Fixed(net, mixed), CIFAR)[1]
    path = tuple(at % 8 for at in range(28))
    if form is None:
        assert net.macs(path) == count(_Fixed(net, path), CIFAR)[1]


class _Fixed(torch.nn.Module):
    def __init__(self, net, active):
        super().__init__()
        self.net, self.active = net, active

    def forward(self, inputs):
        return plain_logits(self.net, inputs, self.active)


def test_a_path_charges_less_than_a_mixture_and_computes_one_architecture():
    net = supernet(4, 3)
    space = net.space
    wanted = space.parse(str(PUBLISHED["DARTS_V2"]))
    path = net.path(wanted)
    assert sum(op != 0 for op in path) == 16
    assert net.architecture(path).key == wanted.key
    assert net.macs(path) < net.macs(everything(net))


def test_a_supernets_path_computes_the_network_of_its_genotype():
    """With the same weights, and norms made alike: a path of the supernet is its stand-alone network."""
    space = darts(4, 3)
    wanted = space.parse(str(PUBLISHED["PDARTS"]))
    net = initialise(space.builder().supernet((1, 8, 8), 3), 0).eval()
    alone = initialise(space.builder().network(wanted, (1, 8, 8), 3), 1).eval()
    _copy(net, alone, wanted)
    inputs = torch.randn((3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(net(inputs, net.path(wanted)), alone(inputs), atol=1e-5)


def _copy(net, alone, wanted):
    from searchbench.spaces.darts.space import EDGES

    found = genotype(wanted)
    alone.stem.load_state_dict(net.stem.state_dict())
    alone.classifier.load_state_dict(net.classifier.state_dict())
    for one, many in zip(alone.cells, net.cells, strict=True):
        cell = found.reduce if many.reduction else found.normal
        one.first.load_state_dict(many.first.state_dict(), strict=False)
        one.second.load_state_dict(many.second.state_dict(), strict=False)
        operations = iter(one.operations)
        for target, node in enumerate(cell.nodes, start=2):
            for name, source in node:
                edge = many.edges[EDGES.index((target, source))]
                module = next(operations)
                source_of = edge.operations[name]
                if "pool" in name:  # followed by a norm in the supernet only: make it do nothing
                    source_of.norm = torch.nn.Identity()
                module.load_state_dict(source_of.state_dict(), strict=False)


def test_drop_path_spares_identities_and_drops_whole_samples():
    with torch.device("meta"):
        net = DartsNetwork(PUBLISHED["DARTS_V1"], 4, 3, (1, 8, 8), 3)
    net = initialise(net, 0).train()
    cell = net.cells[0]
    skip = next(at for at, op in enumerate(cell.operations) if isinstance(op, torch.nn.Identity))
    net.drop_path.probability, net.drop_path.generator = 0.5, torch.Generator().manual_seed(0)
    value = torch.ones(64, 4, 8, 8)
    assert torch.equal(cell._term(cell.operations[skip], value), value)
    dropped = cell._term(lambda x: x, value)
    kept = dropped.flatten(1)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert (kept == kept[:, :1]).all()
    net.eval()
    assert torch.equal(cell._term(lambda x: x, value), value)


def test_the_auxiliary_head_speaks_in_training_only():
    net = built("DARTS_V2", 4, 6, CIFAR, 10, auxiliary=True)
    inputs = torch.empty((2, *CIFAR), device="meta")
    assert net.train().logits(inputs)[1].shape == (2, 10)
    assert net.eval().logits(inputs)[1] is None


def test_images_that_cannot_be_halved_twice_are_refused():
    with pytest.raises(SpaceError, match="divisible by 4"):
        darts(4, 3).builder().supernet((1, 6, 6), 3)
