"""Many strategies on one task: against a declared baseline (default), or all pairs on request."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import MAX_FAILED_SHARE, Arm, Better, Floats, as_arms, direction
from searchbench.statistics.claims import significant, winner, with_claim
from searchbench.statistics.effects import superiority
from searchbench.statistics.estimand import Estimand, EstimandName
from searchbench.statistics.estimand import estimand as find_estimand
from searchbench.statistics.families import adjusted_together, graphical
from searchbench.statistics.friedman import friedman
from searchbench.statistics.letters import letters
from searchbench.statistics.paired import Question, answers, below_family_minimum, compared, differences, interval_of
from searchbench.statistics.record import Answer
from searchbench.statistics.unpaired import unpaired, unpaired_columns


@dataclass(frozen=True, slots=True)
class Family:
    """Answers that were adjusted together.

    Attributes:
        pairs: names (a, b) of each comparison, a against b.
        answers: one per pair, each with `p_adj` and `family_size`.
        better: direction of the metric.
        omnibus: the Friedman answer over the same seeds; None where it does not apply.
        locations: where each arm lies by the estimand, raw units.
    """

    pairs: tuple[tuple[str, str], ...]
    answers: tuple[Answer, ...]
    better: Better
    alpha: float
    rope: float | None = None
    omnibus: Answer | None = None
    locations: Mapping[str, float] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[tuple[str, str], Answer]]:
        return iter(zip(self.pairs, self.answers, strict=True))

    def __getitem__(self, pair: tuple[str, str]) -> Answer:
        return self.answers[self.pairs.index(pair)]

    def winner(self, answer: Answer) -> str:
        """ "a", "b" or "none" of one of the answers."""
        return winner(answer, better=self.better, alpha=self.alpha, rope=self.rope)

    def among(self, names: Collection[str]) -> Family:
        """The comparisons of these strategies; still adjusted over the whole family."""
        own = [(pair, answer) for pair, answer in self if set(pair) <= set(names)]
        return replace(self, pairs=tuple(p for p, _ in own), answers=tuple(a for _, a in own), omnibus=None)

    def against(self, baseline: str) -> Family:
        """Those of its comparisons that `baseline` is the second of; still adjusted over the whole family."""
        own = [(pair, answer) for pair, answer in self if pair[1] == baseline]
        return replace(self, pairs=tuple(p for p, _ in own), answers=tuple(a for _, a in own), omnibus=None)

    @property
    def names(self) -> tuple[str, ...]:
        """Every strategy compared, in first-seen order."""
        return tuple(dict.fromkeys(itertools.chain.from_iterable(self.pairs)))

    def wins(self) -> np.ndarray:
        """[k, k] booleans: row may be called better than column."""
        place = {name: i for i, name in enumerate(self.names)}
        out = np.zeros((len(place), len(place)), dtype=bool)
        for (a, b), answer in self:
            who = self.winner(answer)
            if who != "none":
                i, j = (place[a], place[b]) if who == "a" else (place[b], place[a])
                out[i, j] = True
        return out

    def letters(self) -> dict[str, str]:
        """Compact letter display: strategies sharing a letter were not told apart. All pairs only."""
        wins = self.wins()
        beaten = wins.sum(axis=0) - wins.sum(axis=1)
        shown = letters(wins | wins.T, list(np.argsort(beaten, kind="stable")))
        return dict(zip(self.names, shown, strict=True))

    def shown_better(self) -> np.ndarray:
        """[k, k] booleans: row is better than column, by a test or because one between them is (better is transitive,
        so what follows from true claims is true)."""
        reach = self.wins()
        for middle in range(len(reach)):
            reach |= np.outer(reach[:, middle], reach[middle])
        # A circle of claims cannot follow from any truth; then each stands for itself.
        return self.wins() if reach.diagonal().any() else reach

    def rank_intervals(self) -> dict[str, tuple[int, int]]:
        """1 + strategies shown better, to k - strategies shown worse: simultaneous confidence ranks (Mogstad et
        al. 2024, Rev. Econ. Stud. 91:476), valid at any number of seeds since the tests behind it are."""
        better, k = self.shown_better(), len(self.names)
        low, high = 1 + better.sum(axis=0), k - better.sum(axis=1)
        return {name: (int(a), int(b)) for name, a, b in zip(self.names, low, high, strict=True)}

    def order(self) -> tuple[str, ...]:
        """Names from best to worst by the estimand, nobody above one that was shown better than it.

        Sorting by a location of each arm alone could contradict a test of paired differences (of medians, of ranks, of
        the pairs that both completed).
        """
        better, names = self.shown_better(), self.names
        sign = -1.0 if self.better == "higher" else 1.0
        losses = np.nan_to_num([sign * self.locations.get(name, np.nan) for name in names], nan=np.inf)
        left = np.argsort(losses, kind="stable").tolist()
        out = []
        while left:
            free = next((i for i in left if not better[left, i].any()), left[0])
            out.append(names[free])
            left.remove(free)
        return tuple(out)


def versus_baseline(
    arms: Iterable[Arm] | Mapping[str, Any],
    baseline: str,
    *,
    paired_by_seed: bool,
    better: Better | None = None,
    alpha: float = 0.05,
    level: float | None = None,
    rope: float | None = None,
    seed: int = 0,
    estimand: EstimandName | Estimand = "mean",
) -> Family:
    """Every arm against the declared baseline, Holm over k - 1; paired by the estimand's test, else as `unpaired`.

    Args:
        arms: arms; or scores by name, in a mapping or as a DataFrame's columns, with `better`.

    Raises:
        StatisticsError: fewer than two arms, repeated names, no such baseline, or no common direction.
    """
    arms = as_arms(arms, better=better)
    by_name = _by_name(arms)
    if baseline not in by_name:
        raise StatisticsError(f"the baseline `{baseline}` is not among the arms: {', '.join(by_name)}")
    pairs = [(a, by_name[baseline]) for a in arms if a.name != baseline]
    asked = _question(estimand, len(pairs), alpha, level, rope, seed)
    return _family(arms, pairs, paired_by_seed, asked)


def baseline_then_others(
    arms: Iterable[Arm] | Mapping[str, Any],
    baseline: str,
    *,
    paired_by_seed: bool,
    better: Better | None = None,
    alpha: float = 0.05,
    level: float | None = None,
    rope: float | None = None,
    seed: int = 0,
    estimand: EstimandName | Estimand = "mean",
) -> Family:
    """Every arm against the declared baseline first, and the others in pairs with the error that this leaves.

    One family: the comparisons with the baseline share alpha. One that is told apart hands four fifths of its share to
    those still open and the rest to the pairs of its arm, a pair hands on to the other pairs (`graphical`). Only the
    comparisons with the baseline have intervals, which hold jointly. Of more than 40 arms only those are compared.
    """
    arms = as_arms(arms, better=better)
    named = _by_name(arms)
    asked = {"paired_by_seed": paired_by_seed, "alpha": alpha, "level": level, "rope": rope, "seed": seed}
    first = versus_baseline(arms, baseline, estimand=estimand, **asked)  # type: ignore[arg-type]
    others = [a for a in arms if a.name != baseline]
    if not 1 < len(others) <= MAX_IN_PAIRS:
        return first
    pairs = list(itertools.combinations(others, 2))
    single = replace(_question(estimand, 1, alpha, level, rope, seed), intervals=False)
    found = list(first.answers) + [replace(x, interval=None) for x in _raw(pairs, paired_by_seed, single)]
    names = first.pairs + tuple((a.name, b.name) for a, b in pairs)
    shares, passing = _baseline_first(names, len(first.answers))
    failing = {name for name, a in named.items() if a.failed_share > MAX_FAILED_SHARE}

    def adjust(p: Sequence[float]) -> Floats:
        open_ = [1.0 if failing & set(pair) else x for pair, x in zip(names, p, strict=True)]
        return graphical(open_, shares, passing)

    together = adjusted_together(found, alpha, adjust)
    m = len(first.answers)
    sized = [replace(x, family_size=m if i < m else len(found)) for i, x in enumerate(together)]
    whole = replace(_question(estimand, m, alpha, level, rope, seed))
    return replace(first, pairs=names, answers=_claimed(agreeing(sized, whole), names, first.better, whole))


MAX_IN_PAIRS = 40
HANDED_ON = 0.2
"""Share of the error of a comparison with the baseline that goes to pairs of its arm once it is told apart."""


def _baseline_first(names: Sequence[tuple[str, str]], m: int) -> tuple[Floats, Floats]:
    """Shares of alpha and what is handed on: the first m compare an arm with the baseline, the rest two others."""
    total = len(names)
    has = np.array([[name in pair for pair in names[m:]] for name, _ in names[:m]], dtype=np.float64)
    passing = np.zeros((total, total))
    passing[:m, :m] = (1 - HANDED_ON) * (1 - np.eye(m)) / (m - 1)
    passing[:m, m:] = HANDED_ON * has / has.sum(axis=1, keepdims=True)
    if total - m > 1:
        passing[m:, m:] = (1 - np.eye(total - m)) / (total - m - 1)
    return np.concatenate([np.full(m, 1 / m), np.zeros(total - m)]), passing


def all_pairs(
    arms: Iterable[Arm] | Mapping[str, Any],
    *,
    paired_by_seed: bool,
    better: Better | None = None,
    alpha: float = 0.05,
    level: float | None = None,
    rope: float | None = None,
    seed: int = 0,
    estimand: EstimandName | Estimand = "mean",
) -> Family:
    """Every pair, Holm over k (k - 1) / 2, with Friedman over the same seeds beside it where they are paired."""
    arms = as_arms(arms, better=better)
    _by_name(arms)
    pairs = list(itertools.combinations(arms, 2))
    return _family(arms, pairs, paired_by_seed, _question(estimand, len(pairs), alpha, level, rope, seed))


def _question(
    estimand: EstimandName | Estimand, m: int, alpha: float, level: float | None, rope: float | None, seed: int
) -> Question:
    return Question(find_estimand(estimand), alpha, 1 - alpha if level is None else level, m, rope, seed)


def _by_name(arms: Sequence[Arm]) -> dict[str, Arm]:
    out = {a.name: a for a in arms}
    if len(out) != len(arms) or len(out) < 2:
        raise StatisticsError(f"at least two arms with distinct names are needed, but got {[a.name for a in arms]}")
    return out


def _family(arms: Sequence[Arm], pairs: list[tuple[Arm, Arm]], paired_by_seed: bool, asked: Question) -> Family:
    better = direction(*arms)
    found = agreeing(adjusted_together(_raw(pairs, paired_by_seed, asked), asked.alpha), asked)
    named = tuple((a.name, b.name) for a, b in pairs)
    omnibus = _omnibus(arms, asked.alpha) if paired_by_seed and len(arms) > 2 else None
    locations = _locations(arms, asked.estimand)
    return Family(named, _claimed(found, named, better, asked), better, asked.alpha, asked.rope, omnibus, locations)


def _raw(pairs: list[tuple[Arm, Arm]], paired_by_seed: bool, asked: Question) -> list[Answer]:
    if paired_by_seed:
        return _paired_answers(pairs, asked)
    return _unpaired_answers(pairs, direction(*itertools.chain(*pairs)), asked)


def _claimed(
    found: Sequence[Answer], names: Sequence[tuple[str, str]], better: Better, asked: Question
) -> tuple[Answer, ...]:
    return tuple(
        with_claim(x, *pair, better=better, alpha=asked.alpha, rope=asked.rope)
        for x, pair in zip(found, names, strict=True)
    )


def agreeing(found: Sequence[Answer], asked: Question) -> list[Answer]:
    """Intervals that agree with the adjusted p: later steps of a procedure test at more than the joint level, so where
    one of them rejects a zero inside the joint interval, the end at zero is that of the level it was rejected at."""
    out = list(found)
    for i, x in enumerate(found):
        if not significant(x, asked.alpha) or x.interval is None or 0.0 not in x.interval or "diffs" not in x:
            continue
        own = interval_of(np.asarray(x["diffs"]), asked, asked.alpha * (x.p or 0.0) / (x.p_adj or 1.0))
        if own is not None and 0.0 not in own:
            low, high = (own.low, x.interval.high) if own.low > 0 else (x.interval.low, own.high)
            out[i] = replace(x, interval=replace(x.interval, low=low, high=high))
    return out


def _locations(arms: Sequence[Arm], led: Estimand) -> dict[str, float]:
    """Where each arm lies by the estimand, raw units; NaN where nothing completed."""
    return {a.name: led.location(a.completed) if len(a.completed) else np.nan for a in arms}


def _paired_answers(pairs: list[tuple[Arm, Arm]], asked: Question) -> list[Answer]:
    """Complete pairs are computed as columns of one matrix; the others one by one, with their own policy."""
    seeds = pairs[0][0].seeds
    good = _complete(pairs)
    columns = [i for i, (x, y) in enumerate(pairs) if x.name in good and y.name in good and x.seeds == y.seeds == seeds]
    out: dict[int, Answer] = {}
    if columns and len(seeds) >= asked.needed:
        a = np.stack([pairs[i][0].values for i in columns], axis=1)
        b = np.stack([pairs[i][1].values for i in columns], axis=1)
        for i, x in zip(columns, answers(differences(a, b), asked), strict=True):
            out[i] = below_family_minimum(x, asked)
    return [out[i] if i in out else compared(*pairs[i], asked) for i in range(len(pairs))]


def _complete(pairs: list[tuple[Arm, Arm]]) -> set[str]:
    arms = {a.name: a for a in itertools.chain.from_iterable(pairs)}
    return {name for name, a in arms.items() if a.n_ok == a.n}


def _unpaired_answers(pairs: list[tuple[Arm, Arm]], better: Better, asked: Question) -> list[Answer]:
    shape = len(pairs[0][0].seeds), len(pairs[0][1].seeds)
    good = _complete(pairs)
    said: dict[str, Any] = {"alpha": asked.alpha, "level": asked.level, "comparisons": asked.comparisons}
    columns = [
        i
        for i, (x, y) in enumerate(pairs)
        if x.name in good and y.name in good and (x.n, y.n) == shape and min(shape) > 1
    ]
    out: dict[int, Answer] = {}
    if columns:
        a = np.stack([pairs[i][0].values for i in columns], axis=1)
        b = np.stack([pairs[i][1].values for i in columns], axis=1)
        found = unpaired_columns(a, b, better=better, **said)
        out = dict(zip(columns, found, strict=True))
    return [out[i] if i in out else unpaired(*pairs[i], better=better, **said) for i in range(len(pairs))]


def _omnibus(arms: Sequence[Arm], alpha: float) -> Answer | None:
    if any(a.seeds != arms[0].seeds or a.n_infra for a in arms):
        return None
    losses = np.stack([a.losses() for a in arms], axis=1)
    return friedman(worst_finite(losses), better="lower", alpha=alpha, unit="paired seeds")


def worst_finite(losses: Floats) -> Floats:
    """Failures (+inf) become one common value beyond every other, so that they tie last in any ranking."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return np.where(np.isposinf(losses), 1.0, losses)
    # A step of the scores' own size: a fixed one would drown scores of another unit, or be drowned by them.
    worst = finite.max() + (np.abs(finite).max() or 1.0)
    return np.where(np.isposinf(losses), worst, losses)


def superiority_matrix(arms: Sequence[Arm]) -> Floats:
    """P(row better than column) [k, k], ties half, failures worst; a description, not a test.

    Args:
        arms: of one direction, each with the same number of finished runs.
    """
    if any(a.n_infra or a.n != arms[0].n for a in arms):
        raise StatisticsError("P(better) over all pairs needs equally many finished runs in every arm")
    losses = np.stack([a.losses() for a in arms], axis=1)
    k = len(arms)
    i, j = np.triu_indices(k, 1)
    out = np.full((k, k), 0.5)
    out[i, j] = superiority(losses[:, j], losses[:, i])
    out[j, i] = 1 - out[i, j]
    return out


def told_apart(family: Family) -> int:
    """How many comparisons of the family ended significant."""
    return sum(significant(answer, family.alpha) for answer in family.answers)
