"""The grid that DARTS-PRIME was taken apart by: schedule x proximity x ADMM x clipping, each cell a composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from searchbench.errors import StudyError, did_you_mean
from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.papers import darts, with_clipping
from searchbench.strategies.differentiable.regularise import Admm, Proximity, Regulariser
from searchbench.strategies.differentiable.schedule import Constant, FisherInformed, Schedule
from searchbench.strategies.differentiable.turn import Phase

SCHEDULES = ("alternate", "constant", "fisher")
SPARSE_RATIO = 10.0
"""How the training split is divided where the architecture moves on about every tenth minibatch only."""


def darts_grid(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    ratio: float | None = None,
    schedule: str = "alternate",
    proximity: float = 0.0,
    admm: float = 0.0,
    clipped: bool = False,
) -> Differentiable:
    """One cell of DARTS-PRIME's grid: first-order DARTS with any of its schedules, regularisers and CRB.

    Args:
        epochs, batch_size, lr, alpha_lr, ratio: see `darts`; `ratio` is 10 by default where the schedule is sparse.
        order: see `darts`, of the schedule "alternate"; the others move the architecture first.
        schedule: "alternate", "constant" (CS10) or "fisher" (FIMT).
        proximity: rho of PR at the end; 0: none.
        admm: rho of ADMM; 0: none.
        clipped: with `with_clipping` (CRB).

    Raises:
        StudyError: an unknown schedule, or a strength below 0.

    Source: Maile, Lecarpentier, Luga & Wilson 2021, "DARTS-PRIME", its ablation.
    Differs: as `darts_cs`, `darts_fimt`, `darts_pr` and `darts_admm` do.
    """
    if schedule not in SCHEDULES:
        raise StudyError(f"unknown `schedule` {schedule!r}; {did_you_mean(str(schedule), SCHEDULES)}")
    if proximity < 0 or admm < 0:
        raise StudyError(f"`proximity` and `admm` must not be negative, but got {proximity} and {admm}.")
    if schedule != "alternate" and ratio is None:
        ratio = SPARSE_RATIO
    found = darts(epochs, batch_size, lr, alpha_lr, order, ratio)
    sparse: dict[str, Schedule] = {"constant": Constant(), "fisher": FisherInformed()}
    regularise: tuple[Regulariser, ...] = (Proximity(proximity),) if proximity else ()
    regularise += (Admm(admm),) if admm else ()
    found = replace(found, schedule=sparse.get(schedule, found.schedule), regularise=regularise)
    return with_clipping(found) if clipped else found
