"""Many strategies on one task: against a declared baseline (default), or all pairs on request."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Arm, Better, Floats, direction
from searchbench.statistics.claims import sensitivity, significant, winner, with_claim
from searchbench.statistics.effects import superiority
from searchbench.statistics.families import holm
from searchbench.statistics.friedman import friedman
from searchbench.statistics.letters import letters
from searchbench.statistics.paired import answers, below_family_minimum, differences, paired
from searchbench.statistics.power import min_pairs
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
    """

    pairs: tuple[tuple[str, str], ...]
    answers: tuple[Answer, ...]
    better: Better
    alpha: float
    rope: float | None = None
    omnibus: Answer | None = None

    def __iter__(self) -> Iterator[tuple[tuple[str, str], Answer]]:
        return iter(zip(self.pairs, self.answers, strict=True))

    def __getitem__(self, pair: tuple[str, str]) -> Answer:
        return self.answers[self.pairs.index(pair)]

    def winner(self, answer: Answer) -> str:
        """ "a", "b" or "none" of one of the answers."""
        return winner(answer, better=self.better, alpha=self.alpha, rope=self.rope)

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

    def rank_intervals(self) -> dict[str, tuple[int, int]]:
        """1 + strategies shown better, to k - strategies shown worse: simultaneous confidence ranks (Mogstad et
        al. 2024, Rev. Econ. Stud. 91:476), valid at any number of seeds since the tests behind it are."""
        wins, k = self.wins(), len(self.names)
        low, high = 1 + wins.sum(axis=0), k - wins.sum(axis=1)
        return {name: (int(a), int(b)) for name, a, b in zip(self.names, low, high, strict=True)}


def versus_baseline(
    arms: Sequence[Arm],
    baseline: str,
    *,
    paired_by_seed: bool,
    alpha: float = 0.05,
    rope: float | None = None,
    seed: int = 0,
) -> Family:
    """Every arm against the declared baseline, Holm over k - 1. Sign-flip leads (paired), else as `unpaired`.

    Raises:
        StatisticsError: fewer than two arms, repeated names, no such baseline, or no common direction.
    """
    by_name = _by_name(arms)
    if baseline not in by_name:
        raise StatisticsError(f"the baseline `{baseline}` is not among the arms: {', '.join(by_name)}")
    pairs = [(a, by_name[baseline]) for a in arms if a.name != baseline]
    return _family(arms, pairs, paired_by_seed, flip=True, alpha=alpha, rope=rope, seed=seed)


def all_pairs(
    arms: Sequence[Arm],
    *,
    paired_by_seed: bool,
    alpha: float = 0.05,
    rope: float | None = None,
    seed: int = 0,
) -> Family:
    """Every pair, Holm over k (k - 1) / 2; paired: exact Wilcoxon, with Friedman over the same seeds beside it.

    Random sign flips are not used here: 9,999 of them cannot give a p small enough for a large family.
    """
    _by_name(arms)
    pairs = list(itertools.combinations(arms, 2))
    return _family(arms, pairs, paired_by_seed, flip=False, alpha=alpha, rope=rope, seed=seed)


def _by_name(arms: Sequence[Arm]) -> dict[str, Arm]:
    out = {a.name: a for a in arms}
    if len(out) != len(arms) or len(out) < 2:
        raise StatisticsError(f"at least two arms with distinct names are needed, but got {[a.name for a in arms]}")
    return out


