"""The macro space of ENAS: whole networks (Pham et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from types import MappingProxyType

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space

MACRO_OPERATIONS = ("conv3", "sep3", "conv5", "sep5", "avg3", "max3")


def enas_macro(layers: int = 12, channels: int = 36, stages: int = 3) -> Space:
    """Whole networks: every layer has an operation, and a bit for the stem and for each earlier layer but the one
    before it, whose output is added to its own; what the layer before gives is its input. The stem is counted as layer
    0: bit "0-2" adds the stem's output to that of layer 2, as in the released code.

    With 12 layers there are 12 + 66 decisions and 6^12 * 2^66 = 1.6e29 networks.

    Args:
        layers: the first of which has no bits.
        channels: of every layer.
        stages: of about equally many layers, between which the sides are halved.

    Raises:
        StudyError: a setting is out of range.
    """
    settings = {"layers": layers, "channels": channels, "stages": stages}
    check_counts("enas-macro", settings)
    found = []
    for layer in range(1, layers + 1):
        found.append(Choice(f"layer {layer}", MACRO_OPERATIONS))
        found += [Choice(f"skip {before}-{layer}", (0, 1)) for before in range(layer - 1)]
    return Space(
        name="enas-macro",
        decisions=tuple(found),
        settings=MappingProxyType(settings),
        writer=write_macro,
        reader=read_macro,
        networks="searchbench.spaces.enas.macro_networks:MacroNetworks",
    )


def macro_layers(architecture: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(operation, what is added: 0 for the stem, from 1 the earlier layers) of every layer."""
    values = iter(architecture.values)
    for layer in range(architecture.space.settings["layers"]):
        operation = str(next(values))
        bits = [next(values) for _ in range(layer)]
        yield operation, tuple(at for at, bit in enumerate(bits) if bit == 1)


def write_macro(architecture: Architecture) -> str:
    """The numbers of the released code, the operation's and the bits of each layer, layers apart by bars."""
    parts = []
    for layer, (operation, skips) in enumerate(macro_layers(architecture)):
        bits = "".join("1" if at in skips else "0" for at in range(layer))
        parts.append(f"{MACRO_OPERATIONS.index(operation)} {bits}".strip())
    return "|".join(parts)


def _apart(numbers: list[str]) -> list[str]:
    """Numbers without bars, layer by layer: of the n-th layer, n."""
    ends = [0]
    while ends[-1] < len(numbers):
        ends.append(ends[-1] + len(ends))
    return [" ".join(numbers[begin:end]) for begin, end in pairwise(ends)]


def read_macro(space: Space, text: str) -> Architecture:
    """Parse what `write_macro` writes, or numbers one after the other, as the released scripts have them. Raises
    SpaceError."""
    values: list[object] = []
    parts = text.split("|") if "|" in text else _apart(text.split())
    if len(parts) != space.settings["layers"]:
        raise SpaceError(f"`enas-macro` has {space.settings['layers']} layers apart by bars, but got {text!r}.")
    for layer, part in enumerate(parts):
        digits = part.replace(" ", "")
        if len(digits) != layer + 1 or digits[0] not in "012345" or not set(digits[1:]) <= set("01"):
            raise SpaceError(f"layer {layer + 1} is a digit from 0 to 5 and {layer} bits, but got {part!r}.")
        values += [MACRO_OPERATIONS[int(digits[0])], *map(int, digits[1:])]
    return space.architecture(tuple(values))
