"""DenseNAS's space: which blocks of a chain of candidates are taken, each of a width of its own, and their layers.

A stage has candidates of ascending widths, of which any may be left out but not all; what is taken reads what was taken
before it. The first block taken of a stage has its stride.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, count
from types import MappingProxyType
from typing import Any

from searchbench.errors import SpaceError, StudyError
from searchbench.spaces.choices import Choice, When
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import Edge, Topology

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 6)
HEADS = tuple(f"k{kernel}e{expansion}" for kernel in KERNELS for expansion in EXPANSIONS)
"""What a block's first layer can be: it aligns what it reads with the block's shape."""
LAYERS = (*HEADS, "skip")
"""What its other layers can be."""
FIXED, END = "fixed", "end"
"""The block before the first candidate, and the 1x1 convolution after the last."""


@dataclass(frozen=True, slots=True)
class TakenBlock:
    """A block that is taken."""

    stage: int
    width: int
    layers: tuple[str, ...]
    """The first aligns; skips are left in."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A way on from one value of the supernet to another: through one layer of a block."""

    source: int
    target: int
    """Values are numbered in the order of their computation, that of the fixed block being 0."""
    block: str
    """Stage and width, or `END`."""
    layer: int
    """Of the block, from 1; 1 aligns."""
    weights: str
    """Where its weights are, but for the name of the operation."""
    inputs: int
    outputs: int
    stride: int
    options: tuple[str, ...]


def densenas(
    stem: int = 16,
    first: int = 16,
    widths: tuple[tuple[int, ...], ...] = (
        (24,),
        (32, 40, 48),
        (56, 64, 72),
        (96, 112, 128),
        (160, 176, 192),
        (320, 352, 384),
    ),
    strides: tuple[int, ...] = (2, 2, 2, 1, 2, 1),
    layers: int | tuple[int, ...] = (4, 4, 4, 4, 4, 1),
    last: int = 1984,
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
        layers: of the blocks of every stage, the aligning one among them; one number is that of all.
        last: output channels of the last convolution.
        stem_stride: of the first convolution.

    Raises:
        StudyError: a setting is out of range.

    Defaults are the widths, strides and layers of the released code.
    Differs: a block can be followed by any later one of its stage and any of the next, where the paper connects it to
        the next four.
    """
    counts = {"stem": stem, "first": first, "strides": strides, "layers": layers, "last": last}
    check_counts("densenas", {**counts, "stem_stride": stem_stride, "widths": tuple(w for own in widths for w in own)})
    if len(widths) != len(strides) or not widths:
        raise StudyError(f"densenas: every stage needs widths and a stride, but got {widths!r} and {strides!r}.")
    if isinstance(layers, tuple) and len(layers) != len(widths):
        raise StudyError(f"densenas: `layers` is one number, or one for each of {len(widths)} stages, not {layers!r}.")
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
            for layer in range(1, depth(layers, stage) + 1):
                options = LAYERS if layer > 1 else HEADS
                decisions.append(Choice(f"layer {stage}.{width}.{layer}", options, when_any))
    settings = {**counts, "widths": widths, "stem_stride": stem_stride, "affine": True}
    return Space(
        name="densenas",
        decisions=tuple(decisions),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.chains.densenas_networks:DenseNetworks",
        topology=_routes(settings),
    )


def depth(layers: int | tuple[int, ...], stage: int) -> int:
    """Layers of the blocks of a stage, counted from 1."""
    return layers if isinstance(layers, int) else layers[stage - 1]


def connections(settings: Mapping[str, Any]) -> Iterator[Connection]:
    """All connections of the supernet: those that enter a value one after the other, the value before those that are
    computed of it."""
    before, values = [(FIXED, settings["first"], 0)], count(1)
    for stage, widths in enumerate(settings["widths"], start=1):
        here: list[tuple[str, int, int]] = []
        for width in widths:
            name, value = f"{stage}_{width}", next(values)
            for source, inputs, at in (*before, *here):
                stride = settings["strides"][stage - 1] if (source, inputs, at) in before else 1
                yield Connection(at, value, name, 1, f"{name}_from_{source}", inputs, width, stride, HEADS)
            for layer in range(1, depth(settings["layers"], stage)):
                at, value = value, next(values)
                yield Connection(at, value, name, layer + 1, f"{name}_{layer}", width, width, 1, LAYERS)
            here.append((name, width, value))
        before = here
    value = next(values)
    for _, width, at in before:
        yield Connection(at, value, END, 1, str(width), width, settings["last"], 1, (END,))


def _routes(settings: Mapping[str, Any]) -> Topology:
    """The connections as edges: an architecture takes one route."""
    found, operations = tuple(connections(settings)), (*LAYERS, END)
    return Topology(
        edges=tuple(Edge("blocks", way.target, way.source) for way in found),
        operations=operations,
        learnable=(*HEADS, END),
        allowed=tuple(tuple(operations.index(name) for name in way.options) for way in found),
        forms=("routes",),
        routed=True,
    )


def taken(architecture: Architecture) -> Iterator[TakenBlock]:
    """The blocks of an architecture, in order."""
    chosen, settings = architecture.as_dict(), architecture.space.settings
    for stage in range(1, len(settings["widths"]) + 1):
        for width in map(int, str(chosen[f"blocks {stage}"]).split(".")):
            layers = range(1, depth(settings["layers"], stage) + 1)
            own = (str(chosen[f"layer {stage}.{width}.{layer}"]) for layer in layers)
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
