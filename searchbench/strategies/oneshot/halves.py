"""Any training of a supernet with any ask/tell strategy as its second half, as a study file writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from searchbench.errors import StudyError
from searchbench.strategies.oneshot.bounded import Bounded
from searchbench.strategies.oneshot.composition import OneShot, Recalibration

BATCH = "batch"
"""For `recalibrate`: batch norms use the statistics of the very batch that is classified."""


def shared_weights(
    training: Any = "spos",
    finder: Any = "regularized-evolution",
    scores: int | None = None,
    recalibrate: int | str | None = None,
) -> OneShot:
    """Train a supernet as one method does, and search it by any ask/tell strategy over inherited weights.

    ``use = "shared-weights", training = { use = "fairnas", epochs = 9 }, finder = { use = "optuna:tpe" }, scores = 99``

    Args:
        training: a one-shot strategy, by name, as `Use` or itself; its own second half is replaced.
        finder: an ask/tell strategy, likewise: `regularized-evolution`, `nsga2`, `optuna:tpe`, `random`,
            `stratified-sample` …
        scores: how many paths are scored; None: until the finder or the budget ends.
        recalibrate: training batches before every score; 0 keeps the supernet's own statistics, "batch" takes those of
            the batch that is classified; None: as the training's method has it.

    Raises:
        StudyError: the training is no one-shot strategy, the finder trains a supernet itself, or a value is out of
            range.

    Source: the decomposition of Guo et al. 2020: supernet training and architecture search are two steps.
    Differs: nothing.
    """
    first, second = _strategy(training), _strategy(finder)
    if not isinstance(first, OneShot):
        raise StudyError(f"`training` must be a one-shot strategy such as spos or fairnas, but got {training!r}.")
    if isinstance(second, OneShot) or not callable(getattr(second, "start", None)):
        raise StudyError(f"`finder` must be an ask/tell strategy such as random or nsga2, but got {finder!r}.")
    if isinstance(recalibrate, str) and recalibrate != BATCH:
        raise StudyError(f'`recalibrate` must be a number of batches or "{BATCH}", but got {recalibrate!r}.')
    how = first.recalibration
    if recalibrate is not None:
        how = Recalibration(None if isinstance(recalibrate, str) else recalibrate, how.batch_size)
    return replace(first, finder=second if scores is None else Bounded(second, scores), recalibration=how)


def _strategy(given: Any) -> Any:
    """A strategy by name with its defaults, or itself."""
    from searchbench.strategies import STRATEGIES

    return STRATEGIES.factory(given)() if isinstance(given, str) else given
