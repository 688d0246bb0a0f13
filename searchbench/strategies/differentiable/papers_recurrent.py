"""Any search that trains a supernet, with the settings of language models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from searchbench.errors import StudyError
from searchbench.strategies.differentiable.composition import Differentiable
from searchbench.strategies.differentiable.hypergradient import Unrolled
from searchbench.strategies.supernet import SupernetTraining, language_training

STEPS = 5_187
"""Of the logits in the paper's search: 50 epochs of 929,589 tokens in 256 streams, 35 at a time."""


def recurrent(
    strategy: Any,
    epochs: int | None = None,
    batch_size: int = 256,
    lr: float = 20.0,
    clip: float = 0.25,
    weight_decay: float = 5e-7,
    alpha_lr: float | None = None,
) -> Any:
    """A strategy whose weights descend as those of language models do: SGD without momentum at a constant rate, the
    gradient clipped; where logits are learnt, Adam's betas are (0.9, 0.999).

    Args:
        strategy: one that trains a supernet, as ``{ use = "darts" }``.
        epochs: passes over the training part; None takes as many as the budget affords.
        batch_size: streams.
        lr, clip, weight_decay: of the weights; on a passage the rate is scaled by its length.
        alpha_lr: of the logits. None: the paper's 3e-3 in its 5,187 steps; it follows the budget unless the strategy's
            settings are the paper's.

    Raises:
        StudyError: a value is out of range, or the strategy trains no supernet.

    Source: Liu et al. 2019, the released search for recurrent cells.
    Differs: the architecture's passages have lengths of their own, not those of the weights'.
    """
    if isinstance(strategy, str) or not isinstance(getattr(strategy, "weights", None), SupernetTraining):
        raise StudyError(
            f'`strategy` must be one that trains a supernet, written {{ use = "darts" }}, but got {strategy!r}.'
        )
    found = replace(strategy, weights=language_training(epochs, batch_size, lr, clip, weight_decay))
    if not isinstance(found, Differentiable):
        return found
    rate: dict[str, Any] = {"lr": 3e-3, "over": STEPS} if alpha_lr is None else {"lr": alpha_lr, "over": None}
    if isinstance(found.hypergradient, Unrolled):
        found = replace(found, hypergradient=replace(found.hypergradient, clip=clip))
    return replace(found, alphas=replace(found.alphas, **rate, betas=(0.9, 0.999)))
