"""The dominant eigenvalue of a Hessian of which only gradients can be taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchbench.errors import StudyError

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lanczos:
    """The largest eigenvalue of H by Lanczos iteration with full reorthogonalisation and a symmetric eigen-solver.

    H v = [g(a + eps v) - g(a - eps v)]/(2 eps): two gradients an iteration. Exact after as many iterations as H has
    rows; before, a lower bound that is tight for the ends of the spectrum.

    Differs: Zela et al. 2020 form H by exact second derivatives, one row at a time; here 2 `iterations` first
        derivatives are enough, and each is charged.

    Raises:
        StudyError: a value is out of range.
    """

    iterations: int = 10
    eps: float = 1e-2

    def __post_init__(self) -> None:
        if self.iterations < 1 or not self.eps > 0:
            raise StudyError(f"Lanczos needs iterations >= 1 and eps > 0, but got {self}.")

    def largest(self, gradient: Callable[[Vector], Vector], at: Vector, rng: np.random.Generator) -> float:
        """Largest eigenvalue of the Hessian at `at` [n], given the gradient at any point."""
        basis: list[Vector] = []
        diagonal: list[float] = []
        beside: list[float] = []
        v = rng.standard_normal(len(at))
        v /= np.linalg.norm(v)
        for _ in range(min(self.iterations, len(at))):
            basis.append(v)
            image = (gradient(at + self.eps * v) - gradient(at - self.eps * v)) / (2 * self.eps)
            diagonal.append(float(v @ image))
            for known in (*basis, *basis):  # twice: once leaves rounding errors behind
                image = image - (known @ image) * known
            length = float(np.linalg.norm(image))
            if length < 1e-10:
                break
            beside.append(length)
            v = image / length
        size = len(diagonal)
        matrix = np.diag(diagonal)
        for at_row, value in enumerate(beside[: size - 1]):
            matrix[at_row, at_row + 1] = matrix[at_row + 1, at_row] = value
        return float(np.linalg.eigvalsh(matrix)[-1])
