"""The blocks that mobile networks are made of: normalised convolutions, inverted residuals, squeeze and excite.

This file imports torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from searchbench.spaces.operations import convolution

Activation = Callable[[], nn.Module]


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    affine: bool = True,
    eps: float = 1e-5,
    activation: Activation | None = None,
) -> nn.Sequential:
    """Convolution without bias, batch norm and, where given, an activation. A stride of 2 halves the side, upwards."""
    parts: list[nn.Module] = [
        convolution(inputs, outputs, kernel, stride, groups=groups),
        nn.BatchNorm2d(outputs, eps=eps, affine=affine),
    ]
    return nn.Sequential(*parts, *([activation()] if activation is not None else []))


def inverted(
    inputs: int,
    outputs: int,
    kernel: int,
    expansion: int,
    stride: int,
    *,
    affine: bool = True,
    eps: float = 1e-5,
    activation: Activation = nn.ReLU6,
    squeeze: int = 0,
    groups: int = 1,
) -> nn.Sequential:
    """The branch of an inverted residual (Sandler et al. 2018), without the addition of its input.

    1x1 to `expansion` times the inputs (left out where the expansion is 1), depthwise kernel x kernel, linear 1x1;
    each with batch norm, the first two with the activation. `squeeze` channels of squeeze and excite, if any, stand
    before the last convolution. Pointwise convolutions in several `groups` have their channels shuffled between them.
    """
    middle = inputs * expansion
    parts: list[nn.Module] = []
    if expansion != 1:
        parts.append(conv_norm(inputs, middle, groups=groups, affine=affine, eps=eps, activation=activation))
    if groups > 1:
        parts.append(nn.ChannelShuffle(groups))
    parts.append(
        conv_norm(middle, middle, kernel, stride, groups=middle, affine=affine, eps=eps, activation=activation)
    )
    if squeeze:
        parts.append(SqueezeExcite(middle, squeeze))
    parts.append(conv_norm(middle, outputs, groups=groups, affine=affine, eps=eps))
    return nn.Sequential(*parts)


def leading_norm(norm: nn.BatchNorm2d, value: Tensor) -> Tensor:
    """[B, C, H, W] -> the same shape, by the first C channels of a batch norm that has more."""
    means, variances, tracked = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert means is not None
    assert variances is not None
    assert tracked is not None
    momentum = 0.0
    if norm.training:
        tracked.add_(1)
        # None is a plain average, which is exact while all batches go through one path
        momentum = 1.0 / float(tracked) if norm.momentum is None else norm.momentum
    at = slice(0, value.shape[1])  # views: the statistics are updated in place
    weight, bias = (norm.weight[at], norm.bias[at]) if norm.affine else (None, None)
    return F.batch_norm(value, means[at], variances[at], weight, bias, norm.training, momentum, norm.eps)


class HardSigmoid(nn.Module):
    """min(max(x + 3, 0), 6) / 6, as PyTorch's, which cannot be differentiated twice."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Gates in [0, 1], of the shape of `inputs`."""
        return F.relu6(inputs + 3.0) / 6.0


class SqueezeExcite(nn.Module):
    """Scales every channel by a number in [0, 1] computed from all channels' means (Hu et al. 2018)."""

    def __init__(
        self, channels: int, squeezed: int, activation: Activation = nn.ReLU, gate: Activation = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.activation, self.gate = activation(), gate()

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        squeezed = self.activation(self.reduce(inputs.mean((2, 3), keepdim=True)))
        return inputs * self.gate(self.expand(squeezed))  # type: ignore[no-any-return]


class Head(nn.Module):
    """1x1 convolution to `middle` channels with batch norm and activation, mean over the pixels, linear classifier."""

    def __init__(
        self,
        inputs: int,
        middle: int,
        classes: int,
        *,
        affine: bool = True,
        eps: float = 1e-5,
        activation: Activation = nn.ReLU,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.features = conv_norm(inputs, middle, affine=affine, eps=eps, activation=activation)
        self.classifier = nn.Linear(middle, classes, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        return self.classifier(self.features(inputs).mean((2, 3)))  # type: ignore[no-any-return]


def scaled(channels: int, width: float, divisor: int = 1) -> int:
    """`channels` times `width`, rounded to a multiple of `divisor`, at least one of it."""
    return divisor * max(1, round(channels * width / divisor))
