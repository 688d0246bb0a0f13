"""The papers, as compositions of parts. Only what differs from first-order DARTS is said.

Every one keeps a space's own rule of derivation unless it has another, so that it runs on every space its parts can.
Settings are those of NAS-Bench-201's weight-sharing protocol (Dong & Yang 2020) where the paper's own are for another
space: rates and decay decide more than the method on a space this small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from searchbench.strategies.differentiable.composition import AlphaTraining, Differentiable
from searchbench.strategies.differentiable.discretise import CappedTopEdges, SpaceRule, Threshold
from searchbench.strategies.differentiable.edges import PartialChannels
from searchbench.strategies.differentiable.extras import AuxiliarySkip, Cutout, DropPath, NodeNorm, SkipDropout
from searchbench.strategies.differentiable.hypergradient import FirstOrder, Unrolled
from searchbench.strategies.differentiable.prune import Milestones, Monotone, Stages
from searchbench.strategies.differentiable.regularise import Admm, Proximity, ZeroOne, ZeroOneLinear
from searchbench.strategies.differentiable.relaxation import ClippedLinear, Sigmoid, Softmax
from searchbench.strategies.differentiable.schedule import Alternate, Constant, FisherInformed, WarmUp
from searchbench.strategies.differentiable.split import DataSplit, Ratio, TaskSplit
from searchbench.strategies.differentiable.stop import Eigenvalue, EigenvalueRestart, RankStability, SkipCount
from searchbench.strategies.differentiable.turn import Phase
from searchbench.strategies.supernet import SupernetTraining


def darts(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    ratio: float | None = None,
) -> Differentiable:
    """First-order DARTS: mix the operations of every edge by a softmax over logits; descend the training loss in the
    weights and the validation loss in the logits, in turn.

    w <- w - lr grad_w L_train(w, alpha);  alpha <- Adam(alpha, grad_alpha L_val(w, alpha))

    Args:
        epochs: passes over the training split; None takes as many as the budget affords.
        batch_size: of both splits.
        lr: of the weights at first; falls to 0.001 along a cosine.
        alpha_lr: of the logits, constant.
        order: who moves first on a minibatch.
        ratio: r, if the training split is to be divided r : 1 between weights and architecture; None: the weights
            learn on the task's training split, the architecture on its validation split.

    Raises:
        StudyError: a value is out of range.

    Source: Liu, Simonyan & Yang 2019, "DARTS: Differentiable Architecture Search", Algorithm 1 with xi = 0; settings
        and order of NAS-Bench-201's weight-sharing protocol (Dong & Yang 2020): weights first, decay 5e-4, every edge
        kept with its heaviest operation, `none` allowed.
    Differs: the validation split is gone through in whole passes, begun anew every epoch, not drawn with replacement;
        each weight's gradient is only computed on its own turn.
    """
    return Differentiable(
        relax=Softmax(),
        schedule=Alternate(tuple(order)),
        hypergradient=FirstOrder(),
        split=_split(ratio),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        alphas=AlphaTraining(lr=alpha_lr),
    )


def darts_second_order(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    ratio: float | None = None,
    xi: float | None = None,
) -> Differentiable:
    """Second-order DARTS: the architecture's gradient looks through one virtual step of the weights.

    Args:
        xi: rate of the virtual step; None: the weights' current rate.

    Source: Liu, Simonyan & Yang 2019, Algorithm 1, equations 7 and 8.
    Differs: the order of steps and the settings are those of `darts`; the virtual step moves the running statistics
        of batch norms.
    """
    return replace(darts(epochs, batch_size, lr, alpha_lr, order, ratio), hypergradient=Unrolled(xi))


def darts_cs(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    ratio: float | None = 10,
    every: int = 10,
    clipped: bool = False,
) -> Differentiable:
    """DARTS + CS(k): the architecture moves on every k-th minibatch only.

    Args:
        every: k.
        clipped: with `with_clipping` (CRB).

    Source: Maile, Lecarpentier, Luga & Wilson 2021, "DARTS-PRIME", constant schedule.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, but the
        architecture moves first.
    """
    found = replace(darts(epochs, batch_size, lr, alpha_lr, ratio=ratio), schedule=Constant(every))
    return with_clipping(found) if clipped else found


def darts_fimt(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    ratio: float | None = 10,
    threshold: float = 1.0,
    clipped: bool = False,
) -> Differentiable:
    """DARTS + FIMT: the architecture moves when the trace of the weights' Fisher information is below a threshold that
    rises while it waits and falls when it moves.

    Args:
        threshold: tau before the first minibatch.
        clipped: with `with_clipping` (CRB).

    Source: Maile et al. 2021, "DARTS-PRIME", Algorithm 1.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, but the
        architecture moves first; the validation part of `ratio` is cut from the training split.
    """
    schedule = FisherInformed(threshold=threshold)
    found = replace(darts(epochs, batch_size, lr, alpha_lr, ratio=ratio), schedule=schedule)
    return with_clipping(found) if clipped else found


def darts_pr(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    ratio: float | None = None,
    rho: float = 0.1,
    power: int = 1,
) -> Differentiable:
    """DARTS + PR: the weights of the operations are drawn towards what would be derived from them, ever more.

    Args:
        rho: strength at the end.
        power: of the norm, 1 as released or 2.

    Source: Maile et al. 2021, "DARTS-PRIME", equation 8.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(darts(epochs, batch_size, lr, alpha_lr, order, ratio), regularise=(Proximity(rho, power),))


