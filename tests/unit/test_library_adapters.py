"""Ray Tune's, scikit-optimize's and NNI's parts as strategies: what they are told, what they may not touch."""

from __future__ import annotations

import importlib.util
import math
import random

import numpy as np
import pytest

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.adapters import flat, nni, skopt, tune
from searchbench.strategies.adapters.flat import GlobalNumbers, flatten, unflatten
from searchbench.strategies.strategy import Scenario
from searchbench.trial import FULL, Proposal, Trial

NB201 = nasbench201()
FLAT = Space("flat", (Choice("kind", ("a", "b")), Integer("n", 1, 9, log=True), Float("x", 1e-3, 1e3, log=True)))
CONDITIONAL = Space("mixed", (Choice("kind", ("a", "b")), Integer("n", 1, 9, when=When("kind", ("b",)))))
STOPS = (1.0, 4.0, 12.0)


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


needs_nni, needs_skopt, needs_hyperopt = needs("nni"), needs("skopt"), needs("hyperopt")
ALL = [
    tune.adapt("optuna", startup=3),
    pytest.param(tune.adapt("hyperopt", startup=3), marks=needs_hyperopt),
    pytest.param(skopt.adapt("gp", startup=3), marks=needs_skopt),
    *(pytest.param(nni.adapt(name), marks=needs_nni) for name in ("random", "tpe", "evolution")),
]


def scenario(space: Space = NB201, stops: tuple[float, ...] = (), replicate: int = 0) -> Scenario:
    return Scenario(space, Seeds("study", replicate, "me"), Budget(evaluations=100), stops=stops)


def told(number: int, proposal: Proposal, value: float) -> Trial:
    status = "nan" if math.isnan(value) else "ok"
    fidelity = FULL if proposal.fidelity is None else proposal.fidelity
    return Trial(number, proposal.architecture, fidelity, status, value, Cost(evaluations=1))  # type: ignore[arg-type]


def run(strategy, space: Space = FLAT, trials: int = 6, replicate: int = 0) -> list[str]:  # type: ignore[no-untyped-def]
    search, found = strategy.start(scenario(space, replicate=replicate)), []
    for number in range(trials):
        proposal = search.ask()
        found.append(str(proposal.architecture))
        search.tell(told(number, proposal, math.nan if number == 3 else 0.1 * (number % 4)))
    return found


@pytest.mark.parametrize("strategy", ALL, ids=str)
def test_the_same_seed_gives_the_same_proposals_and_leaves_global_numbers_alone(strategy) -> None:  # type: ignore[no-untyped-def]
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    first = run(strategy)
    drawn = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    assert drawn == (random.random(), np.random.random())  # noqa: NPY002
    random.seed(3)
    assert run(strategy) == first
    assert run(strategy, replicate=1) != first


@pytest.mark.parametrize(
    "strategy",
    [tune.adapt("optuna", startup=4), pytest.param(skopt.adapt("forest", startup=4), marks=needs_skopt)],
    ids=str,
)
def test_they_begin_with_the_designs_of_everybody(strategy) -> None:  # type: ignore[no-untyped-def]
    rng = Seeds("study", 0).rng("init")
    assert run(strategy, trials=4) == [str(FLAT.sample(rng)) for _ in range(4)]


@pytest.mark.parametrize(
    "strategy",
    [
        tune.adapt("optuna"),
        pytest.param(tune.adapt("hyperopt"), marks=needs_hyperopt),
        pytest.param(skopt.adapt("gp"), marks=needs_skopt),
    ],
    ids=str,
)
def test_a_space_with_conditions_is_refused_with_the_rule(strategy) -> None:  # type: ignore[no-untyped-def]
    assert "knows no conditions" in strategy.unsupported(scenario(CONDITIONAL))
    assert strategy.unsupported(scenario(FLAT)) is None


def test_asha_stops_what_is_worse_and_continues_the_rest_by_increments() -> None:
    search = tune.adapt("asha", reduction_factor=4).start(scenario(stops=STOPS))
    trained: dict[str, list[float]] = {}
    for number in range(60):
        proposal = search.ask()
        name = str(proposal.architecture)
        assert (proposal.resume is None) == (proposal.fidelity.epochs == 1)
        trained.setdefault(name, []).append(proposal.fidelity.epochs)  # type: ignore[arg-type]
        search.tell(told(number, proposal, 1.0 - name.count("conv_3x3") / 10))
    reached = [max(epochs) for epochs in trained.values()]
    assert all(epochs == sorted(set(epochs)) for epochs in trained.values())
    assert reached.count(1.0) > reached.count(4.0) + reached.count(12.0) > 0
    best = min(trained, key=lambda name: -name.count("conv_3x3"))
    assert max(trained[best]) == 12.0


def test_a_scheduler_needs_shorter_trainings() -> None:
    assert "one length of training only" in str(tune.adapt("asha").unsupported(scenario()))


def test_a_failed_evaluation_ends_its_trial() -> None:
    search = tune.adapt("hyperband", searcher="optuna", startup=2).start(scenario(FLAT, STOPS))
    first = search.ask()
    search.tell(told(0, first, math.nan))
    assert search.ask().resume is None


