"""The NAS-Bench-Macro space: 8 layers, each left out or one of two inverted residuals (Su et al. 2021).

3^8 = 6,561 networks. A layer that is left out is the identity, except at the start of a stage, where it is a strided
1x1 convolution: 3,969 of the networks are distinct.
"""

from __future__ import annotations

from types import MappingProxyType

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts, stages_of
from searchbench.spaces.space import Architecture, Space

BLOCKS = ("identity", "k3e3", "k5e6")


def macro(stem: int = 32, layers: tuple[int, ...] = (2, 3, 3), last: int = 1280) -> Space:
    """The space.

    Args:
        stem: output channels of the first convolution; every stage doubles them and halves the sides.
        layers: of every stage.
        last: output channels of the last convolution.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {"stem": stem, "layers": layers, "last": last}
    check_counts("macro", settings)
    return Space(
        name="macro",
        decisions=tuple(Choice(f"layer {at}", BLOCKS) for at in range(1, sum(layers) + 1)),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.chains.nasbench_macro_networks:macro_networks",
    )


def write(architecture: Architecture) -> str:
    """The benchmark's digits: ``22212220``."""
    return "".join(str(BLOCKS.index(str(value))) for value in architecture.values)


def read(space: Space, text: str) -> Architecture:
    """Parse the benchmark's digits. Raises SpaceError."""
    if len(text) != len(space.decisions) or not set(text) <= set("012"):
        raise SpaceError(f"a macro architecture is {len(space.decisions)} digits of 0, 1 and 2, but got {text!r}.")
    return space.architecture(tuple(BLOCKS[int(digit)] for digit in text))


def canonical(architecture: Architecture) -> str:
    """The digits with the identities of every stage moved to its end (the first layer stays: it is a convolution)."""
    found = []
    for first, *rest in stages_of(architecture):
        kept = [value for value in rest if value != "identity"]
        found += [first, *kept, *["identity"] * (len(rest) - len(kept))]
    return "".join(str(BLOCKS.index(value)) for value in found)
