"""Population-based training: schedules that are found while they are trained by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol, TypeVar

import numpy as np

from searchbench.cost import Cost
from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Decision, Float, Integer, Value
from searchbench.spaces.schedules import intervals_of, schedule, settings_of
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.strategy import Logged, Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Fidelity, Proposal, Trial

Number = TypeVar("Number", int, float)
MOST = 20
"""Members of a population where the budget sets the number, at most."""
UNFINISHED = (
    "no member of the population came to the end of its training within the budget: the schedule that is handed over "
    "holds its last setting for the intervals that were never trained."
)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True, eq=False)
class ReachedInterval:
    """A training as far as a member has come with it."""

    member: int
    settings: tuple[Architecture, ...]
    """Of each interval up to there, by whomever it was trained."""
    value: float
    trial: int
    """From which one may go on."""


@dataclass(slots=True, eq=False)
class TrainedMember:
    """One of a population."""

    number: int
    setting: Architecture
    """What it trains by next."""
    at: ReachedInterval | None = None
    """Where it goes on from; None at the beginning."""
    due: bool = False
    """Whether it has come back, and it is still to be decided whether it copies."""
    failed: bool = False
    """Whether it came back without a value."""

    @property
    def intervals(self) -> int:
        return 0 if self.at is None else len(self.at.settings)


@dataclass(frozen=True, slots=True)
class Gained:
    """What a stretch of training gained."""

    after: int
    """Intervals before it."""
    before: float
    """The value there; infinite at the beginning."""
    setting: Architecture
    gain: float
    """By how much the value fell, per interval."""


class Explorer(Protocol):
    """What a member that has copied another trains with from then on."""

    def learn(self, gained: Gained) -> None:
        """What came of an interval."""

    def explore(self, copied: ReachedInterval, under_way: Sequence[Architecture]) -> Architecture:
        """A setting to go on with.

        Args:
            copied: what the member has copied.
            under_way: settings that others train by next.
        """


class Exploration(Protocol):
    """How a setting comes from a copied one."""

    def unsupported(self, setting: Space) -> str | None:
        """Why these hyper-parameters cannot be explored, or None."""

    def start(self, setting: Space, rng: np.random.Generator) -> Explorer: ...


@dataclass(frozen=True, slots=True)
class RandomChanges:
    """Each hyper-parameter by itself: drawn anew with a probability, else a number is multiplied by a factor, and a
    category moves to the option before or after it.

    Args:
        factors: of which one is drawn.
        resample: probability of a fresh draw.

    Raises:
        StudyError: a value is out of range.
    """

    factors: tuple[float, ...] = (0.8, 1.2)
    resample: float = 0.25

    def __post_init__(self) -> None:
        given = self.factors if isinstance(self.factors, tuple | list) else ()
        if not given or not all(_number(f) and 0 < f < math.inf for f in given):
            raise StudyError(f"`factors` must be positive numbers, such as [0.8, 1.2], but got {self.factors!r}.")
        object.__setattr__(self, "factors", tuple(given))
        if not (_number(self.resample) and 0 <= self.resample <= 1):
            raise StudyError(f"`resample` is a probability, but got {self.resample!r}.")

    def unsupported(self, setting: Space) -> str | None:
        """What cannot be perturbed; numbers and categories can."""
        odd = [d for d in setting.decisions if not isinstance(d, Choice | Integer | Float)]
        return f"it cannot perturb `{odd[0].name}`, a {type(odd[0]).__name__}" if odd else None

    def start(self, setting: Space, rng: np.random.Generator) -> RandomExplorer:
        return RandomExplorer(self, rng)


class RandomExplorer:
    """The live explorer."""

    def __init__(self, settings: RandomChanges, rng: np.random.Generator) -> None:
        self._settings, self._rng = settings, rng

    def learn(self, gained: Gained) -> None:
        """Nothing is learnt."""

    def explore(self, copied: ReachedInterval, under_way: Sequence[Architecture]) -> Architecture:
        return self.perturbed(copied.settings[-1])

    def perturbed(self, setting: Architecture) -> Architecture:
        """The setting with each active hyper-parameter drawn anew or moved; conditions are kept."""
        pairs = zip(setting.space.decisions, setting.values, strict=True)
        moved = [None if value is None else self._moved(decision, value) for decision, value in pairs]
        return setting.space.completed(moved, self._rng)

    def _moved(self, decision: Decision, value: Value) -> Value:
        if self._rng.random() < self._settings.resample:
            return decision.sample(self._rng)
        if isinstance(decision, Choice):
            at = decision.options.index(value) + self._drawn((-1, 1))
            return decision.options[min(max(at, 0), decision.arity - 1)]
        assert isinstance(decision, Integer | Float)
        assert isinstance(value, int | float)
        moved = min(max(value * self._drawn(self._settings.factors), decision.low), decision.high)
        return decision.own(round(moved) if isinstance(decision, Integer) else moved)

    def _drawn(self, options: Sequence[Number]) -> Number:
        return options[int(self._rng.random() * len(options))]


@dataclass(frozen=True, slots=True)
class PopulationBased:
    """Train a population under settings of its members' own; a member that is among the worst when it has trained for
    `ready` intervals copies one of the best as it was after as many, drawn uniformly, and goes on from there with a
    setting that is explored from that one's. Whoever is not among the worst goes on as it is.

    worst, best = ceil(quantile n), at most n / 2, of the n members that have come back after as many intervals by now

    A member's training is a schedule: the settings by which its weights, its own or copied, have come about. Whoever
    copies takes the schedule too. So each evaluation is of a schedule, which the judge trains by from scratch; a copy
    costs only the intervals that follow it, and a population of n takes n trainings' intervals. When all members are at
    the end, another population begins.

    Args:
        population: members; None takes as many as the budget trains to the end, up to 20.
        ready: intervals between two decisions about a member.
        quantile: share of the population that copies, and that is copied from.
        exploration: how a setting comes from a copied one.
        synchronous: wait until all members have come equally far, instead of deciding by those that have.

    Raises:
        StudyError: a value is out of range.
    """

    population: int | None = None
    ready: int = 1
    quantile: float = 0.2
    exploration: Exploration = RandomChanges()
    synchronous: bool = False

    def __post_init__(self) -> None:
        for name, least in (("population", 2), ("ready", 1)):
            value = getattr(self, name)
            if (name, value) != ("population", None) and (
                not isinstance(value, int) or isinstance(value, bool) or value < least
            ):
                raise StudyError(f"`{name}` must be an integer of at least {least}, but got {value!r}.")
        if not (_number(self.quantile) and 0 < self.quantile <= 0.5):
            raise StudyError(f"`quantile` is a share in (0, 0.5], but got {self.quantile!r}.")
        if not isinstance(self.synchronous, bool):
            raise StudyError(f"`synchronous` must be true or false, but got {self.synchronous!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        intervals = intervals_of(scenario.space)
        if scenario.space.setting is None:
            return f"it searches schedules, but points of `{scenario.space.name}` hold for a whole training."
        if scenario.stops != tuple(float(k) for k in range(1, intervals + 1)):
            return f"it decides between intervals, of which there are {intervals}, but evaluations do not end there"
        if self.ready >= intervals:
            return (
                f"`ready` is {self.ready}, so that a training of {intervals} intervals has no decision before its end"
            )
        if (members := self.members(scenario)) < 2:
            return f"the budget ({scenario.budget}) trains {members} to the end, and a population is of at least 2"
        return self.exploration.unsupported(scenario.space.setting)

    def members(self, scenario: Scenario) -> int:
        """How many a population has."""
        if self.population is not None:
            return self.population
        intervals = intervals_of(scenario.space)
        whole = Cost(math.ceil(intervals / self.ready), float(intervals))
        affordable = (int(limit // getattr(whole, axis)) for axis, limit in scenario.budget.limits.items()
                      if getattr(whole, axis) > 0)  # fmt: skip
        return min((MOST, *affordable))

    def start(self, scenario: Scenario) -> PopulationTraining:
        return PopulationTraining(self, scenario)


def pbt(
    population: int | None = None,
    ready: int = 1,
    quantile: float = 0.2,
    factors: tuple[float, ...] = (0.8, 1.2),
    resample: float = 0.25,
    synchronous: bool = False,
) -> PopulationBased:
    """Population-based training: `PopulationBased` with settings that are perturbed at random, `RandomChanges`.

    worst, best = ceil(quantile n), at most n / 2, of the n members that have come back after as many intervals by now
    a member among the worst: its training becomes that of one of the best, its next setting h' from that one's h:
    h'_d ~ the prior with probability `resample`, else h_d x 0.8 or h_d x 1.2

    Args:
        population, ready, quantile, synchronous: see `PopulationBased`.
        factors, resample: see `RandomChanges`.

    Raises:
        StudyError: a value is out of range.

    Source: Jaderberg et al. 2017, "Population Based Training of Neural Networks": Algorithm 1, truncation selection and
        perturbation as in section 4; shares of the population, factors and the probability of a fresh draw are also
        those of Ray Tune's `PopulationBasedTraining`, whose exploration this is, draw by draw.
    Differs: members are compared, and copied, as they were after equally many intervals: a schedule has one length, so
        that what is copied is neither behind nor ahead. In the paper and in Ray Tune it is whatever was last reported,
        which is the same where all train equally fast. Of those that are ready the least far goes on first, and only
        then it is decided whether it copies. Values stay within their range. A failed training counts nowhere and
        copies one of the best of where it was to come, or had come; where nobody came, it begins anew.
    """
    return PopulationBased(population, ready, quantile, RandomChanges(factors, resample), synchronous)


class PopulationTraining:
    """The live search."""

    def __init__(self, settings: PopulationBased, scenario: Scenario) -> None:
        assert scenario.space.setting is not None
        self._settings, self._space = settings, scenario.space
        self._intervals, self._size = intervals_of(scenario.space), settings.members(scenario)
        self._designs, self._rng = scenario.seeds.rng("init"), scenario.seeds.rng("search")
        self._explorer = settings.exploration.start(scenario.space.setting, self._rng)
        self.members: list[TrainedMember] = []
        self.came: dict[int, list[ReachedInterval]] = {}
        """What has come back of this population, by how many intervals it has trained."""
        self._ready: list[tuple[int, int, TrainedMember]] = []
        """By how far each is, and when it became ready: a heap."""
        self._turns = 0
        self._asked: UnderWay[TrainedMember] = UnderWay()
        self._copies: list[Mapping[str, Logged]] = []
        self._finished = False

    def ask(self) -> Proposal | None:
        if not self._ready and not len(self._asked):
            self.members, self.came = [TrainedMember(number, self._design()) for number in range(self._size)], {}
            self._go_on(self.members)
        if not self._ready:
            return None
        member = heappop(self._ready)[-1]
        self._decide(member)
        settings = self._next(member)
        resume = None if member.at is None else member.at.trial
        proposal = Proposal(schedule(self._space, settings), Fidelity(float(len(settings))), resume)
        return self._asked.add(proposal, member)

    def tell(self, trial: Trial) -> None:
        member = self._asked.take(trial)
        assert member is not None, "it hears of what it asked for"
        member.due, member.failed = True, trial.failed
        if not trial.failed:
            self._report(member, trial)
        if not self._settings.synchronous:
            self._go_on([member])
        elif not len(self._asked) and not self._ready:
            self._go_on(self.members)

    def trace(self) -> list[Mapping[str, Logged]]:
        """Every copy: who, of whom, after how many intervals, and the trial that it goes on from; a caveat where the
        budget ended before any training did."""
        return self._copies if self._finished else [*self._copies, {"caveat": UNFINISHED}]

    def quantiles(self, intervals: int) -> tuple[list[ReachedInterval], list[ReachedInterval]]:
        """The worst and the best of what has come back after so many, the best first; where anything has, there is one
        among the best."""
        ranked = sorted(self.came.get(intervals, ()), key=lambda reached: reached.value)
        count = min(math.ceil(len(ranked) * self._settings.quantile - 1e-9), len(ranked) // 2)
        return ranked[len(ranked) - count :], ranked[: max(count, 1)]

    def _report(self, member: TrainedMember, trial: Trial) -> None:
        settings, before = self._next(member), math.inf if member.at is None else member.at.value
        gain = (before - trial.value) / (len(settings) - member.intervals)
        self._explorer.learn(Gained(member.intervals, before, member.setting, gain))
        member.at = ReachedInterval(member.number, settings, trial.value, trial.number)
        self.came.setdefault(len(settings), []).append(member.at)
        self._finished = self._finished or len(settings) == self._intervals

    def _decide(self, member: TrainedMember) -> None:
        """Let a member that has come back copy one of the best where it is among the worst, or has failed."""
        due, member.due = member.due, False
        if not due:
            return
        worst, best = self.quantiles(member.intervals)
        if member.failed:
            self._copy(member, self._best_there(member))
        elif member.at in worst:
            self._copy(member, best)

    def _best_there(self, member: TrainedMember) -> list[ReachedInterval]:
        """The best of where a member was to come, else of where it had come; nobody at the very beginning."""
        wanted = len(self._next(member))
        bests = [self.quantiles(at)[1] for at in (wanted, member.intervals) if at < self._intervals]
        return next((best for best in bests if best), [])

    def _copy(self, member: TrainedMember, best: list[ReachedInterval]) -> None:
        """Copy one of the best and explore; begin anew where there is none."""
        if not best:
            member.setting = self._design()
            return
        copied = member.at = best[int(self._rng.random() * len(best))]
        others = [m.setting for m in self.members if m is not member]
        member.setting = self._explorer.explore(copied, others)
        self._copies.append(
            {"copies": member.number, "of": copied.member, "interval": len(copied.settings), "trial": copied.trial}
        )

    def _go_on(self, members: Iterable[TrainedMember]) -> None:
        """Let each that is not at the end go on in its turn."""
        for member in members:
            if member.intervals < self._intervals:
                heappush(self._ready, (member.intervals, self._turns, member))
                self._turns += 1

    def _next(self, member: TrainedMember) -> tuple[Architecture, ...]:
        """The settings of its training once it has gone on."""
        before = () if member.at is None else member.at.settings
        return (*before, *[member.setting] * min(self._settings.ready, self._intervals - len(before)))

    def _design(self) -> Architecture:
        """A fresh setting: that of the first interval of the next design."""
        return settings_of(self._space.sample(self._designs))[0]
