"""FBNet's space: a chain of 22 layers, each one of eight inverted residuals or, where it may be, left out.

Kernel 3 or 5; expansion 1, 3 or 6, or 1 with pointwise convolutions in two groups. Six layers change width or stride,
and cannot be left out: 8^6 * 9^16 = 4.9e20 networks (the paper: about 1e21).
"""

from __future__ import annotations

from searchbench.errors import StudyError
from searchbench.spaces.chains.mobile import chain_of_blocks
from searchbench.spaces.space import Space

FORMS: dict[str, tuple[int, int, int]] = {
    f"k{kernel}e{expansion}{'g2' * (groups > 1)}": (kernel, expansion, groups)
    for kernel in (3, 5)
    for expansion, groups in ((1, 1), (1, 2), (3, 1), (6, 1))
}
"""(kernel, expansion, groups) of every block."""


def fbnet(
    stem: int = 16,
    channels: tuple[int, ...] = (16, 24, 32, 64, 112, 184, 352),
    layers: tuple[int, ...] = (1, 4, 4, 4, 4, 4, 1),
    strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1),
    last: int = 1984,
    stem_stride: int = 2,
) -> Space:
    """The space of Wu et al. 2019, "FBNet", section 3.1 and tables 1 and 2; a layer that is left out is its input.

    Args:
        stem: output channels of the first convolution.
        channels: output channels of every stage, even.
        layers: blocks of every stage.
        strides: of every stage's first block.
        last: output channels of the last convolution (FBNet-A: 1504, FBNet-B and -C: 1984).
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.
    """
    counts = {
        "stem": stem,
        "channels": channels,
        "layers": layers,
        "strides": strides,
        "last": last,
        "stem_stride": stem_stride,
    }
    networks = "searchbench.spaces.chains.fbnet_networks:fbnet_networks"
    space = chain_of_blocks("fbnet", tuple(FORMS), counts, {"affine": True}, networks, zero=True)
    if odd := [width for width in (stem, *channels) if width % 2]:
        raise StudyError(f"fbnet: convolutions in two groups need even widths, but got {odd[0]}.")
    return space
