"""Minibatches of a split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchbench.errors import StudyError
from searchbench.estimators import batches
from searchbench.estimators.batches import Batches, resized, side
from searchbench.seeds import derive
from searchbench.tasks.task import Batch, Split


def numbered(count: int, pixels: int = 8) -> Batches:
    """Sample i is an image of the constant i, labelled i."""
    images = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None, None], (count, 1, pixels, pixels))
    return Batches(Split(images.copy(), np.arange(count)))


def order(epoch: list[Batch]) -> list[int]:
    return torch.cat([batch.targets for batch in epoch]).tolist()


def test_an_epoch_holds_every_sample_once_with_its_own_label() -> None:
    epoch = list(numbered(10).epoch(4, seed=1))
    assert [len(batch) for batch in epoch] == [4, 4, 2]
    assert sorted(order(epoch)) == list(range(10))
    for batch in epoch:
        assert torch.equal(batch.inputs[:, 0, 0, 0].long(), batch.targets)


def test_the_order_is_a_function_of_the_seed() -> None:
    batches = numbered(50)
    assert order(list(batches.epoch(8, 1))) == order(list(batches.epoch(8, 1)))
    assert order(list(batches.epoch(8, 1))) != order(list(batches.epoch(8, 2)))
    assert order(list(batches.epoch(8, 1))) == order(list(batches.epoch(5, 1)))


def test_the_order_does_not_depend_on_the_global_generator() -> None:
    torch.manual_seed(0)
    first = order(list(numbered(50).epoch(8, 1)))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert order(list(numbered(50).epoch(8, 1, augment=("crop", "flip", "cutout")))) == first
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("count", "batch_size", "sizes"), [(9, 4, [4, 4]), (8, 4, [4, 4]), (10, 4, [4, 4, 2])])
def test_a_remainder_of_one_sample_is_left_out(count: int, batch_size: int, sizes: list[int]) -> None:
    batches = numbered(count)
    assert [len(batch) for batch in batches.epoch(batch_size, 0)] == sizes
    assert batches.count(batch_size) == sum(sizes)


def test_count_is_what_an_epoch_yields_for_any_share() -> None:
    batches = numbered(101)
    for share in ((0.0, 1.0), (0.0, 0.5), (0.3, 0.7), (10 / 11, 1.0)):
        for batch_size in (1, 2, 7, 50, 100, 1000):
            assert batches.count(batch_size, share) == len(order(list(batches.epoch(batch_size, 3, share))))


def test_disjoint_shares_are_disjoint_in_every_epoch_and_together_whole() -> None:
    batches = numbered(44)
    low = {i for seed in range(3) for i in order(list(batches.epoch(8, seed, (0.0, 10 / 11))))}
    high = {i for seed in range(3) for i in order(list(batches.epoch(2, seed, (10 / 11, 1.0))))}
    assert (len(low), len(high)) == (40, 4)
    assert low | high == set(range(44))


def test_the_share_ten_elevenths_of_cifar_is_that_of_the_literature() -> None:
    batches = Batches(Split(np.zeros((50000, 1, 1, 1), np.float32), np.zeros(50000, np.int64)))
    assert batches.count(64, (0.0, 10 / 11)) == 45454
    assert batches.count(64, (10 / 11, 1.0)) == 4546


@pytest.mark.parametrize("share", [(0.5, 0.5), (-0.1, 0.5), (0.5, 1.1), (0.0, 0.05)])
def test_an_impossible_share_is_refused(share: tuple[float, float]) -> None:
    with pytest.raises(StudyError, match="share"):
        numbered(20).count(4, share)


def test_an_unknown_augmentation_is_refused_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="did you mean `flip`"):
        next(numbered(8).epoch(4, 0, augment=("flop",)))


def test_measuring_sees_the_samples_in_order_and_cannot_change_them() -> None:
    batches = numbered(10)
    for batch in batches.in_order(4):
        batch.inputs.zero_()
    assert [int(batch.inputs[-1, 0, 0, 0]) for batch in batches.in_order(4)] == [3, 7, 9]


def test_resolution_scales_the_side_and_keeps_the_mean() -> None:
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert resized(images, 0.5).shape == (5, 3, 4, 4)
    assert resized(images, 1.0) is images
    assert torch.allclose(resized(images, 0.5).mean((2, 3)), images.mean((2, 3)), atol=0.1)
    assert [side(8, r) for r in (0.01, 0.5, 0.56, 2.0)] == [1, 4, 4, 16]


def test_augmentation_draws_from_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []

    def change(inputs: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        drawn.append(float(torch.rand((), generator=noise)))
        return inputs

    monkeypatch.setattr(batches, "augmentations", lambda names: [change])
    list(numbered(8).epoch(8, seed=5))
    assert drawn == [float(torch.rand((), generator=torch.Generator().manual_seed(derive(5, "augmentation"))))]
    assert [len(batch) for batch in numbered(3).epoch(1, seed=5)] == [1, 1, 1]
