"""Zero-cost proxies: their definitions, invariances, prices and failures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from searchbench.cost import Budget
from searchbench.errors import InputError, StudyError
from searchbench.estimators.proxies import (
    PROXIES,
    codes,
    epe_nas,
    fisher,
    grad_norm,
    grasp,
    jacob_cov,
    l2_norm,
    nwot,
    plain,
    snip,
    synflow,
    zen,
)
from searchbench.estimators.zero_cost import PASSES, ZeroCost
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study
from searchbench.harness.running.lab import MeteredLab
from searchbench.harness.running.loop import drive
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_trials
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.networks import initialise
from searchbench.strategies.strategy import Scenario
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Batch
from searchbench.trial import FULL, Fidelity, Proposal

SPACE = nasbench201(channels=4, cells=1, stages=2)
CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|"
SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


def network(text: str = CELL, seed: int = 0) -> nn.Module:
    built = SPACE.builder().network(SPACE.parse(text), (1, 8, 8), 10)
    return initialise(built, seed).train()  # type: ignore[no-any-return]


def batch(seed: int = 0, size: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(torch.randn(size, 1, 8, 8, generator=generator), torch.randint(10, (size,), generator=generator))


class Small(nn.Module):
    """Two layers one can differentiate by hand."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.first, self.second = nn.Linear(64, 6, bias=False), nn.Linear(6, 10, bias=False)
        with torch.no_grad():
            for part in (self.first, self.second):
                part.weight.uniform_(-0.5, 0.5, generator=generator)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(inputs.flatten(1))))  # type: ignore[no-any-return]


def test_snip_is_the_sensitivity_to_a_mask_on_every_weight() -> None:
    made, given = Small(), batch()
    masks = [torch.ones_like(p, requires_grad=True) for p in made.parameters()]
    hidden = torch.relu(given.inputs.flatten(1) @ (made.first.weight * masks[0]).T)
    loss = F.cross_entropy(hidden @ (made.second.weight * masks[1]).T, given.targets)
    slopes = torch.autograd.grad(loss, masks)
    assert snip(made, given) == pytest.approx(sum(float(s.abs().sum()) for s in slopes), rel=1e-5)


def test_plain_keeps_the_signs_and_l2_norm_needs_no_data() -> None:
    made, given = Small(), batch()
    slopes = torch.autograd.grad(F.cross_entropy(made(given.inputs), given.targets), list(made.parameters()))
    pairs = list(zip(slopes, made.parameters(), strict=True))
    assert plain(made, given) == pytest.approx(sum(float((g * w.detach()).sum()) for g, w in pairs), rel=1e-5)
    assert l2_norm(made, given) == pytest.approx(sum(float(w.detach().norm()) for _, w in pairs))
    assert l2_norm(made, given) == l2_norm(made, batch(1))


def test_epe_nas_correlates_within_each_class() -> None:
    """Beside a plain form of the published definition, in numpy."""
    made, given = Small().double(), batch(size=30)
    given = Batch(given.inputs.double(), given.targets % 4)
    rows = []
    for picture in given.inputs:
        image = picture.clone().unsqueeze(0).requires_grad_()
        made(image).sum().backward()
        assert image.grad is not None
        rows.append(image.grad.numpy().ravel())
    expected = 0.0
    for label in range(4):
        own = [row for row, target in zip(rows, given.targets.tolist(), strict=True) if target == label]
        expected += abs(np.log(np.abs(np.corrcoef(own)) + 1e-5).sum())
    assert epe_nas(made, given) == pytest.approx(expected, rel=1e-6)
    assert math.isnan(epe_nas(made, Batch(given.inputs[:4], torch.arange(4))))


