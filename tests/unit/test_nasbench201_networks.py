from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from searchbench.spaces.nasbench201.cells import live_edges
from searchbench.spaces.nasbench201.space import EDGES, OPERATIONS, nasbench201
from searchbench.spaces.networks import Mixed, count, initialise
from searchbench.spaces.operations import ConvBank

TINY = nasbench201(channels=4, cells=1, stages=2)
SHAPE = (1, 6, 6)
FULL = nasbench201()


def images(shape=SHAPE, batch=5, seed=0, dtype=torch.float32):
    return torch.randn((batch, *shape), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_cells(space, number, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def supernet(space=TINY, shape=SHAPE, classes=3, seed=1):
    return initialise(space.builder().supernet(shape, classes), seed)


def random_weights(seed=2, dtype=torch.float32):
    logits = torch.randn((6, 5), generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return torch.softmax(logits, -1).requires_grad_()


def plain_logits(net, inputs, weights, chosen):
    """The supernet's logits, operation by operation as the paper writes them, from the network's own parameters."""

    def operation(op, value, cell, edge):
        target, source = EDGES[edge]
        if op == 1:
            return value
        if op == 4:
            return F.avg_pool2d(value, 3, 1, 1, count_include_pad=False)
        bank = (cell.conv1 if op == 2 else cell.conv3)[source]
        conv = bank.convs[target - source - 1]
        output = F.conv2d(F.relu(value), conv.weight, conv.bias, padding=conv.padding)
        return F.batch_norm(output, None, None, training=True)

    value = net.frame.begin(inputs)
    for at, cell in enumerate(net.cells):
        nodes = [net.frame.enter(at, value)]
        for target in (1, 2, 3):
            total = torch.zeros_like(nodes[0])
            for edge in [e for e, (t, _) in enumerate(EDGES) if t == target]:
                for op in chosen[edge]:
                    if op != 0:
                        total = total + weights[edge][op] * operation(op, nodes[EDGES[edge][1]], cell, edge)
            nodes.append(total)
        value = nodes[3]
    return net.frame.finish(value)


def copy_path(net, supernet, path):
    """Give a stand-alone network the supernet's weights of its path."""
    net.frame.load_state_dict(supernet.frame.state_dict())
    for cell, mixed in zip(net.cells, supernet.cells, strict=True):
        for plan in cell.plans:
            for name, banks, edges in (("conv1", mixed.conv1, plan.conv1), ("conv3", mixed.conv3, plan.conv3)):
                if edges:
                    weight = torch.cat([banks[plan.node].convs[e].weight for e in edges])
                    cell.convs[f"{name} of {plan.node}"].conv.weight.data.copy_(weight)


# -- sizes ------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "classes", "params", "macs"),
    [
        ((3, 32, 32), 10, (73_306, 28_000, 243_040), (7_783_040, 3_932_160, 35_389_440)),
        ((3, 32, 32), 100, (79_156, 28_000, 243_040), (7_788_800, 3_932_160, 35_389_440)),
        ((3, 16, 16), 120, (80_456, 28_000, 243_040), (1_953_280, 983_040, 8_847_360)),
    ],
)
def test_sizes_equal_the_published_formulas_for_any_cell(shape, classes, params, macs):
    for cell in random_cells(FULL, 50):
        edges = (1, cell.values.count("nor_conv_1x1"), cell.values.count("nor_conv_3x3"))
        expected = tuple(sum(n * size for n, size in zip(edges, sizes, strict=True)) for sizes in (params, macs))
        assert FULL.builder().size(cell, shape, classes) == expected


@pytest.mark.parametrize(
    ("operations", "params", "macs"),
    [
        ("none none none none none none", 73_306, 7_783_040),
        ("skip skip skip skip skip skip", 73_306, 7_783_040),
        ("avg avg avg avg avg avg", 73_306, 7_783_040),
        ("c1 c1 c1 c1 c1 c1", 241_306, 31_376_000),
        ("c3 c3 c3 c3 c3 c3", 1_531_546, 220_119_680),
        ("c3 none c3 skip none skip", 559_386, 78_561_920),
        ("c3 c3 avg skip c3 skip", 802_426, 113_951_360),
        ("c3 c3 c3 skip c3 c3", 1_288_506, 184_730_240),
    ],
)
def test_cells_of_the_literature_have_their_sizes(operations, params, macs):
    names = {"none": "none", "skip": "skip_connect", "c1": "nor_conv_1x1", "c3": "nor_conv_3x3", "avg": "avg_pool_3x3"}
    cell = FULL.architecture(tuple(names[short] for short in operations.split()))
    assert FULL.builder().size(cell, (3, 32, 32), 10) == (params, macs)


def test_341_cells_lead_nowhere():
    chosen = (tuple((OPERATIONS.index(str(op)),) for op in cell.values) for cell in FULL.enumerate())
    nowhere = sum(not live_edges(operations) for operations in chosen)
    assert (nowhere, FULL.size - nowhere) == (341, 15_284)


def test_the_supernet_has_the_published_number_of_weights():
    assert sum(p.numel() for p in FULL.builder().supernet((3, 32, 32), 10).parameters()) == 1_692_826


@pytest.mark.parametrize(
    ("skeleton", "shape", "classes", "width"),
    [
        ((16, 5, 3), (3, 32, 32), 10, 1.0),
        ((8, 1, 1), (1, 8, 8), 10, 1.0),
        ((8, 2, 3), (1, 9, 7), 4, 0.4),
        ((3, 1, 4), (2, 5, 3), 7, 2.0),
    ],
)
def test_closed_form_sizes_equal_what_the_network_runs(skeleton, shape, classes, width):
    space = nasbench201(*skeleton)
    builder = space.builder()
    for cell in random_cells(space, 12):
        params, macs = builder.size(cell, shape, classes, width)
        network = builder.network(cell, shape, classes, width)
        counted_params, executed_macs = count(network, shape)
        assert counted_params == params
        assert executed_macs + unused_macs(network, shape, space.settings["cells"]) == macs


def unused_macs(network, shape, cells):
    """MACs of the convolutions on edges that cannot matter: not executed, but counted by convention."""
    _, height, width = shape
    total = 0
    for at, cell in enumerate(network.cells):
        if at and at % cells == 0:
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        total += sum(block.conv.weight.numel() * height * width for block in cell.unused)
    return total


def test_the_same_seed_gives_the_same_weights():
    cell = random_cells(TINY, 1)[0]
    one, two = (initialise(TINY.builder().network(cell, SHAPE, 3), 7) for _ in range(2))
    other = initialise(TINY.builder().network(cell, SHAPE, 3), 8)
    assert torch.equal(one(images()), two(images()))
    assert not torch.equal(one(images()), other(images()))


# -- stand-alone networks ------------------------------------------------------------


def test_dead_edges_are_those_on_no_route_from_input_to_output():
    for cell in TINY.enumerate():
        chosen = tuple((OPERATIONS.index(v),) for v in cell.values)
        edges = {e for e, (op,) in enumerate(chosen) if op != 0}
        routes = [r for r in ((3,), (0, 4), (1, 5), (0, 2, 5)) if edges.issuperset(r)]
        assert live_edges(chosen) == frozenset(e for route in routes for e in route)


def test_a_cell_without_a_route_trains_its_classifier_only():
    cell = TINY.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|")
    network = initialise(TINY.builder().network(cell, SHAPE, 3), 0)
    F.cross_entropy(network(images()), torch.tensor([0, 1, 2, 0, 1])).backward()
    assert network.frame.classifier.bias.grad.abs().sum() > 0
    assert all(p.grad is None for p in network.cells.parameters())


def test_the_all_skip_cell_doubles_its_input_twice():
    cell = TINY.architecture(("skip_connect",) * 6)
    network = initialise(TINY.builder().network(cell, SHAPE, 3), 0)
    value = images((4, 6, 6))
    assert torch.allclose(network.cells[0](value), 4 * value)  # routes: 3, 0-4, 1-5, 0-2-5


def test_edges_of_the_same_source_and_kernel_run_as_one_convolution_with_the_same_result():
    cell = TINY.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|skip_connect~1|skip_connect~2|")
    network = initialise(TINY.builder().network(cell, SHAPE, 3), 0)
    (block,) = network.cells[0].convs.values()
    value = images((4, 6, 6))
    terms = block(F.relu(value)).chunk(3, 1)
    assert torch.allclose(network.cells[0](value), terms[0] + terms[1] + terms[2], atol=1e-6)


# -- the supernet, one path at a time ------------------------------------------------------------


def test_a_path_and_its_architecture_are_each_others_inverse():
    net = supernet()
    for cell in random_cells(TINY, 20):
        assert net.architecture(net.path(cell)) == cell


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_path_computes_what_the_stand_alone_network_with_its_weights_computes(mode):
    net = supernet()
    for cell in random_cells(TINY, 25, seed=3):
        alone = initialise(TINY.builder().network(cell, SHAPE, 3), 9)
        copy_path(alone, net, net.path(cell))
        net.train(mode == "train"), alone.train(mode == "train")
        if mode == "eval":  # the same batch sets the statistics of both
            for network in (net, alone):
                reset(network)
            net.train(), alone.train()
            net(images(seed=4), net.path(cell)), alone(images(seed=4))
            net.eval(), alone.eval()
        assert torch.allclose(net(images(), net.path(cell)), alone(images()), atol=1e-5)


def reset(network):
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()


def test_a_path_executes_exactly_its_convolutions():
    net = supernet()
    for cell in random_cells(TINY, 40, seed=5):
        path = net.path(cell)
        with FlopCounterMode(display=False) as counter:
            net(images(batch=1).expand(2, -1, -1, -1), path)
        live = live_edges(tuple((op,) for op in path))
        executed = tuple(op if e in live else 0 for e, op in enumerate(path))
        assert counter.get_total_flops() == 2 * 2 * net.macs(executed)


def test_a_path_is_charged_like_its_stand_alone_network():
    net = supernet()
    for cell in random_cells(TINY, 40, seed=6):
        assert net.macs(net.path(cell)) == TINY.builder().size(cell, SHAPE, 3)[1]


def test_training_a_path_touches_only_its_own_weights():
    net = supernet()
    path = (3, 2, 0, 1, 4, 3)  # live: 3x3 of 1<-0, 1x1 of 2<-0, skip, pool, 3x3 of 3<-2
    F.cross_entropy(net(images(), path), torch.tensor([0, 1, 2, 0, 1])).backward()
    touched = {name for name, p in net.cells.named_parameters() if p.grad is not None}
    assert touched == {
        f"{cell}.{conv}.weight" for cell in (0, 1) for conv in ("conv3.0.convs.0", "conv1.0.convs.1", "conv3.2.convs.0")
    }


def test_statistics_of_operations_off_the_path_do_not_move():
    net = supernet()
    net(images(), (3, 0, 1, 3, 0, 1))  # 3x3 on the first and third of the edges that leave node 0
    moved = {
        (name, channel)
        for name, bank in net.named_modules()
        if isinstance(bank, ConvBank)
        for channel in bank.norm.running_mean.nonzero()[:, 0].tolist()
    }
    assert moved == {
        (f"cells.{cell}.conv3.0", edge * width + channel)
        for cell, width in ((0, 4), (1, 8))
        for edge in (0, 2)
        for channel in range(width)
    }


# -- the supernet, mixed ------------------------------------------------------------

EVERYTHING = (tuple(range(5)),) * 6


@pytest.mark.parametrize(
    "active",
    [None, ((0, 3), (1, 2), (4,), (2, 3), (0, 1, 2, 3, 4), (3,)), ((3,), (0, 4), (1,), (3, 1), (2,), (4, 2))],
    ids=["all", "some", "apart"],
)
def test_mixed_outputs_and_gradients_equal_the_plain_form(active):
    net = supernet().double()
    targets = torch.tensor([0, 1, 2, 0, 1])
    found = []
    for form in ("ours", "plain"):
        weights = random_weights(dtype=torch.float64)
        net.zero_grad()
        inputs = images(dtype=torch.float64)
        if form == "ours":
            logits = net(inputs, Mixed(weights, active))
        else:
            logits = plain_logits(net, inputs, weights, active or EVERYTHING)
        F.cross_entropy(logits, targets).backward()
        gradients = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None and "bias" not in n}
        found.append((logits.detach(), weights.grad.clone(), gradients))
    (ours, ours_alpha, ours_w), (plain, plain_alpha, plain_w) = found
    assert torch.allclose(ours, plain, atol=1e-10)
    assert torch.allclose(ours_alpha, plain_alpha, atol=1e-10)
    assert ours_w.keys() == plain_w.keys()
    assert all(torch.allclose(ours_w[name], plain_w[name], atol=1e-10) for name in ours_w)


def test_none_takes_its_share_of_the_weights_and_is_never_executed():
    net = supernet()
    weights = random_weights()
    net(images(), Mixed(weights)).sum().backward()
    assert torch.equal(weights.grad[:, 0], torch.zeros(6))
    with_none, without = (net(images(), Mixed(weights, ((*none, 1, 3),) * 6)) for none in ((0,), ()))
    assert torch.equal(with_none, without)


def test_a_mixture_of_one_operation_with_weight_one_is_the_path():
    net = supernet()
    path = (3, 2, 4, 1, 3, 2)
    one_hot = F.one_hot(torch.tensor(path), 5).float()
    mixed = net(images(), Mixed(one_hot, tuple((op,) for op in path)))
    assert torch.allclose(mixed, net(images(), path), atol=1e-5)


@pytest.mark.parametrize("active", [None, ((0, 3), (1, 2), (4, 1), (2, 3), (0, 1, 2, 3, 4), (3,))])
def test_charged_macs_of_a_mixture_are_those_of_its_executed_convolutions(active):
    net = supernet()
    with FlopCounterMode(display=False) as counter:
        net(images(batch=2), Mixed(random_weights(), active))
    flops = counter.get_flop_counts()["Global"]
    convolutions = flops[torch.ops.aten.convolution] + flops[torch.ops.aten.addmm]
    assert convolutions == 2 * 2 * net.macs(Mixed(random_weights(), active))
