"""Two stages of one search: fewer operations make room for more of the channels, and everything goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from searchbench.errors import StudyError
from searchbench.spaces.space import Space
from searchbench.strategies.differentiable.prune import Stage, equal_stage

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from searchbench.spaces.topology import Topology


@dataclass(frozen=True, slots=True)
class MoreChannels:
    """Train all operations on 1/K of the channels in a half of the epochs, and on every edge the `keep` heaviest on the
    next 1/K in the other. Weights, logits and what the logits' optimiser remembers go on; a kernel that has to be
    wider gets copies of channels of its own, drawn at random.

    Source: Chen et al. 2021, "DrNAS: Dirichlet neural architecture search", section 3.4, and its code for
    NAS-Bench-201: K of 4 and 2, five operations and three.
    Differs: the momentum of the weights begins anew.

    Raises:
        StudyError: a value is out of range.
    """

    divisors: tuple[int, int] = (4, 2)
    keep: int | None = None
    """Operations per edge in the second half; None: half of them, rounded up."""
    prunes = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "divisors", tuple(self.divisors))
        first, second = self.divisors
        if not first > second >= 1:
            raise StudyError(f"the share of the channels must grow, so `divisors` fall, but got {self.divisors}.")
        if self.keep is not None and self.keep < 2:
            raise StudyError(f"the second half needs at least 2 operations to `keep`, but got {self.keep}.")

    def stage(self, epoch: int, epochs: int) -> Stage:
        return equal_stage(epoch, epochs, 2)

    def cells(self, stage: int) -> int | None:
        return None

    def divisor(self, stage: int) -> int:
        """K in a stage."""
        return self.divisors[stage]

    def after_epoch(self, weights: Tensor, mask: Tensor, epoch: int, epochs: int, topology: Topology) -> Tensor:
        now = self.stage(epoch, epochs)
        if now.number or epoch + 1 < now.first + now.length:
            return mask
        keep = (mask.shape[1] + 1) // 2 if self.keep is None else self.keep
        heaviest = weights.masked_fill(~mask, -1.0).sort(dim=1, descending=True, stable=True).indices[:, :keep]
        return mask.clone().fill_(False).scatter_(1, heaviest, True) & mask

    def unsupported(self, space: Space) -> str | None:
        options = len(space.wiring.operations) if space.wiring is not None else 0
        if self.keep is not None and options and self.keep >= options:
            return f"it must drop some of the {options} operations of `{space.name}`, but keeps {self.keep}."
        return None


def widened(before: Mapping[str, Tensor], after: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """The state of a supernet brought to the shapes of a wider one: along every dimension that has grown, what was
    there, then copies of it, drawn with replacement."""
    import torch

    found = {}
    for name, like in after.items():
        value = before[name]
        for dim, (old, new) in enumerate(zip(value.shape, like.shape, strict=True)):
            if new != old:
                copies = torch.randint(old, (new - old,), generator=generator)
                value = value.index_select(dim, torch.cat([torch.arange(old), copies]).to(value.device))
        found[name] = value
    return found
