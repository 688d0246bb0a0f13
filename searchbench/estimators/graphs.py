"""Passes through a mixed supernet on a GPU, recorded as CUDA graphs: one launch instead of thousands of small ones."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from searchbench.spaces.networks import Active, Mixed, Supernet

Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(slots=True, eq=False)
class Graphs:
    """Records passes that come again and again: every operation executed, images of one shape, the same players.

    A pass through a path, or through operations that are drawn, launches other kernels every time and is never
    recorded; neither is one that draws random numbers. A recorded pass launches the kernels of the pass it was
    recorded from, on the same weights. Its gradients lie where the next replay puts its own: they are to be used, or
    cleared, before; where they were not cleared, `forward` has nothing to offer.
    """

    after: int | None = 8
    """Passes of a kind before one is recorded; None records none."""
    _supernet: Supernet | None = None
    _seen: Counter[Hashable] = field(default_factory=Counter)
    _recorded: dict[Hashable, Callable[..., Tensor]] = field(default_factory=dict)
    _pool: Any = None

    def forward(
        self, supernet: Supernet, inputs: Any, active: Active, autocast: Autocast
    ) -> Callable[[Tensor], Tensor] | None:
        """inputs -> logits [B, classes] in single precision, by replaying; None if this pass is to be run as it is."""
        if self.after is None or not isinstance(inputs, Tensor) or not inputs.is_cuda:
            return None
        module = cast(nn.Module, supernet)
        if not isinstance(active, Mixed) or not _plain(active) or not _repeatable(module):
            return None
        if supernet is not self._supernet:
            self._supernet, self._pool = supernet, None
            self._seen.clear()
            self._recorded.clear()
        weights = torch.stack(list(active.weights))
        given = (weights,) if active.edges is None else (weights, active.edges)
        key = _kind(module, inputs, given)
        self._seen[key] += 1
        if self._seen[key] <= self.after:
            return None
        if key not in self._recorded:
            try:
                self._recorded[key] = self._record(module, inputs, given, autocast)
            except RuntimeError as error:
                self.after = None
                warnings.warn(
                    f"passes through {type(module).__name__} are launched one kernel at a time: {error}", stacklevel=2
                )
                return None
        replay = self._recorded[key]
        return lambda images: replay(images, *given)

    def _record(
        self, module: nn.Module, inputs: Tensor, given: tuple[Tensor, ...], autocast: Autocast
    ) -> Callable[..., Tensor]:
        names, parameters = zip(*module.named_parameters(), strict=True)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()

        def run(images: Tensor, weights: Tensor, *rest: Tensor) -> Tensor:
            edges, own = (rest[0], rest[1:]) if len(given) > 1 else (None, rest)
            active = Mixed(weights.unbind(0), None, edges)
            with autocast():
                logits: Tensor = functional_call(module, dict(zip(names, own, strict=True)), (images, active))
            return logits.float()

        samples = [value.detach().clone() for value in (inputs, *given)]
        # other leaves on the same memory, so that gradients of the parameters themselves wait for no other stream
        samples += [parameter.detach() for parameter in parameters]
        for sample, value in zip(samples, (inputs, *given, *parameters), strict=True):
            sample.requires_grad_(value.requires_grad)
        kept = [buffer.clone() for buffer in module.buffers()]  # what batch norms saw, before passes of warming up
        try:
            with warnings.catch_warnings():  # leaves of warming up live on while the passes are recorded
                warnings.filterwarnings("ignore", "The AccumulateGrad node's stream does not match")
                replay = torch.cuda.make_graphed_callables(
                    run, tuple(samples), allow_unused_input=True, pool=self._pool
                )
        finally:
            for buffer, value in zip(module.buffers(), kept, strict=True):
                buffer.copy_(value)
        return lambda images, *given: cast(Tensor, replay(images, *given, *parameters))


def _plain(mixture: Mixed) -> bool:
    """Whether a mixture is its weights, of one length, and nothing else that could differ from pass to pass."""
    if len({len(row) for row in mixture.weights}) != 1:
        return False
    others = (part for part in dataclasses.fields(Mixed) if part.name not in ("weights", "edges"))
    return all(getattr(mixture, part.name) == part.default for part in others)


def _repeatable(module: nn.Module) -> bool:
    """Whether nothing is drawn in a pass, and no gradient is there to be added to."""
    drawn = any(getattr(part, "generator", False) is not False for part in module.modules())
    return not drawn and all(weight.grad is None for weight in module.parameters() if weight.requires_grad)


def _kind(module: nn.Module, inputs: Tensor, given: tuple[Tensor, ...]) -> Hashable:
    """What must be the same for a pass to be the same kernels."""
    learns = any(weight.requires_grad for weight in module.parameters())
    return (
        module.training, learns, tuple(inputs.shape), inputs.stride(), tuple(value.shape for value in given),
        tuple(value.requires_grad for value in given),
    )  # fmt: skip
