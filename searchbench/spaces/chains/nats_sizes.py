"""The size space of NATS-Bench ("sss"): five widths out of eight, 8^5 = 32,768 architectures (Dong et al. 2021).

For its table only: no network is built here.
"""

from __future__ import annotations

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.labelled import LabelledGraph, chained
from searchbench.spaces.space import Architecture, Space

SIZES = ("8", "16", "24", "32", "40", "48", "56", "64")
LAYERS = 5


def nats_sizes() -> Space:
    """The space: the widths of five layers in turn."""
    return Space(
        name="nats-sss",
        decisions=tuple(Choice(f"width {at}", SIZES) for at in range(1, LAYERS + 1)),
        writer=write,
        reader=read,
        shares_weights=False,
        graph=graph,
    )


def graph(architecture: Architecture) -> LabelledGraph:
    """The layers, with their widths."""
    return chained(("conv", int(str(width))) for width in architecture.values)


def write(architecture: Architecture) -> str:
    """The benchmark's notation: ``8:64:32:16:8``."""
    return ":".join(str(value) for value in architecture.values)


def read(space: Space, text: str) -> Architecture:
    """Parse the benchmark's notation. Raises SpaceError."""
    widths = text.split(":")
    if len(widths) != LAYERS or not set(widths) <= set(SIZES):
        raise SpaceError(f"a nats-sss architecture is {LAYERS} widths of {', '.join(SIZES)} as `8:64:…`, not {text!r}.")
    return space.architecture(tuple(widths))
