"""DrNAS, progressive: a supernet that is pruned and widened half-way, and goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_cells import SMALL, rng
from test_differentiable_darts import cell_lab
from tiny_lab import lab, scenario

from searchbench.errors import StudyError
from searchbench.harness.running.loop import drive
from searchbench.spaces.darts.space import darts as darts_space
from searchbench.strategies.differentiable import FullEdges, MoreChannels
from searchbench.strategies.differentiable.papers_sampled import drnas_progressive
from searchbench.strategies.differentiable.widen import widened


def test_a_wider_kernel_has_what_there_was_and_copies_of_it():
    before = {"kernel": torch.arange(8.0).view(2, 2, 2), "same": torch.ones(3)}
    after = widened(before, {"kernel": torch.zeros(4, 3, 2), "same": torch.zeros(3)}, rng(1))
    assert torch.equal(after["same"], before["same"])
    kernel = after["kernel"]
    assert kernel.shape == (4, 3, 2)
    assert torch.equal(kernel[:2, :2], before["kernel"])
    rows = [row.tolist() for row in before["kernel"]]
    assert all(row.tolist() in rows for row in kernel[:, :2])
    assert any(torch.equal(kernel[:, 2], kernel[:, at]) for at in range(2))


def test_half_of_the_operations_stay_after_half_of_the_epochs():
    weights = torch.tensor([[0.2, 0.3, 0.5]] * 5)
    mask, part = torch.ones(5, 3, dtype=torch.bool), MoreChannels()
    assert torch.equal(part.after_epoch(weights, mask, 3, 10, SMALL), mask)
    assert part.after_epoch(weights, mask, 4, 10, SMALL)[0].tolist() == [False, True, True]
    assert [part.divisor(part.stage(epoch, 10).number) for epoch in (0, 4, 5, 9)] == [4, 4, 2, 2]


def test_weights_logits_and_their_optimiser_go_on_in_a_wider_supernet():
    metered = lab()
    search = drnas_progressive(epochs=4, batch_size=20, divisors=(3, 1), warmup=0).start(metered.scenario)
    search.advance(metered)
    search.advance(metered)
    before = search._session.trained
    state = {name: value.clone() for name, value in before.supernet.state_dict().items()}
    alpha, rate = before.alpha.detach().clone(), before.weight_optimizer.param_groups[0]["lr"]
    after = search._begin(metered)
    assert after is not before
    assert after.mask.sum(1).tolist() == [3] * 6  # of five
    assert torch.equal(after.alpha, alpha)
    assert after.alpha_optimizer.state[after.alpha]["step"] == before.alpha_optimizer.state[before.alpha]["step"]
    for name, value in after.supernet.state_dict().items():
        inside = tuple(slice(0, size) for size in state[name].shape)
        assert torch.equal(value[inside], state[name]), name
    kernels = [(before.supernet.cells[0].conv3[0].convs[0], 1), (after.supernet.cells[0].conv3[0].convs[0], 3)]
    assert [conv.weight.shape[0] for conv, _ in kernels] == [width for _, width in kernels]
    search.advance(metered)
    assert after.weight_optimizer.param_groups[0]["lr"] < rate  # along one cosine, not from the first rate again


def test_the_rate_falls_over_both_halves():
    metered = lab()
    search = drnas_progressive(epochs=4, batch_size=20, divisors=(3, 1)).start(metered.scenario)
    rates = []
    while not search.done:
        search.advance(metered)
        rates.append(search._session.trained.weight_optimizer.param_groups[0]["lr"])
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 4


def test_cells_of_darts_are_widened_too():
    metered = cell_lab(darts_space(4, 3))
    search = drnas_progressive(epochs=2, batch_size=64).start(metered.scenario)
    drive(search, metered)
    assert search._session.trained.mask.sum(1).tolist() == [4] * 28
    assert search._session.trained.supernet.form.partial == 2


def test_what_cannot_be_widened_is_refused():
    assert "channels divisible by 4" in drnas_progressive().unsupported(scenario())
    assert "must drop some" in drnas_progressive(divisors=(3, 1), keep=5).unsupported(scenario())
    with pytest.raises(StudyError, match="begins with a part of its channels"):
        replace(drnas_progressive(), edges=FullEdges())
    with pytest.raises(StudyError, match="so `divisors` fall"):
        MoreChannels((2, 4))
    with pytest.raises(StudyError, match="at least 2 operations"):
        MoreChannels(keep=1)
