"""Many stand-alone networks of the NAS-Bench-201 space as one, computing what each computes by itself.

Per source node and kernel size, the convolutions of all networks that use it run as one batched product; gathers and
scatters over the networks stand in between. Edges that nothing enters or that lead nowhere are left out, as in
`StandAloneCell`. A network cannot reach another's numbers: what is not finite in one stays there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.nasbench201 import stack_arithmetic as arithmetic
from searchbench.spaces.nasbench201.cells import StandAloneCell
from searchbench.spaces.nasbench201.networks import CellNetwork
from searchbench.spaces.nasbench201.stack_cells import StackedCell
from searchbench.spaces.nasbench201.stacks import StackedConvNorm, StackedNorm, StackedTensor, whole
from searchbench.spaces.operations import Reduction


class StackedCellNetworks(nn.Module):
    """Networks of one skeleton, as one module; see `stacked.Stacks`.

    Args:
        networks: initialised, on one device; their weights and statistics are copied.
    """

    def __init__(self, networks: Sequence[CellNetwork]) -> None:
        super().__init__()
        frames = [network.frame for network in networks]
        device = frames[0].classifier.weight.device
        self.first_of_stage = frames[0].first_of_stage
        self.stem = StackedConvNorm.of([frame.stem for frame in frames])
        self.reductions = nn.ModuleList(
            _StackedReduction([cast(Reduction, frame.reductions[at]) for frame in frames])
            for at in range(len(frames[0].reductions))
        )
        cells = [[cast(StandAloneCell, cell) for cell in network.cells] for network in networks]
        self.cells = nn.ModuleList(StackedCell(stacked, device) for stacked in zip(*cells, strict=True))
        self.norm = StackedNorm.of([frame.norm for frame in frames])
        self.weight = StackedTensor(whole([frame.classifier.weight for frame in frames]))
        self.bias = StackedTensor(whole([frame.classifier.bias for frame in frames]))

    def forward(self, images: Tensor) -> Tensor:
        """[G, B, C, H, W] -> logits [N, B, classes]; G is N, or 1 where all networks see the same images."""
        stack = arithmetic.to_rows(images).contiguous()
        value = self.stem(stack.expand(len(self.weight), -1, -1, -1, -1))
        for at, cell in enumerate(self.cells):
            stage = self.first_of_stage.get(at)
            value = cell(value if stage is None else self.reductions[stage](value))
        features = F.relu(self.norm(value)).mean((1, 3))
        return torch.baddbmm(self.bias.value[:, None], features, self.weight.value.transpose(1, 2))


class _StackedReduction(nn.Module):
    """`Reduction` of several networks."""

    def __init__(self, blocks: Sequence[Reduction]) -> None:
        super().__init__()
        self.first = StackedConvNorm.of([block.first for block in blocks], stride=2)
        self.second = StackedConvNorm.of([block.second for block in blocks])
        self.shortcut = StackedTensor(whole([block.shortcut.weight for block in blocks]))

    def forward(self, value: Tensor) -> Tensor:
        residual = self.second(F.relu(self.first(F.relu(value))))
        pooled = F.avg_pool2d(arithmetic.to_planes(value), 2, 2, ceil_mode=True, count_include_pad=False)
        shortcut = F.conv2d(pooled, self.shortcut.value.flatten(0, 1), groups=len(value))
        return residual + arithmetic.from_planes(shortcut, len(value))  # type: ignore[no-any-return]
