"""What the networks of a space must do: be built, have the size they say, repeat themselves, share a supernet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from searchbench.errors import SpaceError
from searchbench.registry import lacking
from searchbench.spaces.space import Architecture, Space
from searchbench.testing.report import Behaviour, Inapplicable
from searchbench.testing.spaces import drawn

if TYPE_CHECKING:
    from torch import Tensor

AFFORDABLE = 100_000_000
"""Multiply-accumulates up to which a network is also run, not only built without memory."""


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """A space with the inputs its networks are built for."""

    space: Space
    shape: tuple[int, ...]
    classes: int
    number: int
    """How many networks are built."""

    @cached_property
    def builder(self) -> Any:
        """Raises Inapplicable where the space has no networks."""
        if self.space.networks is None:
            raise Inapplicable("the space has no networks")
        return self.space.builder()

    @cached_property
    def some(self) -> list[Architecture]:
        return drawn(self.space, self.number)

    def inputs(self, device: str) -> Any:
        """Two images, or four tokens in two streams."""
        import torch

        if self.space.reads == "images":
            generator = torch.Generator().manual_seed(1)
            return torch.randn((2, *self.shape), generator=generator).to(device)
        from searchbench.spaces.recurrent.networks import Passage

        return Passage(torch.arange(8, device=device).reshape(4, 2) % self.classes)

    def outputs(self, network: Any, device: str = "cpu", *active: Any) -> Tensor:
        """Logits, without gradient."""
        import torch

        with torch.no_grad():
            logits: Tensor = network(self.inputs(device), *active)
        return logits


def _builds(built: BuiltNetwork) -> str | None:
    rows = 2 if built.space.reads == "images" else 8
    for one in built.some:
        network = built.builder.network(one, built.shape, built.classes)
        found = tuple(built.outputs(network.eval(), "meta").shape)
        if found != (rows, built.classes):
            return f"the network of {one} gives logits of shape {found} instead of {(rows, built.classes)}."
    return None


def _has_its_size(built: BuiltNetwork) -> str | None:
    from searchbench.spaces.networks import count

    for one in built.some:
        params, macs = built.builder.size(one, built.shape, built.classes)
        if not (isinstance(params, int) and isinstance(macs, int) and params > 0 and macs > 0):
            return f"`size` of {one} must be two positive integers, but is {(params, macs)!r}."
        network = built.builder.network(one, built.shape, built.classes)
        counted = sum(p.numel() for p in network.parameters())
        if counted != params:
            return f"`size` of {one} says {params:,} parameters, but its network has {counted:,}."
        if built.space.reads == "images" and (measured := count(network, built.shape)[1]) > macs:
            return f"`size` of {one} says {macs:,} multiply-accumulates, but its network does {measured:,}."
    return None


def _repeats(built: BuiltNetwork) -> str | None:
    import torch

    from searchbench.spaces.networks import initialise

    affordable = [a for a in built.some if built.builder.size(a, built.shape, built.classes)[1] <= AFFORDABLE]
    if not affordable:
        raise Inapplicable("its networks are too large to be run here")
    for one in affordable[:2]:
        nets = [initialise(built.builder.network(one, built.shape, built.classes), 5) for _ in range(2)]
        first, second = (built.outputs(net.eval()) for net in nets)
        if not torch.isfinite(first).all():
            return f"a fresh network of {one} gives logits that are not finite."
        if not torch.equal(first, second):
            return f"two networks of {one} with the same seed give different logits."
    return None


def _shares_weights(built: BuiltNetwork) -> str | None:
    from searchbench.spaces.networks import Supernet

    builder = built.builder
    if not built.space.shares_weights:
        raise Inapplicable("its networks share no weights")
    try:
        supernet = builder.supernet(built.shape, built.classes)
    except SpaceError as reason:
        raise Inapplicable(str(reason)) from reason
    missing = lacking(supernet, Supernet)
    if missing:
        return f"its supernet lacks {', '.join(missing)}."
    for one in built.some:
        path = supernet.path(one)
        again = supernet.architecture(path)
        if again.key != one.key:
            return f"the path of {one} leads to {again}."
        if len(path) != len(supernet.options) or not _within(path, supernet.options):
            return f"the path of {one} is {path}, but the decisions have {supernet.options} options."
        if not supernet.macs(path) > 0:
            return f"the path of {one} does {supernet.macs(path)} multiply-accumulates."
    return None


def _within(path: Sequence[int], options: Sequence[int]) -> bool:
    """Whether every index is that of an option; -1 executes nothing there."""
    return all(-1 <= index < number for index, number in zip(path, options, strict=True))


NETWORKS = (
    Behaviour(
        "builds networks with a logit per class",
        _builds,
        "every evaluation would fail",
        "let `network(architecture, shape, classes)` return a module that maps inputs to [B, classes].",
    ),
    Behaviour(
        "says how large its networks are",
        _has_its_size,
        "multiply-accumulates would be charged, limited and reported wrongly",
        "let `size` count the parameters and multiply-accumulates of the network that `network` builds.",
    ),
    Behaviour(
        "builds the same network from the same seed",
        _repeats,
        "a run could not be repeated",
        "build on the meta device, and give modules with parameters of their own kind a `start(generator)`.",
    ),
    Behaviour(
        "leads from architecture to path and back in its supernet",
        _shares_weights,
        "searches that share weights would train one architecture and hand over another",
        "make `path` and `architecture` of the supernet inverse to each other, or say shares_weights=False.",
    ),
)
