"""Searchers under schedulers, and what a search learns from trials that it did not propose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import Use, make
from searchbench.harness.declared.objective import Objective
from searchbench.harness.declared.problem import Problem
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies import STRATEGIES
from searchbench.strategies.adapters.optuna import SAMPLERS, adapt
from searchbench.strategies.asha import Asha
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.halving import Hyperband, SuccessiveHalving
from searchbench.strategies.median import MedianStopping, PredictedStopping
from searchbench.strategies.model_based import ModelBased, RandomAndNear
from searchbench.strategies.optional import Learning
from searchbench.strategies.random import Random
from searchbench.strategies.reinforce import Reinforce
from searchbench.strategies.scheduled import Levels, Scheduled, scheduled
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.surrogates import Forest
from searchbench.tables.table import Table
from searchbench.testing import Stage, fly
from searchbench.testing.rehearsal import evaluate
from searchbench.trial import Fidelity, Proposal, Trial

CELLS = nasbench201()
MIXED = Space(
    "mixed",
    (
        Float("rate", 1e-4, 1e-1, log=True),
        Choice("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.99, when=When("optimizer", ("sgd",))),
        Integer("units", 8, 512, log=True),
    ),
)
TINY = Space("tiny", (Choice("left", ("a", "b", "c")), Choice("right", ("a", "b"))))


def scenario(space: Any = CELLS, stops: tuple[float, ...] = (1.0, 3.0, 9.0, 27.0)) -> Scenario:
    return Scenario(space, Seeds("s", 0), Budget(evaluations=100), Fidelity(27.0), stops=stops)


def test_a_study_file_names_a_searcher_and_a_scheduler() -> None:
    given = Use("scheduled", scheduler={"use": "asha", "eta": 3}, searcher={"use": "random", "replacement": False})
    assert make(given, STRATEGIES) == Scheduled(Asha(eta=3), Random(replacement=False))
    assert scheduled("hyperband", "random") == Scheduled(Hyperband(), Random())


@pytest.mark.parametrize("scheduler", [SuccessiveHalving(), Hyperband(ceiling=True), Asha(), MedianStopping()])
def test_random_designs_under_a_scheduler_are_the_scheduler_itself(scheduler: Any) -> None:
    alone = fly(scheduler, Stage(MIXED, 60), 8).asked
    together = fly(Scheduled(scheduler, Random(), enough=1000), Stage(MIXED, 60), 8).asked
    assert together == alone


def test_a_searcher_that_cannot_learn_is_refused_at_planning() -> None:
    assert "must learn from trials" in str(Scheduled(Hyperband(), Reinforce()).unsupported(scenario()))
    assert "must learn from trials" in str(Scheduled(Hyperband(), adapt("nsgaii")).unsupported(scenario()))
    assert "one length" in str(Scheduled(Hyperband(), Random()).unsupported(scenario(stops=(27.0,))))
    assert Scheduled(Hyperband(), adapt("tpe")).unsupported(scenario()) is None


def test_what_is_no_scheduler_or_no_searcher_is_refused() -> None:
    with pytest.raises(StudyError, match="`scheduler` must be one that trains what others draw"):
        Scheduled(Random(), Random())  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="`searcher` must be an ask/tell strategy"):
        Scheduled(Hyperband(), 3)  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="`enough` must be a positive integer"):
        Scheduled(Hyperband(), Random(), enough=0)
    with pytest.raises(StudyError, match="`others` must be a positive integer"):
        MedianStopping(others=0)


@pytest.mark.parametrize("scheduler", [SuccessiveHalving(), Hyperband(), Asha(eta=3), MedianStopping()])
def test_an_exhausted_searcher_lets_the_scheduler_finish_what_was_begun(scheduler: Any) -> None:
    flight = fly(Scheduled(scheduler, Random(replacement=False), enough=1000), Stage(TINY, 100), 3)
    begun = [p.architecture.key for p in flight.asked if p.resume is None]
    assert len(begun) == len(set(begun)) == 6
    assert not flight.awaited
    assert any(p.resume is not None for p in flight.asked)


LEARNERS = {
    "evolution": RegularizedEvolution(12, 4),
    "forest": ModelBased(Forest(5), candidates=RandomAndNear(20, 5), initial=8),
    "random without replacement": Random(replacement=False),
    **{f"optuna:{name}": adapt(name, startup=8) for name in ("tpe", "tpe-hyperopt")},
}


@pytest.mark.parametrize("space", [CELLS, MIXED], ids=["cells", "mixed"])
@pytest.mark.parametrize("name", LEARNERS)
def test_what_was_learnt_is_as_good_as_what_was_proposed(name: str, space: Any) -> None:
    """A search that learns another's trials goes on as that one does, where both draw from fresh streams."""
    first: Any = LEARNERS[name].start(scenario(space))
    told = []
    for number in range(12):
        trial = evaluate(first.ask(), number, "failures")
        first.tell(trial)
        told.append(trial)
    second: Any = LEARNERS[name].start(scenario(space))
    assert isinstance(second, Learning)
    for trial in told:
        second.learn(trial)
    after = [second.ask().architecture for _ in range(4)]
    assert not {a.key for a in after} & {t.architecture.key for t in told} or name.startswith(("optuna", "evolution"))
    inner = getattr(second, "_study", None)
    if inner is not None:
        mine, others = ([(t.params, t.value, t.state) for t in s._study.trials[:12]] for s in (second, first))
        assert mine == others
        assert second._startup == 0
    elif name == "forest":
        assert second._measured == first._measured
    elif name == "evolution":
        assert [m.architecture for m in second._population] == [m.architecture for m in first._population]


