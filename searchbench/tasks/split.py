"""Stratified splits, and one checksum for all tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from searchbench.errors import StudyError
from searchbench.tasks.task import READ, Split

Indices = npt.NDArray[np.intp]
Targets = npt.NDArray[np.int64]


def stratified(targets: Targets, share: float, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw a share of the samples with every class in its proportion.

    Args:
        targets: [N] class of each sample.
        share: in (0, 1]; `round(share * N)` samples are drawn, split over the classes by largest remainder.
        rng: the only source of chance.

    Returns:
        Indices of the drawn and of the rest, each in random order.
    """
    classes, sizes = np.unique(targets, return_counts=True)
    exact = share * sizes
    taken = np.floor(exact).astype(int)
    short = int(share * len(targets) + 0.5) - int(taken.sum())
    taken[np.argsort(taken - exact, kind="stable")[: max(0, short)]] += 1
    drawn = np.zeros(len(targets), dtype=bool)
    for label, n in zip(classes, taken, strict=True):
        drawn[rng.permutation(np.flatnonzero(targets == label))[:n]] = True
    return rng.permutation(np.flatnonzero(drawn)), rng.permutation(np.flatnonzero(~drawn))


def take(inputs: npt.NDArray[np.float32], targets: Targets, chosen: Indices) -> Split:
    """The chosen samples, copied, in the order of `chosen`."""
    return Split(np.ascontiguousarray(inputs[chosen]), np.ascontiguousarray(targets[chosen]))


class Readable(Protocol):
    """Bytes that are read in parts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and the shape of one."""

    def blocks(self, orders: Iterable[Indices]) -> Iterator[npt.NDArray[np.uint8]]:
        """Rows of every order, in turn."""


def checksum(rule: str, *arrays: npt.NDArray[Any] | Readable) -> str:
    """SHA-256 of the split rule and of every array's type, shape and content."""
    digest = hashlib.sha256(rule.encode())
    for array in arrays:
        if isinstance(array, np.ndarray):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
            continue
        digest.update(f"|u1{array.shape}".encode())
        for block in array.blocks(in_parts(array.shape[0])):
            digest.update(block.data)
    return digest.hexdigest()


def in_parts(count: int) -> Iterator[Indices]:
    """All row numbers, in parts that fit into memory."""
    return (np.arange(low, min(low + READ, count)) for low in range(0, count, READ))


def check_share(task: str, name: str, value: object, upto_one: bool = False) -> None:
    """Raise StudyError unless `value` is a share in (0, 1), or (0, 1] with `upto_one`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and value > 0 and (value < 1 or (upto_one and value == 1))):  # type: ignore[operator]
        bound = "(0, 1]" if upto_one else "(0, 1)"
        raise StudyError(f"{task}: `{name}` is a share and must lie in {bound}, but got {value!r}.")
