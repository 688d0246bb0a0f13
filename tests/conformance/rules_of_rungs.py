"""What searches promise that train many architectures briefly and continue the best."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from searchbench.strategies.asha import Asha
from searchbench.strategies.bohb import Bohb
from searchbench.strategies.dehb import Dehb
from searchbench.strategies.halving import Hyperband, SuccessiveHalving, rounds
from searchbench.strategies.median import MedianStopping, PredictedStopping
from searchbench.strategies.mo_asha import MultiObjectiveAsha
from searchbench.strategies.pbt import PopulationBased
from searchbench.strategies.rungs import Bracket
from searchbench.strategies.scheduled import Scheduled
from searchbench.strategies.strategy import Scenario
from searchbench.testing import Flight
from searchbench.testing.in_flight import Anything
from searchbench.trial import Proposal, Trial


class Brackets(Anything):
    """Of successive halving and Hyperband: of each rung of each bracket, once all of it has come back, the best that
    did not fail are continued, as many as the published table says, each once."""

    def __init__(self, strategy: SuccessiveHalving | Hyperband | Bohb) -> None:
        self.strategy = strategy
        self.coming: Iterator[Bracket] | None = None
        self.brackets: list[Bracket] = []
        self.rungs: list[list[list[int]]] = []
        """Of each bracket, of each rung, the tickets."""
        self.place: dict[int, tuple[int, int]] = {}
        self.promoted: set[int] = set()

    def cycle(self, scenario: Scenario) -> Iterator[Bracket]:
        strategy = self.strategy
        table = rounds(strategy.eta, strategy.min_epochs, scenario, getattr(strategy, "ceiling", False))
        while True:
            yield from table[:1] if isinstance(strategy, SuccessiveHalving) else table

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        ticket = len(flight.asked) - 1
        if proposal.resume is None:
            bracket, rung = self.fresh(flight), 0
        else:
            bracket, rung = self.continued(flight, proposal)
        self.place[ticket] = bracket, rung
        self.rungs[bracket][rung].append(ticket)
        assert proposal.fidelity.epochs == self.brackets[bracket].epochs[rung]
        assert len(self.rungs[bracket][rung]) <= self.brackets[bracket].sizes[rung]

    def fresh(self, flight: Flight) -> int:
        """The bracket a new architecture belongs to: they are filled one after the other."""
        self.coming = self.coming or self.cycle(flight.scenario)
        if not self.brackets or len(self.rungs[-1][0]) == self.brackets[-1].sizes[0]:
            self.brackets.append(next(self.coming))
            self.rungs.append([[] for _ in self.brackets[-1].sizes])
        return len(self.brackets) - 1

    def continued(self, flight: Flight, proposal: Proposal) -> tuple[int, int]:
        assert proposal.resume not in self.promoted, "it was continued before"
        self.promoted.add(proposal.resume)  # type: ignore[arg-type]
        bracket, rung = self.place[flight.tickets[proposal.resume]]  # type: ignore[index]
        tickets = self.rungs[bracket][rung]
        trial_of = dict(zip(flight.tickets, flight.trials, strict=True))
        assert all(ticket in trial_of for ticket in tickets), "the rung was not complete"
        came = sorted((t for ticket in tickets if not (t := trial_of[ticket]).failed), key=lambda t: t.value)
        kept = [trial.number for trial in came[: self.brackets[bracket].sizes[rung + 1]]]
        assert proposal.resume in kept, "a better training was left behind"
        return bracket, rung + 1


class Promotions(Anything):
    """Of ASHA, by brute force: the best of the top floor(n / eta) of the highest rung that has one which has not been
    continued; where no rung has one, a new architecture at the smallest fidelity."""

    def __init__(self, strategy: Asha | MultiObjectiveAsha) -> None:
        self.eta = strategy.eta
        self.promoted: set[int] = set()

    def ranked(self, rung: list[Trial]) -> list[Trial]:
        return sorted(rung, key=lambda t: (math.inf if t.failed else t.value, t.number))

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        levels = flight.search.epochs  # type: ignore[attr-defined]
        assert levels[0] == flight.scenario.stops[0]
        for low, high in reversed(list(pairwise(levels))):
            rung = [t for t in flight.trials if t.fidelity.epochs == low]
            for trial in self.ranked(rung)[: len(rung) // self.eta]:
                if trial.number not in self.promoted and not trial.failed:
                    self.promoted.add(trial.number)
                    assert (proposal.resume, proposal.fidelity.epochs) == (trial.number, high)
                    return
        assert (proposal.resume, proposal.fidelity.epochs) == (None, levels[0])


class FrontPromotions(Promotions):
    """Of ASHA towards a front: the same promotions, with a rung ranked layer by layer and spread out, by definition."""

    def ranked(self, rung: list[Trial]) -> list[Trial]:
        left, order = [t for t in rung if not t.failed], list[Trial]()
        while left:
            points = {t.number: np.array([t.value, t.metrics["params"]]) for t in left}
            layer = [t for t in left if not any(dominates(points[o.number], points[t.number]) for o in left)]
            left = [t for t in left if t not in layer]
            low, high = (f([points[t.number] for t in layer], axis=0) for f in (np.min, np.max))
            unit = {t.number: (points[t.number] - low) / np.where(high > low, high - low, 1.0) for t in layer}
            taken = [min(layer, key=lambda t: t.value)]
            while len(taken) < len(layer):
                rest = [t for t in layer if t not in taken]
                far = [min(np.linalg.norm(unit[t.number] - unit[o.number]) for o in taken) for t in rest]
                taken.append(rest[int(np.argmax(far))])
            order += taken
        return order + [t for t in rung if t.failed]


def dominates(one: Any, other: Any) -> bool:
    return bool((one <= other).all() and (one < other).any())


class Densities(Brackets):
    """Of BOHB, beside its brackets: the model is of the longest trainings of which there are enough, and has seen
    everything of that length that has come back, the failed ones among the worst, and nothing else."""

    strategy: Bohb

    def told(self, flight: Flight, trial: Trial) -> None:
        source: Any = flight.search._source  # type: ignore[attr-defined]
        least = len(flight.scenario.space.decisions) + 1
        by_length: dict[float, list[Trial]] = defaultdict(list)
        for known in flight.trials:
            by_length[known.fidelity.epochs or 0.0].append(known)
        enough = [length for length, known in by_length.items() if len(known) >= 2 * least]
        assert max(source._models, default=None) == max(enough, default=None)
        if not enough:
            return
        ranked = sorted(by_length[max(enough)], key=lambda t: math.inf if t.failed else t.value)
        good = max(least, int(self.strategy.top * len(ranked)))
        bad = max(least, int((1 - self.strategy.top) * len(ranked)))
        for density, seen in zip(source._models[max(enough)], (ranked[:good], ranked[good : good + bad]), strict=True):
            rows = np.array([source._coordinates.of(t.architecture) for t in seen])
            known_at = ~np.isnan(rows)
            np.testing.assert_array_equal(density.rows[known_at], rows[known_at])


class Exploits(Anything):
    """Of population-based training, by brute force: the least far goes on first; if it is among the worst fifth of what
    has come back after as many intervals by then, or has failed, it copies one of the best fifth; all others go on as
    they are. In step, nobody goes on before all have come back."""

    def __init__(self, strategy: PopulationBased) -> None:
        self.strategy = strategy
        self.member: dict[int, int] = {}
        """Of each ticket."""
        self.standing: dict[int, Trial | None] = {}
        """The trial from which each member goes on, by number."""
        self.came: dict[float, list[Trial]] = defaultdict(list)
        self.failed: dict[int, bool] = {}
        """Of who has come back and has not gone on."""
        self.turns: Counter[int] = Counter()
        """How often each has gone on."""
        self.copies = 0

    def far(self, number: int) -> float:
        trial = self.standing[number]
        return 0.0 if trial is None else trial.fidelity.epochs or 0.0

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        search: Any = flight.search
        if proposal is None:
            assert flight.awaited
            return
        number = search._asked._notes[proposal.architecture][-1][1].number
        busy = {self.member[ticket] for ticket in flight.awaited[:-1]}
        self.member[len(flight.asked) - 1] = number
        end = flight.scenario.stops[-1]
        if all(self.far(n) == end for n in self.standing):
            self.standing = dict.fromkeys(range(self.strategy.members(flight.scenario)))
            self.came.clear()
            self.turns.clear()
        waiting = [n for n in self.standing if n not in busy and self.far(n) < end]
        if self.strategy.synchronous:
            assert self.turns[number] == min(self.turns[n] for n in self.standing if self.far(n) < end)
            self.turns[number] += 1
        else:
            assert self.far(number) == min(map(self.far, waiting))
        if number in self.failed:
            self.decided(flight, number)
        standing = self.standing[number]
        assert proposal.resume == (None if standing is None else standing.number)
        assert proposal.fidelity.epochs == self.far(number) + 1

    def told(self, flight: Flight, trial: Trial) -> None:
        number = self.member[flight.tickets[trial.number]]
        self.failed[number] = trial.failed
        if not trial.failed:
            self.standing[number] = trial
            self.came[trial.fidelity.epochs or 0.0].append(trial)

    def best(self, far: float) -> tuple[list[Trial], list[Trial]]:
        ranked = sorted(self.came[far], key=lambda trial: trial.value)
        count = min(-(-len(ranked) // 5), len(ranked) // 2)
        return ranked[len(ranked) - count :], ranked[: max(count, 1)]

    def decided(self, flight: Flight, number: int) -> None:
        far, failed = self.far(number), self.failed.pop(number)
        worst, best = self.best(far)
        if failed and far + 1 < flight.scenario.stops[-1]:
            best = self.best(far + 1)[1] or best
        lines: Any = flight.search.trace()[self.copies :]  # type: ignore[attr-defined]
        lines = [line for line in lines if "caveat" not in line]
        copies = bool(best) if failed else self.standing[number] in worst
        assert [line["copies"] for line in lines] == [number] * copies
        if copies:
            copied = next(trial for trial in best if trial.number == lines[0]["trial"])
            self.standing[number] = copied
        self.copies += len(lines)


class KeepsUp(Anything):
    """Of median stopping, recomputed from all that came back: a training goes on, once and before anything begins,
    unless its best is worse than the median of the others' averages up to the same epochs."""

    def __init__(self, strategy: MedianStopping | PredictedStopping) -> None:
        self.strategy = strategy
        self.going_on: list[int] = []

    def told(self, flight: Flight, trial: Trial) -> None:
        if trial.failed or trial.fidelity.epochs == flight.scenario.stops[-1]:
            return
        if self.goes_on(flight, trial):
            self.going_on.append(trial.number)

    def goes_on(self, flight: Flight, trial: Trial) -> bool:
        others = [
            np.mean([t.value for t in curve])
            for other in flight.trials[:-1]
            if other.fidelity.epochs == trial.fidelity.epochs and not other.failed
            for curve in [curve_of(flight, other)]
        ]
        best = min(t.value for t in curve_of(flight, trial))
        return bool(len(others) < self.strategy.others or best <= np.median(others))

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        stops = flight.scenario.stops
        if not self.going_on:
            assert (proposal.resume, proposal.fidelity.epochs) == (None, stops[0])
            return
        number = self.going_on.pop(0)
        assert proposal.resume == number
        assert proposal.fidelity.epochs == stops[stops.index(flight.trials[number].fidelity.epochs) + 1]


