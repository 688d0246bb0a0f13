"""Compound scaling as a space: how much deeper, wider and larger in its images a network is than EfficientNet-B0."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts, check_stages
from searchbench.spaces.space import Architecture, Space

DIVISOR = 8


@dataclass(frozen=True, slots=True)
class ScaledStage:
    """A stage with its numbers worked out."""

    expansion: int
    kernel: int
    stride: int
    """Of the first layer."""
    channels: int
    layers: int


def efficientnet(
    depths: tuple[float, ...] = (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1),
    widths: tuple[float, ...] = (1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0),
    resolutions: tuple[float, ...] = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0),
    phis: tuple[float, ...] = (),
    coefficients: tuple[float, float, float] = (1.2, 1.1, 1.15),
    stem: int = 32,
    channels: tuple[int, ...] = (16, 24, 40, 80, 112, 192, 320),
    layers: tuple[int, ...] = (1, 2, 2, 3, 3, 4, 1),
    strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1),
    expansions: tuple[int, ...] = (1, 6, 6, 6, 6, 6, 6),
    kernels: tuple[int, ...] = (3, 3, 5, 3, 5, 5, 3),
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """Scalings of EfficientNet-B0, Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural
    networks": layers of every stage times `depth`, channels times `width`, the images' sides times `resolution`.

    With `phis` there is one decision, and depth = alpha^phi, width = beta^phi, resolution = gamma^phi (compound
    scaling); without, three: what the paper's grid search for alpha, beta and gamma is over.

    Args:
        depths, widths, resolutions: to choose from, each on its own.
        phis: to choose from instead.
        coefficients: alpha, beta, gamma.
        stem: output channels of the first convolution.
        channels, layers, strides, expansions, kernels: of every stage, unscaled; strides are the first layers'.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.

    Differs: images come from the task in one size, and a network resamples them itself (bilinear, with antialiasing)
        before its first convolution, so that a larger resolution costs more and shows no more; no dropped paths and no
        dropout, which the paper scales too.
    """
    counts = {
        "stem": stem,
        "channels": channels,
        "layers": layers,
        "strides": strides,
        "expansions": expansions,
        "kernels": kernels,
        "last": last,
        "stem_stride": stem_stride,
    }
    check_counts("efficientnet", counts)
    check_stages(
        "efficientnet", channels=channels, layers=layers, strides=strides, expansions=expansions, kernels=kernels
    )
    options = {"depth": depths, "width": widths, "resolution": resolutions}
    for name, values in {**options, "coefficients": coefficients}.items():
        if not values or any(not value > 0 for value in values):
            raise StudyError(f"efficientnet: `{name}` must be made of positive numbers, but got {values!r}.")
    scaled_by = {"phi": tuple(map(float, phis))} if phis else options
    return Space(
        name="efficientnet",
        decisions=tuple(Choice(name, tuple(map(float, values))) for name, values in scaled_by.items()),
        settings=MappingProxyType({**counts, "coefficients": tuple(map(float, coefficients))}),
        canonical=canonical,
        networks="searchbench.spaces.chains.efficientnet_networks:EfficientNetworks",
        shares_weights=False,
    )


def scales(architecture: Architecture) -> tuple[float, float, float]:
    """(depth, width, resolution)."""
    chosen = {name: float(str(value)) for name, value in architecture.as_dict().items()}
    if "phi" in chosen:
        alpha, beta, gamma = (base ** chosen["phi"] for base in architecture.space.settings["coefficients"])
        return alpha, beta, gamma
    return chosen["depth"], chosen["width"], chosen["resolution"]


def rounded(channels: float) -> int:
    """The nearest multiple of 8, of at least 8, that is not more than a tenth below."""
    found = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return found + DIVISOR if found < 0.9 * channels else found


def stages(architecture: Architecture, width: float = 1.0) -> Iterator[ScaledStage]:
    """The stages of an architecture, with channels times `width`."""
    settings, (depth, wide, _) = architecture.space.settings, scales(architecture)
    names = ("expansions", "kernels", "strides", "channels", "layers")
    for expansion, kernel, stride, channels, layers in zip(*(settings[name] for name in names), strict=True):
        # 2 * 1.1 is 2.2000000000000002, and 5 * 1.2 just 6
        number = math.ceil(round(layers * depth, 9))
        yield ScaledStage(expansion, kernel, stride, rounded(channels * wide * width), number)


def canonical(architecture: Architecture) -> str:
    """What is built: scalings that round to the same layers and channels, on images alike, share a key."""
    settings, (_, wide, resolution) = architecture.space.settings, scales(architecture)
    own = " ".join(f"{stage.channels}x{stage.layers}" for stage in stages(architecture))
    ends = f"{rounded(settings['stem'] * wide)} {rounded(settings['last'] * wide)}"
    return f"{own} {ends} @{resolution:.4g}"
