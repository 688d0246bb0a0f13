"""How often the product's statements are wrong: simulated boards put to the same functions that its screens use.

::

    python benchmarks/statistics_simulations.py --repetitions 1000

One table. A line is an analysis on one kind of data at n seeds: false claims where all strategies are alike (the
family-wise error), false claims and cover where they differ (joint intervals and simultaneous ranks), and claims
against their own test. Below it, the power that was promised and the power there was.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from searchbench import statistics as st
from searchbench.statistics.arms import Arm, Floats
from searchbench.statistics.claims import established, leaning
from searchbench.statistics.one_task import Family

SIZES = (5, 10, 30)
SHIFTS = np.array([0.0, 0.0, 1.0, 2.0, 2.0])
"""True differences of five strategies, in standard deviations; the first is the baseline."""

Noise = Callable[[np.random.Generator, tuple[int, ...]], Floats]


def _collapsing(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return rng.normal(0, 1, shape) + 8.0 * (rng.random(shape) < 0.05)


DATA: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "bounded": lambda rng, shape: rng.beta(0.5, 1.5, shape) * 4,
    "tied": lambda rng, shape: np.round(rng.normal(0, 0.8, shape)),
    "skewed": lambda rng, shape: rng.exponential(1, shape),
    "rare collapse": _collapsing,
}
UNEQUAL = "unequal collapse"
"""Equal means, but only the baseline collapses: differences are not symmetric, which every exact test assumes."""


@dataclass(frozen=True, slots=True)
class Line:
    """Shares of simulated boards; NaN where the question does not arise."""

    analysis: str
    data: str
    n: int
    boards: int
    false_when_alike: float
    false_when_different: float
    cover_ranks: float
    cover_intervals: float
    against_own_test: float

    def __str__(self) -> str:
        shares = (
            self.false_when_alike, self.false_when_different, self.cover_ranks, self.cover_intervals,
            self.against_own_test,
        )  # fmt: skip
        shown = "".join(f"{'–' if math.isnan(x) else f'{x:.3f}':>12}" for x in shares)
        return f"{self.analysis:<12}{self.data:<18}{self.n:>4}{shown}"


HEADING = f"{'analysis':<12}{'data':<18}{'n':>4}" + "".join(
    f"{x:>12}" for x in ("alike", "different", "ranks", "intervals", "against")
)


def arms(x: Floats) -> list[Arm]:
    """Scores [strategies, n] as arms of one metric, lower is better."""
    return [st.arm(own, name=f"s{i}", better="lower") for i, own in enumerate(x)]


def board(rng: np.random.Generator, noise: Noise, shifts: Floats, n: int) -> Floats:
    """Scores [strategies, n] with an effect of the seed that strategies share."""
    return shifts[:, None] + rng.normal(0, 1, (1, n)) + noise(rng, (len(shifts), n))


@dataclass(frozen=True, slots=True)
class Judged:
    """One board: whether a claim is false, whether ranks and intervals hold, whether a claim is against its test."""

    false: bool
    ranks: bool = True
    intervals: bool | None = None
    against: bool = False


def judged_family(family: Family, shifts: Floats) -> Judged:
    """Claims, ranks and joint intervals of a family against the true shifts of its strategies s0, s1 …"""
    true = {f"s{i}": float(x) for i, x in enumerate(shifts)}
    false = against = False
    covered: list[bool] = []
    order = family.order()
    for (a, b), answer in family:
        gap, who = true[a] - true[b], family.winner(answer)
        false |= (who == "a" and gap >= 0) or (who == "b" and gap <= 0)
        against |= _against(answer, who) or (who == "a" and order.index(a) > order.index(b))
        if answer.interval is not None:
            covered.append(answer.interval.low - 1e-9 <= gap <= answer.interval.high + 1e-9)
    ranks = all(
        low <= 1 + sum(x < true[name] for x in true.values()) and high >= sum(x <= true[name] for x in true.values())
        for name, (low, high) in family.rank_intervals().items()
    )
    return Judged(false, ranks, all(covered) if covered else None, against)


def _against(answer: st.Answer, who: str) -> bool:
    """Whether a claim (lower is better) is against the side of its test, its estimate, its effect or its interval."""
    if who == "none":
        return False
    side = -1.0 if who == "a" else 1.0
    inside = answer.interval is not None and 0.0 in answer.interval
    effect = 0.0 if answer.effect is None else answer.effect.value
    return inside or min(side * leaning(answer), side * (answer.estimate or 0.0), side * effect) <= 0


def leaderboard(rng: np.random.Generator, noise: Noise, shifts: Floats, n: int) -> Judged:
    """Each against the baseline, then the others."""
    found = st.baseline_then_others(arms(board(rng, noise, shifts, n)), "s0", paired_by_seed=True)
    return judged_family(found, shifts)


def compare(rng: np.random.Generator, noise: Noise, shifts: Floats, n: int) -> Judged:
    """Two strategies that the study declared to compare: the baseline and the third."""
    a, b = arms(board(rng, noise, shifts[[2, 0]], n))
    answer = st.paired(a, b)
    who = "none"
    if answer.wording.startswith(f"{a.name} is better"):
        who = "a"
    elif answer.wording.startswith(f"{b.name} is better"):
        who = "b"
    gap = float(shifts[2] - shifts[0])
    inside = None if answer.interval is None else answer.interval.low - 1e-9 <= gap <= answer.interval.high + 1e-9
    false = (who == "a" and gap >= 0) or (who == "b" and gap <= 0)
    return Judged(false, True, inside, _against(answer, who))


def ablation(rng: np.random.Generator, noise: Noise, shifts: Floats, n: int) -> Judged:
    """Two parts, of which the second has an effect where strategies differ; no interaction."""
    truth = {"A": 0.0, "B": float(shifts[2]), "A × B": 0.0}
    cells = [frozenset(), frozenset({"A"}), frozenset({"B"}), frozenset({"A", "B"})]
    x = board(rng, noise, np.array([0.0, 0.0, shifts[2], shifts[2]]), n)
    found = st.factorial(dict(zip(cells, arms(x), strict=True)), ("A", "B"), paired_by_seed=True)
    false = against = False
    covered = []
    for name, answer in found.effects.items():
        shown = established(answer, alpha=0.05)
        false |= shown and (truth[name] == 0 or leaning(answer) * truth[name] < 0)
        against |= _against(answer, "b" if leaning(answer) > 0 else "a") if shown else False
        if answer.interval is not None:
            covered.append(answer.interval.low - 1e-9 <= truth[name] <= answer.interval.high + 1e-9)
    return Judged(false, True, all(covered) if covered else None, against)


def ranking(rng: np.random.Generator, noise: Noise, shifts: Floats, n: int) -> Judged:
    """All pairs on one task."""
    return judged_family(st.all_pairs(arms(board(rng, noise, shifts, n)), paired_by_seed=True), shifts)


def across(rng: np.random.Generator, noise: Noise, shifts: Floats, n: int) -> Judged:
    """Three tasks together, by the mean of regret."""
    x = np.stack([board(rng, noise, shifts, n) for _ in range(3)], axis=2)
    names = tuple(f"s{i}" for i in range(len(shifts)))
    scores = st.Scores(names, ("t0", "t1", "t2"), x, ("lower",) * 3).normalised([-10.0] * 3, [10.0] * 3)
    found = st.rank(scores, baseline="s0", estimand="mean", resamples=2)
    assert found.family is not None
    return judged_family(found.family, shifts / 20)


ANALYSES = {f.__name__: f for f in (leaderboard, compare, ablation, ranking, across)}


def errors(repetitions: int, *, seed: int = 0, sizes: Sequence[int] = SIZES) -> Iterator[Line]:
    """A line per analysis, kind of data and number of seeds."""
    for name, analysis in ANALYSES.items():
        for data, noise in DATA.items():
            for n in sizes:
                rng = np.random.default_rng([seed, n, len(data), len(name)])
                alike = [analysis(rng, noise, np.zeros(5), n) for _ in range(repetitions)]
                apart = [analysis(rng, noise, SHIFTS, n) for _ in range(repetitions)]
                yield _line(name, data, n, alike, apart)
    for n in sizes:
        rng = np.random.default_rng([seed, n])
        yield _line("compare", UNEQUAL, n, [_unequal(rng, n) for _ in range(repetitions)], [])


def _unequal(rng: np.random.Generator, n: int) -> Judged:
    x = rng.normal(0, 1, (1, n)) + rng.normal(0, 1, (2, n))
    x[0] += 0.4  # the mean of the other's collapses
    x[1] += 8.0 * (rng.random(n) < 0.05)
    return judged_family(st.versus_baseline(arms(x), "s1", paired_by_seed=True), np.zeros(2))


def _line(name: str, data: str, n: int, alike: Sequence[Judged], apart: Sequence[Judged]) -> Line:
    known = [x.intervals for x in (*alike, *apart) if x.intervals is not None]
    ranks = name in ("leaderboard", "ranking", "across")
    return Line(
        name, data, n, len(alike),
        float(np.mean([x.false for x in alike])),
        float(np.mean([x.false for x in apart])) if apart else math.nan,
        float(np.mean([x.ranks for x in (*alike, *apart)])) if ranks else math.nan,
        float(np.mean(known)) if known else math.nan,
        float(np.mean([x.against for x in (*alike, *apart)])),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Power:
    """A promise of 80 % power in a family, and how often "better" was said."""

    promise: str
    family: int
    pilot: int
    rope: float
    said: float

    def __str__(self) -> str:
        return f"{self.promise:<34}{self.family:>4}{self.pilot:>8}{self.rope:>8.2f}{self.said:>10.3f}"


def powers(repetitions: int, *, seed: int = 1) -> Iterator[Power]:
    """What `more_seeds` and "a difference of X would be seen" promise, kept or not, over pilots that vary."""
    for m, pilot, rope in ((1, 10, 0.0), (4, 10, 0.25), (9, 10, 0.0), (9, 12, 0.4)):
        rng = np.random.default_rng([seed, m, pilot, int(100 * rope)])
        delta = 2 * rope or 1.0
        kept = [_planned(rng, m, pilot, delta, rope) for _ in range(repetitions)]
        yield Power("have n, need N", m, pilot, rope, float(np.mean(kept)))
        seen = [x for _ in range(repetitions) if (x := _detected(rng, m, pilot, rope)) is not None]
        yield Power("a difference of X would be seen", m, pilot, rope, float(np.mean(seen)))


def _planned(rng: np.random.Generator, m: int, pilot: int, delta: float, rope: float) -> bool:
    sd = float(rng.normal(0, 1, pilot).std(ddof=1))
    plan = st.more_seeds(delta=delta, sd=sd, n_pilot=pilot, paired=True, comparisons=m, rope=rope or None)
    return _called_better(rng, m, int(plan["ceil"]), delta, rope)


def _detected(rng: np.random.Generator, m: int, n: int, rope: float) -> bool | None:
    x = rng.normal(0, math.sqrt(0.5), (m + 1, n))
    family = st.versus_baseline(arms(x), "s0", paired_by_seed=True, rope=rope or None)
    said = next((a.wording for a in family.answers if "would be seen" in a.wording), None)
    if said is None:
        return None
    return _called_better(rng, m, n, float(said.split("a difference of ")[1].split()[0]), rope)


def _called_better(rng: np.random.Generator, m: int, n: int, delta: float, rope: float) -> bool:
    x = rng.normal(0, math.sqrt(0.5), (m + 1, n))
    x[1] -= delta
    family = st.versus_baseline(arms(x), "s0", paired_by_seed=True, rope=rope or None)
    return family.winner(family[("s1", "s0")]) == "a"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--repetitions", type=int, default=1000, help="boards a line and hypothesis")
    given = parser.parse_args()
    print(HEADING)
    for line in errors(given.repetitions):
        print(line, flush=True)
    print(f"\n{'promised 80 %':<34}{'m':>4}{'pilot':>8}{'rope':>8}{'said':>10}")
    for power in powers(given.repetitions):
        print(power, flush=True)


if __name__ == "__main__":
    main()
