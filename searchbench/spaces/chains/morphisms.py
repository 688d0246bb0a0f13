"""Auto-Keras's networks: convolutions that are inserted, widened and connected by skips (Jin et al. 2019).

A stage is a chain of places for layers, of which the first is always taken. A place is empty (0), or its convolution
has `channels` times 1, 2, 4 … filters, so that one step of one decision inserts a layer, doubles its width, or adds a
connection: the morphisms of the paper, and their inverses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice, Integer, When
from searchbench.spaces.labelled import INPUT, OUTPUT, LabelledGraph
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space

NONE, ADD, CONCAT = SKIPS = ("none", "add", "concat")
SIGNS = {ADD: "+", CONCAT: "&"}
SKIP = re.compile(r"(\d+)([+&])(\d+)")


@dataclass(frozen=True, slots=True)
class GrownPlan:
    """What an architecture computes: layers from 1, in order."""

    sizes: tuple[tuple[int, ...], ...]
    """Of every stage's layers: 1 for the narrowest, then doublings."""
    skips: tuple[tuple[int, int, str], ...]
    """(from behind this layer, to behind that one, "add" or "concat"), each once."""


def grown(channels: int = 64, stages: int = 3, layers: int = 4, widths: int = 4, dense: int = 64) -> Space:
    """The space of Auto-Keras within bounds: 5.8e38 points at the defaults, the paper's initial network the
    smallest of them.

    Args:
        channels: filters of the narrowest layer.
        stages: with a max pool behind each.
        layers: places of every stage.
        widths: how many, each twice the one before.
        dense: units of the layer before the classifier.

    Raises:
        StudyError: a setting is out of range.

    Source: Jin, Song & Hu 2019, "Auto-Keras: an efficient neural architecture search system", section 3; the released
        code, version 0.2.
    Differs: at most `layers` a stage and `widths` (the released code: 100 layers of 4096 filters); an inserted layer is
        of the least width, not its neighbour's; the dense layer is fixed. A skip that begins at an empty place begins
        at the last layer before it, so that networks whose layers stand elsewhere in their stage share a key.
    """
    settings = {"channels": channels, "stages": stages, "layers": layers, "widths": widths, "dense": dense}
    check_counts("auto-keras", settings)
    places = [(stage, at) for stage in range(1, stages + 1) for at in range(1, layers + 1)]
    sizes = tuple(Integer(f"layer {stage}.{at}", int(at == 1), widths) for stage, at in places)
    there = {sizes[at].name: When(sizes[at].name, range(1, widths + 1)) for at in range(len(sizes)) if at % layers}
    skips = tuple(
        Choice(f"skip {one[0]}.{one[1]}-{other[0]}.{other[1]}", SKIPS, when=there.get(f"layer {other[0]}.{other[1]}"))
        for one, other in combinations(places, 2)
    )
    return Space(
        name="auto-keras",
        decisions=(*sizes, *skips),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.chains.morphisms_networks:GrownNetworks",
        shares_weights=False,
        graph=graph,
    )


def _drawn(architecture: Architecture) -> tuple[list[int], list[tuple[int, int, str]]]:
    """Sizes of all places, and skips between places, both from 0."""
    settings = architecture.space.settings
    places = settings["stages"] * settings["layers"]
    sizes = [int(str(value)) for value in architecture.values[:places]]
    kinds = zip(combinations(range(places), 2), architecture.values[places:], strict=True)
    return sizes, [(one, other, str(kind)) for (one, other), kind in kinds if kind not in (None, NONE)]


def plan(architecture: Architecture) -> GrownPlan:
    """The network without its empty places."""
    sizes, drawn = _drawn(architecture)
    layers, behind, count = architecture.space.settings["layers"], [], 0
    for size in sizes:
        count += size > 0
        behind.append(count)
    stages = tuple(tuple(filter(None, sizes[at : at + layers])) for at in range(0, len(sizes), layers))
    return GrownPlan(stages, tuple(sorted({(behind[one], behind[other], kind) for one, other, kind in drawn})))


def graph(architecture: Architecture) -> LabelledGraph:
    """Convolutions with their widths, pools left out; a skip is a vertex `add` or `concat` behind the layer to which it
    leads."""
    planned, channels = plan(architecture), architecture.space.settings["channels"]
    labels, widths, arcs = [f"{INPUT} 0"], [0], []
    behind = [0]
    for at, size in enumerate((size for stage in planned.sizes for size in stage), start=1):
        labels.append("conv3x3")
        widths.append(channels << (size - 1))
        arcs.append((behind[-1], len(labels) - 1))
        for kind in (ADD, CONCAT):
            sources = [one for one, other, skip in planned.skips if other == at and skip == kind]
            if sources:
                labels.append(kind)
                widths.append(widths[-1])
                arcs += [(end, len(labels) - 1) for end in (len(labels) - 2, *(behind[one] for one in sources))]
        behind.append(len(labels) - 1)
    arcs.append((behind[-1], len(labels)))
    return LabelledGraph((*labels, OUTPUT), tuple(arcs), (*widths, 0))


def _text(stages: list[list[int]], skips: list[tuple[int, int, str]]) -> str:
    sizes = "|".join(" ".join(map(str, stage)) for stage in stages)
    return ";".join([sizes, *(f"{one}{SIGNS[kind]}{other}" for one, other, kind in skips)])


def write(architecture: Architecture) -> str:
    """Sizes of places, stages apart by bars, then the skips between places: ``1 2 0|1 0 0;1+2;2&4``."""
    sizes, skips = _drawn(architecture)
    layers = architecture.space.settings["layers"]
    stages = [sizes[at : at + layers] for at in range(0, len(sizes), layers)]
    return _text(stages, [(one + 1, other + 1, kind) for one, other, kind in skips])


def canonical(architecture: Architecture) -> str:
    """Text of `write` without the empty places, skips between layers."""
    planned = plan(architecture)
    return _text([list(stage) for stage in planned.sizes], list(planned.skips))


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    stages, layers = space.settings["stages"], space.settings["layers"]
    chain, *skips = text.split(";")
    words = chain.replace("|", " ").split()
    shaped = [len(stage.split()) for stage in chain.split("|")] == [layers] * stages
    if not shaped or not all(word.isdecimal() for word in words):
        raise SpaceError(f"`auto-keras` has {stages} stages of {layers} sizes apart by bars, but got {text!r}.")
    sizes = [int(word) for word in words]
    known: dict[tuple[int, int], str] = {}
    for skip in skips:
        found = SKIP.fullmatch(skip)
        ends = (int(found[1]) - 1, int(found[3]) - 1) if found else (0, 0)
        if not found or not 0 <= ends[0] < ends[1] < len(sizes) or ends in known:
            raise SpaceError(f"a skip of `auto-keras` leads on, as in `1+3` or `1&3`, and once, but got {skip!r}.")
        if not sizes[ends[1]]:
            raise SpaceError(f"the skip {skip!r} of `auto-keras` leads to place {found[3]}, which is empty.")
        known[ends] = ADD if found[2] == "+" else CONCAT
    kinds = [
        known.get((one, other), NONE) if sizes[other] else None for one, other in combinations(range(len(sizes)), 2)
    ]
    return space.architecture((*sizes, *kinds))
