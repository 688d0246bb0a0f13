from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_training import digits, losses
from torch.utils.flop_counter import FlopCounterMode

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.enas.macro import enas_macro, macro_layers
from searchbench.spaces.networks import Mixed, count, initialise
from searchbench.spaces.recurrent.cells import rnn_loose_ends, rnn_nodes
from searchbench.spaces.recurrent.enas_rnn import enas_rnn

DIGITS = (1, 8, 8), 10
SMALL = enas_macro(layers=5, channels=4, stages=2)


def drawn(space, number, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


# -- the macro space ------------------------------------------------------------


def test_the_macro_space_has_78_decisions_and_its_published_size():
    assert len(enas_macro().decisions) == 78
    assert enas_macro().size == 6**12 * 2**66
    assert enas_macro().size == pytest.approx(1.6e29, rel=0.01)


def test_layers_are_read_off_in_the_order_of_the_controllers_tokens():
    architecture = SMALL.parse("3|1 0|5 01|2 110|0 0000")
    assert list(macro_layers(architecture)) == [
        ("sep5", ()),
        ("sep3", ()),
        ("max3", (1,)),
        ("conv5", (0, 1)),
        ("conv3", ()),
    ]
    assert architecture.values == ("sep5", "sep3", 0, "max3", 0, 1, "conv5", 1, 1, 0, "conv3", 0, 0, 0, 0)


@pytest.mark.parametrize(
    "text", ["", "3|1 0", "3|1 0|5 01|2 110|9 0000", "3|1 0|5 01|2 112|0 0000", "3|1|5 01|2 110|0 0000"]
)
def test_a_misspelt_macro_architecture_is_refused(text):
    with pytest.raises(SpaceError):
        SMALL.parse(text)


def test_a_macro_network_computes_what_its_layers_say():
    architecture = SMALL.parse("3|1 0|5 01|2 110|0 0001")
    network = initialise(SMALL.builder().network(architecture, *DIGITS), 1).eval()
    body, (inputs, _) = network.body, digits(3)
    op = [next(iter(layer.values())) for layer in body.layers]
    stem = body.stem(inputs)
    one = op[0](stem)
    two = body.norms[0](op[1](one))
    stem, one, two = (body.halves[f"1 {at}"](value) for at, value in enumerate((stem, one, two)))
    three = body.norms[1](op[2](two) + one)
    four = body.norms[2](op[3](three) + stem + one)
    five = body.norms[3](op[4](four) + three)
    torch.testing.assert_close(network(inputs), body.classifier(five.mean((2, 3))))


def test_bits_begin_with_the_stem_and_end_before_a_layers_own_input():
    names = [d.name for d in SMALL.decisions if d.name.startswith("skip")]
    assert names[:4] == ["skip 0-2", "skip 0-3", "skip 1-3", "skip 0-4"]
    assert not any(int(before) == int(layer) - 1 for before, layer in (n.split()[1].split("-") for n in names))


def test_published_strings_are_read_as_the_released_code_reads_them():
    # the first twelve layers of the network in the released cifar10_macro_final.sh
    published = (
        "0 3 0 0 1 0 2 0 0 1 2 0 0 0 0 3 1 1 0 1 0 2 0 0 0 0 0 1 2 0 1 1 0 1 1 1 1 0 1 1 1 0 1 0 1 "
        "0 0 0 0 0 0 0 0 0 0 2 0 0 0 0 0 1 0 0 0 0 0 1 0 0 1 1 0 0 0 0 1 1"
    )
    architecture = enas_macro().parse(published)
    layers = list(macro_layers(architecture))
    assert [operation for operation, _ in layers[:4]] == ["conv3", "sep5", "conv3", "conv5"]
    assert layers[2] == ("conv3", (0,))  # the third layer adds the stem's output
    assert layers[5] == ("sep5", (0, 1, 3))
    assert layers[11][1] == (0, 3, 4, 9, 10)  # the tenth layer's the last: the eleventh's is its input
    assert enas_macro().parse(str(architecture)) == architecture
    with pytest.raises(SpaceError, match="12 layers"):
        enas_macro().parse(published + " 0")


def test_a_stand_alone_network_has_no_parts_it_never_uses():
    for architecture in drawn(SMALL, 10):
        network = initialise(SMALL.builder().network(architecture, *DIGITS), 0)
        network(digits(4)[0]).sum().backward()
        assert all(p.grad is not None for p in network.parameters())


def test_a_macro_path_computes_what_the_stand_alone_network_with_its_weights_computes():
    supernet = initialise(SMALL.builder().supernet(*DIGITS), 1)
    shared, (inputs, _) = supernet.state_dict(), digits(6)
    for architecture in drawn(SMALL, 8, seed=2):
        path = supernet.path(architecture)
        assert supernet.architecture(path) == architecture
        alone = initialise(SMALL.builder().network(architecture, *DIGITS), 9)
        alone.load_state_dict({name: shared.get(name, value) for name, value in alone.state_dict().items()})
        torch.testing.assert_close(supernet(inputs, path), alone(inputs))


def test_a_macro_path_executes_exactly_what_it_is_charged_for():
    supernet = initialise(SMALL.builder().supernet(*DIGITS), 1)
    for architecture in drawn(SMALL, 6, seed=4):
        path = supernet.path(architecture)
        with FlopCounterMode(display=False) as counter:
            supernet(digits(2)[0], path)
        assert counter.get_total_flops() == 2 * 2 * supernet.macs(path)
        assert supernet.macs(path) == count(SMALL.builder().network(architecture, *DIGITS), DIGITS[0])[1]


def test_paths_with_an_operation_at_the_same_layer_share_its_weight():
    supernet = initialise(SMALL.builder().supernet(*DIGITS), 1)
    (inputs, targets), touched = digits(6), []
    for text in ("3|1 0|5 01|2 110|0 0000", "3|0 1|5 00|1 000|0 0000"):
        supernet.zero_grad()
        F.cross_entropy(supernet(inputs, supernet.path(SMALL.parse(text))), targets).backward()
        touched.append({".".join(n.split(".")[1:4]) for n, p in supernet.named_parameters() if p.grad is not None})
    layers = [{name for name in names if name.startswith("layers")} for names in touched]
    assert layers[0] == {"layers.0.3", "layers.1.1", "layers.2.5", "layers.3.2", "layers.4.0"}
    assert layers[0] & layers[1] == {"layers.0.3", "layers.2.5", "layers.4.0"}


def test_networks_and_paths_learn_digits():
    architecture = drawn(SMALL, 1, seed=1)[0]
    alone = losses(SMALL.builder().network(architecture, *DIGITS), steps=30, lr=0.03)
    supernet = SMALL.builder().supernet(*DIGITS)
    path = supernet.path(architecture)
    shared = losses(supernet, steps=30, lr=0.03, forward=lambda net, inputs: net(inputs, path))
    assert alone[-1] < 0.8 * alone[0]
    assert shared[-1] < 0.8 * shared[0]


def test_skips_have_no_mixtures():
    with pytest.raises(SpaceError, match="one path at a time"):
        SMALL.builder().supernet(*DIGITS)(digits(2)[0], Mixed([]))


# -- the recurrent space ------------------------------------------------------------


def test_the_recurrent_space_has_its_published_size():
    assert enas_rnn().size == pytest.approx(8.0e15, rel=0.01)


def test_recurrent_loose_ends_are_the_nodes_that_none_reads_and_never_none():
    for architecture in drawn(enas_rnn(), 100):
        ends = rnn_loose_ends(architecture)
        assert set(ends) == set(range(13)) - {source for source, _ in rnn_nodes(architecture)}
        assert 12 in ends


def test_recurrent_cells_that_differ_in_numbering_share_a_key():
    """The distinct cells of three nodes, by key and by trying all ways to number them."""
    space = enas_rnn(nodes=3)

    def numberings(architecture):
        nodes = rnn_nodes(architecture)
        for order in itertools.permutations((1, 2, 3)):
            place = {0: 0, **{node: at for at, node in enumerate(order, 1)}}
            renamed = sorted((place[n], place[source], a) for n, (source, a) in enumerate(nodes, 1))
            if all(source < node for node, source, _ in renamed):
                yield tuple(renamed)

    everything = list(space.enumerate())
    classes = {min(numberings(a)): a.key for a in everything}
    assert len(everything) == 6 * 64
    assert len(set(classes.values())) == len(classes) == len({a.key for a in everything})


@pytest.mark.parametrize("make", [enas_macro, enas_rnn])
def test_impossible_settings_are_refused(make):
    with pytest.raises(StudyError, match="positive"):
        make(**{"nodes" if make is enas_rnn else "layers": 0})
