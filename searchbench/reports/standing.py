"""What may be said about the strategies of one problem: intervals, ranks, tests against the baseline, refusals.

Runs of one seed share the split, the initial designs and the evaluation noise, so strategies are compared in pairs,
on the seeds that every strategy has a result of. Whatever is claimed (better, worse, a rank, the top group) follows
from the tests of one family, the declared one: each against the baseline, or all pairs. Ranks are simultaneous
confidence ranks (Mogstad et al. 2024), which hold at any number of seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from searchbench.metric import Metric
from searchbench.reports.measured import declared_metric, undeclared
from searchbench.results.history import EXPLORATORY, Caveat, caveats_of
from searchbench.results.records import RunRecord

if TYPE_CHECKING:
    from searchbench.statistics import Answer, Arm, Family, Scores
    from searchbench.statistics.estimand import EstimandName

UNDECLARED = "nothing was declared in [comparison] before the first run"
MAX_FAILED_SHARE = 0.20
"""Above this share of failed runs a strategy's mean is shown, but neither ranked nor compared."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a study said beforehand that it would compare."""

    baseline: str | None = None
    alpha: float = 0.05
    rope: float | None = None
    """Differences up to this are practically none, in the unit of the test error."""
    effect: float | None = None
    """The true difference that the study is planned to see, in the same unit; twice the rope where none is given."""
    looks: int = 1
    taken: int = 1
    """Looks at growing data so far, this one included."""
    beforehand: bool = False
    """Whether there was a declaration at all."""
    family: str = "baseline"
    estimand: str = "mean"
    """What of the paired differences is tested, estimated and ranked by."""
    caveats: tuple[Caveat, ...] = ()
    """What must be read with every statement."""
    metric: Metric | None = None
    """What is measured; None where that was not declared."""

    @classmethod
    def of(cls, spec: Mapping[str, Any], about: str = "", problem: str = "") -> Declared:
        """Read a study's declaration: its `comparison`, the caveats about all of it and about one analysis, and the
        metric of one problem."""
        metric = declared_metric(spec, problem)
        plan = spec.get("comparison")
        taken = spec.get("looks_taken", 1)
        caveats = tuple(c for c in caveats_of(spec) if c.about in ("", about))
        if not plan:
            bare = () if about else (Caveat(EXPLORATORY, UNDECLARED),)  # an ablation is a declaration by itself
            return cls(taken=taken, caveats=caveats + bare, metric=metric)
        keys = ("baseline", "alpha", "rope", "effect", "looks", "family", "estimand")
        known = {k: plan[k] for k in keys if plan.get(k) is not None}
        return cls(**known, taken=taken, beforehand=True, caveats=caveats, metric=metric)

    @property
    def level(self) -> float:
        """Alpha of one look: Bonferroni over those declared."""
        return self.alpha / self.looks

    def measured(self, runs: Iterable[RunRecord]) -> Metric:
        """What is measured, by the judged ones of some runs where it was not declared."""
        return self.metric or undeclared(run.test_error for run in runs if run.judged)

    @property
    def confidence(self) -> str:
        """ "95 %": the level of one look's intervals and ranks."""
        return f"{100 * (1 - self.level):.4g} %"

    @property
    def planned_for(self) -> float | None:
        """The true difference that seeds are planned for: larger than the rope, or the claim could not be made."""
        return self.effect or (2 * self.rope if self.rope else None)

    @property
    def exploratory(self) -> bool:
        """Whether statements are no more than exploratory."""
        return any(caveat.kind == EXPLORATORY for caveat in self.caveats)


@dataclass(frozen=True, eq=False)
class FirstPlaces:
    """How often each of some arms comes first when seeds are resampled jointly.

    Counted when first asked for: it takes as long as all tests, and a short table shows none of it.
    """

    arms: tuple[Arm, ...]

    @property
    def known(self) -> bool:
        """Whether there are shares at all, which takes no resample."""
        import numpy as np

        from searchbench.statistics.many_tasks import resampled

        return any(np.isfinite(a.values).any() for a in self.arms) and resampled(self._scores)

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """Shares by name; none where refused."""
        from searchbench import statistics as st

        return st.p_best(self._scores) if self.known else {}

    @property
    def _scores(self) -> Scores:
        import numpy as np

        from searchbench import statistics as st

        values = np.stack([a.values for a in self.arms])[:, :, None]
        return st.Scores(tuple(a.name for a in self.arms), ("task",), values, (self.arms[0].better or "lower",))


