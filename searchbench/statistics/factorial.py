"""Ablations: main effects and interactions of a factorial design, and what a one-off ladder can and cannot say.

Contrasts: the main effect of A is mean(A present) - mean(A absent); the interaction AB is the difference of
differences (AB - A) - (B - base). A factor of more levels has such a contrast for each level against its first one.
Per seed when the cells share seeds, else Welch over cells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import MAX_FAILED_SHARE, Arm, Better, Floats, direction
from searchbench.statistics.claims import established, said_interval
from searchbench.statistics.estimand import Estimand, EstimandName
from searchbench.statistics.estimand import estimand as find_estimand
from searchbench.statistics.families import adjusted_together
from searchbench.statistics.one_task import agreeing
from searchbench.statistics.paired import (
    Question,
    answers,
    below_family_minimum,
    compared,
    contrasts,
    t_interval,
    twice,
)
from searchbench.statistics.record import Answer, Effect, Interval, facts, refused
from searchbench.statistics.two_sample import Summary

Cell = frozenset[str]
Levels = tuple[str, ...]
"""One level of each factor, in the order of the factors; the first level of a factor is its base."""
MIN_PER_CELL = 4


@dataclass(frozen=True, slots=True)
class Factorial:
    """Contrasts of a factorial study.

    Attributes:
        effects: name ("FIMT", "FIMT × PR", "lr=high") to answer, Holm-adjusted together.
        design: "blocked by seed" or "independent cells".
        missing: absent cells; not empty means partial, and then no contrast that needs them exists.
    """

    effects: Mapping[str, Answer]
    design: str
    missing: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Answer:
        return self.effects[name]


def cells(factors: Sequence[str]) -> list[Cell]:
    """Every subset of the factors, small first."""
    sizes = range(len(factors) + 1)
    return [frozenset(c) for k in sizes for c in itertools.combinations(factors, k)]


def label(cell: Cell, factors: Sequence[str]) -> str:
    """ "base", "FIMT", "FIMT+PR" …"""
    return "+".join(f for f in factors if f in cell) or "base"


@dataclass(frozen=True, slots=True)
class Design:
    """Factors and their levels; a part that is present or absent has the levels "" and its own name."""

    levels: Mapping[str, Levels]

    @classmethod
    def of(cls, factors: Sequence[str] | Mapping[str, Sequence[str]]) -> Design:
        """Read names of parts, or from the levels of each factor, base first.

        Raises:
            StatisticsError: a factor has fewer than two levels, or one twice.
        """
        if not isinstance(factors, Mapping):
            return cls({f: ("", f) for f in factors})
        for name, own in factors.items():
            if len(own) < 2 or len(set(own)) < len(own):
                raise StatisticsError(f"factor `{name}` needs at least two distinct levels, but got {list(own)}")
        return cls({name: tuple(own) for name, own in factors.items()})

    def cells(self) -> Iterator[Levels]:
        """Every combination of levels."""
        return itertools.product(*self.levels.values())

    def place(self, cell: Cell | Levels) -> Levels:
        """A cell by the level of each factor; a set of parts says which are present.

        Raises:
            StatisticsError: it names something that is not declared.
        """
        found = tuple(f if f in cell else "" for f in self.levels) if isinstance(cell, frozenset) else tuple(cell)
        known = len(found) == len(self.levels) and all(
            x in own for x, own in zip(found, self.levels.values(), strict=True)
        )
        if not known or (isinstance(cell, frozenset) and not cell <= set(self.levels)):
            declared = [f if own == ("", f) else f"{f}: {', '.join(own)}" for f, own in self.levels.items()]
            raise StatisticsError(f"cells name factors that are not declared: {sorted(cell)}; declared: {declared}")
        return found

    def label(self, cell: Levels) -> str:
        """ "base", "FIMT+PR", "lr=high+FIMT" …"""
        shown = (self._said(f, x) for f, x in zip(self.levels, cell, strict=True) if x != self.levels[f][0])
        return "+".join(shown) or "base"

    def effects(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Main effects, then interactions of rising order: name, and the level of each factor in it."""
        for order in range(1, len(self.levels) + 1):
            for some in itertools.combinations(self.levels, order):
                for chosen in itertools.product(*(self.levels[f][1:] for f in some)):
                    at = dict(zip(some, chosen, strict=True))
                    yield " × ".join(self._said(f, x) for f, x in at.items()), at

    def weights(self, effect: Mapping[str, str]) -> dict[Levels, float]:
        """Weights of each cell in one effect: a level against the base of its factor, averaged over the others."""
        found = {}
        for cell in self.cells():
            weight = 1.0
            for factor, level in zip(self.levels, cell, strict=True):
                own = self.levels[factor]
                weight *= 1 / len(own) if factor not in effect else (level == effect[factor]) - (level == own[0])
            found[cell] = weight
        return {cell: w for cell, w in found.items() if w}

    def _said(self, factor: str, level: str) -> str:
        return factor if self.levels[factor] == ("", factor) else f"{factor}={level}"


