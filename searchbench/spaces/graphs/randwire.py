"""Randomly wired networks: a distribution over networks, given by a graph generator (Xie et al. 2019).

An architecture is a generator and the seed of an instance; each stage of its network draws a graph of its own. Points
of this space are samples to be averaged over, not alternatives to be selected from. The strategy `generator` hands over
one of them per replicate; `grid` over a few `instances` compares generators.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType

import numpy as np

from searchbench.errors import SpaceError, StudyError
from searchbench.seeds import derive
from searchbench.spaces.choices import Choice, Integer
from searchbench.spaces.graphs.generators import Dag, parse
from searchbench.spaces.space import Architecture, Space

OPERATIONS = ("separable", "conv", "max-pool", "average-pool")
"""What a node does after its weighted sum: a 3x3 convolution in two forms, or a 3x3 pool and a 1x1 convolution."""

Generators = tuple[str, ...]

MANY = 1 << 31
"""Instances per generator where not told: as good as all."""


def randwire(
    generators: Generators | str = ("WS(4,0.75)",),
    instances: int = MANY,
    channels: int = 78,
    nodes: int = 32,
    stages: int = 3,
    stem_stride: int = 2,
    operation: str = "separable",
) -> Space:
    """The small regime: two plain convolutions, then wired stages of N nodes and C, 2C, 4C channels.

    Args:
        generators: each as ``ER(0.2)``, ``BA(5)`` or ``WS(4,0.75)``.
        instances: networks per generator, numbered from 0.
        channels: C.
        nodes: N, of every wired stage.
        stages: wired stages.
        stem_stride: of the two convolutions; 2 at ImageNet's size, 1 for small images.
        operation: of a node, one of `OPERATIONS`.

    Raises:
        StudyError: a setting is out of range.
        SpaceError: a generator is misspelt or cannot wire so many nodes.
    """
    wired = tuple((nodes, 1 << stage) for stage in range(stages))
    return _space("randwire", generators, instances, channels, wired, 2, stem_stride, operation)


def randwire_regular(
    generators: Generators | str = ("WS(4,0.75)",),
    instances: int = MANY,
    channels: int = 109,
    nodes: int = 32,
    stages: int = 4,
    stem_stride: int = 2,
    operation: str = "separable",
) -> Space:
    """The regular regime: one plain convolution, then stages of N/2 nodes and C channels, N and 2C, N and 4C, N and 8C.

    Args and errors as for `randwire`.
    """
    wired = tuple((nodes if stage else nodes // 2, 1 << stage) for stage in range(stages))
    return _space("randwire-regular", generators, instances, channels, wired, 1, stem_stride, operation)


def _space(
    name: str,
    generators: Generators | str,
    instances: int,
    channels: int,
    wired: tuple[tuple[int, int], ...],
    convolutions: int,
    stem_stride: int,
    operation: str,
) -> Space:
    named = (generators,) if isinstance(generators, str) else tuple(generators)
    counts = {"instances": instances, "stages": len(wired), "stem_stride": stem_stride}
    for setting, value in {**counts, "channels": channels // 2, "nodes": wired[0][0] // 2 if wired else 0}.items():
        if value < 1:
            raise StudyError(f"{name}: `{setting}` is too small.")
    if operation not in OPERATIONS:
        raise StudyError(f"{name}: `operation` must be one of {', '.join(OPERATIONS)}, but got {operation!r}.")
    for text in named:
        for size in {nodes for nodes, _ in wired}:
            parse(text).draw(size, np.random.default_rng(0))  # says so now if it never can
    settings = {
        "channels": channels,
        "wired": wired,
        "convolutions": convolutions,
        "stem_stride": stem_stride,
        "operation": operation,
    }
    return Space(
        name=name,
        decisions=(Choice("generator", named), Integer("instance", 0, instances - 1)),
        settings=MappingProxyType(settings),
        canonical=canonical,
        writer=write,
        reader=read,
        networks="searchbench.spaces.graphs.randwire_networks:RandWireNetworks",
        shares_weights=False,
    )


def graphs(architecture: Architecture) -> tuple[Dag, ...]:
    """The graph of every wired stage: a function of generator and instance alone."""
    text, instance = architecture.values
    generator = parse(str(text))
    return tuple(
        generator.draw(nodes, np.random.default_rng(derive(int(str(instance)), f"{text} stage {at}")))
        for at, (nodes, _) in enumerate(architecture.space.settings["wired"])
    )


def canonical(architecture: Architecture) -> str:
    """A digest of the graphs: instances that are wired alike (all of WS(k,0)) share it."""
    wiring = repr([dag.edges for dag in graphs(architecture)])
    return f"wiring {hashlib.sha256(wiring.encode()).hexdigest()[:24]}"


def write(architecture: Architecture) -> str:
    """The generator and the instance: ``WS(4,0.75) #3``."""
    generator, instance = architecture.values
    return f"{generator} #{instance}"


def read(space: Space, text: str) -> Architecture:
    """Parse what `write` writes. Raises SpaceError."""
    generator, mark, instance = text.partition(" #")
    if not mark or not instance.isdecimal():
        raise SpaceError(f"a {space.name} architecture is written like `WS(4,0.75) #3`, but got {text!r}.")
    return space.architecture((generator, int(instance)))
