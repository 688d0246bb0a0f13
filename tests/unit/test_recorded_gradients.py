"""Losses and logits' gradients in double precision beside those that the authors' programs gave on the same weights.

Recorded by `benchmarks/record_published_gradients.py` into published_gradients.json: GDAS and SETN of AutoDL-Projects,
NASP, SNAS and DARTS- of their authors' repositories.
"""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import pytest
import torch
import torch.nn.functional as F
from named_weights import CELLS, CHANNELS, CLASSES, TARGETS, TAU, images, logits_of, put

from searchbench.spaces.darts.nasp import darts_nasp
from searchbench.spaces.darts.space import darts
from searchbench.spaces.nasbench201.cells import EDGES, LEAVING
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import initialise
from searchbench.spaces.topology import Form
from searchbench.strategies.differentiable import AuxiliarySkip, Concrete, GumbelHard, Proximal, Softmax, Template
from searchbench.strategies.differentiable.extras import UndrawnAsScalars
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
