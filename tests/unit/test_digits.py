"""The digits task."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.tasks import TASKS
from searchbench.tasks.digits import Digits
from searchbench.tasks.split import stratified
from searchbench.tasks.task import Split, Task


def rows(split: Split) -> set[bytes]:
    return {image.tobytes() + target.tobytes() for image, target in zip(split.inputs, split.targets, strict=True)}


def test_digits_is_registered_and_is_a_task() -> None:
    task = TASKS.factory("digits")()
    assert isinstance(task, Task)
    assert (task.name, task.shape, task.classes) == ("digits", (1, 8, 8), 10)


def test_pixels_and_labels_are_those_scikit_learn_loads() -> None:
    data = Digits().judge_data(Seeds("s", 0))
    inputs = np.concatenate([data.train.inputs, data.test.inputs]).reshape(1797, 64)
    steps = np.unique(inputs)
    assert len(steps) == 17
    pixels = np.searchsorted(steps, inputs)
    ours = sorted(map(tuple, np.column_stack([pixels, np.concatenate([data.train.targets, data.test.targets])])))
    bundled = load_digits()
    theirs = sorted(map(tuple, np.column_stack([bundled.data.astype(int), bundled.target])))
    assert ours == theirs


def test_test_split_is_the_same_in_every_replicate_and_study() -> None:
    one, other = Digits().judge_data(Seeds("s", 0)), Digits(valid=0.2).judge_data(Seeds("t", 7))
    np.testing.assert_array_equal(one.test.inputs, other.test.inputs)
    assert len(one.test) == 599


def test_search_data_never_holds_a_test_image() -> None:
    for replicate in range(5):
        seeds = Seeds("s", replicate)
        data, test = Digits().search_data(seeds), Digits().judge_data(seeds).test
        assert not (rows(data.train) | rows(data.valid)) & rows(test)


def test_train_and_valid_partition_what_the_judge_trains_on() -> None:
    data, judge = Digits(valid=0.25).search_data(Seeds("s", 3)), Digits(valid=0.25).judge_data(Seeds("s", 3))
    assert rows(data.train) | rows(data.valid) == rows(judge.train)
    assert len(data.train) + len(data.valid) == len(judge.train) == 1198
    assert len(data.valid) == 300


def test_replicates_draw_different_splits_and_the_same_replicate_the_same() -> None:
    a, b, c = (Digits().search_data(Seeds("s", r)) for r in (1, 1, 2))
    np.testing.assert_array_equal(a.valid.inputs, b.valid.inputs)
    assert rows(a.valid) != rows(c.valid)


def test_every_split_is_stratified_by_class() -> None:
    seeds = Seeds("s", 5)
    data, judge = Digits().search_data(seeds), Digits().judge_data(seeds)
    whole = np.bincount(load_digits().target) / 1797
    for split in (data.train, data.valid, judge.test):
        assert np.abs(np.bincount(split.targets) - whole * len(split)).max() <= 1.5


def test_inputs_are_standardised_on_train_and_valid_together() -> None:
    train = Digits().judge_data(Seeds("s", 0)).train
    assert train.inputs.dtype == np.float32
    assert abs(train.inputs.mean()) < 1e-5
    assert abs(train.inputs.std() - 1) < 1e-5


def test_checksum_names_data_and_split_rule() -> None:
    assert Digits().checksum() == Digits().checksum()
    assert Digits().checksum() != Digits(valid=0.4).checksum()


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan"), "half", True])
def test_an_impossible_share_is_refused(share: object) -> None:
    with pytest.raises(StudyError, match=r"`valid` is a share and must lie in \(0, 1\)"):
        Digits(valid=share)  # type: ignore[arg-type]


def test_stratified_draws_exactly_the_share_and_loses_nothing() -> None:
    targets = np.array([0] * 7 + [1] * 5 + [2] * 3)
    for share in (0.1, 1 / 3, 0.5, 0.9, 1.0):
        drawn, rest = stratified(targets, share, np.random.default_rng(0))
        assert len(drawn) == int(share * 15 + 0.5)
        assert sorted([*drawn, *rest]) == list(range(15))


def test_leftovers_of_a_stratified_split_go_to_the_largest_remainders() -> None:
    targets = np.array([0] * 19 + [1] * 16 + [2] * 13 + [3] * 12)
    drawn, _ = stratified(targets, 0.1, np.random.default_rng(0))  # exactly 1.9, 1.6, 1.3, 1.2 of each: 6 in all
    assert np.bincount(targets[drawn], minlength=4).tolist() == [2, 2, 1, 1]
    drawn, _ = stratified(targets[::-1], 0.1, np.random.default_rng(0))
    assert np.bincount(targets[::-1][drawn], minlength=4).tolist() == [2, 2, 1, 1]
    equal = np.repeat(np.arange(4), 15)
    drawn, _ = stratified(equal, 0.1, np.random.default_rng(0))  # 1.5 of each: the first two are rounded up
    assert np.bincount(equal[drawn], minlength=4).tolist() == [2, 2, 1, 1]


def test_stratified_draws_at_random_within_classes_and_gives_both_parts_in_random_order() -> None:
    targets = np.repeat(np.arange(4), 50)
    first = stratified(targets, 0.4, np.random.default_rng(0))
    second = stratified(targets, 0.4, np.random.default_rng(1))
    for part, other in zip(first, second, strict=True):
        assert part.tolist() != sorted(part.tolist())
        assert set(part.tolist()) != set(other.tolist())
        runs = np.diff(targets[part]) == 0
        assert runs.mean() < 0.5  # a quarter by chance; classes do not come one after the other
    shares = np.array(
        [np.isin(np.arange(200), stratified(targets, 0.4, np.random.default_rng(s))[0]) for s in range(300)]
    )
    assert np.abs(shares.mean(axis=0) - 0.4).max() < 4.5 * np.sqrt(0.4 * 0.6 / 300)
