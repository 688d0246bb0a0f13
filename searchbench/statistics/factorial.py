"""Ablations: main effects and interactions of a 2^k design, and what a one-off ladder can and cannot say.

Contrasts: the main effect of A is mean(A present) - mean(A absent); the interaction AB is the difference of
differences (AB - A) - (B - base). Per seed when the cells share seeds, else Welch over cells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import MAX_FAILED_SHARE, Arm, Better, Floats
from searchbench.statistics.exact import DECIMALS, sign_flip
from searchbench.statistics.families import holm
from searchbench.statistics.paired import paired
from searchbench.statistics.power import min_pairs
from searchbench.statistics.record import Answer, Effect, Interval, facts, refused
from searchbench.statistics.two_sample import Summary

Cell = frozenset[str]
MIN_PER_CELL = 4


@dataclass(frozen=True, slots=True)
class Factorial:
    """Contrasts of a factorial study.

    Attributes:
        effects: name ("FIMT", "FIMT × PR") to answer, Holm-adjusted together.
        design: "blocked by seed" or "independent cells".
        missing: absent cells; not empty means partial, and then no contrast that needs them exists.
    """

    effects: Mapping[str, Answer]
    design: str
    missing: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Answer:
        return self.effects[name]


def contrast(factors: Sequence[str], effect: Cell) -> dict[Cell, float]:
    """Weights of each cell in one effect: sign / 2^(k - order)."""
    weights = {}
    for cell in cells(factors):
        absent = len(effect - cell)
        weights[cell] = (-1.0) ** absent / 2 ** (len(factors) - len(effect))
    return weights


def cells(factors: Sequence[str]) -> list[Cell]:
    """Every subset of the factors, small first."""
    sizes = range(len(factors) + 1)
    return [frozenset(c) for k in sizes for c in itertools.combinations(factors, k)]


def factorial(
    table: Mapping[Cell, Arm | Summary],
    factors: Sequence[str],
    *,
    paired_by_seed: bool,
    alpha: float = 0.05,
    level: float = 0.95,
) -> Factorial:
    """Main effects and interactions of all orders.

    Args:
        table: cell (the factors that are present) to its arm, or to a published mean ± std.
        factors: names, in printing order.
        paired_by_seed: cells share seeds, so each seed gives its own contrast; needs arms.

    Raises:
        StatisticsError: a cell names an unknown factor, or blocking was asked of summaries.
    """
    unknown = [sorted(c) for c in table if not c <= set(factors)]
    if unknown:
        raise StatisticsError(f"cells name factors that are not declared: {unknown}; declared: {list(factors)}")
    wanted = [c for c in cells(factors) if c]
    missing = tuple(label(c, factors) for c in cells(factors) if c not in table)
    design = "blocked by seed" if paired_by_seed else "independent cells"
    found = {}
    for effect in wanted:
        name = " × ".join(f for f in factors if f in effect)
        weights = contrast(factors, effect)
        if missing:
            reason = f"not identified: cell{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing"
            found[name] = refused(f"factorial contrast, {design}", "", 0, reason, code="not_identified",
                                  wording=f"{name}: {reason}")  # fmt: skip
        elif paired_by_seed:
            found[name] = _blocked(name, {c: _arm(table[c]) for c in weights}, weights, alpha, level)
        else:
            found[name] = _independent(name, table, weights, alpha, level)
    return Factorial(_adjust(found, alpha), design, missing)


def label(cell: Cell, factors: Sequence[str]) -> str:
    """ "base", "FIMT", "FIMT+PR" …"""
    return "+".join(f for f in factors if f in cell) or "base"


def _arm(x: Arm | Summary) -> Arm:
    if isinstance(x, Summary):
        raise StatisticsError("published summaries hold no seeds: use paired_by_seed=False")
    return x


def _blocked(name: str, arms: Mapping[Cell, Arm], weights: Mapping[Cell, float], alpha: float, level: float) -> Answer:
    method, call = "per-seed contrast, one-sample t", "scipy.stats.ttest_1samp"
    lists = [set(a.seeds) for a in arms.values()]
    if any(s != lists[0] for s in lists):
        return refused(method, call, len(set.intersection(*lists)), "the cells ran different seeds; run the same "
                       "ones, or analyse independent cells", code="seeds_differ")  # fmt: skip
    seeds = next(iter(arms.values())).seeds
    per_seed = np.asarray(sum(w * arms[c].at(seeds).values for c, w in weights.items()), dtype=np.float64)
    kept = np.isfinite(per_seed)
    d, n = per_seed[kept], int(kept.sum())
    lost = [s for s, k in zip(seeds, kept, strict=True) if not k]
    worst = max(a.failed_share for a in arms.values())
    known = {"n": len(seeds), "n_effective": n, "n_failed": sum(a.n_failed for a in arms.values())}
    if worst > MAX_FAILED_SHARE:
        return refused(method, call, len(seeds), f"{100 * worst:.0f} % of a cell failed: means are not compared",
                       code="too_many_failures", n_failed=known["n_failed"])  # fmt: skip
    answer = _one_sample(name, d, alpha=alpha, level=level, method=method, call=call, known=known)
    if lost and answer.status not in ("undefined",):
        note = f"seeds without all cells, left out: {lost}"
        answer = replace(answer, status="incomplete", code="incomplete_block", warnings=(note,),
                         wording=f"{answer.wording}; {note}")  # fmt: skip
    return answer


def _one_sample(
    name: str, d: Floats, *, alpha: float, level: float, method: str, call: str, known: dict[str, int]
) -> Answer:
    n = len(d)
    if n == 0:
        return Answer(method=method, call=call, **known, status="undefined", code="no_complete_block",  # type: ignore[arg-type]
                      wording=f"{name}: no seed has every cell")  # fmt: skip
    mean = float(d.mean())
    if n > 1 and np.ptp(np.round(d, DECIMALS)) == 0:
        code = "identical" if round(mean, DECIMALS) == 0 else "degenerate_zero_variance"
        return Answer(method=method, call=call, **known, estimate=mean, status="degenerate", code=code,  # type: ignore[arg-type]
                      wording=f"{name}: the contrast is {mean:.4g} at every seed")  # fmt: skip
    interval = _interval(mean, float(d.std(ddof=1)) / math.sqrt(n), n - 1, level) if n > 1 else None
    text = f"{name}: {mean:+.4g}" + (f" {interval}" if interval else "")
    if n < min_pairs(alpha):
        short = min_pairs(alpha) - n
        reason = f"{n} seeds cannot reach p < {alpha:g} with an exact test; {short} more are needed"
        return refused(method, call, known["n"], reason, n_effective=n, n_failed=known["n_failed"], estimate=mean,
                       interval=interval, wording=f"{text}; {reason}", facts=facts(mean=mean))  # fmt: skip
    test = stats.ttest_1samp(d, 0.0)
    flip = sign_flip(np.round(d, DECIMALS)[:, None], seed=0)[0]
    return Answer(
        method=method, call=call, **known, estimate=mean, interval=interval,  # type: ignore[arg-type]
        effect=Effect("dz", mean / float(d.std(ddof=1))), p=float(test.pvalue), wording=text,
        facts=facts(mean=mean, t=test.statistic, df=n - 1, se=d.std(ddof=1) / math.sqrt(n), signflip_p=flip[0]),
    )  # fmt: skip


def _independent(
    name: str, table: Mapping[Cell, Arm | Summary], weights: Mapping[Cell, float], alpha: float, level: float
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
    interval, t = _interval(value, se, df, level), value / se
    text = f"{name}: {value:+.4g} {interval}"
    known = facts(se=se, t=t, df=df)
    if min(sizes) < MIN_PER_CELL:
        reason = f"{min(sizes)} runs in a cell; {MIN_PER_CELL - min(sizes)} more are needed to test"
        return refused(method, call, sum(sizes), reason, estimate=value, interval=interval, facts=known,
                       wording=f"{text}; {reason}")  # fmt: skip
    p = float(2 * stats.t.sf(abs(t), df))
    return Answer(
        method=method, call=call, n=sum(sizes), n_failed=lost, estimate=value, interval=interval,
        effect=Effect("t", t), p=p, wording=text, facts=known, status="incomplete" if lost else "ok",
        code="incomplete" if lost else "ok",
    )  # fmt: skip


def _cell_summary(x: Arm | Summary) -> Summary:
    if isinstance(x, Summary):
        return x
    done = x.completed
    std = float(done.std(ddof=1)) if len(done) > 1 and np.ptp(done) > 0 else 0.0
    return Summary(float(done.mean()) if len(done) else math.nan, std, len(done), x.name)


def _interval(mean: float, se: float, df: float, level: float) -> Interval:
    half = float(stats.t.ppf(0.5 + level / 2, df)) * se
    return Interval(mean - half, mean + half, level, "t")


def _adjust(found: dict[str, Answer], alpha: float) -> dict[str, Answer]:
    adjusted = holm([1.0 if a.p is None else a.p for a in found.values()])
    out = {}
    for (name, a), q in zip(found.items(), adjusted, strict=True):
        if a.p is None:
            out[name] = replace(a, family_size=len(found))
            continue
        verdict = "established" if q < alpha else "not established"
        text = f"{a.wording}, adjusted p={q:.3g} over {len(found)}: {verdict}"
        out[name] = replace(a, p_adj=float(q), family_size=len(found), wording=text)
    return out


@dataclass(frozen=True, slots=True)
class Rung:
    """One component of a one-off ladder.

    Attributes:
        component: its name.
        added: base + component against base; None where that arm was not run.
        removed: full against full - component; None where that arm was not run.
        interaction: always "not identified" unless both were run; even then only its sum with the others.
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
    seed: int = 0,
) -> tuple[Rung, ...]:
    """Each component against the base (added alone) and against the full method (left out), paired, Holm over all.

    A ladder has no corner cells, so it cannot tell interactions apart; `factorial` can.
    """
    first = {c: (a, base) for c, a in added.items()}
    last = {c: (full, a) for c, a in removed.items()}
    m = len(first) + len(last)
    if m == 0:
        raise StatisticsError("a ladder needs at least one component added to the base or removed from the full method")
    asked = list(first.values()) + list(last.values())
    found = [paired(x, y, better=better, alpha=alpha, comparisons=m, seed=seed) for x, y in asked]
    adjusted = holm([1.0 if a.p is None else a.p for a in found])
    done = [_rung_answer(a, float(q), m, alpha) for a, q in zip(found, adjusted, strict=True)]
    up = dict(zip(first, done[: len(first)], strict=True))
    down = dict(zip(last, done[len(first) :], strict=True))
    return tuple(_rung(c, up.get(c), down.get(c)) for c in dict.fromkeys([*added, *removed]))


def _rung_answer(a: Answer, q: float, m: int, alpha: float) -> Answer:
    if a.p is None or a.status in ("refused", "degenerate", "undefined"):
        return replace(a, family_size=m)
    verdict = "established" if q < alpha and a.get("sensitivity") != "disagrees" else "not established"
    shown = "" if a.estimate is None else f"{a.estimate:+.4g} {a.interval or ''}"
    return replace(a, p_adj=q, family_size=m, wording=f"effect {shown}, adjusted p={q:.3g} over {m}: {verdict}")


def _rung(component: str, up: Answer | None, down: Answer | None) -> Rung:
    gap = "interaction not identified: a ladder has no corner cells"
    if up is not None and down is not None and up.estimate is not None and down.estimate is not None:
        gap = (
            f"alone {up.estimate:+.4g}, within the full method {down.estimate:+.4g}: their gap "
            f"{down.estimate - up.estimate:+.4g} sums all interactions of {component}; which one is not identified"
        )
    return Rung(component, up, down, gap)