def test_only_samplers_that_look_at_foreign_trials_learn() -> None:
    for name, sampler in SAMPLERS.items():
        if sampler.needs is None and name not in ("grid", "qmc"):
            assert isinstance(adapt(name).start(scenario()), Learning) == sampler.learns


class Noting:
    """A searcher that names what it is given to name, and notes what it hears and how."""

    def __init__(self, names: list[Any]) -> None:
        self.names, self.told, self.learnt = names, list[int](), list[int]()

    def ask(self) -> Proposal:
        return Proposal(self.names.pop(0))

    def tell(self, trial: Trial) -> None:
        self.told.append(trial.number)

    def learn(self, trial: Trial) -> None:
        self.learnt.append(trial.number)


class Notes:
    """The strategy of it."""

    def start(self, scenario: Scenario) -> Noting:
        return Noting(list(TINY.enumerate()))


def at_levels(enough: int | None = None) -> Levels:
    return Levels(Scheduled(Hyperband(), Notes(), enough), scenario(TINY))


def heard(levels: Levels, architecture: Any, number: int, epochs: float) -> None:
    levels.learn(answer(Proposal(architecture, Fidelity(epochs)), number, 0.5))


def test_the_searcher_of_the_longest_trainings_with_enough_results_is_asked_whatever_came_last() -> None:
    levels, cells = at_levels(enough=2), list(TINY.enumerate())
    ignorant = levels.asked
    story = []
    for number, epochs in enumerate((3.0, 3.0, 9.0, 1.0, 1.0, 9.0, 3.0)):
        heard(levels, cells[number % 6], number, epochs)
        story.append(next((e for e, searcher in levels.searchers.items() if searcher is levels.asked), None))
    assert story == [None, 3.0, 3.0, 3.0, 3.0, 9.0, 9.0]
    assert levels.asked is not ignorant


def test_enough_are_twice_as_many_as_decisions_and_two() -> None:
    levels, cells = at_levels(), list(TINY.enumerate())
    ignorant = levels.asked
    for number in range(5):
        heard(levels, cells[number], number, 1.0)
    assert levels.asked is ignorant
    heard(levels, cells[5], 5, 1.0)
    assert levels.asked is levels.searchers[1.0]


def test_a_searcher_is_told_of_what_it_named_and_learns_the_rest() -> None:
    levels, cells = at_levels(enough=1), list(TINY.enumerate())
    heard(levels, cells[5], 0, 9.0)
    drawn = [levels.draw(9.0), levels.draw(1.0)]
    heard(levels, drawn[0], 1, 9.0)
    heard(levels, drawn[1], 2, 1.0)  # named by the searcher of other lengths
    short, long = (levels.searchers[epochs] for epochs in (1.0, 9.0))
    assert isinstance(short, Noting)
    assert isinstance(long, Noting)
    assert (long.told, long.learnt, short.told, short.learnt) == ([1], [0], [], [2])


def test_what_was_begun_is_begun_again_only_where_ten_tries_name_nothing_else() -> None:
    levels, cells = at_levels(enough=100), list(TINY.enumerate())
    searcher: Any = levels.asked
    searcher.names = [cells[0], *[cells[0]] * 9, cells[1], *[cells[0]] * 10, cells[2]]
    assert [levels.draw(1.0) for _ in range(3)] == [cells[0], cells[1], cells[0]]


