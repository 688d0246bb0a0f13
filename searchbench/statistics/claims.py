"""Which words a comparison has earned.

"better" needs an adjusted p below alpha *and* an effect above the declared region of practical equivalence;
"equivalent" is only ever said by `equivalence`; everything else is "no evidence of difference", with what
difference would have been seen.
"""

from __future__ import annotations

from dataclasses import replace

from searchbench.statistics.arms import Better
from searchbench.statistics.record import Answer

VERDICTS = ("a", "b", "none")


def significant(answer: Answer, alpha: float) -> bool:
    """Whether the p that counts (adjusted, in a family) is below alpha."""
    p = answer.p if answer.p_adj is None else answer.p_adj
    return p is not None and p < alpha and answer.status not in ("refused", "degenerate", "undefined")


def sensitivity(p_worst: float, p_completed: float, same_side: bool, alpha: float) -> str:
    """Whether ranking failures worst and looking at completed runs only lead to one conclusion."""
    both = (p_worst < alpha) == (p_completed < alpha)
    return "agrees" if both and (p_completed >= alpha or same_side) else "disagrees"


def winner(answer: Answer, *, better: Better | None, alpha: float, rope: float | None) -> str:
    """ "a", "b" or "none": who may be called better. Without a metric direction nobody may."""
    if better is None or not significant(answer, alpha) or answer.get("sensitivity") == "disagrees":
        return "none"
    lean = _lean(answer)
    if answer.estimate is not None and answer.estimate * lean < 0:
        return "none"  # ranks and means point apart: neither may be claimed
    if lean == 0 or (rope is not None and (answer.estimate is None or abs(answer.estimate) <= rope)):
        return "none"
    return "a" if (lean > 0) == (better == "higher") else "b"


def _lean(answer: Answer) -> float:
    """Which way the *test* points, in raw units of a - b; it can differ from the mean's sign."""
    lean: float | None = answer.get("lean")
    if lean is not None:
        return lean
    return 0.0 if answer.estimate is None else answer.estimate


def with_claim(answer: Answer, a: str, b: str, *, better: Better | None, alpha: float, rope: float | None) -> Answer:
    """The same answer, worded: `a` against `b`, estimate = a - b in raw units."""
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
    elif significant(answer, alpha) and rope is None:
        text = f"{a} and {b} differ, but ranks and means do not point the same way: {numbers}"
    elif significant(answer, alpha):
        text = f"{a} and {b} differ by no more than the declared {rope:g}: {numbers}"
    else:
        text = f"no evidence of difference between {a} and {b}: {numbers}{_detectable(answer)}"
    notes = answer.warnings if answer.status == "incomplete" else ()
    return replace(answer, wording="; ".join((text, *notes)))


def _numbers(answer: Answer) -> str:
    parts = []
    if answer.estimate is not None:
        text = f"difference {answer.estimate:.4g}"
        if answer.interval is not None:
            text += f" {100 * answer.interval.level:g}% CI {answer.interval}"
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


def _detectable(answer: Answer) -> str:
    size = answer.get("detectable")
    return "" if size is None else f"; a difference of {size:.3g} would be seen with 80 % power"
