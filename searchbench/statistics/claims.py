"""Which words a comparison has earned.

"better" needs an adjusted p below alpha *and* an effect above the declared region of practical equivalence;
"equivalent" is only ever said by `equivalence`; everything else is "no evidence of difference", with what
difference would have been seen.
"""

from __future__ import annotations

import math
from dataclasses import replace

from searchbench.statistics.arms import Better
from searchbench.statistics.estimand import ESTIMANDS
from searchbench.statistics.power import detectable_in
from searchbench.statistics.record import Answer, Interval


def significant(answer: Answer, alpha: float) -> bool:
    """Whether the p that counts (adjusted, in a family) is below alpha."""
    p = answer.p if answer.p_adj is None else answer.p_adj
    return p is not None and p < alpha and answer.status not in ("refused", "degenerate", "undefined")


def sensitivity(p_worst: float, p_completed: float, same_side: bool, alpha: float) -> str:
    """Whether ranking failures worst and looking at completed runs only lead to one conclusion."""
    both = (p_worst < alpha) == (p_completed < alpha)
    return "agrees" if both and (p_completed >= alpha or same_side) else "disagrees"


def winner(answer: Answer, *, better: Better | None, alpha: float, rope: float | None) -> str:
    """ "a", "b" or "none": who may be called better. Without a metric direction nobody may.

    The statistic behind p decides the side; an estimate on the other side, or none, or one within the rope, ends the
    claim, and so does a conclusion that changes with the treatment of failures.
    """
    if better is None or not significant(answer, alpha) or answer.get("sensitivity") == "disagrees":
        return "none"
    lean = leaning(answer)
    if lean == 0 or (answer.estimate is None and answer.code == "too_many_failures"):
        return "none"
    if answer.estimate is not None and answer.estimate * lean <= 0:
        return "none"
    if rope is not None and (answer.estimate is None or abs(answer.estimate) <= rope):
        return "none"
    return "a" if (lean > 0) == (better == "higher") else "b"


def established(answer: Answer | None, *, alpha: float, rope: float | None = None) -> bool:
    """Whether an effect is shown, by the rule that lets an arm be called better; its sign says which way."""
    return answer is not None and winner(answer, better="lower", alpha=alpha, rope=rope) != "none"


def leaning(answer: Answer) -> float:
    """Which way the test points, in raw units of a - b."""
    lean: float | None = answer.get("lean")
    if lean is not None:
        return lean
    return 0.0 if answer.estimate is None else answer.estimate


def with_claim(answer: Answer, a: str, b: str, *, better: Better | None, alpha: float, rope: float | None) -> Answer:
    """The answer, worded: `a` against `b`, estimate = a - b in raw units."""
    if answer.status in ("refused", "degenerate", "undefined"):
        return answer
    numbers = _numbers(answer)
    who = winner(answer, better=better, alpha=alpha, rope=rope)
    if who != "none":
        first, second = (a, b) if who == "a" else (b, a)
        text = f"{first} is better than {second}: {numbers}"
    elif answer.get("sensitivity") == "disagrees":
        text = (
            f"no claim about {a} and {b}: with failures ranked worst and with completed runs only the "
            f"conclusions differ ({numbers})"
        )
    elif significant(answer, alpha) and better is None:
        text = f"{a} and {b} differ, but no metric direction says which is better: {numbers}"
    elif significant(answer, alpha) and answer.code == "too_many_failures":
        text = f"no claim about {a} and {b}: {answer.refusal_reason} ({numbers})"
    elif significant(answer, alpha) and (rope is None or answer.estimate is None or abs(answer.estimate) > rope):
        text = f"{a} and {b} differ, but ranks and means do not point the same way: {numbers}"
    elif significant(answer, alpha):
        text = f"{a} and {b} differ by no more than the declared {rope:g}: {numbers}"
    else:
        text = f"no evidence of difference between {a} and {b}: {numbers}{_detectable(answer, alpha)}"
    beside = [note for note in (answer.get("opposed"),) if note]
    notes = answer.warnings if answer.status == "incomplete" else ()
    return replace(answer, wording="; ".join((text, *beside, *notes)))


def said_interval(interval: Interval) -> str:
    """ "95% CI [0.1, 0.3]", with how many hold jointly."""
    joint = f" jointly over {interval.joint}" if interval.joint > 1 else ""
    return f"{100 * interval.level:g}% CI {interval}{joint}"


def _numbers(answer: Answer) -> str:
    parts = []
    if answer.estimate is not None:
        text = f"difference {answer.estimate:.4g}"
        if answer.interval is not None:
            text += f" {said_interval(answer.interval)}"
        parts.append(text)
    if answer.p_adj is not None:
        parts.append(f"adjusted p={answer.p_adj:.3g} in a family of {answer.family_size}")
    elif answer.p is not None:
        parts.append(f"p={answer.p:.3g}")
    if answer.effect is not None:
        word = f" ({answer.effect.magnitude})" if answer.effect.magnitude else ""
        parts.append(f"{answer.effect.name} {answer.effect.value:.2f}{word}")
    parts.append(str(answer.get("said_n") or f"n={answer.n}"))
    return ", ".join(parts)


def _detectable(answer: Answer, alpha: float) -> str:
    size = answer.get("detectable")
    if size is None and "sd" in answer and answer["sd"] > 0:
        m = max(answer.family_size, answer.get("comparisons", 1))
        multiple = detectable_in(answer.n, alpha=alpha / m, rope=_share(answer))
        led = ESTIMANDS[answer.get("estimand", "mean")]
        size = None if multiple is None else multiple * answer["sd"] / math.sqrt(led.efficiency)
    return "" if size is None else f"; a difference of {size:.3g} would be seen with 80 % power"


def _share(answer: Answer) -> float:
    """The rope in standard deviations, to two digits: the power changes slowly with it."""
    rope = answer.get("rope")
    return float(f"{rope / answer['sd']:.2g}") if rope else 0.0