def trained(settings: MedianStopping, values: list[list[float]], told: int) -> list[tuple[int, float]]:
    """Which training was told about and how long it was then, of trainings with these values at 1, 2 and 3 epochs, one
    after the other; further ones come to .9."""
    search = settings.start(scenario(stops=(1.0, 2.0, 3.0)))
    story: list[tuple[int, float]] = []
    numbers: dict[int, int] = {}
    for number in range(told):
        proposal: Any = search.ask()
        which = len({*numbers.values()}) if proposal.resume is None else numbers[proposal.resume]
        numbers[number] = which
        length = int(proposal.fidelity.epochs)
        story.append((which, length))
        value = values[which][length - 1] if which < len(values) else 0.9
        search.tell(answer(proposal, number, value))
    return story


def test_median_stopping_ends_what_falls_behind() -> None:
    values = [[0.5, 0.4, 0.3], [0.7, 0.5, 0.4], [0.61, 0.2], [0.6, 0.44, 0.1]]
    # the averages at 1: .5, .7 (median .6): .61 is ended; with .61 among them it is .61: .6 goes on;
    # at 2: .45, .6 (median .525): the best of .6 and .44 goes on
    assert trained(MedianStopping(others=2), values, 10) == [
        *[(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3)]
    ]


ALL_OF_THE_FIRST = [(0, 1), (0, 2), (0, 3)]


@pytest.mark.parametrize(
    ("values", "second"),
    [
        ([[0.5, 0.5, 0.5], [0.4, 0.9, 0.9]], 3),
        ([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], 3),
        ([[0.9, 0.1, 0.1], [0.3, 0.3, 0.4]], 3),
        ([[0.1, 0.9, 0.9], [0.2, 0.1, 0.1]], 1),
    ],
    ids=["the best so far counts, not the last", "a tie goes on", "others count by their averages", "from the first"],
)
def test_median_stopping_compares_the_best_of_one_with_the_averages_of_others(
    values: list[list[float]], second: int
) -> None:
    story = trained(MedianStopping(others=1), values, 3 + second + 1)
    assert story == [*ALL_OF_THE_FIRST, *((1, at) for at in range(1, second + 1)), (2, 1)]


def test_where_evaluations_begin_anew_trainings_are_looked_at_at_powers_of_three() -> None:
    """27 looks would cost fourteen times what the last one does."""
    for rule in (MedianStopping(others=99), PredictedStopping(), adapt("random", pruner="median")):
        for continues, at in ((True, [float(e) for e in range(1, 28)]), (False, [1.0, 3.0, 9.0, 27.0])):
            where = replace(scenario(stops=tuple(float(e) for e in range(1, 28))), continues=continues)
            search, asked = rule.start(where), list[float | None]()
            for number in range(len(at)):
                proposal = search.ask()
                assert proposal is not None
                asked.append(proposal.fidelity.epochs)
                search.tell(evaluate(proposal, number, "fair"))
            assert asked == at


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_objective_continues_where_it_takes_a_checkpoint(goes_on: bool) -> None:
    def with_folder(config: Any, *, epochs: float, checkpoint: Any) -> float:
        return 1 / epochs

    def without(config: Any, *, epochs: float) -> float:
        return 1 / epochs

    function = with_folder if goes_on else without
    problem = Objective(function, space={"x": Float(0.0, 1.0)}, epochs=27)
    assert problem.resolve().continues is goes_on
    assert Problem(CELLS, "digits", Use("table")).resolve().continues
    assert not Table("t.csv", validation=("v",), test=("t",), curve=False).continues


def test_median_stopping_judges_from_the_end_of_the_grace_on() -> None:
    story = trained(MedianStopping(others=1, grace_epochs=2.0), [[0.1, 0.1, 0.1], [0.9, 0.9, 0.9]], 6)
    assert story == [*ALL_OF_THE_FIRST, (1, 1), (1, 2), (2, 1)]


def test_trainings_that_may_go_on_do_so_in_the_order_in_which_they_came_back() -> None:
    search = MedianStopping().start(scenario(stops=(1.0, 2.0)))
    begun: list[Any] = [search.ask() for _ in range(3)]
    for number, proposal in enumerate(begun):
        search.tell(answer(proposal, number, 0.5))
    assert [search.ask().resume for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]


def answer(proposal: Proposal, number: int, value: float) -> Trial:
    trial = evaluate(proposal, number, "fair")
    return Trial(number, trial.architecture, trial.fidelity, "ok", value, trial.cost)
