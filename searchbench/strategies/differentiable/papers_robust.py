"""Second-order DARTS, and the papers that keep DARTS from collapse: R-DARTS, beta-DARTS, SDARTS, DARTS-PT."""

from __future__ import annotations

from dataclasses import replace

from searchbench.strategies.differentiable.adversary import Adversary
from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.extras import Cutout, DropPath, RandomSmoothing
from searchbench.strategies.differentiable.halting import Compared, OperationStop
from searchbench.strategies.differentiable.hypergradient import Unrolled
from searchbench.strategies.differentiable.papers import on_darts
from searchbench.strategies.differentiable.prune import Measure, Perturbation
from searchbench.strategies.differentiable.regularise import BetaDecay
from searchbench.strategies.differentiable.stop import Eigenvalue, EigenvalueRestart

DECAY = 3e-4
"""Of the weights, in the papers' own searches."""


@on_darts("order", "ratio")
def darts_second_order(host: Differentiable, xi: float | None = None) -> Differentiable:
    """Second-order DARTS: the architecture's gradient looks through one virtual step of the weights.

    Args:
        xi: rate of the virtual step; None: the weights' current rate.

    Source: Liu, Simonyan & Yang 2019, Algorithm 1, equations 7 and 8.
    Differs: the order of steps and the settings are those of `darts`; the virtual step moves the running statistics of
        batch norms, and it is a plain one with momentum, where the weights' own steps are Nesterov's.
    """
    return replace(host, hypergradient=Unrolled(xi))


@on_darts()
def r_darts_l2(host: Differentiable, factor: float = 9.0) -> Differentiable:
    """R-DARTS(L2): second-order DARTS with a multiple of the usual decay of the weights.

    Args:
        factor: of 3e-4; the paper runs 1, 3, 9, 27 and 81 and keeps the best after retraining. Here each is a
            strategy of its own: choosing among runs is paid from a budget of its own.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, and the virtual
        step is that of `darts_second_order`; one factor per strategy instead of the best of five runs.
    """
    return replace(host, hypergradient=Unrolled(), weights=replace(host.weights, weight_decay=DECAY * factor))


@on_darts()
def r_darts_dp(host: Differentiable, drop: float = 0.2, cutout: float = 1.0) -> Differentiable:
    """R-DARTS(DP): second-order DARTS whose supernet drops paths and is shown images with squares cut out, both ever
    more often.

    Args:
        drop: probability of dropping an edge's output in the last epoch; the paper runs 0, 0.2, 0.4 and 0.6 and keeps
            the best after retraining. Here each is a strategy of its own, as for `r_darts_l2`.
        cutout: probability of cutting a square out of an image in the last epoch.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search", and its code.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, but the weights'
        decay is 3e-4; the virtual step is that of `darts_second_order`; one probability per strategy instead of the
        best of four runs; cutout comes behind the task's own augmentation; both sides of the second-order difference
        drop the same paths.
    """
    weights = replace(host.weights, weight_decay=DECAY)
    return replace(host, hypergradient=Unrolled(), extras=(DropPath(drop), Cutout(cutout)), weights=weights)


@on_darts()
def darts_es(host: Differentiable, factor: float = 1.3, begin: int | None = None) -> Differentiable:
    """DARTS-ES: stop where the dominant eigenvalue of the Hessian in alpha rises too fast; the answer lies before.

    Args:
        factor: rise of the local mean over eight epochs that is too fast.
        begin: first epoch that can be the answer, with a check in every second epoch. None: the paper's 10 of 50, and
            its checks, in proportion.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, and the virtual
        step is that of `darts_second_order`; the eigenvalue comes from Lanczos steps on exact products, each charged,
        instead of the whole Hessian, and there is no extra check after the last epoch.
    """
    return replace(host, hypergradient=Unrolled(), stop=_watch(factor, begin))


