"""What searches with a population or a place to stand promise, whatever is under way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from searchbench.spaces.space import Architecture
from searchbench.strategies.evolution import Member, Oldest, RegularizedEvolution, Removal, Worst, WorstOfTournament
from searchbench.strategies.local import FirstImprovement, LocalSearch
from searchbench.strategies.nsga2 import Nsga2
from searchbench.strategies.nsga_net import NsgaNet, phase_spans
from searchbench.strategies.oneshot.evolution import SposEvolution
from searchbench.strategies.reinforced_mutation import reward
from searchbench.strategies.renas import Reinforced
from searchbench.testing import Flight
from searchbench.testing.in_flight import Anything
from searchbench.trial import Proposal, Trial


def distance(one: Architecture, other: Architecture) -> int:
    """In how many decisions two architectures differ."""
    return sum(a != b for a, b in zip(one.values, other.values, strict=True))


def value(trial: Trial) -> float:
    return math.inf if trial.failed else trial.value


@dataclass(frozen=True)
class Written:
    """A removal that writes down who was there, who competed, who died."""

    removal: Removal
    deaths: list[tuple[list[Member], list[Member], Member]] = field(default_factory=list, hash=False, compare=False)

    def __repr__(self) -> str:
        return repr(self.removal)

    def index(self, population: Sequence[Member], tournament: Sequence[Member]) -> int:
        at = self.removal.index(population, tournament)
        self.deaths.append((list(population), list(tournament), population[at]))
        return at


class Deaths(Anything):
    """Of evolution: children are mutants of living members, one dies per birth, and the right one does."""

    def __init__(self, strategy: RegularizedEvolution) -> None:
        assert isinstance(strategy.removal, Written)
        self.strategy, self.written = strategy, strategy.removal
        self.written.deaths.clear()
        self.living: list[Member] = []
        self.born = 0

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None, "evolution never ends"
        if len(self.living) == self.strategy.population:
            nearest = min(distance(member.architecture, proposal.architecture) for member in self.living)
            assert nearest <= 1, f"{proposal.architecture} is no mutant of anybody alive"

    def told(self, flight: Flight, trial: Trial) -> None:
        self.living.append(Member(value(trial), self.born, trial.architecture))
        self.born += 1
        if len(self.living) <= self.strategy.population:
            return
        population, tournament, dead = self.written.deaths[-1]
        assert len(self.written.deaths) == self.born - self.strategy.population, "one dies per birth"
        assert population == self.living, "somebody else was alive"
        self.living.remove(dead)
        newborn = population[-1]
        assert len(tournament) == self.strategy.sample
        assert all(member in population and member is not newborn for member in tournament), "the dead compete"
        kind = self.written.removal
        if isinstance(kind, Oldest):
            assert dead.birth == min(member.birth for member in population)
        elif isinstance(kind, Worst):
            assert dead.value == max(member.value for member in population)
        else:
            assert isinstance(kind, WorstOfTournament)
            assert dead in tournament, "who dies did not compete"
            assert dead.value == max(member.value for member in tournament), "a better one died than had to"


class MutationsWhereDrawn(Deaths):
    """Of RENAS, beside its deaths: an update follows the policy gradient of the very children that came back, each at
    the parameters that drew it, against a baseline of earlier batches; failures are left out."""

    def __init__(self, strategy: RegularizedEvolution) -> None:
        super().__init__(strategy)
        assert isinstance(strategy.mutation, Reinforced)
        self.settings = strategy.mutation
        self.drawn: dict[int, tuple[Any, dict[str, Any]]] = {}
        """Of each ticket that is a child: how it was made, and the parameters then."""
        self.batch: list[tuple[Any, dict[str, Any], float]] = []
        self.baseline: float | None = None

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        super().asked(flight, proposal)
        search: Any = flight.search
        assert proposal is not None
        for own, (_, mark) in search._asked._notes.get(proposal.architecture, ()):
            if own is proposal and mark is not None:
                now = search._mutator.controller.named_parameters()
                self.drawn[len(flight.asked) - 1] = mark, {name: value.detach().clone() for name, value in now}

    def told(self, flight: Flight, trial: Trial) -> None:
        super().told(flight, trial)
        made = self.drawn.pop(flight.tickets[trial.number], None)
        if made is None or trial.failed:
            return
        self.batch.append((*made, reward(trial.value)))
        if len(self.batch) == self.settings.batch:
            self.learn(flight.search)

    def learn(self, search: Any) -> None:
        """The gradient of the batch, written out, against what the controller followed."""
        import torch
        from torch.func import functional_call

        controller, mean = search._mutator.controller, sum(worth for *_, worth in self.batch) / len(self.batch)
        baseline = mean if self.baseline is None else self.baseline
        total = {name: torch.zeros_like(value) for name, value in controller.named_parameters()}
        for mark, own, worth in self.batch:
            there = {name: value.requires_grad_() for name, value in own.items()}
            places, values = functional_call(controller, there, (mark.parent, mark.where))
            entropy = -sum((logs.exp() * logs).sum() for logs in (places, values))
            loss = (baseline - worth) * (places[mark.where] + values[mark.what]) - self.settings.entropy * entropy
            for name, found in zip(
                there, torch.autograd.grad(loss, list(there.values()), allow_unused=True), strict=True
            ):
                total[name] += 0.0 if found is None else found / len(self.batch)
        for name, value in controller.named_parameters():
            assert torch.allclose(value.grad, total[name], atol=1e-5), "the gradient is another's"
        self.baseline = self.settings.decay * baseline + (1 - self.settings.decay) * mean
        assert math.isclose(search._mutator.baseline, self.baseline)
        self.batch = []


class Front(Anything):
    """Of NSGA-II: a generation is the best of the former one and its children; children have living parents."""

    def __init__(self, strategy: Nsga2) -> None:
        self.strategy = strategy
        self.parents: list[tuple[Architecture, tuple[float, ...]]] = []
        self.children: list[tuple[Architecture, tuple[float, ...]]] = []

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        if self.parents and self.strategy.mutation == 0 and len(flight.asked) > self.strategy.population:
            known = [{architecture.values[at] for architecture, _ in self.parents} for at in range(6)]
            assert all(v in values for v, values in zip(proposal.architecture.values, known, strict=True))

    def told(self, flight: Flight, trial: Trial) -> None:
        point = (math.inf,) * 2 if trial.failed else (trial.value, trial.metrics["params"])
        self.children.append((trial.architecture, point))
        if len(self.children) < self.strategy.population:
            return
        everyone = self.parents + self.children
        kept = [(r.architecture, r.objectives) for r in flight.search.parents]  # type: ignore[attr-defined]
        assert len(kept) == self.strategy.population
        assert all(member in everyone for member in kept)
        dropped = list(everyone)
        for member in kept:
            dropped.remove(member)
        layers = self.depths([p for _, p in everyone])
        depth = {id(member): layer for member, layer in zip(everyone, layers, strict=True)}
        best = sorted(layers)[: self.strategy.population]
        by_point = {point: depth[id(member)] for member in everyone for point in [member[1]]}
        assert sorted(by_point[p] for _, p in kept) == best, "a better front was left behind"
        self.parents, self.children = kept, []

    @staticmethod
    def depths(points: list[tuple[float, ...]]) -> list[int]:
        """The front of each point, peeled off by brute force."""
        found = [-1] * len(points)
        for depth in range(len(points)):
            left = [at for at, known in enumerate(found) if known < 0]
            for at in left:
                others = (points[o] for o in left)
                if not any(all(x <= y for x, y in zip(o, points[at], strict=True)) and o != points[at] for o in others):
                    found[at] = depth
        return found


class PhasesOfParents(Front):
    """Of NSGA-Net: as of NSGA-II; and once it exploits, every phase of a child is one of a member's at that place."""

    def __init__(self, strategy: NsgaNet) -> None:
        super().__init__(strategy.fronts)

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        super().asked(flight, proposal)
        search: Any = flight.search
        if proposal is not None and search.exploiting:
            for left, right in phase_spans(flight.scenario.space):
                own = {architecture.values[left:right] for architecture, _ in self.parents}
                assert proposal.architecture.values[left:right] in own, "a phase that nobody kept has"


