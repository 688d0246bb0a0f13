"""Networks that are a chain of layers, each one of several blocks: stand-alone, or all of them with shared weights.

What ShuffleNet-like, MobileNet-like and other macro spaces have in common: a stem, a decision per layer, a head. A
space hands over a `Chain` of makers; everything else (building, running, counting) is here. This file imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Protocol, runtime_checkable

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
    whole: Make | None = None
    """One module that holds the weights of all blocks of the supernet's layer, called with inputs and the option; None:
    each block has its own."""
    stand_in: Make | None = None
    """What computes in the supernet in place of nothing, without the addition of the layer's input; None: nothing."""

    def __post_init__(self) -> None:
        assert self.residual or None not in self.options, "a layer of nothing needs a residual to carry on"


@dataclass(frozen=True, slots=True)
class Chain:
    """A stem, layers of options, a head that ends in logits."""

    stem: Make
    layers: tuple[Layer, ...]
    head: Make
    route: Callable[[Path], Path] | None = None
    """From an option per decision of the space to one per layer; None: every layer has a decision of its own."""

    def routed(self, path: Path) -> Path:
        """The option of every layer."""
        return path if self.route is None else self.route(path)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Parameters and multiply-accumulates of one sample: of stem and head, and of every option of every layer."""

    base: tuple[int, int]
    options: tuple[tuple[tuple[int, int], ...], ...]

    def total(self, path: Path) -> tuple[int, int]:
        """(parameters, MACs) of the network of a path."""
        parts = [self.base, *(sizes[at] for sizes, at in zip(self.options, path, strict=True))]
        return sum(params for params, _ in parts), sum(macs for _, macs in parts)


@runtime_checkable
class Superposing(Protocol):
    """Weights of all options of a layer, of which a mixture is computed in one go, at the price of the dearest."""

    def superposed(self, inputs: Tensor, chosen: Sequence[int], weights: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'] of the `chosen` options; `weights` [options]."""


