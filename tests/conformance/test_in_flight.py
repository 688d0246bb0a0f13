"""Every ask/tell strategy keeps its algorithm's own rule with 1, 8 and 32 evaluations under way, answered out of order,
failures among them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from rules_of_adapters import OwnJobs, OwnPoints, OwnTrainings, OwnTrials
from rules_of_evolution import (
    Deaths,
    Front,
    Generations,
    MutationsWhereDrawn,
    PhasesOfParents,
    Standing,
    evolution,
)
from rules_of_learning import (
    BestFirst,
    GradientsWhereDrawn,
    Halves,
    Levels,
    Recorded,
    ScoresWhereDrawn,
    SeesEverything,
    TrustRegion,
    controlled,
    modelled,
)
from rules_of_rungs import (
    Brackets,
    Densities,
    Differential,
    Exploits,
    FrontPromotions,
    KeepsUp,
    MayBecomeTheBest,
    Observed,
    Promotions,
    Scheduling,
)

from searchbench.spaces.block_cells.nasnet import pnas as pnas_space
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.graphs.hierarchical import hierarchical
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.schedules import schedules
from searchbench.spaces.space import Space
from searchbench.strategies.adapters import optuna, skopt, tune
from searchbench.strategies.asha import Asha
from searchbench.strategies.bohb import Bohb
from searchbench.strategies.constant import ConstantSettings, constant_settings
from searchbench.strategies.controlled import lstm_reinforce, ppo
from searchbench.strategies.dehb import Dehb
from searchbench.strategies.evolution import Oldest, RegularizedEvolution, Worst, WorstOfTournament
from searchbench.strategies.generators import GeneratorGrid
from searchbench.strategies.graph_process import nas_bowl
from searchbench.strategies.grid import Grid
from searchbench.strategies.halving import Hyperband, SuccessiveHalving
from searchbench.strategies.hierarchical import HierarchicalEvolution
from searchbench.strategies.lanas import LaNas
from searchbench.strategies.local import BestImprovement, LocalSearch
from searchbench.strategies.median import MedianStopping, PredictedStopping
from searchbench.strategies.mo_asha import MultiObjectiveAsha
from searchbench.strategies.model_based import ModelBased, RandomAndNear, bananas
from searchbench.strategies.morphism_tree import auto_keras
from searchbench.strategies.nsga2 import Nsga2
from searchbench.strategies.nsga_net import NsgaNet
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.pb2 import pb2
from searchbench.strategies.pbt import pbt
from searchbench.strategies.pibo import pibo
from searchbench.strategies.pnas import pnas
from searchbench.strategies.priorband import priorband
from searchbench.strategies.random import Random
from searchbench.strategies.reinforce import Ascent, Reinforce
from searchbench.strategies.renas import Reinforced
from searchbench.strategies.sample import StratifiedSample
from searchbench.strategies.scalarised import MnasReward, Scalarised
from searchbench.strategies.scheduled import Scheduled
from searchbench.strategies.surrogates import Forest, GaussianProcess
from searchbench.strategies.transport import nasbot
from searchbench.strategies.turbo import Turbo
from searchbench.strategies.warm import WarmStart
from searchbench.testing import ConformanceError, Flight, Rule, Stage, check_in_flight, fly
from searchbench.testing.in_flight import UNDER_WAY
from searchbench.testing.rehearsal import evaluate
from searchbench.trial import Proposal, Trial

CELLS = nasbench201()
BOX = Space("numbers", (Float("x", -5.0, 10.0), Float("rate", 1e-4, 1e-1, log=True), Integer("layers", 1, 9)))
NUMBERS = schedules(27, {"rate": {"float": [1e-4, 1.0], "log": True}, "units": {"int": [1, 9]}})
SCHEDULES = schedules(27, {"rate": {"float": [1e-4, 1.0], "log": True}, "optimizer": ["sgd", "adam"]})


@dataclass(frozen=True)
class Row:
    """A strategy, what it promises, and on how many trials it is held to it."""

    strategy: Any
    rule: Callable[[Any], Rule]
    trials: int = 120
    space: Any = CELLS
    replicates: int = 2
    under_way: tuple[int, ...] = UNDER_WAY


def of_held(strategy: ConstantSettings) -> Rule:
    """What the strategy promises whose settings are held."""
    return Brackets(strategy.strategy)  # type: ignore[arg-type]


FOREST = ModelBased(Forest(3), candidates=RandomAndNear(20, 5), initial=8)

ROWS = {
    "the oldest dies": Row(evolution(Oldest(), population=12, sample=4), Deaths),
    "the worst of a tournament dies": Row(evolution(WorstOfTournament(), population=12, sample=4), Deaths),
    "the worst of all dies": Row(evolution(Worst(), population=12, sample=4), Deaths),
    "renas": Row(
        evolution(WorstOfTournament(), population=12, sample=4, mutation=Reinforced(units=4, batch=3)),
        MutationsWhereDrawn,
        60,
        CELLS,
        1,
    ),
    "nsga-net": Row(NsgaNet(("value", "params"), population=6, explore=1, mutation=0.0), PhasesOfParents),
    "copies of parents": Row(evolution(WorstOfTournament(), population=6, sample=3, identity=0.4), Deaths),
    "nsga2": Row(Nsga2(population=10, mutation=0.0), Front),
    "spos-evolution": Row(SposEvolution(20, 6, keep=5, mutations=8, crossovers=8), Generations),
    "local-search": Row(LocalSearch(), Standing, 200),
    "local-search, best of all": Row(LocalSearch(move=BestImprovement()), Standing, 200),
    "reinforce": Row(Reinforce(0.5, entropy=0.0), ScoresWhereDrawn),
    "reinforce in batches": Row(Reinforce(0.5, batch=4, update=Ascent()), ScoresWhereDrawn),
    "lstm-reinforce": Row(controlled(lstm_reinforce(batch=4, learning_rate=0.05)), GradientsWhereDrawn, 48, CELLS, 1),
    "lstm-reinforce, replicas": Row(
        controlled(lstm_reinforce(batch=4, learning_rate=0.05, replicas=3)), GradientsWhereDrawn, 48, CELLS, 1
    ),
    "ppo": Row(controlled(ppo(batch=4, units=12, learning_rate=0.05)), GradientsWhereDrawn, 48, CELLS, 1),
    "successive-halving": Row(SuccessiveHalving(), Brackets, 150),
    "hyperband": Row(Hyperband(), Brackets, 150),
    "hyperband of the paper": Row(Hyperband(eta=4, ceiling=True), Brackets, 150),
    "asha": Row(Asha(eta=3), Promotions, 150),
    "bohb": Row(Bohb(min_epochs=3), Densities, 150),
    "multi-objective-asha": Row(MultiObjectiveAsha(), FrontPromotions, 100, CELLS, 1),
    "dehb": Row(Dehb(), Differential, 150),
    "median-stopping": Row(MedianStopping(), KeepsUp, 150),
    "predicted-stopping": Row(PredictedStopping(), MayBecomeTheBest, 150),
    "pbt": Row(pbt(population=6), Exploits, 150, SCHEDULES, 1),
    "pbt in step": Row(pbt(population=6, synchronous=True), Exploits, 150, SCHEDULES, 1),
    "pb2": Row(pb2(population=6, restarts=0), Exploits, 40, NUMBERS, 1, (1, 8)),
    "hyperband, settings held": Row(constant_settings(Hyperband()), of_held, 60, SCHEDULES, 1),
    "forest under hyperband": Row(Scheduled(Hyperband(), Observed(FOREST), enough=8), Scheduling, 50, CELLS, 1),
    "evolution under asha": Row(
        Scheduled(Asha(eta=3), Observed(RegularizedEvolution(10, 3)), enough=10), Scheduling, 150
    ),
    "random under successive halving": Row(
        Scheduled(SuccessiveHalving(), Observed(Random(replacement=False))), Scheduling, 150
    ),
    "optuna:tpe under median stopping": Row(
        Scheduled(MedianStopping(), Observed(optuna.adapt("tpe", startup=8))), Scheduling, 60, CELLS, 1
    ),
    "gp": Row(
        modelled(ModelBased(GaussianProcess(restarts=0), candidates=RandomAndNear(20, 5), initial=8)),
        SeesEverything,
        25,
        CELLS,
        1,
    ),
    "forest in batches": Row(
        modelled(ModelBased(Forest(5), candidates=RandomAndNear(20, 5), initial=8, batch=3)), SeesEverything, 40
    ),
    "nasbot": Row(modelled(nasbot(initial=6, candidates=12)), SeesEverything, 20, CELLS, 1),
    "auto-keras": Row(modelled(auto_keras(initial=6, moves=3, coldest=0.3)), SeesEverything, 20, CELLS, 1),
    "nas-bowl": Row(modelled(nas_bowl(initial=6, candidates=20)), SeesEverything, 30, CELLS, 1),
    "priorband": Row(priorband({"3<-0": "skip_connect"}), Brackets, 120, CELLS, 1),
    "pibo": Row(modelled(pibo({"3<-0": "skip_connect"}, initial=8, restarts=0)), SeesEverything, 12, CELLS, 1, (1, 8)),
    "turbo": Row(Turbo(initial=5), TrustRegion, 14, BOX, 1),
    "warm-start": Row(WarmStart(RegularizedEvolution(6, 3), (Recorded(),), designs=4), BestFirst, 60, CELLS, 1),  # type: ignore[arg-type]
    "lanas": Row(LaNas(initial=20, every=10, height=3, tries=300), Halves, 70, CELLS, 1),
    "bananas": Row(modelled(bananas(initial=6, batch=5, layers=2, epochs=3)), SeesEverything, 40),
    "pnas": Row(
        pnas(beam=6, members=2, epochs=3),
        Levels,
        40,
        pnas_space(blocks=3, operations=("identity", "max3", "sep3")),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rule_is_kept_whatever_is_under_way(name: str) -> None:
    fly_under_rule(ROWS[name])


def fly_under_rule(row: Row) -> None:
    stage = Stage(row.space, row.trials)
    told = check_in_flight(
        row.strategy,
        lambda: row.rule(row.strategy),
        on=(stage,),
        under_way=row.under_way,
        replicates=row.replicates,
    )
    assert told > row.trials


ADAPTED = {
    "optuna:tpe": Row(optuna.adapt("tpe", startup=8), OwnTrials, 60, CELLS, 1),
    "optuna:nsgaii": Row(optuna.adapt("nsgaii", startup=8, population_size=8), OwnTrials, 60, CELLS, 1),
    "optuna:nsgaiii, a front": Row(
        optuna.adapt("nsgaiii", startup=8, population_size=8, objectives=["value", "params"]),
        OwnTrials,
        60,
        CELLS,
        1,
    ),
    "optuna:random, median": Row(optuna.adapt("random", pruner="median"), OwnTrainings, 120, CELLS, 1),
    "optuna:tpe, halving": Row(optuna.adapt("tpe", startup=8, pruner="halving"), OwnTrainings, 60, CELLS, 1),
}
SLOWLY_ADAPTED = {
    # with n under way it fits a forest to each of n lies, at every question
    "skopt:forest": Row(skopt.adapt("forest", startup=6), OwnPoints, 9, CELLS, 1, (1, 3)),
    "tune:optuna": Row(tune.adapt("optuna", startup=4), OwnJobs, 30, CELLS, 1),
    "tune:hyperopt": Row(tune.adapt("hyperopt", startup=4, n_initial_points=6), OwnJobs, 30, CELLS, 1),
    "tune:asha": Row(tune.adapt("asha"), OwnJobs, 120, CELLS, 1),
    "tune:median-stopping, optuna": Row(
        tune.adapt("median-stopping", searcher="optuna", startup=4), OwnJobs, 60, CELLS, 1
    ),
}


@pytest.mark.parametrize("name", ADAPTED)
def test_libraries_hear_of_their_own_trials(name: str) -> None:
    fly_under_rule(ADAPTED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOWLY_ADAPTED)
def test_libraries_that_load_slowly_hear_of_their_own_trials(name: str) -> None:
    fly_under_rule(SLOWLY_ADAPTED[name])


RESULTS_DECIDE_NOTHING = {
    "random": Random(),
    "random without replacement": Random(replacement=False),
    "grid": Grid(points=3),
    "stratified sample": StratifiedSample(60, strata=4),
}


@pytest.mark.parametrize("name", RESULTS_DECIDE_NOTHING)
def test_what_learns_nothing_proposes_the_same_whatever_is_under_way(name: str) -> None:
    strategy: Any = RESULTS_DECIDE_NOTHING[name]
    flights = [fly(strategy, Stage(CELLS, 60), under_way).asked[:60] for under_way in (1, 8, 32)]
    assert flights[0] == flights[1] == flights[2]


@pytest.mark.parametrize("under_way", [1, 8, 32])
def test_generators_are_compared_by_the_means_of_their_own_draws(under_way: int) -> None:
    space = Space("drawn", (Choice("generator", ("a", "b", "c")), Choice("x", tuple(range(40)))))
    flight = fly(GeneratorGrid(instances=6), Stage(space, 18), under_way, values=rarely_failing)
    means = {
        g: math.fsum(math.inf if t.failed else t.value for t in flight.trials if t.architecture["generator"] == g)
        for g in ("a", "b", "c")
    }
    assert flight.search.recommend()["generator"] == min(means, key=lambda g: means[g])  # type: ignore[attr-defined]


def rarely_failing(proposal: Proposal, number: int) -> Trial:
    return evaluate(proposal, number, "only failures" if number == 5 else "fair")


@pytest.mark.parametrize("under_way", [1, 8, 32])
def test_hierarchical_population_is_what_came_back(under_way: int) -> None:
    flight = fly(HierarchicalEvolution(population=8, mutations=20), Stage(hierarchical(), 40), under_way)
    ok = [(t.value, t.architecture) for t in flight.trials if not t.failed]
    assert [(value, a) for value, _, a in flight.search.members] == ok  # type: ignore[attr-defined]


@pytest.mark.parametrize("under_way", [1, 8, 32])
def test_a_scalarised_search_is_told_the_reward_of_its_own_trials_and_recommends_the_best(under_way: int) -> None:
    reward = MnasReward("macs", 9000.0)
    strategy = Scalarised(evolution(WorstOfTournament(), population=12, sample=4), reward)
    flight = fly(strategy, Stage(CELLS, 100), under_way)
    ok = [t for t in flight.trials if not t.failed]
    best = max((t for t in ok if CELLS.carrying(t.architecture)), key=reward.reward)  # of what can learn
    assert flight.search.recommend() == best.architecture  # type: ignore[attr-defined]
    told = {-reward.reward(t): t.architecture for t in ok}
    for population, _, _ in strategy.strategy.removal.deaths:  # type: ignore[attr-defined]
        assert all(math.isinf(m.value) or told[m.value] == m.architecture for m in population)


def test_a_scalarised_search_passes_on_what_its_inner_search_notes() -> None:
    space = pnas_space(blocks=2, operations=("identity", "max3", "sep3"))
    strategy = Scalarised(pnas(beam=6, members=2, epochs=3), MnasReward("macs", 9000.0))
    flight = fly(strategy, Stage(space, 30), 8)
    trace: Any = flight.search.trace()  # type: ignore[attr-defined]
    assert [line["blocks"] for line in trace] == [1, 2]
    assert fly(Scalarised(Random(), MnasReward("macs", 9000.0)), Stage(CELLS, 3), 1).search.trace() == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("under_way", [8, 32])
def test_local_search_climbs_with_evaluations_under_way(under_way: int) -> None:
    rule = Standing(LocalSearch())
    fly(LocalSearch(), Stage(CELLS, 300), under_way, rule)
    assert rule.steps > 5


@pytest.mark.parametrize("under_way", [1, 8, 32])
def test_non_aging_evolution_buries_the_old_no_more_often_than_chance(under_way: int) -> None:
    strategy = evolution(WorstOfTournament(), population=12, sample=4)
    fly(strategy, Stage(CELLS, 300), under_way)
    oldest = [dead.birth == population[0].birth for population, _, dead in strategy.removal.deaths]  # type: ignore[attr-defined]
    assert sum(oldest) / len(oldest) < 2 / 13  # a thirteenth by chance, and the old are those that outlived others


# -- the rules themselves find what is wrong -----------------------------------------------------------------------


class ByAge(WorstOfTournament):
    """Claims to bury the worst of a tournament, and buries by age."""

    def index(self, population: Any, tournament: Any) -> int:
        return 0


def test_rule_finds_a_removal_by_age() -> None:
    strategy = evolution(ByAge(), population=12, sample=4)
    with pytest.raises(ConformanceError, match=r"did not compete|a better one died"):
        check_in_flight(strategy, lambda: Deaths(strategy), on=(Stage(CELLS, 60),))


def test_flight_answers_every_proposal_once_and_out_of_order() -> None:
    flight: Flight = fly(SuccessiveHalving(), Stage(CELLS, 100), 8)
    assert len(set(flight.tickets)) == len(flight.trials) == 100
    assert flight.tickets != sorted(flight.tickets)
    assert any(math.isnan(trial.value) for trial in flight.trials)
    assert len(flight.awaited) == 7
