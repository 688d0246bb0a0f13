from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from searchbench.errors import EvaluationFailed, StudyError
from searchbench.estimators.batches import Batches
from searchbench.estimators.shared_weights import SharedWeights
from searchbench.spaces.nasbench201.space import OPERATIONS, nasbench201
from searchbench.spaces.networks import initialise
from searchbench.spaces.topology import Form
from searchbench.tasks.task import Split
from searchbench.trial import FULL, Fidelity

SPACE = nasbench201(channels=4, cells=1, stages=2)
CELL = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_3x3~0|avg_pool_3x3~1|skip_connect~2|")


def data(samples, seed):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(1.5, 2.0, (samples, 1, 6, 6)).astype(np.float32)
    return Batches(Split(inputs, rng.integers(3, size=samples)))


def shared(train=24, batch_size=8, recalibrate=3, seed=0):
    supernet = initialise(SPACE.builder().supernet((1, 6, 6), 3), 1)
    estimator = SharedWeights(supernet, data(train, 2), data(20, 3), batch_size, recalibrate, seed)
    return supernet, estimator


def test_scoring_leaves_weights_statistics_and_mode_bit_for_bit():
    supernet, estimator = shared()
    supernet(torch.randn(8, 1, 6, 6), (3,) * 6)  # statistics that are not the initial ones
    before = copy.deepcopy(supernet.state_dict())
    momenta = [m.momentum for m in supernet.modules() if hasattr(m, "momentum")]
    estimator.evaluate(CELL, FULL, seed=0)
    assert all(torch.equal(before[name], value) for name, value in supernet.state_dict().items())
    assert momenta == [m.momentum for m in supernet.modules() if hasattr(m, "momentum")]
    assert supernet.training


def test_recalibrated_statistics_of_one_whole_batch_are_the_data_sets_moments():
    supernet, estimator = shared(train=24, batch_size=24, recalibrate=1)
    estimator.recalibrate(supernet.path(CELL))
    stem = supernet.frame.stem
    outputs = stem.conv(estimator._train.inputs).detach()
    assert torch.allclose(stem.norm.running_mean, outputs.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(stem.norm.running_var, outputs.var((0, 2, 3)), atol=1e-5)


def test_recalibrated_statistics_of_several_batches_are_their_plain_average():
    supernet, estimator = shared(train=24, batch_size=8, recalibrate=3)
    estimator.recalibrate(supernet.path(CELL))
    stem, bank = supernet.frame.stem, supernet.cells[0].conv3[0]
    batches = [stem.conv(batch.inputs).detach() for batch in estimator._recalibration_batches()]
    assert torch.allclose(stem.norm.running_mean, stem.conv(estimator._train.inputs).mean((0, 2, 3)), atol=1e-6)
    variance = torch.stack([outputs.var((0, 2, 3)) for outputs in batches]).mean(0)
    assert torch.allclose(stem.norm.running_var, variance, atol=1e-5)

    def entering(outputs):  # what the 3x3 of edge 1<-0 gives for one batch, after the stem's batch norm
        normed = torch.nn.functional.batch_norm(outputs, None, None, stem.norm.weight, stem.norm.bias, training=True)
        return torch.nn.functional.conv2d(torch.relu(normed), bank.convs[0].weight, padding=1)

    means = torch.stack([entering(outputs).mean((0, 2, 3)) for outputs in batches]).mean(0)
    assert torch.allclose(bank.norm.running_mean[:4], means, atol=1e-5)
    assert torch.equal(bank.norm.running_mean[4:8], torch.zeros(4))  # not on the path


def test_the_score_is_the_validation_error_with_recalibrated_statistics():
    supernet, estimator = shared()
    measurement, _ = estimator.evaluate(CELL, FULL, seed=0)
    estimator.recalibrate(supernet.path(CELL))
    supernet.eval()
    with torch.no_grad():
        logits = supernet(estimator._valid.inputs, supernet.path(CELL))
    wrong = logits.argmax(1) != estimator._valid.targets
    assert measurement.value == int(wrong.sum()) / len(wrong)
    loss = torch.nn.functional.cross_entropy(logits, estimator._valid.targets).item()
    assert measurement.metrics["valid_loss"] == pytest.approx(loss, rel=1e-5)


def test_without_recalibration_the_supernets_own_statistics_are_used():
    supernet, estimator = shared(recalibrate=0)
    for seed in range(3):
        supernet(torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(seed)), supernet.path(CELL))
    supernet.eval()
    with torch.no_grad():
        logits = supernet(estimator._valid.inputs, supernet.path(CELL))
    supernet.train()
    wrong = logits.argmax(1) != estimator._valid.targets
    assert estimator.evaluate(CELL, FULL, 0)[0].value == int(wrong.sum()) / len(wrong)