@dataclass(frozen=True, slots=True)
class Standing:
    """One strategy among those of its problem; answers are in shown units (percent where errors are shares)."""

    estimate: Answer | None = None
    """Mean, t-interval, completed runs."""
    ranks: tuple[int, int] | None = None
    """First and last place it may hold; None where nothing is ranked."""
    top: bool = False
    """Whether it is in the group that nothing was shown better than, where some were told apart."""
    place: int | None = None
    """Where it stands by the estimand, nobody above one shown better; None where nothing is ranked."""
    location: float | None = None
    """The estimand of its completed runs, in shown units: what places follow, where the tests allow it."""
    versus: Answer | None = None
    """Against the declared baseline; estimate = this minus the baseline."""
    verdict: str = ""
    """Against the baseline: "better", "worse", "no evidence", "refused", "baseline", or "failing" where too many runs
    failed for a comparison of means; empty where nothing was asked."""
    caveats: tuple[str, ...] = ()
    """What it must be read with; see `Answer.caveats`."""
    first: FirstPlaces | None = field(default=None, compare=False)
    """The resamples of all that are ranked with it; None where nothing is."""
    name: str = ""
    """Its own among them."""

    @property
    def p_best(self) -> float | None:
        """How often it comes first when seeds are resampled: a description, no claim; None below 10 seeds."""
        return None if self.first is None else self.first.shares.get(self.name)

    @property
    def said(self) -> str:
        """The verdict under its caveats: "exploratory: better"."""
        from searchbench.statistics.record import marked

        return marked(self.verdict, self.caveats) if self.verdict in ("better", "worse") else self.verdict

    def under(self, kinds: tuple[str, ...]) -> Standing:
        """The standing, read with further caveats."""
        if not kinds:
            return self
        versus = None if self.versus is None else self.versus.with_caveats(*kinds)
        return replace(self, versus=versus, caveats=(*self.caveats, *kinds))


NOTHING = Standing()


@dataclass(frozen=True, slots=True)
class ArmVerdicts:
    """Everything asked of one problem's runs."""

    standings: Mapping[str, Standing]
    arms: tuple[Arm, ...] = ()
    """Scores in shown units, on the seeds every strategy has a result of."""
    metric: Metric = field(default_factory=Metric)
    """What was measured."""
    versus: Family | None = None
    """Each strategy against the baseline, adjusted over the declared family."""
    family: Family | None = None
    """The tests that every claim about these runs follows from."""
    notes: tuple[str, ...] = ()
    declared: Declared = field(default_factory=Declared)

    caveats: tuple[Caveat, ...] = ()
    """What every statement about them must be read with."""

    def __getitem__(self, strategy: str) -> Standing:
        return self.standings.get(strategy, NOTHING)

    @property
    def pairs(self) -> Family | None:
        """All pairs, where they are the family: declared so, or without a baseline."""
        return self.family if self.declared.family == "all-pairs" or self.versus is None else None

    @property
    def tested(self) -> str:
        """ "all 6 pairs", those of strategies that are ranked, or "3 comparisons with random": the family in words."""
        sound = [a.name for a in self.arms if a.failed_share <= MAX_FAILED_SHARE]
        ranked = 0 if self.family is None else len(self.family.among(sound).answers)
        if ranked == math.comb(len(sound), 2):
            return f"all {ranked} pairs" if ranked != 1 else "the one pair"
        return f"{ranked} comparison{'' if ranked == 1 else 's'} with {self.declared.baseline}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the caveats, each once."""
        return tuple(dict.fromkeys(caveat.kind for caveat in self.caveats))

    def under(self, caveats: tuple[Caveat, ...]) -> ArmVerdicts:
        """The verdicts, every answer and standing read with these caveats."""
        kinds = tuple(dict.fromkeys(caveat.kind for caveat in caveats))
        return replace(
            self,
            standings={name: standing.under(kinds) for name, standing in self.standings.items()},
            versus=_under(self.versus, kinds),
            family=_under(self.family, kinds),
            caveats=caveats,
        )

    @property
    def scale(self) -> float:
        """Shown units per unit of the metric."""
        return self.metric.scale

    @property
    def unit(self) -> str:
        """What differences are counted in: "percentage points", the metric's unit, or nothing."""
        return self.metric.difference_unit


