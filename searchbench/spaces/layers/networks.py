"""Networks that are a chain of layers, each one of several blocks: stand-alone, or all of them with shared weights.

What ShuffleNet-like, MobileNet-like and other macro spaces have in common: a stem, a decision per layer, a head. A
space hands over a `Chain` of makers; everything else (building, running, counting) is here. This file imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.networks import Active, Mixed, Path, Shape, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Make = Callable[[], nn.Module]
"""Makes a module on the device in whose context it is called."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One decision of a chain."""

    options: tuple[Make | None, ...]
    """The blocks to choose from, in the order of the decision's options; None is nothing at all (zeros)."""
    residual: bool = False
    """Whether the layer's input is added to the block's output; then nothing is the identity."""

    def __post_init__(self) -> None:
        assert self.residual or None not in self.options, "a layer of nothing needs a residual to carry on"


@dataclass(frozen=True, slots=True)
class Chain:
    """A stem, layers that each have a decision, a head that ends in logits."""

    stem: Make
    layers: tuple[Layer, ...]
    head: Make


@dataclass(frozen=True, slots=True)
class Sizes:
    """Parameters and multiply-accumulates of one sample: of stem and head, and of every option of every layer."""

    base: tuple[int, int]
    options: tuple[tuple[tuple[int, int], ...], ...]

    def total(self, path: Path) -> tuple[int, int]:
        """(parameters, MACs) of the network of a path."""
        parts = [self.base, *(sizes[at] for sizes, at in zip(self.options, path, strict=True))]
        return sum(params for params, _ in parts), sum(macs for _, macs in parts)


