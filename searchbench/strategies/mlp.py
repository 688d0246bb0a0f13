"""The surrogate of BANANAS: an ensemble of small networks, trained all at once in NumPy.

Neither library here serves: scikit-learn's MLPRegressor has no absolute loss and fits one network at a time, and in
PyTorch the calls themselves cost several times the arithmetic of layers of 20 units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Array, Space
from searchbench.strategies.acquisition import Predict


@dataclass(frozen=True, slots=True)
class MlpEnsemble:
    """`members` networks of `layers` hidden layers of `width` rectified units, mean absolute error, Adam.

    They see the same data, standardised, and differ in initial weights (Glorot uniform, zero biases) and in the order
    of minibatches; mean and standard deviation are over members.

    Raises:
        StudyError: a value is not positive.

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

    def __post_init__(self) -> None:
        for name in ("members", "layers", "width", "epochs", "batch", "learning_rate"):
            if not getattr(self, name) > 0:
                raise StudyError(f"an ensemble's `{name}` must be positive, but got {getattr(self, name)!r}.")

    def start(self, space: Space) -> MlpEnsemble:
        """It keeps nothing between fits."""
        return self

    def fit(self, encodings: Array, values: Array, rng: np.random.Generator) -> Predict:
        """Train from scratch on `encodings` [n, D] and `values` [n]."""
        centre, scale = float(values.mean()), float(values.std()) or 1.0
        networks = Networks(self.members, [encodings.shape[1], *[self.width] * self.layers, 1], rng)
        _train(networks, self, encodings, (values - centre) / scale, rng)

        def predict(points: Array) -> tuple[Array, Array]:
            outputs = centre + scale * networks.forward(np.broadcast_to(points, (self.members, *points.shape)))[-1]
            return outputs[:, :, 0].mean(axis=0), outputs[:, :, 0].std(axis=0)

        return predict


class Networks:
    """`members` networks of equal shape. All parameters lie in one vector, of which layers are views."""

    def __init__(self, members: int, sizes: list[int], rng: np.random.Generator) -> None:
        shapes = [shape for a, b in pairwise(sizes) for shape in ((members, a, b), (members, 1, b))]
        lengths = [math.prod(shape) for shape in shapes]
        self.parameters = np.zeros(sum(lengths))
        self.gradient = np.zeros_like(self.parameters)
        self._layers = _views(self.parameters, shapes)
        self._slopes = _views(self.gradient, shapes)
        for weights, _ in self._layers:
            bound = math.sqrt(6 / (weights.shape[1] + weights.shape[2]))
            weights[:] = rng.uniform(-bound, bound, weights.shape)

    def forward(self, inputs: Array) -> list[Array]:
        """[M, B, D] -> the inputs and every layer's outputs; the last is [M, B, 1]."""
        outputs = [inputs]
        for at, (weights, bias) in enumerate(self._layers):
            sums = np.matmul(outputs[-1], weights)
            sums += bias
            outputs.append(np.maximum(sums, 0.0, out=sums) if at + 1 < len(self._layers) else sums)
        return outputs

    def descend(self, inputs: Array, targets: Array) -> None:
        """Leave the gradient of the summed members' mean absolute errors in `gradient`; `targets` [M, B]."""
        outputs = self.forward(inputs)
        slope = np.sign(outputs[-1] - targets[:, :, None]) / targets.shape[1]
        for at in range(len(self._layers) - 1, -1, -1):
            weights, _ = self._layers[at]
            to_weights, to_bias = self._slopes[at]
            np.matmul(outputs[at].transpose(0, 2, 1), slope, out=to_weights)
            np.add.reduce(slope, axis=1, keepdims=True, out=to_bias)
            if at:
                slope = np.matmul(slope, weights.transpose(0, 2, 1))
                slope *= np.sign(outputs[at])  # 0 or 1: rectified, and quicker than a comparison


def _views(vector: Array, shapes: list[tuple[int, int, int]]) -> list[tuple[Array, Array]]:
    """(weights [M, a, b], bias [M, 1, b]) per layer."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(vector[start:stop].reshape(shape))
        start = stop
    return list(zip(parts[::2], parts[1::2], strict=True))


class AdamInPlace:
    """Kingma & Ba 2015, moments decaying by .9 and `beta2`; without copies, for parameters are many, steps short."""

    def __init__(self, learning_rate: float, beta2: float, parameters: Array) -> None:
        self._learning_rate, self._beta2, self._parameters = learning_rate, beta2, parameters
        self._first, self._second, self._change, self._scale = np.zeros((4, len(parameters)))
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
    for _ in range(settings.epochs):
        order = rng.permuted(np.tile(np.arange(n), (settings.members, 1)), axis=1)
        for start in range(0, n, settings.batch):
            chosen = order[:, start : start + settings.batch]
            networks.descend(inputs.take(chosen, axis=0), targets.take(chosen))
            adam.step(networks.gradient)
