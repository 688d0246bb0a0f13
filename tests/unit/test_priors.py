"""Beliefs about the best architecture: their densities, and how PriorBand and piBO go by them."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy.stats import truncnorm

from searchbench.errors import StudyError
from searchbench.harness.declared.components import Use, make
from searchbench.spaces.choices import Choice, Float, Integer, When
from searchbench.spaces.space import Space
from searchbench.strategies import STRATEGIES
from searchbench.strategies.acquisition import ExpectedImprovement
from searchbench.strategies.model_based import RandomAndNear
from searchbench.strategies.pibo import Believed, WithBelieved, pibo
from searchbench.strategies.priorband import Believing, PriorBand, priorband
from searchbench.strategies.priors import Prior, perturbed
from searchbench.testing import Flight, Stage, fly
from searchbench.testing.in_flight import Anything
from searchbench.testing.rehearsal import evaluate, scenario
from searchbench.trial import Proposal, Trial

SPACE = Space(
    "mixed",
    (
        Float("rate", 1e-4, 1e-1, log=True),
        Choice("optimizer", ("sgd", "adam", "lamb")),
        Float("momentum", 0.0, 1.0, when=When("optimizer", ("sgd",))),
        Integer("layers", 1, 4),
    ),
)
PRIOR = Prior((("optimizer", "sgd"), ("rate", 1e-2), ("momentum", 0.9)), 0.75)


def test_draws_have_the_declared_shares_and_widths() -> None:
    belief, rng = PRIOR.of(SPACE), np.random.default_rng(0)
    drawn = [belief.sample(rng) for _ in range(4000)]
    counts = Counter(a["optimizer"] for a in drawn)
    assert counts["sgd"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert counts["adam"] / 4000 == pytest.approx(0.125, abs=0.02)
    units = np.array([math.log(a["rate"] / 1e-4) / math.log(1e3) for a in drawn])  # type: ignore[operator]
    expected = truncnorm((0 - 2 / 3) / 0.25, (1 - 2 / 3) / 0.25, loc=2 / 3, scale=0.25)
    assert units.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert units.std() == pytest.approx(expected.std(), abs=0.02)
    assert all((a["momentum"] is None) == (a["optimizer"] != "sgd") for a in drawn)
    layers = Counter(a["layers"] for a in drawn)
    assert min(layers.values()) > 0.2 * 4000  # nothing is believed of them


def test_densities_integrate_to_one_and_count_relative_to_uniform() -> None:
    belief = PRIOR.of(SPACE)
    units = np.linspace(0, 1, 501)

    def at(optimizer: str, unit: float) -> float:
        momentum = 0.5 if optimizer == "sgd" else None
        return belief.density(SPACE.architecture((1e-4 * 1e3**unit, optimizer, momentum, 2)))

    of_rate = np.array([at("adam", u) for u in units])
    assert np.trapezoid(of_rate, units) == pytest.approx(3 * 0.125, rel=1e-3)
    assert at("adam", 2 / 3) == pytest.approx(max(of_rate), rel=1e-4)
    inside = truncnorm((0 - 0.9) / 0.25, 0.1 / 0.25, loc=0.9, scale=0.25).pdf(0.5)
    assert at("sgd", 0.4) / at("adam", 0.4) == pytest.approx(6 * inside)


def test_what_cannot_be_believed_is_refused() -> None:
    where = scenario(Stage(SPACE, 5), pibo({"optimizer": "sgd"}), 0)
    assert "no decision of the space" in str(pibo({"optimiser": "sgd"}).unsupported(where))
    assert "none of its values" in str(priorband({"layers": 9}).unsupported(where))
    assert pibo({"optimizer": "sgd"}).unsupported(where) is None
    with pytest.raises(StudyError, match="a value of at least one"):
        Prior(())
    with pytest.raises(StudyError, match="`confidence` must lie"):
        pibo({"layers": 2}, confidence=1.0)
    given = Use("priorband", prior={"optimizer": "sgd", "layers": 2}, confidence=0.5)
    assert make(given, STRATEGIES) == PriorBand(Prior((("optimizer", "sgd"), ("layers", 2)), 0.5))


def test_perturbing_changes_each_decision_with_its_probability() -> None:
    rng = np.random.default_rng(0)
    start = SPACE.architecture((1e-2, "adam", None, 2))
    found = [perturbed(start, 0.5, 0.25, rng) for _ in range(2000)]
    assert all(a in SPACE for a in found)
    assert np.mean([a["optimizer"] != "adam" for a in found]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([a["rate"] != 1e-2 for a in found]) == pytest.approx(0.5, abs=0.04)
    assert perturbed(start, 1e-12, 0.25, rng) == start


class Shares(Anything):
    """Of PriorBand: probabilities by definition, from everything that came back."""

    def __init__(self, strategy: PriorBand) -> None:
        self.strategy = strategy
        self.seen: list[tuple[float, float, float]] = []

    def told(self, flight: Flight, trial: Trial) -> None:
        source: Believing = flight.search._source  # type: ignore[attr-defined]
        rungs, eta = [1.0, 3.0, 9.0, 27.0], self.strategy.eta
        ok = [t for t in flight.trials if not t.failed]
        steps = dict(zip(rungs, np.diff([0.0, *rungs]), strict=True))
        first = sum(n * steps[e] for n, e in zip((27, 9, 3, 1), rungs, strict=True))
        of = {e: [t for t in ok if t.fidelity.epochs == e] for e in rungs}
        known = bool(of[27.0]) and sum(steps[t.fidelity.epochs] for t in ok) >= first  # type: ignore[index]
        for r, epochs in enumerate(rungs):
            uniform = 1 / (1 + eta**r)
            expected = (uniform, 1 - uniform, 0.0)
            if known:
                incumbent = min(of[27.0], key=lambda t: t.value).architecture
                level = max(e for e in rungs if len(of[e]) >= eta)
                best = sorted(of[level], key=lambda t: t.value)[: len(of[level]) // eta]
                belief = self.strategy.prior.of(flight.scenario.space)
                scores = [
                    sum((len(best) - k) * b.density(t.architecture) for k, t in enumerate(best))
                    for b in (belief, belief.around(incumbent))
                ]
                share = scores[0] / sum(scores)
                expected = (uniform, (1 - uniform) * share, (1 - uniform) * (1 - share))
            assert source.shares(epochs) == pytest.approx(expected)
        self.seen.append(source.shares(27.0))


@pytest.mark.parametrize("under_way", [1, 8, 32])
def test_priorband_goes_to_the_incumbent_where_it_beats_what_was_believed(under_way: int) -> None:
    strategy = PriorBand(PRIOR)
    rule = Shares(strategy)
    fly(strategy, Stage(SPACE, 130), under_way, rule)
    assert rule.seen[0][2] == 0.0
    assert rule.seen[-1][2] > 0.0


def complete(proposal: Proposal, number: int) -> Trial:
    trial = evaluate(proposal, number, "fair")
    return Trial(number, trial.architecture, trial.fidelity, "ok", float(number), trial.cost)


def believing(strategy: PriorBand, trials: int) -> Believing:
    """Where the designs come from, after so many trainings one after the other, none of which failed."""
    flight = fly(strategy, Stage(SPACE, trials), 1, values=complete)
    source: Believing = flight.search._source  # type: ignore[attr-defined]
    return source


def test_the_incumbent_counts_as_soon_as_the_first_brackets_epochs_are_spent() -> None:
    assert believing(PriorBand(PRIOR), 39).shares(27.0)[2] == 0.0
    assert believing(PriorBand(PRIOR), 40).shares(27.0)[2] > 0.0  # 27 + 9 + 3 + 1 trainings: 81 epochs, no more


def test_uniform_draws_are_the_common_designs_and_the_others_are_not() -> None:
    uniform = dict[float, int]()
    for epochs in (1.0, 27.0):
        where = scenario(Stage(SPACE, 200), PriorBand(PRIOR), 0)
        source, designs = PriorBand(PRIOR).start(where)._source, where.seeds.rng("init")
        following, uniform[epochs] = SPACE.sample(designs), 0
        for _ in range(100):
            if source.draw(epochs) == following:
                following = SPACE.sample(designs)
                uniform[epochs] += 1
    assert 35 <= uniform[1.0] <= 65  # one half
    assert uniform[27.0] <= 12  # one in 28


def test_the_incumbent_is_perturbed_at_its_rate_and_by_its_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    still = believing(PriorBand(PRIOR, rate=1e-9, deviation=0.9), 40)
    near = believing(PriorBand(PRIOR, rate=1.0, deviation=1e-6), 40)
    monkeypatch.setattr(Believing, "shares", lambda self, epochs: (0.0, 0.0, 1.0))
    assert all(still.draw(1.0) == still.incumbent for _ in range(20))
    for _ in range(20):
        drawn: Any = near.draw(1.0)
        assert drawn["optimizer"] != near.incumbent["optimizer"]
        assert 0 < abs(math.log(drawn["rate"] / near.incumbent["rate"])) < 1e-3  # type: ignore[operator]


def test_candidates_from_the_prior_are_new_and_distinct() -> None:
    few = Space("few", (Choice("a", ("x", "y")), Choice("b", ("u", "v", "w"))))
    rule = WithBelieved(Prior((("a", "x"),), 0.75), believed=50, others=RandomAndNear(20, 5, 1))
    ranked = [few.architecture(("x", "u"))]
    listed = [a.key for a in rule.list(few, ranked, {ranked[0].identity}, np.random.default_rng(0))]
    assert len(listed) == len(set(listed)) == 5
    assert ranked[0].key not in listed


def test_pibo_weighs_improvement_by_ever_less_of_the_prior() -> None:
    mean, std = np.array([0.3, 0.35, 0.5]), np.array([0.1, 0.1, 0.1])
    candidates = [SPACE.architecture((1e-2, o, None, 2)) for o in ("adam", "lamb")]
    candidates.append(SPACE.architecture((1e-2, "sgd", 0.9, 2)))
    plain = -ExpectedImprovement().scores(mean, std, 0.4, np.random.default_rng(0))
    live = Believed(PRIOR).start()
    orders = []
    for known in (1, 10, 1000):
        live.consider(SPACE, candidates, known)
        order = live.pick(np.zeros((3, 1)), lambda points: (mean, std), 0.4, 3, np.random.default_rng(0))
        weights = np.array([PRIOR.of(SPACE).density(a) for a in candidates]) ** (10 / known)
        assert order == np.argsort(-plain * weights, kind="stable").tolist()
        orders.append(order)
    assert orders[0][0] == 2
    assert orders[-1] == [0, 1, 2]


def bowl(proposal: Proposal, number: int) -> Trial:
    a: Any = proposal.architecture
    trial = evaluate(proposal, number, "fair")
    value = abs(math.log10(a["rate"]) + 2) + (a["optimizer"] != "sgd") + abs((a["momentum"] or 0.0) - 0.9)
    return Trial(number, trial.architecture, trial.fidelity, "ok", value, trial.cost)


def test_a_right_belief_helps_and_a_wrong_one_is_overcome() -> None:
    wrong = {"optimizer": "adam", "rate": 1e-4}
    right = {"optimizer": "sgd", "rate": 1e-2, "momentum": 0.9}

    def best(prior: Any) -> float:
        return min(t.value for t in fly(pibo(prior, restarts=0), Stage(SPACE, 22), 1, values=bowl).trials)

    assert best(right) < 0.15
    assert best(wrong) < 1.0