class MayBecomeTheBest(KeepsUp):
    """Of stopping by prediction, recomputed from the curves that are complete: a training goes on unless the Student
    distribution of what is left puts less than the chance below the least value so far."""

    def goes_on(self, flight: Flight, trial: Trial) -> bool:
        assert isinstance(self.strategy, PredictedStopping)
        end = flight.scenario.stops[-1]
        complete = [
            {t.fidelity.epochs: np.log(t.value) for t in curve_of(flight, other)}
            for other in flight.trials[:-1]
            if other.fidelity.epochs == end and not other.failed
        ]
        if len(complete) < self.strategy.others:
            return True
        falls = np.array([curve[end] - curve[trial.fidelity.epochs] for curve in complete])
        spread = falls.std(ddof=1) * np.sqrt(1 + 1 / len(falls))
        at = np.log(trial.value) + falls.mean()
        best = min(curve[end] for curve in complete)
        return bool(stats.t(len(falls) - 1, loc=at, scale=spread).cdf(best) >= self.strategy.chance)


def curve_of(flight: Flight, trial: Trial) -> list[Trial]:
    """The trials of one training up to this one."""
    before = flight.proposal(trial).resume
    return [trial] if before is None else [*curve_of(flight, flight.trials[before]), trial]


class Longest(Anything):
    """Of a searcher under a scheduler: each length's searcher has seen everything that came back of that length and
    nothing else, and what begins was named by that of the longest trainings of which there are enough."""

    def __init__(self, strategy: Scheduled) -> None:
        self.strategy = strategy

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        if proposal is None or proposal.resume is not None:
            return
        by_length = Counter(t.fidelity.epochs for t in flight.trials)
        least = self.strategy.enough or 2 * (len(flight.scenario.space.decisions) + 1)
        enough = [epochs for epochs, seen in by_length.items() if seen >= least]
        source: Any = flight.search._source  # type: ignore[attr-defined]
        asked = source.searchers[max(enough)] if enough else source._ignorant
        assert asked.named[-1] == proposal.architecture
        for epochs in by_length:
            known = [t.number for t in flight.trials if t.fidelity.epochs == epochs]
            assert source.searchers[epochs].seen == known
        assert not source._ignorant.seen


