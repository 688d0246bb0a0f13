"""Random sampling in words: the mean draw, what searching adds to it, and what random search drew."""

from __future__ import annotations

from collections.abc import Sequence

from searchbench.reports.render.numbers import number, spread
from searchbench.reports.sampling import Sampled


def lines(found: Sequence[Sampled]) -> list[str]:
    """A few sentences for every strategy that draws and never selects."""
    return [line for each in found for line in _of(each)]


def _of(found: Sampled) -> list[str]:
    shares = bool(found.improvements)
    n = found.test_error.n
    said = [f"{found.strategy} draws and never selects: test error {spread(found.test_error, shares)} over {n} draws"]
    said[0] += _unit(shares)
    if found.improvements:
        each = "; ".join(f"{name}: {answer.wording}" for name, answer in found.improvements.items())
        said.append(f"relative improvement of accuracy over the mean draw of {found.strategy}: {each}")
    else:
        said.append("no relative improvement of accuracy: test errors are no shares here")
    for own in found.searched:
        if own.drawn.n:
            said.append(
                f"on validation the mean draw of {found.strategy} is {spread(found.value, shares)}, that of "
                f"{own.strategy} {spread(own.drawn, shares)}, the best of each of its runs "
                f"{number(own.best.mean, shares)}{_unit(shares)}"
            )
    return said


def _unit(shares: bool) -> str:
    return " (%)" if shares else ""