class ChoiceLayer(nn.Module):
    """Some options of a layer, of which every call executes those it is told to.

    Args:
        layer: what there is to choose from.
        built: the options that are wanted.
        shared: whether it is a supernet's, in whose form its weights are held then.
    """

    def __init__(self, layer: Layer, built: Collection[int], shared: bool = False) -> None:
        super().__init__()
        self.residual = layer.residual
        self.whole = layer.whole() if shared and layer.whole is not None else None
        stand_in = layer.stand_in if shared else None
        self.blocks = [at for at, make in enumerate(layer.options) if at in built and make is not None]
        # keyed by the option, so that a stand-alone network's weights have the names they have in the supernet
        own = [] if self.whole is not None else self.blocks
        self.options = nn.ModuleDict({str(at): layer.options[at]() for at in own})  # type: ignore[misc]
        nothing = [at for at, make in enumerate(layer.options) if at in built and make is None]
        self.stand_ins = nn.ModuleDict({str(at): stand_in() for at in nothing} if stand_in is not None else {})

    def one(self, inputs: Tensor, option: int) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'] through one option."""
        if str(option) in self.stand_ins:
            return self.stand_ins[str(option)](inputs)  # type: ignore[no-any-return]
        if option not in self.blocks:
            return inputs
        output = self._block(inputs, option)
        return inputs + output if self.residual else output

    def mixed(self, inputs: Tensor, chosen: Sequence[int], weights: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W'], the weighted sum of the `chosen` options; `weights` [options]."""
        blocks = [at for at in chosen if at in self.blocks]
        whole: Any = self.whole
        if blocks and isinstance(whole, Superposing):
            terms = [whole.superposed(inputs, blocks, weights)]
        else:
            terms = [weights[at] * self._block(inputs, at) for at in blocks]
        stood_for = [at for at in chosen if str(at) in self.stand_ins]
        # the residual stands outside of the sum, and what replaces the whole layer is to have none
        terms += [weights[at] * (self.stand_ins[str(at)](inputs) - inputs) for at in stood_for]
        terms += [inputs] * self.residual
        if not terms:  # an empty sum is zero, in the shape of what any option gives
            terms = [torch.zeros_like(self._block(inputs, self.blocks[0]))]
        total: Tensor = reduce(torch.add, terms)
        return total

    def _block(self, inputs: Tensor, option: int) -> Tensor:
        if self.whole is not None:
            return self.whole(inputs, option)  # type: ignore[no-any-return]
        return self.options[str(option)](inputs)  # type: ignore[no-any-return]


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
        self.options = tuple(decision.arity or 0 for decision in space.decisions)
        self.stem, self.head = chain.stem(), chain.head()
        self.layers = nn.ModuleList(
            ChoiceLayer(layer, range(len(layer.options)), shared=True) for layer in chain.layers
        )
        self._chain, self._sizes = chain, measure(chain, shape, shared=True)

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = begin(self.stem, inputs)
        if not isinstance(active, Mixed):
            for layer, option in zip(self.layers, self._chain.routed(active), strict=True):
                value = layer.one(value, option)  # type: ignore[operator]
            return self.head(value)  # type: ignore[no-any-return]
        if self._chain.route is not None:
            raise SpaceError(
                f"the supernet of `{self.space.name}` runs one path at a time; its layers have no mixtures."
            )
        for at, layer in enumerate(self.layers):
            value = layer.mixed(value, self._chosen(active, at), active.weights[at])  # type: ignore[operator]
        return self.head(value)  # type: ignore[no-any-return]

    def _chosen(self, active: Mixed, at: int) -> Sequence[int]:
        return range(self.options[at]) if active.active is None else active.active[at]

    def macs(self, active: Active) -> int:
        if not isinstance(active, Mixed):
            return self._sizes.total(self._chain.routed(active))[1]
        total = self._sizes.base[1]
        for at, (layer, sizes) in enumerate(zip(self.layers, self._sizes.options, strict=True)):
            macs = [sizes[option][1] for option in self._chosen(active, at)]
            total += max(macs, default=0) if isinstance(layer.whole, Superposing) else sum(macs)
        return total

    def executed(self, path: Path) -> Path:
        """The option of every layer: decisions that are not active change nothing."""
        return self._chain.routed(path)

    def path(self, architecture: Architecture) -> Path:
        return path_of(architecture)

    def architecture(self, path: Path) -> Architecture:
        return architecture_of(self.space, path)


ChainMaker = Callable[[Space, Shape, int, float, bool], Chain]
"""(space, shape, classes, width, whether batch norms are affine) -> the chain."""


class ChainNetworks:
    """Builder of a chain space's networks, see `networks.Networks`.

    Args:
        space: categorical decisions. Its setting `affine` says whether its supernet's batch norms are.
        chain: what its networks are made of: a layer per decision, or a route from decisions to layers.
    """

    def __init__(self, space: Space, chain: ChainMaker) -> None:
        self.space = space
        self._chain = chain
        self._sizes: dict[tuple[Shape, int, float], tuple[Chain, Sizes]] = {}

    def chain(self, shape: Shape, classes: int) -> Chain:
        """What its stand-alone networks are made of."""
        return self._chain(self.space, shape, classes, 1.0, True)

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> ChainNetwork:
        """The stand-alone network on the meta device; `width` multiplies its channels."""
        with torch.device("meta"):
            chain = self._chain(self.space, shape, classes, width, True)
            return ChainNetwork(chain, chain.routed(path_of(architecture)))

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
            chain = self._chain(self.space, shape, classes, width, True)
            self._sizes[key] = chain, measure(chain, shape)
        chain, sizes = self._sizes[key]
        return sizes.total(chain.routed(path_of(architecture)))


def measure(chain: Chain, shape: Shape, shared: bool = False) -> Sizes:
    """The sizes of everything a chain can be made of; blocks made alike, of alike inputs, are counted once.

    Args:
        shared: whether it is of a supernet, where something may stand in for nothing.
    """
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
            stand_in = layer.stand_in if shared else None
            makers = [
                counted(made, value) if (made := make or stand_in) is not None else ((0, 0), value)
                for make in layer.options
            ]
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
    """The index of every decision's value among its options; 0 where it is not active."""
    pairs = zip(architecture.space.decisions, architecture.values, strict=True)
    return tuple(0 if value is None else tuple(decision.values()).index(value) for decision, value in pairs)


def architecture_of(space: Space, path: Path) -> Architecture:
    """The architecture of a path; what is not active is left out of it."""
    values: dict[str, object] = {}
    for decision, at in zip(space.decisions, path, strict=True):
        if decision.when is None or values.get(decision.when.name) in decision.when.values:
            values[decision.name] = tuple(decision.values())[at]
    return space.architecture(values)