def _under(family: Family | None, kinds: tuple[str, ...]) -> Family | None:
    if family is None:
        return None
    return replace(family, answers=tuple(answer.with_caveats(*kinds) for answer in family.answers))


def judge_standings(
    by_strategy: Mapping[str, Sequence[RunRecord]], seeds: Sequence[int], declared: Declared, *, compare: bool = True
) -> ArmVerdicts:
    """Intervals for all; ranks and tests where the runs may be compared.

    Args:
        by_strategy: recorded runs of one problem.
        seeds: declared replicates, in order.
        declared: what was to be compared.
        compare: False for runs that are not comparable: they are described only.
    """
    from searchbench import statistics as st

    started = {name: runs for name, runs in by_strategy.items() if runs}
    metric = declared.measured(run for runs in started.values() for run in runs)
    whole = {name: as_arm(name, runs, metric) for name, runs in started.items()}
    described = {name: Standing(st.describe(a, level=1 - declared.level, resamples=0)) for name, a in whole.items()}
    if not compare or len(whole) < 2:
        return ArmVerdicts(described, tuple(whole.values()), metric, declared=declared)
    everywhere = set(seeds).intersection(*(a.seeds for a in whole.values()))
    common = [seed for seed in seeds if seed in everywhere]
    notes = _seed_notes(seeds, common, declared)
    if not common:
        return ArmVerdicts(described, tuple(whole.values()), metric, notes=notes, declared=declared)
    arms = tuple(a.at(common) for a in whole.values())
    return _compared(described, arms, metric, notes, declared)


def as_arm(name: str, runs: Sequence[RunRecord], metric: Metric) -> Arm:
    """A strategy's runs by seed in shown units, each with what became of it; the last recorded counts where a seed has
    two."""
    from searchbench import statistics as st

    latest = {run.replicate: run for run in runs}
    scores = [run.test_error * metric.scale if run.judged else math.nan for run in latest.values()]
    endings = [_ending(run) for run in latest.values()]
    return st.arm(scores, name=name, seeds=tuple(latest), statuses=endings, better=metric.better)


def _ending(run: RunRecord) -> str:
    if run.judged:
        return "ok"
    if run.ok:
        return "nan" if run.test_status == "nan" else "failed"
    return run.status


def _compared(
    described: Mapping[str, Standing], arms: tuple[Arm, ...], metric: Metric, notes: tuple[str, ...], declared: Declared
) -> ArmVerdicts:
    family = family_of(arms, declared, metric)
    baseline = declared.baseline
    versus = None if family is None or baseline not in family.names else family.against(baseline)
    sound = [a.name for a in arms if a.failed_share <= MAX_FAILED_SHARE]
    ranked = None if family is None else family.among(sound)
    ranks = {} if ranked is None else ranked.rank_intervals()
    order = () if ranked is None else ranked.order()
    told_apart = any(low > 1 for low, _ in ranks.values())
    first = FirstPlaces(tuple(a for a in arms if a.name in sound))
    standings = {}
    for name, plain in described.items():
        answer = None if versus is None or name == baseline else versus[(name, str(baseline))]
        standings[name] = Standing(
            estimate=plain.estimate,
            ranks=ranks.get(name),
            top=told_apart and name in ranks and ranks[name][0] == 1,
            place=order.index(name) + 1 if name in order else None,
            location=ranked.locations.get(name) if ranked is not None and name in sound else None,
            versus=answer,
            verdict="failing"
            if answer is not None and name not in sound
            else _verdict(answer, versus, is_baseline=name == baseline),
            first=first,
            name=name,
        )
    notes += _family_notes(family, versus, declared) + _rope_notes(arms, declared, metric)
    return ArmVerdicts(standings, arms, metric, versus, family, notes, declared)


