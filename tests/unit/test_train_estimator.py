"""The estimator that trains, on real digits and real cells."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from searchbench.cost import DETERMINISTIC_AXES, Cost
from searchbench.errors import EvaluationFailed, SpaceError, StudyError
from searchbench.estimators import ESTIMATORS, from_scratch
from searchbench.estimators.estimator import Trainable
from searchbench.estimators.from_scratch import FromScratch
from searchbench.estimators.judge import TrainJudge
from searchbench.estimators.train import Train
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.digits import Digits
from searchbench.tasks.task import JudgeData
from searchbench.trial import FULL, Fidelity

SPACE = nasbench201(channels=4, cells=1, stages=1)
CELL = "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
SEEDS = Seeds("study", 0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def opened(**settings: object) -> FromScratch:
    return Train(**{"epochs": 3, "device": "cpu"} | settings).open(SPACE, Digits(), SEEDS)  # type: ignore[arg-type]


def cell() -> Architecture:
    return SPACE.parse(CELL)


def deterministic(cost: Cost) -> dict[str, float]:
    return {axis: getattr(cost, axis) for axis in DETERMINISTIC_AXES}


def test_training_longer_finds_a_lower_validation_error() -> None:
    estimator = opened(epochs=8)
    short, _ = estimator.evaluate(cell(), Fidelity(epochs=1), 1)
    full, _ = estimator.evaluate(cell(), FULL, 1)
    assert full.value < short.value - 0.1
    assert full.metrics["train_loss"] < short.metrics["train_loss"]
    assert full.metrics["valid_accuracy"] == 1 - full.value


def test_the_price_is_what_is_charged_and_what_the_formula_says() -> None:
    estimator, data = opened(), Digits().search_data(SEEDS)
    fidelity = Fidelity(epochs=2, subset=0.5)
    _, cost = estimator.evaluate(cell(), fidelity, 1)
    assert deterministic(cost) == deterministic(estimator.price(cell(), fidelity))
    _, macs = SPACE.builder().size(cell(), (1, 8, 8), 10)
    trained = 2 * (len(data.train) // 2)
    assert (cost.evaluations, cost.epochs, cost.train_samples) == (1, 1.0, trained)
    assert cost.inference_samples == len(data.valid)
    assert cost.macs == macs * (3 * trained + len(data.valid))
    assert cost.device_s > 0


def test_metrics_hold_the_size_of_the_network() -> None:
    measurement, _ = opened().evaluate(cell(), Fidelity(epochs=1), 1)
    params, macs = SPACE.builder().size(cell(), (1, 8, 8), 10)
    assert (measurement.metrics["params"], measurement.metrics["macs"]) == (params, macs)


def test_the_same_seed_gives_the_same_measurement_and_another_does_not() -> None:
    first, _ = opened().evaluate(cell(), FULL, 1)
    again, _ = opened().evaluate(cell(), FULL, 1)
    other, _ = opened().evaluate(cell(), FULL, 2)
    assert first == again
    assert first.metrics["train_loss"] != other.metrics["train_loss"]


def test_what_was_measured_before_changes_nothing() -> None:
    estimator = opened()
    for seed in (5, 6):
        estimator.evaluate(SPACE.sample(SEEDS.rng("search")), Fidelity(epochs=1), seed)
    assert estimator.evaluate(cell(), FULL, 1)[0] == opened().evaluate(cell(), FULL, 1)[0]


SCRIPT = f"""
import torch
torch.set_num_threads(1)
from searchbench.estimators.train import Train
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.tasks.digits import Digits
from searchbench.trial import Fidelity
space = nasbench201(channels=4, cells=1, stages=1)
spec = Train(epochs=3, augment=("crop", "flip", "cutout"), device="cpu")
estimator = spec.open(space, Digits(), Seeds("study", 0))
measurement, _ = estimator.evaluate(space.parse({CELL!r}), Fidelity(epochs=2), 1)
print(measurement.value.hex(), *(f"{{k}}={{v.hex()}}" for k, v in sorted(measurement.metrics.items())))
"""


def test_another_process_with_another_hash_seed_is_bit_identical() -> None:
    printed = set()
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        printed.add(run.stdout)
    assert len(printed) == 1
    assert "train_loss=0x" in printed.pop()


def test_a_continued_evaluation_equals_a_whole_one_and_is_charged_the_rest() -> None:
    estimator, short = opened(), Fidelity(epochs=1)
    first, paid = estimator.evaluate(cell(), short, 1)
    continued, rest = estimator.evaluate(cell(), FULL, 1, resume=short)
    whole, full = opened().evaluate(cell(), FULL, 1)
    assert continued == whole != first
    assert deterministic(rest) == deterministic(estimator.price(cell(), FULL, resume=short))
    assert paid.train_samples + rest.train_samples == full.train_samples
    assert paid.epochs + rest.epochs == full.epochs


def test_memory_decides_nothing_but_the_time_a_continuation_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_scratch, "KEPT_BYTES", 0)
    forgetful = opened()
    forgetful.evaluate(cell(), Fidelity(epochs=2), 1)
    measured, cost = forgetful.evaluate(cell(), FULL, 1, resume=Fidelity(epochs=2))
    assert measured == opened().evaluate(cell(), FULL, 1)[0]
    assert cost.epochs == 1.0


def test_the_latest_trainings_are_kept_within_the_memory_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    params, _ = SPACE.builder().size(cell(), (1, 8, 8), 10)
    monkeypatch.setattr(from_scratch, "KEPT_BYTES", 2 * 2 * 4 * params)
    estimator = opened(subset=0.1)
    for seed in range(4):
        estimator.evaluate(cell(), Fidelity(epochs=1), seed)
    assert [key[1] for key in estimator._kept] == [2, 3]


def test_an_evaluation_of_other_data_cannot_be_continued_for_less() -> None:
    estimator = opened()
    assert estimator.price(cell(), FULL, resume=Fidelity(epochs=1, subset=0.5)) == estimator.price(cell(), FULL)
    assert estimator.price(cell(), Fidelity(epochs=1), resume=FULL) == estimator.price(cell(), Fidelity(epochs=1))


def test_the_curve_is_measured_and_charged_every_epoch() -> None:
    plain, watched = opened(), opened(curve=True)
    expected, base = plain.evaluate(cell(), FULL, 1)
    measurement, cost = watched.evaluate(cell(), FULL, 1)
    assert cost.inference_samples == 3 * base.inference_samples
    assert measurement.value == measurement.metrics["valid_error_3"] == expected.value
    for epochs in (1, 2):
        short, _ = plain.evaluate(cell(), Fidelity(epochs=epochs), 1)
        assert measurement.metrics[f"valid_error_{epochs}"] == short.value


def test_width_and_resolution_change_the_price_and_the_measurement() -> None:
    estimator = opened(epochs=1)
    full, full_cost = estimator.evaluate(cell(), FULL, 1)
    for fidelity in (Fidelity(width=0.5), Fidelity(resolution=0.5)):
        measurement, cost = estimator.evaluate(cell(), fidelity, 1)
        assert cost.macs < 0.6 * full_cost.macs
        assert cost.train_samples == full_cost.train_samples
        assert measurement.metrics["train_loss"] != full.metrics["train_loss"]


def test_open_fields_of_a_fidelity_are_completed() -> None:
    estimator = opened(subset=0.5, width=2)
    assert estimator.complete(FULL) == Fidelity(3.0, 0.5, 2.0, 1.0)
    assert estimator.complete(Fidelity(epochs=2, width=1)) == Fidelity(2.0, 0.5, 1.0, 1.0)
    assert estimator.price(cell(), FULL) == estimator.price(cell(), Fidelity(3, 0.5, 2, 1))


def test_fields_left_open_are_the_tasks_own() -> None:
    assert Train().open(SPACE, Digits(), SEEDS).complete(FULL).epochs == Digits().recipe.epochs


@pytest.mark.parametrize("fidelity", [Fidelity(epochs=1.5), Fidelity(epochs=4), Fidelity(subset=2)])
def test_a_fidelity_it_cannot_train_is_refused(fidelity: Fidelity) -> None:
    with pytest.raises(StudyError, match=r"must be a whole number from 1 to 3|must lie in \(0, 1\]"):
        opened().complete(fidelity)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "`epochs` must be a positive integer, but got 0"),
        ({"epochs": 2.5}, "`epochs` must be a positive integer, but got 2.5"),
        ({"batch_size": -1}, "`batch_size` must be a positive integer"),
        ({"lr": 0}, "`lr` must be a positive number"),
        ({"lr": "fast"}, "`lr` must be a positive number, but got 'fast'"),
        ({"weight_decay": -1}, "`weight_decay` must not be negative"),
        ({"clip": 0}, "`clip` must be a positive number"),
        ({"subset": 0}, "`subset` must be a positive number"),
        ({"subset": 1.5}, r"`subset` is a share of the train split and must lie in \(0, 1\]"),
        ({"width": float("inf")}, "`width` must be a positive number"),
        ({"resolution": -2}, "`resolution` must be a positive number"),
        ({"time_limit_s": 0}, "`time_limit_s` must be a positive number"),
        ({"device": "tpu"}, "`device` must be one of auto, cpu, cuda"),
        ({"augment": ["rotate"]}, "unknown augmentation `rotate`"),
        ({"augment": "crop"}, r'`augment` must be a list of names, but got \'crop\'; write \["crop"\]'),
    ],
)
def test_impossible_settings_are_refused_where_they_are_written(settings: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Train(**settings)  # type: ignore[arg-type]
    if not settings.keys() & {"subset", "resolution"}:
        with pytest.raises(StudyError, match=message):
            TrainJudge(**settings)  # type: ignore[arg-type]


def test_a_description_from_a_file_is_hashable_and_equal_to_one_from_python() -> None:
    from_file = ESTIMATORS.factory("train")(epochs=3, augment=["crop"])
    assert from_file == Train(epochs=3, augment=("crop",))
    assert hash(from_file) == hash(Train(epochs=3, augment=("crop",)))


def test_a_space_without_networks_is_refused_when_opened() -> None:
    space = Space("numbers", (Choice("a", (1, 2)),))
    with pytest.raises(SpaceError, match="has no networks to build"):
        Train().open(space, Digits(), SEEDS)


@pytest.mark.parametrize(
    ("settings", "reason"), [({"lr": 1e30}, "nan"), ({"time_limit_s": 1e-9}, "timeout"), ({"epochs": 3}, "error")]
)
def test_failures_carry_their_reason(settings: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = opened(**settings)
    if reason == "error":
        monkeypatch.setattr(torch.optim.SGD, "step", lambda self: 1 / 0)
    with pytest.raises(EvaluationFailed) as failure:
        estimator.evaluate(cell(), FULL, 1)
    assert failure.value.reason == reason


def test_a_failed_evaluation_leaves_nothing_behind() -> None:
    estimator = opened()
    expected, _ = opened().evaluate(cell(), FULL, 1)
    estimator._spec = replace(estimator._spec, time_limit_s=1e-9)
    with pytest.raises(EvaluationFailed):
        estimator.evaluate(cell(), Fidelity(epochs=2), 1)
    estimator._spec = replace(estimator._spec, time_limit_s=None)
    assert estimator.evaluate(cell(), FULL, 1, resume=Fidelity(epochs=2))[0] == expected


def reaches_test_data(root: object) -> bool:
    """Whether a task, seeds or a judge's data can be reached by following what objects hold."""
    seen, frontier = {id(root)}, [root]
    while frontier:
        if any(isinstance(held, Digits | JudgeData | Seeds) for held in frontier):
            return True
        # modules and functions lead to the whole interpreter; what counts is what the object holds
        held = [o for o in gc.get_referents(*frontier) if id(o) not in seen and not isinstance(o, type)]
        frontier = [o for o in held if type(o).__module__ != "builtins" or isinstance(o, dict | list | tuple)]
        seen |= {id(o) for o in frontier}
    return False


