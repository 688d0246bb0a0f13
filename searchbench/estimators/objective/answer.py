"""What an objective answers: a number, or a mapping of names to numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from searchbench.errors import EvaluationFailed
from searchbench.metric import Metric

TEST = "test"
"""Of an answer, for the judge only: no search ever sees it."""
USUAL = ("loss", "value", "score")
"""Names under which the number is looked for where the metric's own is not there."""


class NoNumber(EvaluationFailed):
    """The answer is no number, which it will never be."""

    def __init__(self, message: str) -> None:
        super().__init__("error", message)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, read."""

    value: float
    """In its own sense: of an accuracy, more is better."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    test: float | None = None


def read(given: Any, metric: Metric) -> Answer:
    """The answer an objective gave.

    Raises:
        NoNumber: it is neither a number nor a mapping of names to numbers that holds the metric's.
    """
    if type(given) is float:  # nearly always, and asked thousands of times a second
        return Answer(given)
    if not isinstance(given, Mapping):
        return Answer(_number(given, "it"))
    numbers = {str(name): _number(value, f"`{name}`") for name, value in given.items()}
    wanted = (metric.name, metric.key, *USUAL)
    name = next((name for name in wanted if name in numbers), None)
    if name is None:
        said = ", ".join(f"`{name}`" for name in numbers) or "nothing"
        raise NoNumber(f"it answers {said}, but not `{metric.name}`; name one of them so, or `loss`.")
    test = numbers.get(TEST)
    return Answer(numbers[name], {n: v for n, v in numbers.items() if n not in (name, TEST)}, test)


def _number(given: Any, what: str) -> float:
    if isinstance(given, bool) or not isinstance(given, Real):
        scalar = getattr(given, "item", None)  # of NumPy or PyTorch
        if scalar is None or getattr(given, "ndim", None) != 0 or isinstance(scalar(), bool | str | bytes):
            shown = repr(given)
            raise NoNumber(
                f"{what} must be a number, but is {shown if len(shown) < 80 else shown[:77] + '…'} "
                f"({type(given).__name__}); return a number, or numbers by name.",
            )
        given = scalar()
    try:
        return float(given)
    except OverflowError:
        raise NoNumber(f"{what} is a whole number too large for any float.") from None
