"""The surrogate of BANANAS: an ensemble of small networks, trained all at once in NumPy.

Neither library here serves: scikit-learn's MLPRegressor has no absolute loss and fits one network at a time, and in
PyTorch the calls themselves cost several times the arithmetic of layers of 20 units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from searchbench.errors import StudyError
from searchbench.spaces.space import Array, Space
from searchbench.strategies.acquisition import Predict

Mask = npt.NDArray[np.bool_]
Precision = Literal["single", "double"]


@dataclass(frozen=True, slots=True)
class MlpEnsemble:
    """`members` networks of `layers` hidden layers of `width` rectified units, mean absolute error, Adam.

    They see the same data, standardised, and differ in initial weights (Glorot uniform, zero biases) and in the order
    of minibatches; mean and standard deviation are over members.

    Args:
        precision: of numbers; Keras, in which the released code is written, computes in "single". "double" takes 1.7
            times as long.

    Raises:
        StudyError: a value is not positive, or there is no such precision.

    Source: White et al. 2021 (BANANAS), section 5 and its released code.
    Differs: values are standardised, so that the learning rate suits any scale.
    """

    members: int = 5
    layers: int = 10
    width: int = 20
    epochs: int = 150
    batch: int = 32
    learning_rate: float = 0.01
    beta2: float = 0.99
    precision: Precision = "single"

    def __post_init__(self) -> None:
        for name in ("members", "layers", "width", "epochs", "batch", "learning_rate"):
            if not getattr(self, name) > 0:
                raise StudyError(f"an ensemble's `{name}` must be positive, but got {getattr(self, name)!r}.")
        if self.precision not in get_args(Precision):
            raise StudyError(f'an ensemble\'s `precision` must be "single" or "double", but got {self.precision!r}.')

    def start(self, space: Space) -> MlpEnsemble:
        """It keeps nothing between fits."""
        return self

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        """Train from scratch on `encodings` [n, D] and `values` [n]."""
        centre, scale = float(values.mean()), float(values.std()) or 1.0
        precision = np.float32 if self.precision == "single" else np.float64
        networks = Networks(self.members, encodings.shape[1], self.layers, self.width, rng, precision)
        held: Mask = (encodings != 0.0).any(axis=0)  # nothing pulls at the weights of what no sample has
        trained = networks.reading(held)
        _train(trained, self, encodings[:, held], (values - centre) / scale, rng)
        networks.take(trained, held)

        def predict(points: Array) -> tuple[Array, Array]:
            read = with_ones(points.astype(networks.precision))
            outputs = networks.forward(np.broadcast_to(read, (self.members, *read.shape))).astype(np.float64)
            return centre + scale * outputs.mean(axis=0), scale * outputs.std(axis=0)

        return predict


class Networks:
    """`members` networks of equal shape. All parameters lie in one vector, of which layers are views [M, a + 1, b]:
    the last row of weights, those of an input of 1, are the biases. So a layer is one product, and so is its slope.
    """

    def __init__(
        self,
        members: int,
        inputs: int,
        layers: int,
        width: int,
        rng: np.random.Generator | None = None,
        precision: Any = np.float32,
    ) -> None:
        self._shape, self.precision = (members, layers, width), precision
        shapes = [(members, inputs + 1, width), *[(members, width + 1, width)] * (layers - 1), (members, width + 1, 1)]
        self.parameters = np.zeros(sum(map(math.prod, shapes)), precision)
        self.gradient = np.zeros_like(self.parameters)
        self.layers, self._slopes = _views(self.parameters, shapes), _views(self.gradient, shapes)
        start, stop = math.prod(shapes[0]), len(self.parameters) - math.prod(shapes[-1])
        self._inner = self.gradient[start:stop].reshape(layers - 1, members, width + 1, width)
        self._rooms: dict[int, Room] = {}
        for layer in self.layers if rng is not None else ():
            a, b = layer.shape[1] - 1, layer.shape[2]
            bound = math.sqrt(6 / (a + b))
            layer[:, :-1] = rng.uniform(-bound, bound, (members, a, b))  # type: ignore[union-attr]

    def reading(self, columns: Mask) -> Networks:
        """A copy that reads some of the inputs only, [D]."""
        members, layers, width = self._shape
        smaller = Networks(members, int(columns.sum()), layers, width, precision=self.precision)
        own = (self.layers[0][:, np.append(columns, True)], *self.layers[1:])
        for theirs, layer in zip(smaller.layers, own, strict=True):
            theirs[:] = layer
        return smaller

    def take(self, smaller: Networks, columns: Mask) -> None:
        """The weights of such a copy."""
        self.layers[0][:, np.append(columns, True)] = smaller.layers[0]
        for own, layer in zip(self.layers[1:], smaller.layers[1:], strict=True):
            own[:] = layer

    def forward(self, inputs: Array) -> Array:
        """[M, B, D + 1], the last column 1 -> [M, B], the same memory every time."""
        room = self._room(inputs.shape[1])
        below = inputs.transpose(0, 2, 1)
        for layer, sums, rectify, found in room.upwards:
            np.matmul(layer, below, out=sums)
            rectify()
            below = found
        last: Array = np.matmul(room.last_layer, below, out=room.last)[:, 0]
        return last

    def descend(self, inputs: Array, targets: Array) -> None:
        """Leave the gradient of the summed members' mean absolute errors in `gradient`; `targets` [M, B]."""
        slope, room = self.forward(inputs), self._room(inputs.shape[1])
        np.sign(np.subtract(slope, targets, out=slope), out=slope)
        slope /= targets.shape[1]
        above = slope[:, None]
        np.matmul(room.outputs[-1], slope[:, :, None], out=self._slopes[-1])
        np.greater(room.outputs, 0.0, out=room.positive)
        np.copyto(room.rectified, room.positive)
        for layer, before, rectified, units in room.downwards:
            np.matmul(layer, above, out=before)
            np.multiply(before, rectified, out=before)
            above = units
        np.matmul(room.outputs[:-1], room.slopes[1:, :, :-1].swapaxes(-1, -2), out=self._inner)
        np.matmul(inputs.transpose(0, 2, 1), above.transpose(0, 2, 1), out=self._slopes[0])

    def _room(self, samples: int) -> Room:
        if samples not in self._rooms:
            self._rooms[samples] = Room(self.layers, samples)
        return self._rooms[samples]


