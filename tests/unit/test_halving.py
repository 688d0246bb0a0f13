"""Rungs, brackets and promotions: the published tables, exactly."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.strategies.asha import Asha, Promotions
from searchbench.strategies.halving import Hyperband, SuccessiveHalving
from searchbench.strategies.mo_asha import MultiObjectiveAsha
from searchbench.strategies.rungs import Bracket, at_stops, brackets, ladder, rounded, upwards
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Fidelity, Proposal, Trial

SPACE = nasbench201()


def scenario(stops: tuple[float, ...], seed: int = 0) -> Scenario:
    return Scenario(SPACE, Seeds("s", seed), Budget(epochs=1e9), Fidelity(stops[-1]), stops=stops)


def outcome(proposal: Proposal, number: int, value: float) -> Trial:
    fidelity = Fidelity(proposal.fidelity.epochs, 1.0, 1.0, 1.0)
    status: Any = "nan" if math.isnan(value) else "ok"
    return Trial(number, proposal.architecture, fidelity, status, value, Cost(evaluations=1))


def test_hyperband_brackets_of_nasbench101_are_the_published_ones() -> None:
    found = brackets(4, 108, 3)
    assert [b.sizes for b in found] == [(27, 9, 3, 1), (9, 3, 1), (6, 2), (4,)]
    assert [b.epochs for b in found] == [(4, 12, 36, 108), (12, 36, 108), (36, 108), (108,)]
    assert [b.cost for b in found] == [432, 324, 432, 432]
    assert sum(b.cost for b in found) == 1620
    assert found[0].cost_resumed == 324


def test_brackets_of_the_paper_start_the_ceiling() -> None:
    found = brackets(4, 108, 3, ceiling=True)
    assert [b.sizes for b in found] == [(27, 9, 3, 1), (12, 4, 1), (6, 2), (4,)]
    paper = brackets(1, 81, 3, ceiling=True)
    assert [b.sizes[0] for b in paper] == [81, 34, 15, 8, 5]
    search = Hyperband(ceiling=True).start(scenario((4.0, 12.0, 36.0, 108.0)))
    lowest = [search.ask().fidelity.epochs for _ in range(27 + 12 + 6 + 4)]
    assert Counter(lowest) == {4.0: 27, 12.0: 12, 36.0: 6, 108.0: 4}


def test_rungs_are_rounded_down_to_epochs_the_estimator_can_stop_at() -> None:
    assert ladder(1, 12, 3) == pytest.approx((4 / 3, 4, 12))
    assert [at_stops(b, (1.0, 4.0, 12.0)).epochs for b in brackets(1, 12, 3)] == [(1, 4, 12), (4, 12), (12,)]
    assert at_stops(brackets(1, 9, 3)[0], (5.0, 9.0)).sizes == (9, 1)  # two rungs fall on the first stop
    assert rounded(0.5, (1.0, 4.0)) == 1.0


@pytest.mark.parametrize("power", range(1, 9))
def test_exact_powers_are_not_lost_to_rounding(power: int) -> None:
    assert len(brackets(1, 3**power, 3)) == power + 1


def test_one_round_of_hyperband_asks_for_exactly_its_brackets() -> None:
    search = Hyperband().start(scenario((4.0, 12.0, 36.0, 108.0)))
    rng, asked = np.random.default_rng(0), Counter[float | None]()
    charged = 0.0
    trials: dict[int, Trial] = {}
    for number in range(27 + 9 + 3 + 1 + 9 + 3 + 1 + 6 + 2 + 4):
        proposal = search.ask()
        asked[proposal.fidelity.epochs] += 1
        done = trials[proposal.resume].fidelity.epochs if proposal.resume is not None else 0.0
        charged += proposal.fidelity.epochs - done  # type: ignore[operator]
        trials[number] = outcome(proposal, number, rng.random())
        search.tell(trials[number])
    assert asked == {4: 27, 12: 9 + 9, 36: 3 + 3 + 6, 108: 1 + 1 + 2 + 4}
    assert charged == sum(b.cost_resumed for b in brackets(4, 108, 3))


@pytest.mark.parametrize("abreast", [1, 5])
def test_successive_halving_promotes_the_top_third_of_each_rung(abreast: int) -> None:
    search = SuccessiveHalving().start(scenario((1.0, 3.0, 9.0)))
    rng = np.random.default_rng(1)
    told: dict[float, list[Trial]] = {1.0: [], 3.0: [], 9.0: []}
    promoted: dict[float, list[int]] = {3.0: [], 9.0: []}
    number = 0
    while len(told[9.0]) < 1:
        batch = [search.ask() for _ in range(abreast)]
        for proposal in reversed(batch):
            if proposal.resume is not None:
                promoted[proposal.fidelity.epochs].append(proposal.resume)  # type: ignore[index]
            trial = outcome(proposal, number, rng.random())
            told[trial.fidelity.epochs].append(trial)  # type: ignore[index]
            search.tell(trial)
            number += 1
    if abreast == 1:
        for low, high in ((1.0, 3.0), (3.0, 9.0)):
            best = sorted(told[low], key=lambda t: t.value)[: len(told[low]) // 3]
            assert sorted(promoted[high]) == sorted(t.number for t in best)
    assert len(promoted[9.0]) == 1


def test_failed_trainings_are_never_continued() -> None:
    search = SuccessiveHalving().start(scenario((1.0, 3.0, 9.0)))
    failed = set()
    for number in range(60):
        proposal = search.ask()
        assert proposal.resume not in failed
        value = math.nan if number % 2 else 0.5
        if number % 2:
            failed.add(number)
        search.tell(outcome(proposal, number, value))


def run_asha(strategy: Asha, values: Any, count: int, abreast: int, rng: np.random.Generator) -> tuple[Promotions, int]:
    """Trainings finish in random order; the largest excess of promotions over floor(finished / eta)."""
    search = strategy.start(scenario((1.0, 4.0, 16.0, 64.0)))
    flying: list[Proposal] = []
    worst = 0
    for number in range(count):
        flying += [search.ask() for _ in range(abreast - len(flying))]
        proposal = flying.pop(int(rng.integers(len(flying))))
        search.tell(outcome(proposal, number, values(number)))
        worst = max(worst, *(rung.promoted - len(rung.finished) // strategy.eta for rung in search.rungs))
    return search, worst


@pytest.mark.parametrize("abreast", [1, 9, 64])
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_asha_never_promotes_more_than_one_beyond_its_share(eta: int, abreast: int) -> None:
    rng = np.random.default_rng(eta)
    search, worst = run_asha(Asha(eta=eta, slack=1), lambda number: rng.random(), 2000, abreast, rng)
    assert 0 <= worst <= 1
    assert [len(r.finished) > 0 for r in search.rungs] == [True] * len(search.rungs)


def test_asha_as_printed_exceeds_the_bound_when_results_keep_improving() -> None:
    _, worst = run_asha(Asha(), lambda number: -float(number), 500, 1, np.random.default_rng(0))
    assert worst > 1
    _, held = run_asha(Asha(slack=1), lambda number: -float(number), 500, 1, np.random.default_rng(0))
    assert held <= 1


def test_rungs_of_asha_count_up_from_the_smallest_fidelity_to_the_full_training() -> None:
    shipped = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)
    assert Asha().start(scenario(shipped)).epochs == (1.0, 4.0, 12.0)
    assert Asha(eta=3).start(scenario(shipped)).epochs == (1.0, 3.0, 8.0, 12.0)  # 9 is no stop
    assert Asha(min_epochs=2.0).start(scenario(shipped)).epochs == (2.0, 8.0, 12.0)
    assert upwards(4.0, (4.0, 12.0, 36.0, 108.0), 3) == (4.0, 12.0, 36.0, 108.0)  # not twice where a power hits it


def two_rungs_ready(eta: int = 2) -> tuple[Promotions, list[Trial]]:
    """A search of rungs 1, 2 and 4, of whose lower two both have a training to promote, and all it was told."""
    search = Asha(eta).start(scenario((1.0, 2.0, 4.0)))
    told: list[Trial] = []
    for epochs, values in ((1.0, (0.4, 0.3, 0.5, 0.6)), (2.0, (0.25, 0.2)), (1.0, (0.1, 0.7))):
        for value in values:
            proposal = Proposal(SPACE.sample(np.random.default_rng(len(told))), Fidelity(epochs))
            told.append(outcome(proposal, len(told), value))
            search.tell(told[-1])
    return search, told


def test_asha_looks_for_promotions_from_the_highest_rung_down() -> None:
    search, told = two_rungs_ready()
    asked = [search.ask() for _ in range(4)]
    assert [(p.fidelity.epochs, p.resume) for p in asked[:3]] == [(4.0, 5), (2.0, 6), (2.0, 1)]
    assert asked[0].architecture == told[5].architecture


def test_asha_never_promotes_a_failed_training() -> None:
    search = Asha(eta=2).start(scenario((1.0, 2.0, 4.0)))
    for number, value in enumerate((math.nan, math.nan, math.nan, math.nan, 0.9)):
        begun = search.ask()
        assert (begun.fidelity.epochs, begun.resume) == (1.0, None)
        search.tell(outcome(begun, number, value))
    promoted = search.ask()
    assert (promoted.fidelity.epochs, promoted.resume) == (2.0, 4)  # the worst that came back is the best there is
    assert [search.ask().fidelity.epochs for _ in range(3)] == [1.0] * 3


def test_multi_objective_asha_never_promotes_a_failed_training() -> None:
    search = MultiObjectiveAsha(("value",), eta=2).start(scenario((1.0, 2.0, 4.0)))
    for number, value in enumerate((math.nan, math.nan, math.nan, 0.9)):
        search.tell(outcome(search.ask(), number, value))
    assert [search.ask().resume for _ in range(3)] == [3, None, None]  # a failure is second of four


def test_a_failed_training_of_asha_counts_in_its_rung() -> None:
    search = Asha(eta=2).start(scenario((1.0, 2.0, 4.0)))
    search.tell(outcome(search.ask(), 0, 0.5))
    search.tell(outcome(search.ask(), 1, math.nan))
    assert search.ask().resume == 0  # the better half of two, of which one failed


def test_asha_promotes_the_best_of_the_highest_rung_first() -> None:
    search = Asha(eta=2).start(scenario((1.0, 2.0, 4.0)))
    for number, value in enumerate((0.4, 0.2)):
        search.tell(outcome(search.ask(), number, value))
    promoted = search.ask()
    assert (promoted.resume, promoted.fidelity.epochs) == (1, 2.0)
    search.tell(outcome(promoted, 2, 0.1))
    assert search.ask().fidelity.epochs == 1.0  # one finished at the second rung is not yet a top half


@pytest.mark.parametrize("wrong", [{"eta": 1}, {"eta": 2.5}, {"min_epochs": 0}, {"min_epochs": math.inf}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    for kind in (SuccessiveHalving, Hyperband, Asha):
        with pytest.raises(StudyError, match=next(iter(wrong))):
            kind(**wrong)


def test_a_problem_with_one_length_of_training_is_not_supported() -> None:
    assert "one length" in str(Hyperband().unsupported(scenario((12.0,))))
    assert "min_epochs" in str(Asha(min_epochs=20).unsupported(scenario((1.0, 12.0))))
    assert Hyperband().unsupported(scenario((1.0, 12.0))) is None


def test_the_lowest_rung_may_be_the_full_training_and_brackets_cost_what_their_rungs_do() -> None:
    assert Hyperband(min_epochs=12).unsupported(scenario((1.0, 12.0))) is None
    bracket = Bracket((9, 3, 1), (1.0, 3.0, 9.0))
    assert (bracket.cost, bracket.cost_resumed) == (27.0, 9 * 1 + 3 * 2 + 1 * 6)
