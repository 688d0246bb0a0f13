"""What a space builds: stand-alone networks and supernets. This file imports torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from searchbench.spaces.space import Architecture
from searchbench.spaces.topology import PLAIN, Form

Shape = tuple[int, ...]
"""Channels, height, width of one image; empty for a token of text."""


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """Mixed mode: every decision is a weighted sum of its operations.

    Args:
        weights: one tensor [options] per decision of the supernet (rows of a matrix will do), differentiable.
        active: which operations are executed, one tuple of option indices per decision; None executes all.
        edges: one weight per decision, which `weights` already contain, for what bypasses the operations of a
            supernet of partial channels.
        auxiliary: weight of an additional skip connection on every edge.
        dropout: probability with which each element of a skip connection's output is dropped.
        drop_path: probability with which, for each sample, the whole output of an edge is dropped.
        noise: where what is dropped is drawn from.
        scalars: one number per decision, added to all of its edge's output.
    """

    weights: Sequence[Tensor]
    active: Sequence[Sequence[int]] | None = None
    edges: Tensor | None = None
    auxiliary: float = 0.0
    dropout: float = 0.0
    drop_path: float = 0.0
    noise: torch.Generator | None = None
    scalars: Tensor | None = None


Path = tuple[int, ...]
"""Single-path mode: the index of the one executed option, per decision of the supernet."""

Active = Mixed | Path


class Supernet(Protocol):
    """All networks of a space with shared weights; an nn.Module called as `supernet(inputs, active)` -> logits."""

    options: tuple[int, ...]
    """Number of options of each decision."""

    def __call__(self, inputs: Tensor, active: Active) -> Tensor: ...

    def macs(self, active: Active) -> int:
        """Multiply-accumulates of one sample forward through what `active` executes."""

    def path(self, architecture: Architecture) -> Path:
        """The path that computes an architecture."""

    def architecture(self, path: Path) -> Architecture:
        """The architecture a path computes."""

    def parameters(self) -> object: ...
    def train(self, mode: bool = True) -> object: ...


@runtime_checkable
class Owning(Protocol):
    """A supernet whose learnable operations have weights of their own."""

    def owned(self) -> list[tuple[int, int, list[nn.Parameter]]]:
        """(decision, option, weights) of every learnable operation of every cell."""


@runtime_checkable
class Executing(Protocol):
    """A supernet some of whose paths compute the same: operations on edges that lead nowhere are not executed."""

    def executed(self, path: Path) -> Hashable:
        """What a path executes. Paths with equal answers give the same output to the bit."""


@dataclass(slots=True, eq=False)
class Known:
    """What passes over the same images have in common whatever their paths, computed once."""

    tensors: dict[Hashable, Tensor] = field(default_factory=dict)

    def of(self, name: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The tensor of a name, computed when it is asked for first. It must not be changed in place."""
        found = self.tensors.get(name)
        if found is None:
            found = self.tensors[name] = compute()
        return found


@runtime_checkable
class Reusing(Protocol):
    """A supernet that computes what its paths have in common on the same images once, where it is given a `Known` of
    those images: `supernet(inputs, path, known)`.

    Batch norms that are not run leave their statistics alone, so whatever is known of images that set statistics must
    be known of those that are classified with them too: all passes of a score, or none.
    """

    def kept_bytes(self, images: int) -> int | None:
        """How much so many images would keep at most; None: this supernet has nothing in common to keep."""


class Networks(Protocol):
    """The builder of one space's networks. Modules come uninitialised on the meta device, see `initialise`."""

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> nn.Module:
        """The stand-alone network of an architecture; `width` multiplies its channels."""

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> Supernet:
        """The supernet, in which batch norms are not affine; `form` says how it differs from the plain one."""

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample) of the stand-alone network, without building it where a formula exists."""


@dataclass(slots=True, eq=False)
class DropPath:
    """What the cells of a network share: the probability of dropping an operation's output, per sample."""

    probability: float = 0.0
    generator: torch.Generator | None = None


@runtime_checkable
class Regularised(Protocol):
    """A network that can be trained with an auxiliary classifier and with dropped paths."""

    drop_path: DropPath

    def logits(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits, and in training mode those of the auxiliary classifier, if there is one."""


@runtime_checkable
class RegularisedNetworks(Protocol):
    """A builder whose stand-alone networks are `Regularised`."""

    def regularised(
        self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0, auxiliary: bool = False
    ) -> nn.Module:
        """The stand-alone network, with an auxiliary classifier if asked for. Raises SpaceError where the images are
        of no size that one is defined for."""


@dataclass(slots=True, eq=False)
class DropEdge:
    """What a network wired by graphs is trained with: the probability of leaving out one edge, per minibatch."""

    probability: float = 0.0
    generator: torch.Generator | None = None

    def drawn(self, edges: int) -> int | None:
        """Which of so many is left out now, if any."""
        if not self.probability or float(torch.rand((), generator=self.generator)) >= self.probability:
            return None
        return int(torch.randint(edges, (), generator=self.generator)) if edges else None


@runtime_checkable
class Wired(Protocol):
    """A network that can be trained with edges left out."""

    drop_edge: DropEdge


@runtime_checkable
class WiredNetworks(Protocol):
    """A builder whose stand-alone networks are `Wired`."""

    def edge_macs(self, architecture: Architecture, shape: Shape, width: float = 1.0) -> int:
        """Multiply-accumulates of the sums at the nodes."""


@runtime_checkable
class Starting(Protocol):
    """A module with parameters or buffers of its own kind, which says how they begin."""

    def start(self, generator: torch.Generator) -> None:
        """Set the module's own parameters and buffers, in place."""


def initialise(module: nn.Module, seed: int, device: torch.device | str = "cpu") -> nn.Module:
    """Give a module built on the meta device its memory and PyTorch's default initial weights, from `seed` alone.

    Convolutions and linear layers: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weights and biases (Kaiming uniform with
    a = sqrt 5); batch norms: weight 1, bias 0, fresh statistics; a `Starting` module: as it says. Drawn on the CPU in
    module order, so that the same seed gives the same weights on every device.
    """
    module.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            bound = part.weight[0].numel() ** -0.5
            with torch.no_grad():
                part.weight.uniform_(-bound, bound, generator=generator)
                if part.bias is not None:
                    part.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            if part.affine:
                nn.init.ones_(part.weight)
                nn.init.zeros_(part.bias)
        elif isinstance(part, Starting):
            part.start(generator)
    return module.to(device)


def count(module: nn.Module, shape: Shape) -> tuple[int, int]:
    """(parameters, MACs of one sample of `shape`) of a network, by running it on the meta device.

    A MAC is one multiply-accumulate of a convolution or a linear layer; biases, norms and pools are not counted.
    """
    total = 0

    def add(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(part, nn.Conv2d):
            total += output[0].numel() * part.weight[0].numel()
        elif isinstance(part, nn.Linear):
            total += output[0].numel() * part.in_features

    hooks = [p.register_forward_hook(add) for p in module.modules() if isinstance(p, nn.Conv2d | nn.Linear)]
    try:
        with torch.no_grad():
            module(torch.empty((2, *shape), device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(p.numel() for p in module.parameters()), total
