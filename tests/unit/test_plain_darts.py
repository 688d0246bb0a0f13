"""The supernet of the DARTS space against the form written out: loss and all gradients, in double precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from searchbench.spaces.darts.space import darts
from searchbench.spaces.networks import Mixed, initialise
from searchbench.spaces.topology import PLAIN, Form
from searchbench.testing.plain_darts import plain_logits

FORMS = {
    "plain": PLAIN,
    "partial": Form(partial=2),
    "auxiliary": Form(auxiliary_skip=True),
    "drop": Form(drop_path=True),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_supernet_computes_the_weighted_sum_written_out(form):
    net = initialise(darts(4, 3).builder().supernet((1, 8, 8), 3, form), 0).double()
    inputs = torch.randn((8, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alpha = torch.randn((28, 8), generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    found = []
    for run in (lambda net, inputs, active: net(inputs, active), plain_logits):
        net.zero_grad(set_to_none=True)
        alpha.grad = None
        mixed = Mixed(
            alpha.softmax(-1),
            auxiliary=0.7 * form.auxiliary_skip,
            drop_path=0.4 * form.drop_path,
            noise=torch.Generator().manual_seed(2),
        )
        loss = F.cross_entropy(run(net, inputs, mixed), torch.arange(8) % 3)
        loss.backward()
        found.append([loss.detach(), alpha.grad, *(p.grad for p in net.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-12)
