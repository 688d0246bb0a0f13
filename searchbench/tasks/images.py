"""MNIST, CIFAR-10 and CIFAR-100, read from a folder the user names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from searchbench.seeds import Seeds, derive
from searchbench.tasks.cifar_files import find_cifar10, find_cifar100
from searchbench.tasks.image_files import Images, ImageSource, find_mnist
from searchbench.tasks.shared_files import Bytes, StoredRows, shared, stamp_of
from searchbench.tasks.split import Indices, Targets, check_share, checksum, in_parts, stratified
from searchbench.tasks.task import JudgeData, Recipe, SearchData, StoredSplit


@dataclass(frozen=True, slots=True)
class DataSet:
    """What is published: images of one shape in some classes, and how they are found."""

    name: str
    shape: tuple[int, int, int]
    """Channels, height, width."""
    classes: int
    recipe: Recipe
    find: Callable[[str | None], ImageSource]
    """folder -> where the data lies; raises DataMissing."""


@dataclass(frozen=True, slots=True)
class PublishedImages:
    """A task on published images: some to train and validate, some to test, as published.

    Raises:
        StudyError: a share is impossible.
    """

    data: DataSet
    folder: str | None = field(default=None, metadata={"described": False})  # `checksum` says what is there
    valid: float = 0.5
    """Share of the training images that validates, stratified, drawn anew in every replicate."""
    subset: float = 1.0
    """Share of the training images that is used at all, stratified, the same in every replicate."""

    def __post_init__(self) -> None:
        check_share(self.name, "valid", self.valid)
        check_share(self.name, "subset", self.subset, upto_one=True)

    @property
    def name(self) -> str:
        return self.data.name

    @property
    def recipe(self) -> Recipe:
        return self.data.recipe

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.data.shape

    @property
    def classes(self) -> int:
        return self.data.classes

    def title(self) -> str:
        """What results are to be called: a reconstruction says that it is one. Raises DataMissing."""
        return self.data.find(self.folder).title

    def checksum(self) -> str:
        """SHA-256 of pixels, labels and the split rule, the same however the images are packed. Raises DataMissing."""
        return self._pictures().checksum(self.name, self.valid, self.subset)

    def search_data(self, seeds: Seeds) -> SearchData:
        """Train and validation splits of this replicate (role "split"). Raises DataMissing."""
        return self._pictures().search_data(seeds.rng("split", self.name), self.valid, self.subset)

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Train and validation together, and test; the same in every replicate. Raises DataMissing."""
        return self._pictures().judge_data(self.subset)

    def _pictures(self) -> Pictures:
        source = self.data.find(self.folder)
        return _read(source.read, source.path, self.classes)


_NASBENCH201 = Recipe(epochs=200, batch_size=256, lr=0.1, weight_decay=5e-4, augment=("flip", "crop"))
"""Dong & Yang 2020, table 1."""


def cifar10(folder: str | None = None, valid: float = 0.5, subset: float = 1.0) -> PublishedImages:
    """60,000 photographs of 32x32 pixels in ten classes: 50,000 to train and validate, 10,000 to test, as published.

    Reads an official archive (python or binary, extracted or not) or lossless mosaics of a reconstruction. The recipe
    is that of NAS-Bench-201 (Dong & Yang 2020, table 1).

    Args:
        folder: where it lies, itself or in a subfolder `cifar10`; None looks below SEARCHBENCH_DATA.
        valid: share of the training images that validates, stratified, drawn anew in every replicate.
        subset: share of the training images that is used at all, stratified, the same in every replicate.

    Raises:
        StudyError: a share is impossible.
    """
    return PublishedImages(DataSet("cifar10", (3, 32, 32), 10, _NASBENCH201, find_cifar10), folder, valid, subset)


def cifar100(folder: str | None = None, valid: float = 0.5, subset: float = 1.0) -> PublishedImages:
    """60,000 photographs of 32x32 pixels in a hundred (fine) classes, split and trained as `cifar10`.

    Reads the official python archive, extracted or not.

    Args:
        folder: where it lies, itself or in a subfolder `cifar100`; None looks below SEARCHBENCH_DATA.
        valid, subset: as for `cifar10`.

    Raises:
        StudyError: a share is impossible.
    """
    return PublishedImages(DataSet("cifar100", (3, 32, 32), 100, _NASBENCH201, find_cifar100), folder, valid, subset)