class Pooled(nn.Module):
    """A convolution whose average is classified, with a batch norm or without."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.conv, self.classifier = nn.Conv2d(1, 5, 3, bias=False), nn.Linear(5, 10)
        self.norm = nn.BatchNorm2d(5) if norm else nn.Identity()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.norm(self.conv(inputs)).mean((2, 3)))  # type: ignore[no-any-return]


def test_zen_of_a_linear_network_is_the_noise_it_passes_and_batch_norms_are_undone() -> None:
    given, generator = batch(), torch.Generator().manual_seed(0)
    expected = 0.0
    for _ in range(4):
        weight, _ = torch.randn(5, 1, 3, 3, generator=generator), torch.randn(10, 5, generator=generator)
        torch.randn(given.inputs.shape, generator=generator)
        passed = F.conv2d(torch.randn(given.inputs.shape, generator=generator), weight)
        expected += math.log(0.01 * float(passed.abs().sum((1, 2, 3)).mean())) / 4
    assert zen(Pooled(norm=False), given) == pytest.approx(expected, rel=1e-3)
    assert zen(Pooled(norm=True), given) == pytest.approx(expected, abs=0.3)  # a mean variance for five
    assert zen(Pooled(norm=True), given) == zen(Pooled(norm=True), batch(1))
    assert math.isnan(zen(Small(), given))


def test_zen_puts_back_what_a_batch_norm_divides_by() -> None:
    given, generator, expected = batch(), torch.Generator().manual_seed(0), 0.0
    for _ in range(4):
        weight, _ = torch.randn(5, 1, 3, 3, generator=generator), torch.randn(10, 5, generator=generator)
        image, noise = (torch.randn(given.inputs.shape, generator=generator) for _ in range(2))
        plain, moved = F.conv2d(image, weight).double(), F.conv2d(image + 0.01 * noise, weight).double()
        normed = [(x - x.mean((0, 2, 3), True)) / (x.var((0, 2, 3), False, True) + 1e-5).sqrt() for x in (plain, moved)]
        expected += math.log(float((normed[1] - normed[0]).abs().sum((1, 2, 3)).mean())) / 4
        expected += 0.5 * math.log(float(plain.var((0, 2, 3), False).mean())) / 4
    assert zen(Pooled(norm=True), given) == pytest.approx(expected, abs=3e-4)


def test_all_thirteen_proxies_of_the_suite_are_there() -> None:
    assert len(PASSES) == 13
    assert set(PROXIES) == set(PASSES) - {"params", "macs"}


def test_grad_norm_sums_norms_over_layers() -> None:
    made, given = Small(), batch()
    slopes = torch.autograd.grad(F.cross_entropy(made(given.inputs), given.targets), list(made.parameters()))
    assert grad_norm(made, given) == pytest.approx(sum(float(s.norm()) for s in slopes), rel=1e-5)


def test_grasp_agrees_with_a_finite_difference_of_the_gradient() -> None:
    made, given = Small().double(), batch()
    given = Batch(given.inputs.double(), given.targets)

    def slopes() -> list[torch.Tensor]:
        return list(torch.autograd.grad(F.cross_entropy(made(given.inputs), given.targets), list(made.parameters())))

    weights, step = [p.detach().clone() for p in made.parameters()], 1e-6
    before = slopes()
    with torch.no_grad():
        for parameter, slope in zip(made.parameters(), before, strict=True):
            parameter.add_(step * slope)
    after = slopes()
    with torch.no_grad():
        for parameter, weight in zip(made.parameters(), weights, strict=True):
            parameter.copy_(weight)
    product = sum(float((w * (a - b)).sum()) / step for w, a, b in zip(weights, after, before, strict=True))
    assert grasp(made, given) == pytest.approx(-product, rel=1e-3)


def test_fisher_is_the_squared_sensitivity_of_activations() -> None:
    made, given = Small(), batch()
    hidden = made.first(given.inputs.flatten(1))
    output = made.second(torch.relu(hidden))
    slopes = torch.autograd.grad(F.cross_entropy(output, given.targets), [hidden, output])
    expected = sum(((a * g) ** 2).mean(0).sum() / 2 for a, g in zip((hidden, output), slopes, strict=True))
    assert fisher(made, given) == pytest.approx(float(expected.detach()), rel=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize("proxy", ["snip", "grad_norm", "fisher", "grasp"])
def test_order_of_the_minibatch_does_not_matter(proxy: str) -> None:
    given, made = batch(), network()
    order = torch.randperm(len(given), generator=torch.Generator().manual_seed(3))
    shuffled = Batch(given.inputs[order], given.targets[order])
    assert PROXIES[proxy](made, given) == pytest.approx(PROXIES[proxy](made, shuffled), rel=1e-3)


def test_synflow_ignores_data_and_signs_and_leaves_the_network_as_it_was() -> None:
    made = network()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    score = synflow(made, batch(0))
    after = made.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert next(made.parameters()).dtype == torch.float32
    assert synflow(made, batch(7)) == score
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.neg_()
    assert synflow(made, batch(0)) == score


def test_scaling_one_layer_scales_synflow_alike() -> None:
    made = Small()
    score = synflow(made, batch())
    with torch.no_grad():
        made.first.weight *= 3.0
    assert synflow(made, batch()) == pytest.approx(3 * score)


def test_diagonal_of_the_code_kernel_counts_the_rectified_units() -> None:
    made, given = Small(), batch()
    assert codes(made, given).kernel.diagonal().tolist() == [6.0] * len(given)  # type: ignore[union-attr]
    whole = codes(network(), given)
    assert whole.kernel.diagonal().tolist() == [float(whole.units)] * len(given)  # type: ignore[union-attr]
    assert math.isfinite(nwot(network(), given))


def test_equal_samples_are_indistinguishable_to_nwot() -> None:
    given = batch(size=4)
    twice = Batch(given.inputs[[0, 0, 1, 2]], given.targets)
    assert nwot(network().eval(), twice) < nwot(network().eval(), given) - 10


def test_jacob_cov_is_highest_for_uncorrelated_samples() -> None:
    given = batch()
    same = Batch(given.inputs[:1].expand(12, -1, -1, -1) + 1e-4 * given.inputs, given.targets)
    assert jacob_cov(Small(), given) > jacob_cov(Small(), same)
    assert jacob_cov(Small(), given) < -12  # all eigenvalues 1 would give 0 + B


def test_jacob_cov_is_of_the_correlations_between_samples() -> None:
    """Beside a plain form of the published definition, in numpy."""
    made, given = Small().double(), batch()
    inputs = given.inputs.double().requires_grad_()
    made(inputs).sum().backward()
    assert inputs.grad is not None
    values = np.linalg.eigvalsh(np.corrcoef(inputs.grad.flatten(1).numpy())) + 1e-5
    expected = -float((np.log(values) + 1 / values).sum())
    assert jacob_cov(made, Batch(given.inputs.double(), given.targets)) == pytest.approx(expected, rel=1e-6)


class Silent(nn.Module):
    """Its output does not depend on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs.flatten(1) * 0.0)  # type: ignore[no-any-return]


