"""S1 to S4: the four reduced DARTS spaces on which Zela et al. 2020 show how DARTS fails.

Source: "Understanding and robustifying differentiable architecture search", section 3 and its code.
"""

from __future__ import annotations

from searchbench.spaces.darts.space import OPERATIONS, darts
from searchbench.spaces.space import Space

_NAMES = {"s": "skip_connect", "m": "max_pool_3x3", "a": "avg_pool_3x3", "s3": "sep_conv_3x3", "s5": "sep_conv_5x5"} | {
    f"d{kernel}": f"dil_conv_{kernel}x{kernel}" for kernel in (3, 5)
}
_NORMAL = "s/d3 s/d5 s/d5 s/s3 s/d3 m/s s/s3 s/s3 s/d3 s/s3 m/s s/d3 d3/d5 d3/d5"
_REDUCE = "m/a m/d3 m/a m/a s/d5 m/a m/s3 s/d3 s/d5 m/a m/a s/d5 s/d5 s/d5"
S1_EDGES = tuple(tuple(_NAMES[short] for short in pair.split("/")) for pair in f"{_NORMAL} {_REDUCE}".split())
"""The two best operations of every edge in an earlier search: 14 edges of the normal, 14 of the reduction cell."""


def darts_s1(channels: int = 16, cells: int = 8) -> Space:
    """S1: two operations per edge, other ones on each."""
    used = {name for pair in S1_EDGES for name in pair}
    return darts(channels, cells, operations=tuple(name for name in OPERATIONS if name in used), edges=S1_EDGES)


def darts_s2(channels: int = 16, cells: int = 8) -> Space:
    """S2: skip connection or 3x3 separable convolution on every edge."""
    return darts(channels, cells, operations=("skip_connect", "sep_conv_3x3"))


def darts_s3(channels: int = 16, cells: int = 8) -> Space:
    """S3: nothing, skip connection or 3x3 separable convolution on every edge."""
    return darts(channels, cells, operations=("none", "skip_connect", "sep_conv_3x3"))


def darts_s4(channels: int = 16, cells: int = 8) -> Space:
    """S4: noise, which ignores its input, or 3x3 separable convolution on every edge."""
    return darts(channels, cells, operations=("noise", "sep_conv_3x3"))
