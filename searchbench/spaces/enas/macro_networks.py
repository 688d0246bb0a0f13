"""Networks of ENAS's macro space (Pham et al. 2018, section 2.3 and the released code). This file imports torch.

Stem 3x3; every layer applies an operation to the output of the layer before, adds the outputs its bits name, the
stem's first, and normalises the sum; after each stage but the last, all outputs so far are halved; mean over the
pixels, linear classifier. Search and stand-alone networks merge skips alike.

Differs: the released final network concatenates skips, and its channels double where sides are halved; sides are
halved by a 2x2 average pool and a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from searchbench.errors import SpaceError
from searchbench.spaces.block_cells.operations import Halve
from searchbench.spaces.enas.macro import MACRO_OPERATIONS, macro_layers
from searchbench.spaces.layers.convolutions import conv_norm, scaled
from searchbench.spaces.layers.networks import begin, path_of, require_plain
from searchbench.spaces.networks import Active, Mixed, Path, Shape, count
from searchbench.spaces.space import Architecture, Space
from searchbench.spaces.topology import PLAIN, Form

Layers = Sequence[tuple[int, tuple[int, ...]]]
"""Number of the operation, and the outputs that are added (0 the stem's, from 1 those of earlier layers), per layer."""


class MacroBody(nn.Module):
    """Some operations of every layer, of which each call executes one per layer.

    Args:
        built: numbers of the operations to build, per layer.
        ends: layers after which sides are halved.
    """

    def __init__(
        self,
        built: Sequence[Collection[int]],
        ends: Collection[int],
        inputs: int,
        channels: int,
        classes: int,
        affine: bool,
    ) -> None:
        super().__init__()
        self.stem = conv_norm(inputs, channels, 3, affine=affine)
        self.layers = nn.ModuleList(
            nn.ModuleDict({str(op): _operation(MACRO_OPERATIONS[op], channels, affine) for op in sorted(ops)})
            for ops in built
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=affine) for _ in built[1:])
        self.halves = nn.ModuleDict(
            {f"{end} {output}": Halve(channels, channels, affine) for end in ends for output in range(end + 2)}
        )
        self.ends = frozenset(ends)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, inputs: Tensor, layers: Layers) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        value = begin(self.stem, inputs)
        outputs: list[Tensor | None] = [value]
        needed = _last_readers(layers)
        for at, (op, skips) in enumerate(layers):
            value = self.layers[at][str(op)](value)  # type: ignore[index]
            for skip in skips:
                value = value + outputs[skip]
            if at:
                value = self.norms[at - 1](value)
            outputs.append(value)
            if at in self.ends:  # what no later layer reads is not halved
                outputs = [self._halved(at, n, v) if needed[n] > at else None for n, v in enumerate(outputs)]
                value = outputs[-1]  # type: ignore[assignment]
        return self.classifier(value.mean((2, 3)))  # type: ignore[no-any-return]

    def _halved(self, end: int, output: int, value: Tensor | None) -> Tensor:
        return self.halves[f"{end} {output}"](value)  # type: ignore[no-any-return]


def _last_readers(layers: Layers) -> list[int]:
    """The last layer, counted from 0, that reads each output, the stem's first; the next layer always does."""
    found = [min(at, len(layers) - 1) for at in range(len(layers) + 1)]
    for at, (_, skips) in enumerate(layers):
        for skip in skips:
            found[skip] = max(found[skip], at)
    return found


