"""Random sampling in words: the mean draw, what searching adds to it, and what random search drew."""

from __future__ import annotations

from collections.abc import Sequence

from searchbench.metric import Metric
from searchbench.reports.render.numbers import number, spread
from searchbench.reports.sampling import Sampled


def lines(found: Sequence[Sampled]) -> list[str]:
    """A few sentences for every strategy that draws and never selects."""
    return [line for each in found for line in _of(each)]


def _of(found: Sampled) -> list[str]:
    metric = found.metric
    n = found.test_error.n
    said = [
        f"{found.strategy} draws and never selects: {metric.name} {spread(found.test_error, metric)} over {n} draws"
    ]
    said[0] += _unit(metric)
    if found.improvements:
        each = "; ".join(f"{name}: {answer.wording}" for name, answer in found.improvements.items())
        said.append(f"relative improvement of accuracy over the mean draw of {found.strategy}: {each}")
    else:
        said.append(f"no relative improvement of accuracy: {metric.name} is no error rate here")
    for own in found.searched:
        if own.drawn.n:
            said.append(
                f"on validation the mean draw of {found.strategy} is {spread(found.value, metric)}, that of "
                f"{own.strategy} {spread(own.drawn, metric)}, the best of each of its runs "
                f"{number(own.best.mean, metric)}{_unit(metric)}"
            )
    return said


def _unit(metric: Metric) -> str:
    return f" ({metric.shown_unit})" if metric.shown_unit else ""
