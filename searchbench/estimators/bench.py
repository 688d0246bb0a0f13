"""Where supernets are trained: a run's data and device, and the two halves of a step. Nothing here is metered; the
harness's lab puts the meter in front of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.estimators.batches import Batches, Share
from searchbench.estimators.estimator import Estimator, InheritedScore
from searchbench.estimators.graphs import Graphs
from searchbench.estimators.passages import Passages
from searchbench.estimators.training import Loss, accumulate, hessian, reproducible, update
from searchbench.spaces.networks import Active, Networks, Shape, Supernet, initialise
from searchbench.spaces.space import Architecture
from searchbench.spaces.topology import PLAIN, Form
from searchbench.tasks.task import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """The training side of one run."""

    networks: Networks
    train: Batches | Passages
    valid: Batches | Passages
    shape: Shape
    classes: int
    augment: tuple[str, ...]
    bn_momentum: float
    device: torch.device
    precision: str = "fp32"
    """Of supernets' passes on a GPU: "fp32", or "bf16" for autocast; a CPU computes in single precision."""
    graphs: Graphs = field(default_factory=Graphs)

    def split(self, name: str) -> Batches | Passages:
        """ "train" or "valid"."""
        return self.train if name == "train" else self.valid

    def samples(self, split: str) -> int:
        """Samples in a split."""
        return len(self.split(split))

    def epochs(self, train_samples: int) -> float:
        """Passes over the training split that so many samples are."""
        return train_samples / len(self.train)

    def supernet(self, seed: int, form: Form = PLAIN) -> Supernet:
        """A freshly initialised supernet on the device, in training mode."""
        built = self.networks.supernet(self.shape, self.classes, *([] if form == PLAIN else [form]))
        supernet = initialise(cast(nn.Module, built), seed, self.device)
        for part in supernet.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = self.bn_momentum
        return cast(Supernet, supernet.train())

    def batches(self, split: str, batch_size: int, seed: int, share: Share) -> Iterator[Batch]:
        """One pass over a share of a split, shuffled and (for training data) augmented by `seed`."""
        return self.split(split).epoch(batch_size, seed, share, self.augment if split == "train" else ())

    def sizes(self, split: str, batch_size: int, seed: int, share: Share) -> list[int]:
        """Samples of each minibatch of `batches`."""
        return self.split(split).sizes(batch_size, seed, share)

    def gradients(self, supernet: Supernet, batch: Batch, active: Active, loss: Loss | None) -> float:
        """Forward and backward through what is active; returns the loss."""
        with reproducible(self.device):
            replayed = self.graphs.forward(supernet, batch.inputs, active, self._autocast)
            forward = replayed or self._forward(supernet, active)
            return accumulate(forward, batch.inputs, batch.targets, loss or F.cross_entropy)

    def hessian(
        self, supernet: Supernet, batch: Batch, active: Active, of: Tensor, loss: Loss | None
    ) -> Callable[[Tensor], Tensor]:
        """v -> H v, H the Hessian of the loss in a tensor, through what is active."""
        with reproducible(self.device):
            forward = self._forward(supernet, active)  # a recorded pass has no graph to go back through twice
            product = hessian(forward, batch.inputs, batch.targets, of, loss or F.cross_entropy)

        def reproducibly(direction: Tensor) -> Tensor:
            with reproducible(self.device):
                return product(direction)

        return reproducibly

    def _forward(self, supernet: Supernet, active: Active) -> Callable[[Tensor], Tensor]:
        def forward(inputs: Tensor) -> Tensor:
            with self._autocast():
                logits: Tensor = supernet(inputs, active)
            return logits.float()

        return forward

    def _autocast(self) -> AbstractContextManager[object]:
        on = self.precision == "bf16" and self.device.type == "cuda"
        # without its cache, which a recorded pass could not keep
        return torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False) if on else nullcontext()

    def update(self, optimizer: torch.optim.Optimizer, clip: float | None, rate: float = 1.0) -> None:
        """Clip and step."""
        update(optimizer, clip, rate)

    def infer(self, supernet: Supernet, batch: Batch, active: Active) -> Tensor:
        """Logits without gradient, in the mode the supernet is in."""
        with torch.no_grad(), self._autocast():
            return supernet(batch.inputs, active).float()

    def inherited(
        self,
        supernet: Supernet,
        batch_size: int,
        recalibrate: int | None,
        seed: int,
        score: InheritedScore | None = "error",
    ) -> Estimator:
        """The shared-weights estimator over this data."""
        from searchbench.estimators.shared_weights import SharedWeights

        @lru_cache(maxsize=100_000)
        def size(architecture: Architecture) -> tuple[int, int]:
            return self.networks.size(architecture, self.shape, self.classes)

        return SharedWeights(supernet, self.train, self.valid, batch_size, recalibrate, seed, size, score)
