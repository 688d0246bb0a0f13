"""All problems of a study together: what holds on *these* problems, and why nothing is said about others.

The declared estimand of normalised regret (0: the lowest test error seen in the study, 1: the baseline's mean), runs of
one seed on one problem compared in pairs; ranks and verdicts follow from one family of tests. What would hold on new
problems is another question: one score per problem, Friedman, refused below five.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from searchbench.errors import StatisticsError
from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.standing import Declared
from searchbench.statistics.many_tasks import SHORT
from searchbench.statistics.record import marked, ordered

if TYPE_CHECKING:
    from searchbench.statistics import Answer, Arm, Place, Scores
    from searchbench.statistics.estimand import EstimandName


@dataclass(frozen=True, slots=True)
class Across:
    """Strategies that ran on every problem, over all of them."""

    problems: tuple[str, ...]
    baseline: str
    places: tuple[Place, ...]
    """Best first; without ranks where they are refused."""
    versus: tuple[tuple[str, Answer], ...]
    """Each other strategy against the baseline, in normalised regret."""
    declared: Declared
    improvement: tuple[tuple[str, Answer], ...]
    """For each other strategy: how often a run of it beats one of the baseline; a description with single intervals."""
    new_problems: Answer
    """Friedman over one mean per problem."""
    constants: tuple[tuple[float, float], ...]
    """(lowest test error seen, the baseline's mean) of each problem: regret 0 and 1."""
    refusal: str = ""
    left_out: tuple[str, ...] = ()
    """Strategies without runs on some problem."""
    caveats: tuple[str, ...] = ()
    """What every statement must be read with; see `Answer.caveats`."""

    def records(self) -> list[dict[str, Any]]:
        """A plain mapping per strategy."""
        chance, tested = dict(self.improvement), dict(self.versus)
        return [
            {
                "strategy": place.name, "rank": place.rank, "rank_low": place.low, "rank_high": place.high,
                "p_best": place.p_best, "estimand": self.declared.estimand, "regret": place.answer.estimate,
                "regret_low": place.answer.interval.low if place.answer.interval else None,
                "regret_high": place.answer.interval.high if place.answer.interval else None,
                "difference": tested[place.name].estimate if place.name in tested else None,
                "p_adjusted": tested[place.name].p_adj if place.name in tested else None,
                "against_baseline": tested[place.name].wording if place.name in tested else None,
                "p_improvement": chance[place.name].estimate if place.name in chance else None,
                "n": place.answer.n, "failed": place.answer.n_failed, "wording": place.answer.wording,
                "caveats": ";".join(self.caveats),
            }
            for place in self.places
        ]  # fmt: skip

    @property
    def sentences(self) -> list[str]:
        """What may be said, and of which population."""
        names = ", ".join(self.problems)
        said = [f"Over these {len(self.problems)} problems ({names}), by {SHORT[self.declared.estimand]} of "
                f"normalised regret (0: lowest error seen, 1: mean of {self.baseline}): "
                + "; ".join(_shown(place) for place in self.places) + "."]  # fmt: skip
        if self.refusal:
            said.append(f"No ranks over all problems: {self.refusal}.")
        elif self.versus:
            m = self.versus[0][1].family_size
            said.append(f"Ranks hold jointly and follow from {m} test{'' if m == 1 else 's'}, Holm-adjusted together.")
        said += [f"{answer.wording}." for _, answer in self.versus]
        said += [f"{name} against {self.baseline}, described: {answer.wording}." for name, answer in self.improvement]
        about = self.new_problems.refusal_reason or self.new_problems.wording
        said = [marked(sentence, self.caveats) for sentence in (*said, f"About other problems: {about}.")]
        if self.left_out:
            said.append(f"Left out, for lack of runs on every problem: {', '.join(self.left_out)}.")
        return said


def across(board: Leaderboard) -> Across | None:
    """All ranked problems of a leaderboard together; None with fewer than two, or without a baseline on all."""
    import numpy as np

    from searchbench import statistics as st

    blocks = [block for block in board.blocks if block.ranked and block.verdicts.arms]
    whole = [b for b in board.blocks if b.ranked or b.withheld]
    if len(blocks) < 2 or len(blocks) < len(whole):
        return None
    baseline = blocks[0].verdicts.declared.baseline
    arms = [{arm.name: arm for arm in block.verdicts.arms} for block in blocks]
    names = [name for name in arms[0] if all(name in own for own in arms)]
    seeds = [[s for s in own[names[0]].seeds if all(s in own[n].seeds for n in names)] for own in arms] if names else []
    if baseline not in names or len(names) < 2 or not all(seeds):
        return None
    problems = tuple(block.problem for block in blocks)
    found = [_values(own, names, some, block) for own, some, block in zip(arms, seeds, blocks, strict=True)]
    by_name = {name: {p: own[i] for p, own in zip(problems, found, strict=True)} for i, name in enumerate(names)}
    scores = st.Scores.of(by_name, better="lower")
    values = scores.values
    declared = blocks[0].verdicts.declared
    try:
        at = names.index(baseline)
        scores = scores.normalised(np.nanmin(values, axis=(0, 1)).tolist(), np.nanmean(values[at], axis=0).tolist())
    except StatisticsError:
        return None
    led: EstimandName = declared.estimand  # type: ignore[assignment]
    family = None if declared.family == "all-pairs" else baseline
    scores = _baseline_last(scores, at)
    ranking = st.rank(scores, baseline=family, alpha=declared.level, estimand=led)
    tested = None if ranking.family is None else ranking.family.against(baseline)
    at = len(names) - 1
    names = list(scores.names)
    means = np.nanmean(values, axis=1).T
    sound = [bool(np.isfinite(own).all()) for own in scores.units()]
    return Across(
        problems=problems,
        baseline=baseline,
        places=ranking.places,
        versus=() if tested is None else tuple((a, answer) for (a, _), answer in tested),
        declared=declared,
        improvement=tuple(
            (name, st.probability_of_improvement(scores.values[i], scores.values[at], better="lower"))
            for i, name in enumerate(names)
            if i != at and sound[i] and sound[at] and scores.counts is None
        ),
        new_problems=st.friedman(means, better="lower", unit="problems"),
        constants=scores.constants or (),
        refusal=ranking.refusal_reason,
        left_out=tuple(dict.fromkeys(_missing(arms, names))),
        caveats=ordered(kind for block in blocks for kind in block.verdicts.kinds),
    )


def _baseline_last(scores: Scores, at: int) -> Scores:
    """Scores with the baseline as the last strategy, so that every pair with it is "this minus the baseline"."""
    order = [i for i in range(len(scores.names)) if i != at] + [at]
    return replace(scores, names=tuple(scores.names[i] for i in order), values=scores.values[order])


def _values(own: dict[str, Arm], names: Sequence[str], seeds: Sequence[int], block: Block) -> Any:
    """Numbers of which less is better."""
    import numpy as np

    return np.stack([own[name].at(seeds).values for name in names]) / block.verdicts.metric.factor


def _missing(arms: Iterable[dict[str, Arm]], names: Sequence[str]) -> Iterable[str]:
    return (name for own in arms for name in own if name not in names)


def _shown(place: Place) -> str:
    interval = f" {place.answer.interval}" if place.answer.interval is not None else ""
    estimate = "–" if place.answer.estimate is None else f"{place.answer.estimate:.3f}"
    rank = f", rank {place.shown}" if place.low is not None else ""
    return f"{place.name} {estimate}{interval}{rank}"