def mnist(folder: str | None = None, valid: float = 0.5, subset: float = 1.0) -> PublishedImages:
    """70,000 handwritten digits of 28x28 pixels: 60,000 to train and validate, 10,000 to test, as published.

    Args:
        folder: where the four idx files lie (raw or gzipped), itself or in a subfolder `mnist`; None looks below
            SEARCHBENCH_DATA.
        valid, subset: as for `cifar10`.

    Raises:
        StudyError: a share is impossible.
    """
    recipe = Recipe(epochs=10, batch_size=128, lr=0.1, weight_decay=5e-4)
    return PublishedImages(DataSet("mnist", (1, 28, 28), 10, recipe, find_mnist), folder, valid, subset)


class Source(Protocol):
    """Images as bytes, in files of this node or in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Images, channels, height, width."""

    @property
    def held(self) -> bool:
        """Whether they are decoded."""

    def blocks(self, orders: Iterable[Indices]) -> Iterator[Bytes]:
        """Images [B, C, H, W] of every order of their numbers, in turn. Raises DataMissing."""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenImages:
    """Some of the images of a source, in an order of their own, with what their bytes stand for."""

    source: Source
    rows: Indices
    levels: npt.NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.rows), *self.source.shape[1:]

    @property
    def held(self) -> bool:
        return self.source.held

    def blocks(self, orders: Iterable[Indices]) -> Iterator[Bytes]:
        """Bytes [B, C, H, W] of every order of sample numbers, in turn. Raises DataMissing."""
        return self.source.blocks(self.rows[order] for order in orders)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Labelled images of a source."""

    source: Source
    targets: Targets


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Published train and test images, and what the tasks on them have in common.

    Pixels stay bytes until a minibatch is taken; each channel is standardised by its mean and deviation over all
    published training images.
    """

    train: LabelledImages
    test: LabelledImages
    levels: npt.NDArray[np.float32]
    """[C, 256]: the standardised value of each pixel value."""
    classes: int

    def checksum(self, task: str, valid: float, subset: float) -> str:
        """SHA-256 of everything and of the split rule."""
        parts = (self.train.source, self.train.targets, self.test.source, self.test.targets)
        return checksum(f"{task} valid={valid} subset={subset}", *parts)

    def search_data(self, rng: np.random.Generator, valid: float, subset: float) -> SearchData:
        """Split the used training images, stratified."""
        used = self._used(subset)
        validates, trains = stratified(self.train.targets[used], valid, rng)
        train, validation = self._split(self.train, used[trains]), self._split(self.train, used[validates])
        return SearchData(train, validation, self.classes)

    def judge_data(self, subset: float) -> JudgeData:
        """The used training images, and all test images."""
        everything = np.arange(len(self.test.targets))
        return JudgeData(self._split(self.train, self._used(subset)), self._split(self.test, everything), self.classes)

    def _used(self, subset: float) -> Indices:
        rng = np.random.Generator(np.random.PCG64(derive(0, "images subset")))
        used, _ = stratified(self.train.targets, subset, rng)
        return used

    def _split(self, part: LabelledImages, chosen: Indices) -> StoredSplit:
        return StoredSplit(ChosenImages(part.source, chosen, self.levels), part.targets[chosen])


@cache
def _read(read: Callable[[Path], tuple[Images, Images]], path: Path, classes: int) -> Pictures:
    """Decode once for all processes of this node, and open once in each."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]

    def fill(folder: Path) -> None:
        train, test = read(path)
        for name, images in (("train", train), ("test", test)):
            np.save(folder / f"{name}.npy", images.inputs)
            np.save(folder / f"{name}_targets.npy", images.targets)
        # in parts, since counting takes eight bytes a pixel
        counts = [histogram(train.inputs[rows]) for rows in in_parts(len(train.inputs))]
        np.save(folder / "levels.npy", standardised(np.sum(counts, axis=0)))

    place = shared(f"images {read.__name__} {path}", stamp_of(file for file in files if file.is_file()), fill)
    train, test = (
        LabelledImages(StoredRows.opened(place / f"{name}.npy"), np.load(place / f"{name}_targets.npy"))
        for name in ("train", "test")
    )
    return Pictures(train, test, np.load(place / "levels.npy"), classes)


def histogram(block: Bytes) -> npt.NDArray[np.float64]:
    """[C, 256] how often each byte stands in each channel of [N, C, H, W]."""
    planes = block.swapaxes(0, 1)
    return np.array([np.bincount(plane.reshape(-1), minlength=256) for plane in planes], dtype=np.float64)


def standardised(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """[C, 256]: each byte's value, by the exact mean and deviation of its channel."""
    values, levels = np.arange(256, dtype=np.float64), []
    for of in counts:
        mean = (of * values).sum() / of.sum()
        deviation = np.sqrt((of * (values - mean) ** 2).sum() / of.sum())
        levels.append((values - mean) / deviation)
    return np.array(levels, dtype=np.float32)
