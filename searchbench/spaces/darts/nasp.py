"""The DARTS space with the candidates of NASP: eight operations, more of them large, on the edges of the normal cell,
and five without a kernel on those of the reduction cell.

Source: Yao et al. 2020, "Efficient neural architecture search via proximal iterations", and its code.
"""

from __future__ import annotations

from searchbench.spaces.darts.space import EDGES, darts
from searchbench.spaces.space import Space

NORMAL = (
    "skip_connect",
    "conv_3x1_1x3",
    "dil_conv_3x3",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
REDUCE = ("skip_connect", "avg_pool_3x3", "max_pool_3x3", "max_pool_5x5", "max_pool_7x7")


def darts_nasp(
    channels: int = 16, cells: int = 8, network_channels: int | None = None, network_cells: int | None = None
) -> Space:
    """The space; the arguments are those of `darts`."""
    return darts(
        channels,
        cells,
        operations=(*REDUCE, *NORMAL[1:]),
        network_channels=network_channels,
        network_cells=network_cells,
        edges=(NORMAL,) * len(EDGES) + (REDUCE,) * len(EDGES),
    )
