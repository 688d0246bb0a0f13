"""DARTS-PRIME and what it was taken apart into: schedules, regularisers and clipping on first-order DARTS, one by one
and as a grid in which each cell is a composition.
"""

from __future__ import annotations

from dataclasses import replace

from searchbench.errors import StudyError, did_you_mean
from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.extras import NodeNorm
from searchbench.strategies.differentiable.pace import LEAST_STEPS
from searchbench.strategies.differentiable.papers import on_darts
from searchbench.strategies.differentiable.prune import Monotone
from searchbench.strategies.differentiable.regularise import Admm, Proximity, Regulariser
from searchbench.strategies.differentiable.relaxation import ClippedLinear
from searchbench.strategies.differentiable.schedule import Constant, FisherInformed, Schedule
from searchbench.strategies.differentiable.split import Ratio, TaskSplit

SCHEDULES = ("alternate", "constant", "fisher")
STEPS = {"constant": 3_550, "fisher": 3_232}
"""Of the logits, in the paper's searches with the sparse schedules."""
SPARSE_RATIO = 10.0
"""How the training split is divided where the architecture moves on about every tenth minibatch only."""


@on_darts("ratio", ratio=10, over=STEPS["constant"])
def darts_cs(host: Differentiable, every: int | None = None, clipped: bool = False) -> Differentiable:
    """DARTS + CS(k): the architecture moves on every k-th minibatch only.

    Args:
        every: k. None: the paper's 10, fewer in a search too short for `LEAST_STEPS` steps of the logits.
        clipped: with `with_clipping` (CRB).

    Source: Maile, Lecarpentier, Luga & Wilson 2021, "DARTS-PRIME", constant schedule.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, but the
        architecture moves first.
    """
    found = replace(host, schedule=Constant(10, LEAST_STEPS) if every is None else Constant(every))
    return with_clipping(found) if clipped else found


@on_darts("ratio", ratio=10, over=STEPS["fisher"])
def darts_fimt(host: Differentiable, threshold: float = 1.0, clipped: bool = False) -> Differentiable:
    """DARTS + FIMT: the architecture moves when the trace of the weights' Fisher information is below a threshold that
    rises while it waits and falls when it moves.

    Args:
        threshold: tau before the first minibatch.
        clipped: with `with_clipping` (CRB).

    Source: Maile et al. 2021, "DARTS-PRIME", Algorithm 1.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, but the
        architecture moves first; the validation part of `ratio` is cut from the training split.
    """
    found = replace(host, schedule=FisherInformed(threshold=threshold, least=LEAST_STEPS))
    return with_clipping(found) if clipped else found


@on_darts("order", "ratio")
def darts_pr(host: Differentiable, rho: float = 0.1, power: int = 1) -> Differentiable:
    """DARTS + PR: the weights of the operations are drawn towards what would be derived from them, ever more.

    Args:
        rho: strength at the end.
        power: of the norm, 1 as released or 2.

    Source: Maile et al. 2021, "DARTS-PRIME", equation 8.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(host, regularise=(Proximity(rho, power),))


@on_darts("order", "ratio")
def darts_admm(host: Differentiable, rho: float = 0.1, discount: float = 1.0, power: int = 2) -> Differentiable:
    """DARTS + ADMM: the weights of the operations are drawn towards a copy that is kept feasible.

    Args:
        rho: strength.
        discount: lambda_u, what remains of the scaled dual at each update.
        power: of the norm: 2 as in the paper's equations, 1 as in the released code, whose penalty pulls as hard
            however near the copy is.

    Source: Maile et al. 2021, "DARTS-PRIME", ADMM regularisation.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; one activated
        variable is used in every step, where the released code mixes two.
    """
    return replace(host, regularise=(Admm(rho, discount, power=power),))


@on_darts("ratio", ratio=10, over=STEPS["fisher"])
def darts_prime(
    host: Differentiable,
    rho: float = 0.1,
    power: int = 1,
    threshold: float = 1.0,
    clipped: bool = False,
) -> Differentiable:
    """DARTS-PRIME = FIMT x PR: a schedule informed by the Fisher trace, and proximity to what would be derived.

    Args:
        rho, power: see `darts_pr`.
        threshold: see `darts_fimt`.
        clipped: with `with_clipping` (CRB).

    Source: Maile et al. 2021, "DARTS-PRIME: Regularization and scheduling improve constrained optimization in
        differentiable NAS".
    Differs: as `darts_fimt` and `darts_pr` do.
    """
    found = replace(
        host, schedule=FisherInformed(threshold=threshold, least=LEAST_STEPS), regularise=(Proximity(rho, power),)
    )
    return with_clipping(found) if clipped else found


def with_clipping(host: Differentiable) -> Differentiable:
    """A host with CRB: weights are logits clipped to [0, 1], `none` is left out, an operation at 0 dies, nodes are
    normed, the logits have no decay.

    Source: Maile et al. 2021, "DARTS-PRIME".
    """
    return replace(
        host,
        relax=ClippedLinear(),
        prune=Monotone(),
        extras=(*host.extras, NodeNorm()),
        alphas=replace(host.alphas, weight_decay=0.0, scale=1e-4),
    )


@on_darts("order", "ratio")
def darts_grid(
    host: Differentiable,
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
    if schedule != "alternate" and host.split == TaskSplit():
        host = replace(host, split=Ratio(SPARSE_RATIO))
    if host.alphas.over is not None:
        host = replace(host, alphas=replace(host.alphas, over=STEPS.get(schedule, host.alphas.over)))
    sparse: dict[str, Schedule] = {"constant": Constant(10, LEAST_STEPS), "fisher": FisherInformed(least=LEAST_STEPS)}
    regularise: tuple[Regulariser, ...] = (Proximity(proximity),) if proximity else ()
    regularise += (Admm(admm),) if admm else ()
    found = replace(host, schedule=sparse.get(schedule, host.schedule), regularise=regularise)
    return with_clipping(found) if clipped else found
