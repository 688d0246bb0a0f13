"""Several supernets in place of one: each shares weights among fewer architectures. This file imports torch."""

from __future__ import annotations

import copy
import math
from typing import cast

from torch import Tensor, nn

from searchbench.errors import StudyError
from searchbench.spaces.networks import Active, Mixed, Path, Supernet
from searchbench.spaces.space import Architecture


class Several(nn.Module):
    """One supernet for each way in which some decisions can be taken, all of them copies of one in the beginning.

    A path runs through the supernet of its own decisions, and leaves the others alone.

    Args:
        supernet: what they are copies of.
        decisions: by position in its `options`.

    Raises:
        StudyError: there is no such decision, or one is named twice.
    """

    def __init__(self, supernet: Supernet, decisions: tuple[int, ...]) -> None:
        super().__init__()
        self.options = supernet.options
        positions = range(len(self.options))
        if len(set(decisions)) < len(decisions) or not set(decisions) <= set(positions):
            raise StudyError(
                f"a supernet is split by distinct decisions, of 0 … {len(self.options) - 1} here, but got {decisions}."
            )
        self.decisions = decisions
        self._arities = tuple(self.options[at] for at in decisions)
        whole = cast(nn.Module, supernet)
        self.parts = nn.ModuleList(copy.deepcopy(whole) for _ in range(math.prod(self._arities)))

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        if isinstance(active, Mixed):
            raise StudyError("several supernets run single paths, not mixtures; use a sampler of paths.")
        output: Tensor = self.of(active)(inputs, active)
        return output

    def of(self, path: Path) -> Supernet:
        """The supernet that a path runs through."""
        number = 0
        for at, arity in zip(self.decisions, self._arities, strict=True):
            number = number * arity + path[at]
        return cast(Supernet, self.parts[number])

    def macs(self, active: Active) -> int:
        """Multiply-accumulates, as each supernet has them."""
        return cast(Supernet, self.parts[0]).macs(active)

    def path(self, architecture: Architecture) -> Path:
        """The path, as each supernet has it."""
        return cast(Supernet, self.parts[0]).path(architecture)

    def architecture(self, path: Path) -> Architecture:
        """The architecture, as each supernet has it."""
        return cast(Supernet, self.parts[0]).architecture(path)