class ChoiceLayer(nn.Module):
    """Some options of a layer, of which every call executes those it is told to."""

    def __init__(self, layer: Layer, built: Collection[int]) -> None:
        super().__init__()
        self.residual = layer.residual
        makers = ((at, make) for at, make in enumerate(layer.options) if at in built)
        # keyed by the option, so that a stand-alone network's weights have the names they have in the supernet
        self.options = nn.ModuleDict({str(at): make() for at, make in makers if make is not None})

    def one(self, inputs: Tensor, option: int) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'] through one option."""
        if str(option) not in self.options:
            return inputs
        output: Tensor = self.options[str(option)](inputs)
        return inputs + output if self.residual else output

    def mixed(self, inputs: Tensor, chosen: Sequence[int], weights: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'], the weighted sum of the `chosen` options; `weights` [options]."""
        terms = [weights[at] * self.options[str(at)](inputs) for at in chosen if str(at) in self.options]
        terms += [inputs] * self.residual
        assert terms, "a mixture executes something"
        total: Tensor = reduce(torch.add, terms)
        return total


class ChainNetwork(nn.Module):
    """The stand-alone network of a path."""

    def __init__(self, chain: Chain, path: Path) -> None:
        super().__init__()
        self.stem, self.head = chain.stem(), chain.head()
        self.layers = nn.ModuleList(ChoiceLayer(la, (at,)) for la, at in zip(chain.layers, path, strict=True))
        self._path = path

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = begin(self.stem, inputs)
        for layer, option in zip(self.layers, self._path, strict=True):
            value = layer.one(value, option)  # type: ignore[operator]
        return self.head(value)  # type: ignore[no-any-return]


class ChainSupernet(nn.Module):
    """All networks of a chain with shared weights, mixed or one path at a time; see `networks.Supernet`.

    A path executes exactly the modules of its stand-alone network. In a mixture the residual of a layer is added
    once, outside of the weighted sum: with weights that sum to one this is the mixture of whole blocks.
    """

    def __init__(self, space: Space, chain: Chain, shape: Shape) -> None:
        super().__init__()
        self.space = space
        self.options = tuple(len(layer.options) for layer in chain.layers)
        self.stem, self.head = chain.stem(), chain.head()
        self.layers = nn.ModuleList(ChoiceLayer(layer, range(len(layer.options))) for layer in chain.layers)
        self._sizes = measure(chain, shape)

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = begin(self.stem, inputs)
        for at, layer in enumerate(self.layers):
            if isinstance(active, Mixed):
                value = layer.mixed(value, self._chosen(active, at), active.weights[at])  # type: ignore[operator]
            else:
                value = layer.one(value, active[at])  # type: ignore[operator]
        return self.head(value)  # type: ignore[no-any-return]

    def _chosen(self, active: Mixed, at: int) -> Sequence[int]:
        return range(self.options[at]) if active.active is None else active.active[at]

    def macs(self, active: Active) -> int:
        if not isinstance(active, Mixed):
            return self._sizes.total(active)[1]
        sizes = self._sizes.options
        return self._sizes.base[1] + sum(
            sizes[at][op][1] for at in range(len(sizes)) for op in self._chosen(active, at)
        )

    def path(self, architecture: Architecture) -> Path:
        return path_of(architecture)

    def architecture(self, path: Path) -> Architecture:
        decisions = self.space.decisions
        return self.space.architecture(tuple(tuple(d.values())[at] for d, at in zip(decisions, path, strict=True)))


ChainMaker = Callable[[Space, Shape, int, float, bool], Chain]
"""(space, shape, classes, width, whether batch norms are affine) -> the chain."""


class ChainNetworks:
    """Builder of a chain space's networks, see `networks.Networks`.

    Args:
        space: one categorical decision per layer. Its setting `affine` says whether its supernet's batch norms are.
        chain: what its networks are made of.
    """

    def __init__(self, space: Space, chain: ChainMaker) -> None:
        self.space = space
        self._chain = chain
        self._sizes: dict[tuple[Shape, int, float], Sizes] = {}

    def chain(self, shape: Shape, classes: int) -> Chain:
        """What its stand-alone networks are made of."""
        return self._chain(self.space, shape, classes, 1.0, True)

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> ChainNetwork:
        """The stand-alone network on the meta device; `width` multiplies its channels."""
        with torch.device("meta"):
            return ChainNetwork(self._chain(self.space, shape, classes, width, True), path_of(architecture))

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> ChainSupernet:
        """The supernet on the meta device. Raises SpaceError unless it is the plain one."""
        require_plain(self.space, form)
        affine = bool(self.space.settings.get("affine", False))
        with torch.device("meta"):
            return ChainSupernet(self.space, self._chain(self.space, shape, classes, 1.0, affine), shape)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample): a sum over the layers, each option counted once and remembered."""
        key = (shape, classes, width)
        if key not in self._sizes:
            self._sizes[key] = measure(self._chain(self.space, shape, classes, width, True), shape)
        return self._sizes[key].total(path_of(architecture))


def measure(chain: Chain, shape: Shape) -> Sizes:
    """The sizes of everything a chain can be made of; blocks made alike, of alike inputs, are counted once."""
    known: dict[Any, tuple[tuple[int, int], Shape]] = {}

    def counted(make: Make, value: Shape) -> tuple[tuple[int, int], Shape]:
        key = (make.func, make.args, *sorted(make.keywords.items()), value) if isinstance(make, partial) else make
        if key not in known:
            module = make()
            known[key] = count(module, value), _output_shape(module, value)
        return known[key]

    with torch.device("meta"):
        begun, value = counted(chain.stem, shape)
        found = []
        for layer in chain.layers:
            makers = [counted(make, value) if make is not None else ((0, 0), value) for make in layer.options]
            found.append(tuple(sizes for sizes, _ in makers))
            value = makers[-1 if layer.options[-1] is not None else 0][1]
        ending = count(chain.head(), value)
    return Sizes((begun[0] + ending[0], begun[1] + ending[1]), tuple(found))


def _output_shape(module: nn.Module, shape: Shape) -> Shape:
    with torch.no_grad():
        _, channels, height, width = module(torch.empty((2, *shape), device="meta")).shape
    return channels, height, width


def begin(stem: nn.Module, inputs: Tensor) -> Tensor:
    """The stem's output, channels last."""
    # asked twice: with one input channel the format of the input says nothing, and the stem's output is planar
    value: Tensor = stem(inputs.contiguous(memory_format=torch.channels_last))
    return value.contiguous(memory_format=torch.channels_last)


def require_plain(space: Space, form: Form) -> None:
    """Raise SpaceError unless a supernet is wanted in its plain form."""
    if form.changed:
        raise SpaceError(f"the supernet of `{space.name}` has one form, but {', '.join(form.changed)} was asked for.")


def path_of(architecture: Architecture) -> Path:
    """The index of every decision's value among its options."""
    pairs = zip(architecture.space.decisions, architecture.values, strict=True)
    return tuple(tuple(decision.values()).index(value) for decision, value in pairs)