def factorial(
    table: Mapping[Cell, Arm | Summary] | Mapping[Levels, Arm | Summary],
    factors: Sequence[str] | Mapping[str, Sequence[str]],
    *,
    paired_by_seed: bool,
    alpha: float = 0.05,
    level: float | None = None,
    rope: float | None = None,
    seed: int = 0,
    estimand: EstimandName | Estimand = "mean",
) -> Factorial:
    """Main effects and interactions of all orders, Holm-adjusted together; intervals hold jointly.

    Args:
        table: cell to its arm, or to a published mean ± std. A cell is the set of parts that are present, or, where
            `factors` gives levels, a tuple with the level of each factor.
        factors: names of parts, in printing order; or each factor's levels, base first.
        paired_by_seed: cells share seeds, so each seed gives its own contrast; needs arms.
        level: of the intervals; 1 - alpha by default.
        rope: effects up to this are practically none, raw units.
        seed: declared seed of random sign flips beyond 16 seeds.
        estimand: what of the per-seed contrasts is tested and estimated.

    Raises:
        StatisticsError: a cell names an unknown factor, or blocking was asked of summaries.
    """
    design = Design.of(factors)
    placed = {design.place(cell): arm for cell, arm in table.items()}
    missing = tuple(design.label(c) for c in design.cells() if c not in placed)
    effects = dict(design.effects())
    level = 1 - alpha if level is None else level
    asked = Question(find_estimand(estimand), alpha, level, len(effects), rope, seed)
    kind = "blocked by seed" if paired_by_seed else "independent cells"
    found = {}
    for name, at in effects.items():
        weights = design.weights(at)
        if missing:
            reason = f"not identified: cell{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing"
            found[name] = refused(f"factorial contrast, {kind}", "", 0, reason, code="not_identified",
                                  wording=f"{name}: {reason}")  # fmt: skip
        elif paired_by_seed:
            found[name] = _blocked({c: _arm(placed[c]) for c in weights}, weights, asked)
        else:
            found[name] = _independent(name, placed, weights, asked)
    together = agreeing(adjusted_together(list(found.values()), alpha), asked)
    worded = {name: _worded(name, x, asked) for name, x in zip(found, together, strict=True)}
    return Factorial(worded, kind, missing)


def _arm(x: Arm | Summary) -> Arm:
    if isinstance(x, Summary):
        raise StatisticsError("published summaries hold no seeds: use paired_by_seed=False")
    return x


def _blocked(arms: Mapping[Levels, Arm], weights: Mapping[Levels, float], asked: Question) -> Answer:
    method, call = f"per-seed contrast, {asked.estimand.method}", asked.estimand.call
    lists = [set(a.seeds) for a in arms.values()]
    if any(s != lists[0] for s in lists):
        return refused(method, call, len(set.intersection(*lists)), "the cells ran different seeds; run the same "
                       "ones, or analyse independent cells", code="seeds_differ")  # fmt: skip
    seeds = next(iter(arms.values())).seeds
    own = [a.at(seeds) for a in arms.values()]
    pending = [s for i, s in enumerate(seeds) if any(a.statuses[i] == "infra" for a in own)]
    kept = [s for s in seeds if s not in pending]
    own = [a.at(kept) for a in own]
    answer = _contrast(own, np.array([weights[c] for c in arms]), asked)
    lost = [s for i, s in enumerate(kept) if any(a.statuses[i] != "ok" for a in own)]
    notes = [f"seeds with a failed cell: {lost}"] if lost else []
    notes += [f"seeds lost to infrastructure, left out and to be rerun: {pending}"] if pending else []
    if notes and answer.status not in ("undefined", "refused"):
        answer = replace(answer, status="incomplete", code="incomplete_block")
    return replace(answer, n=len(seeds), warnings=(*answer.warnings, *notes))