class MacroNetwork(nn.Module):
    """The stand-alone network of an architecture."""

    def __init__(self, body: MacroBody, layers: Layers) -> None:
        super().__init__()
        self.body, self._layers = body, layers

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]."""
        return self.body(inputs, self._layers)  # type: ignore[no-any-return]


class MacroSupernet(nn.Module):
    """All networks of the space with shared weights, one path at a time; see `networks.Supernet`.

    A path has the number of an operation and the bits of every layer, in the order of the space's decisions.
    """

    def __init__(self, builder: MacroNetworks, shape: Shape, classes: int) -> None:
        super().__init__()
        self.space = builder.space
        self.options = tuple(decision.arity or 0 for decision in self.space.decisions)
        everything = [range(len(MACRO_OPERATIONS))] * self.space.settings["layers"]
        self.body = builder.body(everything, shape, classes, 1.0, affine=False)
        self._sizes = Sizes(self.body, shape)

    def forward(self, inputs: Tensor, active: Active) -> Tensor:
        """[B, C, H, W] -> logits [B, classes]. Raises SpaceError for a mixture, as skips have none."""
        return self.body(inputs, self._layers(active))  # type: ignore[no-any-return]

    def macs(self, active: Active) -> int:
        return self._sizes.macs(self._layers(active))

    def path(self, architecture: Architecture) -> Path:
        return path_of(architecture)

    def architecture(self, path: Path) -> Architecture:
        decisions = self.space.decisions
        return self.space.architecture(tuple(tuple(d.values())[at] for d, at in zip(decisions, path, strict=True)))

    def _layers(self, active: Active) -> Layers:
        if isinstance(active, Mixed):
            raise SpaceError("`enas-macro` has no mixtures: its skips are executed one path at a time.")
        found, at = [], 0
        for layer in range(len(self.body.layers)):
            bits = active[at + 1 : at + 1 + layer]
            found.append((active[at], tuple(before for before, bit in enumerate(bits) if bit)))
            at += 1 + layer
        return found


class Sizes:
    """Multiply-accumulates of paths, summed over operations that were counted once."""

    def __init__(self, body: MacroBody, shape: Shape) -> None:
        channels = body.classifier.in_features
        side, self._ends = (channels, shape[1], shape[2]), body.ends
        self._fixed = count(body.stem, shape)[1] + body.classifier.weight.numel()
        self._layers: list[dict[int, int]] = []
        self._halves: dict[int, int] = {}
        for at, layer in enumerate(body.layers):
            alike = at > 0 and at - 1 not in self._ends
            assert isinstance(layer, nn.ModuleDict)
            counted = self._layers[-1] if alike else {int(op): count(part, side)[1] for op, part in layer.items()}
            self._layers.append(counted)
            if at in self._ends:
                side = (channels, -(-side[1] // 2), -(-side[2] // 2))
                self._halves[at] = channels**2 * side[1] * side[2]

    def macs(self, layers: Layers) -> int:
        """Multiply-accumulates of one sample."""
        operations = sum(counted[op] for counted, (op, _) in zip(self._layers, layers, strict=True))
        needed = _last_readers(layers)
        halved = sum(each * sum(needed[n] > end for n in range(end + 2)) for end, each in self._halves.items())
        return self._fixed + operations + halved


class MacroNetworks:
    """Builder of the space's networks, see `networks.Networks`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def network(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> MacroNetwork:
        """The network on the meta device; `width` multiplies its channels."""
        named = list(macro_layers(architecture))
        layers = [(MACRO_OPERATIONS.index(operation), skips) for operation, skips in named]
        with torch.device("meta"):
            body = self.body([(op,) for op, _ in layers], shape, classes, width, affine=True)
            self._drop_unused(body, layers)
            return MacroNetwork(body, layers)

    def supernet(self, shape: Shape, classes: int, form: Form = PLAIN) -> MacroSupernet:
        """The supernet on the meta device. Raises SpaceError unless it is the plain one."""
        require_plain(self.space, form)
        with torch.device("meta"):
            return MacroSupernet(self, shape, classes)

    def size(self, architecture: Architecture, shape: Shape, classes: int, width: float = 1.0) -> tuple[int, int]:
        """(parameters, MACs of one sample), counted on the meta device."""
        return count(self.network(architecture, shape, classes, width), shape)

    def body(
        self, built: Sequence[Collection[int]], shape: Shape, classes: int, width: float, affine: bool
    ) -> MacroBody:
        """Stem, layers with the `built` operations, and classifier."""
        settings = self.space.settings
        layers, stages = settings["layers"], settings["stages"]
        ends = {layers * stage // stages - 1 for stage in range(1, stages)} - {-1}
        return MacroBody(built, ends, shape[0], scaled(settings["channels"], width), classes, affine)

    def _drop_unused(self, body: MacroBody, layers: Layers) -> None:
        needed = _last_readers(layers)
        for name in list(body.halves):
            end, output = map(int, name.split())
            if needed[output] <= end:
                del body.halves[name]


def _operation(name: str, channels: int, affine: bool) -> nn.Sequential:
    """1x1 convolution, then the convolution or pool; batch norm and ReLU behind every convolution."""
    convolve = partial(conv_norm, channels, channels, affine=affine, activation=nn.ReLU)
    if name == "avg3":
        return nn.Sequential(convolve(), nn.AvgPool2d(3, 1, 1, count_include_pad=False))
    if name == "max3":
        return nn.Sequential(convolve(), nn.MaxPool2d(3, 1, 1))
    kernel = int(name[-1])
    if name.startswith("conv"):
        return nn.Sequential(convolve(), convolve(kernel))
    depthwise = nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, bias=False)
    return nn.Sequential(convolve(), depthwise, convolve())
