"""What can be asked of two strategies on one problem, and the answers, refusals among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from searchbench.metric import PERCENT, Metric
from searchbench.reports.measured import undeclared
from searchbench.reports.standing import Declared, as_arm
from searchbench.results.history import EXPLORATORY
from searchbench.results.records import RunRecord

if TYPE_CHECKING:
    from searchbench.statistics import Answer, Arm
    from searchbench.statistics.estimand import EstimandName


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """One question and its answer."""

    question: str
    answer: Answer
    claims: bool = True
    """Whether the answer says something of the strategies; what it would take to know does not."""

    def under(self, kinds: Sequence[str]) -> ReportQuestion:
        """The question, read with these caveats."""
        return replace(self, answer=self.answer.with_caveats(*kinds)) if self.claims else self


def ask(
    left: Sequence[RunRecord],
    right: Sequence[RunRecord],
    names: tuple[str, str],
    declared: Declared,
    budget: Sequence[str] = (),
    comparisons: int = 1,
) -> tuple[ReportQuestion, ...]:
    """Every test that applies to two strategies' runs, paired by seed; answers in shown units (percent of shares).

    Args:
        left, right: their runs on one problem, with recordings where anytime questions are wanted.
        names: their labels.
        declared: alpha and rope.
        budget: axes that the study limits; the first carries the anytime questions.
        comparisons: size of the family that a claim must hold in, which the seeds still needed are planned for.
    """
    from searchbench import statistics as st

    if not left or not right:
        return ()
    metric = declared.measured((*left, *right))
    real = f"Is the difference in {metric.name} real?"
    a, b = as_arm(names[0], left, metric), as_arm(names[1], right, metric)
    common = [s for s in a.seeds if s in set(b.seeds)]
    if not common:
        return (ReportQuestion(real, st.pair_seeds(a.seeds, b.seeds)),)
    a, b = a.at(common), b.at(common)
    rope = None if declared.rope is None else declared.rope * metric.scale
    led: EstimandName = declared.estimand  # type: ignore[assignment]
    main = st.paired(a, b, alpha=declared.level, rope=rope, estimand=led)
    asked = [
        ReportQuestion(real, main),
        *_second_opinion(main, a, b, declared),
        ReportQuestion(
            "Are they practically the same?",
            st.tost(a, b, delta=rope or None, paired_by_seed=True, alpha=declared.level),
        ),
        *([ReportQuestion("Where does the difference lie?", _posterior(a, b, rope))] if rope else []),
        ReportQuestion(
            "How many more seeds would it take?", seeds_needed(a, b, declared, metric.scale, comparisons), claims=False
        ),
    ]
    if a.n_failed or b.n_failed:
        asked.append(ReportQuestion("Do they fail at different rates?", st.failure_rates(a, b, alpha=declared.level)))
    return (*asked, *_anytime(left, right, names, metric, declared, budget))


def _second_opinion(main: Answer, a: Arm, b: Arm, declared: Declared) -> list[ReportQuestion]:
    """The exact rank test beside the one that leads, and how often the one arm beats the other."""
    from searchbench.statistics.record import Answer, Effect

    p = main.get("wilcoxon_p")
    if p is None or main.effect is None or main.status == "refused" or declared.estimand == "rank":
        return []
    share, effect = main.get("A12"), float(main["rank_biserial"])
    same = (p < declared.level) == ((main.p or 1.0) < declared.level) and effect * main.get("lean", 0.0) >= 0
    word = "agrees" if same else "does not agree"
    lower = "" if share is None else f"; {a.name} is the lower of a pair with probability {1 - share:.2f}"
    flips = declared.estimand in ("mean", "iqm")
    led = f"the {'sign-flip' if flips else 'sign'} test of the {declared.estimand} at {declared.level:g}"
    said = f"Wilcoxon signed-rank (exact), p={p:.3g}: {word} with {led}{lower}"
    answer = Answer(
        method="Wilcoxon signed-rank", call="scipy.stats.wilcoxon", n=main.n, estimate=main.estimate, p=p,
        effect=Effect("rank-biserial", effect), wording=said,
    )  # fmt: skip
    return [ReportQuestion("Does a rank test agree?", answer)]


def _posterior(a: Arm, b: Arm, rope: float) -> Answer:
    from searchbench import statistics as st

    answer = st.rope(a, b, delta=rope, paired_by_seed=True)
    named = answer.wording.replace("a smaller", f"{a.name} is lower").replace("a larger", f"{b.name} is lower")
    return replace(answer, wording=named)


def seeds_needed(a: Arm, b: Arm, declared: Declared, scale: float, comparisons: int) -> Answer:
    """How many seeds until the planned difference is *called* better: in the family, by the estimand, past the rope."""
    import numpy as np

    from searchbench import statistics as st
    from searchbench.statistics.estimand import estimand

    d = a.values - b.values
    d = d[np.isfinite(d)]
    delta = declared.planned_for
    return st.more_seeds(
        delta=None if delta is None else delta * scale,
        rope=None if declared.rope is None else declared.rope * scale,
        sd=float(d.std(ddof=1)) if len(d) > 1 else 0.0,
        n_pilot=len(d),
        paired=True,
        alpha=declared.level,
        comparisons=comparisons,
        efficiency=estimand(declared.estimand).efficiency,
    )


def _anytime(
    left: Sequence[RunRecord],
    right: Sequence[RunRecord],
    names: tuple[str, str],
    metric: Metric,
    declared: Declared,
    budget: Sequence[str],
) -> list[ReportQuestion]:
    """The mean validation error over the whole budget, one number per run, compared in pairs.

    Asked of error rates alone, which are 100 % before the first result; of other numbers nothing is known by then.
    """
    from searchbench import statistics as st
    from searchbench.results.curves import CURVE_AXES

    axis = next((axis for axis in budget if axis in CURVE_AXES), None)
    runs = [run for run in (*left, *right) if run.ok and run.trials]
    rates = metric.share and metric.better == "lower" and undeclared(run.value for run in runs).share
    if axis is None or not runs or not rates:
        return []
    level = _levels(runs, axis)
    arms = [
        st.arm({run.replicate: level.get(run.run_id) for run in own}, name=name, better="lower")
        for own, name in ((left, names[0]), (right, names[1]))
    ]
    common = [s for s in arms[0].seeds if s in set(arms[1].seeds)]
    led: EstimandName = declared.estimand  # type: ignore[assignment]
    answer = st.paired(arms[0].at(common), arms[1].at(common), alpha=declared.level, estimand=led)
    question = f"Is one better on the way ({axis}, mean validation {metric.seen} over the budget)?"
    return [ReportQuestion(question, answer.with_caveats(EXPLORATORY))]  # no study declares it as what it compares


def _levels(runs: Sequence[RunRecord], axis: str) -> dict[str, float]:
    """Mean of each run's incumbent curve over the cost that all of them reached, in percent; 100 before the first."""
    import numpy as np

    from searchbench.results.curves import incumbent_curves

    curves = incumbent_curves([run.trials for run in runs], axis)
    end = float(np.nanmin(curves.ends)) if len(curves) else 0.0
    if not end > 0:
        return {}
    edges = np.unique(np.concatenate([[0.0], curves.spent[curves.spent < end], [end]]))
    heights = np.nan_to_num(curves.at(edges[:-1]), nan=1.0)
    means = heights @ np.diff(edges) / end
    return {run.run_id: PERCENT * float(mean) for run, mean in zip(runs, means, strict=True)}
