"""What every strategy that trains a supernet declares: its weights' optimiser, and how long it trains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from searchbench.cost import Cost
from searchbench.errors import StudyError
from searchbench.strategies.strategy import Lab, Scenario
from searchbench.tasks.task import Recipe

if TYPE_CHECKING:
    import torch

TRAINING_AXES = ("epochs", "samples", "macs")
"""Budget axes on which the price of an epoch is known before it is trained."""


@dataclass(frozen=True, slots=True)
class SupernetTraining:
    """SGD on the weights of a supernet, its rate on a cosine per epoch. The defaults are NAS-Bench-201's for every
    weight-sharing method.

    Differs: what a path draws but nothing reaches, or nobody reads (behind a `none`), is not executed here, and its
        weights stay; in the released code of NAS-Bench-201 their gradient is zero, and momentum and decay move them.

    Raises:
        StudyError: a value is out of range.
    """

    epochs: int | None = None
    """None: as many as the budget affords."""
    batch_size: int = 64
    lr: float = 0.025
    lr_final: float = 0.001
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    clip: float | None = 5.0
    """Largest norm of the gradient over the weights."""

    def __post_init__(self) -> None:
        self.recipe(1 if self.epochs is None else self.epochs)

    def recipe(self, epochs: int) -> Recipe:
        """This training as a recipe of that length."""
        return Recipe(
            epochs=epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            lr_final=self.lr_final,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            clip=self.clip,
        )

    def optimizer(self, weights: Iterable[torch.nn.Parameter]) -> torch.optim.SGD:
        """A fresh optimiser. Weights without a gradient get neither momentum nor decay."""
        import torch

        optimizer = torch.optim.SGD(
            weights,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            fused=True,
        )
        if self.momentum:  # zeros are what no buffer means, and the fused step cannot mix some with none
            for weight in optimizer.param_groups[0]["params"]:
                optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return optimizer

    def set_rate(self, optimizer: torch.optim.Optimizer, epoch: int, epochs: int) -> None:
        """The rate of an epoch, counted from 0, of `epochs`."""
        from searchbench.estimators.training import learning_rate

        for group in optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe(epochs), epoch)

    def unsupported(self, scenario: Scenario) -> str | None:
        """Why a supernet cannot be trained in a scenario, or None."""
        if scenario.space.networks is None:
            return f"it trains a supernet, and space `{scenario.space.name}` has no networks."
        if not scenario.space.shares_weights:
            return f"it trains a supernet, and the networks of space `{scenario.space.name}` share no weights."
        if not scenario.trains:
            return "it trains a supernet, which needs an estimator that trains on data (a table has none)."
        if self.epochs is None and not set(TRAINING_AXES) & set(scenario.budget.limits):
            return (
                f"`epochs` must be given where the budget limits only {', '.join(scenario.budget.limits)}: "
                f"it is worked out from {', '.join(TRAINING_AXES)}."
            )
        return None


def language_training(
    epochs: int | None, batch_size: int, lr: float, clip: float, weight_decay: float
) -> SupernetTraining:
    """Training of supernets of language models: without momentum, at a constant rate, which every passage scales by
    its length. Raises StudyError."""
    return SupernetTraining(
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        lr_final=lr,
        momentum=0.0,
        nesterov=False,
        weight_decay=weight_decay,
        clip=clip,
    )


def epochs_within(
    lab: Lab, epoch: Cost, share: float = 1.0, afterwards: Cost | None = None, besides: Cost | None = None
) -> int:
    """How many epochs fit into a share of what is left, at least one.

    Args:
        epoch: the price of one.
        share: of every limited axis.
        afterwards: the price of what is to be paid from the rest; on an axis on which it costs nothing, the epochs
            may take all.
        besides: the price of what is paid from the same share, however many epochs there are.
    """
    fits = []
    for axis, left in lab.left().items():
        each = getattr(epoch, axis)
        if axis in TRAINING_AXES and each > 0:
            keeps = share if afterwards is None or getattr(afterwards, axis) > 0 else 1.0
            spent = 0.0 if besides is None else getattr(besides, axis)
            fits.append(int((keeps * left - spent) * (1 + 1e-12) / each))
    return max(1, min(fits, default=1))


def mean_price(prices: Iterable[Cost]) -> Cost:
    """The mean over equally likely charges that differ in multiply-accumulates only."""
    listed = list(prices)
    return replace(listed[0], macs=round(sum(price.macs for price in listed) / len(listed)))


def scaled(price: Cost, factor: float) -> Cost:
    """A share, or a multiple, of a price, rounded up."""
    return replace(
        price,
        epochs=factor * price.epochs,
        train_samples=ceil(factor * price.train_samples),
        inference_samples=ceil(factor * price.inference_samples),
        macs=ceil(factor * price.macs),
    )


def check_share(name: str, value: float, closed: bool = False) -> None:
    """Raise StudyError unless `value` is a share in (0, 1), or (0, 1] where `closed`."""
    if not (0 < value < 1 or (closed and value == 1)):
        raise StudyError(f"`{name}` must lie in (0, 1{']' if closed else ')'}, but got {value!r}.")