class Generations(Anything):
    """Of SPOS's evolution: nothing is bred before its parents' generation is complete; parents are the best `keep`."""

    def __init__(self, strategy: SposEvolution) -> None:
        self.strategy = strategy
        self.generations: list[list[Architecture]] = [[]]
        self.best: list[Architecture] = []

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        if proposal is None:
            return
        if len(self.generations[-1]) == self.strategy.population:
            assert len(flight.awaited) == 1, "it bred while answers were awaited"
            ranked = sorted(flight.trials, key=value)
            self.best = [trial.architecture for trial in ranked[: self.strategy.keep]]
            self.generations.append([])
        self.generations[-1].append(proposal.architecture)
        if len(self.generations) > 1 and len(self.generations[-1]) <= self.strategy.mutations:
            nearest = min(distance(parent, proposal.architecture) for parent in self.best)
            assert nearest <= 3, "a mutant of nobody among the best"


class Standing(Anything):
    """Of local search from one design: it proposes what lies around the place where it stands, steps to a neighbour
    that is strictly better, and starts again only where none is; nothing else moves it."""

    def __init__(self, strategy: LocalSearch) -> None:
        self.first = isinstance(strategy.move, FirstImprovement)
        self.design: int | None = None
        self.here: Trial | None = None
        self.around: dict[int, Trial | None] = {}
        """Tickets of the neighbours it has proposed from here, with what came of them."""
        self.steps = 0

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        if self.here is None and self.design is not None:
            return  # the start is awaited: whatever it proposes meanwhile
        if self.here is not None and self.unseen(flight):
            assert distance(self.here.architecture, proposal.architecture) == 1, "a neighbour is left, it looked away"
            self.around[len(flight.asked) - 1] = None
        elif self.here is None or None not in self.around.values():
            self.move_on(flight, proposal)

    def move_on(self, flight: Flight, proposal: Proposal) -> None:
        """Everything around is known: to the best of it, or to a new start."""
        found = [trial for trial in self.around.values() if trial is not None and not trial.failed]
        best = min(found, key=value, default=None)
        if self.here is not None and best is not None and best.value < self.here.value:
            self.stand(best)
            self.asked(flight, proposal)
        else:
            self.here, self.design = None, len(flight.asked) - 1

    def unseen(self, flight: Flight) -> bool:
        assert self.here is not None
        keys = {proposal.architecture.key for proposal in flight.asked[:-1]}
        return any(near.key not in keys for near in flight.scenario.space.neighbours(self.here.architecture))

    def told(self, flight: Flight, trial: Trial) -> None:
        ticket = flight.tickets[trial.number]
        if ticket == self.design:
            self.design = None
            if not trial.failed:
                self.stand(trial)
        elif ticket in self.around:
            self.around[ticket] = trial
            if self.first and self.here is not None and value(trial) < self.here.value:
                self.stand(trial)

    def stand(self, trial: Trial) -> None:
        self.here, self.around = trial, {}
        self.steps += 1


def evolution(removal: Removal, **settings: Any) -> RegularizedEvolution:
    return RegularizedEvolution(removal=Written(removal), **settings)
