"""The layer-by-layer space of the first neural architecture search, with skip connections (Zoph & Le 2017).

Every layer is a convolution of some height, width and number of filters (and strides, if searched), and reads any
subset of the layers before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from searchbench.errors import SpaceError
from searchbench.spaces.choices import Choice
from searchbench.spaces.labelled import INPUT, OUTPUT, LabelledGraph
from searchbench.spaces.layers.settings import check_counts
from searchbench.spaces.space import Architecture, Space

SIDES = (1, 3, 5, 7)
STRIDES = (1, 2, 3)
FILTERS = (24, 36, 48, 64)


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One convolution and what it reads."""

    height: int
    width: int
    strides: tuple[int, int]
    filters: int
    inputs: tuple[int, ...]
    """Earlier layers, counted from 0; none: the image."""


def chain(layers: int = 15, filters: tuple[int, ...] = FILTERS, strides: bool = False, skips: bool = True) -> Space:
    """The space: (4 * 4 * filters)^layers * 2^(layers (layers - 1) / 2) networks, times 9^layers with strides.

    Args:
        layers: convolutions.
        filters: numbers of filters to choose from.
        strides: whether each layer also chooses the strides of both axes.
        skips: whether each layer chooses what it reads; without, it reads the layer before.

    Raises:
        StudyError: a setting is out of range.
    """
    check_counts("chain", {"layers": layers, "filters": filters})
    found = []
    for layer in range(1, layers + 1):
        found += [Choice(f"height {layer}", SIDES), Choice(f"width {layer}", SIDES)]
        if strides:
            found += [Choice(f"vertical stride {layer}", STRIDES), Choice(f"horizontal stride {layer}", STRIDES)]
        found.append(Choice(f"filters {layer}", tuple(filters)))
        if skips:
            found += [Choice(f"skip {before}-{layer}", (0, 1)) for before in range(1, layer)]
    return Space(
        name="chain",
        decisions=tuple(found),
        settings=MappingProxyType({"layers": layers, "filters": filters, "strides": strides, "skips": skips}),
        writer=write,
        reader=read,
        networks="searchbench.spaces.chains.zoph_networks:ChainOfConvolutions",
        shares_weights=False,
        graph=graph,
    )


def plans(architecture: Architecture) -> Iterator[LayerPlan]:
    """The layers of an architecture."""
    settings, values = architecture.space.settings, iter(architecture.values)
    for layer in range(settings["layers"]):
        height, width = _int(next(values)), _int(next(values))
        strides = (_int(next(values)), _int(next(values))) if settings["strides"] else (1, 1)
        filters = _int(next(values))
        inputs: tuple[int, ...] = (layer - 1,) if layer else ()
        if settings["skips"]:
            inputs = tuple(before for before in range(layer) if next(values) == 1)
        yield LayerPlan(height, width, strides, filters, inputs)


def unread(architecture: Architecture) -> tuple[int, ...]:
    """Layers that no other reads, the last among them: together they are what the classifier reads."""
    layers = list(plans(architecture))
    read = {source for layer in layers for source in layer.inputs}
    return tuple(at for at in range(len(layers)) if at not in read)


def graph(architecture: Architecture) -> LabelledGraph:
    """Convolutions with their kernels, strides and filters; an arc for everything that a layer, or the classifier,
    reads."""
    layers = list(plans(architecture))
    labels = [f"conv{layer.height}x{layer.width}" + _steps(layer) for layer in layers]
    arcs = [(source + 1, at) for at, layer in enumerate(layers, start=1) for source in layer.inputs or (-1,)]
    arcs += [(end + 1, len(layers) + 1) for end in unread(architecture)]
    return LabelledGraph((f"{INPUT} 0", *labels, OUTPUT), tuple(arcs), (0, *(layer.filters for layer in layers), 0))


def _steps(layer: LayerPlan) -> str:
    return "" if layer.strides == (1, 1) else f"s{layer.strides[0]}x{layer.strides[1]}"


def write(architecture: Architecture) -> str:
    """Layers apart by bars, the values of each by spaces: ``3 3 36|5 3 48 1|…``."""
    parts: dict[str, list[str]] = {}
    for name, value in architecture.as_dict().items():
        parts.setdefault(name.rpartition(" ")[2].rpartition("-")[2], []).append(str(value))
    return "|".join(" ".join(values) for values in parts.values())


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    words = text.replace("|", " ").split()
    if text.count("|") != space.settings["layers"] - 1 or not all(word.isdecimal() for word in words):
        raise SpaceError(f"`chain` has {space.settings['layers']} layers of numbers apart by bars, but got {text!r}.")
    return space.architecture(tuple(int(word) for word in words))


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