def _family(
    arms: Sequence[Arm],
    pairs: list[tuple[Arm, Arm]],
    paired_by_seed: bool,
    *,
    flip: bool,
    alpha: float,
    rope: float | None,
    seed: int,
) -> Family:
    better, m = direction(*arms), len(pairs)
    if paired_by_seed:
        found = _paired_answers(pairs, flip, alpha, m, seed)
    else:
        found = _unpaired_answers(pairs, better, alpha, m)
    # A comparison that could not be tested stays in the family as p = 1: leaving would flatter the others.
    adjusted = holm([1.0 if x.p is None else x.p for x in found])
    # The sensitivity line is drawn where the claim is made: on p-values adjusted over the whole family, twice.
    completed = holm([x.get("p_completed_only", 1.0 if x.p is None else x.p) for x in found])
    found = [
        x.with_facts(sensitivity=sensitivity(float(q), float(c), x["same_side"], alpha)) if "same_side" in x else x
        for x, q, c in zip(found, adjusted, completed, strict=True)
    ]
    named = tuple((a.name, b.name) for a, b in pairs)
    worded = tuple(
        _adjusted(x, float(q), m, pair, better=better, alpha=alpha, rope=rope)
        for x, q, pair in zip(found, adjusted, named, strict=True)
    )
    omnibus = _omnibus(arms, better, alpha) if paired_by_seed and len(arms) > 2 else None
    return Family(named, worded, better, alpha, rope, omnibus)


def _adjusted(
    x: Answer, p_adj: float, m: int, pair: tuple[str, str], *, better: Better, alpha: float, rope: float | None
) -> Answer:
    x = replace(x, p_adj=None if x.p is None else p_adj, family_size=m)
    return with_claim(x, *pair, better=better, alpha=alpha, rope=rope)


def _paired_answers(pairs: list[tuple[Arm, Arm]], flip: bool, alpha: float, m: int, seed: int) -> list[Answer]:
    """Complete pairs are computed as columns of one matrix; the others one by one, with their own policy."""
    seeds = pairs[0][0].seeds
    good = _complete(pairs)
    columns = [i for i, (x, y) in enumerate(pairs) if x.name in good and y.name in good and x.seeds == y.seeds == seeds]
    out: dict[int, Answer] = {}
    if columns and len(seeds) >= min_pairs(alpha):
        a = np.stack([pairs[i][0].values for i in columns], axis=1)
        b = np.stack([pairs[i][1].values for i in columns], axis=1)
        found = differences(a, b, level=0.95, flip=flip, seed=seed)
        need = min_pairs(alpha, m)
        for i, x in zip(columns, answers(found, level=0.95, alpha=alpha), strict=True):
            out[i] = below_family_minimum(x, need, m, alpha)
    return [out[i] if i in out else paired(*pairs[i], alpha=alpha, comparisons=m, seed=seed) for i in range(len(pairs))]


def _complete(pairs: list[tuple[Arm, Arm]]) -> set[str]:
    arms = {a.name: a for a in itertools.chain.from_iterable(pairs)}
    return {name for name, a in arms.items() if a.n_ok == a.n}


def _unpaired_answers(pairs: list[tuple[Arm, Arm]], better: Better, alpha: float, m: int) -> list[Answer]:
    shape = len(pairs[0][0].seeds), len(pairs[0][1].seeds)
    good = _complete(pairs)
    columns = [
        i
        for i, (x, y) in enumerate(pairs)
        if x.name in good and y.name in good and (x.n, y.n) == shape and min(shape) > 1
    ]
    out: dict[int, Answer] = {}
    if columns:
        a = np.stack([pairs[i][0].values for i in columns], axis=1)
        b = np.stack([pairs[i][1].values for i in columns], axis=1)
        found = unpaired_columns(a, b, better=better, alpha=alpha, level=0.95, comparisons=m)
        out = dict(zip(columns, found, strict=True))
    return [
        out[i] if i in out else unpaired(*pairs[i], better=better, alpha=alpha, comparisons=m)
        for i in range(len(pairs))
    ]


def _omnibus(arms: Sequence[Arm], better: Better, alpha: float) -> Answer | None:
    if any(a.seeds != arms[0].seeds or a.n_infra for a in arms):
        return None
    losses = np.stack([a.losses() for a in arms], axis=1)
    return friedman(worst_finite(losses), better="lower", alpha=alpha, unit="paired seeds")


def worst_finite(losses: Floats) -> Floats:
    """Failures (+inf) become one common value beyond every other, so that they tie last in any ranking."""
    finite = losses[np.isfinite(losses)]
    worst = finite.max(initial=0.0) + 1.0
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