def test_the_same_architecture_scores_the_same_in_any_order():
    _, estimator = shared()
    first = estimator.evaluate(CELL, FULL, seed=0)[0]
    estimator.evaluate(SPACE.architecture(("nor_conv_1x1",) * 6), FULL, seed=1)
    assert estimator.evaluate(CELL, FULL, seed=2)[0] == first


@pytest.mark.parametrize(("recalibrate", "samples"), [(0, 0), (2, 16), (3, 20), (5, 36)])
def test_the_price_is_the_forward_passes_really_made(recalibrate, samples):
    supernet, estimator = shared(train=20, recalibrate=recalibrate)
    seen = []
    supernet.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    cost = estimator.evaluate(CELL, Fidelity(subset=0.5), seed=0)[1]
    assert sum(seen) == samples + 10 == cost.inference_samples
    assert cost.macs == supernet.macs(supernet.path(CELL)) * (samples + 10)
    assert (cost.evaluations, cost.train_samples, cost.epochs) == (0, 0, 0)


def counted(supernet):
    """Forward passes so far, as a list that grows."""
    passes = []
    supernet.register_forward_hook(lambda *_: passes.append(1))
    return passes


def test_a_score_asked_again_is_remembered_and_charged_again():
    supernet, estimator = shared()
    passes = counted(supernet)
    first, price = estimator.evaluate(CELL, FULL, seed=0)
    done = len(passes)
    again, charged = estimator.evaluate(CELL, FULL, seed=1)
    assert len(passes) == done > 0
    assert again == first
    assert (charged.inference_samples, charged.macs) == (price.inference_samples, price.macs)
    assert estimator.evaluate(CELL, Fidelity(subset=0.5), 0)[0] != first  # another share is another score


def test_paths_that_execute_the_same_are_scored_once():
    supernet, estimator = shared()
    one, other = (SPACE.architecture(("none", "nor_conv_3x3", op, *["skip_connect"] * 3)) for op in OPERATIONS[1:3])
    passes = counted(supernet)
    first = estimator.evaluate(one, FULL, 0)[0]
    done = len(passes)
    assert estimator.evaluate(other, FULL, 0)[0].value == first.value
    assert len(passes) == done
    images = estimator._valid.inputs
    assert torch.equal(supernet(images, supernet.path(one)), supernet(images, supernet.path(other)))


def test_what_was_remembered_is_forgotten_when_the_weights_change():
    supernet, estimator = shared()
    first = estimator.evaluate(CELL, FULL, 0)[0]
    optimizer = torch.optim.SGD(supernet.parameters(), lr=1e-3, fused=True)
    supernet(estimator._train.inputs, supernet.path(CELL)).square().sum().backward()
    optimizer.step()
    changed = estimator.evaluate(CELL, FULL, 0)[0]
    assert changed != first
    estimator._digest = b""
    assert estimator.evaluate(CELL, FULL, 0)[0] == changed


def test_statistics_count_as_weights_where_they_are_scored_with():
    supernet, estimator = shared(recalibrate=0)
    first = estimator.evaluate(CELL, FULL, 0)[0]
    supernet(torch.randn(8, 1, 6, 6), supernet.path(CELL))
    assert estimator.evaluate(CELL, FULL, 0)[0] != first


