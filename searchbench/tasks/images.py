"""MNIST and CIFAR-10, read from a folder the user names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchbench.seeds import Seeds, derive
from searchbench.tasks.cifar_files import find_cifar10
from searchbench.tasks.image_files import Images, Source, find_mnist
from searchbench.tasks.split import Indices, check_share, checksum, stratified
from searchbench.tasks.task import JudgeData, Recipe, SearchData, Split


@dataclass(frozen=True, slots=True)
class Cifar10:
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

    folder: str | None = field(default=None, metadata={"described": False})  # `checksum` says what is there
    valid: float = 0.5
    subset: float = 1.0

    def __post_init__(self) -> None:
        check_share("cifar10", "valid", self.valid)
        check_share("cifar10", "subset", self.subset, upto_one=True)

    @property
    def name(self) -> str:
        return "cifar10"

    @property
    def recipe(self) -> Recipe:
        return Recipe(epochs=200, batch_size=256, lr=0.1, weight_decay=5e-4, augment=("flip", "crop"))

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, 32, 32

    @property
    def classes(self) -> int:
        return 10

    def title(self) -> str:
        """What results are to be called: a reconstruction says that it is one. Raises DataMissing."""
        return find_cifar10(self.folder).title

    def checksum(self) -> str:
        """SHA-256 of pixels, labels and the split rule, the same however the images are packed. Raises DataMissing."""
        return self._pictures().checksum("cifar10", self.valid, self.subset)

    def search_data(self, seeds: Seeds) -> SearchData:
        """Train and validation splits of this replicate (role "split"). Raises DataMissing."""
        return self._pictures().search_data(seeds.rng("split", "cifar10"), self.valid, self.subset)

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Train and validation together, and test; the same in every replicate. Raises DataMissing."""
        return self._pictures().judge_data(self.subset)

    def _pictures(self) -> Pictures:
        return _load(find_cifar10, self.folder)


@dataclass(frozen=True, slots=True)
class Mnist:
    """70,000 handwritten digits of 28x28 pixels: 60,000 to train and validate, 10,000 to test, as published.

    Args:
        folder: where the four idx files lie (raw or gzipped), itself or in a subfolder `mnist`; None looks below
            SEARCHBENCH_DATA.
        valid: share of the training images that validates, stratified, drawn anew in every replicate.
        subset: share of the training images that is used at all, stratified, the same in every replicate.

    Raises:
        StudyError: a share is impossible.
    """

    folder: str | None = field(default=None, metadata={"described": False})  # `checksum` says what is there
    valid: float = 0.5
    subset: float = 1.0

    def __post_init__(self) -> None:
        check_share("mnist", "valid", self.valid)
        check_share("mnist", "subset", self.subset, upto_one=True)

    @property
    def name(self) -> str:
        return "mnist"

    @property
    def recipe(self) -> Recipe:
        return Recipe(epochs=10, batch_size=128, lr=0.1, weight_decay=5e-4)

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, 28, 28

    @property
    def classes(self) -> int:
        return 10

    def checksum(self) -> str:
        """SHA-256 of pixels, labels and the split rule, the same however the images are packed. Raises DataMissing."""
        return self._pictures().checksum("mnist", self.valid, self.subset)

    def search_data(self, seeds: Seeds) -> SearchData:
        """Train and validation splits of this replicate (role "split"). Raises DataMissing."""
        return self._pictures().search_data(seeds.rng("split", "mnist"), self.valid, self.subset)

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Train and validation together, and test; the same in every replicate. Raises DataMissing."""
        return self._pictures().judge_data(self.subset)

    def _pictures(self) -> Pictures:
        return _load(find_mnist, self.folder)


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Published train and test images of ten classes, and what the tasks on them have in common.

    Pixels stay bytes until a split is taken; each channel is standardised by its mean and deviation over all published
    training images.
    """

    train: Images
    test: Images
    levels: npt.NDArray[np.float32]
    """[C, 256]: the standardised value of each pixel value."""

    def checksum(self, task: str, valid: float, subset: float) -> str:
        """SHA-256 of everything and of the split rule."""
        arrays = (self.train.inputs, self.train.targets, self.test.inputs, self.test.targets)
        return checksum(f"{task} valid={valid} subset={subset}", *arrays)

    def search_data(self, rng: np.random.Generator, valid: float, subset: float) -> SearchData:
        """Split the used training images, stratified."""
        used = self._used(subset)
        validates, trains = stratified(self.train.targets[used], valid, rng)
        return SearchData(self._split(self.train, used[trains]), self._split(self.train, used[validates]), 10)

    def judge_data(self, subset: float) -> JudgeData:
        """The used training images, and all test images."""
        everything = np.arange(len(self.test.targets))
        return JudgeData(self._split(self.train, self._used(subset)), self._split(self.test, everything), 10)

    def _used(self, subset: float) -> Indices:
        rng = np.random.Generator(np.random.PCG64(derive(0, "images subset")))
        used, _ = stratified(self.train.targets, subset, rng)
        return used

    def _split(self, images: Images, chosen: Indices) -> Split:
        inputs = np.empty((len(chosen), *images.inputs.shape[1:]), dtype=np.float32)
        for channel, level in enumerate(self.levels):
            inputs[:, channel] = level[images.inputs[chosen, channel]]
        return Split(inputs, images.targets[chosen])


def _load(find: Callable[[str | None], Source], folder: str | None) -> Pictures:
    source = find(folder)
    return _read(source.read, source.path)


@cache
def _read(read: Callable[[Path], tuple[Images, Images]], path: Path) -> Pictures:
    """Read once per process: decoding takes seconds, and a process serves many runs."""
    train, test = read(path)
    return Pictures(train, test, _standardised(train.inputs))


def _standardised(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """[C, 256] from the exact histogram of each channel of `pixels` [N, C, H, W]."""
    values, levels = np.arange(256, dtype=np.float64), []
    for channel in range(pixels.shape[1]):
        counts = np.zeros(256)
        for start in range(0, len(pixels), 5000):  # in parts, since bincount copies to eight bytes a pixel
            counts += np.bincount(pixels[start : start + 5000, channel].reshape(-1), minlength=256)
        mean = (counts * values).sum() / counts.sum()
        deviation = np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum())
        levels.append((values - mean) / deviation)
    return np.array(levels, dtype=np.float32)
