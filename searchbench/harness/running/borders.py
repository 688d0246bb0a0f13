"""What plug-ins hand over, checked where it enters: measurements, charges, verdicts and errors.

Whatever is not what its kind promises becomes a failed trial or a failed verdict that says so. Nothing of it reaches
the ledger, the record or the store.
"""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Mapping
from numbers import Real
from operator import attrgetter
from typing import Any, cast, get_args

from searchbench.cost import COST_AXES, DETERMINISTIC_AXES, Cost
from searchbench.errors import EvaluationFailed, SearchbenchError, StudyError
from searchbench.trial import Measurement, Outcome, Status

STATUSES: tuple[Status, ...] = get_args(Status)
LONGEST = 20_000
"""Characters that are kept of an error; the middle of a longer one is left out."""
ROUNDING = 1e-9
_axes = attrgetter(*COST_AXES)
FORETOLD = tuple(axis for axis in DETERMINISTIC_AXES if axis != "simulated_s")
"""Axes on which a price is binding; seconds may be known afterwards only, and then end the budget by themselves."""
_foretold = attrgetter(*FORETOLD)


def checked_price(price: object) -> Cost:
    """A price before it is compared with the budget.

    Raises:
        StudyError: it is no `Cost`, or an axis is negative, NaN or infinite: no budget could hold with it.
    """
    wrong = _wrong(price)
    if wrong:
        raise StudyError(f"an estimator's price must be a Cost of finite amounts of at least 0, but {wrong}.")
    return cast(Cost, price)


def checked_measurement(measurement: object, cost: object, price: Cost) -> tuple[float, Mapping[str, float], Cost]:
    """Value, metrics and charge of an evaluation.

    Raises:
        EvaluationFailed: the value is NaN or no number, a metric is none, or the charge is no charge or exceeds the
            price that the estimator named before.
    """
    if not isinstance(measurement, Measurement):
        raise EvaluationFailed(
            "error", f"an estimator must return a Measurement, but it returned {_brief(measurement)}."
        )
    if cost is not price:
        _check_charge(cost, price)
    value = number(measurement.value, "the validation value")
    if not math.isfinite(value):
        raise EvaluationFailed("nan", f"the validation value is {value}")
    return value, numbers(measurement.metrics, "a metric"), cast(Cost, cost)


def _check_charge(cost: object, price: Cost) -> None:
    wrong = _wrong(cost)
    if wrong:
        raise EvaluationFailed("error", f"a charge must be a Cost of finite amounts of at least 0, but {wrong}.")
    for axis, charged, named in zip(FORETOLD, _foretold(cost), _foretold(price), strict=True):
        if charged > named * (1 + ROUNDING):
            raise EvaluationFailed(
                "error",
                f"the estimator charges {charged:g} on `{axis}`, more than the {named:g} of its own price, so that the "
                "budget could not have been kept.",
            )


def checked_outcome(outcome: object) -> Outcome:
    """A judge's verdict; a failed one where what it returned is none."""
    try:
        if not isinstance(outcome, Outcome):
            raise EvaluationFailed("error", f"a judge must return an Outcome, but it returned {_brief(outcome)}.")
        if outcome.status not in STATUSES:
            raise EvaluationFailed("error", f"an outcome's `status` is {_brief(outcome.status)}.")
        wrong = _wrong(outcome.cost)
        if wrong:
            raise EvaluationFailed(
                "error", f"a judge's cost must be a Cost of finite amounts of at least 0, but {wrong}."
            )
        error, metrics = number(outcome.test_error, "the test value"), numbers(outcome.metrics, "a metric")
        if outcome.status == "ok" and not math.isfinite(error):
            raise EvaluationFailed("nan", f"the test value is {error}")
    except EvaluationFailed as failure:
        return Outcome(cast(Status, failure.reason), math.nan, error=failure.message)
    told = None if outcome.error is None else text(str(outcome.error))
    return Outcome(outcome.status, error, metrics, outcome.cost, told)


def number(value: object, what: str) -> float:
    """A number as a float, whichever library's it is. Raises EvaluationFailed for anything else."""
    try:
        plain: Any = cast(Any, value).item()  # NumPy's and torch's scalars
    except Exception:
        plain = value
    if not isinstance(plain, Real):
        raise EvaluationFailed("error", f"{what} must be a number, but it is {_brief(value)}.")
    try:
        return float(plain)
    except OverflowError:
        raise EvaluationFailed("error", f"{what} is an integer too large for a float.") from None


def numbers(given: object, what: str) -> Mapping[str, float]:
    """Numbers by name; the mapping itself where all are floats already. Raises EvaluationFailed."""
    if not isinstance(given, Mapping):
        raise EvaluationFailed("error", f"metrics must be a mapping of names to numbers, but they are {_brief(given)}.")
    if all(type(name) is str and name.isascii() and type(value) is float for name, value in given.items()):
        return given
    return {_metric_name(name): number(value, f"{what}, `{name}`,") for name, value in given.items()}


def _metric_name(name: object) -> str:
    if not isinstance(name, str) or text(name) != name:
        raise EvaluationFailed("error", f"the name of a metric must be a text, but it is {_brief(name)}.")
    return name


def failure(error: BaseException) -> tuple[Status, str]:
    """What an evaluation that raised is recorded as."""
    if isinstance(error, EvaluationFailed):
        status = error.reason if error.reason in STATUSES and error.reason != "ok" else "error"
        return cast(Status, status), text(str(error.message))
    if isinstance(error, MemoryError):
        return "memory", told(error) if str(error) else "out of memory"
    return "error", text("".join(traceback.format_exception(error)).strip())


def told(error: BaseException) -> str:
    """A traceback; the message before it where the package itself says clearly what is wrong."""
    lines = "".join(traceback.format_exception(error)).strip()
    return text(f"{error}\n\n{lines}" if isinstance(error, SearchbenchError) else lines)


def text(given: str) -> str:
    """A text that can be written down and is no book: halves of pairs of code units escaped, its middle left out."""
    if len(given) > LONGEST:
        half = LONGEST // 2
        given = f"{given[:half]}\n… {len(given) - LONGEST:,} characters left out …\n{given[-half:]}"
    return given.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _wrong(cost: object) -> str:
    """What is wrong with a cost, or ""."""
    if not isinstance(cost, Cost):
        return f"it is {_brief(cost)}"
    for axis, amount in zip(COST_AXES, _axes(cost), strict=True):
        real = type(amount) is float or isinstance(amount, Real)  # asking an abstract class takes a microsecond
        if not real or not 0 <= cast(float, amount) <= sys.float_info.max:
            return f"`{axis}` is {_brief(amount)}"
    return ""


def _brief(value: Any) -> str:
    """A value in an error message: its type, and what it prints where that is short and can be printed."""
    try:
        shown = repr(value)
    except Exception:
        shown = ""
    return f"{shown} ({type(value).__name__})" if 0 < len(shown) <= 80 else f"a {type(value).__name__}"