def _rope_notes(arms: Sequence[Arm], declared: Declared, metric: Metric) -> tuple[str, ...]:
    """Questions a rope beyond everything observed: as a rule it was given in another unit."""
    seen = [score for arm in arms for score in arm.completed.tolist()]
    reach = max(seen) - min(seen) if seen else 0.0
    if declared.rope is None or declared.rope * metric.scale <= reach or not reach:
        return ()
    said = metric.with_unit(f"{declared.rope * metric.scale:.4g}")
    return (
        f"rope: {said} is more than all results differ by ({reach:.3g}), so nothing can be called better; is it in the "
        f"unit of {metric.name}{', a share' if metric.share else ''}?",
    )


def family_of(arms: Sequence[Arm], declared: Declared, metric: Metric) -> Family | None:
    """The tests that every claim follows from: all pairs, where declared or without a baseline; else each against the
    baseline first, and the others in pairs with the error that this leaves.
    """
    from searchbench import statistics as st

    if len(arms) < 2:
        return None
    rope = None if declared.rope is None else declared.rope * metric.scale
    led: EstimandName = declared.estimand  # type: ignore[assignment]
    asked: dict[str, Any] = {"paired_by_seed": True, "alpha": declared.level, "rope": rope, "estimand": led}
    baseline = declared.baseline
    there = baseline in {a.name for a in arms}
    if baseline is None or not there or declared.family == "all-pairs":
        # With the baseline last every pair with it is "this minus the baseline".
        return st.all_pairs(sorted(arms, key=lambda a: a.name == baseline), **asked)
    return st.baseline_then_others(arms, baseline, **asked)


def all_pairs_of(verdicts: ArmVerdicts) -> Family | None:
    """All pairs of a problem whose declared family is another: what an undeclared comparison is corrected over."""
    return family_of(verdicts.arms, replace(verdicts.declared, family="all-pairs"), verdicts.metric)


def _verdict(answer: Answer | None, family: Family | None, *, is_baseline: bool) -> str:
    if family is None:
        return ""
    if is_baseline:
        return "baseline"
    if answer is None:
        return ""
    if answer.status in ("refused", "degenerate", "undefined"):
        return "refused"
    return {"a": "better", "b": "worse"}.get(family.winner(answer), "no evidence")


def _seed_notes(seeds: Sequence[int], common: Sequence[int], declared: Declared) -> tuple[str, ...]:
    notes = []
    if len(common) < len(seeds):
        what = f"the {len(common)} of {len(seeds)} seeds that every strategy has a result of"
        notes.append(f"ranks and tests use {what}" if common else "no seed has a result of every strategy: no test yet")
    if declared.looks > 1 and not declared.exploratory:
        notes.append(f"look {declared.taken} of {declared.looks} declared: alpha {declared.level:.3g}")
    return tuple(notes)


def _family_notes(family: Family | None, versus: Family | None, declared: Declared) -> tuple[str, ...]:
    from searchbench.statistics.estimand import ESTIMANDS

    notes = []
    if not declared.beforehand:
        pass  # a caveat says so
    elif versus is None:
        missing = f"`{declared.baseline}` has no run here" if declared.baseline else "none was declared"
        notes.append(f"no baseline ({missing}): nothing is tested against one")
    else:
        m = versus.answers[0].family_size
        beyond = 0 if family is None else len(family.answers) - m
        then = f", handed on to {beyond} pairs of the others (Bretz et al. 2009)" if beyond > 0 else ""
        how = ESTIMANDS[declared.estimand].method  # type: ignore[index]
        notes.append(
            f"p: {how}, paired by seed, against {declared.baseline}, two-sided, Holm over {m}{then}, "
            f"alpha {declared.level:.3g}"
        )
        notes += [f"{a}: {said}" for (a, _), x in versus if (said := x.get("opposed"))]
        refusals = list(dict.fromkeys(a.refusal_reason for a in versus.answers if a.status == "refused"))
        notes += [f"refused: {reason}" for reason in refusals]
    if versus is None and family is not None and all(a.status == "refused" for a in family.answers):
        notes.append(f"ranks not told apart: {family.answers[0].refusal_reason}")
    return tuple(notes)