class Room:
    """Where a pass keeps what it computes of some samples, which stand side by side: rows of 32 fill a processor's
    vectors, rows of 20 units do not. The rows below the hidden layers' outputs are 1.

    What a pass touches is listed once: at this size a view costs as much as a tenth of a product.
    """

    def __init__(self, layers: list[Array], samples: int) -> None:
        from torch import from_numpy

        (members, _, width), hidden, precision = layers[0].shape, len(layers) - 1, layers[0].dtype
        self.outputs, self.slopes, self.rectified = np.ones((3, hidden, members, width + 1, samples), precision)
        self.positive = np.empty(self.outputs.shape, dtype=np.bool_)
        self.last = np.empty((members, 1, samples), precision)
        turned = [layer.transpose(0, 2, 1) for layer in layers]
        self.last_layer = turned[-1]
        # PyTorch's takes half the time of a maximum, which has to look for what is no number
        rectify = [from_numpy(found).relu_ for found in self.outputs]
        self.upwards = list(zip(turned, self.outputs[:, :, :-1], rectify, self.outputs, strict=False))
        """By layer, the first one first: its weights, where sums go, what rectifies them, what the next one reads."""
        units = self.slopes[:, :, :-1]
        self.downwards = list(zip(layers[1:], self.slopes, self.rectified, units, strict=True))[::-1]
        """By layer, the last one first: the weights of the one above, its slopes, where they pass, those of units."""


def with_ones(inputs: Array) -> Array:
    """Inputs [..., D] with a column of 1 behind them, which carries the biases."""
    return np.concatenate([inputs, np.ones((*inputs.shape[:-1], 1), inputs.dtype)], axis=-1)


def _views(vector: Array, shapes: list[tuple[int, int, int]]) -> list[Array]:
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]


class AdamInPlace:
    """Kingma & Ba 2015, moments decaying by .9 and `beta2`; without copies, for parameters are many, steps short."""

    def __init__(self, learning_rate: float, beta2: float, parameters: Array) -> None:
        self._learning_rate, self._beta2, self._parameters = learning_rate, beta2, parameters
        self._first, self._second, self._change, self._scale = np.zeros((4, len(parameters)), dtype=parameters.dtype)
        self._steps = 0

    def step(self, gradient: Array) -> None:
        """Move the parameters by one."""
        self._steps += 1
        np.subtract(gradient, self._first, out=self._change)
        self._change *= 0.1
        self._first += self._change
        np.square(gradient, out=self._change)
        self._change -= self._second
        self._change *= 1 - self._beta2
        self._second += self._change
        rate = self._learning_rate * math.sqrt(1 - self._beta2**self._steps) / (1 - 0.9**self._steps)
        np.sqrt(self._second, out=self._scale)
        self._scale += 1e-8
        np.multiply(self._first, rate, out=self._change)
        self._change /= self._scale
        self._parameters -= self._change


def _train(networks: Networks, settings: MlpEnsemble, inputs: Array, targets: Array, rng: np.random.Generator) -> None:
    adam, n = AdamInPlace(settings.learning_rate, settings.beta2, networks.parameters), len(inputs)
    inputs, targets = with_ones(inputs.astype(networks.precision)), targets.astype(networks.precision)
    for _ in range(settings.epochs):
        order = rng.permuted(np.tile(np.arange(n), (settings.members, 1)), axis=1)
        for start in range(0, n, settings.batch):
            chosen = order[:, start : start + settings.batch]
            networks.descend(inputs.take(chosen, axis=0), targets.take(chosen))
            adam.step(networks.gradient)
