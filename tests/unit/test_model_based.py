"""Acquisitions against integrals, surrogates against what they promise, and searches that learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, spearmanr

from searchbench.cost import Budget, Cost
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.spaces.space import Array, Space
from searchbench.strategies.acquisition import (
    ExpectedImprovement,
    Hedge,
    IndependentThompson,
    LowerConfidenceBound,
    ProbabilityOfImprovement,
)
from searchbench.strategies.kernels import Hamming, Kernel, Likelihood, Matern, Range
from searchbench.strategies.mlp import MlpEnsemble, Networks, with_ones
from searchbench.strategies.model_based import ModelBased, Mutations, Paths, RandomAndNear, bananas
from searchbench.strategies.random import Random
from searchbench.strategies.strategy import Scenario, Strategy
from searchbench.strategies.surrogates import Forest, GaussianProcess, Places, finite
from searchbench.strategies.trees import bootstrap, grow
from searchbench.trial import FULL, Trial

SPACE = nasbench201()
RNG = np.random.default_rng(0)
FAST = bananas(layers=2, epochs=60)


@pytest.mark.parametrize("mean", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("std", [0.01, 0.3])
def test_closed_forms_agree_with_numerical_integration(mean: float, std: float) -> None:
    best, xi = 0.5, 0.02
    mu, sigma = np.array([mean]), np.array([std])
    around = (mean - 9 * std, mean + 9 * std)

    def expected(f: Any) -> float:
        return float(quad(lambda y: f(y) * norm.pdf(y, mean, std), *around, points=[best - xi], limit=200)[0])

    ei = -ExpectedImprovement(xi).scores(mu, sigma, best, RNG)[0]
    pi = -ProbabilityOfImprovement(xi).scores(mu, sigma, best, RNG)[0]
    lcb = LowerConfidenceBound(1.96).scores(mu, sigma, best, RNG)[0]
    assert ei == pytest.approx(expected(lambda y: max(best - xi - y, 0.0)), abs=1e-9)
    assert pi == pytest.approx(expected(lambda y: float(y < best - xi)), abs=1e-7)
    assert norm.cdf(lcb, mean, std) == pytest.approx(0.024998, abs=1e-6)


def test_without_uncertainty_improvement_is_what_the_mean_says() -> None:
    mean, none = np.array([0.3, 0.7]), np.zeros(2)
    assert ExpectedImprovement(0.0).scores(mean, none, 0.5, RNG).tolist() == [-0.2, 0.0]
    assert ProbabilityOfImprovement(0.0).scores(mean, none, 0.5, RNG).tolist() == [-1.0, 0.0]


def test_thompson_scores_are_draws_from_the_prediction() -> None:
    scores = IndependentThompson().scores(np.full(4000, 2.0), np.full(4000, 0.5), 0.0, np.random.default_rng(1))
    assert (scores.mean(), scores.std()) == (pytest.approx(2.0, abs=0.05), pytest.approx(0.5, abs=0.05))


def test_hedge_prefers_the_member_whose_candidates_turn_out_low() -> None:
    choosing = Hedge((LowerConfidenceBound(0.0), LowerConfidenceBound(-10.0))).start()

    def predict(points: Any) -> Any:
        return points[:, 0], np.linspace(0.0, 1.0, len(points))

    points, rng = np.linspace(0.0, 5.0, 11)[:, None], np.random.default_rng(0)
    picks = [choosing.pick(points, predict, 0.0, 1, rng)[0] for _ in range(20)]
    assert choosing.gains[0] > choosing.gains[1] or picks.count(0) >= 10
    assert picks[-5:] == [0] * 5


def slopes(shape: Any, encodings: Any, theta: Any) -> Any:
    """[pairs, d], of the pairs i < j."""
    first, second = np.triu_indices(len(encodings), 1)
    parts = shape.parts(shape.rows(encodings), first, second)
    _, slope, scale = shape.of_parts(parts, theta)
    return slope[:, None] * parts * scale


@pytest.mark.parametrize("shape", [Hamming((5,) * 6), Matern(30)], ids=["hamming", "matern"])
def test_hamming_kernel_is_positive_definite_and_its_gradient_is_right(shape: Any) -> None:
    drawn = np.array([SPACE.encode(SPACE.sample(RNG)) for _ in range(40)])
    rows, theta = shape.rows(drawn), np.log(RNG.uniform(0.2, 2.0, len(shape.ranges)))
    matrix = shape.matrix(rows, rows, theta)
    assert np.linalg.eigvalsh(matrix).min() > -1e-10
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    exact = slopes(shape, drawn, theta)
    for d in range(6):
        moved = theta + 1e-6 * (np.arange(len(theta)) == d)
        numeric = ((shape.matrix(rows, rows, moved) - matrix) / 1e-6)[np.triu_indices(40, 1)]
        np.testing.assert_allclose(exact[:, d], numeric, atol=1e-5)


def test_what_is_inactive_on_both_sides_is_equal() -> None:
    shape, weight = Hamming((2, 3)), np.log([1.0, 2.0])
    rows = shape.rows(np.array([[1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0], [0, 1.0, 0, 1.0, 0]]))
    expected = np.exp([[0.0, 0.0, -3.0], [0.0, 0.0, -3.0], [-3.0, -3.0, 0.0]])
    np.testing.assert_allclose(shape.matrix(rows, rows, weight), expected, rtol=1e-12)


@pytest.mark.parametrize("points", [1, 2, 70])  # of which the last is inverted by halves
@pytest.mark.parametrize("shape", [Hamming((5,) * 6), Matern(30)])
def test_a_likelihood_and_its_slope_are_those_of_the_whole_matrix(shape: Hamming | Matern, points: int) -> None:
    rng = np.random.default_rng(2)
    x = np.array([SPACE.encode(SPACE.sample(rng)) for _ in range(points)]) + 0.0
    y, kernel = rng.standard_normal(points), Kernel(shape, Range(1.0, 0.01, 1000.0), Range(1.0, 1e-5, 100.0))
    theta = 0.3 * rng.standard_normal(len(kernel.first))

    def whole(theta: Array) -> float:
        rows = shape.rows(x)
        matrix = np.exp(theta[0]) * shape.matrix(rows, rows, theta[1:-1]) + np.exp(theta[-1]) * np.eye(points)
        return float(0.5 * (y @ np.linalg.solve(matrix, y) + np.linalg.slogdet(2 * np.pi * matrix)[1]))

    value, slope = Likelihood(kernel, x, y).descended(theta)
    assert value == pytest.approx(whole(theta), abs=1e-7)
    for at in range(len(theta)):
        step = 1e-5 * (np.arange(len(theta)) == at)
        assert slope[at] == pytest.approx((whole(theta + step) - whole(theta - step)) / 2e-5, abs=1e-5)


@pytest.mark.parametrize("categorical", [True, False])
def test_the_process_is_that_of_scikit_learn(categorical: bool) -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
    from sklearn.gaussian_process.kernels import Matern as LibraryMatern

    rng = np.random.default_rng(4)
    x = np.array([SPACE.encode(SPACE.sample(rng)) for _ in range(30)]) if categorical else rng.random((30, 3))
    y = x @ rng.normal(size=x.shape[1]) + 0.05 * rng.standard_normal(30)
    amplitude, noise = Range(1.0, 0.01, 1000.0), Range(1.0, 1e-5, 100.0)
    if not categorical:
        kernel = Kernel(Matern(3), amplitude, noise)
        theirs = ConstantKernel(1.0, amplitude[1:]) * LibraryMatern(np.ones(3), (0.01, 100.0), nu=2.5)
        process = GaussianProcessRegressor(
            theirs + WhiteKernel(1.0, noise[1:]), n_restarts_optimizer=2, random_state=9
        ).fit(x, y)
        theta = kernel.likeliest(x, y, kernel.first, 2, 9)
        value, gradient = Likelihood(kernel, x, y).descended(process.kernel_.theta)
        known, slope = process.log_marginal_likelihood(process.kernel_.theta, eval_gradient=True)
        assert -value == pytest.approx(known, abs=1e-8)
        np.testing.assert_allclose(-gradient, slope, atol=1e-6)
        assert -Likelihood(kernel, x, y).descended(theta)[0] == pytest.approx(known, abs=1e-4)
        mean, std = process.predict(x[:5] + 0.1, return_std=True)
        ours = kernel.posterior(x, y, process.kernel_.theta).at(x[:5] + 0.1)
        np.testing.assert_allclose(ours[0], mean, atol=1e-8)
        np.testing.assert_allclose(ours[1] ** 2 + math.exp(process.kernel_.theta[-1]), std**2, atol=1e-8)
    kernel = Kernel(Hamming((5,) * 6) if categorical else Matern(3), amplitude, noise)
    posterior = kernel.posterior(x, y, kernel.first)
    mean, covariance = posterior.jointly(x)
    np.testing.assert_allclose(mean, posterior.at(x)[0])
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), posterior.at(x)[1], atol=1e-9)


def test_a_tree_without_ties_is_that_of_scikit_learn() -> None:
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(5)
    x = np.array([SPACE.encode(SPACE.sample(rng)) for _ in range(80)])
    y = x @ rng.normal(size=30) + 0.1 * rng.standard_normal(80)
    weights = bootstrap(10, 80, rng)
    grown = grow(x, y, weights, 3, rng)
    leaves = grown.leaves(x)
    for at, seen in enumerate(weights):
        tree = DecisionTreeRegressor(min_samples_leaf=3, random_state=0).fit(x, y, sample_weight=seen)
        inside = seen > 0  # elsewhere columns that separate its samples alike may differ
        np.testing.assert_allclose(grown.means[leaves[at]][inside], tree.predict(x)[inside])
        impurity = tree.tree_.impurity[tree.apply(x)]
        np.testing.assert_allclose(grown.variances[leaves[at]][inside], impurity[inside], atol=1e-12)


def test_equal_splits_are_drawn_and_inactive_decisions_split_nothing() -> None:
    x = np.repeat([[1.0, 0, 1, 0, 0, 0], [0, 1.0, 0, 1, 0, 0]], 5, axis=0)  # two decisions alike, one always inactive
    y = np.repeat([0.0, 1.0], 5)
    grown = grow(x, y, np.ones((400, 10), dtype=np.int64), 3, np.random.default_rng(0))
    counts = np.bincount(grown.column[:400], minlength=7)
    assert counts[:4].sum() == 400
    assert counts[:4].min() > 60
    assert grown.predict(x)[0].tolist() == y.tolist()


def test_a_number_beside_options_is_split_as_scikit_learn_splits_it() -> None:
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(0)
    x = np.hstack([rng.integers(0, 2, (33, 4)), rng.random((33, 1))])  # a proxy's rank
    y = x @ rng.normal(size=5) + np.sin(9 * x[:, 4]) + 0.1 * rng.standard_normal(33)
    weights, columns = bootstrap(10, 33, rng), Places.of(x).columns(x)
    assert columns.shape == (33, 4 + 32)
    grown = grow(columns, y, weights, 3, rng)
    leaves = grown.leaves(columns)
    for at, seen in enumerate(weights):
        tree = DecisionTreeRegressor(min_samples_leaf=3, random_state=0).fit(x[seen > 0], y[seen > 0], seen[seen > 0])
        inside = seen > 0
        np.testing.assert_allclose(grown.means[leaves[at]][inside], tree.predict(x)[inside])


def test_of_many_numbers_quantiles_are_places_and_the_forest_learns_by_them() -> None:
    rng = np.random.default_rng(0)
    x = np.hstack([rng.integers(0, 2, (200, 4)), rng.random((200, 1)), np.full((200, 1), 0.5)])
    assert [len(splits) for splits in Places.of(x).splits] == [32, 0]
    y = np.where(x[:, 4] > 0.3, 1.0, 0.0)
    mean, _ = Forest(20).start(SPACE).fit(x, y, rng)(x)
    assert np.abs(mean - y).mean() < 0.05


def test_a_forest_draws_the_bootstraps_of_scikit_learn() -> None:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(6)
    x = np.array([SPACE.encode(SPACE.sample(rng)) for _ in range(60)])
    y = x @ rng.normal(size=30) + 0.1 * rng.standard_normal(60)
    seed = int(np.random.default_rng(7).integers(2**31))
    theirs = RandomForestRegressor(100, min_samples_leaf=3, random_state=seed).fit(x, y).predict(x)
    ours, _ = Forest().start(SPACE).fit(x, y, np.random.default_rng(7))(x)
    np.testing.assert_allclose(ours, theirs, atol=0.1 * y.std())
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999


def test_gradient_of_the_ensemble_is_right() -> None:
    rng = np.random.default_rng(3)
    networks = Networks(2, inputs=4, layers=3, width=5, rng=rng, precision=np.float64)
    inputs, targets = with_ones(rng.normal(size=(2, 7, 4))), rng.normal(size=(2, 7))
    networks.descend(inputs, targets)
    gradient = networks.gradient.copy()
    for at in rng.choice(len(gradient), 25, replace=False):
        losses = []
        for step in (1e-6, -1e-6):
            networks.parameters[at] += step
            losses.append(np.abs(networks.forward(inputs) - targets).mean(axis=1).sum())
            networks.parameters[at] -= step
        assert gradient[at] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-5)


def test_weights_of_what_no_sample_has_stay_where_they_began() -> None:
    rng, held = np.random.default_rng(5), np.array([True, False, True, False])
    networks = Networks(2, inputs=4, layers=2, width=5, rng=rng, precision=np.float64)
    inputs, targets = rng.normal(size=(2, 7, 4)) * held, rng.normal(size=(2, 7))
    smaller = networks.reading(held)
    assert np.array_equal(smaller.forward(with_ones(inputs[:, :, held])), networks.forward(with_ones(inputs)))
    networks.descend(with_ones(inputs), targets)
    smaller.descend(with_ones(inputs[:, :, held]), targets)
    assert np.count_nonzero(networks.gradient) == np.count_nonzero(smaller.gradient)
    smaller.parameters += 1.0
    before = networks.layers[0].copy()
    networks.take(smaller, held)
    moved = networks.layers[0] - before
    assert np.all(moved[:, [1, 3]] == 0.0)
    assert np.allclose(moved[:, [0, 2, 4]], 1.0)


TARGET = ("nor_conv_3x3", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1")


def value(architecture: Any) -> float:
    """Distance from one cell; late edges weigh more."""
    return sum((1 + at) / 21 for at, (v, t) in enumerate(zip(architecture.values, TARGET, strict=True)) if v != t)


@pytest.mark.parametrize(
    ("surrogate", "encoding"),
    [
        (GaussianProcess(), "one-hot"),
        (Forest(), "one-hot"),
        (Forest(extremely_random=True), "one-hot"),
        (MlpEnsemble(layers=3), "path"),
    ],
    ids=["gp", "forest", "extra trees", "mlp"],
)
def test_surrogate_ranks_architectures_it_has_not_seen(surrogate: Any, encoding: str) -> None:
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(160)]
    x = np.array([SPACE.encode(a, encoding) for a in drawn])
    y = np.array([value(a) for a in drawn])
    mean, std = surrogate.start(SPACE).fit(x[:80], y[:80], rng)(x[80:])
    assert spearmanr(mean, y[80:]).statistic > 0.5
    assert (std >= 0).all()
    assert std.max() > 0


def test_gaussian_process_on_mixed_decisions_recovers_a_smooth_function() -> None:
    space = Space("mixed", (Float("x", -1.0, 1.0), Choice("side", ("a", "b")), Integer("n", 1, 9)))
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(80)]
    x = np.array([space.encode(a) for a in drawn])
    y = np.array([a["x"] ** 2 + (a["side"] == "a") + a["n"] / 9 for a in drawn])  # type: ignore[operator]
    mean, _ = GaussianProcess(restarts=0).start(space).fit(x[:50], y[:50], rng)(x[50:])
    assert np.abs(mean - y[50:]).max() < 0.1


@pytest.mark.parametrize("categorical", [True, False])
def test_deviation_of_the_gaussian_process_is_of_the_function_and_not_of_a_measurement(categorical: bool) -> None:
    space = SPACE if categorical else Space("line", (Float("x", 0.0, 1.0),))
    rng = np.random.default_rng(0)
    point = space.encode(space.sample(rng))
    others = [space.encode(space.sample(rng)) for _ in range(20)]
    x = np.array([point] * 60 + others)
    y = 0.3 * rng.standard_normal(len(x)) + x[:, 0]
    process = GaussianProcess(restarts=0).start(space)
    first = process.fit(x, y, rng)(x[:1])[1][0]
    assert first < 2 * 0.3 / math.sqrt(60)  # sixty looks of deviation 0.3 leave this much of the mean in doubt
    again = process.fit(x, y, rng)(x[:1])[1][0]  # the noise that was fitted is kept for the next fit
    assert again == pytest.approx(first, rel=0.05)


def test_mutations_are_unseen_and_of_the_best_first() -> None:
    rng = np.random.default_rng(0)
    best, second = SPACE.sample(rng), SPACE.sample(rng)
    listed = Mutations(30).list(SPACE, [best, second], {best.identity}, rng)
    assert len({a.key for a in listed}) == len(listed) == 30
    changed = [sum(x != y for x, y in zip(a.values, best.values, strict=True)) for a in listed]
    assert changed[:10] == [1] * 10
    assert best.key not in {a.key for a in listed}


def test_paths_keep_the_shortest() -> None:
    architecture = SPACE.sample(np.random.default_rng(0))
    assert Paths(30).of(SPACE, architecture).tolist() == SPACE.encode(architecture, "path")[:30].tolist()
    plain = Space("plain", (Choice("a", ("x", "y")),))
    assert Paths(30).of(plain, plain.architecture(("x",))).tolist() == [1.0, 0.0]


def best_of(strategy: Strategy, count: int, seed: int) -> float:
    search = strategy.start(Scenario(SPACE, Seeds("s", seed, repr(strategy)), Budget(evaluations=count)))
    values, keys = [], set()
    for number in range(count):
        proposal = search.ask()  # type: ignore[union-attr]
        values.append(value(proposal.architecture))  # type: ignore[union-attr]
        keys.add(proposal.architecture.key)  # type: ignore[union-attr]
        trial = Trial(number, proposal.architecture, FULL, "ok", values[-1], Cost(evaluations=1))  # type: ignore[union-attr]
        search.tell(trial)  # type: ignore[union-attr]
    assert isinstance(strategy, Random) or len(keys) == count  # nothing is measured twice
    return min(values)


@pytest.mark.parametrize(
    "strategy",
    [ModelBased(GaussianProcess(0), candidates=RandomAndNear(200, 50)), ModelBased(Forest(20)), FAST],
    ids=["gp", "forest", "bananas"],
)
def test_model_based_search_beats_random_search(strategy: Strategy) -> None:
    modelled = [best_of(strategy, 45, seed) for seed in range(2)]
    random = [best_of(Random(), 45, seed) for seed in range(2)]
    assert np.mean(modelled) < np.mean(random) - 0.02


def test_impossible_settings_are_refused() -> None:
    for make in (
        lambda: ModelBased(initial=0),
        lambda: Forest(0),
        lambda: MlpEnsemble(layers=0),
        lambda: MlpEnsemble(precision="half"),
        lambda: Hedge(()),
        lambda: ModelBased(acquisition="ei"),  # type: ignore[arg-type]
        lambda: ModelBased(GaussianProcess),  # type: ignore[arg-type]
        lambda: RandomAndNear(0, 0),
        lambda: RandomAndNear(-1, 5),
        lambda: Mutations(0),
        lambda: Paths(0),
    ):
        with pytest.raises(StudyError):
            make()
    with pytest.raises(StudyError, match="growth"):
        GaussianProcess(growth=-1)


def test_gains_of_hedge_are_minus_what_the_next_model_says_of_each_members_candidate() -> None:
    points = np.array([[0.0], [1.0], [2.0], [3.0]])
    choosing = Hedge((LowerConfidenceBound(0.0), LowerConfidenceBound(10.0)), eta=0.7).start()
    rng = np.random.default_rng(0)
    choosing.pick(points, lambda x: (x[:, 0], np.array([0.0, 0.0, 0.0, 1.0])), 0.0, 1, rng)  # they name 0 and 3
    assert choosing.gains.tolist() == [0.0, 0.0]

    def flat(x: Any) -> Any:
        return 5.0 + 2.0 * x[:, 0], np.ones(len(x))

    choosing.pick(points, flat, 0.0, 1, rng)
    assert choosing.gains.tolist() == [-5.0, -11.0]
    choosing.pick(points, flat, 0.0, 1, rng)  # both named 0 in between
    assert choosing.gains.tolist() == [-10.0, -16.0]
    share = 1 / (1 + math.exp(-0.7 * 6.0))
    counts = []
    for seed in range(400):
        choosing.gains, choosing._named = np.array([-10.0, -16.0]), None
        picked = choosing.pick(
            points, lambda x: (x[:, 0], np.array([0.0, 0.0, 0.0, 1.0])), 0.0, 2, np.random.default_rng(seed)
        )
        assert picked in ([0, 1], [3, 0])  # the best two by the member that was drawn
        counts.append(picked == [0, 1])
    assert np.mean(counts) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 400))


def test_near_candidates_are_mutants_of_the_best_few_in_turn() -> None:
    rng = np.random.default_rng(0)
    ranked = [SPACE.sample(rng) for _ in range(8)]
    listed = RandomAndNear(random=0, near=40, parents=2).list(SPACE, ranked, set(), rng)
    nearest = [
        [sum(x != y for x, y in zip(a.values, parent.values, strict=True)) for parent in ranked[:2]] for a in listed
    ]
    assert all(min(gaps) == 1 for gaps in nearest)
    assert {gaps.index(1) for gaps in nearest} == {0, 1}
    few = RandomAndNear(random=0, near=40, parents=5).list(SPACE, ranked[:1], set(), rng)  # fewer are known than asked
    assert all(sum(x != y for x, y in zip(a.values, ranked[0].values, strict=True)) == 1 for a in few)


def test_a_forests_variance_is_that_within_leaves_and_that_between_trees() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 2)), rng.normal(size=60)
    mean, std = Forest(100, min_leaf=60).start(SPACE).fit(x, y, rng)(x[:3])  # every tree is one leaf
    assert mean == pytest.approx([y.mean()] * 3, abs=0.05)
    assert std == pytest.approx([y.std()] * 3, rel=0.05)


@pytest.mark.parametrize(("growth", "refitted"), [(0.0, [True, True, True]), (0.1, [False, True, False])])
def test_hyper_parameters_are_refitted_when_the_data_have_grown_enough(growth: float, refitted: list[bool]) -> None:
    line = Space("line", (Float("x", 0.0, 1.0),))
    process, rng = GaussianProcess(restarts=0, growth=growth).start(line), np.random.default_rng(0)
    x = rng.random((30, 1))
    process.fit(x[:20], x[:20, 0] ** 2, rng)
    found = []
    for count in (20, 22, 23):
        before = process._theta
        process.fit(x[:count], x[:count, 0] ** 2, rng)
        found.append(process._theta is not before)
    assert found == refitted


class Watched:
    """Surrogate and acquisition in one, which note what they are given."""

    def __init__(self) -> None:
        self.values, self.known = list[list[float]](), list[int]()

    def start(self, *space: Any) -> Any:
        return self

    def fit(self, encodings: Any, values: Any, rng: Any) -> Any:
        self.values.append(values.tolist())
        return lambda points: (np.zeros(len(points)), np.ones(len(points)))

    def consider(self, space: Any, candidates: Any, known: int) -> None:
        self.known.append(known)

    def pick(self, encodings: Any, predict: Any, best: float, count: int, rng: Any) -> list[int]:
        return [0]


def test_a_failure_is_fitted_as_the_worst_and_what_is_known_is_counted_beyond_the_designs() -> None:
    watched = Watched()
    strategy = ModelBased(watched, watched, RandomAndNear(20, 5), initial=3)
    search = strategy.start(Scenario(SPACE, Seeds("s", 0, "watched"), Budget(evaluations=9)))
    for number, told in enumerate((0.3, math.nan, 0.7, 0.1, 0.2)):
        architecture = search.ask().architecture  # type: ignore[union-attr]
        status: Any = "nan" if math.isnan(told) else "ok"
        search.tell(Trial(number, architecture, FULL, status, told, Cost(evaluations=1)))
    assert watched.values == [[0.3, 0.7, 0.7], [0.3, 0.7, 0.7, 0.1]]
    assert watched.known == [0, 1]


def test_designs_under_way_are_not_designed_again() -> None:
    watched = Watched()
    strategy = ModelBased(watched, watched, RandomAndNear(20, 5), initial=3)
    search = strategy.start(Scenario(SPACE, Seeds("s", 0, "watched"), Budget(evaluations=9)))
    first, *_ = [search.ask().architecture for _ in range(3)]  # type: ignore[union-attr]
    search.tell(Trial(0, first, FULL, "ok", 0.3, Cost(evaluations=1)))
    search.ask()
    assert watched.values == [[0.3]]


@pytest.mark.parametrize("surrogate", [GaussianProcess(restarts=0), Forest(5)], ids=["gp", "forest"])
def test_values_of_1e300_and_failures_are_fitted(surrogate: Any) -> None:
    strategy = ModelBased(surrogate, candidates=RandomAndNear(20, 5), initial=4)
    search: Any = strategy.start(Scenario(SPACE, Seeds("large", 0, "me"), Budget(evaluations=8)))
    for number in range(8):
        value = [1.7e308, -1e300, math.nan, 0.1][number % 4]
        status: Any = "nan" if math.isnan(value) else "ok"
        search.tell(Trial(number, search.ask().architecture, FULL, status, value, Cost(evaluations=1)))
    assert finite(np.array([2.0, math.inf, -1e300])).tolist() == [2.0, 2.0, -1e100]
