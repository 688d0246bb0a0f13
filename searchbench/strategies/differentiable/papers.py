"""The papers, as compositions of parts."""

from __future__ import annotations

from collections.abc import Sequence

from searchbench.strategies.differentiable.composition import AlphaTraining, Differentiable
from searchbench.strategies.differentiable.discretise import ArgmaxPerEdge
from searchbench.strategies.differentiable.hypergradient import FirstOrder
from searchbench.strategies.differentiable.relaxation import Phase, Softmax
from searchbench.strategies.differentiable.schedule import Alternate
from searchbench.strategies.supernet import SupernetTraining


def darts(
    epochs: int | None = None,
    batch_size: int = 64,
    lr: float = 0.025,
    alpha_lr: float = 3e-4,
    order: Sequence[Phase] = ("w", "alpha"),
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
        discretise=ArgmaxPerEdge(),
        weights=SupernetTraining(epochs=epochs, batch_size=batch_size, lr=lr, lr_final=min(lr, 0.001)),
        alphas=AlphaTraining(lr=alpha_lr),
    )
