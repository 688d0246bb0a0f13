"""The density model of BOHB: against another library, and when it switches on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, truncnorm
from statsmodels.nonparametric.kernel_density import KDEMultivariate

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Space
from searchbench.strategies.bohb import Bohb, GoodAndBad
from searchbench.strategies.densities import Coordinates, Density
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Fidelity, Trial

MIXED = Space(
    "mixed",
    (
        Choice("optimizer", ("sgd", "adam", "lamb")),
        Float("momentum", 0.0, 1.0, when=When("optimizer", ("sgd",))),
        Float("rate", 1e-4, 1e-1, log=True),
        Integer("layers", 1, 8),
    ),
)


def scenario(space: Space, seed: int = 0) -> Scenario:
    return Scenario(space, Seeds("s", seed), Budget(epochs=1e6), Fidelity(27.0), stops=(3.0, 9.0, 27.0))


@pytest.mark.filterwarnings("ignore:After 0.17:FutureWarning")  # statsmodels warns of its own default
def test_density_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    arities = np.array([4, 0, 3, 0])
    rows, points = (
        np.column_stack([rng.integers(4, size=n), rng.random(n), rng.integers(3, size=n), rng.random(n)])
        for n in (30, 50)
    )
    ours = Density.fit(rows, arities, 1e-3)
    reference = KDEMultivariate(rows, "ucuc", bw="normal_reference").bw
    np.testing.assert_allclose(ours.bandwidths[[1, 3]], reference[[1, 3]])
    np.testing.assert_allclose(ours(points), KDEMultivariate(rows, "ucuc", bw=ours.bandwidths).pdf(points), rtol=1e-10)


def test_categorical_kernel_is_a_density_that_knows_no_order_of_options() -> None:
    rows = np.array([[0.0], [4.0], [0.0], [1.0]])
    values = Density.fit(rows, np.array([5]), 1e-3)(np.arange(5.0)[:, None])
    renamed = Density.fit(np.array([2.0, 3, 0, 4, 1])[rows.astype(int)], np.array([5]), 1e-3)
    assert values.sum() == pytest.approx(1.0)
    assert values[0] > values[4] == pytest.approx(values[1])
    assert values[1] > values[2] > 0
    assert renamed(np.array([[2.0], [3], [0], [4], [1]])).tolist() == pytest.approx(values.tolist())


def test_candidates_follow_the_truncated_normal() -> None:
    density = Density(np.array([[0.1]]), np.array([0.05]), np.array([0]))
    drawn = density.around(4000, 3.0, np.random.default_rng(0))[:, 0]
    assert kstest(drawn, truncnorm(-0.1 / 0.15, 0.9 / 0.15, loc=0.1, scale=0.15).cdf).pvalue > 0.01


def test_coordinates_round_trip_and_inactive_decisions_are_filled() -> None:
    coordinates, rng = Coordinates(MIXED), np.random.default_rng(3)
    drawn = [MIXED.sample(rng) for _ in range(100)]
    for architecture in drawn:
        back = coordinates.architecture(coordinates.of(architecture), rng)
        assert back["optimizer"] == architecture["optimizer"]
        assert back["layers"] == architecture["layers"]
        assert back["rate"] == pytest.approx(architecture["rate"])
    rows = np.array([coordinates.of(a) for a in drawn])
    filled = coordinates.filled(rows, rng)
    known = rows[~np.isnan(rows[:, 1]), 1]
    assert not np.isnan(filled).any()
    assert set(filled[np.isnan(rows[:, 1]), 1]) <= set(known)


@pytest.mark.parametrize("log", [False, True])
def test_first_and_last_integer_have_as_much_room_as_those_between(log: bool) -> None:
    space = Space("count", (Integer("n", 1, 6, log=log),))
    coordinates, rng = Coordinates(space), np.random.default_rng(0)
    points = (np.arange(70_000) + 0.5) / 70_000
    found = np.array([coordinates.architecture(np.array([at]), rng)["n"] for at in points])
    shares = [np.mean(found == n) for n in range(1, 7)]
    edges = np.log(np.arange(0.5, 7.0)) if log else np.arange(0.5, 7.0)
    assert shares == pytest.approx(np.diff(edges) / (edges[-1] - edges[0]), abs=1e-4)
    for n in range(1, 7):
        at = coordinates.of(space.architecture((n,)))
        assert coordinates.architecture(at, rng)["n"] == n
    if not log:
        middle = [coordinates.of(space.architecture((n,)))[0] for n in range(1, 7)]
        assert middle == pytest.approx((np.arange(6) + 0.5) / 6)


def tell(source: GoodAndBad, count: int, epochs: float, rng: np.random.Generator, space: Space) -> None:
    for number in range(count):
        value = float(rng.random())
        trial = Trial(number, space.sample(rng), Fidelity(epochs, 1.0, 1.0, 1.0), "ok", value, Cost(evaluations=1))
        source.learn(trial)


def test_model_switches_on_after_two_d_plus_two_trainings_of_one_length() -> None:
    space, rng = nasbench201(), np.random.default_rng(0)
    source = GoodAndBad(Bohb(), scenario(space))
    tell(source, 13, 3.0, rng, space)
    assert source._models == {}
    tell(source, 1, 3.0, rng, space)
    assert list(source._models) == [3.0]
    tell(source, 14, 9.0, rng, space)
    assert max(source._models) == 9.0  # the longest trainings that have a model decide


def test_model_finds_what_is_good() -> None:
    space, rng = nasbench201(), np.random.default_rng(1)
    source = GoodAndBad(Bohb(random_fraction=0.0), scenario(space))
    for number in range(60):
        architecture = space.sample(rng)
        value = -float(sum(v == "nor_conv_3x3" for v in architecture.values))
        source.learn(Trial(number, architecture, Fidelity(9.0), "ok", value, Cost(evaluations=1)))
    counts = [sum(v == "nor_conv_3x3" for v in source.draw(1.0).values) for _ in range(50)]
    assert np.mean(counts) > 2.5  # 1.2 at random


def test_the_model_of_the_longest_trainings_is_asked_whichever_came_last() -> None:
    space, rng = nasbench201(), np.random.default_rng(1)
    source = GoodAndBad(Bohb(random_fraction=0.0), scenario(space))
    for epochs, wanted in ((9.0, "nor_conv_3x3"), (3.0, "skip_connect")):
        for number in range(60):
            architecture = space.sample(rng)
            value = -float(sum(v == wanted for v in architecture.values))
            source.learn(Trial(number, architecture, Fidelity(epochs), "ok", value, Cost(evaluations=1)))
    source._models[3.0] = source._models[9.0][::-1]
    counts = [sum(v == "nor_conv_3x3" for v in source.draw(1.0).values) for _ in range(50)]
    assert np.mean(counts) > 2.5


def test_good_and_bad_are_shares_rounded_down_and_what_is_left_over_is_neither() -> None:
    """As the released code: int(.15 n) and int(.85 n), at least one more than there are decisions."""
    space, rng = nasbench201(), np.random.default_rng(0)
    for n, sizes in ((14, (7, 7)), (30, (7, 23)), (60, (9, 51)), (61, (9, 51))):
        source = GoodAndBad(Bohb(), scenario(space))
        tell(source, n, 3.0, rng, space)
        good, bad = source._models[3.0]
        assert (len(good.rows), len(bad.rows)) == sizes


@pytest.mark.parametrize("wrong", [{"random_fraction": 2}, {"top": 0}, {"candidates": 0}, {"spread": -1}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StudyError, match=next(iter(wrong))):
        Bohb(**wrong)  # type: ignore[arg-type]


def test_random_architectures_are_drawn_at_their_rate_and_from_the_common_designs() -> None:
    space, rng = nasbench201(), np.random.default_rng(0)
    source = GoodAndBad(Bohb(random_fraction=0.25), scenario(space))
    designs = scenario(space).seeds.rng("init")
    assert [source.draw(1.0) for _ in range(5)] == [space.sample(designs) for _ in range(5)]  # no model yet
    tell(source, 30, 3.0, rng, space)
    coming, taken = space.sample(designs), 0
    for _ in range(400):
        if source.draw(1.0) == coming:
            coming, taken = space.sample(designs), taken + 1
    assert taken / 400 == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 400))