def _contrast(arms: Sequence[Arm], weights: np.ndarray, asked: Question) -> Answer:
    """One contrast over the seeds of all cells, unworded; failures looked at twice as everywhere."""
    method, call = f"per-seed contrast, {asked.estimand.method}", asked.estimand.call
    scores, n = np.stack([a.values for a in arms]), arms[0].n
    whole = np.isfinite(scores).all(axis=0)
    done = contrasts(scores[:, whole], weights)
    lost, share = sum(a.n_failed for a in arms), max(a.failed_share for a in arms)
    if not done.size:
        return Answer(method=method, call=call, n=n, n_effective=0, n_failed=lost, status="undefined",
                      code="no_complete_block", wording="no seed has every cell")  # fmt: skip
    if share > MAX_FAILED_SHARE:
        return refused(method, call, n, f"{100 * share:.0f} % of a cell failed: means are not compared",
                       code="too_many_failures", n_failed=lost)  # fmt: skip
    if n < asked.needed and (np.ptp(done) > 0 or done.size < 2):
        short = asked.needed_in_family - n
        reason = f"{n} seeds cannot reach p < {asked.alpha:g} with an exact test; {short} more are needed"
        return refused(method, call, n, reason, n_effective=done.size, n_failed=lost, estimate=float(done.mean()),
                       interval=t_interval(done, asked), facts=facts(mean=done.mean()))  # fmt: skip
    if lost and any(a.better for a in arms):
        sign = -1.0 if direction(*arms) == "higher" else 1.0
        answer = twice(sign * np.stack([a.losses() for a in arms]), weights, asked, share=share, sign=sign)
    else:
        answer = _whole(done, asked)
        if answer.status == "degenerate":
            return answer
        if lost:  # without a direction a failure cannot be ranked worst, and nothing is claimed
            answer = answer.with_facts(p_completed_only=answer.p, same_side=False)
            answer = replace(answer, p=1.0, warnings=("no metric direction: failures cannot be ranked worst",))
    return below_family_minimum(replace(answer, n_failed=lost), asked)


def _whole(done: Floats, asked: Question) -> Answer:
    """The contrasts of complete seeds alone."""
    answer = answers(done[:, None], asked)[0]
    if answer.status == "degenerate":
        return replace(answer, wording=f"the contrast is {answer.estimate:.4g} at every seed", warnings=())
    answer = replace(answer, method=f"per-seed contrast, {asked.estimand.method}")
    return answer.with_facts(mean=done.mean(), se=done.std(ddof=1) / math.sqrt(len(done)))


def _independent(
    name: str, table: Mapping[Levels, Arm | Summary], weights: Mapping[Levels, float], asked: Question
) -> Answer:
    method, call = "contrast of cell means, Welch-Satterthwaite", "scipy.stats.t"
    worst = max((x.failed_share for x in table.values() if isinstance(x, Arm)), default=0.0)
    parts = {c: _cell_summary(table[c]) for c in weights}
    sizes = [s.n for s in parts.values()]
    lost = sum(x.n_failed for x in table.values() if isinstance(x, Arm))
    if min(sizes) == 0 or worst > MAX_FAILED_SHARE:
        return refused(method, call, sum(sizes), "a cell lost too many runs: means are not compared",
                       code="too_many_failures", n_failed=lost)  # fmt: skip
    value = sum(w * parts[c].mean for c, w in weights.items())
    terms = [(w**2 * parts[c].std ** 2 / parts[c].n, parts[c].n - 1) for c, w in weights.items() if parts[c].std > 0]
    se2 = sum(v for v, _ in terms)
    if min(sizes) < 2 or se2 == 0:
        return refused(method, call, sum(sizes), "a spread needs at least 2 differing runs per cell", estimate=value,
                       wording=f"{name}: {value:+.4g} without an interval")  # fmt: skip
    df, se = se2**2 / sum(v**2 / d for v, d in terms), math.sqrt(se2)
    interval, t = _interval(value, se, df, asked), value / se
    known = facts(se=se, t=t, df=df)
    if min(sizes) < MIN_PER_CELL:
        reason = f"{min(sizes)} runs in a cell; {MIN_PER_CELL - min(sizes)} more are needed to test"
        return refused(method, call, sum(sizes), reason, estimate=value, interval=interval, facts=known)  # fmt: skip
    p = float(2 * scipy.stats.t.sf(abs(t), df))
    return Answer(
        method=method, call=call, n=sum(sizes), n_failed=lost, estimate=value, interval=interval,
        effect=Effect("t", t), p=p, wording="", facts=known, status="incomplete" if lost else "ok",
        code="incomplete" if lost else "ok",
    )  # fmt: skip


