"""Which paths of a supernet are trained, and how many of them make one update.

A sampler is put over a supernet once and then draws from the strategy's own stream, so that a checkpoint needs to
keep nothing but the stream's state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from searchbench.errors import StudyError

if TYPE_CHECKING:
    from searchbench.spaces.choices import Decision
    from searchbench.spaces.networks import Active, Mixed, Supernet
    from searchbench.strategies.strategy import Scenario

T = TypeVar("T")
Draw = Callable[[np.random.Generator, float], "tuple[Active, ...]"]
"""(the strategy's stream, share of the training that is done) -> what the next round trains, a minibatch for each."""

PROBES = 256
"""Uniform paths that show a supernet's range of multiply-accumulates."""


class Sampler(Protocol):
    """Draws what rounds of the training train."""

    def over(self, supernet: Supernet) -> Draw:
        """The draw over a supernet's options.

        Raises:
            StudyError: it cannot be sampled this way.
        """


Score = Callable[["tuple[int, ...]"], float]
"""The loss of a path on the minibatch that is learnt next."""


@runtime_checkable
class Attending(Protocol):
    """A sampler that sees scores before it draws."""

    @property
    def looks(self) -> int:
        """Paths that are scored for a round."""

    def attending(self, supernet: Supernet, score: Score) -> Draw:
        """The draw over a supernet's options, which may ask for scores."""


@runtime_checkable
class Phased(Protocol):
    """A sampler whose training has phases, each of which begins with a change of the supernet."""

    def phase(self, supernet: Supernet, done: float) -> int:
        """The phase at a share of the training, counted from 0."""

    def tutored(self, phase: int) -> bool:
        """Whether paths learn from a teacher: the largest path as it was when the first such phase began."""

    def enter(self, phase: int, supernet: Supernet) -> None:
        """Change the weights of the supernet as a phase begins; its optimiser begins afresh."""


class Grouping(Protocol):
    """Which of a round's paths share an update."""

    def groups(self, paths: tuple[Active, ...]) -> tuple[tuple[Active, ...], ...]:
        """The paths in order; the gradients of a group add up to one update."""


@dataclass(frozen=True, slots=True)
class Together:
    """One update per round, of the *sum* of its paths' gradients. A mean at rate lr is this sum at lr / paths."""

    def groups(self, paths: tuple[Active, ...]) -> tuple[tuple[Active, ...], ...]:
        return (paths,)


@dataclass(frozen=True, slots=True)
class Successive:
    """An update after every path."""

    def groups(self, paths: tuple[Active, ...]) -> tuple[tuple[Active, ...], ...]:
        return tuple((path,) for path in paths)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every decision uniform and independent, in every path.

    Args:
        paths: per round. More than one, taken together, is fair in expectation only: of n draws among m options the
            counts agree with probability n! / ((n/m)!^m m^n).

    Raises:
        StudyError: `paths` is not positive.

    Source: Guo et al. 2020, section 3.3; Li & Talwalkar 2019.
    """

    paths: int = 1

    def __post_init__(self) -> None:
        if self.paths < 1:
            raise StudyError(f"`paths` must be at least 1, but got {self.paths}.")

    def over(self, supernet: Supernet) -> Draw:
        options = supernet.options
        return lambda rng, done: tuple(tuple(rng.integers(options).tolist()) for _ in range(self.paths))


@dataclass(frozen=True, slots=True)
class UniformNumbers:
    """One path. Of every decision first the number of kernels is drawn uniformly, then the kernels, then the expansion:
    sums of few kernels are trained as often as sums of many, of which there are more.

    Source: the released code of Chu et al. 2023, "MixPath".
    """

    def over(self, supernet: Supernet) -> Draw:
        decisions = supernet.architecture((0,) * len(supernet.options)).space.decisions
        groups = [_by_number(decision) for decision in decisions]

        def draw(rng: np.random.Generator, done: float) -> tuple[tuple[int, ...]]:
            return (tuple(_one_of(_one_of(group, rng), rng) for group in groups),)

        return draw

    def unsupported(self, scenario: Scenario) -> str | None:
        if "paths" not in scenario.space.settings:
            return (
                f"it trains several kernels at a time, and layers of `{scenario.space.name}` have one; see `mixpath`."
            )
        return None


def _by_number(decision: Decision) -> list[list[int]]:
    """Options by how many kernels they have."""
    found: dict[int, list[int]] = {}
    for at, value in enumerate(decision.values()):
        found.setdefault(str(value).count("."), []).append(at)
    return list(found.values())


def _one_of(listed: list[T], rng: np.random.Generator) -> T:
    return listed[int(rng.integers(len(listed)))]


@dataclass(frozen=True, slots=True)
class StrictFair:
    """m paths for m options: every decision takes its options in an order of its own, each option once.

    pi_l = a permutation of m, for every decision l;  path k = (pi_1[k], …, pi_L[k])

    Options without weights, such as skips, take their turn like any other. Fair per decision and option, also after
    every update where the paths are trained `Together`; whole paths stay fair in expectation only.

    Where decisions differ, m is the most options that one has. A decision of n < m options takes each of them m // n
    times, and m mod n of them, drawn anew every round, once more: within a round its counts differ by one at most, and
    in expectation they are equal.

    Source: Chu, Zhang & Xu 2021, "FairNAS: Rethinking Evaluation Fairness of Weight Sharing NAS", section 3.
    Differs: the paper's layers have equally many options; how shorter permutations are filled up is our own.
    """

    def over(self, supernet: Supernet) -> Draw:
        most = max(supernet.options)
        whole = np.array([np.resize(np.arange(n), most) for n in supernet.options])  # in turn, then some of them again
        short = [(row, n) for row, n in enumerate(supernet.options) if most % n]

        def draw(rng: np.random.Generator, done: float) -> tuple[tuple[int, ...], ...]:
            table = whole.copy() if short else whole
            for row, n in short:
                table[row, most - most % n :] = rng.permutation(n)[: most % n]
            return tuple(tuple(path) for path in rng.permuted(table, axis=1).T.tolist())

        return draw


@dataclass(frozen=True, slots=True)
class MacsStratified:
    """One path whose multiply-accumulates lie in a stratum drawn uniformly; *not* uniform over paths.

    The range between two quantiles of uniform paths is cut into `bins` of equal width. A path is drawn again until it
    falls into the stratum, at most `tries` times; then the last one serves.

    Args:
        low, high: quantiles over `PROBES` uniform paths.

    Raises:
        StudyError: a value is out of range.

    Source: the released code of Guo et al. 2020: 7 bins of 10M between 290M and 360M, 500 draws at most.
    Differs: the range is taken from the supernet, so that it fits any space.
    """

    bins: int = 7
    tries: int = 500
    low: float = 0.05
    high: float = 0.95

    def __post_init__(self) -> None:
        if self.bins < 1 or self.tries < 1:
            raise StudyError(f"`bins` and `tries` must be at least 1, but got bins={self.bins}, tries={self.tries}.")
        if not 0 <= self.low < self.high <= 1:
            raise StudyError(f"0 <= `low` < `high` <= 1 must hold, but got low={self.low}, high={self.high}.")

    def edges(self, supernet: Supernet) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Bounds of the strata [bins + 1], the same for every run on the space."""
        rng = np.random.default_rng(0)
        probes = [supernet.macs(tuple(rng.integers(supernet.options).tolist())) for _ in range(PROBES)]
        low, high = np.quantile(probes, [self.low, self.high])
        return np.linspace(low, high, self.bins + 1)

    def over(self, supernet: Supernet) -> Draw:
        edges = self.edges(supernet)
        return lambda rng, done: (self.within(int(rng.integers(self.bins)), edges, supernet, rng),)

    def within(
        self, stratum: int, edges: np.ndarray[tuple[int], np.dtype[np.float64]], supernet: Supernet, rng: Any
    ) -> tuple[int, ...]:
        """A uniform path of a stratum."""
        for _ in range(self.tries):
            path: tuple[int, ...] = tuple(rng.integers(supernet.options).tolist())
            if edges[stratum] <= supernet.macs(path) <= edges[stratum + 1]:
                break
        return path


@dataclass(frozen=True, slots=True)
class PathDropout:
    """The sum of all options of every decision, of which some are dropped; one mixture per round.

    rate(t) = r min(1, t / ramp);  each of k options is dropped with probability rate^(1/k)

    so that all of a decision are dropped with probability `rate`, whatever k; it then gives zeros. What is kept is
    not rescaled.

    Args:
        rate: r, at the end.
        ramp: share of the training over which the rate grows from 0.

    Raises:
        StudyError: a value is out of range.

    Source: Bender et al. 2018, "Understanding and Simplifying One-Shot Architecture Search", section 3.2.
    Differs: the course of the rate is linear in the updates (the paper gives its end alone).
    """

    rate: float = 0.05
    ramp: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1 or not 0 < self.ramp <= 1:
            raise StudyError(
                f"`rate` must lie in [0, 1) and `ramp` in (0, 1], but got rate={self.rate}, ramp={self.ramp}."
            )

    def kept(self, options: int, rng: np.random.Generator, done: float = 1.0) -> tuple[int, ...]:
        """The options of a decision that are not dropped."""
        rate = self.rate * min(1.0, done / self.ramp)
        return tuple(np.flatnonzero(rng.random(options) >= rate ** (1 / options)).tolist())

    def unsupported(self, scenario: Scenario) -> str | None:
        topology = scenario.space.topology
        if topology is None or topology.routed:
            return (
                f"it drops paths into the nodes of cells, which space `{scenario.space.name}` has none of: "
                "a layer of which all is dropped would end the network."
            )
        return None

    def over(self, supernet: Supernet) -> Draw:
        import torch

        from searchbench.spaces.networks import Mixed

        weights = [torch.ones(options, device=_device(supernet)) for options in supernet.options]

        def draw(rng: np.random.Generator, done: float) -> tuple[Mixed, ...]:
            return (Mixed(weights, [self.kept(options, rng, done) for options in supernet.options]),)

        return draw


@dataclass(frozen=True, slots=True)
class Sandwich:
    """The largest path, `random` uniform ones, the smallest: what lies between is bounded by both.

    Of every decision the largest has the option of most multiply-accumulates, the smallest that of fewest, of equals
    the last.

    Raises:
        StudyError: `random` is negative.

    Source: Yu & Huang 2019, "Universally slimmable networks", section 3.1; Yu et al. 2020, "BigNAS": two random ones.
    """

    random: int = 2

    def __post_init__(self) -> None:
        if self.random < 0:
            raise StudyError(f"`random` must not be negative, but got {self.random}.")

    def over(self, supernet: Supernet) -> Draw:
        largest, smallest = extremes(supernet)
        between = Uniform(self.random).over(supernet) if self.random else None
        return lambda rng, done: (largest, *(between(rng, done) if between else ()), smallest)


@dataclass(frozen=True, slots=True)
class Attentive:
    """The sandwich, of whose middle paths each is the best (or the worst) of `candidates` by the loss on the minibatch
    that is learnt next, all of one stratum of multiply-accumulates, which is drawn uniformly.

    Args:
        candidates: k, drawn for each path.
        best: whether the best is trained ("best-up"), or the worst ("worst-up").
        random: middle paths.
        strata: how the multiply-accumulates are divided.

    Raises:
        StudyError: a count is not positive.

    Source: Wang et al. 2021, "AttentiveNAS: improving neural architecture search via attentive sampling", section 3.2,
        with the minibatch's loss as the estimate.
    Differs: multiply-accumulates are drawn uniformly over strata, not as often as they occur in the space.
    """

    candidates: int = 3
    best: bool = True
    random: int = 2
    strata: MacsStratified = MacsStratified()

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.random < 1:
            raise StudyError(f"`candidates` and `random` must be at least 1, but got {self}.")

    @property
    def looks(self) -> int:
        """Paths that are scored for a round."""
        return self.candidates * self.random

    def over(self, supernet: Supernet) -> Draw:
        return self.attending(supernet, lambda path: 0.0)

    def attending(self, supernet: Supernet, score: Score) -> Draw:
        largest, smallest = extremes(supernet)
        edges, choose = self.strata.edges(supernet), min if self.best else max

        def middle(rng: np.random.Generator) -> tuple[int, ...]:
            at = int(rng.integers(self.strata.bins))
            drawn = [self.strata.within(at, edges, supernet, rng) for _ in range(self.candidates)]
            scores = [score(path) for path in drawn]
            return drawn[scores.index(choose(scores))]

        return lambda rng, done: (largest, *(middle(rng) for _ in range(self.random)), smallest)


def extremes(supernet: Supernet) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The largest and the smallest path of a supernet, by multiply-accumulates of each decision's options alone."""
    base = (0,) * len(supernet.options)
    largest, smallest = [], []
    for at, options in enumerate(supernet.options):
        macs = [supernet.macs((*base[:at], option, *base[at + 1 :])) for option in range(options)]
        ranked = sorted(range(options), key=macs.__getitem__)
        largest.append(ranked[-1])
        smallest.append(max(option for option in ranked if macs[option] == macs[ranked[0]]))
    return tuple(largest), tuple(smallest)


def _device(supernet: Supernet) -> Any:
    return next(iter(supernet.parameters())).device  # type: ignore[call-overload]