def test_recalibration_sees_training_images_only_and_scoring_validation_images_only():
    supernet, estimator = shared()
    seen = []
    supernet.register_forward_hook(lambda net, inputs, _: seen.append((net.training, inputs[0])))
    estimator.evaluate(CELL, FULL, seed=0)
    pools = {True: estimator._train.inputs, False: estimator._valid.inputs}
    assert {training for training, _ in seen} == {True, False}
    for training, images in seen:
        assert all((pools[training] == image).flatten(1).all(1).any() for image in images)


def test_a_fidelity_without_meaning_is_refused():
    _, estimator = shared()
    assert estimator.complete(FULL) == Fidelity(subset=1.0)
    with pytest.raises(StudyError, match="epochs"):
        estimator.complete(Fidelity(epochs=3))
    with pytest.raises(StudyError, match="at most 1"):
        estimator.complete(Fidelity(subset=2.0))


# -- what paths have in common ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("recalibrate", [0, 1, 3, None])
def test_keeping_what_paths_have_in_common_changes_no_score_by_a_bit(recalibrate, monkeypatch):
    rng = np.random.default_rng(0)
    cells = [SPACE.sample(rng) for _ in range(60)]
    _, keeping = shared(recalibrate=recalibrate)
    kept = [keeping.evaluate(cell, Fidelity(subset=share), 0)[0] for share in (0.5, 1.0) for cell in cells]
    assert keeping._common
    monkeypatch.setattr("searchbench.estimators.shared_weights.KEPT_BYTES", 0)
    _, computing = shared(recalibrate=recalibrate)
    assert computing._common is None
    assert kept == [computing.evaluate(cell, Fidelity(subset=share), 0)[0] for share in (0.5, 1.0) for cell in cells]


def test_no_more_is_kept_than_was_foreseen():
    supernet, estimator = shared()
    for cell in SPACE.enumerate():
        if cell.values[2:] == ("skip_connect", cell.values[3], "skip_connect", "skip_connect"):
            estimator.evaluate(cell, FULL, 0)
    kept = sum(t.nbytes for known in estimator._common.values() for t in known.tensors.values())
    assert kept == supernet.kept_bytes(24 + 20)


def test_a_score_that_fails_half_way_leaves_nothing_behind():
    supernet, estimator = shared()
    expected = estimator.evaluate(CELL, FULL, 0)[0]
    estimator._known.clear(), estimator._forget()
    hook = supernet.frame.norm.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(EvaluationFailed, match="ZeroDivisionError"):
        estimator.evaluate(CELL, FULL, 0)
    hook.remove()
    assert estimator._common == {}
    assert estimator.evaluate(CELL, FULL, 0)[0] == expected


def test_statistics_can_be_had_after_scores():
    supernet, estimator = shared()
    estimator.evaluate(CELL, FULL, 0)
    estimator.recalibrate(supernet.path(CELL))
    fresh_net, fresh = shared()
    fresh.recalibrate(fresh_net.path(CELL))
    assert all(torch.equal(a, b) for a, b in zip(supernet.buffers(), fresh_net.buffers(), strict=True))


def test_a_supernet_in_another_form_keeps_nothing():
    assert SPACE.builder().supernet((1, 6, 6), 3, Form(node_norm=True)).kept_bytes(10) is None


def test_paths_of_few_labels_are_scored_by_their_loss_unless_it_is_said_otherwise(monkeypatch):
    supernet, estimator = shared()
    by_error = estimator.evaluate(CELL, FULL, 0)[0]

    def scored(score):
        other = SharedWeights(supernet, estimator._train, estimator._valid, 8, 3, 0, score=score)
        return other.evaluate(CELL, FULL, 0)[0]

    by_loss = scored("loss")
    assert by_loss.metrics == by_error.metrics == scored(None).metrics
    assert by_error.value == by_error.metrics["valid_error"]
    assert by_loss.value == scored(None).value == pytest.approx(1 - np.exp(-by_loss.metrics["valid_loss"]))
    monkeypatch.setattr("searchbench.estimators.shared_weights.FEW_LABELS", 20)
    assert scored(None) == by_error
    with pytest.raises(StudyError, match='"loss" or "error"'):
        scored("accuracy")