def _cell_summary(x: Arm | Summary) -> Summary:
    if isinstance(x, Summary):
        return x
    done = x.completed
    std = float(done.std(ddof=1)) if len(done) > 1 and np.ptp(done) > 0 else 0.0
    return Summary(float(done.mean()) if len(done) else math.nan, std, len(done), x.name)


def _interval(mean: float, se: float, df: float, asked: Question) -> Interval:
    half = float(scipy.stats.t.ppf(1 - asked.tail / 2, df)) * se
    return Interval(mean - half, mean + half, asked.level, "Welch-Satterthwaite t", asked.comparisons)


def _worded(name: str, a: Answer, asked: Question) -> Answer:
    if a.code == "not_identified":
        return a
    shown = "" if a.estimate is None else f" {a.estimate:+.4g}"
    shown += "" if a.interval is None else f" {said_interval(a.interval)}"
    said = [] if a.status in ("degenerate", "undefined") else [shown.strip()] * bool(shown)
    if a.status in ("refused", "degenerate", "undefined"):
        said.append(a.refusal_reason or a.wording)
    elif a.p_adj is not None:
        verdict = "established" if established(a, alpha=asked.alpha, rope=asked.rope) else "not established"
        if a.get("sensitivity") == "disagrees":
            verdict += ": with failures ranked worst and with complete seeds only the conclusions differ"
        said.append(f"adjusted p={a.p_adj:.3g} over {a.family_size}: {verdict}")
    return replace(a, wording="; ".join([f"{name}: {', '.join(said)}", *a.warnings]))


@dataclass(frozen=True, slots=True)
class Rung:
    """One component of a one-off ladder.

    Attributes:
        component: its name.
        added: base + component against base; None where that arm was not run.
        removed: full against full - component; None where that arm was not run.
        interaction: "not identified" unless both were run; then the sum of its interactions, of two components the one
            there is.
    """

    component: str
    added: Answer | None
    removed: Answer | None
    interaction: str


def ladder(
    base: Arm,
    full: Arm,
    added: Mapping[str, Arm],
    removed: Mapping[str, Arm],
    *,
    better: Better,
    alpha: float = 0.05,
    level: float | None = None,
    rope: float | None = None,
    seed: int = 0,
    estimand: EstimandName | Estimand = "mean",
) -> tuple[Rung, ...]:
    """Each component against the base (added alone) and against the full method (left out), paired, Holm over all.

    A ladder of more than two components has no corner cells, so it cannot tell interactions apart; `factorial` can.
    """
    first = {c: (a, base) for c, a in added.items()}
    last = {c: (full, a) for c, a in removed.items()}
    m = len(first) + len(last)
    if m == 0:
        raise StatisticsError("a ladder needs at least one component added to the base or removed from the full method")
    asked = Question(find_estimand(estimand), alpha, 1 - alpha if level is None else level, m, rope, seed)
    pairs = list(first.values()) + list(last.values())
    found = [compared(replace(x, better=better), replace(y, better=better), asked) for x, y in pairs]
    done = [_worded("effect", a, asked) for a in agreeing(adjusted_together(found, alpha), asked)]
    up = dict(zip(first, done[: len(first)], strict=True))
    down = dict(zip(last, done[len(first) :], strict=True))
    names = tuple(dict.fromkeys([*added, *removed]))
    return tuple(_rung(c, up.get(c), down.get(c), [other for other in names if other != c]) for c in names)


def _rung(component: str, up: Answer | None, down: Answer | None, others: Sequence[str]) -> Rung:
    gap = "interaction not identified: a ladder has no corner cells"
    if up is not None and down is not None and up.estimate is not None and down.estimate is not None:
        which = (
            f"is its interaction with {others[0]}"
            if len(others) == 1
            else f"sums all interactions of {component}; which one is not identified"
        )
        gap = (
            f"alone {up.estimate:+.4g}, within the full method {down.estimate:+.4g}: their gap "
            f"{down.estimate - up.estimate:+.4g} {which}"
        )
    return Rung(component, up, down, gap)
