"""DenseNAS's space: which blocks of a chain of candidates are taken, each of a width of its own, and their layers.

A stage has candidates of ascending widths, of which any may be left out but not all; what is taken reads what was taken
before it. The first block taken of a stage has its stride.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.choices import Choice, When
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 6)
HEADS = tuple(f"k{kernel}e{expansion}" for kernel in KERNELS for expansion in EXPANSIONS)
"""What a block's first layer can be: it aligns what it reads with the block's shape."""
LAYERS = (*HEADS, "skip")
"""What its other layers can be."""


@dataclass(frozen=True, slots=True)
class TakenBlock:
    """A block that is taken."""

    stage: int
    width: int
    layers: tuple[str, ...]
    """The first aligns; skips are left in."""


def densenas(
    stem: int = 32,
    first: int = 16,
    widths: tuple[tuple[int, ...], ...] = (
        (24, 32, 40),
        (48, 56, 64, 72),
        (96, 108, 120),
        (160, 176, 192),
    ),
    strides: tuple[int, ...] = (2, 2, 2, 2),
    layers: int = 3,
    last: int = 1280,
    stem_stride: int = 2,
) -> Space:
    """The densely connected space on MobileNetV2's blocks of Fang et al. 2020, "Densely connected search space for more
    flexible neural architecture search", section 3.1.

    In its supernet a block has a first layer of its own for each block that it may read (a shape-alignment layer), and
    its other layers in common.

    Args:
        stem: output channels of the first convolution.
        first: output channels of the fixed block of expansion 1 that follows it.
        widths: of the candidates of every stage, ascending.
        strides: of every stage's first block.
        layers: of every block, the aligning one among them.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.

    Differs: any number of candidates can be passed over, where the paper connects a block to the next four; widths and
        numbers of candidates are near the paper's; the paper relaxes weights of connections and operations, and
        estimates the chain's cost, where here any strategy that trains single paths searches.
    """
    counts = {"stem": stem, "first": first, "strides": strides, "layers": layers, "last": last}
    check_counts("densenas", {**counts, "stem_stride": stem_stride, "widths": tuple(w for own in widths for w in own)})
    if len(widths) != len(strides) or not widths:
        raise StudyError(f"densenas: every stage needs widths and a stride, but got {widths!r} and {strides!r}.")
    if any(not own or sorted(set(own)) != list(own) for own in widths):
        raise StudyError(f"densenas: the `widths` of every stage must ascend, but got {widths!r}.")
    decisions: list[Choice] = []
    for stage, own in enumerate(widths, start=1):
        subsets = [taken for number in range(1, len(own) + 1) for taken in combinations(own, number)]
        names = {".".join(map(str, taken)): taken for taken in subsets}
        decisions.append(Choice(f"blocks {stage}", tuple(names)))
        for width in own:
            when = When(f"blocks {stage}", tuple(name for name, taken in names.items() if width in taken))
            when_any = None if len(when.values) == len(names) else when
            for layer in range(1, layers + 1):
                options = LAYERS if layer > 1 else HEADS
                decisions.append(Choice(f"layer {stage}.{width}.{layer}", options, when_any))
    return Space(
        name="densenas",
        decisions=tuple(decisions),
        settings=MappingProxyType({**counts, "widths": widths, "stem_stride": stem_stride, "affine": True}),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.chains.densenas_networks:DenseNetworks",
    )


def taken(architecture: Architecture) -> Iterator[TakenBlock]:
    """The blocks of an architecture, in order."""
    chosen, settings = architecture.as_dict(), architecture.space.settings
    for stage in range(1, len(settings["widths"]) + 1):
        for width in map(int, str(chosen[f"blocks {stage}"]).split(".")):
            own = (str(chosen[f"layer {stage}.{width}.{layer}"]) for layer in range(1, settings["layers"] + 1))
            yield TakenBlock(stage, width, tuple(own))


def write(architecture: Architecture) -> str:
    """Layers apart by spaces, blocks by slashes, stages by bars: ``24:k3e6 skip/40:k5e3 k3e3|…``."""
    stages: dict[int, list[str]] = {}
    for block in taken(architecture):
        stages.setdefault(block.stage, []).append(f"{block.width}:{' '.join(block.layers)}")
    return "|".join("/".join(blocks) for blocks in stages.values())


def canonical(architecture: Architecture) -> str:
    """Text of `write` without skips: where a block's layers are left out makes no difference."""
    return write(architecture).replace(" skip", "")


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    values: dict[str, object] = {}
    stages = text.split("|")
    if len(stages) != len(space.settings["widths"]):
        raise SpaceError(f"`densenas` has {len(space.settings['widths'])} stages apart by bars, but got {text!r}.")
    for stage, blocks in enumerate(stages, start=1):
        widths = []
        for block in blocks.split("/"):
            width, _, layers = block.partition(":")
            widths.append(width)
            for layer, name in enumerate(layers.split(), start=1):
                values[f"layer {stage}.{width}.{layer}"] = name
        values[f"blocks {stage}"] = ".".join(widths)
    return space.architecture(values)
