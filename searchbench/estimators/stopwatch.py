"""Measuring latencies on this machine: of whole networks, and block by block for a table. This file imports torch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from searchbench.errors import StudyError
from searchbench.estimators.latency import Measured
from searchbench.spaces.chains.latency_names import FIXED, Shape, by_choices
from searchbench.spaces.layers.networks import ChainNetworks, Make
from searchbench.spaces.networks import initialise
from searchbench.spaces.space import Architecture, Space


class Stopwatch:
    """Times whole networks; the same architecture is timed once."""

    def __init__(self, settings: Measured, space: Space, shape: Shape, classes: int) -> None:
        self._settings, self._networks = settings, space.builder()
        self._shape, self._classes = shape, classes
        self._known: dict[str, float] = {}

    def __call__(self, architecture: Architecture) -> float:
        """Milliseconds of one forward pass in evaluation mode, the median."""
        if architecture.key not in self._known:
            network = self._networks.network(architecture, self._shape, self._classes)
            image = torch.zeros((self._settings.batch_size, *self._shape))
            self._known[architecture.key] = median_ms(initialise(network, 0), image, self._settings)
        return self._known[architecture.key]


@dataclass(frozen=True, slots=True)
class Timing:
    """What repeated passes took."""

    ms: float
    """The median, milliseconds."""
    spread_ms: float
    """Between the quartiles."""
    rounds: int

    @classmethod
    def of(cls, ms: Sequence[float]) -> Timing:
        """Median and quartiles of some passes."""
        low, middle, high = np.percentile(ms, (25, 50, 75))
        return cls(float(middle), float(high - low), len(ms))

    def __add__(self, other: Timing) -> Timing:
        """The one after the other; spreads add up as those of independent times do."""
        together = math.hypot(self.spread_ms, other.spread_ms)
        return Timing(self.ms + other.ms, together, min(self.rounds, other.rounds))


def median_ms(module: nn.Module, inputs: Tensor, settings: Measured) -> float:
    """Median milliseconds of `repeats` passes after `warmup`, without gradient, in evaluation mode."""
    (passes,) = interleaved_ms([(module, inputs)], settings)
    return Timing.of(passes).ms


def interleaved_ms(timed: Sequence[tuple[nn.Module, Tensor]], settings: Measured) -> list[list[float]]:
    """Milliseconds of `repeats` passes of each module, in rounds of one pass of every module, so that whatever slows
    the machine down for a while does so to all of them; `warmup` rounds before are not counted. Without gradient, in
    evaluation mode.

    One thread is timed by its own CPU clock, which other work on the machine does not move; several by the wall clock.
    """
    clock = time.thread_time if settings.threads == 1 else time.perf_counter
    found: list[list[float]] = [[] for _ in timed]
    for module, _ in timed:
        module.eval()
    with torch.inference_mode(), _threads(settings.threads):
        for number in range(settings.warmup + settings.repeats):
            for (module, inputs), passes in zip(timed, found, strict=True):
                started = clock()
                module(inputs)
                if number >= settings.warmup:
                    passes.append(1000 * (clock() - started))
    return found


def measure_networks(
    architectures: Sequence[Architecture], shape: Shape, classes: int, settings: Measured
) -> TimedPasses:
    """Whole networks of one space, in interleaved rounds."""
    builder = architectures[0].space.builder()
    image = torch.zeros((settings.batch_size, *shape))
    networks = [initialise(builder.network(architecture, shape, classes), 0) for architecture in architectures]
    return TimedPasses(interleaved_ms([(network, image) for network in networks], settings))


@dataclass(frozen=True, slots=True)
class TimedPasses:
    """Passes of several networks, and whether they order them alike."""

    passes: Sequence[Sequence[float]]
    """[networks, rounds] milliseconds."""

    @property
    def medians(self) -> list[float]:
        """Median milliseconds of each network."""
        return [Timing.of(own).ms for own in self.passes]

    @property
    def variation(self) -> float:
        """Mean coefficient of variation of a network's passes."""
        return float(np.mean([np.std(own, ddof=1) / np.mean(own) for own in self.passes])) if self.rounds > 1 else 0.0

    @property
    def rounds(self) -> int:
        """Passes of each."""
        return len(self.passes[0])

    @property
    def repeatability(self) -> float:
        """Kendall tau-b between the medians of the even and of the odd rounds; NaN of fewer than two rounds."""
        from scipy.stats import kendalltau

        halves = [[Timing.of(own[half::2]).ms for own in self.passes] for half in (0, 1) if self.rounds > 1]
        return float(kendalltau(*halves).statistic) if halves else math.nan


