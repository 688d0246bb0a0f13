"""What searches promise that learn a policy or a model: whose gradient, and which model saw what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.acquisition import Predict
from searchbench.strategies.controlled import Controlled, Learning, Sampled
from searchbench.strategies.evolution import RegularizedEvolution
from searchbench.strategies.lanas import LaNas
from searchbench.strategies.model_based import ModelBased
from searchbench.strategies.pnas import Pnas
from searchbench.strategies.reinforce import Policy, Reinforce
from searchbench.strategies.surrogates import LiveSurrogate, Surrogate
from searchbench.strategies.turbo import Box, Turbo
from searchbench.strategies.warm import WarmStart
from searchbench.testing import Flight
from searchbench.testing.in_flight import Anything
from searchbench.trial import Proposal, Trial

Probabilities = Any


class ScoresWhereDrawn(Anything):
    """Of tabular REINFORCE, by an implementation of its own: each score is taken at the logits its architecture was
    drawn from, the baseline holds earlier batches only, failures are left out."""

    def __init__(self, strategy: Reinforce) -> None:
        self.strategy = strategy
        self.policy: Policy | None = None
        self.drawn: list[Probabilities] = []
        """Of each ticket."""
        self.batch: list[tuple[float, Array]] = []
        self.baseline: float | None = None

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        if self.policy is None:
            scenario = flight.scenario
            self.policy = Policy(scenario.space, scenario.seeds.rng("policy"), self.strategy.initial_std)
            self.rng = scenario.seeds.rng("search")
            self.update = self.strategy.update.start(self.policy.logits.shape, self.strategy.learning_rate)
        assert self.policy.sample(self.rng) == proposal.architecture, "drawn from another policy"
        self.drawn.append(self.policy.probabilities.copy())

    def told(self, flight: Flight, trial: Trial) -> None:
        assert self.policy is not None
        if trial.failed:
            return
        score = -self.drawn[flight.tickets[trial.number]]
        for row, at in enumerate(self.policy.indices(trial.architecture)):
            if at < 0:
                score[row] = 0.0
            else:
                score[row, at] += 1.0
        self.batch.append((-trial.value, score))
        if len(self.batch) < self.strategy.batch:
            return
        mean = float(np.mean([reward for reward, _ in self.batch]))
        baseline = mean if self.baseline is None else self.baseline
        gradient = np.mean([(reward - baseline) * score for reward, score in self.batch], axis=0)
        self.policy.move(self.update.step(gradient))
        decay = self.strategy.baseline_decay
        self.baseline, self.batch = decay * baseline + (1 - decay) * mean, []


@dataclass(frozen=True)
class WrittenLearning:
    """A way of learning that writes down the controller it is given and what it learns from."""

    learning: Learning
    batches: list[tuple[Any, list[Sampled]]] = field(default_factory=list, hash=False, compare=False)

    def __repr__(self) -> str:
        return repr(self.learning)

    @property
    def passes(self) -> int:
        return self.learning.passes

    @property
    def reweighs(self) -> bool:
        return self.learning.reweighs

    def loss(self, controller: Any, batch: Sequence[Sampled], entropy: float) -> Any:
        logs = controller.score([sampled.architecture for sampled in batch])[0].detach().tolist()
        self.batches.append((logs, list(batch)))
        return self.learning.loss(controller, batch, entropy)


class GradientsWhereDrawn(Anything):
    """Of a recurrent controller: a batch is drawn by one copy of the parameters; the gradient is taken at that copy,
    or corrected by the probabilities it was drawn with; rewards are those of the very trials; failures are left out."""

    def __init__(self, strategy: Controlled) -> None:
        assert isinstance(strategy.learning, WrittenLearning)
        self.strategy, self.written = strategy, strategy.learning
        self.written.batches.clear()
        self.logs: list[float] = []
        """Log-probability of each ticket when it was drawn."""
        self.rewards: dict[int, float] = {}
        self.learnt: set[int] = set()
        self.baseline: float | None = None

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        drawing: Any = flight.search._stale  # type: ignore[attr-defined]
        self.logs.append(float(drawing.score([proposal.architecture])[0].detach()[0]))

    def told(self, flight: Flight, trial: Trial) -> None:
        if not trial.failed:
            self.rewards[flight.tickets[trial.number]] = (1.0 - trial.value) ** self.strategy.power
        if not self.written.batches:
            return
        batches = list(self.written.batches)
        self.written.batches.clear()
        assert len(batches) == self.strategy.learning.passes, "one batch is learnt from at a time"
        for number, (logs, batch) in enumerate(batches):
            assert len(batch) == self.strategy.batch
            assert len({sampled.replica for sampled in batch}) == 1, "replicas are mixed"
            if not self.strategy.learning.reweighs:
                drawn = [sampled.log_probability for sampled in batch]
                np.testing.assert_allclose(logs, drawn, atol=1e-5, err_msg="the gradient is another copy's")
            if number == 0:
                self.learn(flight, batch)

    def learn(self, flight: Flight, batch: list[Sampled]) -> None:
        """The batch's tickets, by what was drawn with which probability; their rewards against the baseline."""
        tickets = []
        for sampled in batch:
            fitting = [
                ticket
                for ticket, proposal in enumerate(flight.asked)
                if ticket in self.rewards
                and ticket not in self.learnt
                and proposal.architecture is sampled.architecture
            ]
            assert fitting, "it learns from what did not come back"
            tickets.append(fitting[0])
            assert abs(self.logs[fitting[0]] - sampled.log_probability) < 1e-5
            self.learnt.add(fitting[0])
        rewards = [self.rewards[ticket] for ticket in tickets]
        mean = sum(rewards) / len(rewards)
        baseline = mean if self.baseline is None else self.baseline
        np.testing.assert_allclose([s.advantage for s in batch], [r - baseline for r in rewards], atol=1e-12)
        self.baseline = self.strategy.decay * baseline + (1 - self.strategy.decay) * mean


