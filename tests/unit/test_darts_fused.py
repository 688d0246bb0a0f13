"""The quick form of the DARTS supernet against the form written out: outputs, gradients, running statistics."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from searchbench.spaces.darts.fused import channels_last, convolved_with
from searchbench.spaces.darts.space import darts
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.topology import PLAIN, Form
from searchbench.testing.plain_darts import plain_logits

SHAPE = (1, 8, 8)
FORMS = {
    "plain": PLAIN,
    "partial": Form(partial=2),
    "auxiliary": Form(auxiliary_skip=True),
    "normed nodes": Form(node_norm=True),
}


def supernet(form=PLAIN, channels=4):
    return initialise(darts(channels, 3).builder().supernet(SHAPE, 3, form), 0).double()


def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn((8, *SHAPE), generator=generator, dtype=torch.float64), torch.arange(8) % 3


def logits():
    return torch.randn((28, 8), generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


def mixture(alpha, form, active=None):
    edges = alpha.mean(1).sigmoid() if form.partial > 1 else None
    weights = alpha.softmax(-1)
    weights = weights if edges is None else weights * edges.unsqueeze(1)
    return Mixed(weights.unbind(0), active, edges, auxiliary=0.7 if form.auxiliary_skip else 0.0)


def everything_of(net, alpha, run, active):
    """Loss, gradients of the architecture and the weights, running statistics after one pass."""
    inputs, targets = images()
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.reset_running_stats()
    net.zero_grad(set_to_none=True)
    loss = F.cross_entropy(run(net, inputs, active), targets)
    loss.backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    statistics = {name: b.clone() for name, b in net.named_buffers() if "running" in name}
    return loss.detach(), None if alpha is None else alpha.grad, gradients, statistics


def agree(net, alpha, make, tolerance=1e-12):
    found = []
    for run in (lambda net, inputs, active: net(inputs, active), plain_logits):
        if alpha is not None:
            alpha.grad = None
        found.append(everything_of(net, alpha, run, make()))
    (loss, by_alpha, gradients, statistics), (plain_loss, plain_alpha, plain_gradients, plain_statistics) = found
    assert abs(loss - plain_loss) < tolerance
    if alpha is not None:
        assert torch.allclose(by_alpha, plain_alpha, rtol=0, atol=tolerance)
    assert gradients.keys() == plain_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, plain_gradients[name], rtol=0, atol=tolerance), name
    for name, kept in statistics.items():
        assert torch.allclose(kept, plain_statistics[name], rtol=tolerance, atol=tolerance), name


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_mixture_of_everything_is_the_weighted_sum_written_out(form):
    net, alpha = supernet(form), logits()
    agree(net, alpha, lambda: mixture(alpha, form))


def test_wide_cells_convolve_in_two_steps_to_the_same_numbers(monkeypatch):
    monkeypatch.setattr("searchbench.spaces.darts.fused.DENSE_EXTENT", 0)
    net, alpha = supernet(), logits()
    agree(net, alpha, lambda: mixture(alpha, PLAIN))


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), list(itertools.product((3, 5), (1, 2), (1, 2))))
@pytest.mark.parametrize("depthwise", [True, False])
def test_convolutions_without_dilation_and_padded_taps_are_those_with_them(side, kernel, stride, dilation, depthwise):
    groups, padding = 4 if depthwise else 1, dilation * (kernel - 1) // 2
    conv = nn.Conv2d(4, 8, kernel, stride, padding, dilation, groups, bias=False, dtype=torch.float64)
    generator = torch.Generator().manual_seed(side)
    value = torch.randn((2, 4, side, side + 1), generator=generator, dtype=torch.float64, requires_grad=True)
    last = channels_last(value)
    found, expected = convolved_with(conv.weight, conv, last, groups), conv(value)
    assert torch.allclose(found, expected, atol=1e-12)
    upstream = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    slopes = [torch.autograd.grad(output, (value, conv.weight), upstream) for output in (found, expected)]
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(*slopes, strict=True))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_executing_some_operations_is_the_weighted_sum_of_those(form):
    """As pruned mixtures have it, and those of which one operation was drawn."""
    net, alpha = supernet(form), logits()
    some = [tuple(op for op in range(8) if (op * 7 + row) % 3) for row in range(28)]
    agree(net, alpha, lambda: mixture(alpha, form, some))
    agree(net, alpha, lambda: mixture(alpha, form, [((3 * row) % 8,) for row in range(28)]))


def test_a_path_is_the_sum_of_its_operations():
    net = supernet()
    agree(net, None, lambda: tuple((5 * row) % 8 for row in range(28)))
    agree(net, None, lambda: (0,) * 28)


def test_in_single_precision_both_forms_agree_to_rounding():
    net, alpha = supernet().float(), logits()
    inputs = images()[0].float()
    weights = alpha.detach().float().softmax(-1)
    with torch.no_grad():
        assert torch.allclose(net(inputs, Mixed(weights)), plain_logits(net, inputs, Mixed(weights)), atol=2e-6)


def test_measuring_uses_each_operations_own_statistics():
    net, alpha = supernet(), logits()
    generator = torch.Generator().manual_seed(3)
    for norm in (m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2.0, generator=generator)
    net.eval()
    inputs, active = images()[0], mixture(alpha, PLAIN)
    with torch.no_grad():
        assert torch.allclose(net(inputs, active), plain_logits(net, inputs, active), atol=1e-12)


def test_a_plain_average_over_batches_is_what_norms_without_momentum_keep():
    net = supernet()
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    path, found = (4,) * 28, []
    for run in (lambda net, inputs: net(inputs, path), lambda net, inputs: plain_logits(net, inputs, path)):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for scale in (1.0, 2.0, -1.0):
            run(net, scale * images()[0])
        found.append([norm.running_var.clone() for norm in norms])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-10)