@dataclass(frozen=True)
class Observed:
    """A searcher that says what it named and saw."""

    strategy: Any

    def start(self, scenario: Scenario) -> Observing:
        return Observing(self.strategy.start(scenario))


class Observing:
    def __init__(self, search: Any) -> None:
        self.search = search
        self.named: list[Any] = []
        self.seen: list[int] = []

    def ask(self) -> Proposal | None:
        proposal: Proposal | None = self.search.ask()
        self.named.append(proposal and proposal.architecture)
        return proposal

    def tell(self, trial: Trial) -> None:
        self.seen.append(trial.number)
        self.search.tell(trial)

    def learn(self, trial: Trial) -> None:
        self.seen.append(trial.number)
        self.search.learn(trial)


class Scheduling(Anything):
    """Of a searcher under a scheduler: the rule of the scheduler, and that of its searchers."""

    def __init__(self, strategy: Scheduled) -> None:
        scheduler: Any = strategy.scheduler
        of = {Asha: Promotions, MedianStopping: KeepsUp}.get(type(scheduler), Brackets)
        self.rules: list[Any] = [of(scheduler), Longest(strategy)]

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        for rule in self.rules:
            rule.asked(flight, proposal)

    def told(self, flight: Flight, trial: Trial) -> None:
        for rule in self.rules:
            rule.told(flight, trial)