@dataclass(frozen=True)
class WrittenSurrogate:
    """A surrogate that writes down what it is fitted to."""

    surrogate: Surrogate
    fits: list[tuple[Array, Array]] = field(default_factory=list, hash=False, compare=False)

    def __repr__(self) -> str:
        return repr(self.surrogate)

    def start(self, space: Space) -> LiveSurrogate:
        return _WrittenFits(self.surrogate.start(space), self.fits)


@dataclass(frozen=True)
class _WrittenFits:
    live: LiveSurrogate
    fits: list[tuple[Array, Array]]

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        self.fits.append((encodings.copy(), values.copy()))
        return self.live.fit(encodings, values, rng)


class SeesEverything(Anything):
    """Of model-based search: every fit sees all that has come back, each value beside its own architecture, failures
    as the worst of them; what is under way is neither seen nor proposed again; `batch` proposals are made of a fit."""

    def __init__(self, strategy: ModelBased) -> None:
        assert isinstance(strategy.surrogate, WrittenSurrogate)
        self.strategy, self.written = strategy, strategy.surrogate
        self.written.fits.clear()
        self.since = math.inf
        """Proposals since the last fit, that included."""

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        keys = [known.architecture.key for known in flight.asked]
        assert keys.count(proposal.architecture.key) == 1, "it was proposed before"
        self.since += 1
        if not self.written.fits:
            begun = len(flight.asked) > self.strategy.initial and any(not t.failed for t in flight.trials)
            assert not begun or self.since <= self.strategy.batch, "an old model decides"
            return
        ((encodings, values),) = self.written.fits
        self.written.fits.clear()
        self.since = 1
        known = [t.value for t in flight.trials if not t.failed]
        expected = [max(known) if t.failed else t.value for t in flight.trials]
        assert values.tolist() == expected
        encode, space = self.strategy.encoding.of, flight.scenario.space
        np.testing.assert_array_equal(encodings, np.array([encode(space, t.architecture) for t in flight.trials]))


class Levels(Anything):
    """Of progressive search: cells of b blocks are proposed when all of b - 1 have come back, and widen those that did
    not fail."""

    def __init__(self, strategy: Pnas) -> None:
        self.strategy = strategy

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        if proposal is None:
            return
        size = self.blocks(proposal.architecture)
        sizes = [self.blocks(flight.asked[ticket].architecture) for ticket in flight.awaited]
        assert set(sizes) == {size}, "two levels are under way at a time"
        if size > 1:
            assert self.beginning(proposal.architecture, size - 1) in {
                self.beginning(t.architecture, size - 1)
                for t in flight.trials
                if not t.failed and self.blocks(t.architecture) == size - 1
            }, "it widens what failed, or was never trained"
            level = [p for p in flight.asked if self.blocks(p.architecture) == size]
            assert len(level) <= self.strategy.beam

    @staticmethod
    def blocks(architecture: Architecture) -> int:
        from searchbench.spaces.block_cells.cells import NORMAL, cells_of

        return len(cells_of(architecture)[NORMAL])

    @staticmethod
    def beginning(architecture: Architecture, blocks: int) -> Any:
        from searchbench.spaces.block_cells.cells import NORMAL, cells_of

        return cells_of(architecture)[NORMAL][:blocks]


def controlled(strategy: Controlled) -> Controlled:
    return replace(strategy, learning=WrittenLearning(strategy.learning))  # type: ignore[arg-type]


def modelled(strategy: ModelBased) -> ModelBased:
    return replace(strategy, surrogate=WrittenSurrogate(strategy.surrogate))  # type: ignore[arg-type]


@dataclass
class Half:
    """A node of LaNAS's tree."""

    values: list[float]
    weights: np.ndarray[Any, np.dtype[np.float64]] | None = None
    halves: tuple[Half, ...] = ()
    """The good one, the poor one."""


