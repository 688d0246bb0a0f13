"""Schedules: a setting for each interval of a training, and trainings that go on from any that began alike."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import searchbench as sb
from searchbench.errors import InputError, SpaceError, StudyError
from searchbench.harness.declared.objective import posed
from searchbench.harness.running.repeats import Repeats
from searchbench.seeds import Seeds
from searchbench.spaces.schedules import by_interval, intervals_of, schedule, schedules, settings_of
from searchbench.trial import Fidelity, Proposal, Trial

SETTING = {
    "lr": sb.Float(0.0, 1.0),
    "opt": sb.Choice(["sgd", "adam"]),
    "momentum": sb.Float(0, 1, when=sb.When("opt", "sgd")),
}
SPACE = schedules(4, SETTING)


def drawn(seed: int) -> sb.Architecture:
    return SPACE.sample(np.random.default_rng(seed))


def alike(first: sb.Architecture, second: sb.Architecture, intervals: int) -> sb.Architecture:
    """A schedule that begins as the first one does, and goes on as the second."""
    return schedule(SPACE, [*settings_of(first)[:intervals], *settings_of(second)[intervals:]])


def test_every_hyper_parameter_is_decided_once_for_each_interval_and_conditions_stay_within_one() -> None:
    assert [d.name for d in SPACE.decisions][:4] == ["lr@1", "opt@1", "momentum@1", "lr@2"]
    assert (intervals_of(SPACE), intervals_of(sb.Space("other", SPACE.decisions))) == (4, 0)
    for seed in range(10):
        one = drawn(seed)
        assert SPACE.parse(str(one)) == one
        assert [s.as_dict() for s in settings_of(one)] == by_interval(SPACE, one.as_dict())
        assert schedule(SPACE, settings_of(one)) == one
        assert all(("momentum" in s) == (s["opt"] == "sgd") for s in by_interval(SPACE, one.as_dict()))


def test_a_schedule_that_is_cut_off_holds_its_last_setting() -> None:
    settings = settings_of(drawn(0))
    assert settings_of(schedule(SPACE, settings[:2])) == [settings[0], *[settings[1]] * 3]


def test_what_an_evaluation_depends_on_is_what_it_reaches() -> None:
    first, second = drawn(0), alike(drawn(0), drawn(1), 2)
    assert [first.key_at(float(k)) == second.key_at(float(k)) for k in (1, 2, 3, 4)] == [True, True, False, False]
    assert len({first.key_at(k) for k in (1.0, 2.0, 3.0, 4.0)}) == 4
    assert first.key_at(4.0) == first.key_at(None) == first.key
    plain = sb.Space("plain", SPACE.decisions).sample(np.random.default_rng(0))
    assert plain.key_at(1.0) == plain.key


def test_a_training_is_continued_by_schedules_that_begin_alike_and_by_no_others() -> None:
    repeats = Repeats(Seeds("s", 0), serves=True)
    first = drawn(0)
    trial = Trial(0, first, Fidelity(2.0), "ok", 0.5, sb.Cost(1, 2.0))
    repeats.note(trial, seed=7, own=True, paid=True)
    begun = repeats.continued(Proposal(alike(first, drawn(1), 2), Fidelity(3.0), resume=0))
    assert begun is not None
    assert begun.seed == 7
    with pytest.raises(SpaceError, match="begins alike"):
        repeats.continued(Proposal(alike(first, drawn(1), 1), Fidelity(3.0), resume=0))
    assert repeats.remembered(alike(first, drawn(1), 2), Fidelity(2.0)) is trial
    assert repeats.remembered(alike(first, drawn(1), 1), Fidelity(2.0)) is None
    assert repeats.noise_seed(first, Fidelity(1.0)) != repeats.noise_seed(alike(first, drawn(1), 2), Fidelity(1.0))


# -- trainings ------------------------------------------------------------------------------------------------------


def by_state(setting: Any, *, state: Any, seed: int, interval: int) -> Any:
    so_far = [*(state or []), (interval, setting["lr"], "momentum" in setting)]
    return sum(k * lr + m for k, lr, m in so_far) + seed % 7, so_far


def by_folder(setting: Any, *, checkpoint: Path, seed: int, interval: int) -> dict[str, float]:
    file = checkpoint / "sum"
    before = float(file.read_text()) if file.exists() else float(seed % 7)
    after = before + interval * setting["lr"] + ("momentum" in setting)
    file.write_text(repr(after))
    return {"loss": after, "test": after + 1}


def evaluations(problem: sb.Objective) -> Any:
    resolved = problem.resolve()
    return resolved.estimator.open(resolved.space, resolved.task, Seeds("s", 0))


@pytest.mark.parametrize("step", [by_state, by_folder])
def test_a_training_by_intervals_is_that_at_once_and_each_interval_is_paid_once(step: Any) -> None:
    problem = sb.Objective(step, SPACE)
    space, estimator = problem.resolve().space, evaluations(problem)
    whole = space.sample(np.random.default_rng(3))
    at_once, cost = estimator.evaluate(whole, Fidelity(4.0), 5)
    assert cost.epochs == 4
    reached, spent = None, 0.0
    for k in (1.0, 2.0, 4.0):
        begun = schedule(space, settings_of(whole)[: int(k)])  # the rest is not decided yet
        measured, cost = estimator.evaluate(begun, Fidelity(k), 5, reached)
        reached, spent = Fidelity(k), spent + cost.epochs
    assert measured.value == at_once.value
    assert spent == 4
    assert problem.resolve().judge.open(space, sb.Objective, Seeds("s", 0)).verdict(whole).status == "ok"  # type: ignore[arg-type]


def test_a_training_whose_state_is_gone_is_done_again_and_costs_no_more_intervals() -> None:
    estimator = evaluations(sb.Objective(by_state, SPACE))
    whole = drawn(3)
    once, _ = estimator.evaluate(whole, Fidelity(3.0), 5)
    estimator.evaluate(whole, Fidelity(2.0), 5)
    shutil.rmtree(estimator._checkpoints.place(whole.key_at(2.0), 5, 2.0))
    again, cost = estimator.evaluate(whole, Fidelity(3.0), 5, Fidelity(2.0))
    assert (again.value, cost.epochs) == (once.value, 1.0)


def test_a_program_is_run_once_for_each_interval(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        textwrap.dedent("""
        import pathlib, sys
        lr, interval, folder = float(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
        before = (folder / "sum").read_text() if (folder / "sum").exists() else "0"
        (folder / "sum").write_text(str(float(before) + interval * lr))
        print((folder / "sum").read_text())
    """)
    )
    command = f"{sys.executable} -S {tmp_path / 'train.py'} {{lr}} {{interval}} {{checkpoint}}"
    problem = sb.Objective(command=command, space=sb.Use("schedules", intervals=2, setting={"lr": sb.Float(0, 1)}))
    one = problem.resolve().space.sample(np.random.default_rng(0))
    measured, _ = evaluations(problem).evaluate(one, Fidelity(2.0), 0)
    assert measured.value == pytest.approx(one["lr@1"] + 2 * one["lr@2"])  # type: ignore[operator]


def test_a_state_is_nobody_elses_and_must_be_one_that_can_be_kept() -> None:
    def spoils(setting: Any, *, state: Any) -> Any:
        state = [] if state is None else state
        state.append(setting["lr"])
        return float(len(state)), state

    estimator = evaluations(sb.Objective(spoils, SPACE))
    estimator.evaluate(drawn(0), Fidelity(1.0), 0)
    for _ in range(2):
        assert estimator.evaluate(drawn(0), Fidelity(2.0), 0, Fidelity(1.0))[0].value == 2
    kept = sb.Objective(lambda setting, *, state: (1.0, lambda: 0), SPACE)
    with pytest.raises(StudyError, match="state cannot be kept"):
        kept.try_out(Seeds("s", 0))


def test_a_stateful_function_goes_on_where_a_shorter_evaluation_ended() -> None:
    def trains(config: Any, *, state: Any, epochs: int) -> Any:
        done = 0 if state is None else state
        return sum(config["lr"] for _ in range(done, epochs)), epochs

    problem = sb.Objective(trains, {"lr": sb.Float(1, 1)}, epochs=9)
    one = problem.resolve().space.sample(np.random.default_rng(0))
    estimator = evaluations(problem)
    assert estimator.evaluate(one, Fidelity(3.0), 0)[0].value == 3
    assert estimator.evaluate(one, Fidelity(9.0), 0, Fidelity(3.0))[0].value == 6


def test_what_is_declared_in_python_is_what_a_study_file_says() -> None:
    told = {
        "use": "schedules",
        "intervals": 3,
        "setting": {"lr": {"float": [0.1, 1.0], "log": True}, "opt": ["a", "b"]},
    }
    space = sb.Use("schedules", intervals=3, setting={"lr": sb.Float(0.1, 1.0, log=True), "opt": ["a", "b"]})
    problem = sb.Objective("conftest:anything", space, version="1")
    again = posed({"objective": "conftest:anything", "space": told, "version": "1"})
    assert again == problem
    assert posed(problem.given()) == problem
    assert again.space == problem.space  # type: ignore[union-attr]


TWICE = sb.Use("schedules", intervals=2, setting={"a": [1, 2]})
WRONG: dict[str, tuple[Any, Any, str]] = {
    "no interval": (0, {"lr": [1, 2]}, "positive integer"),
    "half an interval": (1.5, {"lr": [1, 2]}, "whole number"),
    "nothing to set": (2, {}, "must name the hyper-parameters"),
    "a misspelt range": (2, {"lr": {"flaot": [0, 1]}}, "did you mean `float`"),
    "architectures": (2, sb.Use("nasbench201"), "space of another kind"),
    "schedules of schedules": (2, TWICE, "space of another kind"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_schedule_that_cannot_be_is_refused_in_a_sentence(what: str) -> None:
    intervals, setting, why = WRONG[what]
    with pytest.raises(InputError, match=why):
        sb.Objective(by_state, sb.Use("schedules", intervals=intervals, setting=setting)).resolve()


def test_what_cannot_train_under_a_schedule_is_told_so() -> None:
    with pytest.raises(StudyError, match="give it a parameter `state`"):
        sb.Objective(lambda setting: 1.0, SPACE).resolve()
    with pytest.raises(StudyError, match="of which there are 4, but `epochs` is 9"):
        sb.Objective(by_state, SPACE, epochs=9).resolve()
    with pytest.raises(StudyError, match="return loss, state"):
        sb.Objective(lambda setting, *, state: 1.0, SPACE).try_out(Seeds("s", 0))
    assert sb.Objective(by_state, SPACE, epochs=4).resolve().stops == (1.0, 2.0, 3.0, 4.0)
