"""The papers, as compositions of parts. Only what differs from first-order DARTS is said.

Every one keeps a space's own rule of derivation unless it has another, so that it runs on every space its parts can.
Settings are those of NAS-Bench-201's weight-sharing protocol (Dong & Yang 2020) where the paper's own are for another
space: rates and decay decide more than the method on a space this small.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, Protocol

from searchbench.strategies.differentiable.composition import AlphaTraining, Differentiable
from searchbench.strategies.differentiable.discretise import CappedTopEdges, NoneRule, SpaceRule, Threshold
from searchbench.strategies.differentiable.edges import PartialChannels
from searchbench.strategies.differentiable.extras import AuxiliarySkip, SkipDropout
from searchbench.strategies.differentiable.hypergradient import FirstOrder
from searchbench.strategies.differentiable.pace import Settings
from searchbench.strategies.differentiable.prune import Milestones, Stages
from searchbench.strategies.differentiable.regularise import ZeroOne, ZeroOneLinear
from searchbench.strategies.differentiable.relaxation import Sigmoid, Softmax
from searchbench.strategies.differentiable.schedule import Alternate, WarmUp
from searchbench.strategies.differentiable.split import Ratio, TaskSplit
from searchbench.strategies.differentiable.stop import RankStability, SkipCount
from searchbench.strategies.differentiable.turn import Phase
from searchbench.strategies.supernet import SupernetTraining


class Paper(Protocol):
    """A method of the family: the settings of `darts` that it takes, and its own."""

    def __call__(
        self,
        epochs: int | None = None,
        batch_size: int = 64,
        lr: float = 0.025,
        alpha_lr: float | None = None,
        **own: Any,
    ) -> Differentiable: ...


def on_darts(
    *further: str, alpha_lr: float = 3e-4, over: int = 19_550, leaving_out: Sequence[str] = (), **defaults: Any
) -> Callable[[Callable[..., Differentiable]], Paper]:
    """A paper is what it changes in first-order DARTS.

    What is decorated takes a host and the paper's own parameters. The paper takes the settings of `darts` first, makes
    the host of them, and has a signature that says so.

    Args:
        further: which of "order" and "ratio" it takes; one with a schedule of its own has no order.
        alpha_lr: the paper's rate of the logits.
        over: steps that the paper's logits take in all at that rate.
        leaving_out: settings of `darts` that mean nothing to it.
        defaults: of settings that are others than those of `darts`.
    """
    taken = [
        name
        for name in ("epochs", "batch_size", "lr", "alpha_lr", *further, "none", "settings")
        if name not in leaving_out
    ]
    known = inspect.signature(darts).parameters
    settings = [known[name].replace(default=defaults.get(name, known[name].default)) for name in taken]

    def paper(change: Callable[..., Differentiable]) -> Paper:
        _, *own = inspect.signature(change).parameters.values()
        signature = inspect.Signature([*settings, *own], return_annotation="Differentiable")

        @wraps(change)
        def composed(*args: Any, **kwargs: Any) -> Differentiable:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            host = darts(**{name: given.pop(name) for name in taken})
            if host.alphas.over is not None:
                host = replace(host, alphas=replace(host.alphas, lr=alpha_lr, over=over))
            return change(host, **given)

        composed.__signature__ = signature  # type: ignore[attr-defined]
        return composed

    return paper


def darts(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float | None = None,
    order: Sequence[Phase] = ("w", "alpha"),
    ratio: float | None = None,
    none: NoneRule = "excluded",
    settings: Settings = "budget",
) -> Differentiable:
    """First-order DARTS: mix the operations of every edge by a softmax over logits; descend the training loss in the
    weights and the validation loss in the logits, in turn.

    w <- w - lr grad_w L_train(w, alpha);  alpha <- Adam(alpha, grad_alpha L_val(w, alpha))

    Args:
        epochs: passes over the training split; None takes as many as the budget affords.
        batch_size: of both splits.
        lr: of the weights at first; falls to 0.001 along a cosine.
        alpha_lr: of the logits, constant. None: the paper's, 3e-4 here, which follows the budget unless `settings` are
            the paper's.
        order: who moves first on a minibatch.
        ratio: r, if the training split is to be divided r : 1 between weights and architecture; None: the weights
            learn on the task's training split, the architecture on its validation split.
        none: what becomes of `none` where every edge has an operation: "excluded", "connected" (as long as something
            of the input arrives at the output), or "allowed", NAS-Bench-201's own protocol, which may hand over a
            cell that cannot learn.
        settings: "budget": what the paper says in steps (the logits' rate, how seldom they move, the epochs of a rule
            that stops) follows the number of steps that is affordable, so that logits can travel as far as in the
            paper's 19,550; "paper": it is the paper's whatever the budget.

    Raises:
        StudyError: a value is out of range.

    Source: Liu, Simonyan & Yang 2019, "DARTS: Differentiable Architecture Search", Algorithm 1 with xi = 0; settings
        and order of NAS-Bench-201's weight-sharing protocol (Dong & Yang 2020): weights first, decay 5e-4, every edge
        kept with its heaviest operation, `none` left out as in Liu et al.
    Differs: the validation split is gone through in whole passes, begun anew every epoch, not drawn with replacement;
        each weight's gradient is only computed on its own turn.
    """
    return Differentiable(
        relax=Softmax(),
        schedule=Alternate(tuple(order)),
        hypergradient=FirstOrder(),
        discretise=SpaceRule(none),
        split=TaskSplit() if ratio is None else Ratio(ratio),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        alphas=AlphaTraining(lr=3e-4, over=19_550) if alpha_lr is None else AlphaTraining(lr=alpha_lr),
        settings=settings,
    )


@on_darts("order")
def darts_plus(host: Differentiable, skips: int = 2) -> Differentiable:
    """DARTS+: stop as soon as the derived normal cell has `skips` skip connections.

    Source: Liang et al. 2019, "DARTS+: improved differentiable architecture search with early stopping".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(host, stop=SkipCount(skips))