class Halves(Anything):
    """Of LaNAS, by brute force: what is drawn lies where the tree of everything that had come back when it was last
    grown, and of what was drawn from it since, says, at every node in the half of the greater bound, unless draws found
    nothing of it."""

    def __init__(self, strategy: LaNas) -> None:
        self.strategy = strategy
        self.inside = self.drawn = self.grown = 0
        self.tree = Half([])
        self.under_way: dict[str, tuple[int, list[Half]]] = {}
        """By architecture: when the tree was grown it was drawn from, and the nodes that hold it."""

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        settings, told, space = self.strategy, len(flight.trials), flight.scenario.space
        if told < settings.initial:
            return
        grown = settings.initial + (told - settings.initial) // settings.every * settings.every
        if grown != self.grown:
            known = flight.trials[:grown]
            worst = max(t.value for t in known if not t.failed)
            values = np.array([worst if t.failed else t.value for t in known])
            encodings = np.array([space.encode(t.architecture) for t in known])
            self.grown, self.tree = grown, self.split(encodings, values, settings.height)
        node, holding = self.tree, [self.tree]
        point, spread = np.append(space.encode(proposal.architecture), 1.0), np.std(self.tree.values)
        self.drawn += 1
        self.inside += 1
        while node.weights is not None:
            bounds = [
                -np.mean(half.values)
                + 2 * settings.exploration * spread * math.sqrt(2 * math.log(len(node.values)) / len(half.values))
                for half in node.halves
            ]
            poor = int(bounds[0] < bounds[1])
            if int(point @ node.weights > 1e-12) != poor:
                self.inside -= 1
                break
            node = node.halves[poor]
            holding.append(node)
        self.under_way[proposal.architecture.key] = grown, holding

    def split(self, encodings: Any, values: Any, height: int) -> Half:
        node = Half(values.tolist())
        if height == 0 or len(values) < self.strategy.least or values.std() == 0:
            return node
        design = np.hstack([encodings, np.ones((len(values), 1))])
        scale = np.eye(design.shape[1]) * math.sqrt(1e-3)
        scale[-1, -1] = 0.0
        target = np.concatenate([(values - values.mean()) / values.std(), np.zeros(len(scale))])
        weights = np.linalg.lstsq(np.vstack([design, scale]), target, rcond=None)[0]
        good = design @ weights <= 1e-12
        if good.all() or not good.any():
            return node
        halves = tuple(self.split(encodings[half], values[half], height - 1) for half in (good, ~good))
        return Half(node.values, weights, halves)

    def told(self, flight: Flight, trial: Trial) -> None:
        grown, holding = self.under_way.pop(trial.architecture.key, (-1, []))
        if grown == self.grown and len(flight.trials) - grown < self.strategy.every:
            worst = max(t.value for t in flight.trials if not t.failed)
            for node in holding:
                node.values.append(worst if trial.failed else trial.value)
        assert self.drawn < 10 or self.inside >= 0.95 * self.drawn


class TrustRegion(Anything):
    """Of TuRBO: the box by its definition, from what came back of this region, and counted once."""

    def __init__(self, strategy: Turbo) -> None:
        self.strategy = strategy

    def told(self, flight: Flight, trial: Trial) -> None:
        search: Any = flight.search
        if search.regions:
            return
        box, values = Box(len(flight.scenario.space.decisions), self.strategy.successes), list[float]()
        for told in flight.trials:
            value = math.inf if told.failed else told.value
            if len(values) >= self.strategy.initial and any(map(math.isfinite, values)):
                box.saw(value, min(values))
            values.append(value)
        assert (box.side, box.improved, box.failed) == (search.box.side, search.box.improved, search.box.failed)


@dataclass(frozen=True)
class Recorded:
    """Earlier trials that stand in no file: of cells drawn at random the k-th is worth k/10."""

    number: int = 10

    def recorded(self, space: Space) -> dict[Architecture, float]:
        rng = np.random.default_rng(0)
        return {space.sample(rng): (at + 1) / 10 for at in range(self.number)}


class BestFirst(Anything):
    """Of a warm start by designs: the recorded best first, best first; then each result is learnt once, by a population
    of the latest."""

    def __init__(self, strategy: WarmStart) -> None:
        self.strategy = strategy
        assert isinstance(strategy.strategy, RegularizedEvolution)
        self.population = strategy.strategy.population

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        recorded, at = self.strategy.earlier[0].recorded(flight.scenario.space), len(flight.asked) - 1
        best = sorted(recorded, key=recorded.__getitem__)[: self.strategy.designs]
        assert proposal is not None
        assert at >= len(best) or proposal.architecture == best[at]

    def told(self, flight: Flight, trial: Trial) -> None:
        living: Any = flight.search._inner._population  # type: ignore[attr-defined]
        assert [m.architecture for m in living] == [t.architecture for t in flight.trials][-self.population :]