def test_what_is_undefined_is_nan() -> None:
    assert math.isnan(jacob_cov(Silent(), batch()))
    assert math.isnan(nwot(Silent(), batch()))


@pytest.mark.parametrize("proxy", PASSES)
def test_every_proxy_scores_cells_of_the_space_and_repeats_itself(proxy: str) -> None:
    estimator = ZeroCost(proxy, 16).open(SPACE, Digits(), Seeds("s", 0))
    full = estimator.complete(FULL)
    measured, cost = estimator.evaluate(SPACE.parse(CELL), full, seed=3)
    again, _ = estimator.evaluate(SPACE.parse(CELL), full, seed=3)
    assert measured.value == again.value == -measured.metrics["score"]
    assert math.isfinite(measured.value)
    trained, inferred = PASSES[proxy]
    samples = 1 if proxy == "synflow" else 16
    assert (cost.train_samples, cost.inference_samples) == (trained * samples, inferred * samples)
    assert cost.macs == measured.metrics["macs"] * samples * (3 * trained + inferred)


@pytest.mark.parametrize("proxy", PASSES)
def test_cells_without_parameters_never_crash_a_run(proxy: str) -> None:
    estimator = ZeroCost(proxy, 16).open(SPACE, Digits(), Seeds("s", 0))
    for text in (SKIPS, SKIPS.replace("skip_connect", "none")):
        value = estimator.evaluate(SPACE.parse(text), estimator.complete(FULL), seed=3)[0].value
        assert isinstance(value, float)


class Given:
    """Proposes what it is given, in order."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.left = [SPACE.parse(text) for text in texts]

    def ask(self) -> Proposal | None:
        return Proposal(self.left.pop(0)) if self.left else None

    def tell(self, trial: Any) -> None:
        """Nothing is learnt."""


@pytest.mark.parametrize("proxy", ["jacob_cov", "nwot"])
def test_an_undefined_score_is_ranked_last_whatever_its_turn(proxy: str) -> None:
    nothing = SKIPS.replace("skip_connect", "none")
    estimator = ZeroCost(proxy, 16).open(SPACE, Digits(), Seeds("s", 0))
    lab = MeteredLab(Scenario(SPACE, Seeds("s", 0), Budget(evaluations=9)), estimator, "charge")
    drive(Given((nothing, CELL, nothing)), lab)
    table: Any = read_trials(lab.columns.to_bytes()).to_pandas()
    assert table["status"].tolist() == ["nan", "ok", "nan"]
    assert table["recommended"].tolist()[1:] == [1, 1]


def test_lower_fidelities_and_unknown_proxies_are_refused() -> None:
    estimator = ZeroCost("params").open(SPACE, Digits(), Seeds("s", 0))
    with pytest.raises(InputError, match="no lower fidelity"):
        estimator.complete(Fidelity(epochs=3))
    with pytest.raises(StudyError, match="did you mean `synflow`"):
        ZeroCost("synflo")
    with pytest.raises(StudyError, match="batch_size"):
        ZeroCost(batch_size=1)


def test_a_study_searches_by_a_proxy(training_problem: Problem) -> None:
    problem = Problem(training_problem.space, "digits", Use("zero-cost", proxy="nwot", batch_size=16), label="nwot")
    study = Study("zero", problem, ["random", "darts"], 1, Budget(evaluations=4))
    planned = plan(study)
    assert [s.strategy for s in planned.skipped] == ["darts"]  # there is nothing to train a supernet with
    result = run_search(planned.runs[0])
    table: Any = read_trials(result.trials).to_pandas()
    assert result.status == "ok"
    scored = table[table["status"] == "ok"]
    assert len(scored) > 0
    assert (scored["metric_score"] == -scored["value"]).all()