@on_darts("order")
def darts_plus_rank(host: Differentiable, stable: int | None = None) -> Differentiable:
    """DARTS+, criterion 1*: stop when the ranking of learnable operations was the same for `stable` epochs on end.

    Args:
        stable: None: the paper's 10 of 60, as many in proportion where the search is shorter.

    Source: Liang et al. 2019, "DARTS+".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(host, stop=RankStability(10, of=60) if stable is None else RankStability(stable))


@on_darts("order", alpha_lr=3e-3, over=9_800)
def fair_darts(
    host: Differentiable,
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
        host,
        relax=Sigmoid(),
        regularise=(ZeroOneLinear(weight) if linear else ZeroOne(weight),),
        discretise=host.discretise if theta is None else Threshold(theta),
        alphas=replace(host.alphas, betas=(0.9, 0.999), scale=0.0),
    )


@on_darts("order")
def darts_minus(host: Differentiable, beta: float = 1.0) -> Differentiable:
    """DARTS-: an auxiliary skip connection, which fades away, takes from the skip operation what helps training only.

    Args:
        beta: its weight in the first epoch.

    Source: Chu et al. 2021, "DARTS-: robustly stepping out of performance collapse without indicators".
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`.
    """
    return replace(host, extras=(AuxiliarySkip(beta),))


@on_darts(leaving_out=("none",), batch_size=96, alpha_lr=6e-4, over=11_745)
def p_darts(
    host: Differentiable,
    keep: Sequence[int] = (5, 3, 1),
    depths: Sequence[int] = (),
    dropout: float | Sequence[float] = 0.4,
    skips: int = 2,
) -> Differentiable:
    """P-DARTS: stages with ever fewer operations (and more cells), dropout on skips, at most two of them kept.

    Args:
        epochs: of all stages together.
        keep: operations per edge after each stage.
        depths: cells of the supernet in each stage; empty: the space's own number.
        dropout: of skip connections, at the beginning of every stage, or one for each: the authors run 0.1, 0.4, 0.7.
        skips: most that are kept in the normal cell.

    Source: Chen, Xie, Wu & Tian 2019, "Progressive differentiable architecture search", and its code: operations,
        edges and skips to be cut are ranked by the last stage's probabilities, `none` left out.
    Differs: settings that are not part of the method, and the order of steps, are those of `darts`; skips are dropped
        on the weights' turn only.
    """
    return replace(
        host,
        schedule=WarmUp(Alternate(), 0.4),
        prune=Stages(tuple(keep), tuple(depths)),
        extras=(SkipDropout(tuple(dropout) if isinstance(dropout, Sequence) else dropout),),
        discretise=CappedTopEdges(2, skips),
        weights=replace(host.weights, lr_final=0.0),
        alphas=replace(host.alphas, clip=5.0),
    )


@on_darts(leaving_out=("none",))
def pd_darts(host: Differentiable, fix_best: bool = False, warmup: float = 0.2) -> Differentiable:
    """PD-DARTS: discretise step by step while the weights go on.

    Args:
        fix_best: at each milestone fix the surest operation, instead of dropping every edge's least likely one.
        warmup: share of the epochs before the first milestone.

    Source: the abstract of PD-DARTS only; milestones are our reading, see `Milestones`.
    Differs: unknown beyond the abstract: milestones, warm-up and inheritance of weights are parameters.
    """
    return replace(host, prune=Milestones("fix-best" if fix_best else "drop-worst", warmup))


@on_darts(alpha_lr=6e-4, over=3_430)
def pc_darts(host: Differentiable, divisor: int = 4, warmup: float = 0.3) -> Differentiable:
    """PC-DARTS: a part of the channels passes through the operations, and edges are weighed as wholes.

    Args:
        divisor: K; 1/K of the channels pass.
        warmup: share of the epochs in which only the weights move.

    Source: Xu et al. 2020, "PC-DARTS: partial channel connections for memory-efficient architecture search".
    Differs: rates and batch size are those of the other methods; the paper's (0.1 and 256) suit its smaller memory.
    """
    return replace(host, schedule=WarmUp(Alternate(), warmup), edges=PartialChannels(divisor))
