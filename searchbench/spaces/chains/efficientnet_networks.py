"""Networks of EfficientNet's scalings (Tan & Le 2019 and the released code). This file imports torch.

Images resampled, stem 3x3, inverted residuals with squeeze and excite of a quarter of their inputs, 1x1, mean over the
pixels, linear classifier; SiLU throughout.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.chains.efficientnet import ScaledStage, rounded, scales, stages
from searchbench.spaces.chains.mnasnet_networks import SkippedBlock
from searchbench.spaces.layers.convolutions import Head, SqueezeExcite, conv_norm, inverted
from searchbench.spaces.layers.networks import begin
from searchbench.spaces.networks import Shape, Supernet, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form


class ScaledNetwork(nn.Module):
    """Stages of inverted residuals on images whose sides are scaled."""

    def __init__(
        self,
        stages: Iterable[ScaledStage],
        resolution: float,
        inputs: int,
        stem: int,
        stem_stride: int,
        last: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.stem = conv_norm(inputs, stem, 3, stem_stride, activation=nn.SiLU)
        self.layers = nn.Sequential()
        read = stem
        for stage in stages:
            for at in range(stage.layers):
                stride = 1 if at else stage.stride
                layer = _layer(read, stage, stride)
                alike = stride == 1 and read == stage.channels
                self.layers.append(SkippedBlock(layer, pool=False) if alike else layer)
                read = stage.channels
        self.head = Head(read, last, classes, activation=nn.SiLU)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        sides = [max(1, round(side * self.resolution)) for side in inputs.shape[2:]]
        if sides != list(inputs.shape[2:]):
            inputs = F.interpolate(inputs, sides, mode="bilinear", antialias=True)
        return self.head(self.layers(begin(self.stem, inputs)))  # type: ignore[no-any-return]


class EfficientNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> ScaledNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        settings, (_, wide, resolution) = self.space.settings, scales(architecture)
        stem, last = (rounded(settings[name] * wide * width) for name in ("stem", "last"))
        with torch.device("meta"):
            found = stages(architecture, width)
            return ScaledNetwork(found, resolution, shape[0], stem, settings["stem_stride"], last, classes)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """Raises SpaceError: whole networks are scaled, and trained by themselves."""
        raise SpaceError("space `efficientnet` has no supernet: every network of it is trained by itself.")

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)


def _layer(inputs: int, stage: ScaledStage, stride: int) -> nn.Sequential:
    branch = inverted(inputs, stage.channels, stage.kernel, stage.expansion, stride, activation=nn.SiLU)
    branch.insert(len(branch) - 1, SqueezeExcite(inputs * stage.expansion, max(1, inputs // 4), nn.SiLU))
    return branch
