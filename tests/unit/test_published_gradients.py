"""Logits' gradients in double precision, beside the papers' equations written out edge by edge on the same weights.

What is recorded are the gradients' norms and first entries as that reference gave them; where a released code departs
from its paper, both forms stand here.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny_lab import SPACE, scenario

from searchbench.errors import StudyError
from searchbench.spaces.darts.space import darts as darts_cells
from searchbench.spaces.nasbench201.cells import CONV1, CONV3, LEAVING, NONE, POOL, SKIP
from searchbench.spaces.nasbench201.space import EDGES
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.operations import average_pool
from searchbench.spaces.topology import Form
from searchbench.strategies.differentiable import (
    AuxiliarySkip,
    BinaryGate,
    Concrete,
    GumbelHard,
    Proximal,
    Softmax,
)
from searchbench.strategies.differentiable.extras import UndrawnAsScalars
from searchbench.strategies.differentiable.papers_sampled import gdas, proxyless
from searchbench.strategies.differentiable.turn import Moment, Turn

MOMENT = Moment(epoch=3, epochs=10)


def alpha_of(seed=3, mean=0.0):
    return (mean + torch.randn((6, 5), generator=rng(seed), dtype=torch.float64)).requires_grad_()


def rng(seed):
    return torch.Generator().manual_seed(seed)


def supernet(form):
    net = SPACE.builder().supernet((3, 8, 8), 4, form)
    return initialise(net, 0, torch.device("cpu")).double().train().requires_grad_(False)


IMAGES = torch.randn((6, 3, 8, 8), generator=rng(1), dtype=torch.float64)
TARGETS = torch.tensor([0, 1, 2, 3, 0, 1])


def turn(seed=11, phase="alpha"):
    return Turn(phase, rng(seed), MOMENT, None, SPACE.wiring)


def ours(relax, alpha, extra=None, form=None):
    """The gradient, and the mixture it was taken at."""
    at = turn()
    mixture = relax.mixture(alpha, at)
    if extra is not None:
        mixture, form = extra.dress(mixture, at), extra.form(Form())
    F.cross_entropy(supernet(form or Form())(IMAGES, mixture), TARGETS).backward()
    gradient, alpha.grad = alpha.grad, None
    return gradient, mixture


def reference(alpha, edge, form=None):
    """The gradient of the loss where `edge(e, operations)` is what edge e hands on, operations [5] being lazy."""
    net = supernet(form or Form())
    (cell,) = net.cells
    nodes = [net.frame.begin(IMAGES)]
    for target in (1, 2, 3):
        entering = [e for e, (to, _) in enumerate(EDGES) if to == target]
        nodes.append(sum(edge(e, lambda op, e=e: operated(cell, e, op, nodes[EDGES[e][1]])) for e in entering))
    F.cross_entropy(net.frame.finish(nodes[3]), TARGETS).backward()
    gradient, alpha.grad = alpha.grad, None
    return gradient


def operated(cell, edge, op, value):
    source = EDGES[edge][1]
    at = (LEAVING[source].index(edge),)
    if op == NONE:
        return torch.zeros_like(value)
    if op in (CONV1, CONV3):
        return {CONV1: cell.conv1, CONV3: cell.conv3}[op][source](F.relu(value), at, None)
    return {SKIP: lambda v: v, POOL: average_pool}[op](value)


def noise(seed=11):
    """Gumbel(0, 1), as the generator of `turn` gives them."""
    uniform = torch.rand((6, 5), generator=rng(seed), dtype=torch.float64).clamp(1e-20, 1 - 1e-16)
    return -(-uniform.log()).log()


def soft_at(alpha, tau):
    return ((alpha.log_softmax(-1) + noise()) / tau).softmax(-1)


def weighted(weights):
    return lambda e, run: sum(weights[e, op] * run(op) for op in range(5))


def hard(soft):
    """One-hot at the largest going forward, with the gradient of `soft`."""
    chosen = soft.argmax(-1)
    return F.one_hot(chosen, 5).to(soft) - soft.detach() + soft, chosen


def darts(alpha):
    return reference(alpha, weighted(alpha.softmax(-1)))


def snas(alpha):
    return reference(alpha, weighted(soft_at(alpha, Concrete().tau(3, 10))))


def gdas_of_the_paper(alpha):
    weights, chosen = hard(soft_at(alpha, GumbelHard().tau(3, 10)))
    return reference(alpha, lambda e, run: weights[e, chosen[e]] * run(int(chosen[e])))


def gdas_as_released(alpha):
    weights, chosen = hard(soft_at(alpha, GumbelHard().tau(3, 10)))
    return reference(
        alpha,
        lambda e, run: sum(weights[e, op] * run(op) if op == int(chosen[e]) else weights[e, op] for op in range(5)),
        Form(scalars=True),
    )


def darts_minus(alpha):
    weights = alpha.softmax(-1)
    return reference(
        alpha,
        lambda e, run: sum(weights[e, op] * run(op) for op in range(5)) + 0.7 * run(SKIP),
        Form(auxiliary_skip=True),
    )


def nasp(alpha):
    # NAS-Bench-201 keeps every edge: the proximal step keeps each edge's largest logit
    weights = F.one_hot(alpha.argmax(-1), 5).to(alpha) - alpha.detach() + alpha
    return reference(alpha, weighted(weights))


@pytest.mark.parametrize(
    ("relax", "extra", "mean", "published", "norm", "first"),
    [
        (Softmax(), None, 0.0, darts, 0.008999604588, 0.00412160211),
        (Concrete(), None, 0.0, snas, 0.005665653937, -0.003330986338),
        (GumbelHard(), None, 0.0, gdas_of_the_paper, 0.0001067536069, -5.855622918e-09),
        (GumbelHard(), UndrawnAsScalars(), 0.0, gdas_as_released, 0.0001075762431, -1.184755553e-05),
        (Softmax(), AuxiliarySkip(), 0.0, darts_minus, 0.0019904532, -4.157698296e-05),
        (Proximal(), None, 0.5, nasp, 0.05486610658, 0.03491616078),
    ],
    ids=["DARTS", "SNAS", "GDAS", "GDAS as released", "DARTS-", "NASP"],
)
def test_logits_gradients_are_those_of_the_equations(relax, extra, mean, published, norm, first):
    found, _ = ours(relax, alpha_of(mean=mean), extra)
    expected = published(alpha_of(mean=mean))
    assert float((found - expected).norm() / expected.norm()) < 1e-12
    assert float(found.norm()) == pytest.approx(norm, rel=1e-7)
    assert float(found[0, 1]) == pytest.approx(first, rel=1e-4, abs=1e-12)


def test_undrawn_operations_change_nothing_going_forward_but_the_logits_gradient():
    alpha, at = alpha_of(), turn()
    mixture = GumbelHard().mixture(alpha, at)
    dressed = UndrawnAsScalars().dress(mixture, at)
    assert torch.equal(dressed.scalars, torch.zeros(6, dtype=torch.float64))
    plain, released = (
        supernet(form)(IMAGES, mixed) for form, mixed in ((Form(), mixture), (Form(scalars=True), dressed))
    )
    assert torch.allclose(plain, released, atol=1e-12)
    assert UndrawnAsScalars().dress(mixture, turn(phase="w")) is mixture


def test_a_node_that_nothing_enters_passes_the_gradient_of_the_undrawn_on():
    number = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    drawn = [NONE, CONV3, SKIP, NONE, NONE, CONV3]  # nothing enters node 1, whose skip goes to node 2
    rows = F.one_hot(torch.tensor(drawn), 5).double()
    net = supernet(Form(scalars=True))
    mixture = Mixed(rows.unbind(0), [(op,) for op in drawn], scalars=number)
    F.cross_entropy(net(IMAGES, mixture), TARGETS).backward()
    assert float(number.grad[0].abs()) > 1e-9
    assert float(number.grad[0]) == pytest.approx(float(number.grad[1]), rel=1e-9)


@pytest.mark.parametrize("mode", ["two", "full"])
def test_the_released_gate_skips_an_edge_whose_active_operation_is_a_zero(mode):
    def moved(zero):
        alpha, at = alpha_of(), turn()
        gate = BinaryGate(mode, zero)
        mixture = gate.mixture(alpha, at)
        F.cross_entropy(supernet(Form())(IMAGES, mixture), TARGETS).backward()
        before = alpha.detach().clone()
        with torch.no_grad():
            alpha -= alpha.grad.sign() + 0.5  # as an optimiser with momentum moves what has no gradient
            gate.settle(alpha, before, mixture, at)
        zeros = torch.stack([row.argmax() == NONE for row in mixture.weights])
        return zeros, alpha.grad, (alpha != before).any(-1)

    zeros, gradient, changed = moved("skips")
    _, whole, _ = moved("moves")
    assert 0 < int(zeros.sum()) < 6
    assert not gradient[zeros].any()
    assert torch.equal(gradient[~zeros], whole[~zeros])
    assert not changed[zeros].any()
    assert changed[~zeros].all()


def test_released_forms_are_options_by_name_and_refused_where_they_cannot_be():
    assert gdas(gradient="all").form().changed == ("scalars",)
    assert gdas(gradient="all").unsupported(scenario()) is None
    cells = scenario(space=darts_cells(4, 3))
    assert "no form with scalars" in gdas(gradient="all").unsupported(cells)
    assert proxyless(zero="skips").relax == BinaryGate("two", "skips")
    with pytest.raises(StudyError, match='"drawn" or "all"'):
        gdas(gradient="some")
    with pytest.raises(StudyError, match='"moves" or "skips"'):
        proxyless(zero="waits")