class Differential(Anything):
    """Of DEHB: rungs are as large as Hyperband's and wait for the one below; members are only replaced by what is not
    worse, each in its turn; only the higher rungs of the first round continue what was trained in the length below."""

    def __init__(self, strategy: Dehb) -> None:
        self.strategy = strategy
        self.sizes: dict[tuple[int, int], int] = defaultdict(int)
        self.jobs: list[Any] = []
        self.before: Any = None

    def asked(self, flight: Flight, proposal: Proposal | None) -> None:
        assert proposal is not None
        search: Any = flight.search
        [job] = [note for p, note in search._asked._notes[proposal.architecture] if p is proposal]
        self.jobs.append(job)
        table = rounds(self.strategy.eta, self.strategy.min_epochs, flight.scenario)
        bracket = table[job.bracket.number % len(table)]
        rung = bracket.epochs.index(job.epochs)
        place = job.bracket.number, rung
        self.sizes[place] += 1
        assert self.sizes[place] <= bracket.sizes[rung]
        if rung:
            waited = [
                t for t, j in enumerate(self.jobs) if (j.bracket, j.epochs) == (job.bracket, bracket.epochs[rung - 1])
            ]
            assert len(waited) == bracket.sizes[rung - 1]
            assert set(waited) <= set(flight.tickets), "the rung below was not complete"
        turns = [j.slot for j in self.jobs if j.epochs == job.epochs]
        assert turns == [k % len(search.populations[job.epochs].members) for k in range(len(turns))]
        if proposal.resume is not None:
            assert job.bracket.number < len(table)
            assert rung > 0
            continued = flight.trials[proposal.resume]
            assert continued.fidelity.epochs == bracket.epochs[rung - 1]
        self.before = {e: [m.value for m in p.members] for e, p in search.populations.items()}

    def told(self, flight: Flight, trial: Trial) -> None:
        job = self.jobs[flight.tickets[trial.number]]
        search: Any = flight.search
        before = self.before[job.epochs][job.slot]
        value = math.inf if trial.failed else trial.value
        for epochs, population in search.populations.items():
            for slot, member in enumerate(population.members):
                own = (epochs, slot) == (job.epochs, job.slot)
                expected = min(value, before) if own else self.before[epochs][slot]
                assert member.value == expected
        self.before[job.epochs][job.slot] = min(value, before)
