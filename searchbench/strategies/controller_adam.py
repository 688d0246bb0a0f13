"""Adam for a controller. This file imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam


class ControllerAdam:
    """Adam (Kingma & Ba 2015) with moments decaying by .9 and .999, PyTorch's own step.

    The first `torch.optim.Adam` of a process imports a compiler, which takes longer than a search on a table; and a
    controller's many small parameters are moved by one call.

    Args:
        parameters: moved in place.
        learning_rate: of every step.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        self._parameters, self._learning_rate = list(parameters), learning_rate
        self._moments = [(torch.zeros_like(one), torch.zeros_like(one)) for one in self._parameters]
        self._steps = [torch.zeros(()) for _ in self._parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """Descend a gradient for each parameter; None leaves it, and its moments, as they are."""
        parts = zip(self._parameters, gradients, self._moments, self._steps, strict=True)
        moved = [(own, slope, *moments, steps) for own, slope, moments, steps in parts if slope is not None]
        own, slopes, first, second, steps = map(list, zip(*moved, strict=True))
        adam(
            own, slopes, first, second, [], steps,
            fused=True, amsgrad=False, maximize=False, beta1=0.9, beta2=0.999, lr=self._learning_rate,
            weight_decay=0.0, eps=1e-8,
        )  # fmt: skip