def measure_until_repeatable(
    measure: Callable[[Measured], TimedPasses], attempts: Iterable[Measured], least: float
) -> tuple[TimedPasses, Measured]:
    """The first of some attempts, and its settings, whose halves of the rounds order the networks alike by a tau of at
    least `least`; where none does, the last."""
    for settings in attempts:
        timed = measure(settings)
        if timed.repeatability >= least:
            break
    return timed, settings


def measure_blocks(space: Space, shape: Shape, classes: int, settings: Measured) -> dict[str, Timing]:
    """Times of every block of a chain of layers, by its name in a table "by choices", measured in interleaved rounds.

    Blocks made alike, for inputs alike, are measured once.

    Raises:
        StudyError: the networks of the space are no chain of layers.
    """
    networks = space.builder() if space.networks is not None else None
    if not isinstance(networks, ChainNetworks):
        raise StudyError(
            f"the networks of `{space.name}` are no chain of layers, so their latency is no sum of blocks; "
            'use latency = "measured".'
        )
    chain, names = networks.chain(shape, classes), by_choices(space, shape, classes)
    built: dict[object, tuple[nn.Module, Tensor, Tensor]] = {}

    def made(make: Make, value: Tensor) -> object:
        """The key of a block, which is built, with its inputs and outputs, where there is none alike."""
        keywords = sorted(getattr(make, "keywords", {}).items())
        key = (getattr(make, "func", make), str((getattr(make, "args", ()), keywords)), tuple(value.shape))
        if key not in built:
            value = value.contiguous(memory_format=torch.channels_last)  # as in a network; a small image forgets it
            with torch.device("meta"):
                block = make()
            module = initialise(block, 0).eval()
            with torch.inference_mode():
                built[key] = module, value, module(value)
        return key

    image = torch.zeros((settings.batch_size, *shape)).contiguous(memory_format=torch.channels_last)
    ends = [made(chain.stem, image)]
    value, labelled = built[ends[0]][2], dict[str, object]()
    for layer, labels in zip(chain.layers, names.options, strict=True):
        last = value
        for make, label in zip(layer.options, labels, strict=True):
            if make is not None and label is not None:
                labelled[label] = made(make, value)
                last = built[labelled[label]][2]
        value = last
    ends.append(made(chain.head, value))
    passes = interleaved_ms([(module, inputs) for module, inputs, _ in built.values()], settings)
    known = dict(zip(built, map(Timing.of, passes), strict=True))
    return {FIXED: known[ends[0]] + known[ends[1]], **{label: known[key] for label, key in labelled.items()}}


def indistinct(blocks: Mapping[str, Timing]) -> list[str]:
    """Layers with options, next to each other in time, that differ by less than their passes spread, a phrase each:
    such a table ranks these by chance."""
    layers: dict[str, list[tuple[str, Timing]]] = {}
    for name, timing in blocks.items():
        layer, told, option = name.partition("=")
        if told:
            layers.setdefault(layer, []).append((option, timing))
    found = []
    for layer, own in layers.items():
        own.sort(key=lambda option: option[1].ms)
        pairs = [
            (spread - (right.ms - left.ms), f"{a} and {b} differ by {right.ms - left.ms:.4f} ms", spread)
            for (a, left), (b, right) in pairwise(own)
            if (spread := (left.spread_ms + right.spread_ms) / 2) >= right.ms - left.ms
        ]
        if pairs:
            _, said, spread = max(pairs)
            others = f", {len(pairs) - 1} more pairs likewise" if len(pairs) > 1 else ""
            found.append(f"{layer}: {said}, one option's passes by {spread:.4f} ms{others}")
    return found


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
