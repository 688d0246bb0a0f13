"""The handwritten digits that scikit-learn ships: 1,797 real images of 8x8 pixels, no download.

Source: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI (the test part of it).
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchbench.errors import DataMissing
from searchbench.seeds import Seeds, derive
from searchbench.tasks.split import Targets, check_share, checksum, stratified, take
from searchbench.tasks.task import JudgeData, Recipe, SearchData, Split

TEST_SHARE = 1 / 3
_FILE = "datasets/data/digits.csv.gz"


@dataclass(frozen=True, slots=True)
class Digits:
    """8x8 grey images of ten digits: 599 to test, the same ones in every replicate, and 1,198 to train and validate.

    Every split is stratified by class; pixels are standardised by the mean and deviation of the 1,198.

    Args:
        valid: share of the 1,198 that validates; drawn anew in every replicate.

    Raises:
        StudyError: `valid` is not in (0, 1).
    """

    valid: float = 0.5

    def __post_init__(self) -> None:
        check_share("digits", "valid", self.valid)

    @property
    def name(self) -> str:
        return "digits"

    @property
    def recipe(self) -> Recipe:
        """Small batches and a high rate: of those tried on 16 random cells of NAS-Bench-201 (C=8, one cell), what
        gets furthest in 4 epochs and also in 12 at little cost."""
        return Recipe(epochs=12, batch_size=32, lr=0.2, weight_decay=5e-4)

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, 8, 8

    @property
    def classes(self) -> int:
        return 10

    def checksum(self) -> str:
        """SHA-256 of pixels, labels and the split rule."""
        return checksum(f"digits test={TEST_SHARE} valid={self.valid}", *_read())

    def search_data(self, seeds: Seeds) -> SearchData:
        """Train and validation splits of this replicate (role "split")."""
        pool, _ = _splits()
        valid, train = stratified(pool.targets, self.valid, seeds.rng("split", "digits"))
        return SearchData(take(pool.inputs, pool.targets, train), take(pool.inputs, pool.targets, valid), self.classes)

    def judge_data(self, seeds: Seeds) -> JudgeData:
        """Train and validation together, and test; the same in every replicate."""
        pool, test = _splits()
        return JudgeData(pool, test, self.classes)


@cache
def _read() -> tuple[npt.NDArray[np.float32], Targets]:
    """Pixels [1797, 64] in 0..16 and labels [1797]. Read from the file itself: scikit-learn takes 1.5 s to import."""
    package = importlib.util.find_spec("sklearn")
    folders = list(package.submodule_search_locations or []) if package is not None else []
    path = next((Path(folder) / _FILE for folder in folders if (Path(folder) / _FILE).is_file()), None)
    if path is None:
        raise DataMissing(
            f"the digits images are part of scikit-learn, but {_FILE} is not in {folders or 'any installed package'}; "
            "install it with: pip install --force-reinstall scikit-learn"
        )
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    return table[:, :-1], table[:, -1].astype(np.int64)


@cache
def _splits() -> tuple[Split, Split]:
    """(train and validation together, test)."""
    pixels, targets = _read()
    rng = np.random.Generator(np.random.PCG64(derive(0, "digits test")))
    test, pool = stratified(targets, TEST_SHARE, rng)
    mean, deviation = pixels[pool].mean(dtype=np.float64), pixels[pool].std(dtype=np.float64)
    inputs = ((pixels - mean) / deviation).astype(np.float32).reshape(-1, 1, 8, 8)
    return take(inputs, targets, pool), take(inputs, targets, test)
