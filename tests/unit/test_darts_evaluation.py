"""The literature's final training of the DARTS space: auxiliary classifier, drop-path on a ramp, cutout."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from searchbench.errors import SpaceError, StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.judge import TrainJudge
from searchbench.estimators.training import begin, fit
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.problem import Problem
from searchbench.spaces.darts.published import PUBLISHED, uniform
from searchbench.spaces.darts.space import darts
from searchbench.spaces.networks import count, initialise
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import Recipe, Split

V2 = str(PUBLISHED["DARTS_V2"])


class Squares:
    """32x32 images of two classes; named and shaped as a task."""

    name, shape, classes = "squares", (1, 32, 32), 2
    recipe = Recipe(epochs=2, batch_size=4, lr=0.05)


def squares(samples=8):
    inputs = torch.randn((samples, 1, 32, 32), generator=torch.Generator().manual_seed(0)).numpy()
    return Batches(Split(inputs, (torch.arange(samples) % 2).numpy()))


def begun(space=None, **settings):
    space = space or darts(2, 3)
    recipe = Recipe(epochs=4, batch_size=4, lr=0.05, **settings)
    builder = space.builder()
    net = builder.regularised(space.parse(V2), (1, 32, 32), 2, auxiliary=recipe.auxiliary > 0)
    return begin(initialise(net, 0), recipe, 1)


def test_the_auxiliary_classifier_adds_its_weighted_loss():
    training = begun(auxiliary=0.4)
    inputs, targets = torch.randn((4, 1, 32, 32)), torch.tensor([0, 1, 0, 1])
    from searchbench.estimators.training import _objective

    model, loss = _objective(training.network.train(), training.recipe)
    logits, auxiliary = training.network.logits(inputs)
    wanted = F.cross_entropy(logits, targets) + 0.4 * F.cross_entropy(auxiliary, targets)
    assert torch.allclose(loss(model(inputs), targets), wanted, atol=1e-6)


def test_the_auxiliary_classifier_is_trained_and_absent_when_measured():
    training = begun(auxiliary=0.4)
    before = training.network.auxiliary.first.weight.detach().clone()
    fit(training, squares(), 1)
    assert not torch.equal(before, training.network.auxiliary.first.weight)
    assert training.network.eval()(torch.zeros((2, 1, 32, 32))).shape == (2, 2)


def test_drop_path_grows_with_the_epoch_and_any_epoch_can_follow():
    whole, parts = begun(drop_path=0.2), begun(drop_path=0.2)
    fit(whole, squares(), 3)
    assert whole.network.drop_path.probability == pytest.approx(0.2 * 2 / 4)
    fit(parts, squares(), 1)
    assert parts.network.drop_path.probability == 0.0
    parts.network.drop_path.generator = None  # as after a restart
    fit(parts, squares(), 3)
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_dropping_paths_changes_the_training_and_not_the_measurement():
    plain, dropping = begun(), begun(drop_path=0.5)
    fit(plain, squares(), 2)
    fit(dropping, squares(), 2)
    assert plain.losses[0] == dropping.losses[0]  # the first epoch drops nothing
    assert plain.losses[1] != dropping.losses[1]


def test_the_judges_network_may_be_larger_than_the_skeleton_that_is_searched():
    space = darts(16, 8, network_channels=36, network_cells=20)
    found = space.parse(V2)
    builder = space.builder()
    assert builder.size(found, (3, 32, 32), 10) == (3_349_342, 528_359_040)
    headed = builder.regularised(found, (3, 32, 32), 10, auxiliary=True)
    assert sum(p.numel() for p in headed.parameters()) == 3_825_768
    assert sum(p.numel() for p in builder.supernet((3, 32, 32), 10).parameters()) == 1_930_618


@pytest.mark.parametrize(("stem", "side", "channels", "cells", "classes", "head"), [
    ("cifar", 32, 36, 20, 10, 476_426),
    ("imagenet", 224, 48, 14, 1000, None),
])  # fmt: skip
def test_the_auxiliary_head_is_not_counted_among_a_networks_parameters(stem, side, channels, cells, classes, head):
    space = darts(16, 8, network_channels=channels, network_cells=cells, stem=stem)
    found, shape = space.parse(str(uniform("skip"))), (3, side, side)
    plain, macs = space.builder().size(found, shape, classes)
    with_head = space.builder().regularised(found, shape, classes, auxiliary=True)
    if head is not None:
        assert sum(p.numel() for p in with_head.parameters()) - plain == head
    assert count(with_head.eval(), shape)[1] == macs


def test_a_recipe_that_asks_for_what_networks_lack_is_refused_when_the_study_is_read():
    with pytest.raises(StudyError, match="no auxiliary classifier and no drop-path"):
        Problem("nasbench201", "digits", "train", Use("train", epochs=1, drop_path=0.2)).resolve()
    with pytest.raises(SpaceError, match="32x32"):
        TrainJudge(auxiliary=0.4).check(darts(2, 3), Digits())
    TrainJudge(drop_path=0.2).check(darts(2, 3), Digits())
    TrainJudge(auxiliary=0.4).check(darts(2, 3), Squares())


@pytest.mark.parametrize("settings", [{"drop_path": 1.0}, {"drop_path": -0.1}, {"auxiliary": -1.0}])
def test_impossible_rates_are_refused(settings):
    with pytest.raises(StudyError, match=next(iter(settings))):
        TrainJudge(**settings)


def test_a_regularised_recipe_judges_a_cell_on_real_digits():
    problem = Problem(
        Use("darts", channels=2, cells=3), "digits", "train",
        Use("train", epochs=2, drop_path=0.2, augment=["cutout"], nesterov=False),
    ).resolve()  # fmt: skip
    from searchbench.seeds import Seeds

    live = problem.judge.open(problem.space, problem.task, Seeds("evaluation", 0))
    one, other = (live.verdict(problem.space.parse(V2)) for _ in range(2))
    assert one.status == "ok"
    assert one.test_error == other.test_error < 0.95
