"""The summary in words: which differences are real, which are not, and what it would take to know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from searchbench.metric import Metric
from searchbench.reports.leaderboard import Block, Leaderboard
from searchbench.reports.questions import seeds_needed
from searchbench.reports.render.numbers import budget, clipped, signed
from searchbench.reports.rows import Row
from searchbench.reports.standing import MAX_FAILED_SHARE
from searchbench.statistics.record import marked

if TYPE_CHECKING:
    from searchbench.statistics import Answer

NAMED = 8


def summary(board: Leaderboard) -> list[tuple[str, list[str]]]:
    """Sentences about each comparable block, by problem."""
    return [(block.problem, sentences(block)) for block in board.blocks if block.ranked or block.withheld]


def sentences(block: Block) -> list[str]:
    """Sentences from what was run to what is established, what is not, and what would be needed."""
    total = sum(row.total for row in block.rows)
    searches = max((row.total for row in block.rows), default=0)
    said = [
        f"{len(block.rows)} strategies on {block.problem}, up to {searches} independent searches each, "
        f"under {budget(block.budget)}."
    ]
    said += [f"{caveat}." for caveat in block.caveats if caveat.kind not in ("refused", "incomplete")]
    if block.withheld:
        said.append(f"Nothing is ranked: {block.withheld}.")
    elif any(row.standing.ranks for row in block.rows):
        said += [marked(claim, block.verdicts.kinds) for claim in (*_against_baseline(block), _top(block))]
        said += _open_questions(block)
    failed = sum(row.total - row.n for row in block.rows)
    if failed:
        worst = max(block.rows, key=lambda row: row.total - row.n)
        said.append(
            f"{failed} of {total} runs gave no {block.verdicts.metric.name} (most: {named(worst.strategy)}, "
            f"{worst.total - worst.n} of {worst.total}); tests rank them worst."
        )
    failing = [row.strategy for row in block.rows if row.total and row.failed_share > MAX_FAILED_SHARE]
    if failing:
        said.append(f"Not ranked, because more than a fifth of its runs failed: {_list(map(named, failing))}.")
    if block.missing:
        said.append(f"{block.missing} planned runs are not recorded yet.")
    return said


def headline(block: Block) -> str:
    """One sentence that says what was found on a problem, its caveats first."""
    return _finding(block) if block.withheld else marked(_finding(block), block.verdicts.kinds)


def headlines(board: Leaderboard) -> list[tuple[str, str]]:
    """The headline of each comparable block, by problem."""
    return [(block.problem, headline(block)) for block in board.blocks if block.ranked or block.withheld]


def _finding(block: Block) -> str:
    if block.withheld:
        return f"Nothing is ranked: {block.withheld}."
    ranked = [row for row in block.rows if row.standing.ranks]
    if not ranked:
        return _nothing_ranked(block)
    if block.verdicts.versus is not None and not any(row.standing.verdict == "better" for row in block.rows):
        return _nobody_better(block)
    top = [row.strategy for row in block.rows if row.standing.top]
    if not top:
        return f"No strategy was shown to be better than another at this budget, in {_seeds(block)}."
    if len(top) > NAMED:
        return f"{len(top)} of {len(ranked)} strategies share the top and are not told apart, in {_seeds(block)}."
    if len(top) > 1:
        return f"{_list(map(named, top))} are best and not told apart, in {_seeds(block)}."
    others = "every other" if len(ranked) == len(block.rows) else "every other ranked"
    return f"{named(top[0])} is best: it was shown to be better than {others} strategy, in {_seeds(block)}."


def _nothing_ranked(block: Block) -> str:
    judged = [row for row in block.rows if row.n]
    if len(judged) == 1:
        only = f"{named(judged[0].strategy)} has results ({_error(judged[0], block)})"
        return f"Only {only}: there is nothing to compare with."
    if not judged:
        return f"No run gave {block.verdicts.metric.with_article} yet."
    reason = next(iter(block.verdicts.notes), "no tests were done")
    return f"Nothing can be ranked: {reason}."


def _nobody_better(block: Block) -> str:
    baseline = named(str(block.verdicts.declared.baseline))
    asked = [row.standing for row in block.rows if row.standing.versus is not None]
    if asked and all(at.verdict == "refused" for at in asked):
        why = next((at.versus.refusal_reason or at.versus.wording for at in asked if at.versus is not None), "")
        return f"Whether any strategy beats {baseline} cannot be said: {why}."
    said = f"No strategy was shown to beat {baseline} at this budget, in {_seeds(block)}"
    worse = [row.strategy for row in block.rows if row.standing.verdict == "worse"]
    if worse:
        said += f"; {_list(map(named, worse))} did worse"
    needs = [answer.estimate for _, answer in _needed(block) if answer.estimate is not None]
    if needs and max(needs) > len(block.verdicts.arms[0].seeds):
        said += f"; {max(needs):.0f} pairs would be needed to see a difference of {_planned(block)}"
    return f"{said}."


def _seeds(block: Block) -> str:
    pairs = len(block.verdicts.arms[0].seeds)
    return f"{pairs} paired seed{'' if pairs == 1 else 's'}"


def _planned(block: Block) -> str:
    declared, short = block.verdicts.declared, block.verdicts.metric.short_difference_unit
    return f"{(declared.planned_for or 0.0) * block.verdicts.metric.scale:g}{f' {short}' if short else ''}"


def _needed(block: Block) -> list[tuple[Row, Answer]]:
    """How many pairs it would take, for each strategy that there is no evidence about."""
    verdicts, declared = block.verdicts, block.verdicts.declared
    rows = [row for row in block.rows if row.standing.verdict == "no evidence"]
    if declared.baseline is None or not declared.planned_for:
        return []
    arms = {arm.name: arm for arm in verdicts.arms}
    m = verdicts.family.answers[0].family_size if verdicts.family is not None else 1
    baseline = arms[declared.baseline]
    return [(row, seeds_needed(arms[row.strategy], baseline, declared, verdicts.metric.scale, m)) for row in rows]


def _top(block: Block) -> str:
    top = [row for row in block.rows if row.standing.top]
    family = f"Over {block.verdicts.tested}"
    if not any(row.standing.ranks and row.standing.ranks[0] > 1 for row in block.rows):
        return f"{family}, no strategy was shown to be better than another, so no rank is narrower than all."
    if len(top) == 1 and all(row is top[0] or (row.standing.ranks or (2, 2))[0] > 1 for row in block.rows):
        return (
            f"{family}, {named(top[0].strategy)} was shown to be better than every other strategy "
            f"({_error(top[0], block)})."
        )
    group = _list(f"{named(row.strategy)} ({_error(row, block)})" for row in top)
    return (
        f"{family}, the top group is {group}: nothing was shown to beat any of them, and they were not all told apart."
    )


def _error(row: Row, block: Block) -> str:
    metric, scale = block.verdicts.metric, block.verdicts.scale
    return metric.with_unit(metric.number(scale * row.test_error.mean, scale * row.test_error.std))


def _against_baseline(block: Block) -> list[str]:
    baseline = named(str(block.verdicts.declared.baseline))
    if block.verdicts.versus is None:
        return [*(f"{note[:1].upper()}{note[1:]}." for note in block.verdicts.notes)]
    metric = block.verdicts.metric
    said = []
    for verdict, opening in (("better", "Better than"), ("worse", "Worse than")):
        rows = [row for row in block.rows if row.standing.verdict == verdict]
        if rows:
            said.append(f"{opening} {baseline} (the baseline): {_list(_difference(row, metric) for row in rows)}.")
    none = [row.strategy for row in block.rows if row.standing.verdict == "no evidence"]
    if none:
        said.append(f"No evidence of a difference from {baseline}: {_list(map(named, none))}.")
    refused = [row for row in block.rows if row.standing.verdict == "refused" and row.standing.versus is not None]
    if refused:
        why = dict.fromkeys(row.standing.versus.refusal_reason or row.standing.versus.wording for row in refused
                            if row.standing.versus is not None)  # fmt: skip
        untested = _list(named(row.strategy) for row in refused)
        said.append(f"Not tested against {baseline}: {untested}; {'; '.join(why)}.")
    return said


def _difference(row: Row, metric: Metric) -> str:
    answer = row.standing.versus
    if answer is None or answer.estimate is None:
        return named(row.strategy)
    unit = f" {metric.short_difference_unit}" if metric.short_difference_unit else ""
    if answer.interval is None:
        return f"{named(row.strategy)} ({signed(answer.estimate, metric)}{unit})"
    low, high = answer.interval.low, answer.interval.high
    middle, left, right = (signed(value, metric, (high - low) / 4) for value in (answer.estimate, low, high))
    return f"{named(row.strategy)} ({middle} [{left}, {right}]{unit})"


def _open_questions(block: Block) -> list[str]:
    """What it would take to know where there is no evidence."""
    verdicts, declared = block.verdicts, block.verdicts.declared
    rows = [row for row in block.rows if row.standing.verdict == "no evidence"]
    if not rows or declared.baseline is None:
        return []
    if not declared.planned_for:
        return [
            "What it would take to know cannot be said: no difference that matters was declared ([comparison] rope)."
        ]
    m = verdicts.family.answers[0].family_size if verdicts.family is not None else 1
    said = [f"{named(row.strategy)}: {answer.wording}" for row, answer in _needed(block)]
    what = "the declared one" if declared.effect else "twice the declared rope"
    claim = f"in this family of {m}" + ("" if declared.rope is None else " and beyond the rope")
    return [
        f"To see a difference of {_planned(block)} ({what}) with 80 % power, that "
        f"is to call it better {claim}: {'; '.join(said)}."
    ]


def named(label: str) -> str:
    """A label in a sentence: in quotation marks where its own words or marks would read as the sentence's."""
    text = clipped(label, 80)
    return f"“{text}”" if _READS_ON.search(text) else text


_READS_ON = re.compile(r"[,;:.]\s|\b(?:and|or|is|are|was|than|not|best|better|worse|with|without|the|no)\b", re.I)


def _list(names: Iterable[str]) -> str:
    """Names, or what is said under them, as one enumeration."""
    found: Sequence[str] = list(names)
    if len(found) > NAMED:
        found = [*found[:NAMED], f"{len(found) - NAMED} more"]
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
