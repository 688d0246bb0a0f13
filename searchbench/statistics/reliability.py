"""How often an arm completes, and whether two arms differ in it. Failures are data."""

from __future__ import annotations

import scipy

from searchbench.errors import StatisticsError
from searchbench.statistics.arms import Arm
from searchbench.statistics.record import Answer, Effect, Interval, facts


def wilson(successes: int, n: int, *, level: float = 0.95) -> Answer:
    """A proportion with its Wilson interval.

    Raises:
        StatisticsError: not 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise StatisticsError(f"a proportion needs 0 <= successes <= n, but got {successes} of {n}")
    call = 'proportion_confint(method="wilson")'
    if n == 0:
        return Answer(method="Wilson interval", call=call, n=0, status="undefined", code="no_runs", wording="no runs")
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    interval = Interval(float(low), float(high), level, "Wilson")
    return Answer(
        method="Wilson interval",
        call=call,
        n=n,
        estimate=successes / n,
        interval=interval,
        wording=f"{successes}/{n} ({100 * level:g}% CI {100 * low:.0f} to {100 * high:.0f} %)",
        facts=facts(successes=successes),
    )


def completion(arm: Arm, *, level: float = 0.95) -> Answer:
    """Share of runs that completed, infrastructure losses set aside: `completed 27/30`."""
    answer = wilson(arm.n_ok, arm.n - arm.n_infra, level=level)
    text = f"completed {answer.wording}" if arm.n > arm.n_infra else "no run has finished yet"
    if arm.n_infra:
        text += f"; {arm.n_infra} lost to infrastructure, to be rerun with the same seeds"
    return Answer(
        method=answer.method,
        call=answer.call,
        n=answer.n,
        n_failed=arm.n_failed,
        estimate=answer.estimate,
        interval=answer.interval,
        status="incomplete" if arm.n_infra else answer.status,
        code="infra_pending" if arm.n_infra else answer.code,
        wording=text,
    )


def failure_rates(a: Arm, b: Arm, *, alpha: float = 0.05) -> Answer:
    """Fisher's exact test on failed against completed runs of two arms."""
    table = [[a.n_failed, a.n_ok], [b.n_failed, b.n_ok]]
    sizes = [sum(row) for row in table]
    method, call = "Fisher exact test on failure rates", "scipy.stats.fisher_exact"
    if min(sizes) == 0:
        return Answer(
            method=method, call=call, n=sum(sizes), status="undefined", code="no_runs",
            wording="an arm has no finished run",
        )  # fmt: skip
    p = min(1.0, float(scipy.stats.fisher_exact(table).pvalue))
    rates = [row[0] / size for row, size in zip(table, sizes, strict=True)]
    said = f"{a.name} failed {table[0][0]}/{sizes[0]}, {b.name} {table[1][0]}/{sizes[1]} (Fisher p={p:.3g})"
    tail = "" if p < alpha else "; no evidence that they fail at different rates"
    return Answer(
        method=method,
        call=call,
        n=sum(sizes),
        n_failed=table[0][0] + table[1][0],
        estimate=rates[0] - rates[1],
        effect=Effect("risk difference", rates[0] - rates[1]),
        p=p,
        wording=said + tail,
        facts=facts(table=table, rate_a=rates[0], rate_b=rates[1]),
    )
