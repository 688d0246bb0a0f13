"""The dominant eigenvalue of a Hessian of which only products with vectors are to be had."""

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

    Exact after as many iterations as H has rows; before, a lower bound that is tight for the ends of the spectrum. It
    ends before `iterations` where the largest Ritz value theta has a residual ||H y - theta y|| <= eps |theta|.

    Differs: Zela et al. 2020 form H as a whole, one product for each of its rows; here `iterations` products are
        enough, and each is charged. Products are exact (two backward passes): differences of gradients step across
        the kinks of ReLU and pools, and come to several times the eigenvalue.

    Raises:
        StudyError: a value is out of range.
    """

    iterations: int = 10
    eps: float = 1e-2

    def __post_init__(self) -> None:
        if self.iterations < 1 or not self.eps > 0:
            raise StudyError(f"Lanczos needs iterations >= 1 and eps > 0, but got {self}.")

    def largest(self, product: Callable[[Vector], Vector], rows: int, rng: np.random.Generator) -> float:
        """Largest eigenvalue of a symmetric matrix [rows, rows], given its product with any vector [rows]."""
        basis: list[Vector] = []
        diagonal: list[float] = []
        beside: list[float] = []
        v = rng.standard_normal(rows)
        v /= np.linalg.norm(v)
        while True:
            basis.append(v)
            image = product(v)
            diagonal.append(float(v @ image))
            for known in (*basis, *basis):  # twice: once leaves rounding errors behind
                image = image - (known @ image) * known
            length = float(np.linalg.norm(image))
            values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
            largest = float(values[-1])
            settled = length * abs(float(vectors[-1, -1])) <= self.eps * abs(largest)
            if len(basis) >= min(self.iterations, rows) or length < 1e-10 or settled:
                return largest
            beside.append(length)
            v = image / length
