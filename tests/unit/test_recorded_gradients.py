"""Losses and logits' gradients in double precision beside those that the authors' programs gave on the same weights.

Recorded by `benchmarks/record_published_gradients.py` into published_gradients.json: GDAS and SETN of AutoDL-Projects,
NASP, SNAS, DARTS-, DenseNAS and OLES of their authors' repositories.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest
import torch
import torch.nn.functional as F
from named_weights import CELLS, CHANNELS, CLASSES, PAIR, TARGETS, TAU, images, logits_of, normal, put, put_convolutions

from searchbench.spaces.chains.densenas import END, HEADS, densenas
from searchbench.spaces.darts.nasp import darts_nasp
from searchbench.spaces.darts.space import darts
from searchbench.spaces.nasbench201.cells import EDGES, LEAVING
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import initialise
from searchbench.spaces.topology import Form
from searchbench.strategies.differentiable import (
    AuxiliarySkip,
    Concrete,
    GumbelHard,
    LikeliestRoute,
    OperationStop,
    Proximal,
    RoutedEdges,
    Softmax,
    SoftPair,
    Template,
    relaxation_pair,
)
from searchbench.strategies.differentiable.discretise import path_of
from searchbench.strategies.differentiable.extras import UndrawnAsScalars
from searchbench.strategies.differentiable.regularise import expected_cost
from searchbench.strategies.differentiable.routes import costs_of_routes
from searchbench.strategies.differentiable.turn import Moment, Turn

RECORDED = json.loads(Path(__file__).with_name("published_gradients.json").read_text(encoding="utf-8"))
SHAPE = (3, 8, 8)


def built(space, form):
    net = initialise(space.builder().supernet(SHAPE, CLASSES, form), 0, torch.device("cpu"))
    return net.double().train().requires_grad_(False)


def cell_of_201(form):
    net = built(nasbench201(channels=CHANNELS, cells=1, stages=1), form)
    for name, part in (("stem", net.frame.stem), ("last", net.frame.norm), ("classifier", net.frame.classifier)):
        put(name, part)
    (cell,) = net.cells
    for edge, (_, source) in enumerate(EDGES):
        for name, banks in (("nor_conv_1x1", cell.conv1), ("nor_conv_3x3", cell.conv3)):
            put(f"edge {edge} {name}", banks[source].convs[LEAVING[source].index(edge)])
    return net


def cells_of_darts(space, form):
    net = built(space, form)
    put("stem", net.stem)
    put("classifier", net.classifier)
    for number, (cell, skips) in enumerate(zip(net.cells, net.skips, strict=True)):
        put(f"cell {number} first", cell.first)
        put(f"cell {number} second", cell.second)
        for edge, mixed in enumerate(cell.edges):
            for name, operation in mixed.operations.items():
                put(f"cell {number} edge {edge} {name}", operation)
        for edge, skip in skips.items():
            put(f"cell {number} edge {edge} auxiliary", skip)
    return net


def of_two_cells():
    return torch.cat([logits_of(14, 8, "normal"), logits_of(14, 8, "reduce")])


def of_nasp():
    """Logits of the normal cell's eight operations and of the reduction cell's five, among all twelve."""
    operations = darts_nasp(CHANNELS, CELLS).wiring.operations
    alpha = torch.zeros(28, len(operations), dtype=torch.float64)
    for name, rows in LISTS.items():
        columns = [operations.index(op) for op in rows]
        at = torch.arange(14).unsqueeze(1) + 14 * (name == "reduce")
        alpha[at, torch.tensor(columns)] = logits_of(14, len(rows), name).sigmoid()
    return alpha


LISTS = {  # in the order of the program's lists
    "normal": ("skip_connect", "conv_3x1_1x3", "dil_conv_3x3", "conv_1x1", "conv_3x3", "sep_conv_3x3", "sep_conv_5x5",
               "sep_conv_7x7"),
    "reduce": ("skip_connect", "avg_pool_3x3", "max_pool_3x3", "max_pool_5x5", "max_pool_7x7"),
}  # fmt: skip


def found(net, relax, alpha, topology, extra=None, mask=None):
    """Our loss, and its gradient at every logit."""
    alpha = alpha.clone().requires_grad_()
    turn = Turn("alpha", torch.Generator().manual_seed(crc32(b"gumbel")), Moment(3, 10), mask, topology)
    mixture = relax.mixture(alpha, turn)
    if extra is not None:
        mixture = extra.dress(mixture, turn)
    loss = F.cross_entropy(net(images(), mixture), TARGETS)
    loss.backward()
    return float(loss.detach()), alpha.grad


def held(name, loss, gradient):
    expected = RECORDED[name]
    assert loss == pytest.approx(expected["loss"], rel=1e-12)
    expected = torch.tensor(expected["gradient"], dtype=torch.float64)
    assert float((gradient - expected).norm() / expected.norm()) < 1e-12


def test_gdas_as_released_for_nasbench201():
    topology = nasbench201().wiring
    held("gdas", *found(cell_of_201(Form(scalars=True)), GumbelHard(TAU, TAU), logits_of(6, 5), topology,
                        UndrawnAsScalars()))  # fmt: skip


def test_gdas_of_the_paper_has_the_released_loss_but_not_its_gradient():
    loss, gradient = found(cell_of_201(Form()), GumbelHard(TAU, TAU), logits_of(6, 5), nasbench201().wiring)
    assert loss == pytest.approx(RECORDED["gdas"]["loss"], rel=1e-12)
    released = torch.tensor(RECORDED["gdas"]["gradient"], dtype=torch.float64)
    assert float(F.cosine_similarity(gradient.flatten(), released.flatten(), dim=0)) < 0.999


def test_setn_moves_its_logits_through_all_operations():
    held("setn", *found(cell_of_201(Form()), Template(), logits_of(6, 5), nasbench201().wiring))


def test_darts_minus_adds_a_skip_to_every_edge():
    extra, space = AuxiliarySkip(), darts(CHANNELS, CELLS)
    net = cells_of_darts(space, extra.form(Form()))
    held("darts-minus", *found(net, Softmax(), of_two_cells(), space.wiring, extra))  # at 0.7, in epoch 3 of 10


def test_snas_draws_from_the_concrete_distribution():
    space = darts(CHANNELS, CELLS)
    held("snas", *found(cells_of_darts(space, Form()), Concrete(TAU, TAU), of_two_cells(), space.wiring))


def test_oles_compares_the_gradients_of_either_player_as_released():
    space = darts(CHANNELS, CELLS)
    net = cells_of_darts(space, Form()).requires_grad_()
    weights, part = list(net.parameters()), OperationStop(compared="accumulated")
    mixture = Softmax().mixture(of_two_cells(), Turn())
    loss = F.cross_entropy(net(images(), mixture), TARGETS)
    assert float(loss.detach()) == pytest.approx(RECORDED["oles"]["loss"], rel=1e-12)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights, 5.0)
    learnt = {weight: weight.grad.clone() for weight in weights if weight.grad is not None}
    net.zero_grad()
    F.cross_entropy(net(images("validation images"), mixture), TARGETS).backward()
    found = [
        part.similarity([learnt[w] for w in own], [w.grad for w in own])
        for number, cell in enumerate(net.cells)
        for edge, mixed in enumerate(cell.edges)
        for name, operation in mixed.operations.items()
        if "conv" in name and (own := list(operation.parameters()))
    ]
    assert found == pytest.approx(list(RECORDED["oles"]["cosines"].values()), abs=1e-10)
    assert min(found) < 0.4 < max(found)  # the threshold of the released code


def test_nasp_takes_its_gradient_at_a_proximal_step():
    space = darts_nasp(CHANNELS, CELLS)
    operations = space.wiring.operations
    mask = torch.zeros(28, len(operations), dtype=torch.bool)
    for edge, allowed in enumerate(space.wiring.allowed):
        mask[edge, list(allowed)] = True
    loss, gradient = found(cells_of_darts(space, Form()), Proximal(), of_nasp(), space.wiring, mask=mask)
    expected = RECORDED["nasp"]
    assert loss == pytest.approx(expected["loss"], rel=1e-12)
    for edge, row in enumerate(expected["gradient"]):
        names = LISTS["normal" if edge < 14 else "reduce"]
        ours = gradient[edge, [operations.index(name) for name in names]]
        assert torch.allclose(ours, torch.tensor(row, dtype=torch.float64), rtol=1e-9, atol=1e-10), edge


def name_of(way, supernet):
    """What a connection is called in the record, and the way on to its block."""
    width = {0: "fixed", **{each.target: each.block.rpartition("_")[2] for each in supernet.connections}}
    target = "end" if way.block == END else width[way.target]
    name = f"{target} from {width[way.source]}"
    return (name, f"way {name}") if way.layer == 1 else (f"{target} layer {way.layer - 2}", None)


def logits_of_routes(supernet, draw="logits"):
    alpha = torch.zeros(len(supernet.connections), len(supernet.operations), dtype=torch.float64)
    beta = torch.zeros(len(alpha), dtype=torch.float64)
    for row, way in enumerate(supernet.connections):
        name, way_on = name_of(way, supernet)
        if way.block != END:
            alpha[row, : len(way.options)] = normal(f"{draw} of {name}", (len(way.options),))
        if way_on is not None:
            beta[row] = normal(f"{draw} of {way_on}", ())
    return alpha.requires_grad_(), beta.requires_grad_()


def mask_of(topology):
    mask = torch.zeros(len(topology.edges), len(topology.operations), dtype=torch.bool)
    for edge, allowed in enumerate(topology.allowed):
        mask[edge, list(allowed)] = True
    return mask


def blocks():
    space = densenas(CHANNELS, CHANNELS, ((4, 6), (8,)), (2, 1), 2, 12)
    net = built(space, Form(routes=True))
    for name, part in (("stem", net.frame.stem[0]), ("fixed", net.frame.stem[1]), ("end 8", net.frame.ends["8"]),
                       ("classifier", net.frame.classifier)):  # fmt: skip
        put_convolutions(name, part)
    for way in net.connections:
        for op, operation in enumerate(HEADS if way.block != END else ()):
            name = f"{name_of(way, net)[0]} {op}".replace("layer 0", "layer")
            put_convolutions(name, net.frame.layers[f"{way.weights}_{operation}"])
    return net, space.wiring


def held_by_name(name, net, value, alpha, beta):
    expected = RECORDED[name]
    assert float(value.detach()) == pytest.approx(expected["loss"], rel=1e-12)
    gradients = zip(*torch.autograd.grad(value, (alpha, beta)), strict=True)
    ours, theirs = [], []
    for way, (operations, on) in zip(net.connections, gradients, strict=True):
        name, way_on = name_of(way, net)
        for recorded, found in ((name, operations[: len(way.options)]), (way_on, on.reshape(1))):
            if recorded in expected["named"]:
                ours.append(found)
                theirs.append(torch.tensor(expected["named"][recorded], dtype=torch.float64).reshape(-1))
    ours, theirs = torch.cat(ours), torch.cat(theirs)
    assert len(ours) == sum(len(row) if isinstance(row, list) else 1 for row in expected["named"].values())
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-12


def test_densenas_moves_the_logits_of_pairs_and_of_ways_on(monkeypatch):
    net, topology = blocks()
    alpha, beta = logits_of_routes(net)
    pairs = torch.zeros(alpha.shape, dtype=torch.bool)
    for row, way in enumerate(net.connections):
        pairs[row, list(PAIR) if way.block != END else [len(net.operations) - 1]] = True
    monkeypatch.setattr(relaxation_pair, "drawn_pair", lambda *_: pairs)
    mixture = RoutedEdges().dress(SoftPair().mixture(alpha, Turn(mask=mask_of(topology))), beta, topology)
    held_by_name("densenas", net, F.cross_entropy(net(images(), mixture), TARGETS), alpha, beta)


def test_densenas_estimates_the_cost_of_a_chain():
    net, topology = blocks()
    alpha, beta = logits_of_routes(net)
    weights = SoftPair().weights(alpha, Turn(mask=mask_of(topology)))
    rows, fixed = costs_of_routes(topology, net.macs)
    macs = {"costs": torch.tensor(rows), "fixed_cost": fixed}
    game = SimpleNamespace(activated=lambda: weights, beta=beta, topology=topology, sampling=RoutedEdges(), **macs)
    held_by_name("densenas-cost", net, expected_cost(game) / 1e6, alpha, beta)


def test_densenas_derives_the_routes_of_its_program():
    space = densenas(16, 16, ((24, 32), (40, 48), (56, 64)), (2, 2, 2), 3, 80)
    net = space.builder().supernet(SHAPE, CLASSES, Form(routes=True))
    for draw, derived in enumerate(RECORDED["densenas-routes"]["derived"]):
        alpha, beta = (logits.detach() for logits in logits_of_routes(net, f"draw {draw}"))
        weights = SoftPair().weights(alpha, Turn(mask=mask_of(space.wiring)))
        weights = weights * RoutedEdges().weights(beta, space.wiring).unsqueeze(1)
        architecture = net.architecture(path_of(LikeliestRoute().choose(weights.numpy(), space.wiring), space.wiring))
        _, *blocks, _ = derived
        named = [f"{width[1]}:" + " ".join(op.replace("mbconv_", "").replace("_t", "e") for op in (head, *stacked))
                 for width, head, stacked, *_ in blocks]  # fmt: skip
        assert architecture.key.replace("|", "/").split("/") == named
