"""Measuring latencies on this machine: of whole networks, and block by block for a table. This file imports torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

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


def median_ms(module: nn.Module, inputs: Tensor, settings: Measured) -> float:
    """Median milliseconds of `repeats` passes after `warmup`, without gradient, in evaluation mode.

    One thread is timed by its own CPU clock, which other work on the machine does not move; several by the wall clock.
    """
    clock = time.thread_time if settings.threads == 1 else time.perf_counter
    module.eval()
    seconds = []
    with torch.inference_mode(), _threads(settings.threads):
        for _ in range(settings.warmup):
            module(inputs)
        for _ in range(settings.repeats):
            started = clock()
            module(inputs)
            seconds.append(clock() - started)
    return 1000 * float(np.median(seconds))


def measure_blocks(space: Space, shape: Shape, classes: int, settings: Measured) -> dict[str, float]:
    """Milliseconds of every block of a chain of layers, by its name in a table "by choices".

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
    known: dict[object, tuple[float, Tensor]] = {}

    def timed(make: Make, value: Tensor) -> tuple[float, Tensor]:
        keywords = sorted(getattr(make, "keywords", {}).items())
        key = (getattr(make, "func", make), str((getattr(make, "args", ()), keywords)), tuple(value.shape))
        if key not in known:
            value = value.contiguous(memory_format=torch.channels_last)  # as in a network; a small image forgets it
            with torch.device("meta"):
                built = make()
            module = initialise(built, 0).eval()
            with torch.inference_mode():
                output = module(value)
            known[key] = median_ms(module, value, settings), output
        return known[key]

    image = torch.zeros((settings.batch_size, *shape)).contiguous(memory_format=torch.channels_last)
    fixed, value = timed(chain.stem, image)
    found = {}
    for layer, labels in zip(chain.layers, names.options, strict=True):
        last = value
        for make, label in zip(layer.options, labels, strict=True):
            if make is not None and label is not None:
                found[label], last = timed(make, value)
        value = last
    ending, _ = timed(chain.head, value)
    return {FIXED: fixed + ending, **found}


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
