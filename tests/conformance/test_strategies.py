"""Every built-in strategy passes the public conformance suite: a row each."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from searchbench import Budget, Problem
from searchbench.errors import StoreError, StudyError
from searchbench.spaces.block_cells.nasnet import pnas as pnas_space
from searchbench.spaces.chains.zoph import chain
from searchbench.spaces.graphs.hierarchical import hierarchical
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.schedules import schedules
from searchbench.strategies import STRATEGIES
from searchbench.strategies.acquisition import ExpectedImprovement
from searchbench.strategies.adapters import nni, skopt, tune
from searchbench.strategies.adapters.optuna import adapt
from searchbench.strategies.asha import Asha
from searchbench.strategies.bohb import Bohb
from searchbench.strategies.constant import constant_settings
from searchbench.strategies.controlled import lstm_reinforce, ppo
from searchbench.strategies.dehb import Dehb
from searchbench.strategies.evolution import RegularizedEvolution, Worst, non_aging_evolution
from searchbench.strategies.generators import Generator
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
from searchbench.strategies.pb2 import pb2
from searchbench.strategies.pbt import pbt
from searchbench.strategies.pibo import pibo
from searchbench.strategies.pnas import pnas
from searchbench.strategies.priorband import priorband
from searchbench.strategies.random import Random
from searchbench.strategies.reinforce import Ascent, Reinforce
from searchbench.strategies.renas import renas
from searchbench.strategies.sample import StratifiedSample
from searchbench.strategies.scalarised import mnasnet
from searchbench.strategies.scheduled import Scheduled
from searchbench.strategies.surrogates import Forest, GaussianProcess
from searchbench.strategies.transport import nasbot
from searchbench.testing import ConformanceError, Stage, check_strategy, honesty
from searchbench.testing.rehearsal import searched
from searchbench.trial import Proposal

ROWS = {
    "random": Random(),
    "random without replacement": Random(replacement=False),
    "grid": Grid(points=3),
    "local-search": LocalSearch(),
    "local-search, best of all neighbours": LocalSearch(initial=3, move=BestImprovement()),
    "regularized-evolution": RegularizedEvolution(population=10, sample=3),
    "regularized-evolution with identity": RegularizedEvolution(population=6, sample=6, identity=0.3),
    "non-aging evolution": non_aging_evolution(population=10, sample=3),
    "evolution, worst of all dies": RegularizedEvolution(population=10, sample=3, removal=Worst()),
    "renas": renas(population=6, sample=3, units=4, batch=2),
    "reinforce": Reinforce(learning_rate=0.1),
    "reinforce in batches, plain ascent": Reinforce(0.1, batch=4, entropy=0.01, initial_std=0, update=Ascent()),
    "successive-halving": SuccessiveHalving(),
    "hyperband": Hyperband(min_epochs=3),
    "asha": Asha(eta=3),
    "bohb": Bohb(min_epochs=9),
    "multi-objective-asha": MultiObjectiveAsha(("value", "macs")),
    "dehb": Dehb(min_epochs=3),
    "median-stopping": MedianStopping(others=2),
    "predicted-stopping": PredictedStopping(others=2, chance=0.3),
    "evolution under hyperband": Scheduled(Hyperband(min_epochs=3), RegularizedEvolution(6, 3), enough=3),
    "gp": ModelBased(GaussianProcess(restarts=0), candidates=RandomAndNear(30, 10), initial=8),
    "forest": ModelBased(Forest(trees=5), ExpectedImprovement(), RandomAndNear(30, 10), initial=8),
    "lanas": LaNas(initial=8, every=6, least=6, tries=20),
    "bananas": bananas(initial=6, batch=5, layers=2, epochs=5),
    "lstm-reinforce": lstm_reinforce(batch=3, replicas=2),
    "ppo": ppo(batch=4, units=12),
    "mnasnet": mnasnet("macs", 9000, strategy="regularized-evolution", population=8, sample=3),
    "nsga2": Nsga2(population=6),
    "nsga-net": NsgaNet(population=4, explore=1),
    "optuna:random": adapt("random", startup=3),
    "optuna:tpe": adapt("tpe", startup=5),
    "optuna:tpe, multivariate": adapt("tpe", startup=5, multivariate=True),
    "optuna:nsgaii": adapt("nsgaii", startup=8, population_size=8),
}

ADAPTED = {
    "tune:optuna": tune.adapt("optuna", startup=4),
    "tune:hyperopt": tune.adapt("hyperopt", startup=4, n_initial_points=6),
    "tune:asha": tune.adapt("asha"),
    "tune:hyperband, optuna": tune.adapt("hyperband", searcher="optuna", startup=4),
    "tune:median-stopping": tune.adapt("median-stopping", min_samples_required=2),
    "skopt:gp": skopt.adapt("gp", startup=12),
    "skopt:forest": skopt.adapt("forest", startup=12),
}
"""Those whose libraries take seconds to import, in each of the processes that the suite starts."""


@pytest.mark.parametrize("name", ROWS)
def test_strategy_conforms(name: str) -> None:
    report = check_strategy(ROWS[name], trials=20)
    assert {c.where for c in report.checks} >= {"nasbench201", "tiny"}


def test_generator_conforms_where_two_seeds_do_not_draw_the_same_by_chance() -> None:
    check_strategy(Generator(), on=(Stage(nasbench201(), 7),))


def test_stratified_sample_conforms_and_is_the_same_for_every_seed() -> None:
    report = check_strategy(StratifiedSample(20, strata=4), random=False)
    assert [reason.partition(":")[0] for reason in report.skipped] == ["mixed", "tiny"]


def test_pnas_conforms_on_cells_that_grow() -> None:
    space = pnas_space(blocks=3, operations=("identity", "max3", "sep3"))
    report = check_strategy(pnas(beam=6, members=2, epochs=3), on=(Stage(space, 50),))
    assert all("does not run on the shipped table" in reason for reason in report.skipped)


def test_hierarchical_evolution_conforms_on_its_space() -> None:
    report = check_strategy(HierarchicalEvolution(population=8, mutations=50), on=(Stage(hierarchical(), 40),))
    assert all("does not run on the shipped table" in reason for reason in report.skipped)


@pytest.mark.slow
def test_anchored_controller_conforms_on_a_chain_with_skips() -> None:
    check_strategy(lstm_reinforce(batch=3, replicas=2), on=(Stage(chain(layers=3), 12),))


@pytest.mark.slow
def test_optuna_gp_conforms() -> None:
    check_strategy(adapt("gp", startup=4), on=(Stage(nasbench201(), 7),))


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTED)
def test_adapted_strategy_conforms(name: str) -> None:
    check_strategy(ADAPTED[name], trials=20)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nni") is None, reason="NNI is not installed")
@pytest.mark.parametrize("name", nni.TUNERS)
def test_nni_tuners_conform(name: str) -> None:
    if nni.TUNERS[name].needs and importlib.util.find_spec(str(nni.TUNERS[name].needs)) is None:
        pytest.skip(f"{nni.TUNERS[name].needs} is not installed")
    check_strategy(nni.adapt(name), trials=20)


def test_optuna_grid_conforms_where_it_can_list_its_grid() -> None:
    report = check_strategy(adapt("grid"), trials=8)
    assert [reason.partition(":")[0] for reason in report.skipped] == ["mixed"]


def test_population_based_training_conforms_on_schedules() -> None:
    space = schedules(27, {"rate": {"float": [0.0, 1.0]}, "units": {"int": [1, 9]}, "optimizer": ["sgd", "adam"]})
    for strategy in (pbt(population=5), constant_settings(Hyperband())):
        report = check_strategy(strategy, on=(Stage(space, 40),))
        assert all("does not run on the shipped table" in reason for reason in report.skipped)


def test_population_based_bandits_conform_on_schedules_of_numbers() -> None:
    space = schedules(27, {"rate": {"float": [0.0, 1.0]}, "units": {"int": [1, 9]}})
    check_strategy(pb2(population=4, restarts=0), on=(Stage(space, 20),))


def test_nasbot_conforms_on_cells() -> None:
    report = check_strategy(nasbot(initial=8, candidates=12), trials=16)
    assert [reason.partition(":")[0] for reason in report.skipped] == ["mixed", "tiny"]


def test_auto_keras_conforms_on_cells() -> None:
    report = check_strategy(auto_keras(initial=8, moves=3, coldest=0.3), trials=16)
    assert [reason.partition(":")[0] for reason in report.skipped] == ["mixed", "tiny"]


def test_nas_bowl_conforms_on_cells() -> None:
    report = check_strategy(nas_bowl(initial=8, candidates=20), trials=20)
    assert [reason.partition(":")[0] for reason in report.skipped] == ["mixed", "tiny"]


PRIOR = {"3<-0": "skip_connect", "1<-0": "nor_conv_3x3"}


@pytest.mark.parametrize("strategy", [pibo(PRIOR, initial=8, restarts=0), priorband(PRIOR)], ids=["pibo", "priorband"])
def test_strategies_with_a_belief_conform_on_the_space_it_is_about(strategy: Any) -> None:
    report = check_strategy(strategy, trials=12)
    assert [reason.partition(":")[0] for reason in report.skipped] == ["mixed", "tiny"]


TRAINERS = (
    "darts",
    "spos",
    "spos-stratified",
    "spos-random",
    "fairnas",
    "expectation-fair",
    "one-shot",
    "bignas",
    "attentive-nas",
    "few-shot",
    "prenas",
    "cars",
    "pcnas",
    "enas",
    "random-sharing",
    "shared-weights",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_training_strategy_conforms(name: str) -> None:
    report = check_strategy(STRATEGIES.factory(name)())
    assert "hands over an architecture within its budget" in {c.behaviour for c in report.checks}


# -- the suite itself finds what is wrong --------------------------------------------------------------------------


@dataclass(frozen=True)
class Faulty:
    """Random search with one fault."""

    fault: str

    def start(self, scenario: Any) -> Any:
        return FaultySearch(self.fault, scenario)


class FaultySearch:
    def __init__(self, fault: str, scenario: Any) -> None:
        self.fault, self.space, self.asked = fault, scenario.space, 0
        self.rng = scenario.seeds.rng("search")

    def ask(self) -> Any:
        self.asked += 1
        if self.fault == "global":
            return Proposal(self.space.sample(np.random.default_rng(np.random.randint(2**31))))  # noqa: NPY002
        if self.fault == "constant":
            return Proposal(self.space.sample(np.random.default_rng(0)))
        if self.fault == "hash":
            rng = np.random.default_rng(hash("a string") & 0xFFFF)
            return Proposal(self.space.sample(rng))
        if self.fault == "naked":
            return self.space.sample(self.rng)
        if self.fault == "returns" and self.asked == 3:
            return None
        return Proposal(self.space.sample(self.rng))

    def tell(self, trial: Any) -> None:
        if self.fault == "failures" and trial.failed:
            raise ValueError("no value")


FOUND = {
    "global": "leaves every global generator alone",
    "constant": "other seeds lead elsewhere",
    "hash": "repeats itself in another process",
    "naked": "must return a Proposal or None",
    "returns": "proposes nothing more after it has ended",
    "failures": "survives failed evaluations",
}


@pytest.mark.parametrize("fault", FOUND)
def test_suite_finds_a_faulty_strategy(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(__file__.rpartition("/")[0])
    with pytest.raises(ConformanceError, match=FOUND[fault]):
        check_strategy(Faulty(fault), trials=10, another_process=fault == "hash", on=(Stage(nasbench201(), 10),))


def test_suite_finds_a_mutable_description() -> None:
    class Mutable:
        population = 3

        def start(self, scenario: Any) -> Any:
            return FaultySearch("", scenario)

    with pytest.raises(ConformanceError, match="repr must say what it is"):
        check_strategy(Mutable(), trials=5, another_process=False)


@dataclass(frozen=True)
class Lacking:
    """A strategy whose search lacks some members."""

    has: tuple[str, ...]

    def start(self, scenario: Any) -> Any:
        return type("Half", (), {name: (lambda self, *_: None) for name in self.has})()


@pytest.mark.parametrize(
    ("has", "told"),
    [
        (("ask",), "asks and tells, but lacks `tell`"),
        ((), "asks and tells, but lacks `ask`, `tell`"),
        (("done", "advance", "state_dict"), "it trains, but lacks `load_state_dict`"),
        (("advance",), "it trains, but lacks `done`, `state_dict`, `load_state_dict`"),
        (("ask", "tell", "done", "advance", "state_dict", "load_state_dict"), "does both"),
    ],
)
def test_a_search_that_lacks_a_method_is_told_which(has: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConformanceError, match=told):
        check_strategy(Lacking(has), trials=2, another_process=False, on=(Stage(nasbench201(), 2),))  # type: ignore[arg-type]


def test_a_strategy_that_lacks_start_is_told_so() -> None:
    with pytest.raises(ConformanceError, match="it lacks `start`"):
        check_strategy(FaultySearch, another_process=False)  # type: ignore[arg-type]


def test_a_run_whose_search_lacks_a_method_fails_and_says_which() -> None:
    problem = Problem("nasbench201", "digits", "table")
    error = searched(Lacking(("done", "advance", "state_dict")), problem, Budget(evaluations=2)).error
    assert error is not None
    assert "the search Half has `advance`, so it trains, but lacks `load_state_dict`" in error


def test_a_problem_whose_part_lacks_a_method_says_which() -> None:
    with pytest.raises(StudyError, match="which lacks `trains`, `checksum`, `judge`"):
        Problem("nasbench201", "digits", OpensOnly()).resolve()


@dataclass(frozen=True)
class OpensOnly:
    def open(self, space: Any, task: Any, seeds: Any) -> None: ...


def test_run_that_cannot_be_watched_is_a_failure_and_not_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise StoreError("no run is recorded")

    monkeypatch.setattr(honesty, "witness", broken)
    with pytest.raises(ConformanceError, match="cannot be run: StoreError: no run is recorded"):
        check_strategy(Random(), another_process=False, trials=5)