def test_no_test_data_can_be_reached_from_the_live_estimator() -> None:
    estimator = opened()
    estimator.evaluate(cell(), Fidelity(epochs=1), 1)
    assert not reaches_test_data(estimator)
    estimator._data = replace(estimator._data, train=Digits().judge_data(SEEDS))  # type: ignore[arg-type]
    assert reaches_test_data(estimator)


def test_the_fitting_judge_shares_the_recipe_but_trains_as_long_as_the_task_says() -> None:
    judge = Train(epochs=2, subset=0.1, width=0.5, lr=0.05, augment=("crop",), time_limit_s=9, device="cpu").judge()
    assert judge == TrainJudge(lr=0.05, augment=("crop",), time_limit_s=9, device="cpu")


def test_it_lends_its_data_and_recipe_to_searches_that_train_a_supernet() -> None:
    estimator = opened(augment=["crop"], resolution=0.5)
    assert isinstance(estimator, Trainable)
    bench = estimator.bench()
    assert (bench.shape, bench.classes, bench.augment) == ((1, 4, 4), 10, ("crop",))
    assert (bench.samples("train"), bench.samples("valid")) == (599, 599)
    assert bench.train.inputs.shape == (599, 1, 4, 4)
    assert not reaches_test_data(bench)


def test_describing_a_training_does_not_import_pytorch() -> None:
    code = (
        "import sys; from searchbench.estimators.train import Train; from searchbench.tasks.digits import Digits; "
        "Train(epochs=3, augment=['crop']).judge(); Digits().checksum(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
