"""Stand-alone networks of the DARTS space and of any genotype: the evaluation networks of the literature.

Cells in a row, reductions at a third and two thirds of the depth, where channels double (Liu et al. 2019, appendix).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.darts.genotypes import Genotype, GenotypeCell
from searchbench.spaces.darts.operations import (
    FactorizedReduce,
    ReluConvNorm,
    dropped_paths,
    operation,
)
from searchbench.spaces.darts.space import genotype
from searchbench.spaces.networks import DropPath, Shape, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

if TYPE_CHECKING:
    from searchbench.spaces.darts.supernet import DartsSupernet

AUXILIARY_SIDES = {"cifar": 32, "imagenet": 224}
"""Sides of the images for which each stem's auxiliary head is defined."""


class DartsNetwork(nn.Module):
    """The network of a genotype.

    Args:
        genotype: of the cells.
        channels: of the first cells' nodes.
        cells: how many.
        shape, classes: of the task.
        stem: "cifar": one 3x3 convolution; "imagenet": three of stride 2.
        auxiliary: a second classifier behind the second reduction, in training mode only; see `logits`.
    """

    def __init__(
        self,
        genotype: Genotype,
        channels: int,
        cells: int,
        shape: Shape,
        classes: int,
        stem: str = "cifar",
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.drop_path = DropPath()
        self.stem = stem_of(stem, shape[0], channels)
        self.reductions = reductions(cells)
        inputs = self.stem.outputs
        reduced, width, built = self.stem.reduces, channels, []
        for at in range(cells):
            reduction = at in self.reductions
            width *= 2 if reduction else 1
            chosen = (genotype.reduce if reduction else genotype.normal).existing
            built.append(StandAloneCell(chosen, inputs, width, reduction, reduced, self.drop_path))
            inputs, reduced = (inputs[1], width * len(chosen.concat)), reduction
            if at == self.reductions[-1]:
                behind = inputs[1]
        self.cells = nn.ModuleList(built)
        self.auxiliary = AuxiliaryHead(behind, classes, stem) if auxiliary else None
        self.classifier = nn.Linear(inputs[1], classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        return self.logits(inputs)[0]

    def logits(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of the classifier and, in training mode, of the auxiliary head if there is one."""
        before, last = self.stem(inputs)
        auxiliary = None
        for at, cell in enumerate(self.cells):
            before, last = last, cell(before, last)
            if at == self.reductions[-1] and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(last)
        return self.classifier(last.mean((2, 3))), auxiliary


class StandAloneCell(nn.Module):
    """One cell: every node is the sum of its operations, the output concatenates nodes."""

    def __init__(
        self, cell: GenotypeCell, inputs: tuple[int, int], width: int, reduction: bool, reduced: bool, drop: DropPath
    ) -> None:
        super().__init__()
        self.concat, self.drop = cell.concat, drop
        self.sources = tuple(tuple(source for _, source in node) for node in cell.nodes)
        self.first, self.second = preprocessing(inputs, width, reduced, affine=True)
        stride = {source: 2 if reduction and source < 2 else 1 for source in range(len(cell.nodes) + 2)}
        self.operations = nn.ModuleList(
            operation(name, width, stride[source], affine=True) for node in cell.nodes for name, source in node
        )

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        states: dict[int, Tensor] = {0: self.first(before), 1: self.second(last)}
        operations = iter(self.operations)
        for at, sources in enumerate(self.sources):
            terms = [self._term(next(operations), states[source]) for source in sources]
            if terms:
                states[at + 2] = torch.stack(terms).sum(0) if len(terms) > 2 else sum(terms[1:], terms[0])
        return torch.cat([states[state] for state in self.concat], 1)

    def _term(self, module: nn.Module, value: Tensor) -> Tensor:
        output: Tensor = module(value)
        if self.training and self.drop.probability > 0 and not isinstance(module, nn.Identity):
            assert self.drop.generator is not None, "drop-path draws from a generator of its own"
            return dropped_paths(output, self.drop.probability, self.drop.generator)
        return output


class CifarStem(nn.Module):
    """conv3x3 to three times the channels, batch norm; both inputs of the first cell."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 3 * channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3 * channels)
        self.outputs, self.reduces, self.halvings = (3 * channels, 3 * channels), False, 0

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        value = self.norm(self.conv(inputs.contiguous(memory_format=torch.channels_last)))
        value = value.contiguous(memory_format=torch.channels_last)
        return value, value


class ImageNetStem(nn.Module):
    """Three convolutions of stride 2; the first cell reads what comes behind two and behind three of them."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, channels // 2, 3, 2, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels // 2)
        self.second = nn.Conv2d(channels // 2, channels, 3, 2, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        self.third = nn.Conv2d(channels, channels, 3, 2, 1, bias=False)
        self.third_norm = nn.BatchNorm2d(channels)
        self.outputs, self.reduces, self.halvings = (channels, channels), True, 3

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        value = F.relu(self.first_norm(self.first(inputs.contiguous(memory_format=torch.channels_last))))
        before = self.second_norm(self.second(value))
        return before, self.third_norm(self.third(F.relu(before)))


Stem = CifarStem | ImageNetStem


class AuxiliaryHead(nn.Module):
    """ReLU, average pool 5x5, conv1x1 to 128, norm, ReLU, conv2x2 to 768, norm (not for ImageNet), ReLU, linear."""

    def __init__(self, inputs: int, classes: int, stem: str) -> None:
        super().__init__()
        self.stride = 3 if stem == "cifar" else 2
        self.first = nn.Conv2d(inputs, 128, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(128)
        self.second = nn.Conv2d(128, 768, 2, bias=False)
        self.second_norm = nn.BatchNorm2d(768) if stem == "cifar" else nn.Identity()
        self.classifier = nn.Linear(768, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, 8, 8] (CIFAR) or [B, C, 7, 7] (ImageNet) -> logits."""
        pooled = F.avg_pool2d(F.relu(inputs), 5, self.stride, count_include_pad=False)
        value = F.relu(self.first_norm(self.first(pooled)))
        value = F.relu(self.second_norm(self.second(value)))
        return self.classifier(value.flatten(1))  # type: ignore[no-any-return]


def stem_of(kind: str, inputs: int, channels: int) -> Stem:
    """ "cifar" or "imagenet"."""
    return CifarStem(inputs, channels) if kind == "cifar" else ImageNetStem(inputs, channels)


def reductions(cells: int) -> tuple[int, int]:
    """Positions of the reduction cells."""
    return cells // 3, 2 * cells // 3


def preprocessing(inputs: tuple[int, int], width: int, reduced: bool, affine: bool) -> tuple[nn.Module, nn.Module]:
    """What brings a cell's inputs to its width, and the older one to the size of the newer one."""
    older = FactorizedReduce if reduced else ReluConvNorm
    return older(inputs[0], width, affine), ReluConvNorm(inputs[1], width, affine)


class DartsNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> DartsNetwork:
        """The stand-alone network on the meta device, without auxiliary head. `width` multiplies the channels, which
        stay even."""
        return self.regularised(architecture, shape, classes, width)

    def regularised(
        self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0, auxiliary: bool = False
    ) -> DartsNetwork:
        """The network, with an auxiliary head if asked for: for images of 32x32, or of 224x224 behind an ImageNet stem.

        Raises:
            SpaceError: the sides cannot be halved as often as the network does, or the head is not made for them.
        """
        settings = self.space.settings
        channels = max(2, 2 * round(settings["network_channels"] * width / 2))
        self._check(shape)
        side = AUXILIARY_SIDES[settings["stem"]]
        if auxiliary and shape[1:] != (side, side):
            raise SpaceError(
                f"the auxiliary head of `darts` with the {settings['stem']} stem is made for images of {side}x{side}, "
                f"but got {shape[1]}x{shape[2]}; set the recipe's `auxiliary` to 0."
            )
        with torch.device("meta"):
            return DartsNetwork(
                genotype(architecture), channels, settings["network_cells"], shape, classes, settings["stem"], auxiliary
            )

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> DartsSupernet:
        """The supernet on the meta device."""
        from searchbench.spaces.darts.supernet import DartsSupernet

        self._check(shape)
        with torch.device("meta"):
            return DartsSupernet(self.space, shape, classes, form)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, multiply-accumulates of one sample), by running the network on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)

    def _check(self, shape: Shape) -> None:
        """Both reductions halve the sides without a remainder."""
        step = 32 if self.space.settings["stem"] == "imagenet" else 4
        if shape[1] % step or shape[2] % step:
            raise SpaceError(
                f"the reductions of `darts` need images whose sides are divisible by {step}, "
                f"but got {shape[1]}x{shape[2]}; pad or resize them."
            )