def darts_admm(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    ratio: float | None = None,
    rho: float = 0.1,
    discount: float = 1.0,
) -> Differentiable:
    """DARTS + ADMM: the weights of the operations are drawn towards a copy that is kept feasible.

    Args:
        rho: strength.
        discount: lambda_u, what remains of the scaled dual at each update.

    Source: Maile et al. 2021, "DARTS-PRIME", ADMM regularisation.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; one activated
        variable is used in every step, where the released code mixes two.
    """
    return replace(darts(epochs, batch_size, lr, alpha_lr, order, ratio), regularise=(Admm(rho, discount),))


def darts_prime(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    ratio: float | None = 10,
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
    host = darts_fimt(epochs, batch_size, lr, alpha_lr, ratio, threshold)
    found = replace(host, regularise=(Proximity(rho, power),))
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


def darts_plus(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    skips: int = 2,
) -> Differentiable:
    """DARTS+: stop as soon as the derived normal cell has `skips` skip connections.

    Source: Liang et al. 2019, "DARTS+: improved differentiable architecture search with early stopping".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(darts(epochs, batch_size, lr, alpha_lr, order), stop=SkipCount(skips))


def darts_plus_rank(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    stable: int = 10,
) -> Differentiable:
    """DARTS+, criterion 1*: stop when the ranking of learnable operations was the same for `stable` epochs on end.

    Source: Liang et al. 2019, "DARTS+".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(darts(epochs, batch_size, lr, alpha_lr, order), stop=RankStability(stable))


def fair_darts(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-3,
    order: Sequence[Phase] = ("w", "alpha"),
    weight: float = 10.0,
    theta: float | None = None,
    linear: bool = False,
) -> Differentiable:
    """FairDARTS: operations do not compete (a sigmoid each), and a loss pushes their weights to 0 or 1.

    Args:
        weight: of the zero-one loss.
        theta: least weight of an operation that is kept, 0.85 in its code for CIFAR-10; an edge without one carries
            nothing. None: the space's own rule, as in a search too short for weights to come so far.
        linear: the paper's control, -mean |sigmoid(alpha) - 1/2|, instead of the squared zero-one loss.

    Source: Chu, Zhou, Zhang & Li 2020, "Fair DARTS: eliminating unfair advantages in differentiable architecture
        search", and its code for CIFAR-10.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; edges are kept
        by the space's own rule unless `theta` is given.
    """
    return replace(
        darts(epochs, batch_size, lr, alpha_lr, order),
        relax=Sigmoid(),
        regularise=(ZeroOneLinear(weight) if linear else ZeroOne(weight),),
        discretise=SpaceRule() if theta is None else Threshold(theta),
        alphas=AlphaTraining(lr=alpha_lr, betas=(0.9, 0.999), scale=0.0),
    )


def darts_minus(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
    beta: float = 1.0,
) -> Differentiable:
    """DARTS-: an auxiliary skip connection, which fades away, takes from the skip operation what helps training only.

    Args:
        beta: its weight in the first epoch.

    Source: Chu et al. 2021, "DARTS-: robustly stepping out of performance collapse without indicators".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(darts(epochs, batch_size, lr, alpha_lr, order), extras=(AuxiliarySkip(beta),))


def p_darts(
    epochs: int | None = None,
    batch_size: int = 96,
    lr: float = 0.025,
    alpha_lr: float = 6e-4,
    keep: Sequence[int] = (5, 3, 1),
    depths: Sequence[int] = (),
    dropout: float = 0.4,
    skips: int = 2,
) -> Differentiable:
    """P-DARTS: stages with ever fewer operations (and more cells), dropout on skips, at most two of them kept.

    Args:
        epochs: of all stages together.
        keep: operations per edge after each stage.
        depths: cells of the supernet in each stage; empty: the space's own number.
        dropout: of skip connections, at the beginning of each stage.
        skips: most that are kept in the normal cell.

    Source: Chen, Xie, Wu & Tian 2019, "Progressive differentiable architecture search".
    Differs: the rate of dropout is the same at the beginning of every stage.
    """
    return replace(
        darts(epochs, batch_size, lr, alpha_lr),
        schedule=WarmUp(Alternate(), 0.4),
        prune=Stages(tuple(keep), tuple(depths)),
        extras=(SkipDropout(dropout),),
        discretise=CappedTopEdges(2, skips),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=0.0),
        alphas=AlphaTraining(lr=alpha_lr, clip=5.0),
    )


def pd_darts(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    fix_best: bool = False,
    warmup: float = 0.2,
) -> Differentiable:
    """PD-DARTS: discretise step by step while the weights go on.

    Args:
        fix_best: at each milestone fix the surest operation, instead of dropping every edge's least likely one.
        warmup: share of the epochs before the first milestone.

    Source: the abstract of PD-DARTS only; milestones are our reading, see `Milestones`.
    Differs: unknown beyond the abstract: milestones, warm-up and inheritance of weights are parameters.
    """
    prune = Milestones("fix-best" if fix_best else "drop-worst", warmup)
    return replace(darts(epochs, batch_size, lr, alpha_lr), prune=prune)


def r_darts_l2(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    factor: float = 9.0,
) -> Differentiable:
    """R-DARTS(L2): second-order DARTS with a multiple of the usual decay of the weights.

    Args:
        factor: of 3e-4; the paper runs 1, 3, 9, 27 and 81 and keeps the best after retraining. Here each is a
            strategy of its own: choosing among runs is paid from a budget of its own.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; one factor per
        strategy instead of the best of five runs.
    """
    host = darts_second_order(epochs, batch_size, lr, alpha_lr)
    return replace(host, weights=replace(host.weights, weight_decay=3e-4 * factor))


def r_darts_dp(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    drop: float = 0.2,
    cutout: float = 1.0,
) -> Differentiable:
    """R-DARTS(DP): second-order DARTS whose supernet drops paths and is shown images with squares cut out, both ever
    more often.

    Args:
        drop: probability of dropping an edge's output in the last epoch; the paper runs 0, 0.2, 0.4 and 0.6 and keeps
            the best after retraining. Here each is a strategy of its own, as for `r_darts_l2`.
        cutout: probability of cutting a square out of an image in the last epoch.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search", and its code.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`, but the weights'
        decay is 3e-4; one probability per strategy instead of the best of four runs; cutout comes behind the task's
        own augmentation; both sides of the second-order difference drop the same paths.
    """
    host = darts_second_order(epochs, batch_size, lr, alpha_lr)
    weights = replace(host.weights, weight_decay=3e-4)
    return replace(host, extras=(DropPath(drop), Cutout(cutout)), weights=weights)


def darts_es(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    factor: float = 1.3,
    begin: int = 10,
) -> Differentiable:
    """DARTS-ES: stop where the dominant eigenvalue of the Hessian in alpha rises too fast; the answer lies before.

    Args:
        factor: rise of the local mean over eight epochs that is too fast.
        begin: first epoch that can be the answer.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; the eigenvalue
        comes from Lanczos steps on finite differences, each charged, and there is no extra check after the last
        epoch.
    """
    return replace(darts_second_order(epochs, batch_size, lr, alpha_lr), stop=Eigenvalue(factor, begin=begin))


def darts_ada(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    factor: float = 1.3,
    begin: int = 10,
) -> Differentiable:
    """DARTS-ADA: where DARTS-ES would stop, return to before the rise, with ten times the decay; at most twice.

    Args:
        factor, begin: see `darts_es`.

    Source: Zela et al. 2020, "Understanding and robustifying differentiable architecture search".
    Differs: as `darts_es` does.
    """
    host = darts_second_order(epochs, batch_size, lr, alpha_lr)
    stop = EigenvalueRestart(Eigenvalue(factor, begin=begin))
    return replace(host, stop=stop, weights=replace(host.weights, weight_decay=3e-4))


def pc_darts(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 6e-4,
    divisor: int = 4,
    warmup: float = 0.3,
) -> Differentiable:
    """PC-DARTS: a part of the channels passes through the operations, and edges are weighed as wholes.

    Args:
        divisor: K; 1/K of the channels pass.
        warmup: share of the epochs in which only the weights move.

    Source: Xu et al. 2020, "PC-DARTS: partial channel connections for memory-efficient architecture search".
    Differs: rates and batch size are those of the other methods; the paper's (0.1 and 256) suit its smaller memory.
    """
    return replace(
        darts(epochs, batch_size, lr, alpha_lr),
        schedule=WarmUp(Alternate(), warmup),
        edges=PartialChannels(divisor),
    )


def _split(ratio: float | None) -> DataSplit:
    return TaskSplit() if ratio is None else Ratio(ratio)