@needs_skopt
def test_several_results_may_be_awaited() -> None:
    for strategy in (skopt.adapt("gp", startup=3), tune.adapt("optuna", startup=3)):
        search = strategy.start(scenario(FLAT))
        for round_ in range(2):
            asked = [search.ask() for _ in range(3)]
            for number, proposal in enumerate(asked):
                search.tell(told(3 * round_ + number, proposal, 0.5 + 0.01 * number))


def test_points_survive_the_way_there_and_back() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        architecture = FLAT.sample(rng)
        assert unflatten(FLAT, flatten(architecture)) == architecture


def test_lent_global_numbers_go_on_where_they_stood() -> None:
    numbers, again = GlobalNumbers(7), GlobalNumbers(7)
    with numbers.use():
        first = [np.random.random(), random.random()]  # noqa: NPY002
    with numbers.use():
        second = np.random.random()  # noqa: NPY002
    with again.use():
        assert [np.random.random(), random.random()] == first  # noqa: NPY002
        assert np.random.random() == second  # noqa: NPY002


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(StudyError, match=r"tune has no searcher or scheduler `ash`.*asha"):
        tune.adapt("ash")
    with pytest.raises(StudyError, match=r"skopt has no optimizer `gpp`.*gp"):
        skopt.adapt("gpp")
    with pytest.raises(StudyError, match=r"nni has no tuner `tp`.*tpe"):
        nni.adapt("tp")
    with pytest.raises(StudyError, match="goes with a scheduler"):
        tune.adapt("optuna", searcher="hyperopt")


def test_a_tuner_that_does_not_run_here_says_where_it_fails() -> None:
    assert "SciPy" in str(nni.adapt("gp").unsupported(scenario()))


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert 'pip install "searchbench[nni]"' in str(nni.adapt("tpe").unsupported(scenario()))
    assert 'pip install "searchbench[skopt]"' in str(skopt.adapt("gp").unsupported(scenario()))
    assert "`hyperopt`, which is not installed" in str(tune.adapt("hyperopt").unsupported(scenario()))


DEGENERATE = {
    "ranges of one value": Space("one", (Float("a", 0.5, 0.5), Integer("b", 3, 3), Float("x", 0.0, 1.0))),
    "a billion integers": Space("many", (Integer("a", 0, 10**9), Integer("b", 1, 10**9, log=True))),
    "values of 1e300": Space("large", (Float("a", -1e300, 0.0), Float("b", 1e-300, 1e300, log=True))),
}


@pytest.mark.parametrize("strategy", ALL, ids=str)
@pytest.mark.parametrize("space", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_degenerate_ranges_are_searched(strategy, space: Space) -> None:  # type: ignore[no-untyped-def]
    assert strategy.unsupported(scenario(space)) is None
    found = run(strategy, space)
    assert len(found) == 6
    assert len(set(found)) > 1


@pytest.mark.parametrize("number", [math.inf, 1e300, 1e100, -3.5, -1.7e308])
def test_libraries_hear_of_no_value_that_they_cannot_square(number: float) -> None:
    heard = flat.told(number)
    assert math.isfinite(100 * heard**2)
    assert heard == number or abs(heard) == 1e100


@needs("skopt")
def test_a_process_of_another_library_is_fitted_to_values_of_1e300() -> None:
    search = skopt.adapt("gp", startup=2).start(scenario(DEGENERATE["ranges of one value"]))
    for number in range(3):
        search.tell(told(number, search.ask(), 1e300 * (number - 1)))
    assert search.ask() is not None


@pytest.mark.parametrize("strategy", ALL, ids=str)
def test_a_decision_may_have_any_name(strategy) -> None:  # type: ignore[no-untyped-def]
    space = Space("named", (Float("layer/rate: {x}", 0.0, 1.0), Integer("_type", 1, 8), Choice("_idx", ("a", "b"))))
    assert len(set(run(strategy, space))) > 1


@pytest.mark.parametrize("strategy", ALL, ids=str)
def test_a_space_of_ranges_of_one_value_is_refused_with_its_reason(strategy) -> None:  # type: ignore[no-untyped-def]
    space = Space("point", (Float("a", 0.5, 0.5), Integer("b", 3, 3)))
    assert "range of one value" in strategy.unsupported(scenario(space))


def test_a_range_of_one_value_is_no_dimension_and_comes_back() -> None:
    space = DEGENERATE["ranges of one value"]
    only = space.architecture((0.5, 3, 0.25))
    assert flatten(only) == [0.25]
    assert unflatten(space, [0.25]) == only


@pytest.mark.parametrize("strategy", [tune.adapt("optuna"), pytest.param(nni.adapt("evolution"), marks=needs_nni)])
def test_more_than_a_library_has_to_propose_at_once_waits_for_a_result(strategy) -> None:  # type: ignore[no-untyped-def]
    search = strategy.start(scenario())
    under_way = [proposal for _ in range(80) if (proposal := search.ask()) is not None]
    assert len(under_way) >= 30
    for number, proposal in enumerate(under_way):
        search.tell(told(number, proposal, 0.5))
    assert search.ask() is not None


def test_nni_is_given_integers_that_its_tuners_do_not_list() -> None:
    assert nni._described(Integer("n", 0, 10**9))["_type"] == "uniform"
    assert nni._described(Integer("n", 0, 10_000)) == {"_type": "randint", "_value": [0, 10_001]}
    assert nni._described(Integer("n", 1, 9, log=True), rounds_logs=False) == {
        "_type": "loguniform",
        "_value": [0.5, 9.5],
    }
