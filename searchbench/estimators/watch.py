"""What a training does with its validation values: average the weights from where they stall, keep the best epoch.

Source: Merity et al. 2018 (the non-monotonic trigger of averaged SGD), Liu et al. 2019 (its released code).
Differs: the average is over all iterates since the trigger, `torch.optim.ASGD`'s leaves out the first; the rate of a
    passage is its own, that optimiser's the previous passage's. An epoch whose loss is no longer finite is spent: it is
    not repeated, so that a training costs what it was charged, and the next epoch reads its passages by another seed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


def stalled(values: Sequence[float], window: int) -> bool:
    """Whether the last value is above the least of those that are more than `window` epochs older."""
    older = values[: -1 - window]
    return bool(older) and values[-1] > min(older)


@dataclass(frozen=True, slots=True, eq=False)
class EpochCheckpoint:
    """All that a training was at the end of an epoch."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean training loss of the epoch."""
    value: float
    """Validation value, to be minimised."""
    weights: dict[str, Any]
    """Of the network that was measured."""
    optimizer: dict[str, Any]
    average: dict[str, Any] | None
    """Averaged weights and their number; None before the trigger."""
    averaged_from: int | None


class Watch:
    """The averaged weights and the best epoch of one training.

    Args:
        network: in training.
        optimizer: its.
        average_after, keep_best: see `tasks.task.Recipe`.
    """

    def __init__(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, average_after: int | None, keep_best: bool
    ) -> None:
        self._network, self._optimizer = network, optimizer
        self._average_after, self._keep_best = average_after, keep_best
        self._average: AveragedModel | None = None
        self.best: EpochCheckpoint | None = None
        self.averaged_from: int | None = None
        """Epochs finished when the averaging began that is going on."""
        self.rolled_back = 0
        """Epochs that were lost."""

    @property
    def measured(self) -> nn.Module:
        """The network to measure: that in training, or the average of its iterates."""
        return self._network if self._average is None else self._average.module

    @property
    def copies(self) -> int:
        """Sets of weights held besides the network's own."""
        return (self._average is not None) + (0 if self.best is None else 2 + (self.best.average is not None))

    def averaging(self, step: Callable[[], None]) -> Callable[[], None]:
        """A step of the optimiser, after which the new weights are averaged if the trigger has fired."""
        average = self._average
        if average is None:
            return step

        def averaged() -> None:
            step()
            average.update_parameters(self._network)

        return averaged

    def look(self, values: Sequence[float], loss: float) -> None:
        """Decide at the end of an epoch. `values` are those of all epochs so far, `loss` is the last one's."""
        if self._keep_best and (self.best is None or values[-1] < self.best.value):
            self.best = self._checkpoint(len(values), loss, values[-1])
        if self._average is None and self._average_after is not None and stalled(values, self._average_after):
            self._begin_averaging()
            self.averaged_from = len(values)

    def roll_back(self) -> EpochCheckpoint | None:
        """Go on from the best epoch. None where there is none: nothing is changed."""
        best = self.best
        if best is None:
            return None
        self._network.load_state_dict(best.weights)
        self._optimizer.load_state_dict(copy.deepcopy(best.optimizer))
        self._average, self.averaged_from = None, best.averaged_from
        if best.average is not None:
            self._begin_averaging().load_state_dict(best.average)
        self.rolled_back += 1
        return best

    def result(self) -> nn.Module:
        """The network to hand over: a copy with the best epoch's weights, or what is measured at the end."""
        if self.best is None:
            return self.measured
        network = copy.deepcopy(self._network)
        network.load_state_dict(self.best.weights)
        return network

    def metrics(self) -> dict[str, float]:
        """What happened, for the record; empty where nothing was watched."""
        found: dict[str, float] = {}
        if self.best is not None:
            found |= {"best_epoch": float(self.best.epoch), "rolled_back": float(self.rolled_back)}
        if self.averaged_from is not None:
            found["averaged_from"] = float(self.averaged_from)
        return found

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on."""
        average = None if self._average is None else self._average.state_dict()
        own = {"averaged_from": self.averaged_from, "rolled_back": self.rolled_back}
        return {"average": average, "best": None if self.best is None else asdict(self.best), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`'s result."""
        self.averaged_from, self.rolled_back = state["averaged_from"], state["rolled_back"]
        self.best = None if state["best"] is None else EpochCheckpoint(**state["best"])
        self._average = None
        if state["average"] is not None:
            self._begin_averaging().load_state_dict(state["average"])

    def _begin_averaging(self) -> AveragedModel:
        self._average = AveragedModel(self._network)
        return self._average

    def _checkpoint(self, epoch: int, loss: float, value: float) -> EpochCheckpoint:
        average = None if self._average is None else copy.deepcopy(self._average.state_dict())
        weights, optimizer = copy.deepcopy((self.measured.state_dict(), self._optimizer.state_dict()))
        return EpochCheckpoint(epoch, loss, value, weights, optimizer, average, self.averaged_from)