@on_darts()
def darts_ada(host: Differentiable, factor: float = 1.3, begin: int | None = None) -> Differentiable:
    """DARTS-ADA: where DARTS-ES would stop, return to before the rise, with ten times the decay; at most twice.

    Args:
        factor, begin: see `darts_es`.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search".
    Differs: as `darts_es` does.
    """
    stop = EigenvalueRestart(_watch(factor, begin))
    return replace(host, hypergradient=Unrolled(), stop=stop, weights=replace(host.weights, weight_decay=DECAY))


@on_darts("order", over=39_100)
def beta_darts(host: Differentiable, weight: float = 50.0) -> Differentiable:
    """beta-DARTS: the softmax's own gradient is a decay of the weights of operations, which keeps any of them from
    running away.

    Args:
        weight: of the decay in the end; it rises from 0 with the epochs.

    Source: Ye et al. 2022, "beta-DARTS: beta-decay regularization for differentiable architecture search".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(host, regularise=(BetaDecay(weight),))


@on_darts("order")
def sdarts_rs(host: Differentiable, radius: float = 0.3) -> Differentiable:
    """SDARTS-RS: the weights learn at random mixtures around the architecture's.

    Args:
        radius: largest change of an operation's weight in the end; it rises from 0.03, or from `radius` where that is
            less.

    Source: Chen & Hsieh 2020, "Stabilizing differentiable architecture search via perturbation-based regularization".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(host, extras=(RandomSmoothing(min(0.03, radius), radius),))


@on_darts("order")
def sdarts_adv(host: Differentiable, radius: float = 0.3, steps: int = 7) -> Differentiable:
    """SDARTS-ADV: the weights learn at the worst mixture around the architecture's, found by gradient ascent.

    Args:
        radius: see `sdarts_rs`.
        steps: of the ascent, on every minibatch; each costs a pass forward and backward.

    Source: Chen & Hsieh 2020, "Stabilizing differentiable architecture search via perturbation-based regularization".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(host, adversary=Adversary(min(0.03, radius), radius, steps))


@on_darts("order")
def oles(
    host: Differentiable, threshold: float | None = None, window: int = 20, compared: Compared = "apart"
) -> Differentiable:
    """OLES: an operation whose gradients on training and validation images point apart stops learning, so that none
    with weights overfits while logits are chosen on other images.

    Args:
        threshold: mean cosine between the gradients below which an operation stops. None: 0.4 as in the released code
            where they are "accumulated"; 0.1 where they are compared "apart".
        window: steps over which the mean is taken.
        compared: "apart" as in the paper, or "accumulated" as in the released code, see `OperationStop`.

    Source: Jiang et al. 2023, "Operation-level early stopping for robustifying differentiable NAS", and its code.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; the threshold of
        0.1 is ours; gradients of operations that have stopped are still computed, and paid.
    """
    if threshold is None:
        threshold = 0.4 if compared == "accumulated" else 0.1
    return replace(host, halt=OperationStop(threshold, window, compared))


@on_darts("order", leaving_out=("none",))
def darts_pt(host: Differentiable, tuned: float = 0.2, measure: Measure = "accuracy") -> Differentiable:
    """DARTS-PT: after DARTS, edge by edge, the operation is kept without which the supernet loses most; then, node by
    node, the edges without which it loses least go, where a space keeps some of them.

    Args:
        tuned: share of the epochs in which edges and nodes are decided, one after the other, and the supernet goes on.
        measure: what is lost: "accuracy", or "loss" as it grows, both on the architecture's images.

    Source: Wang et al. 2021, "Rethinking architecture selection in differentiable NAS", Algorithm 1 (on NAS-Bench-201
        100 epochs of search, then five after each of its edges: a fifth of all), and its code.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; the rate of the
        weights goes on along its cosine, where the released code begins again at a tenth of the first; edges of both
        cells are decided one after the other, not two at a time; logits learn on what is left open; `none` is never
        kept, as it is left out of what DARTS derives.
    """
    return replace(host, prune=Perturbation(tuned, measure))


def _watch(factor: float, begin: int | None) -> Eigenvalue:
    return Eigenvalue(factor, of=50) if begin is None else Eigenvalue(factor, begin=begin)
