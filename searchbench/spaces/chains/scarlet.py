"""SCARLET's space: 19 inverted residuals of six kinds, with or without squeeze and excite, or left out.

Thirteen layers keep sides and channels and may be left out: 12^6 * 13^13 = 9.0e20 networks.
"""

from __future__ import annotations

from itertools import product

from searchbench.spaces.chains.mobile import EXPANSIONS, KERNELS, chain_of_blocks
from searchbench.spaces.space import Space

FORMS: dict[str, tuple[int, int, bool]] = {
    f"k{kernel}e{expansion}{'se' * squeezed}": (kernel, expansion, squeezed)
    for kernel, expansion, squeezed in product(KERNELS, EXPANSIONS, (False, True))
}
"""(kernel, expansion, whether there is squeeze and excite) of every block."""


def mobile_scarlet(
    stabilised: bool = True,
    stem: int = 32,
    first: int = 16,
    channels: tuple[int, ...] = (32, 40, 80, 96, 192, 320),
    layers: tuple[int, ...] = (2, 4, 4, 4, 4, 1),
    strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1),
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """The space of Chu et al. 2021, "SCARLET-NAS: bridging the gap between stability and scalability in weight-sharing
    neural architecture search", with squeeze and excite, and its stabilised skips.

    In the supernet, and there alone, a layer that is left out computes a linear 1x1 convolution without batch norm: its
    outputs are then as unlike its inputs as those of other options are. Networks have the identity there, which can
    compute the same: a linear map goes into the weights that read it.

    Args:
        stabilised: whether the supernet has these convolutions; False: the identity, as FairNAS's has.
        stem: output channels of the first convolution.
        first: output channels of the fixed block of expansion 1 that follows it.
        channels: output channels of every stage.
        layers: blocks of every stage.
        strides: of every stage's first block.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.

    Differs: only a layer that keeps sides and channels may be left out, as in the released networks.
    """
    counts = {
        "stem": stem,
        "first": first,
        "channels": channels,
        "layers": layers,
        "strides": strides,
        "last": last,
        "stem_stride": stem_stride,
    }
    networks = "searchbench.spaces.chains.scarlet_networks:scarlet_networks"
    return chain_of_blocks("mobile-scarlet", tuple(FORMS), counts, {"stabilised": stabilised}, networks, zero=True)
